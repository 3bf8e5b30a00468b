//! Answers. In: what is to be said. Out: a response with the headers that every one bears. Decides nothing.

use std::convert::Infallible;
use std::future::ready;

use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

/// What is sent: all at once, or as it comes.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(super) const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The text format of Prometheus, version 0.0.4.
pub(super) const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// On every answer. A page loads its own style and script and nothing else; no form leaves, nobody frames it or reads it
/// from another site; and no cache keeps what is true for a moment.
const EVERYWHERE: [(HeaderName, HeaderValue); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Adds what every answer bears, but for what it says itself.
pub(super) fn complete(headers: &mut HeaderMap) {
    for (name, value) in EVERYWHERE {
        headers.entry(name).or_insert(value);
    }
}

pub(super) fn found(content_type: HeaderValue, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// What is there already, and what is still waited for.
pub(super) fn coming(
    content_type: HeaderValue,
    first: impl Into<Bytes>,
    rest: impl Future<Output = String> + Send + 'static,
) -> Response<Body> {
    let first = stream::once(ready(first.into()));
    let rest = stream::once(rest.map(Bytes::from));
    let frames = first.chain(rest).map(|bytes| Ok(Frame::data(bytes)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A sentence, with its code.
pub(super) fn sentence(code: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = found(PLAIN, text.into() + "\n");
    *response.status_mut() = code;
    response
}

/// To whatever is no message of a forge.
pub(super) fn only_posts() -> Response<Body> {
    let mut response = sentence(StatusCode::METHOD_NOT_ALLOWED, "a forge posts here");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// To whatever is no reading.
pub(super) fn only_reads() -> Response<Body> {
    let mut response = sentence(StatusCode::METHOD_NOT_ALLOWED, "this can only be read");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
