//! Manifests as text. In: kinds, names and fields. Out: YAML as a person writes it, with what was left out
//! as comments.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use serde_yaml::{Mapping, Value as Yaml};

use super::{Converted, Note};
use crate::fields::{plain, put};
use crate::manifest::Manifests;
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::kinds::ManifestKind;
use crate::problemset::yaml;
use crate::resource::container::{ContainerSpec, Reference};
use crate::resource::name::{Name, ResourceId};
use crate::source::{Content, Extent, ManifestFile, RootIdentity, Snapshot};

/// One manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it describes.
    pub kind: ManifestKind,
    /// The resource's name.
    pub name: Name,
    /// Whether it says `metadata.adopt: true`.
    pub adopt: bool,
    /// Its fields by their paths in the spec, in the order in which they are written.
    pub fields: Vec<(String, Value)>,
    /// What it does not say.
    pub notes: Vec<Note>,
}

impl Document {
    /// The resource, shown as `container/web`.
    pub fn id(&self) -> ResourceId {
        ResourceId::new(self.kind.resource(), self.name.clone())
    }

    /// The spec, as JSON.
    pub fn spec(&self) -> Value {
        let mut spec = json!({});
        for (path, value) in &self.fields {
            put(&mut spec, path, value.clone());
        }
        spec
    }

    fn text(&self) -> String {
        let text = |text: &str| Yaml::String(text.to_owned());
        let mut metadata = Mapping::new();
        metadata.insert(text("name"), text(self.name.as_str()));
        if self.adopt {
            metadata.insert(text("adopt"), Yaml::Bool(true));
        }
        let mut document = Mapping::new();
        document.insert(text("apiVersion"), text("invigil/v1"));
        document.insert(text("kind"), text(self.kind.as_str()));
        document.insert(text("metadata"), Yaml::Mapping(metadata));
        let mut spec = Mapping::new();
        for (path, value) in &self.fields {
            let (parent, key) = path.split_once('.').unwrap_or(("", path));
            let place = match parent {
                "" => &mut spec,
                parent => {
                    let inner = spec.entry(text(parent)).or_insert_with(|| Yaml::Mapping(Mapping::new()));
                    match inner {
                        Yaml::Mapping(inner) => inner,
                        _ => continue,
                    }
                }
            };
            place.insert(text(key), written(value));
        }
        if !spec.is_empty() {
            document.insert(text("spec"), Yaml::Mapping(spec));
        }
        comments(&self.notes) + &yaml::to_text(&Yaml::Mapping(document))
    }
}

/// What a mapping is about stands first in it.
const FIRST: [&str; 4] = ["name", "subnet", "container", "type"];

/// JSON as YAML.
fn written(value: &Value) -> Yaml {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<(&String, &Value)> = entries.iter().collect();
            entries
                .sort_by_key(|(key, _)| FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()));
            let entry = |(key, value): (&String, &Value)| (Yaml::String(key.clone()), written(value));
            Yaml::Mapping(entries.into_iter().map(entry).collect())
        }
        Value::Array(elements) => Yaml::Sequence(elements.iter().map(written).collect()),
        scalar => serde_yaml::to_value(scalar).unwrap_or_default(),
    }
}

fn comments(notes: &[Note]) -> String {
    notes.iter().fold(String::new(), |lines, note| lines + "# " + &note.to_string() + "\n")
}

/// The text of all documents. `schema` is what editors are pointed to in the first line.
pub fn to_text(converted: &Converted, schema: Option<&str>) -> String {
    let hint = schema.map(|url| format!("# yaml-language-server: $schema={}\n", plain(url)));
    let documents: Vec<String> = converted.documents.iter().map(Document::text).collect();
    hint.unwrap_or_default() + &comments(&converted.notes) + &documents.join("---\n")
}

/// Adds the networks that containers name and that are not among the documents: used as they are where they are there. Returns the containers
/// that are named and were not given.
pub(super) fn complete(documents: &mut Vec<Document>) -> BTreeSet<Name> {
    let mut networks = BTreeSet::new();
    let mut containers = BTreeSet::new();
    for document in &*documents {
        let spec: ContainerSpec = serde_json::from_value(document.spec()).unwrap_or_default();
        for (_, reference) in spec.references() {
            match reference {
                Reference::Network(name) => drop(networks.insert(name.clone())),
                Reference::Container(name, _) => drop(containers.insert(name.clone())),
                Reference::Volume(_) => {}
            }
        }
    }
    let is_there = |name: &Name, kind: ManifestKind| {
        documents.iter().any(|document| document.kind == kind && document.name == *name)
    };
    networks.retain(|name| !is_there(name, ManifestKind::Network));
    containers.retain(|name| !is_there(name, ManifestKind::Container));
    let networks = networks.into_iter().map(|name| Document {
        kind: ManifestKind::Network,
        name,
        adopt: true,
        fields: Vec::new(),
        notes: Vec::new(),
    });
    documents.splice(0..0, networks);
    containers
}

/// What is wrong with a text of manifests, each by itself and between them; `needed` are containers that
/// others describe.
pub fn check(text: &str, file: &str, needed: &BTreeSet<Name>) -> Vec<Diagnostic> {
    let others = needed.iter().map(|name| {
        format!("---\napiVersion: invigil/v1\nkind: Container\nmetadata: {{name: \"{name}\"}}\nspec: {{image: any}}\n")
    });
    let content = Content::Text(std::iter::once(text.to_owned()).chain(others).collect());
    let file = ManifestFile { path: file.into(), base_dir: "/".into(), content };
    let identity = RootIdentity { device: 0, inode: 0 };
    let snapshot = Snapshot::new("/".into(), identity, Extent::OneFile, vec![file]);
    let mut diagnostics = Manifests::parse(&snapshot).diagnostics;
    // What those others are to be doing is theirs to say.
    let is_theirs =
        |message: &str| needed.iter().any(|name| message.starts_with(&format!("container/{name} ")));
    diagnostics.retain(|diagnostic| !is_theirs(&diagnostic.message));
    diagnostics
}
