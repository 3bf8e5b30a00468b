//! Containers. In: manifests, and the specs kept in labels. Out: [`ContainerSpec`]. What each field
//! is to the engine stands in `fields`, not here.

mod capability;
mod check;
mod dependency;
mod file;
mod path;
mod reference;
mod resources;
mod state;
mod update;

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::bind::Bind;
use crate::resource::duration::Duration;
use crate::resource::env::TextMap;
use crate::resource::exposed::ExposedPorts;
use crate::resource::health::Healthcheck;
use crate::resource::link::{ExtraHost, Link, MacAddress, VolumesFrom};
use crate::resource::logging::Logging;
use crate::resource::mount::{ContainerPath, Mount};
use crate::resource::name::Name;
use crate::resource::namespace::{CgroupnsMode, HostMode, IpcMode, PidMode};
use crate::resource::network::{NetworkAttachment, NetworkMode};
use crate::resource::platform::Platform;
use crate::resource::port::PortMapping;
use crate::resource::quantity::ByteSize;
use crate::resource::reference::ImageReference;
use crate::resource::restart::RestartPolicy;
use crate::resource::security::SecurityOption;
use crate::resource::tmpfs::Tmpfs;

pub use capability::Capability;
pub use dependency::{Condition, Dependency};
pub use file::{Collect, File, FileOwner, OnChange, PlacedFile};
pub use reference::{Reference, Use};
pub use resources::Resources;
pub use state::State;
pub use update::{ImageUpdates, Order, Update};

/// A container, as its manifest describes it. What is left out comes from the image, then from the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerSpec {
    /// The image it runs. Pulled if it is absent and no Image manifest bears this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageReference>,
    /// The problem set it serves, instead of `image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem_set: Option<Name>,
    /// The program, instead of the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The program's arguments, instead of the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Environment variables, on top of the image's.
    #[serde(skip_serializing_if = "TextMap::is_empty")]
    pub env: TextMap,
    /// Files of `KEY=value` lines, relative to this file; `env` has precedence, later files over earlier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_files: Vec<String>,
    /// The directory in which the program starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// The user, `name`, `uid` or `uid:gid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The host name inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The domain name inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Labels, on top of the image's.
    #[serde(skip_serializing_if = "TextMap::is_empty")]
    pub labels: TextMap,
    /// Ports published on the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortMapping>,
    /// Whether every port that the image or `expose` names is published, on ports that the engine chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_all: Option<bool>,
    /// Ports that it serves, told to others without being published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<ExposedPorts>,
    /// Paths of the host and volumes, in Docker's `-v` notation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<Bind>,
    /// Mounts, in Docker's `--mount` notation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Memory mounted into the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<Tmpfs>,
    /// Paths that keep their data in a volume without a name, as `docker run -v PATH` does. The volume goes over to
    /// every successor; name a volume and bind it where you can.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<ContainerPath>,
    /// Containers whose volumes it mounts too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes_from: Vec<VolumesFrom>,
    /// The driver of volumes that the engine makes for it; the engine's own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_driver: Option<String>,
    /// Files that are put into its own file system before it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// What is taken out of it before it is removed or replaced. It stays until that has worked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collect: Vec<Collect>,
    /// The size of `/dev/shm`; 64Mi by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<ByteSize>,
    /// Options of the storage driver: `{size: 10G}`.
    #[serde(skip_serializing_if = "TextMap::is_empty")]
    pub storage_opt: TextMap,
    /// When the engine restarts it by itself; `no` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Its network namespace; the first of `networks`, else `bridge`, by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// The networks it joins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkAttachment>,
    /// The name servers, in order; the engine's by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// The domains in which short names are looked up, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// Options for the resolver, as in `resolv.conf`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_options: Vec<String>,
    /// Further lines of `/etc/hosts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<ExtraHost>,
    /// Other containers that it knows by name, on the engine's default bridge. Networks do this better.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Its Ethernet address; the engine chooses one by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<MacAddress>,
    /// Whether a small init process reaps its children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Whether it gets a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    /// Whether its standard input stays open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin_open: Option<bool>,
    /// What it may use of the host.
    #[serde(skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// Whether its root file system is read-only; `true` by default for a problem set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Capabilities added to the engine's default ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_add: Option<Vec<Capability>>,
    /// Capabilities taken from the engine's default ones; `[ALL]` by default for a problem set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_drop: Option<Vec<Capability>>,
    /// Whether its processes can never gain privileges; `true` by default for a problem set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,
    /// Security options: `apparmor=PROFILE`, `label=...`, `seccomp=unconfined`, or `seccomp=FILE` with a profile, relative
    /// to this file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_opt: Vec<SecurityOption>,
    /// Whether it may do everything that the host may. Nothing protects the host from it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// Further groups of its user, by name or number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_add: Vec<String>,
    /// The user namespace: `host`, where the engine remaps users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userns_mode: Option<HostMode>,
    /// The namespace of System V IPC; the engine's choice by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc_mode: Option<IpcMode>,
    /// The namespace of processes; its own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_mode: Option<PidMode>,
    /// The namespace of the host name; its own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uts_mode: Option<HostMode>,
    /// The namespace of cgroups; the engine's choice by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroupns_mode: Option<CgroupnsMode>,
    /// The cgroup under which its own is made; the engine's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
    /// Kernel parameters of its namespaces: `{net.core.somaxconn: "1024"}`.
    #[serde(skip_serializing_if = "TextMap::is_empty")]
    pub sysctls: TextMap,
    /// The runtime that starts it; the engine's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// How the engine finds out whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The signal that asks it to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How long it may take to stop before it is killed; whole seconds, at most 55m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<Duration>,
    /// Where its output goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// The platform of its image, like `linux/amd64`; the engine's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What it should be doing.
    #[serde(skip_serializing_if = "State::is_running")]
    pub state: State,
    /// Whatever is written here: changing it restarts the container, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_token: Option<String>,
    /// What happens when the tag of an image from a registry moves: `keep` (the default) or `follow`. Images that
    /// manifests build, load or import are always followed. Of a problem set's image that is made on such a one
    /// (`runtime`), the same holds of that tag; another paper is always followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_updates: Option<ImageUpdates>,
    /// How it gives way to its successor.
    #[serde(skip_serializing_if = "Update::is_default")]
    pub update: Update,
    /// The containers that have to be up before this one starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
}
