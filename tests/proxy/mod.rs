//! A proxy before the real engine that counts calls and fails on demand. In: requests on a socket of its
//! own, and a fault to inject at one of them. Out: the engine's answers, streamed, and a list of the calls.
//! Never passes on a call twice, and knows no upgraded connections (`exec`, `attach`).

mod speak;

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as _, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

pub use speak::{ask, real_engine};

type Body = BoxBody<Bytes, Cut>;

/// Why a connection is ended without an answer, or in the middle of one.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
pub struct Cut;

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<hyper::Error> for Cut {
    fn from(_: hyper::Error) -> Self {
        Self
    }
}

impl From<std::io::Error> for Cut {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// One call that a client made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `POST`
    pub method: String,
    /// The path and query without the API's version: `/containers/create?name=web`
    pub path: String,
    /// Whether the engine's answer, as far as there was one, had a body.
    pub told: bool,
}

impl Call {
    /// Whether it may change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// Whether its body says what a container is to be.
    fn describes_a_container(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        let is_one = path == "/containers/create" || path.ends_with("/update");
        self.method == "POST" && is_one
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// On which side of the engine's own work something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The engine never sees the call.
    Before,
    /// The engine has done what it was asked; the client does not hear of it.
    After,
}

/// What goes wrong with a call.
#[derive(Clone)]
pub enum Fault {
    /// The connection ends without an answer.
    Cut(When),
    /// The answer is an error 500.
    Refuse(When),
    /// The connection ends without an answer, and so do all after it.
    Gone(When),
    /// Something is done (a process is killed), and the connection ends.
    Do(When, Arc<dyn Fn() + Send + Sync>),
    /// The engine's answer is held back for so long, and so are all after it.
    Stall(Duration),
    /// The call reaches the engine so much later, also if its client has left by then.
    Late(Duration),
    /// The answer's body ends in the middle. Only where there is a body.
    Truncate,
    /// The answer's body is no JSON. Only where there is a body.
    Garble,
}

/// Which calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// All.
    All,
    /// Those that may change something.
    Writes,
    /// Those that change nothing.
    Reads,
    /// Those at this path.
    At(&'static str),
}

impl Among {
    fn counts(self, call: &Call) -> bool {
        match self {
            Self::All => true,
            Self::Writes => call.is_write(),
            Self::Reads => !call.is_write(),
            Self::At(path) => call.path == path,
        }
    }
}

/// A fault that waits for its call.
struct Armed {
    among: Among,
    /// How many of those calls are still to come, itself included.
    left: usize,
    fault: Fault,
}

#[derive(Default)]
struct Record {
    calls: Vec<Call>,
    /// What containers were asked to be, by the path of the call.
    bodies: Vec<(String, Value)>,
    armed: Option<Armed>,
    /// The call that a fault was injected at.
    struck: Option<Call>,
    gone: bool,
    slow: Option<Duration>,
}

struct Shared {
    engine: PathBuf,
    record: Mutex<Record>,
}

/// A proxy that listens until it is dropped.
pub struct Proxy {
    directory: tempfile::TempDir,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens before the engine that `DOCKER_HOST` names, or the one at the default socket.
    pub fn start() -> Self {
        Self::before(&real_engine())
    }

    /// Listens before the engine at a socket.
    pub fn before(engine: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("engine.sock")).expect("a socket");
        let shared = Arc::new(Shared { engine: engine.to_owned(), record: Mutex::default() });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { directory, shared, listening }
    }

    /// What clients take for the engine's address.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.directory.path().join("engine.sock").display())
    }

    /// Forgets all calls, and every fault.
    pub fn reset(&self) {
        *self.shared.record() = Record::default();
    }

    /// Forgets all calls, and has `fault` happen at the `nth` of those to come, the first being 1.
    pub fn arm(&self, among: Among, nth: usize, fault: Fault) {
        *self.shared.record() =
            Record { armed: Some(Armed { among, left: nth, fault }), ..Record::default() };
    }

    /// The calls since the last reset, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.record().calls.clone()
    }

    /// The calls since the last reset that may have changed something.
    pub fn writes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(Call::is_write).collect()
    }

    /// What containers were to be made or changed to since the last reset, each with its call's path.
    pub fn bodies(&self) -> Vec<(String, Value)> {
        self.shared.record().bodies.clone()
    }

    /// The call at which the fault happened, if it did.
    pub fn struck(&self) -> Option<Call> {
        self.shared.record().struck.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("nobody panics while it is held")
    }

    /// Notes a call. Gives its number, and what is to go wrong with it.
    fn note(&self, call: &Call) -> (usize, Option<Fault>) {
        let mut record = self.record();
        let number = record.calls.len();
        record.calls.push(call.clone());
        if record.gone {
            return (number, Some(Fault::Cut(When::Before)));
        }
        if let Some(time) = record.slow {
            return (number, Some(Fault::Stall(time)));
        }
        let Some(armed) = record.armed.as_mut().filter(|armed| armed.among.counts(call)) else {
            return (number, None);
        };
        armed.left -= 1;
        if armed.left > 0 {
            return (number, None);
        }
        (number, record.armed.take().map(|armed| armed.fault))
    }

    /// Notes that the fault of a call happens now.
    fn strike(&self, number: usize) {
        let mut record = self.record();
        // A reset in between has forgotten it.
        record.struck = record.calls.get(number).cloned().or(record.struck.take());
    }
}

async fn listen(listener: UnixListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            // A connection that was cut on purpose ends with an error, too.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Answers one request: by the engine, or as its fault says.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let call = call(&request);
    let (number, fault) = shared.note(&call);
    let Some(fault) = fault else {
        if !call.describes_a_container() {
            return pass_on(&shared, number, request).await;
        }
        let (head, body) = request.into_parts();
        let whole = body.collect().await?.to_bytes();
        let body = serde_json::from_slice(&whole).unwrap_or_default();
        shared.record().bodies.push((call.path, body));
        return pass_on(&shared, number, Request::from_parts(head, Full::from(whole))).await;
    };
    if !matches!(fault, Fault::Do(..) | Fault::Truncate | Fault::Garble) {
        shared.strike(number);
    }
    match fault {
        Fault::Cut(when) => {
            meet(&shared, number, request, when).await?;
            Err(Cut)
        }
        Fault::Gone(when) => {
            if when == When::Before {
                shared.record().gone = true;
            }
            meet(&shared, number, request, when).await?;
            shared.record().gone = true;
            Err(Cut)
        }
        Fault::Do(when, hook) => {
            meet(&shared, number, request, when).await?;
            shared.strike(number);
            hook();
            Err(Cut)
        }
        Fault::Refuse(when) => {
            meet(&shared, number, request, when).await?;
            let told = Full::from(r#"{"message":"injected by the proxy"}"#);
            let mut response = Response::new(told.map_err(Cut::from).boxed());
            *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
            Ok(response)
        }
        Fault::Stall(time) => {
            shared.record().slow = Some(time);
            let response = pass_on(&shared, number, request).await?;
            tokio::time::sleep(time).await;
            Ok(response)
        }
        Fault::Late(time) => {
            // In a task of its own: the engine is to see the call although its client has left.
            let (head, body) = request.into_parts();
            let whole = body.collect().await?.to_bytes();
            let late = tokio::spawn(async move {
                tokio::time::sleep(time).await;
                let request = Request::from_parts(head, Full::from(whole));
                let response = speak::send(&shared.engine, request).await?;
                let (head, body) = response.into_parts();
                Ok(Response::from_parts(head, Full::from(body.collect().await?.to_bytes())))
            });
            let response: Result<Response<Full<Bytes>>, Cut> = late.await.map_err(|_| Cut)?;
            Ok(response?.map(|body| body.map_err(Cut::from).boxed()))
        }
        Fault::Truncate | Fault::Garble => spoil(&shared, number, request, &fault).await,
    }
}

fn call(request: &Request<Incoming>) -> Call {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let versioned = path.strip_prefix("/v").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let path = versioned.and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or(path);
    Call { method: request.method().to_string(), path: path.to_owned(), told: false }
}

/// Takes a call from its client, lets the engine do it or not, and keeps the answer.
async fn meet(shared: &Shared, number: usize, request: Request<Incoming>, when: When) -> Result<(), Cut> {
    match when {
        // The client is to have sent all of it, or its own writing fails first.
        When::Before => request.into_body().collect().await.map(|_| ())?,
        When::After => pass_on(shared, number, request).await?.into_body().collect().await.map(|_| ())?,
    }
    Ok(())
}

/// The engine's answer, its body streamed.
async fn pass_on<B>(shared: &Shared, number: usize, request: Request<B>) -> Result<Response<Body>, Cut>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let response = speak::send(&shared.engine, request).await?;
    if let Some(call) = shared.record().calls.get_mut(number) {
        call.told = !response.body().is_end_stream();
    }
    Ok(response.map(|body| body.map_err(Cut::from).boxed()))
}

/// The engine's answer with its body spoilt, if it has one.
async fn spoil(
    shared: &Shared,
    number: usize,
    request: Request<Incoming>,
    fault: &Fault,
) -> Result<Response<Body>, Cut> {
    let (mut head, body) = pass_on(shared, number, request).await?.into_parts();
    let whole = body.collect().await?.to_bytes();
    if whole.is_empty() {
        return Ok(Response::from_parts(head, Full::from(whole).map_err(Cut::from).boxed()));
    }
    shared.strike(number);
    if matches!(fault, Fault::Garble) {
        head.headers.remove(CONTENT_LENGTH);
        head.headers.remove(TRANSFER_ENCODING);
        let mut garbled = whole.to_vec();
        garbled[0] = b'#';
        return Ok(Response::from_parts(head, Full::from(garbled).map_err(Cut::from).boxed()));
    }
    // The head still says how long it is.
    let half = stream::iter([Ok(Frame::data(whole.slice(..whole.len() / 2)))]);
    let end = stream::once(async {
        // The half is to leave before the connection ends.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(Cut)
    });
    Ok(Response::from_parts(head, BodyExt::boxed(StreamBody::new(half.chain(end)))))
}
