//! Listeners and their connections. In: a socket's path or an address, and a site. Out: answered connections. Bounds what
//! clients can hold: connections, the bytes and the time of a request's head, and the life of a connection.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::door::Door;
use super::live::{self, GoesOn};
use super::router::Site;

/// Connections at once on each listener; the next ones wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// The bytes of a request's head; a larger one is answered `431`.
const HEAD_MAX: usize = 16 << 10;
/// From the start of waiting for a request to the end of its head, so that neither a slow head nor an idle connection stays.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The life of a connection, so that a client that does not read its answer goes too.
const LIFE: Duration = Duration::from_mins(1);
/// How long an answer under way may take after that.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait when the system refuses a connection (too many open files): trying again at once would only burn the
/// processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait when an address cannot be had: another program may end, or a network come up.
const BIND_PAUSE: Duration = Duration::from_secs(5);

/// A socket that is there as long as it is listened to.
#[derive(Debug)]
pub(in crate::daemon) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // An owner has one daemon: nobody else's is there. One that stays refuses who asks, and gives way to the next.
        let _ = fs::remove_file(&self.path);
    }
}

/// Binds a socket: for its owner and group alone. What an ended daemon left there gives way.
///
/// # Errors
/// If it cannot be bound there.
pub(in crate::daemon) fn bind(path: &Path) -> io::Result<Socket> {
    // Under another name until nobody else may use it.
    let beside = path.with_extension("sock.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, Permissions::from_mode(0o660))?;
    fs::rename(&beside, path)?;
    Ok(Socket { listener, path: path.to_owned() })
}

/// Answers on a socket as long as it is polled.
pub(in crate::daemon) async fn on_socket(socket: Socket, site: &Arc<Site>) -> Infallible {
    serve(async || Ok(socket.listener.accept().await?.0), Door::Socket, site).await
}

/// Answers at an address as long as it is polled. One that cannot be had now is tried again: it keeps nobody's containers
/// waiting.
pub(in crate::daemon) async fn on_address(address: SocketAddr, site: &Arc<Site>) -> Infallible {
    let mut is_told = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) if is_told => tracing::debug!(%error, %address, "still cannot be listened at"),
            Err(error) => {
                warn!(%error, %address, "cannot be listened at, and will be tried again");
                is_told = true;
            }
        }
        sleep(BIND_PAUSE).await;
    };
    let door = Door::at(address);
    let address = listener.local_addr().unwrap_or(address);
    info!(%address, "the status page is served");
    if door == Door::Network {
        warn!(%address, "whoever reaches this address sees the status page: nobody is asked who he is");
    }
    serve(async || Ok(listener.accept().await?.0), door, site).await
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    accept: impl AsyncFn() -> io::Result<S>,
    door: Door,
    site: &Arc<Site>,
) -> Infallible {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&free).acquire_owned().await else { std::future::pending().await };
        match accept().await {
            Ok(stream) => {
                let site = Arc::clone(site);
                tokio::spawn(async move {
                    connection(stream, door, &site).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, ?door, "nobody can be answered");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one connection's requests until it closes or breaks a limit. Whatever a client does wrong concerns that client only.
async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, door: Door, site: &Site) {
    let goes_on = AtomicBool::new(false);
    let service = service_fn(async |request: Request<Incoming>| {
        let response = site.reply(door, request).await;
        goes_on.store(response.extensions().get::<GoesOn>().is_some(), Ordering::Relaxed);
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut is_over = timeout(LIFE, &mut connection).await.is_ok();
    if !is_over && goes_on.load(Ordering::Relaxed) {
        // A stream ends by itself, if its reader reads.
        is_over = timeout(live::LIFE, &mut connection).await.is_ok();
    }
    if !is_over {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(GRACE, connection).await;
    }
}

#[cfg(test)]
mod tests;
