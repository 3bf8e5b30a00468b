//! What has to be so before a container is touched (law 6), as far as the host itself says: free ports and
//! sources of binds. Also what is no error but worth knowing.

use super::{Act, Changes, port};
use crate::desired::Desired;
use crate::observed::{HeldPort, HostFacts, Observed, ObservedContainer};
use crate::resource::container::Reference;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::port::PublishedPort;
use crate::resource::quantity::ByteSize;

pub(super) fn diff(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    let ids: Vec<ResourceId> = changes.changes.iter().map(|change| change.id.clone()).collect();
    for id in ids.into_iter().filter(|id| id.kind == Kind::Container) {
        let why = missing_source(&id, desired, &observed.host, changes);
        let why = why.or_else(|| may_be_described(&id, desired, observed, changes)).or_else(|| {
            let taken = taken_port(&id, desired, observed, changes)?;
            (!may_be_given_up(&id, observed, changes)).then_some(taken)
        });
        for change in changes.changes.iter_mut().filter(|change| change.id == id) {
            if let Some(why) = &why {
                change.act = Act::Block(why.clone());
                change.needs = Vec::new();
            }
        }
    }
    changes.warnings.extend(too_much_memory(desired, &observed.host));
}

/// The source of a bind that is not there. The engine would make an empty directory in its place, or refuse.
fn missing_source(id: &ResourceId, desired: &Desired, host: &HostFacts, changes: &Changes) -> Option<String> {
    let needs_it = |act: &Act| matches!(act, Act::Create(_) | Act::Replace { .. }) || act.starts();
    changes.changes.iter().find(|change| change.id == *id && needs_it(&change.act))?;
    let spec = &desired.containers.get(&id.name)?.spec;
    let path = spec.required_paths().find(|path| host.absent_paths.contains(*path))?;
    Some(format!("{path} is not on this host: make it, or write the bind out with createHostPath: true"))
}

/// What the engine would pull or make by itself, though a manifest that cannot be read may describe it.
fn may_be_described(
    id: &ResourceId,
    desired: &Desired,
    observed: &Observed,
    changes: &Changes,
) -> Option<String> {
    if !desired.opaque {
        return None;
    }
    let new = changes.changes.iter().find_map(|change| match &change.act {
        Act::Create(new) | Act::Replace { container: new, .. } if change.id == *id => Some(new),
        _ => None,
    })?;
    let absent_volume = || {
        let volumes = new.spec.references().into_iter().filter_map(|(_, reference)| match reference {
            Reference::Volume(name) => Some(name),
            _ => None,
        });
        let is_there = |name: &Name| observed.volumes.iter().any(|volume| volume.name == name.as_str());
        let mut absent = volumes.filter(|name| !desired.volumes.contains_key(*name) && !is_there(name));
        absent.next().map(|name| format!("volume {name}"))
    };
    let absent = new.pull.then(|| new.image.to_string()).or_else(absent_volume)?;
    Some(format!("{absent} is not on this host, and what could not be read may describe it"))
}

/// A port that a process holds which is no container's.
fn taken_port(id: &ResourceId, desired: &Desired, observed: &Observed, changes: &Changes) -> Option<String> {
    let held = observed.host.ports.as_ref()?;
    let by_container = |port: &PublishedPort| {
        observed.containers.iter().flat_map(|one| &one.ports).any(|other| other.collides_with(port))
    };
    let wanted = port::asked_for(id, desired, changes);
    let taken =
        wanted.iter().find(|port| held.iter().any(|held| held.collides_with(port)) && !by_container(port))?;
    Some(format!(
        "port {} is already taken on this host (by a process that is no container)",
        taken.host.unwrap_or_default()
    ))
}

/// Whether a container of ours may hold a port itself, on the host's network, and gives it up: its predecessor, or
/// one that goes, which is waited for then. What it listens on cannot be told from what others do.
fn may_be_given_up(id: &ResourceId, observed: &Observed, changes: &mut Changes) -> bool {
    let listens = |one: &&ObservedContainer| one.status.is_up() && one.networks.contains_key(HOST_NETWORK);
    let mut may_be = false;
    for holder in observed.containers.iter().filter(listens) {
        let giver = port::gives_up(holder, changes).filter(|giver| !changes.has_to_follow(giver, id));
        may_be |= port::is_of(id, holder) || giver.is_some();
        if let Some(giver) = giver {
            changes.let_follow(id, giver);
        }
    }
    may_be
}

/// What engines call the network of containers with `networkMode: host`.
const HOST_NETWORK: &str = "host";

fn too_much_memory(desired: &Desired, host: &HostFacts) -> Option<String> {
    let up = desired.containers.values().filter(|container| container.spec.state.starts());
    let limits: u64 = up.filter_map(|container| container.spec.resources.memory).map(ByteSize::bytes).sum();
    let there = host.memory.filter(|there| limits > *there)?;
    let mebi = |bytes: u64| ByteSize::from_bytes(bytes >> 20 << 20);
    Some(format!(
        "the containers' memory limits add up to {}, and this host has {}",
        mebi(limits),
        mebi(there)
    ))
}

impl HeldPort {
    fn collides_with(&self, port: &PublishedPort) -> bool {
        let same_place =
            port.host_ip.is_none_or(|ip| ip == self.ip || ip.is_unspecified() || self.ip.is_unspecified());
        port.host == Some(self.port) && port.protocol == self.protocol && same_place
    }
}
