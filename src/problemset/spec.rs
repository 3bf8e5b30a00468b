//! What stands under `spec:` of a `ProblemSet` manifest. In: serde values. Out: the same, typed, the keys
//! included. Never enters an image: images take a `Paper`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::item::ItemSpec;
use super::text::Text;
use crate::resource::reference::ImageReference;

/// The language of a problem set that names none; the old exam service knew no other.
pub const DEFAULT_LANGUAGE: &str = "zh-CN";

/// The tag of an image that names none.
pub const DEFAULT_TAG: &str = "latest";

/// An exam: what examinees are asked, and the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProblemSetSpec {
    /// The heading of the exam page.
    pub title: Text,
    /// The language of the page around the items, as a BCP 47 tag: `zh-CN`, `en`.
    #[serde(default = "default_language")]
    pub language: Text,
    /// Who the problem set belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Text>,
    /// What the image is called that the paper is put into.
    #[serde(default, skip_serializing_if = "ImageNameSpec::is_default")]
    pub image: ImageNameSpec,
    /// What serves the paper. Default: Invigil's own exam server, in an image that needs no other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeSpec>,
    /// The `imgId` under which the old exam service knew this problem set. `invigil status` finds it by that, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_image_id: Option<Text>,
    /// The questions, in the order in which they are shown.
    #[schemars(length(min = 1))]
    pub items: Vec<ItemSpec>,
}

/// The name of a problem set's image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageNameSpec {
    /// The repository, in lower case. Default: the manifest's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Text>,
    /// The tag.
    #[serde(default = "default_tag", skip_serializing_if = "is_default_tag")]
    pub tag: Text,
}

impl Default for ImageNameSpec {
    fn default() -> Self {
        Self { repository: None, tag: default_tag() }
    }
}

impl ImageNameSpec {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// An image of one's own that serves a problem set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuntimeSpec {
    /// The image that the paper is put on, as one layer more; its program, user and everything else stay as they are.
    /// The program finds the paper at `/exam/paper.json` and writes responses below `/exam/responses`, where every
    /// user may. The image is one that a manifest describes, or one on the host; what is not there is pulled. When it
    /// is another one, the problem set's image is made anew. Containers get none of the restrictions that Invigil's
    /// own exam server runs under: what the program needs is not known.
    pub base: ImageReference,
}

fn default_language() -> Text {
    DEFAULT_LANGUAGE.into()
}

fn default_tag() -> Text {
    DEFAULT_TAG.into()
}

fn is_default_tag(tag: &Text) -> bool {
    tag.as_str() == DEFAULT_TAG
}
