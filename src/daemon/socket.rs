//! Answers on a Unix socket. In: the daemon's board. Out: its status as JSON to a GET. Nothing can be changed here, and
//! nobody who asks, or does not listen, holds up a pass.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::future::ready;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::board::Board;

/// Where the status is.
pub const STATUS_PATH: &str = "/v1/status";
/// Connections at once; the next ones wait in the kernel's queue.
const CONNECTIONS: usize = 32;
/// The life of a connection, so that a client that does not read its answer goes too.
const LIFE: Duration = Duration::from_secs(10);
/// How long to wait when the system refuses a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds the socket: for its owner and group alone. What an ended daemon left there gives way.
///
/// # Errors
/// If it cannot be bound there.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    // Under another name until nobody else may use it.
    let beside = path.with_extension("sock.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, Permissions::from_mode(0o660))?;
    fs::rename(&beside, path)?;
    Ok(listener)
}

/// Answers as long as it is polled.
pub(super) async fn answer(listener: UnixListener, board: Arc<Board>) -> Infallible {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&free).acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => {
                let board = Arc::clone(&board);
                tokio::spawn(async move {
                    // Whatever a client did wrong concerns that client only.
                    let _ = timeout(LIFE, connection(stream, &board)).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "nobody can be answered on the socket");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, board: &Board) {
    let service = service_fn(|request: Request<Incoming>| {
        ready(Ok::<_, Infallible>(answered(request.method(), request.uri().path(), board)))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LIFE)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

fn answered(method: &Method, path: &str, board: &Board) -> Response<Full<Bytes>> {
    let text = |code: StatusCode, text: &'static str| {
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = code;
        response
    };
    if path != STATUS_PATH {
        return text(StatusCode::NOT_FOUND, "nothing is here; the status is at /v1/status\n");
    }
    if method != Method::GET {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this can only be read\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    match serde_json::to_vec(&board.status()) {
        Ok(bytes) => {
            let mut response = Response::new(Full::new(bytes.into()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the status cannot be written\n"),
    }
}
