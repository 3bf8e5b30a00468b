//! How an entry of the tables is written.

use serde_json::Value;

use super::codec::{same, set};
use super::{Base, Class, Field, Place, Shape, show};
use crate::resource::container::ContainerSpec;

/// A field that both sides write alike and that only a new container can change.
pub(super) const fn field(
    name: &'static str,
    place: Place,
    base: Base,
    sent: fn(&ContainerSpec) -> Option<Value>,
) -> Field {
    Field {
        name,
        class: Class::Replace,
        shape: Shape::Whole,
        place,
        sent,
        base,
        encode: same,
        decode: same,
        show: show::value,
    }
}

impl Field {
    pub(super) const fn class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    pub(super) const fn shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    pub(super) const fn form(self, encode: fn(&Value) -> Value, decode: fn(&Value) -> Value) -> Self {
        Self { encode, decode, ..self }
    }

    pub(super) const fn shown(self, show: fn(&str, &Value) -> String) -> Self {
        Self { show, ..self }
    }
}

/// The values of a list, unless it is empty.
pub(super) fn set_of<T: ToString>(values: &[T]) -> Option<Value> {
    (!values.is_empty()).then(|| set(values.iter().map(ToString::to_string)))
}
