//! Images by the engine's classic builder. In: what a manifest says and a context. Out: an image under a tag, with
//! the label that says what it was made from. The context is streamed, and never in memory as a whole.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};

use anstream::adapter::strip_str;
use bollard::auth::DockerCredentials;
use bollard::models::BuildInfo;
use bollard::query_parameters::BuildImageOptionsBuilder;
use futures_util::{StreamExt, stream};
use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::error::failed;
use super::{Session, credentials};
use crate::desired::Sent;
use crate::engine::{EngineError, Progress};
use crate::fields::plain;
use crate::resource::image::{Build, Context};
use crate::resource::label::SOURCE;
use crate::resource::reference::ImageReference;

/// How much of a context is sent at once, in bytes.
const CHUNK: usize = 256 << 10;
/// How many of these wait for the engine.
const WAITING: usize = 4;
/// How many of a builder's last lines are told after a failure.
const LAST_LINES: usize = 12;

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
    let Order { build, sent, digest, tag } = *order;
    let mut labels: HashMap<&str, &str> = pairs(&build.labels.0);
    labels.insert(SOURCE, digest);
    let mut options = BuildImageOptionsBuilder::new()
        .t(&tag.to_string())
        .dockerfile(sent.map_or_else(|| build.dockerfile(), |sent| sent.request.dockerfile_name()))
        .labels(&labels)
        .buildargs(&pairs(&build.args.0))
        .nocache(build.no_cache)
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
    let (body, sending) = match sent {
        Some(sent) => {
            let (body, sending) = stream_of(sent.clone());
            (bollard::body_try_stream(body), Some(sending))
        }
        // Without a body bollard 0.21 panics.
        None => (bollard::body_full(Bytes::new()), None),
    };
    let logins = logins(sent).await;
    let mut answers = std::pin::pin!(engine.docker.build_image(options.build(), Some(logins), Some(body)));
    let mut output = Output::default();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(info) => output.hear(&info, progress),
            Err(error) => {
                // The engine sees only that its reading was broken off.
                if let Some(why) = broken_off(sending).await {
                    return Err(EngineError::refused(format!("{what}: {why}")));
                }
                return Err(match failed(&engine.endpoint, what, error) {
                    EngineError::Refused { sentence } => {
                        EngineError::refused(format!("{sentence}{}", output.last_words()))
                    }
                    other => other,
                });
            }
        }
    }
    match broken_off(sending).await {
        Some(why) => Err(EngineError::refused(format!("{what}: {why}"))),
        None => Ok(()),
    }
}

fn pairs(texts: &std::collections::BTreeMap<String, String>) -> HashMap<&str, &str> {
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

/// A context in pieces, read as the engine takes them. It ends with an error if it is not what it was.
fn stream_of(
    sent: Sent,
) -> (impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static, JoinHandle<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let sending = tokio::task::spawn_blocking(move || {
        let mut out = Pieces { buffer: Vec::with_capacity(CHUNK), sender };
        let result = sent.request.send(&sent.digest, &mut out).and_then(|()| out.flush());
        if let Err(error) = &result {
            // The reader is gone where this cannot be said.
            let _ = out.sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        result
    });
    let body =
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    (body, sending)
}

/// Hands on what is written, in pieces.
struct Pieces {
    buffer: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// What a builder says.
#[derive(Default)]
struct Output {
    last: VecDeque<String>,
}

impl Output {
    fn hear(&mut self, info: &BuildInfo, progress: &Progress<'_>) {
        for line in info.stream.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
            // The classic builder shows what went to stderr in red.
            let line = plain(strip_str(line).to_string().trim_end());
            if let Some(step) = line.strip_prefix("Step ") {
                progress(format!("step {}", step.replacen(" :", ":", 1)));
            }
            let is_its_own =
                [" --->", "Removing intermediate container"].iter().any(|start| line.starts_with(start));
            if line.is_empty() || is_its_own {
                continue;
            }
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(line);
        }
        if let (Some(status), Some(id)) = (&info.status, &info.id) {
            progress(format!("{} {}", plain(status), plain(id)));
        }
    }

    /// The end of what it said, for a sentence.
    fn last_words(&self) -> String {
        if self.last.is_empty() {
            return String::new();
        }
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        format!("; its last output: {}", lines.join(" | "))
    }
}
