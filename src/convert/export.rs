//! What is on an engine into manifests. In: the engine's own documents. Out: one document for each container, and
//! for the networks and volumes that it names. Asks no engine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::docker::{self, Source};
use super::{Document, Note, Refusal};
use crate::fields::{self, Live, Lost, is_anonymous_volume};
use crate::manifest::kinds::ManifestKind;
use crate::resource::container::{ContainerSpec, Reference};
use crate::resource::env::{looks_secret, without_password};
use crate::resource::health::HealthTest;
use crate::resource::label;
use crate::resource::name::{Name, Owner, ResourceId};
use crate::resource::reference::ImageReference;
use crate::resource::words::without_secret_words;

/// Everything on an engine, as it lists it.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// What the engine says of itself.
    pub info: Value,
    /// Every container.
    pub containers: Vec<Value>,
    /// Every image.
    pub images: Vec<Value>,
    /// Every network.
    pub networks: Vec<Value>,
    /// Every volume.
    pub volumes: Vec<Value>,
}

/// A container that was written, and what its manifest names.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Its manifest, and those of its networks and volumes.
    pub documents: Vec<Document>,
    /// The containers that it names, by id: a manifest names only what manifests describe.
    pub containers: Vec<(Name, String)>,
    /// Where its manifest holds what looks secret: `env.DB_PASSWORD`.
    pub secrets: Vec<String>,
}

fn text<'a>(document: &'a Value, key: &str) -> &'a str {
    document[key].as_str().unwrap_or_default()
}

fn texts<'a>(document: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    document[key].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// A listed container's own name: without the slash, and without those that links give it.
fn name_of(container: &Value) -> &str {
    texts(container, "Names")
        .map(|name| name.trim_start_matches('/'))
        .find(|name| !name.contains('/'))
        .unwrap_or_else(|| text(container, "Name").trim_start_matches('/'))
}

/// The ids of the containers that are meant, each by its name or the beginning of its id; with `all`, of
/// every one that no Invigil made.
///
/// # Errors
/// Every name that nothing bears, or more than one.
pub fn choose(listed: &Listed, names: &[String], all: bool) -> Result<Vec<String>, Vec<Refusal>> {
    let id = |container: &Value| text(container, "Id").to_owned();
    let mut chosen = Vec::new();
    let mut refused = Vec::new();
    if all {
        let owned = |one: &Value| {
            !one["Labels"][label::OWNER].is_null() && !is_inherited(listed, text(one, "ImageID"))
        };
        let free = listed.containers.iter().filter(|one| !owned(one));
        chosen.extend(free.map(|one| (name_of(one), id(one))));
        chosen.sort_unstable();
    }
    let mut chosen: Vec<String> = chosen.into_iter().map(|(_, id)| id).collect();
    for wanted in names {
        let bears = listed.containers.iter().find(|one| name_of(one) == wanted);
        let begins = |one: &&Value| wanted.len() >= 4 && text(one, "Id").starts_with(wanted.as_str());
        let by_id: Vec<&Value> = listed.containers.iter().filter(begins).collect();
        match (bears, &by_id[..]) {
            (Some(one), _) => chosen.push(id(one)),
            (None, [one]) => chosen.push(id(one)),
            (None, []) => {
                let names = listed.containers.iter().map(name_of);
                let hint = crate::manifest::suggestion::did_you_mean(wanted, names);
                refused.push(Refusal {
                    position: None,
                    message: format!("there is no container `{wanted}`"),
                    hint,
                });
            }
            (None, _) => refused.push(Refusal::new(
                format!("`{wanted}` is the beginning of several containers' ids"),
                "write more of it",
            )),
        }
    }
    let mut seen = BTreeSet::new();
    chosen.retain(|id| seen.insert(id.clone()));
    if refused.is_empty() { Ok(chosen) } else { Err(refused) }
}

/// Whether an image has labels of ours, which it hands down: it was committed from a container of ours.
fn is_inherited(listed: &Listed, image: &str) -> bool {
    let image = listed.images.iter().find(|one| text(one, "Id") == image);
    image.is_some_and(|image| !image["Labels"][label::OWNER].is_null())
}

/// Writes a container down. `image` is the inspection of its image.
///
/// # Errors
/// If its image has no name, or its own name is none.
pub fn export(
    listed: &Listed,
    inspection: &Value,
    image: Option<&Value>,
    owner: &Owner,
) -> Result<Exported, Refusal> {
    let mut inspection = with_names(inspection, listed);
    fields::without_idle_swap(&mut inspection, listed.info["SwapLimit"] != false);
    let inspection = &inspection;
    let live_name = name_of(inspection);
    let config = image.map(|image| &image["Config"]);
    let labels = &inspection["Config"]["Labels"];
    let inherited = is_inherited(listed, text(inspection, "Image"));
    let is_ours = text(labels, label::OWNER) == owner.as_str() && !inherited;
    let resource =
        text(labels, label::RESOURCE).parse().ok().filter(|_| is_ours).map(|id: ResourceId| id.name);
    let name = match resource {
        Some(name) => name,
        None => live_name.parse().map_err(|error: String| Refusal::new(error, "rename the container"))?,
    };
    let created: Option<ContainerSpec> =
        Some(text(labels, label::SPEC)).filter(|_| is_ours).and_then(label::spec_from);
    let (reference, lost) = reference(live_name, inspection, listed)?;
    let live: Option<Live> = config.map(fields::read_image);
    let source = Source {
        name: &name,
        image: &reference,
        inspection,
        config: live.as_ref(),
        created: created.as_ref(),
        info: &listed.info,
        top: "Config.",
        adopt: !is_ours,
    };
    let mut lost: Vec<Lost> = lost.into_iter().collect();
    if !is_ours
        && !inherited
        && let Some(other) = labels[label::OWNER].as_str()
    {
        let why = "another Invigil's container is not taken over".to_owned();
        lost.push(Lost { path: "metadata.adopt".to_owned(), value: fields::plain(other), why: Some(why) });
    }
    let document = docker::write(&source, lost);
    let spec: ContainerSpec = serde_json::from_value(document.spec()).unwrap_or_default();
    let mut exported =
        Exported { secrets: secrets(&spec), documents: vec![document], containers: Vec::new() };
    for (_, named) in spec.references() {
        match named {
            Reference::Network(name) => exported.documents.extend(network(name, listed, owner)),
            Reference::Volume(name) => exported.documents.extend(volume(name, listed)),
            Reference::Container(name, _) => {
                let there = listed.containers.iter().find(|one| name_of(one) == name.as_str());
                exported.containers.extend(there.map(|one| (name.clone(), text(one, "Id").to_owned())));
            }
        }
    }
    Ok(exported)
}

/// An inspection that names containers and networks by their names, never by their ids.
fn with_names(inspection: &Value, listed: &Listed) -> Value {
    let mut inspection = inspection.clone();
    let names: BTreeMap<&str, &str> =
        listed.containers.iter().map(|one| (text(one, "Id"), name_of(one))).collect();
    let name = |id: &str| {
        let full = names.get(id).copied();
        full.or_else(|| {
            let mut begins = names.iter().filter(|(own, _)| id.len() >= 12 && own.starts_with(id));
            begins.next().map(|(_, name)| *name)
        })
    };
    for mode in ["NetworkMode", "IpcMode", "PidMode"] {
        let shared = inspection["HostConfig"][mode].as_str().and_then(|mode| mode.strip_prefix("container:"));
        if let Some(other) = shared.and_then(name) {
            inspection["HostConfig"][mode] = format!("container:{other}").into();
        }
    }
    if let Some(from) = inspection["HostConfig"]["VolumesFrom"].as_array_mut() {
        for entry in from {
            let (id, mode) =
                entry.as_str().map(|entry| entry.split_once(':').unwrap_or((entry, ""))).unwrap_or_default();
            if let Some(other) = name(id) {
                *entry = if mode.is_empty() { other.into() } else { format!("{other}:{mode}").into() };
            }
        }
    }
    let mode = text(&inspection["HostConfig"], "NetworkMode").to_owned();
    let network = listed.networks.iter().find(|network| text(network, "Id") == mode);
    if let Some(network) = network {
        inspection["HostConfig"]["NetworkMode"] = network["Name"].clone();
    }
    inspection
}

/// The name of a container's image: the one it was made from, if that still is its image; else another
/// one of the same image.
fn reference(
    container: &str,
    inspection: &Value,
    listed: &Listed,
) -> Result<(ImageReference, Option<Lost>), Refusal> {
    let (id, asked) = (text(inspection, "Image"), text(&inspection["Config"], "Image"));
    let image = listed.images.iter().find(|image| text(image, "Id") == id);
    let parsed = |reference: &str| reference.parse::<ImageReference>().ok();
    let names =
        |key: &'static str| image.into_iter().flat_map(move |image| texts(image, key)).filter_map(parsed);
    let known: BTreeSet<ImageReference> =
        names("RepoTags").chain(names("RepoDigests")).filter(|name| !label::is_mark(name)).collect();
    let hex = asked.strip_prefix("sha256:").unwrap_or(asked);
    let is_id = hex.len() >= 4 && id.trim_start_matches("sha256:").starts_with(hex);
    match parsed(asked).filter(|_| !is_id) {
        Some(reference) if known.contains(&reference) => Ok((reference, None)),
        asked => match (names("RepoTags").filter(|name| !label::is_mark(name)).min(), known.first(), asked) {
            (Some(tag), _, _) => Ok((tag, None)),
            (None, Some(digest), _) => Ok((digest.clone(), None)),
            (None, None, Some(reference)) => {
                let why = format!(
                    "this image has no name any more, and {reference} is another one: `docker tag` gives it one"
                );
                let lost = Lost { path: "image".to_owned(), value: fields::plain(id), why: Some(why) };
                Ok((reference, Some(lost)))
            }
            (None, None, None) => Err(Refusal {
                position: None,
                message: format!("container {container}: its image {id} has no name"),
                hint: Some("give it one: docker tag ID NAME:TAG".to_owned()),
            }),
        },
    }
}

/// What of a spec looks secret, by its place.
fn secrets(spec: &ContainerSpec) -> Vec<String> {
    let maps = [("env", &spec.env), ("labels", &spec.labels)];
    let entries = maps.into_iter().flat_map(|(field, map)| map.0.iter().map(move |entry| (field, entry)));
    let entries = entries.filter(|(_, (key, value))| {
        !value.is_empty() && (looks_secret(key) || without_password(value) != **value)
    });
    let test = spec.healthcheck.as_ref().and_then(|check| check.test.as_ref()).map(HealthTest::words);
    let programs = [
        ("entrypoint", spec.entrypoint.as_deref()),
        ("command", spec.command.as_deref()),
        ("healthcheck.test", test),
    ];
    let programs = programs.into_iter().filter_map(|(field, words)| Some((field, words?)));
    entries
        .map(|(field, (key, _))| format!("{field}.{}", fields::plain(key)))
        .chain(
            programs
                .filter(|(_, words)| without_secret_words(words) != *words)
                .map(|(field, _)| field.to_owned()),
        )
        .collect()
}

fn network(name: &Name, listed: &Listed, owner: &Owner) -> Option<Document> {
    let there = listed.networks.iter().find(|network| text(network, "Name") == name.as_str())?;
    let spec = fields::network_written(&fields::read_network(there));
    let is_ours = text(&there["Labels"], label::OWNER) == owner.as_str();
    let lost = ["Ingress", "ConfigOnly"].into_iter().filter(|key| there[*key] == true);
    let notes = lost.map(|key| Note {
        position: None,
        lost: Lost { path: key.to_owned(), value: "true".to_owned(), why: None },
    });
    Some(Document {
        kind: ManifestKind::Network,
        name: name.clone(),
        adopt: !is_ours,
        fields: fields_of(&spec),
        notes: notes.collect(),
    })
}

fn volume(name: &Name, listed: &Listed) -> Option<Document> {
    if is_anonymous_volume(name.as_str()) {
        return None;
    }
    let there = listed.volumes.iter().find(|volume| text(volume, "Name") == name.as_str())?;
    let spec = fields::volume_written(&fields::read_volume(there));
    Some(Document {
        kind: ManifestKind::Volume,
        name: name.clone(),
        adopt: false,
        fields: fields_of(&spec),
        notes: Vec::new(),
    })
}

fn fields_of(spec: &impl serde::Serialize) -> Vec<(String, Value)> {
    let value = serde_json::to_value(spec).unwrap_or_default();
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}
