//! What is wrong between manifests. In: every document of a snapshot. Out: the resources to be left as
//! they are, and why. Takes time in proportion to the manifests, however they refer to each other.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::claims;
use super::diagnostic::Diagnostic;
use super::document::Draft;
use super::references::{self, Reference};
use super::{Manifest, Spec};
use crate::resource::container::ContainerSpec;
use crate::resource::name::{Kind, ResourceId};
use crate::resource::violation::{FieldPath, Severity};

/// What was found so far.
pub(super) struct Findings<'d> {
    /// The resources that are left as they are.
    pub invalid: BTreeSet<ResourceId>,
    /// Whether there are documents whose resource is unknown.
    pub opaque: bool,
    /// What is told.
    pub diagnostics: &'d mut Vec<Diagnostic>,
}

impl Findings<'_> {
    /// Tells of an error in a document, whose resource is thereby invalid.
    pub fn error(&mut self, draft: &Draft<'_>, path: FieldPath, message: String, hint: Option<String>) {
        self.diagnostics.push(draft.diagnostic(path, Severity::Error, message, hint));
        self.invalid.extend(draft.id.clone());
    }
}

/// A document that is valid by itself.
#[derive(Clone, Copy)]
pub(super) struct Valid<'d, 't> {
    pub draft: &'d Draft<'t>,
    pub manifest: &'d Manifest,
}

impl<'d> Valid<'d, '_> {
    /// The container, if it is one.
    pub fn container(&self) -> Option<&'d ContainerSpec> {
        match &self.manifest.spec {
            Spec::Container(container) => Some(container),
            _ => None,
        }
    }

    /// The resource and where it is described, for people: `container/web (b.yaml:3:9)`.
    pub fn shown(&self) -> String {
        format!("{} ({})", self.manifest.id, self.draft.place_of_name())
    }
}

/// Checks documents, which come in the order of their resources. Returns what is to be left as it is.
pub(super) fn check(drafts: &[Draft<'_>], mut findings: Findings<'_>) -> BTreeSet<ResourceId> {
    let refused = drafts.iter().filter(|draft| draft.manifest.is_none());
    findings.invalid.extend(refused.filter_map(|draft| draft.id.clone()));
    let valid: Vec<Valid> = drafts
        .iter()
        .filter_map(|draft| draft.manifest.as_ref().map(|manifest| Valid { draft, manifest }))
        .collect();
    check_names(drafts, &mut findings);
    check_image_names(drafts, &mut findings);
    claims::check_ports(&valid, &mut findings);
    let tags = claims::check_tags(drafts, &valid, &mut findings);
    let references = references::of(&valid, &tags);
    references::check_targets(drafts, &valid, &references, &mut findings);
    references::check_addresses(&valid, &mut findings);
    references::check_cycles(&valid, &references, &mut findings);
    withhold_dependents(&valid, &references, &mut findings);
    findings.invalid
}

/// One resource, one document.
fn check_names(drafts: &[Draft<'_>], findings: &mut Findings<'_>) {
    let mut first = None::<&Draft>;
    for draft in drafts {
        match (first, &draft.id) {
            (Some(before), Some(id)) if before.id.as_ref() == Some(id) => {
                let mixed = before.root.get("kind").and_then(|kind| kind.text())
                    != draft.root.get("kind").and_then(|kind| kind.text());
                let hint = mixed
                    .then(|| "a problem set becomes an image, so that they share their names".to_owned());
                let message = format!("{id} is already described at {}", before.place_of_name());
                findings.error(draft, FieldPath::root().key("metadata").key("name"), message, hint);
            }
            _ => first = Some(draft),
        }
    }
}

/// An image's name is part of the tag that marks it.
fn check_image_names(drafts: &[Draft<'_>], findings: &mut Findings<'_>) {
    for draft in drafts {
        let Some(id) = draft.id.as_ref().filter(|id| id.kind == Kind::Image) else { continue };
        if !id.name.is_repository_component() {
            let message = format!(
                "`{}` is not an image's name: it has lower-case letters and digits, separated by `.`, `_`, `__` or `-`",
                id.name
            );
            findings.error(draft, FieldPath::root().key("metadata").key("name"), message, None);
        }
    }
}

/// What refers to something that is left as it is, is left as it is too: what it would be given is not
/// known to be there (law 6).
fn withhold_dependents(valid: &[Valid<'_, '_>], references: &[Reference], findings: &mut Findings<'_>) {
    let mut dependents: HashMap<&ResourceId, Vec<&Reference>> = HashMap::new();
    for reference in references {
        dependents.entry(&reference.target).or_default().push(reference);
    }
    let mut queue: VecDeque<ResourceId> = findings.invalid.iter().cloned().collect();
    while let Some(id) = queue.pop_front() {
        for reference in dependents.get(&id).into_iter().flatten() {
            let Some(dependent) = valid.get(reference.from) else { continue };
            if findings.invalid.insert(dependent.manifest.id.clone()) {
                let message = format!("{} is left as it is, because {id} is", dependent.manifest.id);
                findings.diagnostics.push(dependent.draft.diagnostic(
                    reference.path.clone(),
                    Severity::Warning,
                    message,
                    None,
                ));
                queue.push_back(dependent.manifest.id.clone());
            }
        }
    }
}
