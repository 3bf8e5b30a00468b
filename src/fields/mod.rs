//! Every field of a container, once: its name, where the engine keeps it, how both sides are brought
//! into one form, what holds where a manifest is silent, and whether it can change in place.
//!
//! In: specs and the engine's documents (plain JSON). Out: create and update bodies, live values,
//! differences. Never asks an engine. Adding a field is adding one entry to the
//! table of its group.

mod body;
mod codec;
mod compare;
mod document;
mod entry;
mod excluded;
mod foreign;
mod kept;
mod lifecycle;
mod network;
mod networks;
mod notation;
mod process;
mod resources;
mod security;
mod show;
mod storage;
mod volumes;
mod written;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::resource::container::ContainerSpec;
pub use body::{create_body, endpoint, further_networks};
pub use compare::{Difference, Told, all_differences, differences};
pub use document::document;
pub use excluded::EXCLUDED;
pub use foreign::{from_create_body, from_host_config, is_host_key, unread};
pub use network::encode_endpoint;
pub use networks::{network_body, network_differences, network_written, read_network};
pub use resources::{has_endless_swap, without_idle_swap};
pub use security::fill_label;
pub(crate) use show::plain;
pub use storage::declares_volume;
pub(crate) use storage::is_anonymous_volume;
pub use volumes::{read_volume, volume_body, volume_differences, volume_written};
pub(crate) use written::put;
pub use written::{Lost, Written, written};

/// The tables of fields, in the order in which a plan tells them.
const TABLES: [&[Field]; 6] = [
    process::FIELDS,
    network::FIELDS,
    storage::FIELDS,
    resources::FIELDS,
    security::FIELDS,
    lifecycle::FIELDS,
];

/// Every field of a container.
pub fn all() -> impl Iterator<Item = &'static Field> {
    TABLES.into_iter().flatten()
}

/// A field of a container.
#[derive(Debug)]
pub struct Field {
    /// The manifest's name for it: `resources.memory`.
    pub name: &'static str,
    /// The flags of `docker run` that say the same.
    pub flag: &'static str,
    /// What changing it takes.
    pub class: Class,
    /// Whether an engine leaves it out, with a warning, where the kernel has no means for it.
    droppable: bool,
    /// What its value is made of.
    shape: Shape,
    /// Where the engine keeps it.
    place: Place,
    /// The value that a manifest asks for, in the common form; `None` where it is silent.
    sent: fn(&ContainerSpec) -> Option<Value>,
    /// What holds where the manifest is silent.
    base: Base,
    /// The common form to the engine's.
    encode: fn(&Value) -> Value,
    /// The engine's form to the common one; also given `null` where the engine has nothing.
    decode: fn(&Value) -> Value,
    /// The common form to the manifest's notation, beside the container's other values.
    notation: fn(&Value, &Live) -> Value,
    /// What the container's other values give to it, so that no manifest has to say it.
    given: fn(&Live) -> Value,
    /// The value (of one key, for maps) as a manifest would write it.
    show: fn(&str, &Value) -> String,
}

/// What changing a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The engine's update call.
    Update,
    /// The engine's update call, but not back to nothing: there, 0 means "leave as it is".
    UpdateIfSet,
    /// Connecting and disconnecting networks.
    Connect,
    /// A new container.
    Replace,
}

/// What a value is made of, which decides how it is merged with the image's and how a difference is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One value; the manifest's stands for the image's.
    Whole,
    /// Texts whose order has no meaning.
    Set,
    /// Texts that the manifest adds to those of the image and of other fields; only they are judged.
    Added,
    /// Values by key; the manifest's are laid over the image's.
    Map,
}

/// Where the engine keeps a field.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// At the top of a create body, under `Config` in an inspection.
    Config(&'static str),
    /// Under `HostConfig` in both, at the top of an update body.
    Host(&'static str),
    /// Written by other fields or steps; read from an inspection as a whole.
    Inspection,
    /// At the top of a create body; read from an inspection as a whole, which tells it only while the
    /// container is up. The creation spec's word is taken for it otherwise.
    Attached(&'static str),
    /// Said beside the body at the creation, and told by no inspection: the creation spec's word is
    /// taken for it.
    Asked,
}

/// What holds where a manifest is silent.
#[derive(Debug, Clone, Copy)]
enum Base {
    /// What the image's config says under the field's own key.
    Image,
    /// The same, unless the manifest sets an entrypoint: then the image's is dropped.
    ImageUnlessEntrypoint,
    /// What `decode` makes of nothing.
    Nothing,
    /// Whatever the engine chooses; whether a live value may be its choice.
    Engine(fn(&Value, &Around<'_>) -> bool),
    /// What follows from the rest of the spec.
    Spec(fn(&ContainerSpec) -> Value),
}

/// What an engine's own choices for a container follow from, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The container's inspection.
    pub inspection: &'a Value,
    /// What the engine says of itself; null where no engine has filled in its choices.
    pub info: &'a Value,
}

/// Values by field name, in the common form: of a live container, or of an image's config. A container's field
/// that is left out says nothing.
pub type Live = BTreeMap<&'static str, Value>;

/// The fields of a live container, from its inspection.
pub fn read_container(inspection: &Value) -> Live {
    all().map(|field| (field.name, (field.decode)(field.raw(inspection)))).collect()
}

/// The same without the fields that say nothing, which are most: a host has a thousand containers, and a
/// daemon looks at all of them in every pass.
pub fn read_telling(inspection: &Value) -> Live {
    static NOTHING: LazyLock<Vec<Value>> =
        LazyLock::new(|| all().map(|field| (field.decode)(&Value::Null)).collect());
    let mut live = Live::new();
    for (field, nothing) in all().zip(NOTHING.iter()) {
        let raw = field.raw(inspection);
        if raw.is_null() {
            continue;
        }
        let value = (field.decode)(raw);
        if value != *nothing {
            live.insert(field.name, value);
        }
    }
    live
}

impl Field {
    /// What an inspection tells of it; null where it tells nothing.
    fn raw<'a>(&self, inspection: &'a Value) -> &'a Value {
        match self.place {
            Place::Config(key) => &inspection["Config"][key],
            Place::Host(key) => &inspection["HostConfig"][key],
            Place::Inspection | Place::Attached(_) => inspection,
            Place::Asked => &Value::Null,
        }
    }
}

/// The fields that an image's config gives to its containers.
pub fn read_image(config: &Value) -> Live {
    all()
        .filter_map(|field| match (field.base, field.place) {
            (Base::Image | Base::ImageUnlessEntrypoint, Place::Config(key)) => {
                Some((field.name, (field.decode)(&config[key])))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
