//! The paths that a container's mounts name. In: a spec. Out: the host's that have to be there, and those in the
//! container that something is mounted on.

use super::ContainerSpec;
use crate::resource::bind::BindSource;
use crate::resource::mount::MountSource;

impl ContainerSpec {
    /// The paths of the host that have to be there before the container starts.
    pub fn required_paths(&self) -> impl Iterator<Item = &str> {
        let binds =
            self.binds.iter().filter(|bind| !bind.create_host_path).filter_map(|bind| match &bind.source {
                BindSource::Path(path) => Some(path.as_str()),
                BindSource::Volume(_) => None,
            });
        let mounts = self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Bind { path, .. } => Some(path.as_str()),
            _ => None,
        });
        binds.chain(mounts).chain(self.resources.devices.iter().map(|device| device.host.as_str()))
    }

    /// The paths in the container that something is mounted on: the engine makes no volume without a name there.
    pub fn mounted(&self) -> impl Iterator<Item = &str> {
        let binds = self.binds.iter().map(|bind| bind.target.as_str());
        let mounts = self.mounts.iter().map(|mount| mount.target.as_str());
        let tmpfs = self.tmpfs.iter().map(|tmpfs| tmpfs.target.as_str());
        binds.chain(mounts).chain(tmpfs)
    }
}
