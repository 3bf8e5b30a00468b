//! Docker's engine, and those that speak its API. The only place that names bollard. Answers and
//! obeys; never decides.

mod connect;
mod error;
mod events;
mod observe;
mod parse;
mod perform;
mod transfer;

use bollard::Docker;

use super::{EngineError, Observe, Perform, Progress, Scope};
use crate::observed::Observed;
use crate::plan::Step;

/// An engine to look at. Has no way to change anything (law 10).
#[derive(Debug, Clone)]
pub struct DockerReader {
    docker: Docker,
    endpoint: String,
    version: String,
}

/// An engine to work on.
#[derive(Debug, Clone)]
pub struct DockerEngine {
    reader: DockerReader,
}

impl DockerReader {
    /// Connects to the engine that `DOCKER_HOST` names, or to the default socket, and agrees on an API
    /// version.
    ///
    /// # Errors
    /// If no engine answers there, or it is older than Docker 20.10.
    pub async fn connect() -> Result<Self, EngineError> {
        connect::connect().await
    }

    /// Where the engine is: `unix:///var/run/docker.sock`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The engine's own version: `20.10.24`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Observe for DockerReader {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        observe::observe(self, scope).await
    }
}

impl DockerEngine {
    /// The engine behind a reader.
    pub const fn new(reader: DockerReader) -> Self {
        Self { reader }
    }

    /// Where the engine is.
    pub fn endpoint(&self) -> &str {
        self.reader.endpoint()
    }
}

impl Observe for DockerEngine {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        self.reader.observe(scope).await
    }
}

impl Perform for DockerEngine {
    async fn perform(&self, step: &Step, progress: &Progress<'_>) -> Result<(), EngineError> {
        perform::perform(&self.reader, step, progress).await
    }
}
