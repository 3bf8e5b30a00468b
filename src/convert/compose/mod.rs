//! Compose files into manifests. In: a file's text, the project's name and the variables. Out: a Container for each
//! service, and the networks and volumes of the project. What Compose would do and a manifest cannot say is
//! noted with its place.
//!
//! Networks and volumes have the names that Compose gives them on the engine, so that a running project's data is
//! found; containers have the short name by which the others know them.

mod interpolation;
mod limits;
mod network;
mod process;
mod project;
mod service;
mod storage;
mod tree;
mod words;

use std::collections::BTreeMap;

use super::{Converted, Refusal};
use crate::manifest::diagnostic::Position;
use crate::manifest::parse;
use crate::resource::violation::FieldPath;
pub use interpolation::env_file;
use project::Project;
use tree::{Findings, Item};

/// The longest file that is read: far more than any Compose file.
const TEXT_MAX: usize = 1 << 20;

/// What a Compose file is read with.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The project's name, if it was given.
    pub project: Option<String>,
    /// The name of the directory that it stands in, after which Compose calls the project otherwise.
    pub directory: String,
    /// The variables that may stand in it.
    pub variables: BTreeMap<String, String>,
}

/// Converts a file.
///
/// # Errors
/// Everything that keeps it from being a Compose file.
pub fn convert(text: &str, given: &Given) -> Result<Converted, Vec<Refusal>> {
    let refusal = |position: Position, message: &str, hint: &str| {
        vec![Refusal { position: Some(position), message: message.to_owned(), hint: Some(hint.to_owned()) }]
    };
    if text.len() > TEXT_MAX {
        return Err(refusal(Position::START, "it is larger than 1 MiB", "is it a Compose file?"));
    }
    let mut documents = parse::read(text);
    let faults: Vec<Refusal> = documents
        .iter()
        .flat_map(|document| &document.faults)
        .map(|fault| Refusal {
            position: Some(fault.position),
            message: fault.message.replace("in a manifest", "here"),
            // That command resolves whatever the language of Compose has.
            hint: if fault.message.contains('`') {
                Some("`docker compose config` writes everything out: convert what it prints".to_owned())
            } else {
                fault.hint.clone()
            },
        })
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let document = match (documents.pop(), documents.first()) {
        (Some(document), None) => document,
        (Some(_), Some(first)) => {
            return Err(refusal(
                first.root.position,
                "several documents stand here",
                "a Compose file is one",
            ));
        }
        (None, _) => return Err(refusal(Position::START, "there is nothing in it", HINT)),
    };
    let mut findings = Findings::default();
    let root = &document.root;
    let root = Item::read(root, FieldPath::root(), root.position, &given.variables, &mut findings);
    if !findings.refusals.is_empty() {
        return Err(findings.refusals);
    }
    if root.get("services").is_none_or(|services| services.entries().next().is_none()) {
        return Err(refusal(root.position, "it has no `services`, so that it is no Compose file", HINT));
    }
    Ok(Project::new(&root, given).convert(findings.notes))
}

const HINT: &str = "`invigil convert --help` says what it takes";
