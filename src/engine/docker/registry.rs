//! Registries, by way of the engine. In: references. Out: the digests that they have there; images
//! brought from there and put there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bollard::errors::Error;
use bollard::models::ProgressDetail;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;
use tokio::time::{Instant, timeout, timeout_at};

use super::connect::REGISTRY_AUTH;
use super::credentials::{self, Credentials};
use super::error::{broke_off, failed, is_absent};
use super::layers::Layers;
use super::perform::segment;
use super::{Session, podman, raw};
use crate::engine::{EngineError, Progress};
use crate::observed::AtRegistry;
use crate::resource::platform::Platform;
use crate::resource::reference::ImageReference;

/// How many registries are asked at once.
const ASKED: usize = 8;
/// How long one answer may take: a pass waits for it.
const ANSWER: Duration = Duration::from_secs(10);
/// How long all of them may take, with the credential helpers that are asked before.
const ALL: Duration = Duration::from_secs(40);
/// How long an engine that does not give up by itself may wait for a registry's first word.
const FIRST_WORD: Duration = Duration::from_mins(1);

/// What registries have under these references. One that does not answer is asked for nothing more.
pub(super) async fn ask(
    engine: &Session,
    references: &BTreeSet<ImageReference>,
) -> BTreeMap<ImageReference, AtRegistry> {
    let deadline = Instant::now() + ALL;
    let silent = Mutex::new(BTreeSet::new());
    let silent = &silent;
    let of = |patience: Duration| AtRegistry::Silent(format!("no answer within {} s", patience.as_secs()));
    let asked = stream::iter(references.iter().cloned()).map(|reference| async move {
        let registry = reference.domain().to_owned();
        if silent.lock().unwrap_or_else(PoisonError::into_inner).contains(&registry) {
            return (reference, of(ANSWER));
        }
        let answer = match timeout_at(deadline, ask_for(engine, &reference)).await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                silent.lock().unwrap_or_else(PoisonError::into_inner).insert(registry);
                of(ANSWER)
            }
            Err(_) => of(ALL),
        };
        (reference, answer)
    });
    asked.buffer_unordered(ASKED).collect().await
}

/// What a registry has; `None` if it does not answer.
async fn ask_for(engine: &Session, reference: &ImageReference) -> Option<AtRegistry> {
    if engine.is_podman {
        return Some(AtRegistry::Silent("Podman has no call that asks a registry what it has".to_owned()));
    }
    let name = reference.to_string();
    let Ok(name) = segment(&name) else {
        return Some(AtRegistry::Silent("it cannot be asked for".to_owned()));
    };
    let Credentials { sent, trouble } = credentials::of(&engine.access, reference).await;
    let answer = timeout(ANSWER, engine.docker.inspect_registry_image(name, sent)).await.ok()?;
    Some(match answer {
        Ok(answer) => match answer.descriptor.digest.and_then(|digest| digest.parse().ok()) {
            Some(digest) => AtRegistry::Has(digest),
            None => AtRegistry::Silent("its answer has no digest".to_owned()),
        },
        Err(error) if is_absent(&error) || is_unknown(&error) => AtRegistry::Absent,
        Err(error) => {
            let why = failed(&engine.endpoint, "it", error).to_string();
            let why = why.strip_prefix("it: ").unwrap_or(&why).to_owned();
            AtRegistry::Silent(trouble.map_or_else(|| why.clone(), |trouble| format!("{why} ({trouble})")))
        }
    })
}

/// Whether the registry said that it has no such tag.
fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. }
        if message.contains("manifest unknown") || message.contains("name unknown"))
}

/// Asks a registry whether it lets in whom Docker's config file has for it.
///
/// # Errors
/// Why it does not, or why nobody knows, in a sentence.
pub(super) async fn check_login(engine: &Session, registry: &str) -> Result<(), EngineError> {
    let Credentials { sent, trouble } = credentials::of_registry(&engine.access, registry).await;
    let Some(login) = sent else {
        let file = engine.access.config_file();
        let file = file.map_or_else(|| "Docker's config.json".to_owned(), |file| file.display().to_string());
        let why = trouble.unwrap_or_else(|| format!("{file} has no login for it"));
        return Err(EngineError::refused(format!("{registry}: {why}")));
    };
    let body = serde_json::to_vec(&login).map_err(|error| EngineError::refused(error.to_string()))?;
    let headers = vec![("content-type", "application/json".to_owned())];
    let sent = raw::Sent { headers, body: bollard::body_full(body.into()) };
    let mut answer = std::pin::pin!(engine.raw(&Method::POST, "/auth", sent)?);
    while let Some(piece) = answer.next().await {
        piece.map_err(|error| failed(&engine.endpoint, registry, error))?;
    }
    Ok(())
}

/// Pulls an image. A tag is always sent: without one the engine pulls every tag.
pub(super) async fn pull(
    engine: &Session,
    reference: &ImageReference,
    platform: Option<&Platform>,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let what = format!("pull {reference}");
    let mut options = CreateImageOptionsBuilder::new();
    options = match reference.tag() {
        Some(tag) => options.from_image(&reference.repository()).tag(tag),
        None => options.from_image(&reference.to_string()),
    };
    if let Some(platform) = platform {
        options = options.platform(platform.as_str());
    }
    let Credentials { sent, trouble } = credentials::of(&engine.access, reference).await;
    let answers = engine.docker.create_image(Some(options.build()), None, sent);
    let answers = answers.map_ok(|info| Said {
        status: info.status,
        layer: info.id.unwrap_or_default(),
        detail: info.progress_detail,
    });
    follow(engine, &what, answers, trouble, progress).await
}

/// Puts an image where its tag says.
pub(super) async fn push(
    engine: &Session,
    tag: &ImageReference,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let what = format!("push {tag}");
    let Credentials { sent, trouble } = credentials::of(&engine.access, tag).await;
    // Nobody is somebody without a name: an engine wants the header.
    let login = serde_json::to_vec(&sent.unwrap_or_default())
        .map_err(|error| EngineError::refused(format!("{what}: {error}")))?;
    let query = serde_urlencoded::to_string([("tag", tag.tag().unwrap_or("latest"))])
        .map_err(|error| EngineError::refused(format!("{what}: {error}")))?;
    let path = format!("/images/{}/push?{query}", segment(&tag.repository())?);
    let headers = vec![(REGISTRY_AUTH, URL_SAFE.encode(login))];
    let answers =
        engine.raw(&Method::POST, &path, raw::Sent { headers, body: bollard::body_full(Bytes::new()) })?;
    follow(engine, &what, raw::lines(answers).map(|line| Said::of_push(&line?)), trouble, progress).await
}

/// One line of an engine's answer.
struct Said {
    status: Option<String>,
    /// The layer's id, where the answer has one.
    layer: String,
    detail: Option<ProgressDetail>,
}

impl Said {
    /// A line about a push. bollard leaves the layer's id out, and two layers of one size would count as one.
    fn of_push(line: &[u8]) -> Result<Self, Error> {
        let line: Pushed = serde_json::from_slice(line)
            .map_err(|error| Error::JsonDataError { message: error.to_string(), column: error.column() })?;
        match line.error {
            Some(error) => Err(Error::DockerStreamError { error }),
            None => Ok(Self { status: line.status, layer: line.id.unwrap_or_default(), detail: line.detail }),
        }
    }
}

/// What an engine says of a push.
#[derive(Deserialize)]
struct Pushed {
    id: Option<String>,
    status: Option<String>,
    error: Option<String>,
    #[serde(rename = "progressDetail")]
    detail: Option<ProgressDetail>,
}

/// Tells how far the layers are, until all are through. `trouble` is why no login was sent.
async fn follow(
    engine: &Session,
    what: &str,
    answers: impl Stream<Item = Result<Said, Error>>,
    trouble: Option<String>,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let mut answers = std::pin::pin!(answers);
    // Podman waits for a registry for ever.
    let mut is_heard = !engine.is_podman;
    let mut layers = Layers::default();
    loop {
        let next = answers.next();
        let silent = |_| EngineError::refused(format!("{what}: the registry does not answer"));
        let next = if is_heard { next.await } else { timeout(FIRST_WORD, next).await.map_err(silent)? };
        let Some(answer) = next else { return Ok(()) };
        let Said { status, layer, detail } =
            answer.map_err(|error| match (failed_midway(&engine.endpoint, what, error), &trouble) {
                (EngineError::Refused { sentence }, Some(trouble)) => {
                    EngineError::refused(format!("{sentence} (asked without a login: {trouble})"))
                }
                (error, _) => error,
            })?;
        is_heard |= status.as_deref().is_some_and(|status| !podman::is_own_word(status));
        let total = detail.and_then(|detail| Some((detail.current?, detail.total?)));
        if let (Some(status), Some((current, total))) = (status, total)
            && let Some(told) = layers.hear(&status, &layer, current, total)
        {
            progress(told);
        }
    }
}

/// The error of a pull or a push that may have begun.
fn failed_midway(endpoint: &str, what: &str, error: Error) -> EngineError {
    if broke_off(&error) {
        return EngineError::refused(format!("{what}: the connection to the registry broke off"));
    }
    failed(endpoint, what, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pushed_layer_has_its_id_and_an_error_in_the_stream_is_one() {
        let said = |line: &str| {
            Said::of_push(line.as_bytes()).map(|said| (said.status.unwrap_or_default(), said.layer))
        };
        let pushing = r#"{"status":"Pushing","progressDetail":{"current":512,"total":1024},"progress":"[=>]","id":"ab12"}"#;
        assert_eq!(said(pushing).ok(), Some(("Pushing".to_owned(), "ab12".to_owned())));
        let denied = r#"{"errorDetail":{"message":"denied"},"error":"denied"}"#;
        assert!(matches!(said(denied), Err(Error::DockerStreamError { error }) if error == "denied"));
        assert!(matches!(said("<html>"), Err(Error::JsonDataError { .. })));
    }
}
