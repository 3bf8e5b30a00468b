//! States. In: the manifest's words. Out: [`State`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a container should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Its program runs.
    #[default]
    Running,
    /// It exists, its program does not run.
    Stopped,
    /// It exists; nobody but an operator starts it.
    Created,
}

impl State {
    /// The manifest's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Created => "created",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
    pub(super) fn is_running(&self) -> bool {
        *self == Self::Running
    }
}
