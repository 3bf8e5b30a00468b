//! One reader for values that Docker writes as text and that may also be written out as an object.
//! Never accepts what [`Notation::parse`] or [`Notation::from_long`] refuses.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};

/// A value with Docker's short notation and, where it has one, a long form.
pub(super) trait Notation: Sized {
    /// The long form; [`NoLongForm`] where there is none.
    type Long: DeserializeOwned;
    /// What a reader should write, for the error: `a port like "8080:80"`.
    const EXPECTED: &'static str;

    /// Reads the short notation. The error is a sentence without the field's name.
    fn parse(text: &str) -> Result<Self, String>;

    /// Reads the long form.
    fn from_long(long: Self::Long) -> Result<Self, String>;
}

/// The long form of a notation that has none: cannot be read from anything.
pub(super) enum NoLongForm {}

impl<'de> serde::Deserialize<'de> for NoLongForm {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("expected a text, found a mapping"))
    }
}

/// Reads a [`Notation`] from a text, a number (as its digits) or an object.
pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Notation>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(NotationVisitor(PhantomData))
}

struct NotationVisitor<T>(PhantomData<T>);

impl<'de, T: Notation> Visitor<'de> for NotationVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::parse(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let long = T::Long::deserialize(MapAccessDeserializer::new(map))?;
        T::from_long(long).map_err(A::Error::custom)
    }
}

/// Gives a [`Notation`] with a `Display` its serde and schema: written short, read in both forms.
///
/// The arguments after the type are the schema's description and what the schema takes beside a
/// text: `number` or the type of the long form.
macro_rules! notation {
    ($type:ty, $name:literal, $description:literal $(, also $also:ty)*) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::resource::notation::deserialize(deserializer)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                <$type as crate::resource::notation::Notation>::parse(text)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            #[allow(unused_variables, reason = "not every notation has a second form")]
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let forms: Vec<serde_json::Value> = vec![
                    serde_json::json!({"type": "string"}),
                    $(generator.subschema_for::<$also>().to_value(),)*
                ];
                let mut schema = match <[serde_json::Value; 1]>::try_from(forms) {
                    Ok([only]) => only,
                    Err(forms) => serde_json::json!({"anyOf": forms}),
                };
                schema["description"] = $description.into();
                schema.try_into().unwrap_or_default()
            }
        }
    };
}

pub(super) use notation;
