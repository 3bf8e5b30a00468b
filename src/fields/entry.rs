//! How an entry of the tables is written.

use serde::Serialize;
use serde_json::{Value, json};

use super::codec::{same, set};
use super::{Base, Class, Field, Live, Place, Shape, show};
use crate::resource::container::ContainerSpec;
use crate::resource::env::TextMap;

/// A field that both sides write alike and that only a new container can change.
pub(super) const fn field(
    name: &'static str,
    flag: &'static str,
    place: Place,
    base: Base,
    sent: fn(&ContainerSpec) -> Option<Value>,
) -> Field {
    Field {
        name,
        flag,
        class: Class::Replace,
        droppable: false,
        shape: Shape::Whole,
        place,
        sent,
        base,
        encode: same,
        decode: same,
        notation: |value, _| value.clone(),
        given: |_| Value::Null,
        show: show::value,
    }
}

impl Field {
    pub(super) const fn class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    pub(super) const fn droppable(self) -> Self {
        Self { droppable: true, ..self }
    }

    pub(super) const fn shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    pub(super) const fn form(self, encode: fn(&Value) -> Value, decode: fn(&Value) -> Value) -> Self {
        Self { encode, decode, ..self }
    }

    pub(super) const fn notation(self, notation: fn(&Value, &Live) -> Value) -> Self {
        Self { notation, ..self }
    }

    pub(super) const fn given(self, given: fn(&Live) -> Value) -> Self {
        Self { given, ..self }
    }

    pub(super) const fn shown(self, show: fn(&str, &Value) -> String) -> Self {
        Self { show, ..self }
    }
}

/// The values of a list, unless it is empty.
pub(super) fn set_of<T: ToString>(values: &[T]) -> Option<Value> {
    (!values.is_empty()).then(|| set(values.iter().map(ToString::to_string)))
}

/// The values of a list in order, unless it is empty.
pub(super) fn list_of<T: ToString>(values: &[T]) -> Option<Value> {
    (!values.is_empty()).then(|| values.iter().map(|value| json!(value.to_string())).collect())
}

/// A value in the notation of manifests, where there is one.
pub(super) fn shown<T: ToString>(value: Option<&T>) -> Option<Value> {
    value.map(|value| json!(value.to_string()))
}

/// A word of an enumeration, where there is one.
pub(super) fn worded(value: Option<impl Serialize>) -> Option<Value> {
    value.map(|value| json!(value))
}

/// Texts by key, unless there are none.
pub(super) fn text_map(map: &TextMap) -> Option<Value> {
    (!map.is_empty()).then(|| json!(map))
}
