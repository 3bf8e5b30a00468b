//! An item's key as its author writes it. In: the value under `key:`. Out: one form of key, or an error
//! that quotes nothing of it. Never printed: `Debug` withholds it.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::paper::ItemType;
use super::text::{Text, Written};

/// The right answer, in the form that the item's type asks for.
///
/// This is the author's file's side: it can be written into a manifest again. What the rest of the program
/// holds is an [`AnswerKey`](super::key::AnswerKey), which cannot be written anywhere.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub enum KeySpec {
    /// The ids of the right choices (`single_choice`: exactly one; `multiple_choice`: one or more).
    Choices(Vec<Text>),
    /// Whether the statement is true (`true_false`).
    Bool(bool),
    /// What belongs into the blanks, in order (`fill_in_blank`).
    Blanks(Vec<Text>),
    /// A model answer (`short_answer`, `programming`).
    Reference(Text),
}

/// The forms of a key, without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyForm {
    Choices,
    Bool,
    Blanks,
    Reference,
}

const ONE_OF: &str = "exactly one of choices, bool, blanks, reference";

impl KeyForm {
    /// The form that items of `kind` take.
    pub(super) fn of(kind: ItemType) -> Self {
        match kind {
            ItemType::SingleChoice | ItemType::MultipleChoice => Self::Choices,
            ItemType::TrueFalse => Self::Bool,
            ItemType::FillInBlank => Self::Blanks,
            ItemType::ShortAnswer | ItemType::Programming => Self::Reference,
        }
    }

    /// The field's name under `key:`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Choices => "choices",
            Self::Bool => "bool",
            Self::Blanks => "blanks",
            Self::Reference => "reference",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Choices, Self::Bool, Self::Blanks, Self::Reference]
            .into_iter()
            .find(|form| form.name() == name)
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Choices => "a list of choice ids",
            Self::Bool => "true or false",
            Self::Blanks => "a list of texts",
            Self::Reference => "a text",
        }
    }
}

impl KeySpec {
    pub(super) fn form(&self) -> KeyForm {
        match self {
            Self::Choices(_) => KeyForm::Choices,
            Self::Bool(_) => KeyForm::Bool,
            Self::Blanks(_) => KeyForm::Blanks,
            Self::Reference(_) => KeyForm::Reference,
        }
    }
}

impl fmt::Debug for KeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySpec(withheld)")
    }
}

impl Serialize for KeySpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A map of one entry: as an enum, YAML would write a `!tag`.
        let name = self.form().name();
        match self {
            Self::Choices(texts) | Self::Blanks(texts) => serializer.collect_map([(name, texts)]),
            Self::Bool(value) => serializer.collect_map([(name, value)]),
            Self::Reference(text) => serializer.collect_map([(name, text)]),
        }
    }
}

impl<'de> Deserialize<'de> for KeySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

fn not_a_mapping<T, E: Error>() -> Result<T, E> {
    Err(E::custom(format_args!("expected a mapping with {ONE_OF}")))
}

// serde's own errors quote the value that they refuse; here it would be the key. So every scalar is taken in
// and refused without being quoted.
impl<'de> Visitor<'de> for KeyVisitor {
    type Value = KeySpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mapping with {ONE_OF}")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<KeySpec, E> {
        not_a_mapping()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<KeySpec, E> {
        not_a_mapping()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<KeySpec, E> {
        not_a_mapping()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<KeySpec, E> {
        not_a_mapping()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<KeySpec, E> {
        not_a_mapping()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<KeySpec, E> {
        not_a_mapping()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<KeySpec, E> {
        not_a_mapping()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeySpec, A::Error> {
        let Some(name) = map.next_key::<String>()? else { return not_a_mapping() };
        let Some(form) = KeyForm::named(&name) else { return not_a_mapping() };
        let key = map.next_value_seed(form)?;
        if map.next_key::<String>()?.is_some() {
            return not_a_mapping();
        }
        Ok(key)
    }
}

impl<'de> DeserializeSeed<'de> for KeyForm {
    type Value = KeySpec;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<KeySpec, D::Error> {
        match (self, Written::deserialize(deserializer)?) {
            (Self::Choices, Written::Texts(ids)) => Ok(KeySpec::Choices(ids)),
            (Self::Bool, Written::Bool(value)) => Ok(KeySpec::Bool(value)),
            (Self::Blanks, Written::Texts(blanks)) => Ok(KeySpec::Blanks(blanks)),
            (Self::Reference, Written::Text(text)) => Ok(KeySpec::Reference(text.into())),
            (_, other) => {
                let (expected, found) = (self.expected(), other.described());
                Err(D::Error::custom(format_args!("expected {expected}, found {found}")))
            }
        }
    }
}
