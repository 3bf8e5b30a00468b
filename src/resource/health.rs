//! Health checks. In: the manifest's form. Out: [`Healthcheck`].

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::duration::Duration;
use super::words::without_secret_words;

/// How the engine finds out whether a container is well. What is left out comes from the image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Healthcheck {
    /// The command: `[CMD, program, argument]`, `[CMD-SHELL, line]`, `[NONE]` for none at all, or a
    /// text, which is a shell's line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<HealthTest>,
    /// The time between two checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// The time after which a check has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// The time after the start during which failures do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<Duration>,
    /// How many failures in a row make a container unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
}

/// A health check's command in the engine's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct HealthTest(Vec<String>);

impl HealthTest {
    /// The engine's list: `CMD`, `CMD-SHELL` or `NONE` first.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The same without what looks secret in it (law 12).
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        Self(without_secret_words(&self.0))
    }

    /// Whether the engine checks anything with a command that begins with this word. `NONE` is how manifests and
    /// images say that it does not, whatever they are built on; no word at all says nothing.
    pub fn is_check(first: Option<&str>) -> bool {
        matches!(first, Some("CMD" | "CMD-SHELL"))
    }

    fn new(words: Vec<String>) -> Result<Self, String> {
        match (words.first().map(String::as_str), words.len()) {
            (Some("NONE"), 1) | (Some("CMD-SHELL"), 2) => Ok(Self(words)),
            (Some("CMD"), count) if count > 1 => Ok(Self(words)),
            _ => Err("a health check is [CMD, program, ...], [CMD-SHELL, line] or [NONE]".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for HealthTest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TestVisitor;

        impl<'de> Visitor<'de> for TestVisitor {
            type Value = HealthTest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list like [CMD, /bin/check] or a shell's line")
            }

            fn visit_str<E: Error>(self, line: &str) -> Result<HealthTest, E> {
                HealthTest::new(vec!["CMD-SHELL".to_owned(), line.to_owned()]).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<HealthTest, A::Error> {
                let words = Vec::deserialize(SeqAccessDeserializer::new(list))?;
                HealthTest::new(words).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(TestVisitor)
    }
}

impl JsonSchema for HealthTest {
    fn schema_name() -> Cow<'static, str> {
        "HealthTest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`[CMD, program, ...]`, `[CMD-SHELL, line]`, `[NONE]`, or a shell's line.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        })
    }
}
