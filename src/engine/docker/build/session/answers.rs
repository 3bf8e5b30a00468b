//! What an engine is answered in a session. In: its questions. Out: that we are there, one secret by its name, the login
//! for one registry, and the context. Tells nothing else, and nothing that was not named for this build.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::http::Response;

use super::super::context;
use super::grpc::{Body, Status, many, one, question};
use super::messages::{
    BytesMessage, CredentialsRequest, CredentialsResponse, GetSecretRequest, GetSecretResponse,
    HealthCheckResponse,
};
use crate::desired::Sent;
use crate::engine::docker::Access;
use crate::engine::docker::credentials::{self, Credentials, Troubles};

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
const UPLOAD: &str = "/moby.upload.v1.Upload/Pull";

/// The host under which `BuildKit` asks its session for a context.
const CONTEXT_HOST: &str = "buildkit-session";

/// What gRPC's health check calls one who serves.
const SERVING: i32 = 1;

/// The host that Docker Hub's images come from, and what everybody else calls it.
const HUB: (&str, &str) = ("registry-1.docker.io", "docker.io");

/// What is given in a session.
pub(in super::super) struct Given {
    /// Its name, which is drawn anew each time.
    pub(super) id: String,
    secrets: BTreeMap<String, Bytes>,
    context: Option<Sent>,
    access: Arc<Access>,
    broken_off: Mutex<Option<String>>,
    troubles: Mutex<Troubles>,
}

impl Given {
    /// These secrets by their ids, a context unless the engine fetches it, and the logins that are had so.
    pub(in super::super) fn new(
        secrets: BTreeMap<String, Bytes>,
        context: Option<Sent>,
        access: Arc<Access>,
    ) -> Self {
        let id = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        Self { id, secrets, context, access, broken_off: Mutex::default(), troubles: Mutex::default() }
    }

    /// Where the engine finds the context: it asks the session for it.
    pub(in super::super) fn context_address(&self) -> Option<String> {
        self.context.as_ref().map(|_| format!("http://{CONTEXT_HOST}/{}", self.id))
    }

    /// What can be asked.
    pub(super) fn methods(&self) -> impl Iterator<Item = &'static str> {
        [HEALTH, CREDENTIALS, SECRET].into_iter().chain(self.context.as_ref().map(|_| UPLOAD))
    }

    pub(super) fn broken_off(&self) -> Option<String> {
        self.broken_off.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn login_troubles(&self) -> String {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).words()
    }

    /// The answer to a question.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        match head.uri.path() {
            HEALTH => one(Ok(HealthCheckResponse { status: SERVING })),
            SECRET => one(question(body).await.and_then(|asked| self.secret(&asked))),
            CREDENTIALS => one(match question::<CredentialsRequest>(body).await {
                Ok(asked) => Ok(self.login(&asked.host).await),
                Err(status) => Err(status),
            }),
            UPLOAD => self.upload(),
            _ => one(Err::<HealthCheckResponse, _>(Status::Unimplemented)),
        }
    }

    /// What Docker's config file has for a registry; nothing is anonymous. As with Docker's own client, an identity token
    /// comes without a user.
    async fn login(&self, host: &str) -> CredentialsResponse {
        let host = if host == HUB.0 { HUB.1 } else { host };
        let Credentials { sent, trouble } = credentials::of_registry(&self.access, host).await;
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).note(host, trouble);
        let Some(login) = sent else { return CredentialsResponse::default() };
        match login.identitytoken {
            Some(secret) => CredentialsResponse { username: String::new(), secret },
            None => CredentialsResponse {
                username: login.username.unwrap_or_default(),
                secret: login.password.unwrap_or_default(),
            },
        }
    }

    fn secret(&self, asked: &GetSecretRequest) -> Result<GetSecretResponse, Status> {
        let data = self.secrets.get(&asked.id).cloned().ok_or(Status::NotFound)?;
        Ok(GetSecretResponse { data })
    }

    /// The context in pieces, read anew each time that it is asked for.
    fn upload(self: Arc<Self>) -> Response<Body> {
        let Some(sent) = &self.context else {
            return one(Err::<BytesMessage, _>(Status::NotFound));
        };
        let (pieces, writing) = context::stream_of(sent.clone());
        // The last of its pieces says how it ended.
        drop(writing);
        let given = Arc::clone(&self);
        many(pieces.map(move |piece| match piece {
            Ok(data) => Ok(BytesMessage { data }),
            Err(error) => {
                *given.broken_off.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                Err(Status::Internal)
            }
        }))
    }
}
