//! What a container's spec names beside its image. In: a spec. Out: networks, volumes and other
//! containers, each with its field. The one place that knows which fields name others.

use super::{Condition, ContainerSpec};
use crate::resource::bind::BindSource;
use crate::resource::mount::MountSource;
use crate::resource::name::Name;
use crate::resource::namespace::{IpcMode, PidMode};
use crate::resource::network::NetworkMode;
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
    /// Its address: it has to be up.
    Link,
    /// A namespace of its: it has to be up, and who shares it has to follow it.
    Namespace,
    /// Something of its own: it has to be this far.
    Service(Condition),
}

/// The engine's own networks, which no manifest describes.
const PREDEFINED: [&str; 4] = ["bridge", "host", "none", "default"];

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
            if !PREDEFINED.contains(&attachment.name.as_str()) {
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
