//! A build's session: `BuildKit` asks in it for what is not sent with the call. In: a context, secrets, and what Docker's
//! config file has. Out: answers to the engine's questions, as long as the build takes. Asks nothing itself.
//!
//! The engine is the client: it speaks gRPC over a connection that we opened and it took over (moby/buildkit,
//! `session/`; moby, `POST /session`).

mod answers;
mod grpc;
mod messages;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(super) use self::answers::Given;
use super::super::{Session, connect};
use crate::engine::EngineError;
use crate::fields::plain;

/// How long opening one may take.
const OPENING: Duration = Duration::from_secs(30);
/// How much of a refusal is read, in bytes.
const REFUSAL_MAX: usize = 4096;

/// A session that is open, until it is dropped.
pub(super) struct BuildSession {
    /// What the build is told to ask.
    pub(super) id: String,
    given: Arc<Given>,
    tasks: Vec<JoinHandle<()>>,
}

impl BuildSession {
    /// Opens a session in which this is given. `what` says in an error what it is for.
    ///
    /// # Errors
    /// If the engine does not want one.
    pub(super) async fn open(engine: &Session, what: &str, given: Given) -> Result<Self, EngineError> {
        let opened = timeout(OPENING, Self::opened(engine, what, given)).await;
        opened.unwrap_or_else(|_| {
            Err(EngineError::refused(format!("{what}: the engine opens no session for it")))
        })
    }

    async fn opened(engine: &Session, what: &str, given: Given) -> Result<Self, EngineError> {
        let lost = |cause: String| EngineError::Unreachable { endpoint: engine.endpoint.clone(), cause };
        let stream = engine.way.open().await.map_err(|error| lost(error.to_string()))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(error.to_string()))?;
        let mut session = Self { id: given.id.clone(), given: Arc::new(given), tasks: Vec::new() };
        session.tasks.push(tokio::spawn(async move {
            // Whoever waits for an answer on it hears of its end.
            let _ = connection.with_upgrades().await;
        }));
        let mut request = Request::post(format!("/v{}/session", engine.version))
            .header(HOST, connect::HOST)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "h2c")
            .header("X-Docker-Expose-Session-Uuid", &session.id)
            .header("X-Docker-Expose-Session-Name", "invigil");
        for method in session.given.methods() {
            request = request.header("X-Docker-Expose-Session-Grpc-Method", method);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| EngineError::refused(format!("{what}: {error}")))?;
        let answer = sender.send_request(request).await.map_err(|error| lost(error.to_string()))?;
        let status = answer.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let body = Limited::new(answer.into_body(), REFUSAL_MAX).collect().await;
            let words =
                body.map(|body| plain(&String::from_utf8_lossy(&body.to_bytes()))).unwrap_or_default();
            return Err(EngineError::refused(format!(
                "{what}: the engine opens no session for it: {status} {}",
                words.trim()
            )));
        }
        let upgraded = hyper::upgrade::on(answer).await.map_err(|error| lost(error.to_string()))?;
        let given = Arc::clone(&session.given);
        session.tasks.push(tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let given = Arc::clone(&given);
                async move { Ok::<_, Infallible>(given.answer(request).await) }
            });
            // Its end is the build's, or the build's answer says what is wrong.
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(upgraded, answer).await;
        }));
        Ok(session)
    }

    /// Why the context could not be given as it was to be; `None` if it was.
    pub(super) fn broken_off(&self) -> Option<String> {
        self.given.broken_off()
    }

    /// Why the engine was given no login that Docker's config file has; nothing if there was no trouble.
    pub(super) fn login_troubles(&self) -> String {
        self.given.login_troubles()
    }
}

impl Drop for BuildSession {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
