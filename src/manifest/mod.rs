//! Manifests: YAML into values. In: a snapshot of files. Out: valid manifests, and every error of the
//! others with its file, line, column and field. Never talks to an engine.
//!
//! ```text
//! text -> (parse) -> tree -> (reader) -> document -> (check) -> Manifests
//! ```

mod check;
mod claims;
mod contexts;
mod deserializer;
pub mod diagnostic;
mod document;
mod foreign;
pub mod kinds;
pub mod lock;
pub(crate) mod parse;
mod reader;
mod references;
pub(crate) mod scalar;
pub mod schema;
pub(crate) mod suggestion;
pub(crate) mod tree;
mod unread;
mod wording;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use self::lock::Lock;
use crate::problemset::set::ProblemSet;
use crate::resource::container::ContainerSpec;
use crate::resource::image::ImageSpec;
use crate::resource::name::{Name, ResourceId};
use crate::resource::network::NetworkSpec;
use crate::resource::printable::printable;
use crate::resource::violation::FieldPath;
use crate::resource::volume::VolumeSpec;
use crate::source::{Content, ManifestFile, Refusal, Snapshot};

use check::Findings;
use contexts::{Contexts, Place};
use diagnostic::{Diagnostic, Position};
use document::{Draft, File};
use tree::{Fault, Node};

/// One valid manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Which resource it describes.
    pub id: ResourceId,
    /// Whether an unmanaged container of this name is taken over.
    pub adopt: bool,
    /// Whether the resource is left as it is.
    pub suspend: bool,
    /// What the container was called.
    pub previous_name: Option<Name>,
    /// What the resource is to be.
    pub spec: Spec,
    /// Where it stands. Not part of the resource: moving a manifest changes nothing.
    pub origin: Origin,
    /// The directory that its relative paths start from; absolute.
    pub base_dir: Arc<Path>,
    /// What is replaced with the next commit, the manifest in it: nothing may be bound from there, or kept there.
    pub checkout: Option<Arc<Path>>,
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

impl Origin {
    /// The same, with the file's path from where the reader stands: `root` as the reader gave it.
    #[must_use]
    pub fn seen_from(&self, root: &Path) -> Self {
        Self { file: diagnostic::seen_from(&self.file, root), position: self.position }
    }
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
        let mut lock = Some(Lock::default());
        let mut read: Vec<Read<'_>> = Vec::new();
        let checkout: Option<Arc<Path>> =
            snapshot.checkout().map(|checkout| Arc::from(checkout.directory.as_path()));
        for file in snapshot.files() {
            let name: Arc<str> = file.path.to_string_lossy().into();
            if !snapshot.is_lock(file) {
                read.push(Read::of(&name, file, checkout.as_ref()));
                continue;
            }
            let found = match &file.content {
                Content::Text(text) => Lock::read(text, &name),
                Content::Refused(refusal) => Err(vec![refused(refusal, name)]),
            };
            lock = found.map_err(|faults| diagnostics.extend(faults)).ok();
        }
        let contexts = Contexts::of(
            read.iter().flat_map(|read| read.drafts.iter().map(|draft| (read.directory, draft))),
        );
        let mut drafts: Vec<Draft> = Vec::new();
        for read in read {
            let Some(read) = read.seen_in(&contexts) else { continue };
            opaque |= read.text.is_none();
            diagnostics.extend(read.diagnostics);
            drafts.extend(read.drafts);
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

/// What one file says.
struct Read<'s> {
    directory: &'s Path,
    /// `None` of what cannot be a manifest.
    text: Option<&'s str>,
    drafts: Vec<Draft<'s>>,
    diagnostics: Vec<Diagnostic>,
}

impl<'s> Read<'s> {
    fn of(name: &Arc<str>, file: &'s ManifestFile, checkout: Option<&Arc<Path>>) -> Self {
        let directory = file.base_dir.as_path();
        let mut diagnostics = Vec::new();
        let (text, drafts) = match &file.content {
            Content::Text(text) => {
                let file = File { name, base_dir: &Arc::from(directory), checkout };
                let documents = parse::read(text).into_iter();
                let read = documents.map(|document| document::read(document, &file, &mut diagnostics));
                (Some(text.as_str()), read.collect())
            }
            Content::Refused(refusal) => {
                diagnostics.push(refused(refusal, name.clone()));
                (None, Vec::new())
            }
        };
        Self { directory, text, drafts, diagnostics }
    }

    /// The same where contexts are known; `None` of what is a builder's.
    fn seen_in(mut self, contexts: &Contexts) -> Option<Self> {
        let is_claimed = contexts::is_claimed(self.text, &self.drafts);
        match contexts.place(self.directory) {
            Place::Within(_) if !is_claimed => return None,
            Place::Within(image) => {
                self.diagnostics.iter_mut().for_each(|one| contexts::hint(one, image));
                let told = self.drafts.iter_mut().map(|draft| contexts::refuse(draft, image));
                self.diagnostics.extend(told);
            }
            Place::BesideItsManifest(image) if !is_claimed => {
                self.diagnostics.iter_mut().for_each(|one| contexts::hint(one, image));
            }
            Place::BesideItsManifest(_) | Place::Outside => {}
        }
        Some(self)
    }
}

/// What is told of a file that can be no manifest.
fn refused(refusal: &Refusal, file: Arc<str>) -> Diagnostic {
    let position = Position { line: refusal.line, column: refusal.column };
    let (message, hint) = (refusal.message.to_owned(), refusal.hint.map(str::to_owned));
    Diagnostic::of_fault(file, Fault { position, path: FieldPath::root(), message, hint })
}

#[cfg(test)]
mod tests;
