//! What a container's spec names beside its image. In: a spec. Out: networks, volumes and other
//! containers, each with its field. The one place that knows which fields name others.

use super::{Condition, ContainerSpec};
use crate::resource::bind::BindSource;
use crate::resource::mount::MountSource;
use crate::resource::name::Name;
use crate::resource::namespace::{IpcMode, PidMode};
use crate::resource::network::{NetworkMode, PREDEFINED};
use crate::resource::violation::FieldPath;

/// Something that a container needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<'a> {
    /// A network that it joins.
    Network(&'a Name),
    /// A volume that it mounts.
    Volume(&'a Name),
    /// Another container.
    Container(&'a Name, Use),
}

/// What another container is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Its volumes: it has to be there.
    Volumes,
    /// Its address: it has to be up, and who is linked to it is linked to no other of its name.
    Link,
    /// A namespace of its: it has to be up, and who shares it has to follow it.
    Namespace,
    /// Something of its own: it has to be this far.
    Service(Condition),
}

/// What stands for one of the predefined networks, too.
const DEFAULT: &str = "default";

impl ContainerSpec {
    /// Everything that the spec names beside its image, by field.
    pub fn references(&self) -> Vec<(FieldPath, Reference<'_>)> {
        let root = FieldPath::root();
        let at = |field: &str, index: usize| root.key(field).index(index);
        let mut references = Vec::new();
        if let Some(NetworkMode::Network(name)) = &self.network_mode {
            references.push((root.key("networkMode"), Reference::Network(name)));
        }
        for (field, name) in self.shares_with() {
            references.push((root.key(field), Reference::Container(name, Use::Namespace)));
        }
        for (index, attachment) in self.networks.iter().enumerate() {
            let name = attachment.name.as_str();
            if name != DEFAULT && !PREDEFINED.contains(&name) {
                references.push((at("networks", index), Reference::Network(&attachment.name)));
            }
        }
        for (index, dependency) in self.depends_on.iter().enumerate() {
            let service = Use::Service(dependency.condition);
            references.push((at("dependsOn", index), Reference::Container(&dependency.container, service)));
        }
        for (index, link) in self.links.iter().enumerate() {
            references.push((at("links", index), Reference::Container(&link.container, Use::Link)));
        }
        for (index, from) in self.volumes_from.iter().enumerate() {
            references.push((at("volumesFrom", index), Reference::Container(&from.container, Use::Volumes)));
        }
        for (index, bind) in self.binds.iter().enumerate() {
            if let BindSource::Volume(name) = &bind.source {
                references.push((at("binds", index), Reference::Volume(name)));
            }
        }
        for (index, mount) in self.mounts.iter().enumerate() {
            if let MountSource::Volume { name, .. } = &mount.source {
                references.push((at("mounts", index), Reference::Volume(name)));
            }
        }
        references
    }

    /// The containers that this one is made for as they are, and not for others of their names: those whose namespaces it
    /// shares, and those it is linked to. Each with its field's name, and as that says it.
    pub fn made_for(&self) -> impl Iterator<Item = (&'static str, &Name, String)> {
        let shared = self.shares_with().map(|(field, name)| (field, name, format!("container:{name}")));
        shared.chain(self.links.iter().map(|link| ("links", &link.container, link.to_string())))
    }

    /// The containers whose namespaces this one shares, each with its field's name.
    pub fn shares_with(&self) -> impl Iterator<Item = (&'static str, &Name)> {
        let network = match &self.network_mode {
            Some(NetworkMode::Container(name)) => Some(("networkMode", name)),
            _ => None,
        };
        let ipc = match &self.ipc_mode {
            Some(IpcMode::Container(name)) => Some(("ipcMode", name)),
            _ => None,
        };
        let pid = match &self.pid_mode {
            Some(PidMode::Container(name)) => Some(("pidMode", name)),
            _ => None,
        };
        network.into_iter().chain(ipc).chain(pid)
    }
}
