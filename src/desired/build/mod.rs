//! Manifests and the files they name, made into what should be. Pure: the files were read before.

mod container;
mod image;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

pub use self::image::pulled_tags;
use super::{Desired, Removals};
use crate::assembly::ExamServer;
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::lock::Lock;
use crate::manifest::{Manifest, Manifests, Spec};
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::reference::ImageReference;
use crate::resource::violation::{FieldPath, Severity};
use crate::source::attachment::{Attachment, Attachments, Request};

/// The files that `manifests` name beside themselves.
pub fn attachments(manifests: &Manifests) -> BTreeSet<Request> {
    manifests
        .resources
        .iter()
        .flat_map(|manifest| match &manifest.spec {
            Spec::Container(spec) => container::attachments(manifest, spec),
            Spec::Image(spec) => image::attachments(manifest, spec),
            Spec::ProblemSet(_) | Spec::Network(_) | Spec::Volume(_) => Vec::new(),
        })
        .collect()
}

/// A path of a manifest, seen from the root, without `.` and `..`.
fn absolute(base: &Path, path: &str) -> PathBuf {
    base.join(path).components().fold(PathBuf::new(), |mut done, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                done.pop();
            }
            other => done.push(other),
        }
        done
    })
}

/// What should be, with what is wrong about the files that manifests name.
///
/// A manifest whose file cannot be read counts as invalid: its resource, and containers made from it,
/// are left as they are (law 3).
pub fn build(
    manifests: &Manifests,
    attachments: &Attachments,
    server: &ExamServer,
) -> (Desired, Vec<Diagnostic>) {
    let mut build = Build {
        attachments,
        server,
        by_tag: BTreeMap::new(),
        desired: Desired {
            invalid: manifests.invalid.clone(),
            opaque: manifests.opaque,
            ..Desired::default()
        },
        diagnostics: Vec::new(),
        starts_from: BTreeMap::new(),
        kept_in: BTreeMap::new(),
        lock: manifests.lock.as_ref(),
    };
    let (containers, others): (Vec<&Manifest>, Vec<&Manifest>) =
        manifests.resources.iter().partition(|manifest| manifest.id.kind == Kind::Container);
    for manifest in others {
        build.manifest(manifest);
    }
    build.settle_bases(manifests);
    // Containers come last: their images are known by then.
    for manifest in containers {
        build.manifest(manifest);
    }
    if !manifests.is_complete() || build.diagnostics.iter().any(Diagnostic::is_error) {
        build.desired.wrong = true;
        build.desired.removals =
            Removals::Withheld("a manifest is invalid, so nothing is removed".to_owned());
    } else if manifests.resources.is_empty() {
        build.desired.removals =
            Removals::Withheld("there is no manifest at all, so nothing is removed".to_owned());
    }
    (build.desired, build.diagnostics)
}

/// What is wrong with a field of a spec.
type Fault = (FieldPath, String);

/// What is there, unless it is wrong: that goes to `faults`.
fn unless_wrong<T>(result: Result<T, Fault>, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

struct Build<'a> {
    attachments: &'a Attachments,
    server: &'a ExamServer,
    /// The images that manifests describe, by the references that containers may use.
    by_tag: BTreeMap<ImageReference, Name>,
    desired: Desired,
    diagnostics: Vec<Diagnostic>,
    /// The files in which images are kept, and whose they are.
    kept_in: BTreeMap<PathBuf, ResourceId>,
    /// Which images tags stand for; `None` if that cannot be read.
    lock: Option<&'a Lock>,
    /// The images that built ones start from.
    starts_from: BTreeMap<Name, BTreeSet<ImageReference>>,
}

impl Build<'_> {
    fn manifest(&mut self, manifest: &Manifest) {
        let name = manifest.id.name.clone();
        if let Some(previous) = &manifest.previous_name {
            self.desired.previous_names.insert(previous.clone(), name.clone());
        }
        if manifest.suspend {
            self.desired.suspended.insert(manifest.id.clone());
        }
        // Also of one that turns out to be wrong: what is made from it is left as it is, and is not made from
        // whatever else bears the tag.
        for reference in image::references(&manifest.spec) {
            self.by_tag.insert(reference, name.clone());
        }
        let built = match &manifest.spec {
            Spec::ProblemSet(set) => {
                self.problem_set(manifest, set).map(|image| _ = self.desired.images.insert(name, image))
            }
            Spec::Image(spec) => {
                self.image(manifest, spec).map(|image| _ = self.desired.images.insert(name, image))
            }
            Spec::Container(spec) => self.container(manifest, spec).map(|container| {
                if let Some(container) = container {
                    self.desired.containers.insert(name, Box::new(container));
                } else {
                    self.leave(manifest, "its image is, whose manifest or files cannot be read");
                }
            }),
            Spec::Network(spec) => {
                if manifest.adopt {
                    self.desired.adopted_networks.insert(name.clone());
                }
                self.desired.networks.insert(name, spec.clone());
                Ok(())
            }
            Spec::Volume(spec) => {
                self.desired.volumes.insert(name, spec.clone());
                Ok(())
            }
        };
        for (path, message) in built.err().into_iter().flatten() {
            self.refuse(manifest, &path, message);
        }
    }

    fn refuse(&mut self, manifest: &Manifest, path: &FieldPath, message: String) {
        self.tell(manifest, FieldPath::root().key("spec").join(path), Severity::Error, message);
    }

    /// Leaves a resource as it is for another's sake (law 3).
    fn leave(&mut self, manifest: &Manifest, why: &str) {
        let message = format!("{} is left as it is, as {why}", manifest.id);
        self.tell(manifest, FieldPath::root(), Severity::Warning, message);
    }

    fn tell(&mut self, manifest: &Manifest, path: FieldPath, severity: Severity, message: String) {
        self.desired.invalid.insert(manifest.id.clone());
        self.diagnostics.push(Diagnostic {
            file: manifest.origin.file.clone(),
            position: manifest.places.place(&path),
            path,
            severity,
            message,
            other: None,
            hint: None,
        });
    }

    fn attached(&self, request: &Request) -> Result<&Attachment, String> {
        match self.attachments.get(request) {
            Some(Ok(attachment)) => Ok(attachment),
            Some(Err(why)) => Err(why.clone()),
            None => Err("this file was not read".to_owned()),
        }
    }

    /// The image that a tag stands for, where the lock file says it.
    fn locked(&self, reference: &ImageReference) -> Result<Option<ImageReference>, String> {
        let lock = self.lock.ok_or("the lock file cannot be read, so nobody knows which image is meant")?;
        Ok(lock.resolve(reference))
    }
}

#[cfg(test)]
mod tests;
