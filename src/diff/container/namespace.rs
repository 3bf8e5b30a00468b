//! Containers that share a namespace of another, or are linked to it: they follow it. In: desired and observed. Out: the order, and
//! what a change of the one means for the other.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Act, Change, Changes, Operation, Told, told};
use super::standing::Standing;
use super::{NEXT_SUFFIX, PREVIOUS_SUFFIX};
use crate::desired::DesiredContainer;
use crate::fields::Difference;
use crate::observed::{Applied, LiveStatus, Managed, Observed, ObservedContainer, StartedAt};
use crate::resource::container::{ContainerSpec, State};
use crate::resource::name::{Kind, Name, ResourceId};

/// The containers, each after those that it is made for: it has to follow them.
pub(super) fn owners_first(
    containers: &BTreeMap<Name, Box<DesiredContainer>>,
) -> Vec<(&Name, &DesiredContainer)> {
    let mut ordered = Vec::with_capacity(containers.len());
    let mut left: BTreeMap<&Name, &DesiredContainer> =
        containers.iter().map(|(name, wanted)| (name, &**wanted)).collect();
    while !left.is_empty() {
        let waits =
            |wanted: &DesiredContainer| wanted.spec.made_for().any(|(_, name, _)| left.contains_key(name));
        let mut free: Vec<(&Name, &DesiredContainer)> =
            left.iter().filter(|(_, wanted)| !waits(wanted)).map(|(name, wanted)| (*name, *wanted)).collect();
        if free.is_empty() {
            // A circle, which no valid manifests have.
            free = left.iter().map(|(name, wanted)| (*name, *wanted)).collect();
        }
        for (name, _) in &free {
            left.remove(name);
        }
        ordered.extend(free);
    }
    ordered
}

/// Who shares a namespace of a container that is made anew, or is linked to it, is left without it: it is made anew too. What its
/// own `differences` tell already is not told again.
pub(super) fn namespace_differences<'a>(
    wanted: &'a DesiredContainer,
    status: LiveStatus,
    differences: &'a [Difference],
    changes: &'a Changes,
) -> impl Iterator<Item = Told> + 'a {
    let is_renewed = |name: &Name| {
        let id = ResourceId::new(Kind::Container, name.clone());
        let renews = |act: &Act| matches!(act, Act::Create(_) | Act::Replace { .. });
        changes.changes.iter().any(|change| change.id == id && renews(&change.act))
    };
    let is_told = |field: &str| differences.iter().any(|difference| difference.field.name == field);
    let is_over = is_over(wanted, status);
    let made_for = wanted.spec.made_for().filter(move |_| !is_over);
    let anew = made_for.filter(move |(field, name, _)| is_renewed(name) && !is_told(field));
    anew.map(|(field, _, said)| {
        let anew = format!("{said}, which is made anew");
        told(field, Some(said), Some(anew))
    })
}

/// A job that has run to its end is not run again because somebody whom it was made for is another one by now.
pub(super) fn without_owners(
    mut differences: Vec<Difference>,
    wanted: &DesiredContainer,
    (container, managed): (&ObservedContainer, &Managed),
) -> Vec<Difference> {
    let asked = |spec: &ContainerSpec, field: &str| -> Vec<String> {
        spec.made_for().filter(|(of, ..)| *of == field).map(|(_, _, said)| said).collect()
    };
    if let Some(created) = managed.created.as_ref().filter(|_| is_over(wanted, container.status)) {
        differences.retain(|difference| {
            let now = asked(&wanted.spec, difference.field.name);
            now.is_empty() || now != asked(created, difference.field.name)
        });
    }
    differences
}

/// Whether it is a job that has run to its end.
fn is_over(wanted: &DesiredContainer, status: LiveStatus) -> bool {
    wanted.spec.state == State::Completed && matches!(status, LiveStatus::Exited(_))
}

/// Who leaves a namespace of a container goes before that one does: should it have to be put back, the
/// namespace still has to be there. Who needs the container otherwise has to follow it all the same.
pub(super) fn let_leavers_go_first(observed: &Observed, changes: &mut Changes) {
    let managed = observed.containers.iter().filter_map(|container| container.managed.as_ref());
    let mut managed: Vec<&Managed> = managed.map(AsRef::as_ref).collect();
    managed.sort_by_key(|managed| &managed.resource);
    for managed in managed {
        for shared in shared_live(managed) {
            let leaver = ResourceId::new(Kind::Container, managed.resource.clone());
            let stops = |change: &Change| match &change.act {
                Act::Remove(_) | Act::Replace { .. } => true,
                Act::Alter { operations, .. } => operations.iter().any(Operation::stops),
                _ => false,
            };
            let goes = |change: &Change| change.id == shared && stops(change);
            let changes_too = changes.changes.iter().any(|change| change.id == leaver);
            if changes_too && changes.changes.iter().any(goes) && !changes.has_to_follow(&leaver, &shared) {
                changes.let_follow(&shared, leaver);
            }
        }
    }
}

/// Who is in a namespace of a container, or is linked to it, and is left as it is, as its manifest is wrong or its removal is
/// withheld, would be cut off were that one made anew.
pub(super) fn wait_for_who_stays(observed: &Observed, changes: &mut Changes) {
    let up = observed.containers.iter().filter(|container| container.status.is_up());
    for sharer in up.filter_map(|container| container.managed.as_deref()) {
        let id = ResourceId::new(Kind::Container, sharer.resource.clone());
        let owners: BTreeSet<ResourceId> = shares(sharer).into_iter().chain(linked(sharer)).collect();
        if owners.is_empty() || changes.changes.iter().any(|change| change.id == id) {
            continue;
        }
        let is_made_anew = |change: &&Change| {
            owners.contains(&change.id) && matches!(&change.act, Act::Replace { old, .. } if old.up)
        };
        let anew: Vec<ResourceId> =
            changes.changes.iter().filter(is_made_anew).map(|change| change.id.clone()).collect();
        let withheld = changes.withheld.iter().find(|(withheld, _)| *withheld == id);
        let stays = withheld.map_or("is left as it is".to_owned(), |(_, why)| format!("is kept: {why}"));
        for owner in anew {
            let why = format!("waits for {id}, which {stays}");
            let told = changes.waiting.entry(owner).or_insert_with(|| why.clone());
            // Of several the first one by name, in whatever order an engine lists them.
            if *told > why {
                *told = why;
            }
        }
    }
}

/// When the programs were started whose namespaces a container shares, of those that are up.
pub(super) fn owners_started(sharer: &Managed, standing: &Standing<'_>) -> BTreeMap<Name, StartedAt> {
    let started = |owner: ResourceId| {
        let (container, managed) = standing.live(&owner.name).next()?;
        Some((owner.name, managed.started.filter(|_| container.status.is_up())?))
    };
    shared_live(sharer).into_iter().filter_map(started).collect()
}

/// Whether a container that shares a namespace of one that was started at this moment has the one that was before.
pub(super) fn is_left_behind(sharer: &Managed, was: &Applied, owner: &Name, started: StartedAt) -> bool {
    match was.followed.get(owner) {
        Some(followed) if *followed == started => false,
        Some(_) if was.followed_at.is_some() && was.followed_at == sharer.started => true,
        _ => Some(started) > sharer.started,
    }
}

/// The resources whose namespaces a live container shares, be it those of one that was put aside.
pub(super) fn shares(managed: &Managed) -> BTreeSet<ResourceId> {
    shared_live(managed).into_iter().map(resource).collect()
}

/// The resource in whose PID namespace a live container is.
pub(super) fn pid_of(managed: &Managed) -> Option<ResourceId> {
    shared(managed, "pidMode").map(resource)
}

/// The resources that a container was linked to when it was made.
pub(super) fn linked(managed: &Managed) -> BTreeSet<ResourceId> {
    let links = managed.created.iter().flat_map(|created| &created.links);
    links.map(|link| ResourceId::new(Kind::Container, link.container.clone())).collect()
}

/// The resource that a container belongs to by its name, be it one that was put aside.
fn resource(container: ResourceId) -> ResourceId {
    let name = container.name.as_str();
    let base = [PREVIOUS_SUFFIX, NEXT_SUFFIX].into_iter().find_map(|suffix| name.strip_suffix(suffix));
    let base = base.and_then(|base| base.parse().ok()).map(|base| ResourceId::new(Kind::Container, base));
    base.unwrap_or(container)
}

/// The containers whose namespaces a live one shares.
fn shared_live(managed: &Managed) -> BTreeSet<ResourceId> {
    ["networkMode", "ipcMode", "pidMode"].into_iter().filter_map(|field| shared(managed, field)).collect()
}

/// The container whose namespace a live one shares, of those that this field is about.
fn shared(managed: &Managed, field: &str) -> Option<ResourceId> {
    let mode = managed.live.get(field)?.as_str()?;
    let owner = mode.strip_prefix("container:")?.parse().ok()?;
    Some(ResourceId::new(Kind::Container, owner))
}
