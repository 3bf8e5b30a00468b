//! Other programs' documents into manifests. In: create bodies, `hostconfig.json`, inspections, Compose files. Out:
//! [`Document`]s that validate, and everything that they do not say. Reads no files and no environment: what
//! those hold is given to it.

pub mod compose;
pub mod docker;
pub mod document;
pub mod export;
mod unambiguous;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::fields::{self, Lost, plain};
use crate::manifest::diagnostic::Position;
use crate::resource::name::{Name, ResourceId};
pub use document::{Document, to_text};
use unambiguous::Unambiguous;

/// What a file is.
#[derive(Debug)]
pub enum Form {
    /// A body of the old exam service, or what would be JSON if it were right.
    Legacy,
    /// Nothing that is known.
    Unknown,
    /// JSON in which a key stands twice.
    Ambiguous(String),
    /// Inspections: what `docker inspect` prints.
    Inspections(Vec<Value>),
    /// The body of the call that creates a container.
    CreateBody(Value),
    /// An engine's `hostconfig.json`.
    HostConfig(Value),
    /// A Compose file.
    Compose,
}

/// The members of the old exam service's body.
const LEGACY: [&str; 4] = ["uid", "imgName", "imgId", "problem"];

impl Form {
    /// Recognises a file by what it says, never by its name. What does not begin as JSON does is Compose's.
    pub fn of(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Self::Unknown;
        }
        if !text.trim_start().starts_with(['{', '[']) {
            return Self::Compose;
        }
        let Ok(json) = serde_json::from_str::<Value>(text) else { return Self::Legacy };
        let has = |key: &str| json.get(key).is_some();
        if LEGACY.into_iter().any(has) {
            return Self::Legacy;
        }
        if json["services"].is_object() {
            return Self::Compose;
        }
        match serde_json::from_str(text) {
            Ok(Unambiguous(json)) => Self::docker(json),
            Err(error) => Self::Ambiguous(error.to_string()),
        }
    }

    /// Which of Docker's documents this is.
    fn docker(json: Value) -> Self {
        let is_inspection = |value: &Value| value["Config"].is_object() && value["HostConfig"].is_object();
        match json {
            Value::Array(elements) if !elements.is_empty() && elements.iter().all(is_inspection) => {
                Self::Inspections(elements)
            }
            json if is_inspection(&json) => Self::Inspections(vec![json]),
            json if json["Image"].is_string() || json["HostConfig"].is_object() => Self::CreateBody(json),
            Value::Object(members) if members.keys().any(|key| fields::is_host_key(key)) => {
                Self::HostConfig(Value::Object(members))
            }
            _ => Self::Unknown,
        }
    }
}

/// Something that was not carried over, and where it stood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The place in the file, where it is known.
    pub position: Option<Position>,
    /// What.
    pub lost: Lost,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "left out: {}", plain(&self.lost.to_string()))
    }
}

/// Why a file cannot be converted at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The place in the file, where it is known.
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refusal {
    fn new(message: impl Into<String>, hint: &str) -> Self {
        Self { position: None, message: message.into(), hint: Some(hint.to_owned()) }
    }
}

/// What became of a file.
#[derive(Debug, Clone, Default)]
pub struct Converted {
    /// The manifests.
    pub documents: Vec<Document>,
    /// What none of them says and belongs to none of them.
    pub notes: Vec<Note>,
    /// The containers that they name and that are in none of them.
    pub needed: BTreeSet<Name>,
}

impl Converted {
    /// Everything that was left out, in the order of the file's places, then of the documents; with its
    /// resource.
    pub fn all_notes(&self) -> Vec<(Option<ResourceId>, &Note)> {
        let whole = self.notes.iter().map(|note| (None, note));
        let own = self
            .documents
            .iter()
            .flat_map(|document| document.notes.iter().map(move |note| (Some(document.id()), note)));
        let mut notes: Vec<(Option<ResourceId>, &Note)> = whole.chain(own).collect();
        notes.sort_by_key(|(_, note)| note.position);
        notes
    }
}
