//! The kinds of manifests. In: the word after `kind:`. Out: [`ManifestKind`].

use std::fmt;

use crate::resource::name::Kind;

/// What a manifest describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ManifestKind {
    /// An exam; it becomes an image.
    ProblemSet,
    /// An image.
    Image,
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl ManifestKind {
    /// Every kind, in the order of the manual.
    pub const ALL: [Self; 5] = [Self::ProblemSet, Self::Image, Self::Container, Self::Network, Self::Volume];

    /// The word after `kind:`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProblemSet => "ProblemSet",
            Self::Image => "Image",
            Self::Container => "Container",
            Self::Network => "Network",
            Self::Volume => "Volume",
        }
    }

    /// What it is on the engine.
    pub const fn resource(self) -> Kind {
        match self {
            Self::ProblemSet | Self::Image => Kind::Image,
            Self::Container => Kind::Container,
            Self::Network => Kind::Network,
            Self::Volume => Kind::Volume,
        }
    }

    /// The kind that a word names.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for ManifestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
