//! Volumes. In: manifests. Out: [`VolumeSpec`]. No code anywhere removes one (law 5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::env::TextMap;
use super::violation::{FieldPath, Violation};

/// A volume, as its manifest describes it. Removing the manifest keeps the volume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeSpec {
    /// The driver; `local` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The driver's options.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub options: TextMap,
    /// Labels of its own.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub labels: TextMap,
}

impl VolumeSpec {
    /// Every rule that the spec breaks, with paths from the spec.
    pub fn check(&self) -> Vec<Violation> {
        super::label::check(&FieldPath::root().key("labels"), &self.labels)
    }
}
