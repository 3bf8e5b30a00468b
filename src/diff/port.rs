//! The host's ports. A container is not made, and its predecessor not stopped, for a port that somebody
//! goes on holding (law 6); one that another change gives up is waited for.

use super::{Act, Changes, Operation};
use crate::desired::Desired;
use crate::observed::{Observed, ObservedContainer};
use crate::resource::name::{Kind, ResourceId};
use crate::resource::port::{PortMapping, PublishedPort};

pub(super) fn diff(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    let mut ids: Vec<ResourceId> = changes.changes.iter().map(|change| change.id.clone()).collect();
    ids.retain(|id| id.kind == Kind::Container);
    ids.sort();
    let mut holders: Vec<&ObservedContainer> =
        observed.containers.iter().filter(|container| !container.ports.is_empty()).collect();
    holders.sort_by_key(|container| (&container.name, &container.id));
    for id in ids {
        let wanted = asked_for(&id, desired, changes);
        for holder in holders.iter().filter(|holder| !is_of(&id, holder)) {
            let collides = |port: &&PublishedPort| holder.ports.iter().any(|held| held.collides_with(port));
            let Some(port) = wanted.iter().find(collides) else { continue };
            match gives_up(holder, changes) {
                Some(giver) if !changes.has_to_follow(&giver, &id) => changes.let_follow(&id, giver),
                giver => {
                    block(&id, port, holder, giver.is_some(), changes);
                    break;
                }
            }
        }
    }
}

/// The ports that a change is going to take.
pub(super) fn asked_for(id: &ResourceId, desired: &Desired, changes: &Changes) -> Vec<PublishedPort> {
    let change = changes.changes.iter().find(|change| change.id == *id);
    let starts = change.is_some_and(|change| change.act.starts());
    let wanted = desired.containers.get(&id.name).filter(|_| starts);
    wanted.iter().flat_map(|wanted| &wanted.spec.ports).flat_map(PortMapping::published).collect()
}

pub(super) fn is_of(id: &ResourceId, container: &ObservedContainer) -> bool {
    let known = container.managed.as_ref().or(container.stranger.as_ref());
    known.is_some_and(|known| known.resource == id.name)
}

/// The change by which a container gives its ports up.
pub(super) fn gives_up(holder: &ObservedContainer, changes: &Changes) -> Option<ResourceId> {
    let stops = changes.changes.iter().find(|change| match &change.act {
        Act::Alter { container, operations, .. } => {
            container.id == holder.id && operations.contains(&Operation::Stop)
        }
        _ => false,
    });
    stops.map(|change| change.id.clone()).or_else(|| changes.leaves(holder).map(|need| need.id))
}

/// That a port is a container's.
pub(super) fn taken_by(port: &PublishedPort, holder: &str) -> String {
    let (port, holder) = (port.host.unwrap_or_default(), crate::fields::plain(holder));
    format!("port {port} is already taken on this host (by container/{holder})")
}

fn block(
    id: &ResourceId,
    port: &PublishedPort,
    holder: &ObservedContainer,
    goes: bool,
    changes: &mut Changes,
) {
    let taken = taken_by(port, &holder.name);
    let why = if goes {
        format!(
            "{taken}, which cannot give it up before {id} is changed: move one of them to a free port first"
        )
    } else {
        taken
    };
    for change in changes.changes.iter_mut().filter(|change| change.id == *id) {
        change.block(why.clone());
    }
}
