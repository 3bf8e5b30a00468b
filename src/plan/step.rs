//! The steps of a plan. A step is one operation of an engine and carries all that it takes.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use crate::assembly::PaperImage;
use crate::desired::{OnBase, Recipe};
use crate::observed::Applied;
use crate::resource::container::PlacedFile;
use crate::resource::duration::Duration;
use crate::resource::label::Mark;
use crate::resource::name::Name;
use crate::resource::network::NetworkSpec;
use crate::resource::platform::Platform;
use crate::resource::printable::printable;
use crate::resource::reference::{ImageId, ImageReference};
use crate::resource::volume::VolumeSpec;

/// One operation of an engine.
///
/// Containers and networks are meant by id where they are there when the plan is made, and by name
/// where the plan makes them.
#[derive(Debug, Clone)]
pub enum Step {
    /// Load problem set images, in one archive.
    LoadPapers(Vec<(PaperImage, Vec<ImageReference>)>),
    /// Put a problem set on an image that is there, under a mark and the tags that it says were set.
    LoadOnBase {
        /// What is put on what.
        image: Box<OnBase>,
        /// The mark.
        mark: Mark,
    },
    /// Load an archive and check that its image has one of these ids.
    LoadArchive {
        /// Where it is.
        archive: PathBuf,
        /// The ids.
        ids: Vec<ImageId>,
        /// The tags that come with it.
        brings: BTreeSet<ImageReference>,
    },
    /// Pull an image.
    Pull {
        /// What.
        reference: ImageReference,
        /// The platform, where it is not the engine's.
        platform: Option<Platform>,
        /// What its registry has now, where an image that it had before is there: that one has to be another
        /// afterwards.
        digest: Option<ImageId>,
        /// As whose it is marked: unless it was there already without a tag, and is somebody else's.
        mark: Option<Mark>,
    },
    /// Make an image under a tag, with a label that says what it was made from.
    Make {
        /// How.
        recipe: Box<Recipe>,
        /// The tag.
        tag: ImageReference,
    },
    /// Point tags to an image.
    Tag {
        /// The image: ids or references of which one is there by then. An engine with the containerd image
        /// store calls the image of an archive otherwise than others.
        image: Vec<String>,
        /// The tags.
        tags: Vec<ImageReference>,
        /// Whose it is to be marked as.
        mark: Option<Mark>,
    },
    /// Keep an image in a file, which is there whole or not at all.
    Save {
        /// Tags or an id of the image.
        image: Vec<String>,
        /// The file.
        archive: PathBuf,
    },
    /// Put an image where its tag says.
    Push(ImageReference),
    /// Take a tag away, and with its last tag an image. Never forced.
    Untag {
        /// The image. A tag that points to another one by then is somebody else's.
        image: ImageId,
        /// The tag.
        tag: ImageReference,
    },
    /// Make a network.
    CreateNetwork {
        /// Its name.
        name: Name,
        /// Its spec.
        spec: Box<NetworkSpec>,
        /// Its labels.
        labels: Value,
    },
    /// Remove a network.
    RemoveNetwork(String),
    /// Remove a network that nobody ever was on.
    RemoveTrial(String),
    /// Make a volume.
    CreateVolume {
        /// Its name.
        name: Name,
        /// Its spec.
        spec: Box<VolumeSpec>,
        /// Its labels.
        labels: Value,
    },
    /// Make a container.
    CreateContainer {
        /// Its name.
        name: String,
        /// The engine's create body.
        body: Value,
        /// The platform of its image, where it is not the engine's.
        platform: Option<Platform>,
    },
    /// Start a container.
    Start(String),
    /// Stop a container, in the time that it takes.
    Stop(String),
    /// Stop a container, in the time that it takes, and start it again.
    Restart(String),
    /// Remember what is done to a container, which its engine does not.
    Record {
        /// The container's id.
        container: String,
        /// What is to be remembered.
        applied: Box<Applied>,
    },
    /// Put files into a container's own file system.
    Put {
        /// The container.
        container: String,
        /// The files.
        files: Vec<PlacedFile>,
    },
    /// Keep what is at a path of a container in a tar archive, which is there whole or not at all.
    Collect {
        /// The container.
        container: String,
        /// The path in it. If nothing is there, nothing is kept.
        path: String,
        /// The archive.
        archive: PathBuf,
    },
    /// Send a container's program a signal.
    Signal {
        /// The container.
        container: String,
        /// The signal.
        signal: String,
    },
    /// Freeze a container.
    Pause(String),
    /// Unfreeze a container.
    Unpause(String),
    /// Give a container another name.
    Rename {
        /// The container.
        container: String,
        /// The name.
        to: String,
    },
    /// Change a container's limits or restart policy.
    Update {
        /// The container.
        container: String,
        /// The engine's update body.
        body: Value,
    },
    /// Let a container join a network.
    Connect {
        /// The container.
        container: String,
        /// The network.
        network: String,
        /// The engine's endpoint settings.
        endpoint: Value,
    },
    /// Let a container leave a network.
    Disconnect {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
    /// Wait until a container is well.
    Await {
        /// The container.
        container: String,
        /// What for.
        until: Await,
    },
    /// Remove a container that does not run. Its volumes stay.
    RemoveContainer(String),
}

impl Step {
    /// The reference whose image a registry gives or gets.
    pub const fn asks_registry(&self) -> Option<&ImageReference> {
        match self {
            Self::Pull { reference, .. } | Self::Push(reference) => Some(reference),
            _ => None,
        }
    }

    /// Whether it is done by itself among its like: more of them would only wait for each other, in others' places.
    pub const fn is_done_alone(&self) -> bool {
        matches!(self, Self::LoadOnBase { .. })
    }

    /// Whether it only waits for what the engine is at.
    pub const fn only_waits(&self) -> bool {
        matches!(self, Self::Await { .. })
    }

    /// Whether it takes something away from who uses it.
    pub const fn disturbs(&self) -> bool {
        matches!(self, Self::Stop(_) | Self::RemoveNetwork(_) | Self::Disconnect { .. })
    }

    /// Whether it takes something from where it was, so that its resource is out of order until the
    /// steps after it are done too.
    pub const fn interrupts(&self) -> bool {
        self.disturbs() || matches!(self, Self::Rename { .. })
    }
}

impl Step {
    /// The container that is there and that it is done to: its id or its name.
    pub const fn container_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Start(container)
            | Self::Stop(container)
            | Self::Restart(container)
            | Self::Record { container, .. }
            | Self::Put { container, .. }
            | Self::Collect { container, .. }
            | Self::Signal { container, .. }
            | Self::Pause(container)
            | Self::Unpause(container)
            | Self::Rename { container, .. }
            | Self::Update { container, .. }
            | Self::Connect { container, .. }
            | Self::Disconnect { container, .. }
            | Self::Await { container, .. }
            | Self::RemoveContainer(container) => Some(container),
            Self::LoadPapers(_)
            | Self::LoadOnBase { .. }
            | Self::LoadArchive { .. }
            | Self::Pull { .. }
            | Self::Make { .. }
            | Self::Tag { .. }
            | Self::Save { .. }
            | Self::Push(_)
            | Self::Untag { .. }
            | Self::CreateNetwork { .. }
            | Self::RemoveNetwork(_)
            | Self::RemoveTrial(_)
            | Self::CreateVolume { .. }
            | Self::CreateContainer { .. } => None,
        }
    }
}

/// Why a pull has failed that changed nothing.
pub fn nothing_new(reference: &ImageReference, digest: &ImageId) -> String {
    format!(
        "pull {reference}: the registry has {digest} now, and what came is the image that was there before; a mirror may be \
         behind"
    )
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Await {
    /// Its health check succeeds.
    Healthy,
    /// It stays up for this long.
    Steady(Duration),
    /// The first of these if it has a health check, else the second.
    Well(Duration),
    /// It runs to its end, without an error.
    Completed,
}

impl Step {
    /// What it does, for a sentence that already names the resource: `start`, `pull nginx:1.15`.
    pub fn task(&self) -> String {
        let task = match self {
            Self::LoadPapers(_) => "load".to_owned(),
            Self::Tag { .. } => "tag".to_owned(),
            Self::CreateNetwork { .. } | Self::CreateVolume { .. } | Self::CreateContainer { .. } => {
                "create".to_owned()
            }
            Self::RemoveNetwork(_) | Self::RemoveTrial(_) | Self::RemoveContainer(_) => "remove".to_owned(),
            Self::Start(_) => "start".to_owned(),
            Self::Stop(_) => "stop".to_owned(),
            Self::Restart(_) => "restart".to_owned(),
            Self::Record { .. } => "remember".to_owned(),
            Self::Put { files, .. } => format!("put in {}", named(files)),
            Self::Collect { path, archive, .. } => format!("collect {path} into {}", archive.display()),
            Self::Signal { signal, .. } => format!("send {signal}"),
            Self::Pause(_) => "pause".to_owned(),
            Self::Unpause(_) => "unpause".to_owned(),
            Self::Rename { to, .. } => format!("rename to {to}"),
            Self::Update { .. } => "update".to_owned(),
            Self::Connect { network, .. } => format!("connect to {}", short(network)),
            Self::Disconnect { network, .. } => format!("disconnect from {}", short(network)),
            Self::Await { until: Await::Healthy, .. } => "wait until healthy".to_owned(),
            Self::Await { until: Await::Steady(_), .. } => "wait until steady".to_owned(),
            Self::Await { until: Await::Well(_), .. } => "wait until well".to_owned(),
            Self::Await { until: Await::Completed, .. } => "wait until completed".to_owned(),
            Self::Make { recipe, .. } => recipe.words(),
            Self::LoadOnBase { image, .. } => format!("put the paper on {}", image.base),
            Self::LoadArchive { .. } | Self::Pull { .. } | Self::Push(_) | Self::Untag { .. } => self.words(),
            Self::Save { archive, .. } => format!("save into {}", archive.display()),
        };
        printable(&task).into_owned()
    }
}

impl fmt::Display for Step {
    /// In words for people: a path or the name of a foreign network may hold anything (law 13).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.words()))
    }
}

impl Step {
    fn words(&self) -> String {
        match self {
            Self::LoadPapers(images) if images.len() == 1 => "load 1 problem set image".to_owned(),
            Self::LoadPapers(images) => format!("load {} problem set images", images.len()),
            Self::LoadOnBase { image, mark } => {
                format!("put the paper of {} on {}", mark.purpose.as_str(), image.base)
            }
            Self::LoadArchive { archive, .. } => format!("load {}", archive.display()),
            Self::Pull { reference, .. } => format!("pull {reference}"),
            Self::Make { recipe, tag } => format!("{} as {tag}", recipe.words()),
            Self::Tag { image, tags, .. } if tags.is_empty() => {
                format!("mark {}", short_image(image.first()))
            }
            Self::Tag { image, tags, mark } => {
                let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
                let marked = if mark.is_some() { " and mark it" } else { "" };
                format!("tag {} as {}{marked}", short_image(image.first()), tags.join(", "))
            }
            Self::Save { image, archive } => {
                format!("save {} into {}", short_image(image.first()), archive.display())
            }
            Self::Push(tag) => format!("push {tag}"),
            Self::Untag { tag, .. } => format!("untag {tag}"),
            Self::CreateNetwork { name, .. } => format!("create network {name}"),
            Self::RemoveNetwork(network) | Self::RemoveTrial(network) => {
                format!("remove network {}", short(network))
            }
            Self::CreateVolume { name, .. } => format!("create volume {name}"),
            Self::CreateContainer { name, .. } => format!("create container {name}"),
            Self::Start(container) => format!("start {}", short(container)),
            Self::Stop(container) => format!("stop {}", short(container)),
            Self::Restart(container) => format!("restart {}", short(container)),
            Self::Record { container, .. } => format!("remember what is done to {}", short(container)),
            Self::Put { container, files } => format!("put {} into {}", named(files), short(container)),
            Self::Collect { container, path, .. } => format!("collect {path} of {}", short(container)),
            Self::Signal { container, signal } => format!("send {signal} to {}", short(container)),
            Self::Pause(container) => format!("pause {}", short(container)),
            Self::Unpause(container) => format!("unpause {}", short(container)),
            Self::Rename { container, to } => format!("rename {} to {to}", short(container)),
            Self::Update { container, .. } => format!("update {}", short(container)),
            Self::Connect { container, network, .. } => {
                format!("connect {} to {}", short(container), short(network))
            }
            Self::Disconnect { container, network } => {
                format!("disconnect {} from {}", short(container), short(network))
            }
            Self::Await { container, until: Await::Healthy } => {
                format!("wait until {} is healthy", short(container))
            }
            Self::Await { container, until: Await::Well(_) } => {
                format!("wait until {} is well", short(container))
            }
            Self::Await { container, until: Await::Completed } => {
                format!("wait until {} has run to its end", short(container))
            }
            Self::Await { container, until: Await::Steady(_) } => {
                format!("wait until {} stays up", short(container))
            }
            Self::RemoveContainer(container) => format!("remove container {}", short(container)),
        }
    }
}

/// An engine's id as Docker abbreviates it; a name as it is.
fn short(target: &str) -> &str {
    let is_id = target.len() == 64 && target.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id { target.get(..12).unwrap_or(target) } else { target }
}

/// Files by their paths, the first few.
fn named(files: &[PlacedFile]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = files.iter().take(SHOWN).map(|file| file.path.as_str()).collect();
    let more = if files.len() > SHOWN { format!(" and {} more", files.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn short_image(image: Option<&String>) -> String {
    let image = image.map(String::as_str).unwrap_or_default();
    image.parse::<ImageId>().map_or_else(|_| image.to_owned(), |id| id.to_string())
}
