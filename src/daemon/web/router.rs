//! One router for every listener. In: a request's head. Out: the answer. A request's body is the webhook's alone, and nothing
//! is changed.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{ACCEPT_LANGUAGE, CONNECTION, CONTENT_LANGUAGE, HeaderValue, VARY};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::door::Door;
use super::hook::{Hook, WEBHOOK_PATH};
use super::live::{self, Listener, One, Topic};
use super::page::{self, Frame};
use super::press::Press;
use super::readiness::readiness;
use super::reply::{self, Body, found, sentence};
use super::{CONTAINER_PATH, OPENAPI_PATH, STATUS_PATH, age_max, assets, metrics, openapi};
use crate::daemon::board::Board;
use crate::daemon::glances::Glances;
use crate::html::language::Language;
use crate::resource::name::{Kind, Name, ResourceId};

/// How many pages keep themselves up to date at once; the next ones are asked to come again.
const LISTENERS: usize = 128;

/// What is answered from.
#[derive(Debug)]
pub struct Site {
    board: Arc<Board>,
    /// How old the last look at everything may be.
    age_max: Duration,
    /// Who may say that there is something to fetch.
    hook: Option<Hook>,
    press: Arc<Press>,
    listeners: Arc<Semaphore>,
    glances: Arc<Glances>,
}

/// What stands behind the `?` of an address; what is unknown is nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Query {
    lang: String,
    resource: String,
    since: String,
}

impl Site {
    /// The site of a daemon that makes a pass at each `interval` at least.
    pub fn new(board: Arc<Board>, interval: Duration, glances: Glances) -> Self {
        Self {
            board,
            age_max: age_max(interval),
            hook: None,
            press: Arc::new(Press::new()),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            glances: Arc::new(glances),
        }
    }

    /// The same with a webhook.
    #[must_use]
    pub fn asked_by(self, hook: Option<Hook>) -> Self {
        Self { hook, ..self }
    }

    /// Answers a request, whose body may be what a forge says.
    pub(super) async fn reply<B>(&self, door: Door, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
    {
        let is_asked = request.uri().path() == WEBHOOK_PATH
            && *request.method() == Method::POST
            && door.takes(request.uri(), request.headers());
        match &self.hook {
            Some(hook) if is_asked => {
                let mut response = hook.hear(request).await;
                reply::complete(response.headers_mut());
                response
            }
            _ => self.answer(door, &request),
        }
    }

    /// Answers a request. The server drops the body again for `HEAD`, so that it tells what a `GET` would.
    pub(super) fn answer<B>(&self, door: Door, request: &Request<B>) -> Response<Body> {
        let mut response = self.routed(door, request);
        reply::complete(response.headers_mut());
        response
    }

    fn routed<B>(&self, door: Door, request: &Request<B>) -> Response<Body> {
        if !door.takes(request.uri(), request.headers()) {
            let why = "this address answers only when it is called localhost, or by a loopback address";
            return sentence(StatusCode::MISDIRECTED_REQUEST, why);
        }
        if request.uri().path() == WEBHOOK_PATH {
            return match self.hook {
                Some(_) => reply::only_posts(),
                None => nothing(),
            };
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return reply::only_reads();
        }
        let query = query(request.uri());
        let language = language(&query, request.headers());
        match request.uri().path() {
            "/" => self.room(language),
            "/live" => self.live(&query, language, request.headers()),
            STATUS_PATH => self.status(),
            OPENAPI_PATH => found(reply::JSON, openapi::document().to_string()),
            "/healthz" => sentence(StatusCode::OK, "ok"),
            "/readyz" => self.readiness(),
            "/metrics" => self.metrics(),
            path => {
                let resource = path.strip_prefix("/resource/").and_then(|id| id.parse().ok());
                let page = resource.map(|id| self.resource(&id, language));
                let container = || path.strip_prefix(CONTAINER_PATH).and_then(|name| name.parse().ok());
                let inside = || container().map(|name| self.inside(&name));
                page.or_else(inside).or_else(|| assets::at(path)).unwrap_or_else(nothing)
            }
        }
    }

    fn status(&self) -> Response<Body> {
        match self.board.shown().json() {
            Some(bytes) => found(reply::JSON, bytes),
            None => sentence(StatusCode::INTERNAL_SERVER_ERROR, "the status cannot be written"),
        }
    }

    fn readiness(&self) -> Response<Body> {
        match readiness(&self.board.shown().status, self.board.age(), self.age_max) {
            Ok(told) => sentence(StatusCode::OK, told),
            Err(told) => sentence(StatusCode::SERVICE_UNAVAILABLE, told),
        }
    }

    fn metrics(&self) -> Response<Body> {
        let shown = self.board.shown();
        let is_ready = readiness(&shown.status, self.board.age(), self.age_max).is_ok();
        found(reply::METRICS, metrics::text(&shown.status, &self.board.tally(), is_ready))
    }

    /// The page of everything.
    fn room(&self, language: Language) -> Response<Body> {
        let (edition, _) = self.press.room(&self.board, language);
        let id = edition.id();
        let status = edition.status();
        let frame =
            Frame { language, owner: &status.owner, version: &status.version, resource: None, edition: &id };
        in_language(found(reply::HTML, frame.around(edition.blocks())), language)
    }

    /// The page of a resource. What is in a container comes when it is known: nobody waits for the rest of the page.
    fn resource(&self, id: &ResourceId, language: Language) -> Response<Body> {
        let (shown, _) = self.press.shown(&self.board);
        let (status, name) = (&shown.status, id.to_string());
        let block = page::Block::Leaf(page::standing(id, status, language, Timestamp::now()));
        let (owner, version) = (&status.owner, &status.version);
        let frame = Frame { language, owner, version, resource: Some(&name), edition: "" };
        let is_there = status.resources.contains_key(id);
        let mut response = if is_there && id.kind == Kind::Container {
            let (end, glances, name) = (frame.end(), Arc::clone(&self.glances), id.name.clone());
            let rest = async move {
                let [usage, log] = page::inside(&*glances.of(&name).await, language);
                usage.html + &log.html + &end
            };
            reply::coming(reply::HTML, frame.begun(&[block]), rest)
        } else {
            found(reply::HTML, frame.around(&[block]))
        };
        if !is_there {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        in_language(response, language)
    }

    /// What is in a container, for programs.
    fn inside(&self, name: &Name) -> Response<Body> {
        let (shown, _) = self.press.shown(&self.board);
        if !shown.status.resources.contains_key(&ResourceId::new(Kind::Container, name.clone())) {
            return sentence(StatusCode::NOT_FOUND, "there is no such resource");
        }
        let (glances, name) = (Arc::clone(&self.glances), name.clone());
        let glance = async move { json!(*glances.of(&name).await).to_string() };
        reply::coming(reply::JSON, "", glance)
    }

    /// What keeps a page up to date.
    fn live(&self, query: &Query, language: Language, headers: &HeaderMap) -> Response<Body> {
        let topic = if query.resource.is_empty() {
            // A browser that comes again says what it heard last.
            let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok());
            Topic::Room(language, self.press.number(heard.unwrap_or(&query.since)))
        } else if let Ok(id) = query.resource.parse() {
            Topic::Resource(Box::new(One::new(language, id, &self.glances)))
        } else {
            return sentence(StatusCode::NOT_FOUND, "a resource is KIND/NAME, like container/web");
        };
        let Ok(place) = Arc::clone(&self.listeners).try_acquire_owned() else {
            // Who comes again needs no place meanwhile that others would wait for.
            let mut response =
                sentence(StatusCode::SERVICE_UNAVAILABLE, "too many listen already; come again");
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return response;
        };
        let listener = Listener {
            changes: self.board.changes(),
            board: Arc::clone(&self.board),
            press: Arc::clone(&self.press),
            topic,
            until: Instant::now() + live::LIFE,
            _place: place,
        };
        listener.listen()
    }
}

fn query(uri: &Uri) -> Query {
    uri.query().and_then(|query| serde_urlencoded::from_str(query).ok()).unwrap_or_default()
}

/// What the reader asks for in the address, else prefers, else English.
fn language(query: &Query, headers: &HeaderMap) -> Language {
    let preferred = || headers.get(ACCEPT_LANGUAGE)?.to_str().ok().and_then(Language::from_accept_language);
    Language::from_tag(&query.lang).or_else(preferred).unwrap_or(Language::English)
}

fn in_language(mut response: Response<Body>, language: Language) -> Response<Body> {
    response.headers_mut().insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-language"));
    response
}

fn nothing() -> Response<Body> {
    sentence(StatusCode::NOT_FOUND, "nothing is here; the page is at /, the status at /v1/status")
}

#[cfg(test)]
pub(super) mod tests;
