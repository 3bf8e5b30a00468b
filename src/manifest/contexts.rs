//! Build contexts among the manifests. In: what files say, and where they stand. Out: which of them belong to a builder and
//! are no manifests. A file that says it is a manifest is never passed over (law 3).

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::Spec;
use super::diagnostic::Diagnostic;
use super::document::Draft;
use crate::resource::image::Context;
use crate::resource::name::ResourceId;
use crate::resource::violation::{FieldPath, Severity};

/// The directories that builders are sent; where each is named, and by which image.
pub(super) struct Contexts(BTreeMap<PathBuf, Vec<(PathBuf, ResourceId)>>);

/// What a file is to its context.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// It is in none.
    Outside,
    /// The image's manifest stands beside it, in the context as well.
    BesideItsManifest(&'a ResourceId),
    /// It is the builder's.
    Within(&'a ResourceId),
}

impl Contexts {
    /// What documents say of contexts, each with its file's directory; also those that are wrong elsewhere.
    pub(super) fn of<'a, 't: 'a>(drafts: impl Iterator<Item = (&'a Path, &'a Draft<'t>)>) -> Self {
        let mut contexts: BTreeMap<PathBuf, Vec<(PathBuf, ResourceId)>> = BTreeMap::new();
        let field = FieldPath::root().key("spec").key("build").key("context");
        for (directory, draft) in drafts {
            let (Some(id), Some(Spec::Image(spec))) = (&draft.id, draft.spec()) else { continue };
            let context = spec.build.as_ref().and_then(|build| build.context.as_ref());
            let Some(Context::Path(path)) = context.filter(|_| draft.is_read(&field)) else { continue };
            let named = (plain(directory), id.clone());
            contexts.entry(plain(&directory.join(path))).or_default().push(named);
        }
        Self(contexts)
    }

    /// What a file in this directory is. A context without the manifest that names it comes before one with it.
    pub(super) fn place(&self, directory: &Path) -> Place<'_> {
        let directory = plain(directory);
        let mut place = Place::Outside;
        for context in directory.ancestors() {
            for (named_in, image) in self.0.get(context).into_iter().flatten() {
                if !named_in.starts_with(context) {
                    return Place::Within(image);
                }
                place = Place::BesideItsManifest(image);
            }
        }
        place
    }
}

/// Whether a file may say of itself that it is a manifest; one that cannot be read may.
pub(super) fn is_claimed(text: Option<&str>, drafts: &[Draft<'_>]) -> bool {
    let says_so =
        |text: &str| text.lines().any(|line| line.contains("apiVersion") && line.contains("invigil/"));
    text.is_none_or(says_so) || drafts.iter().any(Draft::may_be_ours)
}

/// Has a manifest that stands where none is read left as it is, and says so.
pub(super) fn refuse(draft: &mut Draft<'_>, image: &ResourceId) -> Diagnostic {
    draft.manifest = None;
    Diagnostic {
        file: draft.origin.file.clone(),
        position: draft.origin.position,
        path: FieldPath::root(),
        severity: Severity::Error,
        message: format!("this manifest is in the build context of {image}, where none is read"),
        other: None,
        hint: Some("move it out of there, or give the context a directory of its own".to_owned()),
    }
}

/// Says of what is wrong with a file where it stands: it may be no manifest at all.
pub(super) fn hint(diagnostic: &mut Diagnostic, image: &ResourceId) {
    if diagnostic.is_error() && diagnostic.hint.is_none() {
        diagnostic.hint = Some(format!(
            "it is in the build context of {image}: if it is no manifest, give the context a directory of its own"
        ));
    }
}

/// A path without `.` and `..`, as it is written: links are not followed.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}
