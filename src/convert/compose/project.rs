//! What stands at the top of a Compose file: services, networks, volumes. In: the tree. Out: all documents.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Given;
use super::service::Service;
use super::tree::{Content, Item};
use crate::convert::document::complete;
use crate::convert::{Converted, Document, Note};
use crate::manifest::kinds::ManifestKind;
use crate::resource::name::Name;
use crate::resource::network::NetworkSpec;
use crate::resource::volume::VolumeSpec;

/// The network that services are on that name none.
pub(super) const DEFAULT: &str = "default";

/// A project.
pub(super) struct Project<'a> {
    pub name: String,
    root: &'a Item,
}

impl<'a> Project<'a> {
    pub fn new(root: &'a Item, given: &Given) -> Self {
        let name = given.project.as_deref().or_else(|| root.text_at("name")).unwrap_or(&given.directory);
        // Compose's own rule.
        let fits = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let name: String = name.to_lowercase().chars().filter(fits).collect();
        let name = name.trim_start_matches(['-', '_']);
        Self { name: if name.is_empty() { DEFAULT } else { name }.to_owned(), root }
    }

    pub fn services(&self) -> impl Iterator<Item = (&'a str, &'a Item)> {
        self.root.get("services").into_iter().flat_map(Item::entries)
    }

    pub fn service(&self, key: &str) -> Option<&'a Item> {
        self.services().find(|(own, _)| *own == key).map(|(_, item)| item)
    }

    /// What a service's container is called.
    pub fn container(&self, key: &str) -> Option<String> {
        let service = self.service(key)?;
        Some(service.text_at("container_name").unwrap_or(key).to_owned())
    }

    fn defined(&self, kind: &str, key: &str) -> Option<&'a Item> {
        self.root.get(kind)?.get(key)
    }

    /// What a network or volume of the project is called on the engine; `None` if there is none.
    pub fn called(&self, kind: &str, key: &str) -> Option<String> {
        let item = self.defined(kind, key);
        if item.is_none() && !(kind == "networks" && key == DEFAULT) {
            return None;
        }
        let external = item.and_then(|item| item.get("external"));
        let own = item.and_then(|item| item.text_at("name")).or_else(|| external?.text_at("name"));
        Some(match own {
            Some(name) => name.to_owned(),
            None if external.is_some_and(is_external) => key.to_owned(),
            None => format!("{}_{key}", self.name),
        })
    }

    /// Whether other services wait for this one to run to its end.
    pub fn is_job(&self, key: &str) -> bool {
        let waits = |service: &Item| {
            let condition = service.get("depends_on").and_then(|needs| needs.get(key)?.text_at("condition"));
            condition == Some("service_completed_successfully")
        };
        self.services().any(|(_, service)| waits(service))
    }

    pub fn convert(&self, mut notes: Vec<Note>) -> Converted {
        let mut documents = Vec::new();
        let mut networks = BTreeSet::new();
        for (key, item) in self.services() {
            let service = Service::read(self, key, item);
            networks.extend(service.networks.clone());
            match service.document() {
                Ok(document) => documents.push(document),
                Err(lost) => notes.extend(lost),
            }
        }
        for (key, item) in self.root.entries() {
            match key {
                "services" | "version" | "name" => {}
                "networks" => documents.extend(
                    item.entries().filter_map(|(key, item)| self.network(key, Some(item), &mut notes)),
                ),
                "volumes" => documents
                    .extend(item.entries().filter_map(|(key, item)| self.volume(key, item, &mut notes))),
                key if key.starts_with("x-") => {}
                _ => notes.extend((!item.is_nothing()).then(|| item.note(why(key)))),
            }
        }
        if networks.contains(DEFAULT) && self.defined("networks", DEFAULT).is_none() {
            documents.extend(self.network(DEFAULT, None, &mut notes));
        }
        let needed = complete(&mut documents);
        documents.sort_by_key(|document| (document.kind.resource(), document.name.clone()));
        notes.sort();
        for document in &mut documents {
            document.notes.sort();
        }
        Converted { documents, notes, needed }
    }

    fn network(&self, key: &str, item: Option<&Item>, notes: &mut Vec<Note>) -> Option<Document> {
        let mut spec = Map::new();
        let mut own = Vec::new();
        let mut adopt = false;
        for (key, item) in item.into_iter().flat_map(Item::entries) {
            match key {
                "driver" => drop(spec.insert("driver".to_owned(), json!(item.text()))),
                "driver_opts" => drop(spec.insert("options".to_owned(), texts(item))),
                "labels" => drop(spec.insert("labels".to_owned(), texts(item))),
                "internal" | "attachable" if item.is_true() => drop(spec.insert(key.to_owned(), json!(true))),
                "enable_ipv6" if item.is_true() => drop(spec.insert("ipv6".to_owned(), json!(true))),
                "external" => adopt = is_external(item),
                "ipam" => ipam(item, &mut spec, &mut own),
                "enable_ipv4" if !item.is_true() => own.push(item.note(None)),
                "name" | "internal" | "attachable" | "enable_ipv6" | "enable_ipv4" => {}
                key if key.starts_with("x-") => {}
                _ => own.push(item.note(None)),
            }
        }
        let called = self.called("networks", key)?;
        let checked = |spec: &NetworkSpec| spec.check().first().map(|violation| violation.message.clone());
        document::<NetworkSpec>(ManifestKind::Network, &called, adopt, spec, own, item, checked, notes)
    }

    fn volume(&self, key: &str, item: &Item, notes: &mut Vec<Note>) -> Option<Document> {
        let mut spec = Map::new();
        let mut own = Vec::new();
        for (key, item) in item.entries() {
            match key {
                "driver" => drop(spec.insert("driver".to_owned(), json!(item.text()))),
                "driver_opts" => drop(spec.insert("options".to_owned(), texts(item))),
                "labels" => drop(spec.insert("labels".to_owned(), texts(item))),
                // It is there, or the engine makes it: no manifest has to describe it.
                "external" if is_external(item) => return None,
                "name" | "external" => {}
                key if key.starts_with("x-") => {}
                _ => own.push(item.note(None)),
            }
        }
        let called = self.called("volumes", key)?;
        let checked = |spec: &VolumeSpec| spec.check().first().map(|violation| violation.message.clone());
        document::<VolumeSpec>(ManifestKind::Volume, &called, false, spec, own, Some(item), checked, notes)
    }
}

/// A network's or volume's document, if what was read is a spec.
#[allow(clippy::too_many_arguments, reason = "the two callers differ in each of them")]
fn document<T: serde::de::DeserializeOwned>(
    kind: ManifestKind,
    name: &str,
    adopt: bool,
    spec: Map<String, Value>,
    own: Vec<Note>,
    item: Option<&Item>,
    check: impl Fn(&T) -> Option<String>,
    notes: &mut Vec<Note>,
) -> Option<Document> {
    let refused = match serde_json::from_value::<T>(Value::Object(spec.clone())) {
        Ok(read) => check(&read),
        Err(error) => Some(error.to_string()),
    };
    match (name.parse::<Name>(), refused) {
        (Ok(name), None) => {
            let fields = spec.into_iter().collect();
            Some(Document { kind, name, adopt, fields, notes: own })
        }
        (name, refused) => {
            let why = refused.or_else(|| name.err());
            notes.extend(item.map(|item| item.note(why.as_deref())));
            None
        }
    }
}

fn ipam(item: &Item, spec: &mut Map<String, Value>, notes: &mut Vec<Note>) {
    let mut own = Map::new();
    for (key, item) in item.entries() {
        match key {
            "driver" => drop(own.insert("driver".to_owned(), json!(item.text()))),
            "options" => drop(own.insert("options".to_owned(), texts(item))),
            "config" => {
                let subnets = item.elements().iter().filter_map(|item| subnet(item, notes));
                let subnets: Vec<Value> = subnets.collect();
                if !subnets.is_empty() {
                    spec.insert("subnets".to_owned(), json!(subnets));
                }
            }
            _ => notes.push(item.note(None)),
        }
    }
    if !own.is_empty() {
        spec.insert("ipam".to_owned(), Value::Object(own));
    }
}

fn subnet(item: &Item, notes: &mut Vec<Note>) -> Option<Value> {
    let mut subnet = Map::new();
    for (key, item) in item.entries() {
        match key {
            "subnet" | "gateway" => drop(subnet.insert(key.to_owned(), json!(item.text()))),
            "ip_range" => drop(subnet.insert("ipRange".to_owned(), json!(item.text()))),
            "aux_addresses" => drop(subnet.insert("auxAddresses".to_owned(), texts(item))),
            _ => notes.push(item.note(None)),
        }
    }
    if subnet.contains_key("subnet") {
        return Some(Value::Object(subnet));
    }
    notes.push(item.note(Some("it has no subnet")));
    None
}

/// A mapping's texts, or those of a list of `KEY=value`.
pub(super) fn texts(item: &Item) -> Value {
    let pair = |item: &Item| {
        let (key, value) = item.text()?.split_once('=').unwrap_or((item.text()?, ""));
        Some((key.to_owned(), json!(value)))
    };
    if let Content::List(items) = &item.content {
        return Value::Object(items.iter().filter_map(pair).collect());
    }
    let entries = item.entries().map(|(key, item)| (key.to_owned(), json!(item.text().unwrap_or_default())));
    Value::Object(entries.collect())
}

fn is_external(item: &Item) -> bool {
    item.is_true() || item.get("name").is_some()
}

/// Why what Compose has at this key is nothing for a manifest.
pub(super) fn why(key: &str) -> Option<&'static str> {
    Some(match key {
        "secrets" | "configs" => "bind the file instead",
        "profiles" => "written as if the profile were active",
        "extends" | "include" => "`docker compose config` writes it out: convert what it prints",
        "develop" => "it is for working on the program",
        "pull_policy" => "pull.policy of an Image",
        "replicas" | "scale" => "a manifest is one container: write one for each",
        "start_interval" => "not in the API that Invigil speaks (1.41, Docker 20.10)",
        "annotations" => "use labels",
        "label_file" => "write the labels out",
        "attach" => "it says what the docker command itself shows",
        _ => return None,
    })
}
