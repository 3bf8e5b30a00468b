//! What is down while its successor may have to wait, or may have to be restarted meanwhile. In: changes. Out: the same, with
//! what stands in the way of starting it again as it was.

use super::{Act, Changes, port, preflight};
use crate::desired::Desired;
use crate::observed::Observed;
use crate::resource::container::ContainerSpec;
use crate::resource::name::{Kind, ResourceId};
use crate::resource::port::{PortMapping, PublishedPort};

pub(super) fn diff(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    let may_be_started = |act: &Act| act.predecessor().is_some_and(|old| !old.up || !old.shares.is_empty());
    let containers = (0..changes.changes.len()).filter(|at| changes.changes[*at].id.kind == Kind::Container);
    for at in containers.collect::<Vec<_>>() {
        if !may_be_started(&changes.changes[at].act) {
            continue;
        }
        let id = changes.changes[at].id.clone();
        let Some(old) = changes.changes[at].act.predecessor().map(|old| old.id.clone()) else { continue };
        let there = observed.containers.iter().find(|one| one.id == old);
        let spec = there.and_then(|one| one.managed.as_ref()?.created.as_ref());
        let why = spec.and_then(|spec| hindrance(&id, spec, desired, observed, changes));
        if let Some(old) = changes.changes[at].act.predecessor_mut() {
            old.hindered = old.hindered.take().or(why);
        }
    }
}

/// Why a container cannot be started as it was made, as far as can be seen.
fn hindrance(
    id: &ResourceId,
    spec: &ContainerSpec,
    desired: &Desired,
    observed: &Observed,
    changes: &Changes,
) -> Option<String> {
    if let Some(path) = spec.required_paths().find(|path| observed.host.absent_paths.contains(*path)) {
        return Some(format!("{path} is not on this host"));
    }
    let ports: Vec<PublishedPort> = spec.ports.iter().flat_map(PortMapping::published).collect();
    let others = observed.containers.iter().filter(|one| !port::is_of(id, one));
    for holder in others {
        let collides = |port: &&PublishedPort| holder.ports.iter().any(|held| held.collides_with(port));
        if let Some(port) = ports.iter().find(collides) {
            return Some(port::taken_by(port, &holder.name));
        }
    }
    let others =
        changes.changes.iter().filter(|change| change.id.kind == Kind::Container && change.id != *id);
    for other in others {
        let asked_for = port::asked_for(&other.id, desired, changes);
        let collides = |port: &&PublishedPort| asked_for.iter().any(|asked| asked.collides_with(port));
        if let Some(port) = ports.iter().find(collides) {
            return Some(format!("port {} is to be {}'s", port.host.unwrap_or_default(), other.id));
        }
    }
    preflight::taken_by_process(&ports, observed)
}
