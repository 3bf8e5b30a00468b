//! Every field of a container, once: its name, where the engine keeps it, how both sides are brought
//! into one form, what holds where a manifest is silent, and whether it can change in place.
//!
//! In: specs and the engine's documents (plain JSON). Out: create and update bodies, live values,
//! differences. Never asks an engine. Adding a field is adding one entry to [`table::FIELDS`].

mod codec;
mod show;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::resource::container::ContainerSpec;
pub use codec::encode_endpoint;
pub(crate) use codec::is_anonymous_volume;
pub(crate) use show::plain;
pub use table::FIELDS;

/// A field of a container.
#[derive(Debug)]
pub struct Field {
    /// The manifest's name for it: `resources.memory`.
    pub name: &'static str,
    /// What changing it takes.
    pub class: Class,
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
    /// Whatever the engine chooses.
    Engine,
    /// What follows from the rest of the spec.
    Spec(fn(&ContainerSpec) -> Value),
}

/// Values by field name, in the common form: of a live container, or of an image's config.
pub type Live = BTreeMap<&'static str, Value>;

/// The fields of a live container, from its inspection.
pub fn read_container(inspection: &Value) -> Live {
    FIELDS
        .iter()
        .map(|field| {
            let raw = match field.place {
                Place::Config(key) => &inspection["Config"][key],
                Place::Host(key) => &inspection["HostConfig"][key],
                Place::Inspection => inspection,
            };
            (field.name, (field.decode)(raw))
        })
        .collect()
}

/// The fields that an image's config gives to its containers.
pub fn read_image(config: &Value) -> Live {
    FIELDS
        .iter()
        .filter_map(|field| match (field.base, field.place) {
            (Base::Image | Base::ImageUnlessEntrypoint, Place::Config(key)) => {
                Some((field.name, (field.decode)(&config[key])))
            }
            _ => None,
        })
        .collect()
}

/// The body that creates a container from a spec, without its image, name and labels of ours.
pub fn create_body(spec: &ContainerSpec) -> Value {
    let mut config = Map::new();
    let mut host = Map::new();
    for field in FIELDS {
        let Some(sent) = (field.sent)(spec) else { continue };
        let encoded = (field.encode)(&sent);
        match field.place {
            Place::Config(key) => merge(&mut config, key, encoded),
            Place::Host(key) => merge(&mut host, key, encoded),
            Place::Inspection => {}
        }
    }
    codec::complete(spec, &mut config, &mut host);
    config.insert("HostConfig".to_owned(), Value::Object(host));
    Value::Object(config)
}

/// Two fields may share a place (`ports` and `expose`, `noNewPrivileges` and `securityOpt`).
fn merge(body: &mut Map<String, Value>, key: &str, value: Value) {
    match (body.get_mut(key), value) {
        (Some(Value::Array(there)), Value::Array(more)) => there.extend(more),
        (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
        (_, value) => {
            body.insert(key.to_owned(), value);
        }
    }
}

/// The networks that a spec's container joins beyond the one in its create body, each with the engine's
/// endpoint settings.
pub fn further_networks(spec: &ContainerSpec) -> Vec<(String, Value)> {
    let first = codec::network_mode(spec).to_string();
    let networks = codec::networks(spec);
    let networks = networks.as_object().into_iter().flatten();
    networks
        .filter(|(name, _)| **name != first)
        .map(|(name, endpoint)| (name.clone(), encode_endpoint(endpoint)))
        .collect()
}

/// One field whose live value is not the expected one.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The field.
    pub field: &'static Field,
    /// What is there, in the common form.
    pub live: Value,
    /// What should be; `None`: what the engine chooses, as long as it is not what was once asked for.
    pub expected: Option<Value>,
}

/// Compares a live container with its spec.
///
/// A field counts when the manifest sets it, or the creation spec set it (so that removing a line is
/// seen), or it can change in place (then silence means the engine's default). `image` is the config of
/// the image that the live container was made from; without it (the image is gone), what the image may
/// have given is not judged.
pub fn differences(
    spec: &ContainerSpec,
    created: Option<&ContainerSpec>,
    live: &Live,
    image: Option<&Live>,
) -> Vec<Difference> {
    FIELDS.iter().filter_map(|field| field.difference(spec, created, live, image)).collect()
}

impl Field {
    fn difference(
        &'static self,
        spec: &ContainerSpec,
        created: Option<&ContainerSpec>,
        live: &Live,
        image: Option<&Live>,
    ) -> Option<Difference> {
        let live = live.get(self.name)?;
        let sent = (self.sent)(spec);
        let was = created.and_then(self.sent);
        let counts = sent.is_some() || was.is_some() || self.class != Class::Replace;
        if !counts {
            return None;
        }
        match self.expected(spec, sent.as_ref(), live, image) {
            Some(expected) if expected == *live => None,
            Some(expected) => Some(Difference { field: self, live: live.clone(), expected: Some(expected) }),
            // Only what was once asked for and is still there is known to be wrong.
            None => (was.as_ref() == Some(live)).then(|| Difference {
                field: self,
                live: live.clone(),
                expected: None,
            }),
        }
    }

    /// What the live value should be; `None` where only the engine knows.
    fn expected(
        &self,
        spec: &ContainerSpec,
        sent: Option<&Value>,
        live: &Value,
        image: Option<&Live>,
    ) -> Option<Value> {
        let nothing = || (self.decode)(&Value::Null);
        let from_image = || image.and_then(|image| image.get(self.name)).cloned();
        let base = match self.base {
            Base::ImageUnlessEntrypoint if spec.entrypoint.is_some() => Some(nothing()),
            Base::Image | Base::ImageUnlessEntrypoint => from_image(),
            Base::Nothing => Some(nothing()),
            Base::Engine => None,
            Base::Spec(base) => Some(base(spec)),
        };
        match (self.shape, base, sent) {
            (Shape::Map, Some(Value::Object(mut base)), Some(Value::Object(over))) => {
                base.extend(over.clone());
                Some(Value::Object(base))
            }
            // Without the image only the manifest's own keys can be judged.
            (Shape::Map, None, Some(Value::Object(over))) => {
                let mut expected = live.as_object().cloned().unwrap_or_default();
                expected.extend(over.clone());
                Some(Value::Object(expected))
            }
            (_, _, Some(sent)) => Some(sent.clone()),
            (_, base, None) => base,
        }
    }
}

/// A value before and after, as a reader sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The field, with the key for maps: `env.CLOUD_PORT`.
    pub field: String,
    /// What is there; `None`: nothing.
    pub from: Option<String>,
    /// What will be there; `None`: nothing.
    pub to: Option<String>,
}

impl Difference {
    /// Whether the engine can mend it without a new container.
    pub fn in_place(&self) -> bool {
        match self.field.class {
            Class::Update | Class::Connect => true,
            Class::UpdateIfSet => self.expected.as_ref() != Some(&(self.field.decode)(&Value::Null)),
            Class::Replace => false,
        }
    }

    /// The keys of an update call that mend it; nothing for fields of other classes.
    pub fn update(&self) -> Option<(&'static str, Value)> {
        match (self.field.class, self.field.place, &self.expected) {
            (Class::Update | Class::UpdateIfSet, Place::Host(key), Some(expected)) => {
                Some((key, (self.field.encode)(expected)))
            }
            _ => None,
        }
    }

    /// The difference in words, one line for each key or group of elements that differs.
    pub fn told(&self) -> Vec<Told> {
        let one = |field: String, from: Option<String>, to: Option<String>| Told { field, from, to };
        let name = self.field.name;
        match (self.field.shape, &self.expected) {
            (Shape::Map, Some(expected)) => {
                let empty = Map::new();
                let live = self.live.as_object().unwrap_or(&empty);
                let expected = expected.as_object().unwrap_or(&empty);
                let keys: BTreeSet<&String> = live.keys().chain(expected.keys()).collect();
                keys.into_iter()
                    .filter(|key| live.get(*key) != expected.get(*key))
                    .map(|key| {
                        let (from, to) = show::pair(key, live.get(key), expected.get(key), self.field.show);
                        one(format!("{name}.{}", show::plain(key)), from, to)
                    })
                    .collect()
            }
            (Shape::Set, Some(expected)) => {
                vec![one(
                    name.to_owned(),
                    show::elements(&self.live, expected),
                    show::elements(expected, &self.live),
                )]
            }
            (_, expected) => {
                let shown = |value: &Value| (!show::is_nothing(value)).then(|| (self.field.show)("", value));
                vec![one(name.to_owned(), shown(&self.live), expected.as_ref().and_then(shown))]
            }
        }
    }
}

#[cfg(test)]
mod tests;
