//! The namespaces that a container has or shares, but for the network's. In: Docker's words. Out:
//! [`IpcMode`], [`PidMode`], [`HostMode`], [`CgroupnsMode`].

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::Name;
use super::notation::{NoLongForm, Notation, notation};

/// A namespace that a container either has for itself or shares with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HostMode {
    /// The host's.
    Host,
}

/// The cgroup namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CgroupnsMode {
    /// The host's.
    Host,
    /// Its own.
    Private,
}

/// The namespace of System V IPC and shared memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpcMode {
    /// Its own, without `/dev/shm`.
    None,
    /// Its own.
    Private,
    /// Its own, which others may share.
    Shareable,
    /// The host's.
    Host,
    /// That of another container.
    Container(Name),
}

impl Notation for IpcMode {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "none, private, shareable, host or container:NAME";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "none" => Self::None,
            "private" => Self::Private,
            "shareable" => Self::Shareable,
            "host" => Self::Host,
            other => Self::Container(container(other, Self::EXPECTED)?),
        })
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for IpcMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Private => f.write_str("private"),
            Self::Shareable => f.write_str("shareable"),
            Self::Host => f.write_str("host"),
            Self::Container(name) => write!(f, "container:{name}"),
        }
    }
}

notation!(IpcMode, "IpcMode", "`none`, `private`, `shareable`, `host` or `container:NAME`.");

/// The namespace of processes, where it is not the container's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PidMode {
    /// The host's.
    Host,
    /// That of another container.
    Container(Name),
}

impl Notation for PidMode {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "host or container:NAME";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "host" => Ok(Self::Host),
            other => container(other, Self::EXPECTED).map(Self::Container),
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for PidMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Container(name) => write!(f, "container:{name}"),
        }
    }
}

notation!(PidMode, "PidMode", "`host` or `container:NAME`.");

fn container(text: &str, expected: &str) -> Result<Name, String> {
    match text.split_once(':') {
        Some(("container", name)) => name.parse(),
        _ => Err(format!("`{}` is not one of {expected}", text.escape_debug())),
    }
}
