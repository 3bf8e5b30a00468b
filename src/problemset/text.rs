//! Texts as authors write them. In: any serde value. Out: a text, or an error that says what stood there
//! instead. Never turns a number or a boolean into a text, and never quotes the value in an error: it may
//! be a key.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A text that was written as a text.
///
/// YAML's `id: 8` is a number and `text: yes` a text; a reader that makes texts of both would keep
/// `1.10` as `1.1` in silence. Here a scalar of another type is an error that says to quote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing but white space is in it.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text)),
            other => Err(D::Error::custom(format_args!("expected a text, found {}", other.described()))),
        }
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Text")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// What stands at a place where more than one type is thinkable.
pub(super) enum Written {
    Nothing,
    Bool(bool),
    Number,
    Text(String),
    Texts(Vec<Text>),
    Mapping,
}

impl Written {
    /// For an error: the kind of thing, never the thing.
    pub(super) fn described(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Bool(_) => "a boolean; put it in quotes if it is a text",
            Self::Number => "a number; put it in quotes if it is a text",
            Self::Text(_) => "a text",
            Self::Texts(_) => "a list",
            Self::Mapping => "a mapping",
        }
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `deserialize_str`: the YAML reader would hand over a number's digits as a text.
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a boolean or a list of texts")
    }

    fn visit_unit<E: Error>(self) -> Result<Written, E> {
        Ok(Written::Nothing)
    }

    fn visit_none<E: Error>(self) -> Result<Written, E> {
        Ok(Written::Nothing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Written, E> {
        Ok(Written::Bool(value))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Written, E> {
        Ok(Written::Number)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Written, E> {
        Ok(Written::Number)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Written, E> {
        Ok(Written::Number)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Written, E> {
        Ok(Written::Number)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Written, E> {
        Ok(Written::Number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
        Ok(Written::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Written, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = seq.next_element()? {
            texts.push(text);
        }
        Ok(Written::Texts(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Written::Mapping)
    }
}

/// `text` between backticks, fit for a terminal: control characters are escaped.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.chars().fold(String::new(), |mut shown, c| {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    });
    format!("`{escaped}`")
}

/// The candidate that `written` was probably meant to be; `None` when none is close.
pub(super) fn closest<'a>(written: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // Names here are short: more than a third of the letters wrong is another name.
    let near = |candidate: &&str| strsim::damerau_levenshtein(written, candidate);
    // Comparing takes the time of both lengths multiplied.
    let longest = candidates.iter().map(|candidate| candidate.chars().count()).max()?;
    if written.chars().nth(longest * 2).is_some() {
        return None;
    }
    let best = candidates.iter().min_by_key(|candidate| near(candidate))?;
    let allowed = (best.chars().count() / 3).max(1);
    (near(best) <= allowed && best.chars().count() > 1).then_some(*best)
}
