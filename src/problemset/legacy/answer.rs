//! The old service's answer notation. In: the text of `answer`. Out: choices and key, or the one thing
//! that makes it unreadable. Never guesses: what could be read in two ways is an error.

use std::collections::BTreeSet;
use std::fmt;

use super::fold::{folded, folded_text};

/// The most warnings about one answer: past it, more lines do not help anybody.
const WARNINGS_MAX: usize = 50;

/// `A.1&B.2&C.3&D.4@A`, read.
#[derive(Clone, PartialEq, Eq)]
pub struct ChoiceAnswer {
    /// The choices in order: the label (`A` to `Z`) and its text, without white space around it.
    pub choices: Vec<(char, String)>,
    /// The labels of the right choices, in order; never empty.
    pub key: BTreeSet<char>,
    /// What was read in one of two thinkable ways, in the order of the text; the first 50.
    pub warnings: Vec<String>,
}

impl fmt::Debug for ChoiceAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { choices, key: _, warnings } = self;
        f.debug_struct("ChoiceAnswer")
            .field("choices", choices)
            .field("warnings", warnings)
            .finish_non_exhaustive()
    }
}

/// Why an answer cannot be read. No message quotes the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No `@`, or nothing behind the last one.
    #[error("has no key: nothing follows `@`")]
    NoKey,
    /// Something else than letters follows the last `@`.
    #[error("has no key: what follows the last `@` is not a list of capital letters")]
    KeyNotLetters,
    /// `...@A@C`.
    #[error("is ambiguous: two keys, each behind an `@`")]
    TwoKeys,
    /// `@AA`.
    #[error("the key names a letter twice")]
    KeyRepeats,
    /// `A.1&B.2@C`.
    #[error("the key names a letter that is no choice (the choices end with {last})")]
    KeyNoChoice {
        /// The last choice's label.
        last: char,
    },
    /// The text does not begin with `A` and a terminator.
    #[error("does not begin with `A.`")]
    NoFirstChoice,
    /// `A.1&C.3`.
    #[error("`{found}` follows where `{expected}` is expected: a gap in the letters")]
    Gap {
        /// The label that is there.
        found: char,
        /// The label that should be.
        expected: char,
    },
    /// `A.1&B.2&A.3`.
    #[error("`{0}` labels two choices")]
    Repeated(char),
    /// `A.1&b.2`.
    #[error("`{0}` looks like a label; labels are capital letters")]
    LowerCase(char),
    /// `A.1@A`.
    #[error("has fewer than two choices")]
    TooFew,
    /// `A.&B.2@A`.
    #[error("choice `{0}` is empty")]
    Empty(char),
    /// 判断题: neither a word for true or false, nor two choices that are such words.
    #[error("says neither true nor false")]
    NotABool,
    /// 判断题 with choices that are not one true and one false, or not one key.
    #[error("needs one choice for true, one for false, and one of them as the key")]
    NotABoolChoice,
    /// 填空题: nothing between two separators.
    #[error("blank {0} is empty")]
    EmptyBlank(usize),
}

impl AnswerError {
    /// What to do about it, where the message does not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoKey | Self::KeyNotLetters => Some("write the key behind the choices, as in A.1&B.2@A"),
            Self::TwoKeys => Some("write several right choices behind one `@`, as in @AC"),
            Self::Gap { .. } | Self::Repeated(_) | Self::LowerCase(_) => {
                Some("if it is part of a choice's text, put a space before the full stop")
            }
            Self::NotABool => Some("write one of 对, 错, 正确, 错误, 是, 否, √, ×, T, F, true, false"),
            _ => None,
        }
    }
}

/// Reads the answer of a choice item.
///
/// The rules, which have survived 49,692 real questions:
///
/// - the key is what follows the last `@`: capital letters, between which one `&`, `,` or `、` may stand
///   (`@AC`, `@A&C`); when what precedes that `@` ends in such a key, too, there are two (`@A@C`), which
///   is an error;
/// - a choice ends only at an `&` that is followed by the next expected letter and one of `.`, `、`, `)`,
///   `:`, so that `A.AT&T&B.a@b.com@B` has the choices `AT&T` and `a@b.com`; white space around a label
///   is not part of a text;
/// - an `&` that is followed by another capital letter and a terminator is a gap or a repetition, an
///   error, and so is one followed by the next letter in lower case;
/// - an `&` that stays in a text between two ASCII letters is a warning;
/// - full-width forms of letters, separators and terminators are equal to the ASCII ones; texts stay as
///   written.
pub fn parse_choices(answer: &str) -> Result<ChoiceAnswer, AnswerError> {
    let (body, key) = split_key(answer)?;
    let (choices, warnings) = split_choices(body)?;
    if choices.len() < 2 {
        return Err(AnswerError::TooFew);
    }
    if let Some((label, _)) = choices.iter().find(|(_, text)| text.is_empty()) {
        return Err(AnswerError::Empty(*label));
    }
    let last = choices.last().map_or('A', |(label, _)| *label);
    if key.iter().any(|letter| *letter > last) {
        return Err(AnswerError::KeyNoChoice { last });
    }
    Ok(ChoiceAnswer { choices, key, warnings })
}

/// Reads the answer of a 判断题: a word for true or false, alone or behind an `@`, or two choices that are
/// such words (`A.对&B.错@A`). Letter case and full width do not matter.
pub fn parse_bool(answer: &str) -> Result<bool, AnswerError> {
    let alone = answer.trim();
    let alone = alone.strip_prefix(['@', '＠']).unwrap_or(alone);
    if let Some(value) = bool_word(alone) {
        return Ok(value);
    }
    if !answer.contains(['@', '＠']) {
        return Err(AnswerError::NotABool);
    }
    let ChoiceAnswer { choices, key, .. } = parse_choices(answer)?;
    let values: Vec<Option<bool>> = choices.iter().map(|(_, text)| bool_word(text)).collect();
    let right = match (values.as_slice(), key.len()) {
        ([Some(a), Some(b)], 1) if a != b => {
            if key.contains(&'A') {
                *a
            } else {
                *b
            }
        }
        _ => return Err(AnswerError::NotABoolChoice),
    };
    Ok(right)
}

/// Reads the answer of a 填空题: the blanks in order, between `&` or `＆`, without white space around them.
/// Texts are not folded, and an `@` means nothing here.
///
/// Returns the blanks and, when an `&` stood between two ASCII letters, a warning that it was taken for
/// a separator.
pub fn parse_blanks(answer: &str) -> Result<(Vec<String>, Option<String>), AnswerError> {
    let blanks: Vec<String> = answer.split(is_ampersand).map(|blank| blank.trim().to_owned()).collect();
    if let Some(empty) = blanks.iter().position(String::is_empty) {
        return Err(AnswerError::EmptyBlank(empty + 1));
    }
    let between_letters =
        answer.char_indices().any(|(at, c)| is_ampersand(c) && neighbours(answer, at, c).is_some());
    let warning = between_letters
        .then(|| "an `&` between two letters was taken for a separator of blanks; check the key".to_owned());
    Ok((blanks, warning))
}

fn bool_word(word: &str) -> Option<bool> {
    match folded_text(word.trim()).to_lowercase().as_str() {
        "对" | "正确" | "是" | "√" | "✓" | "✔" | "t" | "true" => Some(true),
        "错" | "错误" | "否" | "×" | "✗" | "✘" | "f" | "false" => Some(false),
        _ => None,
    }
}

fn split_key(answer: &str) -> Result<(&str, BTreeSet<char>), AnswerError> {
    let (body, key) = rsplit_at_sign(answer).ok_or(AnswerError::NoKey)?;
    if key.trim().is_empty() {
        return Err(AnswerError::NoKey);
    }
    let letters = key_letters(key).ok_or(AnswerError::KeyNotLetters)?;
    if rsplit_at_sign(body).is_some_and(|(_, earlier)| key_letters(earlier).is_some()) {
        return Err(AnswerError::TwoKeys);
    }
    let distinct: BTreeSet<char> = letters.iter().copied().collect();
    if distinct.len() < letters.len() {
        return Err(AnswerError::KeyRepeats);
    }
    Ok((body, distinct))
}

fn rsplit_at_sign(text: &str) -> Option<(&str, &str)> {
    let (at, sign) = text.char_indices().rfind(|(_, c)| folded(*c) == '@')?;
    Some((&text[..at], &text[at + sign.len_utf8()..]))
}

/// The letters of a key; `None` when `text` is none: anything but letters with at most one separator
/// between two.
fn key_letters(text: &str) -> Option<Vec<char>> {
    let folded = folded_text(text);
    let mut letters = Vec::new();
    let mut separated = true;
    for c in folded.chars().filter(|c| !c.is_whitespace()) {
        match c {
            'A'..='Z' => {
                letters.push(c);
                separated = false;
            }
            '&' | ',' | '、' if !separated => separated = true,
            _ => return None,
        }
    }
    (!separated).then_some(letters)
}

type Choices = Vec<(char, String)>;

fn split_choices(body: &str) -> Result<(Choices, Vec<String>), AnswerError> {
    let mut current = 'A';
    let mut text_start = match label(body) {
        Some(('A', rest)) => body.len() - rest.len(),
        Some((found @ 'B'..='Z', _)) => return Err(unexpected(found, Some('A'))),
        _ => return Err(AnswerError::NoFirstChoice),
    };
    let mut choices = Vec::new();
    let mut warnings = Vec::new();
    for (at, ampersand) in body.char_indices().filter(|(_, c)| is_ampersand(*c)) {
        // None behind Z: then nothing can be the next choice.
        let next = ('A'..='Z').find(|letter| *letter > current);
        let behind = at + ampersand.len_utf8();
        match label(&body[behind..]) {
            Some((found, rest)) if Some(found) == next => {
                choices.push((current, body[text_start..at].trim().to_owned()));
                current = found;
                text_start = body.len() - rest.len();
            }
            Some((found @ 'A'..='Z', _)) => return Err(unexpected(found, next)),
            Some((found, _)) if Some(found.to_ascii_uppercase()) == next => {
                return Err(AnswerError::LowerCase(found));
            }
            _ => {
                if let Some((before, after)) =
                    neighbours(body, at, ampersand).filter(|_| warnings.len() < WARNINGS_MAX)
                {
                    let kept =
                        format!("`{before}{ampersand}{after}` was kept as text, not split at `{ampersand}`");
                    warnings.push(kept);
                }
            }
        }
    }
    choices.push((current, body[text_start..].trim().to_owned()));
    Ok((choices, warnings))
}

/// A label that is not the next one: behind it there is a gap, or it was there before.
fn unexpected(found: char, next: Option<char>) -> AnswerError {
    match next {
        Some(expected) if found > expected => AnswerError::Gap { found, expected },
        _ => AnswerError::Repeated(found),
    }
}

/// The label at the beginning of `text`, folded, and what follows its terminator.
fn label(text: &str) -> Option<(char, &str)> {
    let mut rest = text.trim_start().chars();
    let letter = folded(rest.next()?);
    let terminator = folded(rest.next()?);
    let is_label = letter.is_ascii_alphabetic() && matches!(terminator, '.' | '、' | ')' | ':');
    is_label.then_some((letter, rest.as_str()))
}

fn is_ampersand(c: char) -> bool {
    folded(c) == '&'
}

/// The ASCII letters on both sides of the `ampersand` at `at`.
fn neighbours(text: &str, at: usize, ampersand: char) -> Option<(char, char)> {
    let before = text[..at].chars().next_back()?;
    let after = text[at + ampersand.len_utf8()..].chars().next()?;
    (before.is_ascii_alphabetic() && after.is_ascii_alphabetic()).then_some((before, after))
}
