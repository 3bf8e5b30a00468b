//! Which containers stand for which resource. In: what was observed. Out: the live containers of a name, found
//! without looking at all of them.

use std::collections::HashMap;

use super::{NEXT_SUFFIX, PREVIOUS_SUFFIX};
use crate::observed::{Managed, Observed, ObservedContainer};
use crate::resource::name::Name;

/// The containers on an engine, by resource and by name.
pub(super) struct Standing<'a> {
    by_resource: HashMap<&'a Name, Vec<(&'a ObservedContainer, &'a Managed)>>,
    by_name: HashMap<&'a str, &'a ObservedContainer>,
}

impl<'a> Standing<'a> {
    pub(super) fn of(observed: &'a Observed) -> Self {
        let mut by_resource: HashMap<&Name, Vec<(&ObservedContainer, &Managed)>> = HashMap::new();
        for container in &observed.containers {
            if let Some(managed) = container.managed.as_deref() {
                by_resource.entry(&managed.resource).or_default().push((container, managed));
            }
        }
        for (name, found) in &mut by_resource {
            found.sort_by_key(|(container, _)| (rank(name, container), &container.id));
        }
        let by_name = observed.containers.iter().map(|container| (container.name.as_str(), container));
        Self { by_resource, by_name: by_name.collect() }
    }

    /// The live containers of a resource, the one that stands for it first: the one that bears its name,
    /// else a predecessor whose replacement was interrupted, else one that somebody renamed.
    pub(super) fn live(
        &self,
        name: &Name,
    ) -> impl Iterator<Item = (&'a ObservedContainer, &'a Managed)> + use<'a, '_> {
        self.by_resource.get(name).into_iter().flatten().copied()
    }

    /// The container that bears a resource's name and is another's.
    pub(super) fn foreign(&self, name: &Name) -> Option<&'a ObservedContainer> {
        let there = self.called(name.as_str())?;
        there.managed.as_ref().is_none_or(|managed| managed.resource != *name).then_some(there)
    }

    /// The container of this name, whoever's it is.
    pub(super) fn called(&self, name: &str) -> Option<&'a ObservedContainer> {
        self.by_name.get(name).copied()
    }

    /// The resources that are there.
    pub(super) fn resources(&self) -> impl Iterator<Item = &'a Name> + use<'a, '_> {
        self.by_resource.keys().copied()
    }
}

fn rank(name: &Name, container: &ObservedContainer) -> u8 {
    match container.name.strip_prefix(name.as_str()) {
        Some("") => 0,
        Some(PREVIOUS_SUFFIX) => 1,
        Some(NEXT_SUFFIX) => 3,
        _ => 2,
    }
}
