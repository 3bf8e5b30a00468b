//! Docker's engine, and those that speak its API. The only place that names bollard. Answers and
//! obeys; never decides.

#[doc(hidden)]
pub mod answers;
mod build;
mod connect;
mod credentials;
mod error;
mod events;
mod files;
mod inspect;
mod look;
mod observe;
mod output;
mod parse;
mod partial;
mod perform;
mod save;
mod transfer;
mod wait;

use std::path::PathBuf;
use std::sync::Arc;

use bollard::Docker;
use futures_util::{Stream, TryStreamExt, stream};
use tokio::sync::OnceCell;

use serde_json::Value;

use super::{
    EngineError, Filters, Found, Inspect, Line, Listed, Look, Observe, Output, Perform, Period, Progress,
    Question, Scope,
};
use crate::observed::{EngineId, Observed};
use crate::plan::Step;
use crate::resource::reference::ImageId;

/// An engine to look at. Has no way to change anything (law 10).
#[derive(Debug, Clone)]
pub struct DockerReader {
    endpoint: String,
    session: Arc<OnceCell<Session>>,
}

/// An engine that has been spoken to.
#[derive(Debug, Clone)]
struct Session {
    docker: Docker,
    version: connect::Version,
    endpoint: String,
}

/// An engine to work on.
#[derive(Debug, Clone)]
pub struct DockerEngine {
    reader: DockerReader,
}

impl DockerReader {
    /// The engine that `DOCKER_HOST` names, or the one at the default socket. Does not speak to it yet:
    /// a daemon may start before its engine.
    pub fn from_environment() -> Self {
        Self::at(&connect::endpoint())
    }

    /// The engine at an address: `unix:///var/run/docker.sock`. Does not speak to it yet.
    pub fn at(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), session: Arc::default() }
    }

    /// The same engine, spoken to.
    ///
    /// # Errors
    /// If no engine answers, or it is older than Docker 20.10.
    pub async fn connect() -> Result<Self, EngineError> {
        let reader = Self::from_environment();
        reader.session().await?;
        Ok(reader)
    }

    /// Where the engine is: `unix:///var/run/docker.sock`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The engine's socket, if it has one on this host.
    pub fn socket(&self) -> Option<PathBuf> {
        self.endpoint.strip_prefix("unix://").map(PathBuf::from)
    }

    async fn session(&self) -> Result<&Session, EngineError> {
        self.session.get_or_try_init(|| connect::connect(&self.endpoint)).await
    }
}

impl Observe for DockerReader {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        observe::observe(self.session().await?, scope).await
    }
}

impl Inspect for DockerReader {
    async fn listed(&self) -> Result<Listed, EngineError> {
        inspect::listed(self.session().await?).await
    }

    async fn container(&self, id: &EngineId) -> Result<Option<Value>, EngineError> {
        inspect::container(self.session().await?, id).await
    }

    async fn image(&self, id: &ImageId) -> Result<Value, EngineError> {
        inspect::image(self.session().await?, id).await
    }
}

impl Look for DockerReader {
    async fn look(&self, question: &Question) -> Result<Value, EngineError> {
        look::look(self.session().await?, question).await
    }

    fn happenings(
        &self,
        period: &Period,
        filters: &Filters,
    ) -> impl Stream<Item = Result<Value, EngineError>> + Send {
        stream::once(async move { look::happenings(self.session().await?, period, filters) }).try_flatten()
    }

    fn output(
        &self,
        container: &Found,
        wanted: &Output,
    ) -> impl Stream<Item = Result<Line, EngineError>> + Send {
        stream::once(async move { look::output(self.session().await?, container, wanted).await })
            .try_flatten()
    }

    fn archive(
        &self,
        container: &Found,
        path: &str,
    ) -> impl Stream<Item = Result<Vec<u8>, EngineError>> + Send {
        stream::once(async move { look::archive(self.session().await?, container, path) }).try_flatten()
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
        perform::perform(self.reader.session().await?, step, progress).await
    }
}
