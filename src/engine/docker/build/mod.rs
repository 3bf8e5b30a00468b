//! Images by the engine's builders. In: what a manifest says and a context. Out: an image under a tag, with the
//! label that says what it was made from.

mod context;
mod output;
mod secrets;
mod session;
mod trace;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, BuilderVersion};
use futures_util::StreamExt;
use hyper::Method;
use hyper::body::Bytes;
use tokio::task::JoinHandle;

use self::output::Output;
use self::session::{BuildSession, Given};
use super::connect::BUILD_LOGINS;
use super::credentials::{self, Credentials, Troubles};
use super::error::{failed, in_plain_words};
use super::{Session, podman, raw};
use crate::desired::Sent;
use crate::engine::hidden::Hidden;
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
    let refused = |why: &str| EngineError::refused(format!("{what}: {why}"));
    if engine.is_podman && order.sent.is_none() {
        return Err(refused(podman::FETCHES_NOTHING));
    }
    if engine.is_podman && order.build.network.as_deref().is_some_and(|network| network != "host") {
        return Err(refused(podman::BUILDS_ON_HOST));
    }
    if engine.is_podman && !order.build.secrets.is_empty() {
        return Err(refused(podman::GIVES_NO_SECRETS));
    }
    let secrets = secrets::read(&order.build.secrets).await.map_err(|why| refused(&why))?;
    let mut output =
        Output::hiding(Hidden::of(secrets.values().filter_map(|secret| std::str::from_utf8(secret).ok())));
    let version = builder(engine, order.build);
    let mut options = options(order, version);
    let mut call =
        Call { headers: vec![("content-type", "application/x-tar".to_owned())], ..Call::default() };
    if matches!(version, BuilderVersion::BuilderBuildKit) {
        let given = Given::new(secrets, order.sent.cloned(), Arc::clone(&engine.access));
        options.remote = given.context_address().or(options.remote);
        call.session = Some(BuildSession::open(engine, what, given).await?);
    } else {
        let (logins, troubles) = logins(engine, order.sent).await;
        call.troubles = troubles;
        if !logins.is_empty() {
            let text = serde_json::to_vec(&logins).map_err(|error| refused(&error.to_string()))?;
            call.headers.push((BUILD_LOGINS, URL_SAFE.encode(text)));
        }
        if let Some(sent) = order.sent {
            let (body, sending) = context::stream_of(sent.clone());
            call.body = Some(bollard::body_try_stream(body));
            call.sending = Some(sending);
        }
    }
    // bollard knows no session.
    let session = call.session.as_ref().map(|session| format!("&session={}", session.id)).unwrap_or_default();
    let query = serde_urlencoded::to_string(options).map_err(|error| refused(&error.to_string()))? + &session;
    let body = call.body.unwrap_or_else(|| bollard::body_full(Bytes::new()));
    let sent = raw::Sent { headers: call.headers, body };
    let mut lines =
        std::pin::pin!(raw::lines(engine.raw(&Method::POST, &format!("/build?{query}"), sent)?));
    let mut failure = None;
    while let Some(line) = lines.next().await {
        let heard = match line {
            Ok(line) => output.hear(&line, progress).map_err(|why| refused(&in_plain_words(&why))),
            Err(error) => Err(failed(&engine.endpoint, what, error)),
        };
        if let Err(error) = heard {
            failure = Some(error);
            break;
        }
    }
    // The engine sees only that its reading was broken off.
    let in_session = call.session.as_ref().and_then(BuildSession::broken_off);
    if let Some(why) = broken_off(call.sending).await.or(in_session) {
        return Err(refused(&why));
    }
    match failure {
        None => Ok(()),
        Some(EngineError::Refused { sentence }) => {
            let in_session = call.session.as_ref().map(BuildSession::login_troubles).unwrap_or_default();
            let (before, last) = (call.troubles.words() + &in_session, output.last_words());
            Err(EngineError::refused(format!("{sentence}{before}{last}")))
        }
        Some(other) => Err(other),
    }
}

/// What goes with the call, and what the engine asks for beside it.
#[derive(Default)]
struct Call {
    headers: Vec<(&'static str, String)>,
    body: Option<raw::Body>,
    sending: Option<JoinHandle<io::Result<()>>>,
    session: Option<BuildSession>,
    /// Of the logins that are sent along.
    troubles: Troubles,
}

/// The builder that is asked. Every engine that Invigil knows has `BuildKit`, but those before Docker 23.0 take it only
/// where it is asked for; Podman has its own, whatever is asked for, which is sent what the classic one is.
fn builder(engine: &Session, build: &Build) -> BuilderVersion {
    let is_buildkit = match build.builder {
        Builder::BuildKit => true,
        Builder::Auto => engine.prefers_buildkit() || !build.secrets.is_empty(),
        Builder::Classic => false,
    };
    if is_buildkit && !engine.is_podman { BuilderVersion::BuilderBuildKit } else { BuilderVersion::BuilderV1 }
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

/// The credentials for the registries that the base images come from. `BuildKit` asks for them in its session.
async fn logins(engine: &Session, sent: Option<&Sent>) -> (HashMap<String, DockerCredentials>, Troubles) {
    let (mut logins, mut troubles) = (HashMap::new(), Troubles::default());
    for base in sent.iter().flat_map(|sent| &sent.bases) {
        let Credentials { sent, trouble } = credentials::of(&engine.access, base).await;
        logins.extend(sent.map(|login| (login.serveraddress.clone().unwrap_or_default(), login)));
        troubles.note(base.domain(), trouble);
    }
    (logins, troubles)
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
