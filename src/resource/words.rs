//! A program's words: what is run, with which arguments. In: the words, as a manifest or an engine gives them. Out: the same
//! with what opens something hidden, by the rule of [`super::env`] for variables (law 12).
//!
//! A secret is best no argument at all: whoever may list a host's containers or its processes sees them. But no plan, log or
//! label passes it on.

use std::ops::Range;

use super::env::{HIDDEN, end_of_value, looks_secret, without_secrets};

/// The words without what looks secret in them: `--password=X` and `PASSWORD=X`, what follows `--token`, `Authorization: X`,
/// and what opens something in URLs; also in words that are a shell's line.
pub fn without_secret_words<T: AsRef<str>>(words: &[T]) -> Vec<String> {
    let mut names = false;
    words.iter().map(|word| shown(word.as_ref(), &mut names)).collect()
}

/// A shell's line without what looks secret in it.
pub fn without_secret_arguments(line: &str) -> String {
    if let Some(value) = header(line) {
        return format!("{}{HIDDEN}{}", &line[..value.start], &line[value.end..]);
    }
    let (mut told, mut rest, mut names) = (String::with_capacity(line.len()), line, false);
    while !rest.is_empty() {
        let (blank, after) = rest.split_at(rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len()));
        let (word, next) = after.split_at(end_of_value(after, None));
        told.push_str(blank);
        told.push_str(&shown(word, &mut names));
        rest = next;
    }
    told
}

/// What [`without_secret_words`] hides, as it is: for finding it in what a program says. Of several words together each is
/// found alone, too.
pub fn secret_words<T: AsRef<str>>(words: &[T]) -> Vec<&str> {
    let shown = without_secret_words(words);
    let hidden = words.iter().zip(&shown).flat_map(|(word, shown)| hidden(word.as_ref(), shown));
    let hidden = hidden.map(|secret| secret.trim_matches(['"', '\'']));
    hidden.flat_map(|secret| std::iter::once(secret).chain(secret.split_whitespace())).collect()
}

/// The parts of a text that are hidden in what is shown of it.
fn hidden<'a>(text: &'a str, shown: &str) -> Vec<&'a str> {
    let mut open = shown.split(HIDDEN);
    let mut rest = text.strip_prefix(open.next().unwrap_or_default()).unwrap_or(text);
    let mut hidden = Vec::new();
    let mut open = open.peekable();
    while let Some(next) = open.next() {
        // The last open part is the text's end.
        let at = if open.peek().is_some() { rest.find(next) } else { rest.len().checked_sub(next.len()) };
        let (secret, after) = rest.split_at_checked(at.unwrap_or(rest.len())).unwrap_or((rest, ""));
        hidden.push(secret);
        rest = after.strip_prefix(next).unwrap_or_default();
    }
    hidden
}

/// One word. `names` says whether the word before names what this one is, and from then on whether this one names the next.
fn shown(word: &str, names: &mut bool) -> String {
    if std::mem::replace(names, false) && is_value(word) {
        return HIDDEN.to_owned();
    }
    *names = names_secret(word);
    if let Some((quote, inner)) = quoted(word) {
        return format!("{quote}{}{quote}", without_secret_arguments(inner));
    }
    // A word of a list may be a line; one of a line has its blanks in quotes.
    if word.contains(char::is_whitespace) && end_of_value(word, None) < word.len() {
        return without_secret_arguments(word);
    }
    match header(word) {
        Some(value) => format!("{}{HIDDEN}{}", &word[..value.start], &word[value.end..]),
        None => without_secrets(word),
    }
}

/// Whether a word is an option whose value looks secret and is the next word.
fn names_secret(word: &str) -> bool {
    word.starts_with('-') && !word.contains(|c: char| c == '=' || c.is_whitespace()) && looks_secret(word)
}

/// Whether a word can be an option's value; the next option, or what connects a shell's commands, is none.
fn is_value(word: &str) -> bool {
    !word.is_empty() && !word.starts_with(['-', '|', '&', ';', '<', '>'])
}

/// A word in quotes that hold several words together.
fn quoted(word: &str) -> Option<(char, &str)> {
    let quote = word.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = word.strip_prefix(quote)?.strip_suffix(quote)?;
    (inner.contains(char::is_whitespace) && !inner.contains(quote)).then_some((quote, inner))
}

/// Where the value of a header is whose name looks secret: `Authorization: Bearer X`, also `--header=X-Api-Key: X` and
/// `-H'X-Api-Key: X'`.
fn header(text: &str) -> Option<Range<usize>> {
    let behind_option = || {
        let (option, _) = text.split_once('=')?;
        (option.starts_with('-') && !option.contains(char::is_whitespace)).then(|| option.len() + 1)
    };
    let joined = || text.starts_with("-H").then_some(2);
    [Some(0), behind_option(), joined()].into_iter().flatten().find_map(|start| {
        let quote = text[start..].chars().next().filter(|c| matches!(c, '"' | '\''));
        let start = start + quote.map_or(0, char::len_utf8);
        let end =
            text.len() - quote.filter(|quote| text[start..].ends_with(*quote)).map_or(0, char::len_utf8);
        header_value(&text[start..end]).map(|at| start + at..end)
    })
}

/// The same of nothing but a header. The port of `auth:8080` is no value.
fn header_value(text: &str) -> Option<usize> {
    let (name, value) = text.split_once(':')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let begins = value.find(|c: char| !c.is_whitespace())?;
    let is_port = value.chars().all(|c| c.is_ascii_digit());
    (is_name && looks_secret(name) && !is_port && !value.starts_with("//")).then(|| name.len() + 1 + begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_12_what_looks_secret_in_a_programs_words_is_hidden() {
        for (words, told) in [
            (vec!["app", "--password=hunter2", "--port=80"], vec!["app", "--password=(hidden)", "--port=80"]),
            (vec!["app", "--token", "X", "-v"], vec!["app", "--token", "(hidden)", "-v"]),
            (vec!["app", "--no-auth", "--port", "80"], vec!["app", "--no-auth", "--port", "80"]),
            (vec!["app", "postgres://u:p@db/x"], vec!["app", "postgres://u:(hidden)@db/x"]),
            (
                vec!["sh", "-c", "app --secret 'a b' --port 80 && X_TOKEN=\"c d\" run"],
                vec!["sh", "-c", "app --secret (hidden) --port 80 && X_TOKEN=(hidden) run"],
            ),
            (
                vec!["curl", "-H", "Authorization: Bearer abc", "http://auth:8080/health"],
                vec!["curl", "-H", "Authorization: (hidden)", "http://auth:8080/health"],
            ),
            (
                vec!["curl -sf -H 'X-Api-Key: abc' http://127.0.0.1/ || exit 1"],
                vec!["curl -sf -H 'X-Api-Key: (hidden)' http://127.0.0.1/ || exit 1"],
            ),
            (
                vec!["wget", "--header=Authorization: Bearer abc", "-HX-Api-Key: abc", "http://h/"],
                vec!["wget", "--header=Authorization: (hidden)", "-HX-Api-Key: (hidden)", "http://h/"],
            ),
            (
                vec!["wget --header='X-Api-Key: abc' -H\"X-Token: a b\" http://h/ --opt=auth:80"],
                vec!["wget --header='X-Api-Key: (hidden)' -H\"X-Token: (hidden)\" http://h/ --opt=auth:80"],
            ),
            (vec!["wait-for", "keycloak:8080"], vec!["wait-for", "keycloak:8080"]),
            (vec!["sleep", "1000"], vec!["sleep", "1000"]),
            (vec!["nginx", "-g", "daemon off;"], vec!["nginx", "-g", "daemon off;"]),
        ] {
            assert_eq!(without_secret_words(&words), told);
        }
    }

    #[test]
    fn law_12_what_looks_secret_is_known_again_in_what_a_program_says() {
        let words = ["app", "--password=hunter2", "--token", "X-1", "--port", "80", "--key", "--more"];
        assert_eq!(secret_words(&words), ["hunter2", "hunter2", "X-1", "X-1"]);
        let line =
            ["sh", "-c", "app --token 'a b' --port 80; X_KEY=c curl -H 'X-Auth: Bearer d' http://u:e@h/"];
        assert_eq!(secret_words(&line), ["a b", "a", "b", "c", "c", "Bearer d", "Bearer", "d", "e", "e"]);
        assert_eq!(secret_words(&["sleep", "1000"]), [""; 0]);
    }
}
