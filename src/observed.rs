//! What is: a plain value that an engine's answers were parsed into. Never knows which engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::fields::Live;
use crate::resource::container::{ContainerSpec, State};
use crate::resource::name::Name;
use crate::resource::network::NetworkSpec;
use crate::resource::platform::Platform;
use crate::resource::port::{Protocol, PublishedPort};
use crate::resource::reference::{ImageId, ImageReference};
use crate::resource::volume::VolumeSpec;

/// Everything on an engine that a plan may depend on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Every image, by id.
    pub images: Vec<ObservedImage>,
    /// Every network.
    pub networks: Vec<ObservedNetwork>,
    /// Every volume.
    pub volumes: Vec<ObservedVolume>,
    /// Every container, ours and others'.
    pub containers: Vec<ObservedContainer>,
    /// What is known of the host itself.
    pub host: HostFacts,
    /// What was done to containers that their engine does not tell.
    pub applied: BTreeMap<EngineId, Applied>,
    /// What registries have, as far as they were asked.
    pub at_registries: BTreeMap<ImageReference, AtRegistry>,
    /// What the engine's host runs, if it says so.
    pub platform: Option<Platform>,
    /// Whether the engine has no call that changes a container's limits or restart policy, and does not tell the
    /// addresses that were asked for: another one takes a new container.
    pub cannot_update: bool,
}

/// What a registry has under a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtRegistry {
    /// The image with this digest.
    Has(ImageId),
    /// Nothing.
    Absent,
    /// Nobody knows, for a reason.
    Silent(String),
}

/// What was done to a container that its engine does not tell. Of one that nothing is known of, its creation
/// spec says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Applied {
    /// The token that it was last restarted for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_token: Option<String>,
    /// When its program had been started before that restart. As long as the engine still says so, the restart is
    /// yet to come: this is written before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_after: Option<StartedAt>,
    /// The digests of the files that were put into it, by path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Whether what a job leaves was taken out of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub collected: bool,
    /// When the programs had been started whose namespaces it shares, those that it has by now or is restarted for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub followed: BTreeMap<Name, StartedAt>,
    /// When its own had been started by then. As long as the engine still says so, whose program was started at any other
    /// moment was started since, however the clock was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followed_at: Option<StartedAt>,
    /// Which resource it became, where its label says which it was made as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub became: Option<Name>,
    /// When its program had been started before a start of what the engine may have lost track of. As long as the engine
    /// still says so, that start failed: this is written before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried_after: Option<StartedAt>,
    /// The limits, by field, that were asked of it in place where it had none. One that it has not got by then is one that
    /// its host's kernel has no means for.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub asked: BTreeSet<String>,
    /// What its manifest last had it do, where its label says otherwise: that of a container that is down is not told from
    /// what it is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

/// When a program was started: nanoseconds since 1970, by the engine's clock.
pub type StartedAt = u64;

/// What is known of the engine's host; nothing of one that is not this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The ports that processes hold, those that publish containers' ports among them; where no container publishes any,
    /// nobody looked.
    pub ports: Option<Vec<HeldPort>>,
    /// Sources of binds, and files of builds' secrets, that are certainly not there.
    pub absent_paths: BTreeSet<String>,
    /// Directories to be kept in what is taken out of containers, in which certainly nothing can be written.
    pub unwritable: BTreeSet<String>,
    /// All memory, in bytes.
    pub memory: Option<u64>,
    /// Why nothing of ours is to be changed, if the host is suspended.
    pub suspended: Option<String>,
    /// The disk that the engine keeps images on.
    pub space: Option<Space>,
}

/// Room on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// The directory on it that was looked at.
    pub directory: String,
    /// How many bytes are free.
    pub free: u64,
    /// How many are to be free before anything is begun that takes room.
    pub needed: u64,
}

/// A port that a process of the host holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldPort {
    /// The address it is bound to.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// An id that an engine gave to a container or a network: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EngineId(String);

impl EngineId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as Docker abbreviates ids.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl FromStr for EngineId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if (12..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not an engine's id", text.escape_debug()))
        }
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// An image on the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedImage {
    /// Its id.
    pub id: ImageId,
    /// The tags and repository digests that point to it.
    pub references: BTreeSet<ImageReference>,
    /// The digest of what it was made from, if Invigil made it.
    pub source: Option<String>,
    /// How many bytes it has, with the layers that others share.
    pub size: Option<u64>,
    /// The fields that it gives to containers; only looked up for images that containers of ours use.
    pub config: Option<Live>,
}

impl ObservedImage {
    /// Whether any tag points to it; a digest alone does not say that somebody called it something.
    pub fn has_tag(&self) -> bool {
        self.references.iter().any(|reference| reference.tag().is_some())
    }
}

/// A network on the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedNetwork {
    /// Its id.
    pub id: EngineId,
    /// Its name, as the engine gave it.
    pub name: String,
    /// Which resource of ours it is.
    pub resource: Option<Name>,
    /// The spec that it was created from; `None` if it is not ours or its label cannot be read.
    pub created: Option<NetworkSpec>,
    /// What it is like.
    pub spec: NetworkSpec,
    /// Whether it is only what others are made after (`docker network create --config-only`), and has no addresses itself.
    pub is_pattern: bool,
}

/// A volume on the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedVolume {
    /// Its name, as the engine gave it.
    pub name: String,
    /// The spec that it was created from; `None` if it is not ours or its label cannot be read.
    pub created: Option<VolumeSpec>,
    /// What it is like.
    pub spec: VolumeSpec,
}

/// A container on the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedContainer {
    /// Its id.
    pub id: EngineId,
    /// Its name, as the engine gave it, without the slash.
    pub name: String,
    /// The image it was made from.
    pub image: Option<ImageId>,
    /// What it is doing.
    pub status: LiveStatus,
    /// The networks that it is on, by name, with their ids where the engine tells them: it may have several of one name.
    pub networks: BTreeMap<String, Option<EngineId>>,
    /// The host's ports that it holds now.
    pub ports: Vec<PublishedPort>,
    /// What is known of it if it is ours.
    pub managed: Option<Box<Managed>>,
    /// What is known of it if it may be taken over.
    pub stranger: Option<Box<Managed>>,
    /// Whose label it bears, if it is another Invigil's.
    pub other_owner: Option<String>,
    /// Whose network it shares, if it is not ours: of ours, [`Managed::live`] says it.
    pub network_of: Option<EngineId>,
}

/// What is known of a container that bears our labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Managed {
    /// Which resource it is.
    pub resource: Name,
    /// The spec that it was created from; `None` if its label is missing or cannot be read.
    pub created: Option<ContainerSpec>,
    /// Whether there is such a label that cannot be read, as a newer Invigil may have written it.
    pub unreadable: bool,
    /// The digests of the files that were put into it at its creation, by path. Of one that never ran: of those that
    /// are there, for its creation may have been interrupted.
    pub files: BTreeMap<String, String>,
    /// Its fields.
    pub live: Live,
    /// When its program was last started.
    pub started: Option<StartedAt>,
    /// Whether its program ended and its last start failed as those fail for ever after that were interrupted by the
    /// engine's own end: a program is there that is nobody's. It may have failed so once only.
    pub lost: bool,
    /// Its anonymous volumes: name and target.
    pub anonymous_volumes: Vec<(String, String)>,
    /// Whether the engine removes it, and its anonymous volumes, as soon as it stops: `docker run --rm`.
    pub removes_itself: bool,
}

/// What a container is doing, by the engine's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveStatus {
    /// Made, never started.
    Created,
    /// Made, never started, and never to be: a program that the engine has lost track of has its place.
    Stuck,
    /// Its program runs.
    Running(Health),
    /// Its program is frozen.
    Paused,
    /// Its program ended, the engine is about to start it again.
    Restarting,
    /// Its program ended, with this code.
    Exited(i64),
    /// The engine is removing it.
    Removing,
    /// The engine could not remove it.
    Dead,
}

impl LiveStatus {
    /// The word for a reader.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Stuck => "stuck",
            Self::Running(_) => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited(_) => "stopped",
            Self::Removing => "being removed",
            Self::Dead => "dead",
        }
    }

    /// Whether its program is there, be it frozen.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Running(_) | Self::Paused | Self::Restarting)
    }
}

/// What a container's health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// There is none.
    #[default]
    Unchecked,
    /// Not known yet.
    Starting,
    /// It succeeds.
    Healthy,
    /// It fails.
    Unhealthy,
}
