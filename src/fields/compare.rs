//! A live container against its spec. In: values in the common form. Out: differences, and how they
//! read.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::codec::texts;
use super::{Base, Class, Field, Live, Place, Shape, all, show};
use crate::resource::container::ContainerSpec;

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
/// have given is not judged. `asked` are the fields that were asked for in place since the creation.
pub fn differences(
    spec: &ContainerSpec,
    created: Option<&ContainerSpec>,
    live: &Live,
    image: Option<&Live>,
    asked: &BTreeSet<String>,
) -> Vec<Difference> {
    all().filter_map(|field| field.difference(spec, created, live, image, Extent::Said(asked))).collect()
}

/// Which fields count.
#[derive(Debug, Clone, Copy)]
enum Extent<'a> {
    /// Those that the manifest or the creation spec sets, or that can change in place. With those that were asked for in
    /// place since then.
    Said(&'a BTreeSet<String>),
    /// Every one.
    Everything,
}

/// Compares a container that somebody else made with the spec that is to take its place: every field
/// counts whose value is known where the manifest is silent.
pub fn all_differences(spec: &ContainerSpec, live: &Live, image: Option<&Live>) -> Vec<Difference> {
    all().filter_map(|field| field.difference(spec, None, live, image, Extent::Everything)).collect()
}

impl Field {
    fn difference(
        &'static self,
        spec: &ContainerSpec,
        created: Option<&ContainerSpec>,
        live: &Live,
        image: Option<&Live>,
        extent: Extent<'_>,
    ) -> Option<Difference> {
        let sent = (self.sent)(spec);
        let was = created.and_then(self.sent);
        let (everything, was_asked) = match extent {
            Extent::Said(asked) => (false, asked.contains(self.name)),
            Extent::Everything => (true, false),
        };
        let counts = everything || sent.is_some() || was.is_some() || self.class != Class::Replace;
        if !counts {
            return None;
        }
        let nothing = (self.decode)(&Value::Null);
        let asked = was.clone().unwrap_or_else(|| nothing.clone());
        let live = live.get(self.name).unwrap_or(&nothing);
        let live = match self.place {
            Place::Asked => &asked,
            Place::Attached(_) if *live == nothing => &asked,
            _ => live,
        };
        // What this kernel has no means for, and left out when it was asked for before, would be left out of a new container
        // too.
        let was_implied = || match created {
            Some(created) => self.implied(created).is_some_and(|was| was != nothing),
            None => sent.is_none(),
        };
        if self.droppable && *live == nothing && (was.is_some() || was_asked || was_implied()) {
            return None;
        }
        match self.expected(spec, sent.as_ref(), was.as_ref(), live, image) {
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

    /// What a spec asks for without saying it.
    fn implied(&self, spec: &ContainerSpec) -> Option<Value> {
        match self.base {
            Base::Spec(base) => Some(base(spec)),
            _ => None,
        }
    }

    /// What the live value should be; `None` where only the engine knows.
    fn expected(
        &self,
        spec: &ContainerSpec,
        sent: Option<&Value>,
        was: Option<&Value>,
        live: &Value,
        image: Option<&Live>,
    ) -> Option<Value> {
        let nothing = || (self.decode)(&Value::Null);
        let from_image = || image.and_then(|image| image.get(self.name)).cloned();
        let base = match self.base {
            Base::ImageUnlessEntrypoint if spec.entrypoint.is_some() => Some(nothing()),
            Base::Image | Base::ImageUnlessEntrypoint => from_image(),
            Base::Nothing => Some(nothing()),
            Base::Engine(_) => None,
            Base::Spec(_) => self.implied(spec),
        };
        match (self.shape, base, sent) {
            (Shape::Map, Some(Value::Object(mut base)), Some(Value::Object(over))) => {
                base.extend(over.clone());
                Some(Value::Object(base))
            }
            // Where only the engine or an image that is gone knows the rest, the keys of the manifest
            // and of the creation spec are judged.
            (Shape::Map, None, sent) => {
                let over = sent.and_then(Value::as_object).cloned().unwrap_or_default();
                let mut expected = live.as_object().cloned().unwrap_or_default();
                let given_up = was.and_then(Value::as_object).into_iter().flatten();
                for (key, _) in given_up.filter(|(key, _)| !over.contains_key(*key)) {
                    expected.remove(key);
                }
                expected.extend(over);
                Some(Value::Object(expected))
            }
            (Shape::Added, base, sent) => {
                let elements =
                    |set: Option<&Value>| set.into_iter().flat_map(texts).map(str::to_owned).collect();
                let own: BTreeSet<String> = elements(sent);
                let kept: BTreeSet<String> = elements(base.as_ref()).union(&own).cloned().collect();
                let given_up: BTreeSet<String> = elements(was).difference(&kept).cloned().collect();
                let there: BTreeSet<String> = elements(Some(live)).difference(&given_up).cloned().collect();
                Some(json!(there.union(&own).collect::<BTreeSet<_>>()))
            }
            (_, _, Some(sent)) => Some(sent.clone()),
            (_, base, None) => base,
        }
    }
}

/// A value before and after, as a reader sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// The field, with the key for maps: `env.CLOUD_PORT`.
    pub field: String,
    /// What is there; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What will be there; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Difference {
    /// Whether the engine can mend it without a new container.
    pub fn in_place(&self) -> bool {
        match self.field.class {
            Class::Update | Class::Connect => true,
            Class::UpdateIfSet => {
                self.expected.as_ref().is_some_and(|expected| *expected != (self.field.decode)(&Value::Null))
            }
            Class::Replace => false,
        }
    }

    /// Whether it is about networks with an address that was asked for.
    pub fn has_address(&self) -> bool {
        let has = |endpoint: &Value| !endpoint["ipv4Address"].is_null() || !endpoint["ipv6Address"].is_null();
        let values = [Some(&self.live), self.expected.as_ref()];
        let networks = values.into_iter().flatten().filter_map(Value::as_object).flatten();
        self.field.class == Class::Connect && networks.into_iter().any(|(_, endpoint)| has(endpoint))
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

    /// Whether it is a limit that the engine is asked for in place, and may have no means for.
    pub fn is_asked_for(&self) -> bool {
        let nothing = || (self.field.decode)(&Value::Null);
        self.field.droppable && self.update().is_some() && self.live == nothing()
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
            (Shape::Set | Shape::Added, Some(expected)) => {
                vec![one(
                    name.to_owned(),
                    show::elements(&self.live, expected, self.field.show),
                    show::elements(expected, &self.live, self.field.show),
                )]
            }
            (_, expected) => {
                let shown = |value: &Value| (!show::is_nothing(value)).then(|| (self.field.show)("", value));
                let (from, to) = show::apart(shown(&self.live), expected.as_ref().and_then(shown));
                vec![one(name.to_owned(), from, to)]
            }
        }
    }
}
