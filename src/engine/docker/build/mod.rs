//! Images by the engine's builders. In: what a manifest says and a context. Out: an image under a tag, with the
//! label that says what it was made from.

mod context;
mod output;
mod trace;

use std::collections::{BTreeMap, HashMap};
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, BuilderVersion};
use futures_util::StreamExt;
use hyper::Method;
use hyper::body::Bytes;
use tokio::task::JoinHandle;

use self::output::Output;
use super::connect::BUILD_LOGINS;
use super::error::{failed, in_plain_words};
use super::{Session, credentials, podman, raw};
use crate::desired::Sent;
use crate::engine::{EngineError, Progress};
use crate::resource::image::{Build, Builder, Context};
use crate::resource::label::SOURCE;
use crate::resource::reference::ImageReference;

/// What is to be built.
pub(super) struct Order<'a> {
    /// What the manifest says.
    pub(super) build: &'a Build,
    /// The context; `None` if the engine fetches it.
    pub(super) sent: Option<&'a Sent>,
    /// What goes into the image's label.
    pub(super) digest: &'a str,
    /// What the image is called.
    pub(super) tag: &'a ImageReference,
}

/// Builds an image. `what` says it in an error.
pub(super) async fn build(
    engine: &Session,
    what: &str,
    order: &Order<'_>,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    if engine.is_podman && order.sent.is_none() {
        return Err(EngineError::refused(format!("{what}: {}", podman::FETCHES_NOTHING)));
    }
    let logins = logins(order.sent).await;
    let options = options(order, builder(engine, order.build.builder, &logins).await);
    let query = serde_urlencoded::to_string(options)
        .map_err(|error| EngineError::refused(format!("{what}: {error}")))?;
    let (body, sending) = match order.sent {
        Some(sent) => {
            let (body, sending) = context::stream_of(sent.clone());
            (bollard::body_try_stream(body), Some(sending))
        }
        None => (bollard::body_full(Bytes::new()), None),
    };
    let mut headers = vec![("content-type", "application/x-tar".to_owned())];
    if !logins.is_empty() {
        let text = serde_json::to_vec(&logins).map_err(|error| EngineError::refused(error.to_string()))?;
        headers.push((BUILD_LOGINS, URL_SAFE.encode(text)));
    }
    let sent = raw::Sent { headers, body };
    let mut lines =
        std::pin::pin!(raw::lines(engine.raw(&Method::POST, &format!("/build?{query}"), sent)?));
    let mut output = Output::default();
    let mut failure = None;
    while let Some(line) = lines.next().await {
        let heard = match line {
            Ok(line) => output
                .hear(&line, progress)
                .map_err(|why| EngineError::refused(format!("{what}: {}", in_plain_words(&why)))),
            Err(error) => Err(failed(&engine.endpoint, what, error)),
        };
        if let Err(error) = heard {
            failure = Some(error);
            break;
        }
    }
    // The engine sees only that its reading was broken off.
    if let Some(why) = broken_off(sending).await {
        return Err(EngineError::refused(format!("{what}: {why}")));
    }
    match failure {
        None => Ok(()),
        Some(EngineError::Refused { sentence }) => {
            Err(EngineError::refused(format!("{sentence}{}", output.last_words())))
        }
        Some(other) => Err(other),
    }
}

/// The builder that is asked. `BuildKit` takes logins only by way of a session of its own protocol, so an image
/// whose bases need one is left to the classic builder. So is every image on an engine with the containerd image
/// store: there `BuildKit` cannot read a context that is sent with the call (seen on Docker 26.1).
async fn builder(
    engine: &Session,
    wanted: Builder,
    logins: &HashMap<String, DockerCredentials>,
) -> BuilderVersion {
    match wanted {
        Builder::BuildKit => BuilderVersion::BuilderBuildKit,
        Builder::Auto
            if engine.prefers_buildkit() && logins.is_empty() && !has_containerd_store(engine).await =>
        {
            BuilderVersion::BuilderBuildKit
        }
        Builder::Auto | Builder::Classic => BuilderVersion::BuilderV1,
    }
}

/// Whether an engine keeps its images in containerd's store; taken for so where it does not say.
async fn has_containerd_store(engine: &Session) -> bool {
    let Ok(info) = engine.docker.info().await else { return true };
    info.driver_status.iter().flatten().flatten().any(|word| word.starts_with("io.containerd.snapshotter"))
}

fn options(order: &Order<'_>, version: BuilderVersion) -> BuildImageOptions {
    let Order { build, sent, digest, tag } = *order;
    let mut labels: HashMap<&str, &str> = pairs(&build.labels.0);
    labels.insert(SOURCE, digest);
    let mut options = BuildImageOptionsBuilder::new()
        .t(&tag.to_string())
        .dockerfile(sent.map_or_else(|| build.dockerfile(), |sent| sent.request.dockerfile_name()))
        .labels(&labels)
        .buildargs(&pairs(&build.args.0))
        .nocache(build.no_cache)
        .version(version)
        .rm(true)
        .forcerm(true);
    if build.pull_base {
        options = options.pull("1");
    }
    if let Some(target) = &build.target {
        options = options.target(target);
    }
    if let Some(platform) = &build.platform {
        options = options.platform(platform.as_str());
    }
    if let Some(network) = &build.network {
        options = options.networkmode(network);
    }
    if let (Some(Context::Remote(address)), None) = (&build.context, sent) {
        options = options.remote(address);
    }
    options.build()
}

fn pairs(texts: &BTreeMap<String, String>) -> HashMap<&str, &str> {
    texts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// The credentials for the registries that the base images come from.
async fn logins(sent: Option<&Sent>) -> HashMap<String, DockerCredentials> {
    let mut logins = HashMap::new();
    for base in sent.iter().flat_map(|sent| &sent.bases) {
        if let Some(login) = credentials::of(base).await.sent {
            logins.insert(login.serveraddress.clone().unwrap_or_default(), login);
        }
    }
    logins
}

/// Why a context could not be sent as it was to be; `None` if it was.
async fn broken_off(sending: Option<JoinHandle<io::Result<()>>>) -> Option<String> {
    match sending?.await {
        Ok(Ok(())) => None,
        // The engine did not want all of it: its own words say why.
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("reading the build context was broken off".to_owned()),
    }
}
