//! gRPC over HTTP/2, as far as a session takes it. In: a request's body. Out: its one message, and answers of one or
//! many. Each message is preceded by a byte (0: not compressed) and its length in four; the outcome comes after the last
//! (gRPC, `PROTOCOL-HTTP2.md`).

use std::io;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Body as HttpBody, Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::Response;
use prost::Message;

/// What an answer carries.
pub(super) type Body = StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>;

/// The largest question, in bytes: names only.
const QUESTION_MAX: usize = 64 << 10;
/// What precedes a message.
const PREFIX: usize = 5;

/// How a call ends. The numbers are gRPC's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok = 0,
    InvalidArgument = 3,
    NotFound = 5,
    Unimplemented = 12,
    Internal = 13,
}

impl Status {
    fn trailers(self) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(self as u16));
        let message = match self {
            Self::Ok => return trailers,
            Self::InvalidArgument => "this question cannot be read",
            Self::NotFound => "not found",
            Self::Unimplemented => "this is not answered in this session",
            Self::Internal => "the build context cannot be read",
        };
        trailers.insert("grpc-message", HeaderValue::from_static(message));
        trailers
    }
}

/// The one message of a request.
///
/// # Errors
/// If there is not exactly one, or it is another.
pub(super) async fn question<T: Message + Default>(
    body: impl HttpBody<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
) -> Result<T, Status> {
    let body = Limited::new(body, QUESTION_MAX).collect().await.map_err(|_| Status::InvalidArgument)?;
    let bytes = body.to_bytes();
    let (prefix, message) = bytes.split_first_chunk::<PREFIX>().ok_or(Status::InvalidArgument)?;
    let [0, length @ ..] = *prefix else { return Err(Status::InvalidArgument) };
    if usize::try_from(u32::from_be_bytes(length)) != Ok(message.len()) {
        return Err(Status::InvalidArgument);
    }
    T::decode(message).map_err(|_| Status::InvalidArgument)
}

/// An answer of one message, or why there is none.
pub(super) fn one(answer: Result<impl Message + 'static, Status>) -> Response<Body> {
    match answer {
        Ok(message) => many(stream::once(async move { Ok(message) })),
        Err(status) => answered(stream::once(async move { Ok(Frame::trailers(status.trailers())) })),
    }
}

/// An answer of as many messages as come. It ends with the first that cannot be had.
pub(super) fn many<T: Message + 'static>(
    messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
) -> Response<Body> {
    let frames = stream::unfold(Some(messages.boxed()), |messages| async move {
        let mut messages = messages?;
        Some(match messages.next().await {
            Some(Ok(message)) => (Ok(Frame::data(framed(&message))), Some(messages)),
            Some(Err(status)) => (Ok(Frame::trailers(status.trailers())), None),
            None => (Ok(Frame::trailers(Status::Ok.trailers())), None),
        })
    });
    answered(frames)
}

fn answered(frames: impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(frames.boxed()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(PREFIX + length);
    bytes.push(0);
    // Each message is a piece of a context or a secret, far below this type's limit.
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&message.encode_to_vec());
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::super::messages::GetSecretRequest;
    use super::*;

    #[tokio::test]
    async fn a_question_is_one_whole_message_that_is_not_compressed() {
        let asked = |bytes: &'static [u8]| question::<GetSecretRequest>(Full::new(Bytes::from_static(bytes)));
        let request = GetSecretRequest { id: "npm".to_owned() };
        assert_eq!(asked(b"\0\0\0\0\x05\x0a\x03npm").await, Ok(request.clone()));
        assert_eq!(framed(&request), b"\0\0\0\0\x05\x0a\x03npm"[..]);
        for bytes in [
            &b""[..],
            b"\0\0\0",
            b"\x01\0\0\0\x05\x0a\x03npm",
            b"\0\0\0\0\x09\x0a\x03npm",
            b"\0\0\0\0\x01\x0a",
        ] {
            assert_eq!(asked(bytes).await, Err(Status::InvalidArgument), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_ends_with_its_status() {
        let answer = BodyExt::collect(one(Err::<GetSecretRequest, _>(Status::NotFound)).into_body())
            .await
            .expect("a body");
        let status = |trailers: Option<&HeaderMap>| trailers.and_then(|all| all.get("grpc-status")).cloned();
        assert_eq!(status(answer.trailers()), Some(HeaderValue::from_static("5")));
        let pieces = [Ok(GetSecretRequest { id: "a".to_owned() }), Err(Status::Internal)];
        let answer = BodyExt::collect(many(stream::iter(pieces)).into_body()).await.expect("a body");
        assert_eq!(status(answer.trailers()), Some(HeaderValue::from_static("13")));
        assert_eq!(answer.to_bytes(), b"\0\0\0\0\x03\x0a\x01a"[..]);
    }
}
