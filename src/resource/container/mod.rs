//! Containers. In: manifests, and the specs kept in labels. Out: [`ContainerSpec`]. What each field
//! is to the engine stands in `fields`, not here.

mod capability;
mod check;
mod dependency;
mod resources;
mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::duration::Duration;
use crate::resource::env::TextMap;
use crate::resource::health::Healthcheck;
use crate::resource::mount::{Bind, Mount, Tmpfs};
use crate::resource::name::Name;
use crate::resource::network::{NetworkAttachment, NetworkMode};
use crate::resource::port::PortMapping;
use crate::resource::reference::ImageReference;
use crate::resource::restart::RestartPolicy;

pub use capability::Capability;
pub use dependency::{Condition, Dependency};
pub use resources::Resources;
pub use state::State;

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
    /// Labels, on top of the image's.
    #[serde(skip_serializing_if = "TextMap::is_empty")]
    pub labels: TextMap,
    /// Ports published on the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortMapping>,
    /// Paths of the host and volumes, in Docker's `-v` notation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<Bind>,
    /// Mounts, in Docker's `--mount` notation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Memory mounted into the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<Tmpfs>,
    /// When the engine restarts it by itself; `no` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Its network namespace; the first of `networks`, else `bridge`, by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// The networks it joins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkAttachment>,
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
    /// How the engine finds out whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The signal that asks it to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How long it may take to stop before it is killed; whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<Duration>,
    /// What it should be doing.
    #[serde(skip_serializing_if = "State::is_running")]
    pub state: State,
    /// The containers that have to be up before this one starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
}
