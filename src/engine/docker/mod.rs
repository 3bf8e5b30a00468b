//! Docker's engine, and those that speak its API. The only place that names bollard. Answers and
//! obeys; never decides.

mod access;
#[doc(hidden)]
pub mod answers;
mod build;
mod connect;
mod credentials;
mod endpoint;
mod error;
mod events;
mod files;
mod inspect;
mod layers;
mod look;
mod observe;
mod on_base;
mod output;
mod overtaken;
mod parse;
mod partial;
mod perform;
mod pieces;
mod podman;
mod raw;
mod registry;
mod save;
mod tags;
mod target;
mod tls;
mod transfer;
mod wait;
mod witness;

pub use access::{Access, DEFAULT_HOST, is_wish};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::Docker;
use futures_util::{Stream, TryStreamExt, join, stream};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use serde_json::Value;

use super::{
    EngineError, Filters, Found, Inspect, Line, Listed, Look, Observe, Output, Perform, Period, Progress,
    Question, Scope,
};
use crate::observed::{AtRegistry, EngineId, Observed};
use crate::plan::Step;
use crate::resource::platform::Platform;
use crate::resource::reference::{ImageId, ImageReference};

/// An engine to look at. Has no way to change anything (law 10).
#[derive(Debug, Clone)]
pub struct DockerReader {
    access: Arc<Access>,
    /// As long as the engine answers.
    session: Arc<Mutex<Option<Session>>>,
    /// What the next look need not ask for, and since when.
    ahead: Arc<std::sync::Mutex<Option<(Instant, Ahead)>>>,
}

/// Answers that an engine has given before it was known what is looked for, by their paths.
type Ahead = BTreeMap<&'static str, Vec<u8>>;

/// How long these are waited for, and how long they hold: what is looked at closely afterwards is to be of the same moment.
const AHEAD: Duration = Duration::from_secs(1);

/// An engine that has been spoken to.
#[derive(Clone)]
struct Session {
    docker: Docker,
    /// The same, over connections that are kept from one look to the next.
    kept: Docker,
    /// Where connections lead that are no single call's.
    way: Arc<endpoint::Way>,
    /// The API that is spoken.
    version: connect::Version,
    /// The latest API that the engine speaks.
    latest: connect::Version,
    /// What its host runs, if it says so.
    platform: Option<Platform>,
    /// How it is reached, and with which logins its registries are asked.
    access: Arc<Access>,
    /// Whether its host's kernel has the means to limit swap, once it was asked.
    limits_swap: Arc<OnceCell<bool>>,
    /// Whether it is Podman, which speaks Docker's API in words of its own.
    is_podman: bool,
    /// Held while tags are set or taken away: Podman loses or keeps one of two images' tags that change at once.
    tags: Arc<Mutex<()>>,
    endpoint: String,
    /// The base that a paper was last put on.
    last_base: Arc<Mutex<Option<on_base::KnownBase>>>,
    /// What is waited for.
    waits: Arc<wait::Waits>,
    /// What this look need not ask for.
    ahead: Arc<std::sync::Mutex<Ahead>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
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
        Self::by(Access::from_environment())
    }

    /// The engine at an address: `unix:///var/run/docker.sock`. Does not speak to it yet.
    pub fn at(endpoint: &str) -> Self {
        Self::by(Access::at(endpoint))
    }

    /// The engine that is reached so. Does not speak to it yet.
    pub fn by(access: Access) -> Self {
        Self { access: Arc::new(access), session: Arc::default(), ahead: Arc::default() }
    }

    /// The same engine, spoken to.
    ///
    /// # Errors
    /// If no engine answers, or it is older than Docker 20.10.
    pub async fn connect(self) -> Result<Self, EngineError> {
        self.session().await?;
        Ok(self)
    }

    /// The same, which has begun with its next look: with what it asks for whatever is wanted. An engine takes a while for
    /// that; the caller reads manifests meanwhile, and looks at once when it has them.
    ///
    /// # Errors
    /// If no engine answers, or it is older than Docker 20.10.
    pub async fn connect_and_list(self) -> Result<Self, EngineError> {
        let speaking = connect::speaking(&self.access)?;
        let begun = Instant::now();
        // Docker starts programs to find out what it is, which takes as long as a list. One that speaks another API has refused
        // these, or told them otherwise.
        let (agreed, answers) = join!(connect::agreed(speaking.clone()), observe::lists(&speaking));
        let agreed = agreed?;
        if agreed.version == speaking.version {
            *self.ahead() = Some((begun, answers));
        }
        *self.session.lock().await = Some(agreed);
        Ok(self)
    }

    fn ahead(&self) -> MutexGuard<'_, Option<(Instant, Ahead)>> {
        // Each change leaves it whole.
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the engine is: `unix:///var/run/docker.sock`.
    pub fn endpoint(&self) -> &str {
        &self.access.endpoint
    }

    /// What registries have under these references.
    ///
    /// # Errors
    /// If no engine answers that could ask them.
    pub async fn at_registries(
        &self,
        references: &BTreeSet<ImageReference>,
    ) -> Result<BTreeMap<ImageReference, AtRegistry>, EngineError> {
        self.with(async |engine| Ok(registry::ask(engine, references).await)).await
    }

    /// Asks a registry, by way of the engine, whether the login that Docker's config file has for it is good.
    ///
    /// # Errors
    /// Why it is not, or why nobody knows.
    pub async fn check_login(&self, registry: &str) -> Result<(), EngineError> {
        self.with(async |engine| registry::check_login(engine, registry).await).await
    }

    /// The engine's socket, if it has one on this host.
    pub fn socket(&self) -> Option<PathBuf> {
        self.access.endpoint.strip_prefix("unix://").map(PathBuf::from)
    }

    /// What was agreed with the engine; agreed anew after it was lost: another one may have come up since.
    async fn session(&self) -> Result<Session, EngineError> {
        let mut session = self.session.lock().await;
        match &*session {
            Some(session) => Ok(session.clone()),
            None => Ok(session.insert(connect::connect(&self.access).await?).clone()),
        }
    }

    /// Asks or does something; forgets what was agreed if the engine is lost.
    async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&Session) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let result = work(&self.session().await?).await;
        if result.as_ref().is_err_and(EngineError::is_unreachable) {
            self.forget().await;
        }
        result
    }

    async fn forget(&self) {
        *self.session.lock().await = None;
    }
}

impl Observe for DockerReader {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        let ahead = self.ahead().take().filter(|(begun, _)| begun.elapsed() <= AHEAD);
        let ahead = ahead.map(|(_, answers)| answers).unwrap_or_default();
        let look = async |engine: &Session| {
            // For this look alone: what it does not need is out of date for the next.
            let engine = Session { ahead: Arc::new(std::sync::Mutex::new(ahead)), ..engine.clone() };
            Box::pin(observe::observe(&engine, scope)).await
        };
        self.with(look).await
    }

    async fn data_directory(&self) -> Result<Option<String>, EngineError> {
        self.with(async |engine| inspect::data_directory(engine).await).await
    }
}

impl Inspect for DockerReader {
    async fn listed(&self) -> Result<Listed, EngineError> {
        self.with(async |engine| inspect::listed(engine).await).await
    }

    async fn container(&self, id: &EngineId) -> Result<Option<Value>, EngineError> {
        self.with(async |engine| inspect::container(engine, id).await).await
    }

    async fn image(&self, id: &ImageId) -> Result<Value, EngineError> {
        self.with(async |engine| inspect::image(engine, id).await).await
    }
}

impl Look for DockerReader {
    async fn look(&self, question: &Question) -> Result<Value, EngineError> {
        look::look(&self.session().await?, question).await
    }

    fn happenings(
        &self,
        period: &Period,
        filters: &Filters,
    ) -> impl Stream<Item = Result<Value, EngineError>> + Send {
        stream::once(async move { look::happenings(&self.session().await?, period, filters) }).try_flatten()
    }

    fn output(
        &self,
        container: &Found,
        wanted: &Output,
    ) -> impl Stream<Item = Result<Line, EngineError>> + Send {
        stream::once(async move { look::output(&self.session().await?, container, wanted).await })
            .try_flatten()
    }

    fn archive(
        &self,
        container: &Found,
        path: &str,
    ) -> impl Stream<Item = Result<Vec<u8>, EngineError>> + Send {
        stream::once(async move { look::archive(&self.session().await?, container, path) }).try_flatten()
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

    async fn data_directory(&self) -> Result<Option<String>, EngineError> {
        self.reader.data_directory().await
    }
}

impl Perform for DockerEngine {
    async fn perform(&self, step: &Step, progress: &Progress<'_>) -> Result<(), EngineError> {
        self.reader.with(async |engine| Box::pin(perform::perform(engine, step, progress)).await).await
    }
}

#[cfg(test)]
mod tests;
