//! What should be: a plain value, computed from manifests and the files they name. Never asks an engine.

mod build;
mod on_base;
mod recipe;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::assembly::PaperImage;
use crate::fields::{self, Live};
use crate::resource::container::{ContainerSpec, PlacedFile};
use crate::resource::duration::Duration;
use crate::resource::image::{CHECK_EVERY, PullPolicy};
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::network::NetworkSpec;
use crate::resource::platform::Platform;
use crate::resource::reference::{ImageId, ImageReference};
use crate::resource::volume::VolumeSpec;

pub use build::{attachments, build, pulled_tags};
pub use on_base::{Decided, OnBase};
pub use recipe::{Archive, Ingredients, Recipe, SNAPSHOT, Sent};

/// Every resource that should be there.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The images, problem sets among them.
    pub images: BTreeMap<Name, DesiredImage>,
    /// The networks.
    pub networks: BTreeMap<Name, NetworkSpec>,
    /// The networks that are used as they are if somebody else made them.
    pub adopted_networks: BTreeSet<Name>,
    /// The volumes.
    pub volumes: BTreeMap<Name, VolumeSpec>,
    /// The containers. Boxed, for they are large, and a map leaves half of its room empty.
    pub containers: BTreeMap<Name, Box<DesiredContainer>>,
    /// What containers were called, and which ones they are now.
    pub previous_names: BTreeMap<Name, Name>,
    /// Resources that are named by manifests that are wrong: left as they are (law 3).
    pub invalid: BTreeSet<ResourceId>,
    /// Whether something could not be read that may describe any resource.
    pub opaque: bool,
    /// Whether anything is wrong with the manifests, or with the files that they name.
    pub wrong: bool,
    /// Resources whose manifests say that they are to be left as they are.
    pub suspended: BTreeSet<ResourceId>,
    /// Whether what no manifest describes may be removed.
    pub removals: Removals,
}

impl Desired {
    /// How many resources should be there.
    pub fn len(&self) -> usize {
        self.images.len() + self.networks.len() + self.volumes.len() + self.containers.len()
    }

    /// The images that containers are to be made from, by reference.
    pub fn references(&self) -> BTreeSet<ImageReference> {
        self.containers.values().map(|container| container.reference.clone()).collect()
    }

    /// What the images that were assembled here give to their containers, by their ids, which are digests of it.
    pub fn assembled(&self) -> BTreeMap<ImageId, Live> {
        let papers = self.images.values().filter_map(|image| match &image.source {
            ImageOrigin::Paper(paper) => Some(paper),
            _ => None,
        });
        let configs = papers.flat_map(|paper| {
            let config = fields::read_image(paper.config());
            paper.ids().map(|id| (id, config.clone()))
        });
        configs.collect()
    }

    /// What registries are asked for, and how old an answer may be.
    pub fn at_registries(&self) -> BTreeMap<ImageReference, std::time::Duration> {
        let pushed = self.images.values().flat_map(|image| &image.push).map(|tag| (tag, CHECK_EVERY));
        let pulled = self.images.values().filter_map(|image| match &image.source {
            ImageOrigin::Pull { reference, policy: PullPolicy::Always, check_every, .. } => {
                Some((reference, *check_every))
            }
            _ => None,
        });
        pushed.chain(pulled).map(|(reference, every)| (reference.clone(), every.to_std())).collect()
    }

    /// Whether a resource should be there.
    pub fn describes(&self, id: &ResourceId) -> bool {
        match id.kind {
            Kind::Image => self.images.contains_key(&id.name),
            Kind::Network => self.networks.contains_key(&id.name),
            Kind::Volume => self.volumes.contains_key(&id.name),
            Kind::Container => self.containers.contains_key(&id.name),
        }
    }

    /// Whether no resource should be there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether what no manifest describes may be removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Removals {
    /// Yes.
    #[default]
    Allowed,
    /// No, and why (laws 2 and 3).
    Withheld(String),
}

/// An image that should be there.
#[derive(Debug, Clone)]
pub struct DesiredImage {
    /// Where it comes from.
    pub source: ImageOrigin,
    /// The tags that should point to it.
    pub tags: BTreeSet<ImageReference>,
    /// The images that manifests describe and that it is made on.
    pub bases: BTreeSet<Name>,
    /// Whether something that cannot be read may describe one of these, so that an image of this name that is
    /// there may be the right one, whatever it was made from.
    pub uncertain: bool,
    /// The file in which it is to be kept.
    pub archive: Option<KeptArchive>,
    /// The references that it is pushed to.
    pub push: BTreeSet<ImageReference>,
    /// What the old exam service called it, whose `imgId` was any text.
    pub legacy_id: Option<String>,
}

/// A file in which an image is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptArchive {
    /// Where it is.
    pub path: PathBuf,
    /// The ids that the image in it may have; none of a file that is not there.
    pub holds: Vec<ImageId>,
}

impl DesiredImage {
    /// An image that bears tags, and of which nothing else is wanted.
    pub fn tagged(source: ImageOrigin, tags: BTreeSet<ImageReference>) -> Self {
        Self {
            source,
            tags,
            bases: BTreeSet::new(),
            uncertain: false,
            archive: None,
            push: BTreeSet::new(),
            legacy_id: None,
        }
    }
}

/// Where an image comes from.
#[derive(Debug, Clone)]
pub enum ImageOrigin {
    /// A problem set, assembled.
    Paper(PaperImage),
    /// A problem set, put on an image of the user's own.
    OnBase(Box<OnBase>),
    /// A registry.
    Pull {
        /// What to pull.
        reference: ImageReference,
        /// The platform, where it is not the engine's.
        platform: Option<Platform>,
        /// When it is pulled.
        policy: PullPolicy,
        /// With [`PullPolicy::Always`], how often the registry is asked.
        check_every: Duration,
    },
    /// An archive as `docker save` writes it.
    Load {
        /// Where it is.
        archive: PathBuf,
        /// The ids that its image may have, by the engine's image store.
        ids: Vec<ImageId>,
        /// The tags that come with it.
        brings: BTreeSet<ImageReference>,
        /// What it is made for, if it says so.
        platform: Option<Platform>,
    },
    /// What Invigil makes.
    Made(Recipe),
}

impl ImageOrigin {
    /// What it is, in a text that stays the same as long as it need not be made anew.
    pub fn identity(&self) -> String {
        match self {
            Self::Paper(paper) => paper.source().to_owned(),
            Self::OnBase(image) => image.identity(),
            Self::Pull { reference, platform, .. } => {
                let platform = platform.as_ref().map(|platform| format!(" {platform}"));
                format!("{reference}{}", platform.unwrap_or_default())
            }
            Self::Load { ids, .. } => ids.first().map(|id| id.as_str().to_owned()).unwrap_or_default(),
            Self::Made(recipe) => recipe.digest.clone(),
        }
    }
}

/// A container that should be there.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredContainer {
    /// Its spec: paths absolute, env files read in, the image named by reference.
    pub spec: ContainerSpec,
    /// The files that are put into it.
    pub files: Vec<PlacedFile>,
    /// The image's resource, where a manifest describes one.
    pub image: Option<Name>,
    /// The image's reference.
    pub reference: ImageReference,
    /// Whether a container of this name that no Invigil made is taken over.
    pub adopt: bool,
}
