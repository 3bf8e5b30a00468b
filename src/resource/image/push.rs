//! Where an image is pushed. In: `true`, or where to. Out: [`Push`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::resource::reference::ImageReference;

/// Where an image is pushed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Push {
    /// Nowhere.
    #[default]
    No,
    /// To each registry that one of its tags names.
    Tags,
    /// To these.
    To(Vec<ImageReference>),
}

impl Push {
    /// Whether it says nothing.
    pub(super) const fn is_no(&self) -> bool {
        matches!(self, Self::No)
    }
}

impl Serialize for Push {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::No => serializer.serialize_bool(false),
            Self::Tags => serializer.serialize_bool(true),
            Self::To(references) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("to", references)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Push {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PushVisitor;

        impl<'de> Visitor<'de> for PushVisitor {
            type Value = Push;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or {to: [...]}")
            }

            fn visit_bool<E: Error>(self, yes: bool) -> Result<Push, E> {
                Ok(if yes { Push::Tags } else { Push::No })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Push, A::Error> {
                let mut to = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key != "to" {
                        return Err(A::Error::unknown_field(&key, &["to"]));
                    }
                    to = Some(map.next_value()?);
                }
                to.map(Push::To).ok_or_else(|| A::Error::missing_field("to"))
            }
        }

        deserializer.deserialize_any(PushVisitor)
    }
}

impl JsonSchema for Push {
    fn schema_name() -> Cow<'static, str> {
        "Push".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`true` pushes to each registry that one of the tags names; `{to: [...]}` to these references.",
            "anyOf": [
                {"type": "boolean"},
                {
                    "type": "object",
                    "properties": {"to": {"type": "array", "items": generator.subschema_for::<ImageReference>()}},
                    "required": ["to"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
