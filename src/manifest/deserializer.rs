//! Trees as serde reads them. In: a node. Out: what a type's visitor makes of it, or an [`Error`] that knows
//! its way. What is refused in the tree is read as if it were not there.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

use super::scalar::Scalar;
use super::tree::{Entry, Node, Value};
use super::wording::{Error, found_words, one_of};
use crate::resource::violation::Segment;

/// A node that is being read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'n, 't>(pub &'n Node<'t>);

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
        let is_read = |entry: &&Entry<'_>| !entry.value.refused || entry.value.stands_in;
        let Some(entry) = self.entries.find(is_read) else { return Ok(None) };
        self.value = Some(entry);
        let key: StrDeserializer<'_, Error> = entry.key.as_ref().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.within(step(entry)).at_key())
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let entry = self.value.take().ok_or_else(|| Error::custom("a value was asked for before its key"))?;
        let read = if entry.value.stands_in {
            seed.deserialize(Least)
        } else {
            seed.deserialize(Reading(&entry.value))
        };
        read.map_err(|error| error.within(step(entry)))
    }
}

/// The least value of whatever type is asked for: nothing, no, 0, an empty text, the first of several words.
struct Least;

impl<'de> Deserializer<'de> for Least {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(false)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(0.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(&mut ListReading { items: &[], next: 0 })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MappingReading { entries: [].iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(variants.first().copied().unwrap_or_default().into_deserializer())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    // A number of another width is asked for as such only where nothing else would do: the field is refused then.
    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 char str string bytes byte_buf identifier tuple tuple_struct unit unit_struct
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
