//! A container as a manifest would write it. In: live values, and what is known of where they come from.
//! Out: the fields of the least spec that stands for them, and whatever no manifest can say. Nothing is
//! dropped without a word: what was written is read again and compared.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value, json};

use super::{Around, Base, Field, Live, Place, Shape, all, all_differences, differences, show};
use crate::resource::container::ContainerSpec;
use crate::resource::violation::FieldPath;

/// The fields of a container, written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// Each field's path in the spec and its value in the manifest's notation, in the order of the tables.
    pub fields: Vec<(&'static str, Value)>,
    /// What could not be written.
    pub lost: Vec<Lost>,
}

/// Something that no manifest can say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// Where it stood: `HostConfig.AutoRemove`.
    pub path: String,
    /// What it was; empty where the path says it.
    pub value: String,
    /// Why it cannot be said, or what to do instead.
    pub why: Option<String>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if !self.value.is_empty() {
            write!(f, " = {}", self.value)?;
        }
        match &self.why {
            Some(why) => write!(f, " ({why})"),
            None => Ok(()),
        }
    }
}

/// Why a value that has a notation is not written all the same: it would be read as another one.
const UNSAYABLE: &str = "no manifest can say this";

/// Writes a container's fields.
///
/// What the image gives, what holds where a manifest is silent, and what an engine chooses by itself is
/// left out; `created`, the spec that it was made from if it is ours, says what was asked for all the same.
/// Guarantees: every field that is written reads back as the live value.
pub fn written(
    live: &Live,
    image: Option<&Live>,
    created: Option<&ContainerSpec>,
    around: &Around<'_>,
) -> Written {
    let mut writer = Writer { live, image, created, around, written: Written::default() };
    for field in all() {
        if let Some(value) = writer.to_say(field) {
            writer.say(field, &value);
        }
    }
    writer.prefer_networks();
    // What silence would not bring back is said, whatever the reason.
    for field in writer.different() {
        if let Some(value) = live.get(field.name) {
            writer.try_say(field, value);
        }
    }
    for field in writer.different() {
        let is_told = writer.written.lost.iter().any(|lost| field.is_in(&lost.path));
        if let Some(value) = live.get(field.name).filter(|_| !is_told) {
            writer.lose(field, None, value, UNSAYABLE.to_owned());
        }
    }
    writer.written
}

/// A value for a reader, hidden where its key looks secret.
fn told(field: &Field, value: &Value) -> String {
    match value {
        Value::Object(entries) if field.shape == Shape::Map => {
            let entry = |(key, value): (&String, &Value)| {
                let (_, shown) = show::pair(key, None, Some(value), field.show);
                format!("{}: {}", show::plain(key), shown.unwrap_or_default())
            };
            entries.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
        value => (field.show)("", value),
    }
}

struct Writer<'a> {
    live: &'a Live,
    image: Option<&'a Live>,
    created: Option<&'a ContainerSpec>,
    around: &'a Around<'a>,
    written: Written,
}

impl Writer<'_> {
    /// The part of a field that a manifest has to say; `None` if silence says it.
    fn to_say(&self, field: &Field) -> Option<Value> {
        let asked = self.created.and_then(field.sent);
        let nothing = || (field.decode)(&Value::Null);
        let value = self.live.get(field.name)?;
        if matches!(field.place, Place::Asked)
            || (matches!(field.place, Place::Attached(_)) && *value == nothing())
        {
            return asked;
        }
        // What the kernel has no means for is left out of any container.
        if field.droppable && *value == nothing() {
            return asked;
        }
        let base = match field.base {
            Base::Engine(is_its_own) if asked.is_none() && is_its_own(value, self.around) => return None,
            Base::ImageUnlessEntrypoint if self.has("entrypoint") => nothing(),
            Base::Image | Base::ImageUnlessEntrypoint => {
                self.image.and_then(|image| image.get(field.name)).cloned().unwrap_or_else(nothing)
            }
            Base::Engine(_) | Base::Nothing => nothing(),
            Base::Spec(base) => base(&self.spec()?),
        };
        match (field.shape, value, &base) {
            (_, value, base) if value == base && asked.is_none() => None,
            (Shape::Added, Value::Array(elements), base) => {
                let given = (field.given)(self.live);
                let is_in = |set: Option<&Value>, element: &Value| {
                    set.and_then(Value::as_array).is_some_and(|set| set.contains(element))
                };
                let own = |element: &&Value| {
                    is_in(asked.as_ref(), element)
                        || !(is_in(Some(base), element) || is_in(Some(&given), element))
                };
                let own: Vec<Value> = elements.iter().filter(own).cloned().collect();
                (!own.is_empty()).then(|| json!(own))
            }
            (Shape::Map, Value::Object(entries), Value::Object(base)) if field.name != "networks" => {
                let was = asked.as_ref().and_then(Value::as_object);
                let own = |(key, value): &(&String, &Value)| {
                    base.get(*key) != Some(*value) || was.is_some_and(|was| was.contains_key(*key))
                };
                let own = entries.iter().filter(own).map(|(key, value)| (key.clone(), value.clone()));
                let own: Map<String, Value> = own.collect();
                (!own.is_empty()).then_some(Value::Object(own))
            }
            (_, value, _) => Some(value.clone()),
        }
    }

    /// Writes a field if it reads back; else as much of it as does.
    fn say(&mut self, field: &'static Field, value: &Value) {
        if self.try_say(field, value) {
            return;
        }
        let parts: Vec<(Option<&str>, Value)> = match value {
            Value::Array(elements) if field.shape != Shape::Whole => {
                elements.iter().map(|element| (None, json!([element]))).collect()
            }
            Value::Object(entries) => {
                entries.iter().map(|(key, value)| (Some(key.as_str()), json!({key: value}))).collect()
            }
            _ => Vec::new(),
        };
        if parts.len() < 2 {
            let key = parts.first().and_then(|(key, _)| *key);
            let why = self.refusal(field, value);
            return self.lose(field, key, value, why);
        }
        let mut good: Option<Value> = None;
        for (key, part) in parts {
            if self.candidate(field, &part).is_none() {
                let why = self.refusal(field, &part);
                self.lose(field, key, &part, why);
                continue;
            }
            match (&mut good, part) {
                (Some(Value::Array(good)), Value::Array(more)) => good.extend(more),
                (Some(Value::Object(good)), Value::Object(more)) => good.extend(more),
                (good, part) => *good = Some(part),
            }
        }
        if let Some(good) = good {
            self.try_say(field, &good);
        }
    }

    /// Tells that a value, or what it has under a key, is not written.
    fn lose(&mut self, field: &Field, key: Option<&str>, value: &Value, why: String) {
        let path =
            key.map_or_else(|| field.name.to_owned(), |key| format!("{}.{}", field.name, show::plain(key)));
        let shown = match (key, value) {
            (Some(key), value) => show::pair(key, None, value.get(key), field.show).1.unwrap_or_default(),
            (None, Value::Array(elements)) if elements.len() == 1 => (field.show)("", &elements[0]),
            (None, value) => told(field, value),
        };
        self.written.lost.push(Lost { path, value: shown, why: Some(why) });
    }

    fn try_say(&mut self, field: &'static Field, value: &Value) -> bool {
        let Some(notation) = self.candidate(field, value) else { return false };
        self.written.fields.retain(|(name, _)| *name != field.name);
        self.written.fields.push((field.name, notation));
        self.written.fields.sort_by_key(|(name, _)| all().position(|field| field.name == *name));
        true
    }

    /// A value in the manifest's notation, if it reads back as the same value.
    fn candidate(&self, field: &Field, value: &Value) -> Option<Value> {
        let notation = (field.notation)(value, self.live);
        let read = self.with(field.name, &notation).ok()?;
        let rules = read.check();
        let broken = rules.iter().any(|rule| field.is_at(&rule.path));
        ((field.sent)(&read).as_ref() == Some(value) && !broken).then_some(notation)
    }

    /// Why a value cannot be written.
    fn refusal(&self, field: &Field, value: &Value) -> String {
        let why = match self.with(field.name, &(field.notation)(value, self.live)) {
            Err(why) => Some(why),
            Ok(read) => {
                read.check().into_iter().find(|rule| field.is_at(&rule.path)).map(|rule| rule.message)
            }
        };
        why.map_or_else(|| UNSAYABLE.to_owned(), |why| show::plain(&why))
    }

    fn with(&self, name: &str, notation: &Value) -> Result<ContainerSpec, String> {
        let mut spec = self.written.spec();
        put(&mut spec, name, notation.clone());
        serde_json::from_value(spec).map_err(|error| error.to_string())
    }

    fn spec(&self) -> Option<ContainerSpec> {
        serde_json::from_value(self.written.spec()).ok()
    }

    fn has(&self, name: &str) -> bool {
        self.written.fields.iter().any(|(field, _)| *field == name)
    }

    /// `networks` says what `networkMode` does, where that is a network's name.
    fn prefer_networks(&mut self) {
        let Some(at) = self.written.fields.iter().position(|(name, _)| *name == "networkMode") else {
            return;
        };
        let mode = self.written.fields[at].1.clone();
        let first =
            self.written.fields.iter().find(|(name, _)| *name == "networks").map(|(_, list)| &list[0]);
        let named =
            mode.as_str().is_some_and(|mode| !mode.contains(':') && !["host", "none"].contains(&mode));
        match first {
            Some(first) if *first == mode || first["name"] == mode => {
                self.written.fields.remove(at);
            }
            None if named => self.written.fields[at] = ("networks", json!([mode])),
            _ => {}
        }
    }

    /// The fields that a container made from what is written so far would have otherwise.
    fn different(&self) -> Vec<&'static Field> {
        let Some(spec) = self.spec() else { return Vec::new() };
        let found = match self.created {
            Some(created) => differences(&spec, Some(created), self.live, self.image, &BTreeSet::new()),
            None => all_differences(&spec, self.live, self.image),
        };
        found.into_iter().map(|difference| difference.field).collect()
    }
}

impl Field {
    /// Whether a path of a spec leads to this field or into it.
    fn is_at(&self, path: &FieldPath) -> bool {
        self.is_in(&path.to_string())
    }

    fn is_in(&self, path: &str) -> bool {
        path.strip_prefix(self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

impl Written {
    /// The fields as a spec, without an image.
    pub fn spec(&self) -> Value {
        let mut spec = json!({});
        for (name, value) in &self.fields {
            put(&mut spec, name, value.clone());
        }
        spec
    }
}

/// Puts a field's value where it belongs in a spec: `resources.memory` two deep.
pub(crate) fn put(spec: &mut Value, name: &str, value: Value) {
    let mut place = spec;
    for key in name.split('.') {
        place = &mut place[key];
    }
    *place = value;
}

#[cfg(test)]
mod tests;
