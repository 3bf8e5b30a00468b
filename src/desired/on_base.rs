//! A problem set on an image of the user's own. Its source, which the image bears as a label, says which paper is on
//! which base. What a base is that no manifest makes, only the engine knows.

use crate::assembly::on_base::PaperLayer;
use crate::resource::digest::sha256_hex;
use crate::resource::reference::{ImageId, ImageReference};

/// A paper on a base.
#[derive(Debug, Clone)]
pub struct OnBase {
    /// The paper.
    pub paper: PaperLayer,
    /// The base, as the engine finds it.
    pub base: ImageReference,
    /// What says which image the base is.
    pub decided: Decided,
}

/// What says which image a base is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// The engine: the one that the reference points to, by its id.
    ByEngine,
    /// The manifest that makes it: these digits change with what it is made from.
    ByManifest(String),
}

impl Decided {
    /// By a manifest, of which this text says what its image is.
    pub fn by_manifest(identity: &str) -> Self {
        let id = identity.parse::<ImageId>();
        Self::ByManifest(id.map_or_else(|_| sha256_hex(identity.as_bytes()), |id| id.hex().to_owned()))
    }
}

impl OnBase {
    /// What the image is made from; `None` where the base's id is needed to tell, and not known.
    pub fn source(&self, base: Option<&ImageId>) -> Option<String> {
        self.base_digits(base).map(|base| self.paper.source(base))
    }

    /// Which base it is, in digits.
    pub fn base_digits<'s>(&'s self, base: Option<&'s ImageId>) -> Option<&'s str> {
        match &self.decided {
            Decided::ByManifest(digits) => Some(digits),
            Decided::ByEngine => base.map(ImageId::hex),
        }
    }

    /// The base whose name the image's mark bears: one that no manifest makes.
    pub fn marked(&self) -> Option<&ImageReference> {
        (self.decided == Decided::ByEngine).then_some(&self.base)
    }

    /// What it is, in a text that stays the same as long as manifests do not say otherwise.
    pub fn identity(&self) -> String {
        match &self.decided {
            Decided::ByManifest(digits) => self.paper.source(digits),
            Decided::ByEngine => self.paper.source(&self.base.to_string()),
        }
    }
}
