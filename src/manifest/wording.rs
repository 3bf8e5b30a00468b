//! Why a node is not the value that was asked for, in plain words. Never repeats a text from the file but
//! the names of fields and options: what stands where something else was expected may be a key or a
//! secret (law 12).

use std::fmt::{self, Display};

use serde::de::{Expected, Unexpected};

use super::foreign;
use super::suggestion::did_you_mean;
use crate::resource::violation::Segment;

/// The most fields that a hint lists.
const FIELDS_LISTED_MAX: usize = 12;

/// Why a node is not the value that was asked for. In a box: it is returned through every level.
#[derive(Debug)]
pub(super) struct Error(pub Box<Reason>);

/// What an [`Error`] says.
#[derive(Debug)]
pub(super) struct Reason {
    /// The way to the place, innermost step first.
    pub steps: Vec<Segment>,
    /// What of the place.
    pub about: About,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What of a place is wrong.
#[derive(Debug)]
pub(super) enum About {
    /// Its value.
    Value,
    /// Its key.
    Key,
    /// That a field is missing in it.
    MissingField(&'static str),
}

impl Error {
    fn new(about: About, message: String) -> Self {
        Self(Box::new(Reason { steps: Vec::new(), about, message, hint: None }))
    }

    pub fn value(message: String) -> Self {
        Self::new(About::Value, message)
    }

    fn hinted(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    pub fn within(mut self, step: Segment) -> Self {
        self.0.steps.push(step);
        self
    }

    pub fn at_key(mut self) -> Self {
        self.0.about = About::Key;
        self
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        let message = message.to_string();
        // The standard library's words.
        Self::value(match message.as_str() {
            "invalid IP address syntax" => "expected an IP address like 10.0.0.53".to_owned(),
            "invalid IPv4 address syntax" => "expected an IPv4 address like 10.0.0.53".to_owned(),
            "invalid IPv6 address syntax" => "expected an IPv6 address like fd00::53".to_owned(),
            _ => message,
        })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected_words(expected);
        let hint = match found {
            Unexpected::Unit => Some("write a value, or leave the field out"),
            // Not taken as its text: `1.10` would be kept as 1.1 in one place and as 1.10 in another.
            Unexpected::Bool(_) | Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_)
                if expected == "a text" =>
            {
                Some("put it in quotes")
            }
            _ => None,
        };
        let message = format!("expected {expected}, found {}", found_words(found));
        Self::value(message).hinted(hint.map(str::to_owned))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match (found, range_of(expected)) {
            (Unexpected::Unsigned(number), Some(range)) => {
                Self::value(format!("{number} is out of range ({range})"))
            }
            (Unexpected::Signed(number), Some(range)) => {
                Self::value(format!("{number} is out of range ({range})"))
            }
            _ => Self::value(format!("expected {}", expected_words(expected))),
        }
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::value(format!("expected {}, found {length} elements", expected_words(expected)))
    }

    fn unknown_variant(word: &str, expected: &'static [&'static str]) -> Self {
        Self::value(format!("unknown value `{word}` ({})", one_of(expected)))
            .hinted(did_you_mean(word, expected.iter().copied()))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let contradiction = match field {
            "rm" | "autoRemove" if expected.contains(&"restartPolicy") => {
                Some("a container of a manifest is kept, so there is no --rm")
            }
            "build" if expected.contains(&"restartPolicy") => {
                Some("what is built is a manifest of `kind: Image`; name its tag with `image`")
            }
            "name" | "containerName" | "container_name" if expected.contains(&"restartPolicy") => {
                Some("a container is called what `metadata.name` says")
            }
            "ssh" if expected.contains(&"dockerfileInline") => {
                Some("a build gets no agent's keys; a key is one of its `secrets`")
            }
            _ => None,
        };
        let contradiction = contradiction.map(str::to_owned);
        let meant = || foreign::field(field, expected).map(|meant| format!("did you mean `{meant}`?"));
        let guess = || did_you_mean(field, expected.iter().copied());
        let hint = contradiction.or_else(meant).or_else(guess).or_else(|| match expected.len() {
            0 => None,
            1..=FIELDS_LISTED_MAX => Some(format!("the fields here are {}", expected.join(", "))),
            _ => Some("`invigil schema` tells all fields".to_owned()),
        });
        Self::value(format!("unknown field `{field}`")).hinted(hint)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(About::MissingField(field), format!("the field `{field}` is missing"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::value(format!("the field `{field}` stands here twice"))
    }
}

pub(super) fn one_of(words: &[&str]) -> String {
    format!("expected one of {}", words.join(", "))
}

/// Rust's words for types, in words for people who write manifests. What a type of ours expects is
/// said in such words already.
fn expected_words(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "a string" | "a borrowed string" | "str" | "a character" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" | "isize" => {
            "a whole number".to_owned()
        }
        _ if words.starts_with("struct ") => "a mapping".to_owned(),
        _ if words.starts_with("tuple ") => "a list".to_owned(),
        _ if words.starts_with("enum ") => "a text".to_owned(),
        _ => words,
    }
}

fn range_of(expected: &dyn Expected) -> Option<String> {
    Some(match expected.to_string().as_str() {
        "u8" => format!("0-{}", u8::MAX),
        "u16" => format!("0-{}", u16::MAX),
        "u32" => format!("0-{}", u32::MAX),
        "u64" | "usize" => format!("0-{}", u64::MAX),
        "i8" => format!("{} to {}", i8::MIN, i8::MAX),
        "i16" => format!("{} to {}", i16::MIN, i16::MAX),
        "i32" => format!("{} to {}", i32::MIN, i32::MAX),
        "i64" | "isize" => format!("{} to {}", i64::MIN, i64::MAX),
        _ => return None,
    })
}

pub(super) fn found_words(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a mapping",
        Unexpected::Unit | Unexpected::Option => "nothing",
        _ => "a text",
    }
}
