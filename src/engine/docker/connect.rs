//! Finds the engine and agrees on an API version with it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{BollardRequest, Docker};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::endpoint::{Connector, Way};
use super::error::failed;
use super::raw::Body;
use super::{Access, Session, podman};
use crate::engine::EngineError;
use crate::fields::plain;
use crate::resource::platform::Platform;

/// The API that this module speaks: Docker 20.10's.
const API: Version = Version { major: 1, minor: 41 };

/// The API of the first engine that prefers `BuildKit`: Docker 23.0's.
const BUILDKIT: Version = Version { major: 1, minor: 42 };

/// The header that carries credentials for a registry.
pub(super) const REGISTRY_AUTH: &str = "x-registry-auth";

/// The header that carries those for the registries of a build.
pub(super) const BUILD_LOGINS: &str = "x-registry-config";

/// What the engine is called in requests, which go where its [`Way`] leads.
pub(super) const HOST: &str = "engine";

/// How long a connection is kept for the next look.
const KEPT: Duration = Duration::from_secs(2);

/// How long an answer may take to begin. Long ones (loading, pulling, stopping) say so themselves.
const ANSWER: Duration = Duration::from_mins(1);

/// A version of the engine's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u32,
    minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// Speaks to an engine for the first time, and agrees on an API version.
pub(super) async fn connect(access: &Arc<Access>) -> Result<Session, EngineError> {
    agreed(speaking(access)?).await
}

/// An engine that has not been spoken to yet: nothing is agreed but what nearly all understand.
pub(super) fn speaking(access: &Arc<Access>) -> Result<Session, EngineError> {
    let endpoint = access.endpoint.as_str();
    let way =
        Way::to(access).map_err(|cause| EngineError::Unreachable { endpoint: endpoint.to_owned(), cause })?;
    let way = Arc::new(way);
    let over = |kept| over(&way, kept).map_err(|error| failing(endpoint, error));
    Ok(Session {
        docker: over(0)?,
        kept: over(usize::MAX)?,
        version: API,
        latest: API,
        platform: None,
        access: Arc::clone(access),
        limits_swap: Arc::default(),
        is_podman: false,
        tags: Arc::default(),
        endpoint: endpoint.to_owned(),
        last_base: Arc::default(),
        waits: Arc::default(),
        ahead: Arc::default(),
        way,
    })
}

fn failing(endpoint: &str, error: Error) -> EngineError {
    failed(endpoint, &format!("asking {endpoint} for its version"), error)
}

/// The same, once the engine has said what it is.
pub(super) async fn agreed(session: Session) -> Result<Session, EngineError> {
    let endpoint = &*session.endpoint;
    let answer = session.docker.version().await.map_err(|error| failing(endpoint, error))?;
    let mut components = answer.components.into_iter().flatten();
    let podman = components.find(|component| component.name.starts_with(podman::NAME));
    if let Some(other) = podman.as_ref().filter(|podman| !podman.version.starts_with(podman::VERSION)) {
        return Err(EngineError::refused(format!(
            "the engine at {endpoint} is Podman {}; of Podman, Invigil knows the answers of {}x alone",
            plain(&other.version),
            podman::VERSION
        )));
    }
    let spoken = answer.api_version.as_deref().and_then(Version::parse).unwrap_or(API);
    if spoken < API {
        return Err(EngineError::refused(format!(
            "the engine at {endpoint} speaks API {spoken}; Invigil needs 1.41 (Docker 20.10) or later"
        )));
    }
    // An engine that has given up our version is spoken to in the oldest that it still knows.
    let oldest = answer.min_api_version.as_deref().and_then(Version::parse).unwrap_or(API);
    let version = oldest.max(API);
    Ok(Session {
        docker: session.docker.clone().with_request_modifier(move |request| pin(request, version)),
        version,
        latest: spoken,
        platform: Platform::of(answer.os.as_deref(), answer.arch.as_deref()),
        is_podman: podman.is_some(),
        ..session
    })
}

/// The engine, over connections of which so many are kept for the next call: bollard opens one for each, which makes a
/// thousand inspections half as long again.
fn over(way: &Arc<Way>, kept: usize) -> Result<Docker, Error> {
    let client: Client<Connector, Body> = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEPT)
        .pool_max_idle_per_host(kept)
        .build(Connector(Arc::clone(way)));
    let transport = move |request: BollardRequest| {
        let answer = client.request(request);
        Box::pin(async move { answer.await.map_err(Error::from) }) as Pin<Box<dyn Future<Output = _> + Send>>
    };
    let seconds = ANSWER.as_secs();
    Docker::connect_with_custom_transport(
        transport,
        Some(format!("http://{HOST}")),
        seconds,
        bollard::API_DEFAULT_VERSION,
    )
}

impl Session {
    /// What the engine has answered to this already, once.
    pub(super) fn asked_ahead(&self, path: &str) -> Option<Vec<u8>> {
        // Each change leaves it whole.
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).remove(path)
    }

    /// Whether the engine builds by `BuildKit` where nothing else is said: Docker 23.0 and later.
    pub(super) fn prefers_buildkit(&self) -> bool {
        self.latest >= BUILDKIT
    }

    /// The engine for one call whose body is this: bollard's types leave out what they do not know, such
    /// as a container's `MacAddress`.
    pub(super) fn sending(&self, body: &serde_json::Value) -> Docker {
        let (version, body) = (self.version, Bytes::from(body.to_string()));
        self.docker.clone().with_request_modifier(move |request| {
            pin(request, version).map(|_| bollard::body_full(body.clone()))
        })
    }
}

/// Credentials in the alphabet that engines read: bollard 0.21 encodes them in the other one, and what an
/// engine cannot read it takes for nobody's.
fn url_safe(encoded: &HeaderValue) -> Option<HeaderValue> {
    let text = encoded.to_str().ok()?.replace('+', "-").replace('/', "_");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Puts the API version before the path: bollard 0.21 loses it, and the engine then answers at its
/// own latest, whose forms nobody here has seen.
pub(super) fn pin(mut request: BollardRequest, version: Version) -> BollardRequest {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let versioned = format!("/v{version}{path}");
    let mut parts = uri.clone().into_parts();
    if let Ok(path) = versioned.parse() {
        parts.path_and_query = Some(path);
        if let Ok(uri) = parts.try_into() {
            *request.uri_mut() = uri;
        }
    }
    if let Some(encoded) = request.headers_mut().get_mut(REGISTRY_AUTH)
        && let Some(url_safe) = url_safe(encoded)
    {
        *encoded = url_safe;
    }
    request
}
