//! What is wrong between manifests. In: every document of a snapshot. Out: the resources to be left as
//! they are, and why. Takes time in proportion to the manifests, however they refer to each other.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::Spec;
use super::claims;
use super::diagnostic::Diagnostic;
use super::document::Draft;
use super::references::{self, Reference};
use crate::resource::container::ContainerSpec;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::violation::{FieldPath, Severity};

/// The shortest timeout, in seconds, for the check of a problem set's image: it takes 8 s where all is well.
const EXAM_CHECK_MIN: u64 = 10;

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
    pub fn error(&mut self, draft: &Draft<'_>, path: &FieldPath, message: String, hint: Option<String>) {
        self.diagnostics.push(draft.diagnostic(path, Severity::Error, message, hint));
        self.invalid.extend(draft.id.clone());
    }

    /// Tells that a document wants what another has. The message ends with the other's resource.
    pub fn contested(
        &mut self,
        draft: &Draft<'_>,
        path: &FieldPath,
        message: String,
        other: &Draft<'_>,
        hint: Option<String>,
    ) {
        let other = Some(other.place_of_name());
        self.diagnostics.push(Diagnostic { other, ..draft.diagnostic(path, Severity::Error, message, hint) });
        self.invalid.extend(draft.id.clone());
    }
}

/// A document whose spec can be read, be it in part: what is wrong with it between manifests is told with what else is.
#[derive(Clone, Copy)]
pub(super) struct Readable<'d, 't> {
    pub draft: &'d Draft<'t>,
    pub spec: &'d Spec,
}

impl<'d> Readable<'d, '_> {
    /// The resource; `None` if that cannot be known.
    pub fn id(&self) -> Option<&'d ResourceId> {
        self.draft.id.as_ref()
    }

    /// The container, if it is one.
    pub fn container(&self) -> Option<&'d ContainerSpec> {
        match self.spec {
            Spec::Container(container) => Some(container),
            _ => None,
        }
    }

    /// The container, if it is one that surely is to run.
    pub fn running(&self) -> Option<&'d ContainerSpec> {
        let is_known = self.draft.is_read(&FieldPath::root().key("spec").key("state"));
        self.container().filter(|container| is_known && container.state.starts())
    }
}

/// Checks documents, which come in the order of their resources. Returns what is to be left as it is.
pub(super) fn check(drafts: &[Draft<'_>], mut findings: Findings<'_>) -> BTreeSet<ResourceId> {
    let refused = drafts.iter().filter(|draft| draft.manifest.is_none());
    findings.invalid.extend(refused.filter_map(|draft| draft.id.clone()));
    let readable: Vec<Readable> =
        drafts.iter().filter_map(|draft| Some(Readable { draft, spec: draft.spec()? })).collect();
    check_names(drafts, &mut findings);
    check_image_names(drafts, &mut findings);
    claims::check_ports(&readable, &mut findings);
    claims::check_subnets(&readable, &mut findings);
    claims::check_previous_names(drafts, &mut findings);
    let tags = claims::check_tags(drafts, &readable, &mut findings);
    let references = references::of(&readable, &tags);
    references::check_targets(drafts, &readable, &references, &mut findings);
    references::check_addresses(&readable, &mut findings);
    check_exam_timeouts(&readable, &mut findings);
    references::check_cycles(&readable, &references, &mut findings);
    withhold_dependents(&readable, &references, &mut findings);
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
                let message = format!("{id} is already described");
                let path = FieldPath::root().key("metadata").key("name");
                findings.contested(draft, &path, message, before, hint);
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
            findings.error(draft, &FieldPath::root().key("metadata").key("name"), message, None);
        }
    }
}

/// The check of the image that a problem set becomes takes its time. Not where the paper is put on another image, whose check counts.
fn check_exam_timeouts(readable: &[Readable<'_, '_>], findings: &mut Findings<'_>) {
    let exams: HashSet<&Name> = readable
        .iter()
        .filter_map(|this| this.draft.manifest.as_ref())
        .filter(|manifest| matches!(&manifest.spec, Spec::ProblemSet(set) if set.base.is_none()))
        .map(|manifest| &manifest.id.name)
        .collect();
    let path = FieldPath::root().key("spec").key("healthcheck");
    for this in readable {
        let Some(container) = this.container().filter(|_| this.draft.is_read(&path)) else { continue };
        let Some(check) = container.healthcheck.as_ref().filter(|check| check.test.is_none()) else {
            continue;
        };
        let is_short = check.timeout.is_some_and(|timeout| (1..EXAM_CHECK_MIN).contains(&timeout.seconds()));
        if is_short && container.problem_set.as_ref().is_some_and(|set| exams.contains(set)) {
            let message = "less than 10s: the check of a problem set's image takes 8 s where all is well, and would fail";
            let hint = "leave the timeout out, or give a check that answers at once: test: [CMD, /invigil-exam, health]";
            findings.error(this.draft, &path.key("timeout"), message.to_owned(), Some(hint.to_owned()));
        }
    }
}

/// What refers to something that is left as it is, is left as it is too: what it would be given is not
/// known to be there (law 6).
fn withhold_dependents(readable: &[Readable<'_, '_>], references: &[Reference], findings: &mut Findings<'_>) {
    let mut dependents: HashMap<&ResourceId, Vec<&Reference>> = HashMap::new();
    for reference in references {
        dependents.entry(&reference.target).or_default().push(reference);
    }
    let mut queue: VecDeque<ResourceId> = findings.invalid.iter().cloned().collect();
    while let Some(id) = queue.pop_front() {
        for reference in dependents.get(&id).into_iter().flatten() {
            let Some(dependent) = readable.get(reference.from) else { continue };
            let Some(left) = dependent.id() else { continue };
            if findings.invalid.insert(left.clone()) {
                let message = format!("{left} is left as it is, because {id} is");
                findings.diagnostics.push(dependent.draft.diagnostic(
                    &reference.path,
                    Severity::Warning,
                    message,
                    None,
                ));
                queue.push_back(left.clone());
            }
        }
    }
}
