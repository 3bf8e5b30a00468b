//! Pages that keep themselves up to date: streams of server-sent events. In: the board, and that it is another one now. Out: what
//! changed, rendered once for all who look. One who does not listen is sent the sum of it later, and holds nothing but the page's
//! last edition; nobody holds up a pass.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};

use super::page::{self, Element};
use super::press::{PAUSE, Press};
use super::reply::Body;
use crate::daemon::board::Board;
use crate::daemon::glance::Glance;
use crate::daemon::glances::Glances;
use crate::daemon::shown::Changes;
use crate::html::language::Language;
use crate::resource::name::{Kind, ResourceId};
use crate::status::Status;

/// How often something is sent at least, so that a lost connection is seen on both sides.
const ALIVE: Duration = Duration::from_secs(15);
/// The life of a stream; browsers come again by themselves.
pub(super) const LIFE: Duration = Duration::from_mins(10);

/// How often it is looked into a container whose page somebody looks at.
const EVERY: Duration = Duration::from_secs(5);

/// On an answer that goes on for as long as somebody listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct GoesOn;

/// What is listened to.
#[derive(Debug)]
pub(super) enum Topic {
    /// The page of everything, from an edition on that the listener has.
    Room(Language, Option<u64>),
    /// The page of one resource.
    Resource(Box<One>),
}

/// The page of one resource, and what was sent of it last.
#[derive(Debug)]
pub(super) struct One {
    language: Language,
    id: ResourceId,
    sent: BTreeMap<String, String>,
    glances: Arc<Glances>,
    /// Whether there is such a resource: nobody looks for what somebody has made up.
    is_known: bool,
    /// When to look into it next: its page has just been loaded with what was seen.
    look_at: Instant,
    /// What was seen, and is to be sent.
    seen: Option<Arc<Glance>>,
}

impl One {
    pub(super) fn new(language: Language, id: ResourceId, glances: &Arc<Glances>) -> Self {
        let (sent, glances) = (BTreeMap::new(), Arc::clone(glances));
        Self { language, id, sent, glances, is_known: false, look_at: Instant::now() + EVERY, seen: None }
    }

    /// Looks into it when it is time to. Who gives up waiting for that waits for the same the next time.
    async fn look(&mut self) {
        if self.id.kind != Kind::Container || !self.is_known {
            return std::future::pending().await;
        }
        sleep_until(self.look_at).await;
        self.seen = Some(self.glances.of(&self.id.name).await);
        self.look_at = Instant::now() + EVERY;
    }

    /// What is others now than what was sent.
    fn news(&mut self, status: &Status) -> Option<Bytes> {
        self.is_known = status.resources.contains_key(&self.id);
        let mut elements = vec![page::standing(&self.id, status, self.language, Timestamp::now())];
        if let Some(glance) = self.seen.take().filter(|_| self.is_known) {
            elements.extend(page::inside(&glance, self.language));
        }
        elements.retain(|Element { id, html }| self.sent.get(id) != Some(html));
        if elements.is_empty() {
            return None;
        }
        let parts: BTreeMap<String, String> = elements.into_iter().map(|one| (one.id, one.html)).collect();
        let event = format!("event: parts\ndata: {}\n\n", serde_json::json!(parts));
        self.sent.extend(parts);
        Some(event.into())
    }
}

impl Topic {
    /// Waits until something else was seen of it than how it stands.
    async fn look(&mut self) {
        match self {
            Self::Room(..) => std::future::pending().await,
            Self::Resource(one) => one.look().await,
        }
    }
}

/// One who listens.
pub(super) struct Listener {
    pub(super) board: Arc<Board>,
    pub(super) press: Arc<Press>,
    pub(super) topic: Topic,
    pub(super) changes: Changes,
    pub(super) until: Instant,
    pub(super) _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The stream as an answer.
    pub(super) fn listen(self) -> Response<Body> {
        let begin = Bytes::from_static(b"retry: 1000\n\nevent: alive\ndata:\n\n");
        let events = stream::unfold((Some(begin), self), async |(begin, mut listener)| {
            let event = match begin {
                Some(begin) => begin,
                None => listener.next().await?,
            };
            Some((Ok::<_, Infallible>(Frame::data(event)), (None, listener)))
        });
        let mut response = Response::new(StreamBody::new(events).boxed_unsync());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response.extensions_mut().insert(GoesOn);
        response
    }

    /// The next event; `None` when the stream's life is over.
    async fn next(&mut self) -> Option<Bytes> {
        let mut alive_at = Instant::now() + ALIVE;
        while Instant::now() < self.until {
            let (event, is_current) = self.news();
            if event.is_some() {
                return event;
            }
            if is_current {
                tokio::select! {
                    () = self.changes.changed() => {}
                    () = self.topic.look() => {}
                    () = sleep_until(alive_at) => return Some(Bytes::from_static(b"event: alive\ndata:\n\n")),
                }
            } else {
                // Many changes in a moment are one.
                sleep(PAUSE).await;
                alive_at = alive_at.max(Instant::now());
            }
        }
        None
    }

    /// What is new for this listener, and whether there is nothing newer.
    fn news(&mut self) -> (Option<Bytes>, bool) {
        match &mut self.topic {
            Topic::Room(language, sent) => {
                let (edition, is_current) = self.press.room(&self.board, *language);
                let event = match *sent {
                    // Its page is of another daemon.
                    None => Some(Bytes::from_static(b"event: reload\ndata:\n\n")),
                    Some(sent) => edition.since(sent),
                };
                *sent = Some(edition.number());
                (event, is_current)
            }
            Topic::Resource(one) => {
                let (shown, is_current) = self.press.shown(&self.board);
                (one.news(&shown.status), is_current)
            }
        }
    }
}
