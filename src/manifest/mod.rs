//! Manifests: YAML into values. In: a snapshot of files. Out: valid manifests, and every error of the
//! others with its file, line, column and field. Never talks to an engine.
//!
//! ```text
//! text -> (parse) -> tree -> (reader) -> document -> (check) -> Manifests
//! ```

mod check;
mod claims;
mod deserializer;
pub mod diagnostic;
mod document;
pub mod kinds;
pub mod lock;
pub(crate) mod parse;
mod reader;
mod references;
mod scalar;
pub mod schema;
pub(crate) mod suggestion;
pub(crate) mod tree;
mod wording;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use self::lock::Lock;
use crate::problemset::set::ProblemSet;
use crate::resource::container::ContainerSpec;
use crate::resource::image::ImageSpec;
use crate::resource::name::ResourceId;
use crate::resource::network::NetworkSpec;
use crate::resource::printable::printable;
use crate::resource::violation::{FieldPath, Severity};
use crate::resource::volume::VolumeSpec;
use crate::source::{Content, ManifestFile, Snapshot};

use check::Findings;
use diagnostic::{Diagnostic, Position};
use document::{Draft, File};
use tree::Node;

/// One valid manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Which resource it describes.
    pub id: ResourceId,
    /// Whether an unmanaged container of this name is taken over.
    pub adopt: bool,
    /// Whether the resource is left as it is.
    pub suspend: bool,
    /// What the resource is to be.
    pub spec: Spec,
    /// Where it stands. Not part of the resource: moving a manifest changes nothing.
    pub origin: Origin,
    /// The directory that its relative paths start from; absolute.
    pub base_dir: Arc<Path>,
    /// Where its fields stand, for what turns out to be wrong with the files that they name.
    pub places: Places,
}

/// Where the fields of a manifest stand.
#[derive(Debug, Clone)]
pub struct Places(Arc<Node<'static>>);

impl Places {
    fn of(root: &Node<'_>) -> Self {
        Self(Arc::new(root.outline()))
    }

    /// Where to point for a field, from the document's root.
    pub fn place(&self, path: &FieldPath) -> Position {
        self.0.place(path)
    }
}

/// Where a manifest begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file's path from the root that was read.
    pub file: Arc<str>,
    /// The place in the file.
    pub position: Position,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", printable(&self.file), self.position)
    }
}

/// What a resource is to be.
#[derive(Debug, Clone)]
pub enum Spec {
    /// An exam, which becomes an image.
    ProblemSet(Box<ProblemSet>),
    /// An image.
    Image(Box<ImageSpec>),
    /// A container.
    Container(Box<ContainerSpec>),
    /// A network.
    Network(NetworkSpec),
    /// A volume.
    Volume(VolumeSpec),
}

/// What all files of a snapshot say.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The manifests that hold, in the order of their resources.
    pub resources: Vec<Manifest>,
    /// The resources of manifests that do not hold, or that need one which does not: they are left as
    /// they are (law 3).
    pub invalid: BTreeSet<ResourceId>,
    /// Whether a file or document could not even be read so far that its resource is known.
    pub opaque: bool,
    /// Which images tags stand for; `None` if that cannot be read.
    pub lock: Option<Lock>,
    /// Everything that is wrong or worth a word, in the order of files and places.
    pub diagnostics: Vec<Diagnostic>,
}

impl Manifests {
    /// Reads every manifest of a snapshot. Never fails: what is wrong is in the result.
    ///
    /// The order of the files, and how manifests are spread over them, does not matter.
    pub fn parse(snapshot: &Snapshot) -> Self {
        let mut diagnostics = Vec::new();
        let mut opaque = false;
        let mut drafts: Vec<Draft> = Vec::new();
        let mut lock = Some(Lock::default());
        for file in snapshot.files() {
            let name: Arc<str> = file.path.to_string_lossy().into();
            match text(file, &name) {
                Ok(text) if snapshot.is_lock(file) => match Lock::read(text, &name) {
                    Ok(read) => lock = Some(read),
                    Err(faults) => {
                        diagnostics.extend(faults);
                        lock = None;
                    }
                },
                Ok(text) => {
                    let file = File { name: &name, base_dir: &Arc::from(file.base_dir.as_path()) };
                    let documents = parse::read(text).into_iter();
                    drafts
                        .extend(documents.map(|document| document::read(document, &file, &mut diagnostics)));
                }
                Err(diagnostic) => {
                    diagnostics.push(diagnostic);
                    lock = lock.filter(|_| !snapshot.is_lock(file));
                    opaque |= !snapshot.is_lock(file);
                }
            }
        }
        drafts.sort_by(|a, b| (&a.id, &a.origin).cmp(&(&b.id, &b.origin)));
        opaque |= drafts.iter().any(|draft| draft.id.is_none());
        let findings = Findings { invalid: BTreeSet::new(), opaque, diagnostics: &mut diagnostics };
        let invalid = check::check(&drafts, findings);
        let valid = drafts.into_iter().filter_map(|draft| draft.manifest);
        let resources = valid.filter(|manifest| !invalid.contains(&manifest.id)).collect();
        diagnostics.sort();
        diagnostics.dedup();
        Self { resources, invalid, opaque, lock, diagnostics }
    }

    /// Whether every manifest holds. Only then may anything be removed (law 3).
    pub fn is_complete(&self) -> bool {
        self.invalid.is_empty() && !self.opaque && self.lock.is_some()
    }

    /// Whether anything is wrong.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

fn text<'s>(file: &'s ManifestFile, name: &Arc<str>) -> Result<&'s str, Diagnostic> {
    match &file.content {
        Content::Text(text) => Ok(text),
        Content::Refused(refusal) => Err(Diagnostic {
            file: name.clone(),
            position: Position { line: refusal.line, column: refusal.column },
            path: FieldPath::root(),
            severity: Severity::Error,
            message: refusal.message.to_owned(),
            hint: refusal.hint.map(str::to_owned),
        }),
    }
}

#[cfg(test)]
mod tests;
