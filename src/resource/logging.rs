//! Where a container's output goes. In: manifests. Out: [`Logging`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::env::TextMap;

/// Where a container's output goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Logging {
    /// The engine's logging driver (`json-file`, `local`, `journald`, `none`, ...); the engine's own
    /// choice by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The driver's options: `{max-size: 10m, max-file: "3"}`.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub options: TextMap,
}
