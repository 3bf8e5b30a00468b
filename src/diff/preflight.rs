//! What has to be so before a container is touched or an image built (law 6), as far as the host itself says: free ports,
//! sources of binds, files with a build's secrets, directories for what is taken out of containers. Also what is no error but
//! worth knowing.

use super::{Act, Change, Changes, Collection, Old, Operation, port};
use crate::desired::Desired;
use crate::fields;
use crate::observed::{EngineId, HeldPort, HostFacts, Observed, ObservedContainer};
use crate::resource::bind::BindSource;
use crate::resource::container::Reference;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::port::PublishedPort;
use crate::resource::quantity::ByteSize;

pub(super) fn diff(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    let ids: Vec<ResourceId> = changes.changes.iter().map(|change| change.id.clone()).collect();
    for id in ids.into_iter().filter(|id| id.kind == Kind::Container) {
        let why = missing_source(&id, desired, &observed.host, changes);
        let why = why.or_else(|| may_be_described(&id, desired, observed, changes));
        let is_taken = why.is_none();
        let why = why.or_else(|| {
            let taken = taken_port(&id, desired, observed, changes)?;
            (!may_be_given_up(&id, observed, changes)).then_some(taken)
        });
        for change in changes.changes.iter_mut().filter(|change| change.id == id) {
            if let Some(why) = &why {
                // What published its ports until just now may be on its way out.
                if is_taken && matches!(change.act, Act::Alter { .. }) {
                    changes.soon.insert(id.clone());
                }
                change.block(why.clone());
            }
        }
    }
    for change in &mut changes.changes {
        let why = missing_secret(&change.act, &observed.host);
        if let Some(why) = why.or_else(|| no_place_to_keep(&change.act, &observed.host)) {
            change.block(why);
        }
    }
    changes.warnings.extend(too_much_memory(desired, &observed.host));
    changes.cut_off = changes.changes.iter().flat_map(|change| cut_off(change, observed)).collect();
}

/// Who is not ours, and shares the network of a container that is stopped: it is left without one, and nobody restarts it.
fn cut_off<'a>(
    change: &'a Change,
    observed: &'a Observed,
) -> impl Iterator<Item = (ResourceId, String)> + 'a {
    let old: Vec<&Old> = match &change.act {
        Act::Remove(old) => old.iter().collect(),
        Act::Replace { old, leftovers, .. } => leftovers.iter().chain([old]).collect(),
        Act::Alter { container, operations, leftovers, predecessor } => {
            let container = operations.iter().any(Operation::stops).then_some(container);
            let before = predecessor.iter().map(|before| &before.container);
            leftovers.iter().chain(before).chain(container).collect()
        }
        _ => Vec::new(),
    };
    let stopped: Vec<&EngineId> = old.into_iter().filter(|old| old.up).map(|old| &old.id).collect();
    let shares = move |one: &&ObservedContainer| {
        one.status.is_up() && one.network_of.as_ref().is_some_and(|owner| stopped.contains(&owner))
    };
    observed.containers.iter().filter(shares).map(|one| {
        let (name, id) = (fields::plain(&one.name), &change.id);
        let whose = one.other_owner.as_ref().map_or_else(
            || "which Invigil did not make".to_owned(),
            |owner| format!("which is the owner {owner}'s"),
        );
        let told = format!(
            "container/{name}, {whose}, shares the network of {id}, and is left without one when that is stopped: restart it \
             afterwards"
        );
        (id.clone(), told)
    })
}

/// The source of a bind or a device that is not there. The engine would make an empty directory in its place, or refuse.
fn missing_source(id: &ResourceId, desired: &Desired, host: &HostFacts, changes: &Changes) -> Option<String> {
    let needs_it = |act: &Act| matches!(act, Act::Create(_) | Act::Replace { .. }) || act.starts();
    changes.changes.iter().find(|change| change.id == *id && needs_it(&change.act))?;
    let spec = &desired.containers.get(&id.name)?.spec;
    let path = spec.required_paths().find(|path| host.absent_paths.contains(*path))?;
    let is_device = spec.resources.devices.iter().any(|device| device.host == path);
    let is_bind =
        spec.binds.iter().any(|bind| matches!(&bind.source, BindSource::Path(source) if source == path));
    let hint = match (is_bind, is_device) {
        (true, _) => "make it, or write the bind out with createHostPath: true",
        (false, true) => "plug it in, or correct `resources.devices`",
        (false, false) => "make it, or have it as one of `binds`, written out with createHostPath: true",
    };
    Some(format!("{path} is not on this host: {hint}"))
}

/// The file of a build's secret that is not there.
fn missing_secret(act: &Act, host: &HostFacts) -> Option<String> {
    let Act::Make { recipe, .. } = act else { return None };
    let path = recipe.secret_files().find(|path| host.absent_paths.contains(path))?;
    Some(format!(
        "{path} of the build's secrets is not on this host: put it there, or correct `build.secrets`"
    ))
}

/// A directory in which nothing can be kept of what is to be taken out of a container before it goes, or as it has ended.
fn no_place_to_keep(act: &Act, host: &HostFacts) -> Option<String> {
    let collections: Vec<&Collection> = match act {
        Act::Remove(old) => old.iter().flat_map(|old| &old.collect).collect(),
        Act::Replace { old, leftovers, .. } => {
            leftovers.iter().chain([old]).flat_map(|old| &old.collect).collect()
        }
        Act::Alter { operations, leftovers, predecessor, .. } => {
            let taken = operations.iter().filter_map(|operation| match operation {
                Operation::Collect(one) => Some(one),
                _ => None,
            });
            let before = predecessor.iter().map(|before| &before.container);
            taken.chain(before.chain(leftovers).flat_map(|old| &old.collect)).collect()
        }
        _ => return None,
    };
    let no_place = |one: &&Collection| host.unwritable.iter().find(|place| one.archive.starts_with(place));
    let (one, place) = collections.iter().find_map(|one| Some((one, no_place(one)?)))?;
    Some(format!(
        "{} cannot be kept: nothing can be written in {}; make it writable, or let `collect` name another directory",
        fields::plain(&one.path),
        fields::plain(place)
    ))
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
    taken_by_process(&port::asked_for(id, desired, changes), observed)
}

/// The same of these ports.
pub(super) fn taken_by_process(wanted: &[PublishedPort], observed: &Observed) -> Option<String> {
    let held = observed.host.ports.as_ref()?;
    let by_container = |held: &HeldPort| {
        observed.containers.iter().flat_map(|one| &one.ports).any(|port| held.is_published_by(port))
    };
    let is_taken =
        |port: &&PublishedPort| held.iter().any(|held| held.collides_with(port) && !by_container(held));
    let taken = wanted.iter().find(is_taken)?;
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
    fn is_at(&self, port: &PublishedPort) -> bool {
        port.host == Some(self.port) && port.protocol == self.protocol
    }

    /// Whether whoever publishes the port is refused it.
    fn collides_with(&self, port: &PublishedPort) -> bool {
        let same_place =
            port.host_ip.is_none_or(|ip| ip == self.ip || ip.is_unspecified() || self.ip.is_unspecified());
        self.is_at(port) && same_place
    }

    /// Whether an engine holds it for a container's port. Where that is at every address, nobody else's is at one.
    fn is_published_by(&self, port: &PublishedPort) -> bool {
        self.is_at(port) && port.host_ip.is_none_or(|ip| ip == self.ip || ip.is_unspecified())
    }
}
