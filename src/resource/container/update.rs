//! How a container gives way to its successor. In: manifests. Out: [`Update`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::duration::Duration;

/// How a container gives way to its successor. Changing this replaces nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Update {
    /// Which of the two comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// How long a successor without a health check must stay up before its predecessor goes; 1s by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Duration>,
}

/// What happens first when a container is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// The old one is stopped, then the new one is started.
    #[default]
    StopFirst,
    /// The new one is started and proves itself beside the old one. Not for containers with fixed ports
    /// of the host or fixed addresses: two cannot hold them.
    StartFirst,
}

/// What happens to a container when the tag that it was made from moves in its registry, or on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImageUpdates {
    /// It goes on with the image that it has.
    #[default]
    Keep,
    /// It is replaced.
    Follow,
}

impl Update {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the successor is started beside its predecessor.
    pub fn starts_first(&self) -> bool {
        self.order == Some(Order::StartFirst)
    }
}
