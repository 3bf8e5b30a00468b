//! Trees into values. In: a node and a type. Out: the value, or everything that keeps the node from
//! being one, in plain words. Never repeats a text from the file but the names of fields and options:
//! what stands where something else was expected may be a key or a secret (law 12).

use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::scalar::Scalar;
use super::suggestion::did_you_mean;
use super::tree::{Entry, Fault, Node, Value};
use crate::resource::violation::{FieldPath, Segment};

/// The most faults told of one value: past it, more lines do not help anybody.
const FAULTS_MAX: usize = 50;

/// Reads a value.
///
/// All faults are told at once: after each, what is wrong is refused and the rest is read again.
/// `at` is the node's path in its document; it precedes the faults' paths.
///
/// # Errors
/// Every fault, at least one.
pub fn read<T: DeserializeOwned>(node: &mut Node<'_>, at: &FieldPath) -> Result<T, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut refused: Vec<FieldPath> = Vec::new();
    while faults.len() < FAULTS_MAX {
        let error = match T::deserialize(Reading(node)) {
            Ok(value) if faults.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(error) => *error.0,
        };
        let path: FieldPath = error.steps.into_iter().rev().collect();
        // What holds something refused may be wrong for that reason only.
        let is_consequence = match &error.about {
            About::MissingField(field) => node.place_of_key(&path.key(field)).is_some(),
            _ => refused.iter().any(|inner| inner != &path && inner.segments().starts_with(path.segments())),
        };
        if !is_consequence {
            let position = match error.about {
                About::Key => node.place_of_key(&path).unwrap_or_else(|| node.place(&path)),
                About::Value | About::MissingField(_) => node.place(&path),
            };
            faults.push(Fault { position, path: at.join(&path), message: error.message, hint: error.hint });
        }
        if path.segments().is_empty() || !node.refuse(&path) {
            break;
        }
        refused.push(path);
    }
    Err(faults)
}

/// Why a node is not the value that was asked for. The steps lead to the place, innermost first.
#[derive(Debug)]
struct Error(Box<Reason>);

#[derive(Debug)]
struct Reason {
    steps: Vec<Segment>,
    about: About,
    message: String,
    hint: Option<String>,
}

#[derive(Debug)]
enum About {
    Value,
    Key,
    MissingField(&'static str),
}

impl Error {
    fn new(about: About, message: String) -> Self {
        Self(Box::new(Reason { steps: Vec::new(), about, message, hint: None }))
    }

    fn value(message: String) -> Self {
        Self::new(About::Value, message)
    }

    fn hinted(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    fn within(mut self, step: Segment) -> Self {
        self.0.steps.push(step);
        self
    }

    fn at_key(mut self) -> Self {
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
        Self::value(message.to_string())
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
        let hint = did_you_mean(field, expected.iter().copied()).or_else(|| match expected {
            [] => None,
            _ => Some(format!("the fields here are {}", expected.join(", "))),
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

fn one_of(words: &[&str]) -> String {
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

fn found_words(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a mapping",
        Unexpected::Unit | Unexpected::Option => "nothing",
        _ => "a text",
    }
}

/// A node that is being read.
#[derive(Clone, Copy)]
struct Reading<'n, 't>(&'n Node<'t>);

impl Reading<'_, '_> {
    fn unexpected(self) -> Unexpected<'static> {
        match &self.0.value {
            Value::List(_) => Unexpected::Seq,
            Value::Mapping(_) => Unexpected::Map,
            Value::Quoted(_) => Unexpected::Str(""),
            Value::Plain(_) if self.0.is_null() => Unexpected::Unit,
            Value::Plain(text) => match Scalar::of(text) {
                Scalar::Boolean(value) => Unexpected::Bool(value),
                Scalar::Unsigned(number) => Unexpected::Unsigned(number),
                Scalar::Signed(number) => Unexpected::Signed(number),
                Scalar::Float(number) => Unexpected::Float(number),
                Scalar::Text => Unexpected::Str(""),
            },
        }
    }
}

impl<'de> Deserializer<'de> for Reading<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Quoted(text) => visitor.visit_str(text),
            Value::Plain(_) if self.0.is_null() => visitor.visit_unit(),
            Value::Plain(text) => match Scalar::of(text) {
                Scalar::Boolean(value) => visitor.visit_bool(value),
                Scalar::Unsigned(number) => visitor.visit_u64(number),
                Scalar::Signed(number) => visitor.visit_i64(number),
                Scalar::Float(number) => visitor.visit_f64(number),
                Scalar::Text => visitor.visit_str(text),
            },
            Value::List(items) => {
                let expected = format!("a list of another length than {}", items.len());
                let mut list = ListReading { items, next: 0 };
                let value = visitor.visit_seq(&mut list)?;
                if list.next < items.len() {
                    return Err(Error::invalid_length(items.len(), &expected.as_str()));
                }
                Ok(value)
            }
            Value::Mapping(entries) => {
                visitor.visit_map(MappingReading { entries: entries.iter(), value: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // A list of a struct's values in their order is nobody's notation.
        match &self.0.value {
            Value::Mapping(_) => self.deserialize_any(visitor),
            _ => Err(Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let refused =
            || Error::value(format!("{}, found {}", one_of(variants), found_words(self.unexpected())));
        match (&self.0.value, self.0.text()) {
            (Value::Mapping(entries), _) => match entries.as_slice() {
                [entry] if !entry.value.refused => visitor.visit_enum(VariantReading(entry)),
                _ => Err(refused()),
            },
            (_, Some(text)) if !self.0.is_null() => visitor.visit_enum(text.into_deserializer()),
            _ => Err(refused()),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct ListReading<'n, 't> {
    items: &'n [Node<'t>],
    next: usize,
}

impl<'de> SeqAccess<'de> for &mut ListReading<'_, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        while let Some(item) = self.items.get(self.next) {
            let index = self.next;
            self.next += 1;
            if !item.refused {
                let read = seed.deserialize(Reading(item));
                return read.map(Some).map_err(|error| error.within(Segment::Index(index)));
            }
        }
        Ok(None)
    }
}

struct MappingReading<'n, 't> {
    entries: std::slice::Iter<'n, Entry<'t>>,
    value: Option<&'n Entry<'t>>,
}

fn step(entry: &Entry<'_>) -> Segment {
    Segment::Key(entry.key.to_string())
}

impl<'de> MapAccess<'de> for MappingReading<'_, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(entry) = self.entries.find(|entry| !entry.value.refused) else { return Ok(None) };
        self.value = Some(entry);
        let key: StrDeserializer<'_, Error> = entry.key.as_ref().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.within(step(entry)).at_key())
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let entry = self.value.take().ok_or_else(|| Error::custom("a value was asked for before its key"))?;
        seed.deserialize(Reading(&entry.value)).map_err(|error| error.within(step(entry)))
    }
}

/// An option with a value: a mapping with the option as its only key.
struct VariantReading<'n, 't>(&'n Entry<'t>);

impl<'n, 'de, 't> EnumAccess<'de> for VariantReading<'n, 't> {
    type Error = Error;
    type Variant = VariantReading<'n, 't>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let key: StrDeserializer<'_, Error> = self.0.key.as_ref().into_deserializer();
        let variant = seed.deserialize(key).map_err(|error| error.within(step(self.0)).at_key())?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for VariantReading<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Err(Error::custom("this takes no value").within(step(self.0)))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(Reading(&self.0.value)).map_err(|error| error.within(step(self.0)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        Reading(&self.0.value).deserialize_seq(visitor).map_err(|error| error.within(step(self.0)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        Reading(&self.0.value).deserialize_any(visitor).map_err(|error| error.within(step(self.0)))
    }
}

#[cfg(test)]
mod tests;
