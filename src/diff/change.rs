//! What a comparison can find: one resource, one act, and its reasons. Plain values; nothing here decides.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use crate::assembly::PaperImage;
use crate::desired::{OnBase, Recipe};
use crate::fields::Told;
use crate::observed::{Applied, EngineId};
use crate::plan::Await;
use crate::resource::container::{Condition, ContainerSpec, PlacedFile, State};
use crate::resource::duration::Duration;
use crate::resource::label::Mark;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::network::NetworkSpec;
use crate::resource::platform::Platform;
use crate::resource::reference::{ImageId, ImageReference};
use crate::resource::volume::VolumeSpec;

/// What is wrong with a container that is as its manifest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwell {
    /// Its health check has not decided yet.
    Starting,
    /// Its health check fails.
    Unhealthy,
    /// Its program ends again and again, and the engine starts it again.
    Restarting,
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "its health check has not decided yet",
            Self::Unhealthy => "its health check fails",
            Self::Restarting => "its program has ended, and the engine starts it again",
        })
    }
}

/// One resource, one action, and its reasons.
#[derive(Debug, Clone)]
pub struct Change {
    /// The resource.
    pub id: ResourceId,
    /// What is to be done.
    pub act: Act,
    /// Why, field by field.
    pub reasons: Vec<Told>,
    /// Resources that have to be in order first, where they change too.
    pub needs: Vec<Need>,
}

impl Change {
    /// Lets nothing be done, for this reason.
    pub(crate) fn block(&mut self, why: String) {
        let before = std::mem::replace(&mut self.act, Act::blocked(String::new()));
        let instead_of = match before {
            Act::Block { instead_of, .. } => instead_of,
            act => Some(Box::new(act)),
        };
        self.act = Act::Block { why, instead_of };
        self.needs = Vec::new();
    }
}

/// What a change has to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The resource.
    pub id: ResourceId,
    /// For containers that are depended upon: how far they have to be.
    pub condition: Option<Condition>,
}

impl Need {
    pub(super) fn there(kind: Kind, name: &Name) -> Self {
        Self { id: ResourceId::new(kind, name.clone()), condition: None }
    }

    pub(super) fn up(container: &Name, condition: Condition) -> Self {
        Self { id: ResourceId::new(Kind::Container, container.clone()), condition: Some(condition) }
    }
}

/// What is to be done to a resource. A variant carries what doing it takes, and nothing else.
#[derive(Debug, Clone)]
pub enum Act {
    /// Put a problem set's image on the engine.
    LoadPaper {
        /// The image.
        image: Box<PaperImage>,
        /// The tags it is to bear, our mark among them.
        tags: Vec<ImageReference>,
    },
    /// Put a problem set on an image of the user's own.
    LoadOnBase {
        /// What is put on what.
        image: Box<OnBase>,
        /// The base, where it is there already.
        base: Option<ImageId>,
        /// Whose it is, and the tags it is to bear.
        mark: Mark,
        /// Whether the base has to be pulled first, because no manifest describes it and it is absent.
        pull: bool,
    },
    /// Load an archive as `docker save` writes it.
    LoadArchive {
        /// Where it is.
        archive: PathBuf,
        /// The ids that its image may have.
        ids: Vec<ImageId>,
        /// The tags that come with it.
        brings: BTreeSet<ImageReference>,
        /// The tags it is to bear.
        tags: Vec<ImageReference>,
    },
    /// Pull from a registry.
    Pull {
        /// What.
        reference: ImageReference,
        /// The platform, where it is not the engine's.
        platform: Option<Platform>,
        /// What the registry has now, where an image that it had before is there.
        digest: Option<ImageId>,
        /// The tags it is to bear.
        tags: Vec<ImageReference>,
    },
    /// Make an image.
    Make {
        /// How.
        recipe: Box<Recipe>,
        /// The tags it is to bear, our mark first.
        tags: Vec<ImageReference>,
    },
    /// Point tags to an image that is there.
    Tag {
        /// The image.
        image: ImageId,
        /// The tags that do not point to it yet.
        tags: Vec<ImageReference>,
    },
    /// Put an image into registries.
    Push {
        /// The tags, all of which name where.
        tags: Vec<ImageReference>,
    },
    /// Keep an image in a file.
    Save {
        /// The image: a tag or an id.
        image: Vec<String>,
        /// The file.
        archive: PathBuf,
    },
    /// Take tags away; the engine removes an image with its last tag.
    Untag {
        /// The image.
        image: ImageId,
        /// The tags.
        tags: Vec<ImageReference>,
        /// How many bytes the image has that goes with them, as far as is known.
        frees: Option<u64>,
    },
    /// Make a network.
    CreateNetwork(Box<NetworkSpec>),
    /// Make a network anew.
    ReplaceNetwork {
        /// The network.
        old: EngineId,
        /// What it was made from, should it have to be made again.
        was: Box<NetworkSpec>,
        /// What it is to be.
        spec: Box<NetworkSpec>,
        /// The containers on it.
        members: Vec<Member>,
        /// What is tried before anybody is taken off it.
        trial: Option<Box<Trial>>,
    },
    /// Remove a network.
    RemoveNetwork(EngineId),
    /// Make a volume.
    CreateVolume(Box<VolumeSpec>),
    /// Make a container.
    Create(Box<NewContainer>),
    /// Change a container as it is.
    Alter {
        /// The container.
        container: Old,
        /// In order.
        operations: Vec<Operation>,
        /// Leftovers of an interrupted replacement, to be removed.
        leftovers: Vec<Old>,
        /// Its predecessor, where it was interrupted before it had proved itself.
        predecessor: Option<Box<Predecessor>>,
    },
    /// Put a new container in an old one's place.
    Replace {
        /// The old one.
        old: Old,
        /// The new one.
        container: Box<NewContainer>,
        /// Leftovers of an interrupted replacement, to be removed first.
        leftovers: Vec<Old>,
    },
    /// Stop and remove containers.
    Remove(Vec<Old>),
    /// Nothing can be done.
    Block {
        /// Why.
        why: String,
        /// What would have been done. Where it was interrupted before, what was there has to be put back meanwhile (law 7).
        instead_of: Option<Box<Act>>,
    },
}

/// A network that is made and removed again, so that an engine that refuses what is new of another one does so before that is
/// taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its name.
    pub name: Name,
    /// As much of the other's spec as both can have at a time.
    pub spec: NetworkSpec,
}

/// A container on a network that is made anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The container.
    pub container: EngineId,
    /// Its name.
    pub name: String,
    /// How it joins the new network, in the engine's endpoint settings.
    pub endpoint: Value,
    /// How it had joined the old one.
    pub back: Value,
}

/// A container that is there.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that an engine tells of a container")]
pub struct Old {
    /// Its id.
    pub id: EngineId,
    /// Its name now.
    pub name: String,
    /// Whether its program is there.
    pub up: bool,
    /// Whether it bears our labels. Of one that does not, no later look knows what it is under another name.
    pub is_ours: bool,
    /// Whether others may find it by its name: it is on a network on which engines tell names.
    pub is_found_by_name: bool,
    /// What is taken out of it before it is removed.
    pub collect: Vec<Collection>,
    /// What its own manifest last had it do, as far as is known.
    pub state: Option<State>,
    /// Why it is not started as it is, should it be down: somebody holds a port of its, or a source of its binds is not there.
    pub hindered: Option<String>,
    /// Whether its program is frozen.
    pub frozen: bool,
    /// The containers whose namespaces it shares.
    pub shares: BTreeSet<ResourceId>,
    /// That of them in whose PID namespace it is: when that one stops, its program is killed.
    pub pid_of: Option<ResourceId>,
    /// The containers that it is linked to.
    pub linked: BTreeSet<ResourceId>,
    /// The calls that give it the namespaces that it shares as they are by now, as long as nothing takes its place.
    pub follow: Vec<Operation>,
}

impl Old {
    /// Whether it is to run as long as nothing that is to be in the state `next` takes its place. Of one that nobody knows
    /// what it was to do, that it ran shows from a replacement that stopped it.
    pub fn is_to_run(&self, next: State, was_stopped_for_it: bool) -> bool {
        match self.state {
            Some(was) => was.is_up() && next.starts(),
            None => was_stopped_for_it && next.is_up(),
        }
    }

    /// The containers without which it is not what it was: they are there before it is, and it is made for them.
    pub fn made_for(&self) -> impl Iterator<Item = &ResourceId> {
        self.shares.iter().chain(&self.linked)
    }
}

#[cfg(test)]
impl Old {
    /// One of ours under this name, for tests.
    pub(crate) fn named(name: &str, up: bool) -> Self {
        Self {
            id: "a".repeat(64).parse().unwrap(),
            name: name.to_owned(),
            up,
            is_ours: true,
            is_found_by_name: false,
            collect: Vec::new(),
            state: None,
            hindered: None,
            frozen: false,
            shares: BTreeSet::new(),
            pid_of: None,
            linked: BTreeSet::new(),
            follow: Vec::new(),
        }
    }
}

/// What is taken out of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// The file or directory in it.
    pub path: String,
    /// The archive on the host that keeps it.
    pub archive: PathBuf,
}

/// What goes only when its successor has proved itself (law 7).
#[derive(Debug, Clone, PartialEq)]
pub struct Predecessor {
    /// The container.
    pub container: Old,
    /// What its successor has to prove.
    pub until: Await,
}

/// A container to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewContainer {
    /// Its spec.
    pub spec: ContainerSpec,
    /// The files that are put into it before it starts.
    pub files: Vec<PlacedFile>,
    /// The image, as the engine finds it.
    pub image: ImageReference,
    /// Whether the image has to be pulled first, because no manifest describes it and it is absent.
    pub pull: bool,
    /// Volumes without a name that go over from its predecessor: name and target.
    pub carried: Vec<(String, String)>,
    /// What it should be doing.
    pub state: State,
    /// Whether a health check will say how it is, as far as is known before its image is there.
    pub checked: Option<bool>,
}

/// How long a successor without a health check must stay up, where the manifest is silent.
const MONITOR: Duration = Duration::from_nanos(1_000_000_000);

/// What a successor has to prove before its predecessor goes.
pub(super) fn proof(spec: &ContainerSpec, checked: Option<bool>) -> Await {
    let monitor = spec.update.monitor.unwrap_or(MONITOR);
    match checked {
        Some(true) => Await::Healthy,
        Some(false) => Await::Steady(monitor),
        None => Await::Well(monitor),
    }
}

#[cfg(test)]
impl NewContainer {
    /// One that is to run, for tests.
    pub(crate) fn running(checked: bool) -> Self {
        Self {
            spec: serde_json::from_value(serde_json::json!({"image": "nginx:1.15"})).unwrap(),
            files: Vec::new(),
            image: "nginx:1.15".parse().unwrap(),
            pull: false,
            carried: Vec::new(),
            state: State::Running,
            checked: Some(checked),
        }
    }
}

impl NewContainer {
    /// Whether it is started beside a predecessor, which is there to be kept up if it `runs`.
    pub fn starts_first(&self, runs: bool) -> bool {
        runs && self.state == State::Running && self.spec.update.starts_first()
    }

    /// What it has to prove before its predecessor goes.
    pub fn proof(&self) -> Await {
        proof(&self.spec, self.checked)
    }
}

/// One call that changes a container as it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Give it its own name back.
    Rename,
    /// Let it give up a name that is another's, before any container is given its own.
    StepAside,
    /// The engine's update call, with this body.
    Update(Value),
    /// Join a network.
    Connect {
        /// The network's name.
        network: String,
        /// The engine's endpoint settings.
        endpoint: Value,
    },
    /// Leave a network.
    Disconnect {
        /// The network's name.
        network: String,
    },
    /// Put files into it.
    Put(Vec<PlacedFile>),
    /// Take something out of it.
    Collect(Collection),
    /// Send its program a signal.
    Signal(String),
    /// Remember what is done to it.
    Record(Box<Applied>),
    /// Stop its program and start it again.
    Restart,
    /// Freeze its program.
    Pause,
    /// Unfreeze its program.
    Unpause,
    /// Start its program.
    Start,
    /// Stop its program.
    Stop,
}

impl Operation {
    /// Whether it ends the container's program, be it to start it again.
    pub const fn stops(&self) -> bool {
        matches!(self, Self::Restart | Self::Stop)
    }
}

impl Act {
    /// Nothing can be done, nor was anything begun.
    pub fn blocked(why: impl Into<String>) -> Self {
        Self::Block { why: why.into(), instead_of: None }
    }

    /// Whether what it is to take the place of runs without the namespaces that it is to share.
    pub fn has_left_behind(&self) -> bool {
        self.predecessor().is_some_and(|old| old.up && !old.follow.is_empty())
    }

    /// What a replacement, be it one that cannot be made, takes the place of.
    pub fn predecessor(&self) -> Option<&Old> {
        match self {
            Self::Replace { old, .. } => Some(old),
            Self::Block { instead_of: Some(act), .. } => act.predecessor(),
            _ => None,
        }
    }

    /// The same, for who finds out more about it.
    pub(super) fn predecessor_mut(&mut self) -> Option<&mut Old> {
        match self {
            Self::Replace { old, .. } => Some(old),
            Self::Block { instead_of: Some(act), .. } => act.predecessor_mut(),
            _ => None,
        }
    }

    /// Whether what it is to take the place of is down, be it that another try of the same stopped it.
    pub fn has_left_down(&self) -> bool {
        match self {
            Self::Replace { old, .. } => !old.up,
            Self::Alter { predecessor: Some(before), .. } => !before.container.up,
            Self::Block { instead_of: Some(act), .. } => act.has_left_down(),
            _ => false,
        }
    }

    /// Whether what it is done to runs, and goes on if it is not done.
    pub fn leaves_up(&self) -> bool {
        match self {
            Self::Replace { old: there, .. } | Self::Alter { container: there, .. } => there.up,
            Self::Block { instead_of: Some(act), .. } => act.leaves_up(),
            _ => false,
        }
    }

    /// Whether a change in place stops what is there, or takes something away beside it.
    pub fn takes_on_the_way(&self) -> bool {
        match self {
            Self::Alter { operations, leftovers, predecessor, .. } => {
                let stops = |one: &Operation| one.stops() || *one == Operation::Pause;
                !leftovers.is_empty() || predecessor.is_some() || operations.iter().any(stops)
            }
            _ => false,
        }
    }

    /// Whether it starts a container's program, be it once more.
    pub(super) fn starts(&self) -> bool {
        match self {
            Self::Create(container) | Self::Replace { container, .. } => container.state.starts(),
            Self::Alter { operations, .. } => {
                operations.iter().any(|one| matches!(one, Operation::Start | Operation::Restart))
            }
            _ => false,
        }
    }

    /// Whether its resource is as others need it only once it is done. Nothing waits for an image to be put elsewhere, or
    /// for its former tags to go.
    pub fn makes(&self) -> bool {
        !matches!(self, Self::Push { .. } | Self::Save { .. } | Self::Untag { .. })
    }

    /// Whether it brings an image to the engine.
    pub(super) fn takes_room(&self) -> bool {
        match self {
            Self::LoadPaper { .. }
            | Self::LoadOnBase { .. }
            | Self::LoadArchive { .. }
            | Self::Pull { .. }
            | Self::Make { .. } => true,
            Self::Create(container) | Self::Replace { container, .. } => container.pull,
            _ => false,
        }
    }
}

/// A reason: one field before and after.
pub(super) fn told(field: &str, from: Option<String>, to: Option<String>) -> Told {
    Told { field: field.to_owned(), from, to }
}
