//! The files that were put into a container, and what is taken out of one. In: what is wanted, what was put
//! in before. Out: what changed, and where what is taken out is kept.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::{Collection, Told, told};
use crate::desired::DesiredContainer;
use crate::observed::{Applied, EngineId, LiveStatus, ObservedContainer};
use crate::resource::container::{Collect, ContainerSpec, OnChange, PlacedFile};
use crate::resource::name::Name;

/// What is different about a container's files.
#[derive(Default)]
pub(super) struct FileChanges {
    /// The files, for a reader.
    pub(super) reasons: Vec<Told>,
    /// Whether a new container is needed.
    pub(super) replace: bool,
    /// The files that can be put in as it is.
    pub(super) put: Vec<PlacedFile>,
}

impl FileChanges {
    /// Compares the files that are wanted with those that were put in.
    pub(super) fn of(wanted: &DesiredContainer, status: LiveStatus, was: &Applied) -> Self {
        let mut changes = Self::default();
        for file in &wanted.files {
            let path = file.path.as_str();
            let before = was.files.get(path);
            if before == Some(&file.digest) {
                continue;
            }
            let from = before.map(|_| "other content, mode or owner".to_owned());
            let size = file.bytes.len();
            let to = format!("{size} byte{}, {}", if size == 1 { "" } else { "s" }, file.mode);
            changes.reasons.push(told(&format!("files.{path}"), from, Some(to)));
            // A program that never ran read no file yet.
            changes.replace |= file.on_change == OnChange::Replace && status != LiveStatus::Created;
            changes.put.push(file.clone());
        }
        for path in
            was.files.keys().filter(|path| !wanted.files.iter().any(|file| file.path.as_str() == *path))
        {
            changes.reasons.push(told(&format!("files.{path}"), Some("there".to_owned()), None));
            changes.replace = true;
        }
        changes
    }
}

/// The digests of files, by path.
pub(super) fn digests(files: &[PlacedFile]) -> BTreeMap<String, String> {
    files.iter().map(|file| (file.path.as_str().to_owned(), file.digest.clone())).collect()
}

/// What is taken out of a container of `name`'s before it goes: what it was created to give, and what its
/// manifest says now. One that never ran has nothing to give.
pub(super) fn collections(
    name: &Name,
    container: &ObservedContainer,
    wanted: Option<&ContainerSpec>,
) -> Vec<Collection> {
    if container.status == LiveStatus::Created {
        return Vec::new();
    }
    let created = container.managed.as_ref().and_then(|managed| managed.created.as_ref());
    let specs = created.into_iter().chain(wanted);
    let by_path: BTreeMap<&str, &Collect> =
        specs.flat_map(|spec| &spec.collect).map(|collect| (collect.path.as_str(), collect)).collect();
    by_path.into_values().map(|collect| collection(name, &container.id, collect)).collect()
}

/// A path of its own for each container, so that nothing is ever overwritten by another's.
fn collection(name: &Name, id: &EngineId, collect: &Collect) -> Collection {
    let path = collect.path.as_str();
    let inside = format!("{}.tar", path.trim_start_matches('/'));
    Collection {
        path: path.to_owned(),
        archive: Path::new(&collect.to).join(name.as_str()).join(id.short()).join(inside),
    }
}

/// What is taken out, for a reader.
pub(super) fn collected(collections: &[Collection]) -> impl Iterator<Item = Told> {
    collections.iter().map(|one| {
        told(
            "collect",
            Some(one.path.clone()),
            Some(crate::fields::plain(&one.archive.display().to_string())),
        )
    })
}
