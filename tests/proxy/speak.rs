//! The few words of HTTP that a test has to say to the engine itself. In: a socket and a request. Out: the
//! answer. Never goes through a proxy, so that a test's own looks are counted nowhere.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::Cut;

/// The socket of the engine that `DOCKER_HOST` names, or the default one.
pub fn real_engine() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let host = host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    host.strip_prefix("unix://").unwrap_or_else(|| panic!("{host} is no Unix socket")).into()
}

/// Sends one request on a connection of its own. The answer's body is streamed.
pub(super) async fn send<B>(engine: &Path, request: Request<B>) -> Result<Response<Incoming>, Cut>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let stream = UnixStream::connect(engine).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the answer, or when nobody waits for it any more.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// What the engine at a socket answers: its status and its JSON, null where there is none.
pub async fn ask(engine: &Path, method: &str, path: &str) -> Result<(u16, Value), Cut> {
    let request = Request::builder().method(method).uri(path).header("host", "engine");
    let response = send(engine, request.body(Empty::<Bytes>::new()).expect("a request")).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    if body.is_empty() {
        return Ok((status, Value::Null));
    }
    Ok((status, serde_json::from_slice(&body).map_err(|_| Cut)?))
}
