//! The rules of the answer notation, each accepted and refused.

use std::fmt::Write;

use crate::problemset::legacy::answer::{parse_blanks, parse_bool, parse_choices};

/// `A=text B=text @KEY`, and a line for each warning; or the error.
fn read(answer: &str) -> String {
    match parse_choices(answer) {
        Err(error) => format!("error: {error}"),
        Ok(read) => {
            let mut shown = String::new();
            for (label, text) in &read.choices {
                write!(shown, "{label}={text} ").unwrap();
            }
            shown.push('@');
            shown.extend(&read.key);
            for warning in &read.warnings {
                write!(shown, "\nwarning: {warning}").unwrap();
            }
            shown
        }
    }
}

#[test]
fn what_the_notation_says() {
    for (answer, expected) in [
        ("A.1&B.2&C.3&D.4@A", "A=1 B=2 C=3 D=4 @A"),
        // The key.
        ("A.1&B.2&C.3@AC", "A=1 B=2 C=3 @AC"),
        ("A.1&B.2&C.3@CA", "A=1 B=2 C=3 @AC"),
        ("A.1&B.2&C.3@A&C", "A=1 B=2 C=3 @AC"),
        ("A.1&B.2&C.3@A,C", "A=1 B=2 C=3 @AC"),
        ("A.1&B.2&C.3@A，C", "A=1 B=2 C=3 @AC"),
        ("A.1&B.2&C.3@A、C", "A=1 B=2 C=3 @AC"),
        ("A.1&B.2&C.3＠Ａ＆Ｃ", "A=1 B=2 C=3 @AC"),
        ("A.1&B.2@ A \n", "A=1 B=2 @A"),
        // Where choices are split.
        ("A.1＆B.2@B", "A=1 B=2 @B"),
        ("Ａ．1&Ｂ．2@B", "A=1 B=2 @B"),
        ("A、1&B、2@B", "A=1 B=2 @B"),
        ("A)1&B）2@B", "A=1 B=2 @B"),
        ("A:1&B：2@B", "A=1 B=2 @B"),
        (" A. 1 & B. 2 @B", "A=1 B=2 @B"),
        ("A.a@b.com&B.c@d.com@B", "A=a@b.com B=c@d.com @B"),
        ("A.1&B.x@A@B", "error: is ambiguous: two keys, each behind an `@`"),
        ("A.& &B.&&@B", "A=& B=&& @B"),
        ("A.５＆６&B.（x）@B", "A=５＆６ B=（x） @B"),
        // What stays in a text.
        ("A.AT&T&B.a@b.com@B", "A=AT&T B=a@b.com @B\nwarning: `T&T` was kept as text, not split at `&`"),
        ("A.R＆D&B.x@B", "A=R＆D B=x @B\nwarning: `R＆D` was kept as text, not split at `＆`"),
        ("A.1&2&B.x & y@B", "A=1&2 B=x & y @B"),
        ("A.yes&B.no@A", "A=yes B=no @A"),
    ] {
        assert_eq!(read(answer), expected, "{answer}");
    }
}

#[test]
fn what_the_notation_refuses() {
    for (answer, expected) in [
        ("", "has no key: nothing follows `@`"),
        ("A.1&B.2", "has no key: nothing follows `@`"),
        ("A.1&B.2@", "has no key: nothing follows `@`"),
        ("A.1&B.2@ ", "has no key: nothing follows `@`"),
        ("A.1&B.a@b.com", "has no key: what follows the last `@` is not a list of capital letters"),
        ("A.1&B.2@a", "has no key: what follows the last `@` is not a list of capital letters"),
        ("A.1&B.2@1", "has no key: what follows the last `@` is not a list of capital letters"),
        ("A.1&B.2@A,,B", "has no key: what follows the last `@` is not a list of capital letters"),
        ("A.1&B.2@A,", "has no key: what follows the last `@` is not a list of capital letters"),
        ("A.1&B.2@,A", "has no key: what follows the last `@` is not a list of capital letters"),
        ("A.1&B.2&C.3@A@C", "is ambiguous: two keys, each behind an `@`"),
        ("A.1&B.2&C.3＠A@C", "is ambiguous: two keys, each behind an `@`"),
        ("A.1&B.2@AA", "the key names a letter twice"),
        ("A.1&B.2@C", "the key names a letter that is no choice (the choices end with B)"),
        ("@A", "does not begin with `A.`"),
        ("1&2@A", "does not begin with `A.`"),
        ("a.1&b.2@A", "does not begin with `A.`"),
        ("B.1&C.2@B", "`B` follows where `A` is expected: a gap in the letters"),
        ("A.1&C.3@A", "`C` follows where `B` is expected: a gap in the letters"),
        ("A.1&B.2&D.4@A", "`D` follows where `C` is expected: a gap in the letters"),
        ("A.1&A.2@A", "`A` labels two choices"),
        ("A.1&B.2&A.3@A", "`A` labels two choices"),
        ("A.1&B.2&c.3@A", "`c` looks like a label; labels are capital letters"),
        ("A.1@A", "has fewer than two choices"),
        ("A.&B.2@A", "choice `A` is empty"),
        ("A.1&B. @A", "choice `B` is empty"),
        ("A.1&B.　@A", "choice `B` is empty"),
    ] {
        assert_eq!(read(answer), format!("error: {expected}"), "{answer}");
    }
}

#[test]
fn twenty_six_choices_are_the_most() {
    let choices = |letters: &mut dyn Iterator<Item = char>| {
        letters.map(|letter| format!("{letter}.{letter}")).collect::<Vec<_>>().join("&")
    };
    let all = choices(&mut ('A'..='Z'));
    assert_eq!(parse_choices(&format!("{all}@Z")).unwrap().choices.len(), 26);
    assert_eq!(read(&format!("{all}&A.x@Z")), "error: `A` labels two choices");
}

#[test]
fn the_key_is_not_in_the_debug_output() {
    let read = parse_choices("A.1&B.2@B").unwrap();
    assert_eq!(
        format!("{read:?}"),
        "ChoiceAnswer { choices: [('A', \"1\"), ('B', \"2\")], warnings: [], .. }"
    );
}

#[test]
fn true_and_false_have_their_words() {
    for answer in [
        "对",
        "正确",
        "是",
        "√",
        "✓",
        "T",
        "t",
        "Ｔ",
        "TRUE",
        " 对 ",
        "@对",
        "＠T",
        "A.对&B.错@A",
        "A.错误&B.正确@B",
    ] {
        assert_eq!(parse_bool(answer), Ok(true), "{answer}");
    }
    for answer in ["错", "错误", "否", "×", "✗", "F", "false", "@错", "A.对&B.错@B", "Ａ、√＆Ｂ、×＠Ｂ"]
    {
        assert_eq!(parse_bool(answer), Ok(false), "{answer}");
    }
    for (answer, error) in [
        ("", "says neither true nor false"),
        ("也许", "says neither true nor false"),
        ("A.对&B.错", "says neither true nor false"),
        ("A.对&B.错@", "has no key: nothing follows `@`"),
        ("A.对&B.错@AB", "needs one choice for true, one for false, and one of them as the key"),
        ("A.对&B.正确@A", "needs one choice for true, one for false, and one of them as the key"),
        ("A.对&B.错&C.否@A", "needs one choice for true, one for false, and one of them as the key"),
        ("A.1&B.2@A", "needs one choice for true, one for false, and one of them as the key"),
    ] {
        assert_eq!(parse_bool(answer).map_err(|error| error.to_string()), Err(error.to_owned()), "{answer}");
    }
}

#[test]
fn blanks_stand_between_ampersands() {
    let blanks = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(parse_blanks("北京"), Ok((blanks(&["北京"]), None)));
    assert_eq!(parse_blanks("1 & ２＆a@b.com"), Ok((blanks(&["1", "２", "a@b.com"]), None)));
    let warning = "an `&` between two letters was taken for a separator of blanks; check the key";
    assert_eq!(parse_blanks("AT&T"), Ok((blanks(&["AT", "T"]), Some(warning.to_owned()))));
    assert_eq!(parse_blanks("a&&b").unwrap_err().to_string(), "blank 2 is empty");
    assert_eq!(parse_blanks("").unwrap_err().to_string(), "blank 1 is empty");
}

#[test]
fn of_a_text_that_is_nothing_but_ampersands_only_the_first_are_told() {
    let answer = parse_choices(&format!("A.{}&B.x@B", "a&b".repeat(1000))).expect("an answer");
    assert_eq!(answer.warnings.len(), 50);
    assert_eq!(answer.warnings[0], "`a&b` was kept as text, not split at `&`");
}
