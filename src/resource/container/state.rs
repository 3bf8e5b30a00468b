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
    /// Its program is frozen.
    Paused,
    /// It exists and has never been started, unless by hand: then it is stopped again.
    Created,
    /// Its program runs once, to its end: a job. One that ended with an error is told and not run again;
    /// a changed manifest is a new job.
    Completed,
}

impl State {
    /// The manifest's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Created => "created",
            Self::Completed => "completed",
        }
    }

    /// Whether its program is started.
    pub const fn starts(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Completed)
    }

    /// Whether its program is to be there, be it frozen.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
    pub(super) fn is_running(&self) -> bool {
        *self == Self::Running
    }
}
