//! Calls whose answers bollard 0.21 cannot read: `BuildKit`'s, and those that it does not have. In: a method, a path
//! and a body. Out: bytes.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use bollard::errors::Error;
use bollard::{BollardRequest, Docker};
use futures_util::{Stream, StreamExt};
use http_body_util::{Either, Full, StreamBody};
use hyper::Method;
use hyper::body::{Bytes, Frame};
use hyper::header::HeaderValue;
use hyper::http::uri::PathAndQuery;
use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::Value;

use super::Session;
use super::connect::{Version, pin};
use crate::engine::EngineError;

/// The largest answer that is kept in memory.
const ANSWER_MAX: usize = 256 << 20;

/// The longest line of a stream of JSON: a builder's log can be long, a whole answer cannot.
const LINE_MAX: usize = 16 << 20;

/// A body as bollard takes it, under a name that it does not export.
pub(super) type Body =
    Either<Full<Bytes>, StreamBody<Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>>>;

/// What is sent with a call.
pub(super) struct Sent {
    /// Headers beside those that every call has.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The bytes.
    pub(super) body: Body,
}

impl Session {
    /// The engine for calls that go to this path, whichever of bollard's calls they are. Names and values in it
    /// are safe there already.
    pub(super) fn at(&self, path: &str) -> Result<Docker, EngineError> {
        let (path, version) = (parsed(path)?, self.version);
        Ok(self.docker.clone().with_request_modifier(move |request| directed(request, &path, version)))
    }

    /// The same, over a connection that another call has left, for short answers.
    pub(super) fn kept_at(&self, path: &str) -> Result<Docker, EngineError> {
        let (path, version) = (parsed(path)?, self.version);
        Ok(self.kept.clone().with_request_modifier(move |request| directed(request, &path, version)))
    }

    /// The answer to a call with a body, in pieces. An answer that is an error is the first and only item.
    pub(super) fn raw(
        &self,
        method: &Method,
        path: &str,
        sent: Sent,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + use<>, EngineError> {
        let (method, path, version) = (method.clone(), parsed(path)?, self.version);
        let sent = Mutex::new(Some(sent));
        let docker = self.docker.clone().with_request_modifier(move |request| {
            let mut request = directed(request, &path, version);
            *request.method_mut() = method.clone();
            let sent = sent.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(Sent { headers, body }) = sent else { return request };
            for (name, value) in headers {
                if let Ok(mut value) = HeaderValue::from_str(&value) {
                    // Credentials are among them.
                    value.set_sensitive(true);
                    request.headers_mut().insert(name, value);
                }
            }
            request.map(|_| body)
        });
        Ok(docker.export_images(&[]))
    }
}

/// The bytes that the engine answers to a GET. bollard's call that gives bytes as they come is that of an
/// export; where it goes was decided by [`Session::at`].
pub(super) fn get(docker: &Docker) -> impl Stream<Item = Result<Bytes, Error>> + Send + use<> {
    docker.export_container("any").boxed()
}

/// All of an answer.
pub(super) async fn whole(chunks: impl Stream<Item = Result<Bytes, Error>> + Send) -> Result<Vec<u8>, Error> {
    let mut chunks = std::pin::pin!(chunks);
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > ANSWER_MAX {
            return Err(Error::DockerStreamError { error: "an answer without an end".to_owned() });
        }
    }
    Ok(bytes)
}

/// The JSON of an answer, as it is. Filling bollard's types and emptying them again takes longer than the engine takes to
/// answer.
pub(super) fn json(bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::JsonDataError { message: error.to_string(), column: error.column() })
}

/// What becomes of each entry of an answer that is a list. Of a thousand entries one is there at a time: all of them are
/// larger than what a pass keeps of them.
pub(super) fn list<T>(bytes: &[u8], each: impl FnMut(Value) -> T) -> Result<Vec<T>, Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = json.deserialize_seq(Entries(each)).and_then(|entries| json.end().map(|()| entries));
    read.map_err(|error| Error::JsonDataError { message: error.to_string(), column: error.column() })
}

/// Reads a list entry by entry.
struct Entries<F>(F);

impl<'de, T, F: FnMut(Value) -> T> Visitor<'de> for Entries<F> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push((self.0)(entry));
        }
        Ok(entries)
    }
}

fn parsed(path: &str) -> Result<PathAndQuery, EngineError> {
    path.parse()
        .map_err(|error| EngineError::refused(format!("this cannot be passed to the engine: {error}")))
}

/// A call with another path.
fn directed(mut request: BollardRequest, path: &PathAndQuery, version: Version) -> BollardRequest {
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path.clone());
    if let Ok(uri) = parts.try_into() {
        *request.uri_mut() = uri;
    }
    pin(request, version)
}

/// The lines of an answer.
pub(super) fn lines(
    pieces: impl Stream<Item = Result<Bytes, Error>>,
) -> impl Stream<Item = Result<Vec<u8>, Error>> {
    let state = (Box::pin(pieces), Vec::new(), false);
    futures_util::stream::unfold(state, |(mut pieces, mut open, mut ended): (_, Vec<u8>, bool)| async move {
        loop {
            if let Some(end) = open.iter().position(|byte| *byte == b'\n') {
                let rest = open.split_off(end + 1);
                return Some((Ok(std::mem::replace(&mut open, rest)), (pieces, open, ended)));
            }
            if ended || open.len() > LINE_MAX {
                let last = std::mem::take(&mut open);
                return (!last.is_empty() && ended).then_some((Ok(last), (pieces, open, ended)));
            }
            match pieces.next().await {
                Some(Ok(piece)) => open.extend_from_slice(&piece),
                Some(Err(error)) => return Some((Err(error), (pieces, Vec::new(), true))),
                None => ended = true,
            }
        }
    })
}
