//! One item of a problem set as its author writes it. In: the values under `spec.items[]`. Out: the same,
//! typed. Checks types only; what belongs together is checked when a `ProblemSet` is made of it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::key_spec::KeySpec;
use super::paper::{ItemType, TextFormat};
use super::text::Text;

/// One question, with its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemSpec {
    /// The item's identity, unique in its problem set. Responses are stored under it.
    pub id: Text,
    /// What the item is called on the page. Default: its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Text>,
    /// What the item asks for.
    #[serde(rename = "type")]
    pub kind: ItemType,
    /// The question: a text, or `{text, format}` with the format `text` or `markdown`.
    pub prompt: PromptSpec,
    /// The choices, in the order in which they are shown; for choice types only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ChoiceSpec>,
    /// The right answer; it never enters an image. May be left out for `short_answer` and `programming`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySpec>,
    /// What the item is worth: 0 to 10000, with at most two decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub points: Option<f64>,
    /// Who wrote the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Text>,
    /// When the item was written, in RFC 3339: `2018-07-06T16:34:00+08:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub created_at: Option<Text>,
}

/// One choice of a choice item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChoiceSpec {
    /// What the key refers to, unique in its item: `A`.
    pub id: Text,
    /// What is shown beside it.
    pub text: Text,
}

/// A question's text; written short (a text) or long (`{text, format}`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptSpec {
    /// The text, as written.
    pub text: Text,
    /// How to read it.
    pub format: TextFormat,
}

impl PromptSpec {
    /// A prompt that is shown as it is.
    pub fn plain(text: impl Into<Text>) -> Self {
        Self { text: text.into(), format: TextFormat::Text }
    }
}

/// The long form of a prompt.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LongPrompt {
    /// The text, as written.
    text: Text,
    /// How to read it: `text` shows it as it is, `markdown` is `CommonMark`.
    #[serde(default)]
    format: TextFormat,
}

impl Serialize for PromptSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.format {
            TextFormat::Text => self.text.serialize(serializer),
            format @ TextFormat::Markdown => {
                LongPrompt { text: self.text.clone(), format }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for PromptSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PromptVisitor)
    }
}

struct PromptVisitor;

impl<'de> Visitor<'de> for PromptVisitor {
    type Value = PromptSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text (in quotes if it looks like a number) or {text, format}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PromptSpec, E> {
        Ok(PromptSpec::plain(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PromptSpec, A::Error> {
        let LongPrompt { text, format } = LongPrompt::deserialize(MapAccessDeserializer::new(map))?;
        Ok(PromptSpec { text, format })
    }
}

impl JsonSchema for PromptSpec {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Prompt")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = LongPrompt::json_schema(generator);
        json_schema!({
            "description": "A question's text; written short (a text) or long (`{text, format}`).",
            // Not `oneOf` of two types: with one type given, a validator's error names the field inside.
            "type": ["string", "object"],
            "properties": long.get("properties"),
            "required": ["text"],
            "additionalProperties": false,
        })
    }
}
