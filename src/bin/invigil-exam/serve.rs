//! A listener and a site -> answered connections, until told to stop. Bounds what a client can hold:
//! connections, the bytes and the time of a request's head, and the life of a connection.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::Site;

/// What one client, and all of them together, may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; the next ones wait in the kernel's queue.
    pub connections: usize,
    /// The bytes of a request's head; a larger one is answered `431`.
    pub head_bytes: usize,
    /// From the start of waiting for a request to the end of its head, so that neither a slow head
    /// nor an idle connection stays.
    pub head_time: Duration,
    /// The life of a connection, so that a client that does not read its answer goes too.
    pub connection_time: Duration,
    /// How long answers under way may take when the connection, or the server, is to end.
    pub grace: Duration,
}

impl Default for Limits {
    /// Sized for a container of 64 MiB: full, the buffers of all connections take 8 MiB.
    fn default() -> Self {
        Self {
            connections: 512,
            head_bytes: 16 * 1024,
            head_time: Duration::from_secs(10),
            connection_time: Duration::from_mins(5),
            grace: Duration::from_millis(500),
        }
    }
}

/// How long to wait when the system refuses a connection (too many open files): trying again at
/// once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `site` until `stop` is ready, then lets answers under way finish within the grace.
pub async fn serve(listener: TcpListener, site: Site, limits: Limits, stop: impl Future<Output = ()>) {
    let site = Arc::new(site);
    let (ending, end) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, peer)) => {
                    let is_from_itself = stream.local_addr().is_ok_and(|own| is_same_host(own.ip(), peer.ip()));
                    let site = Arc::clone(&site);
                    connections.spawn(serve_connection(stream, is_from_itself, site, limits, end.clone()));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    drop(ending);
    // Each connection keeps to the grace by itself.
    while connections.join_next().await.is_some() {}
}

/// Whether a connection between these addresses does not leave the host.
fn is_same_host(own: IpAddr, peer: IpAddr) -> bool {
    let (own, peer) = (own.to_canonical(), peer.to_canonical());
    own == peer || own.is_loopback() && peer.is_loopback()
}

/// Answers one connection's requests until it closes, breaks a limit, or `end`'s sender is gone.
async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    is_from_itself: bool,
    site: Arc<Site>,
    limits: Limits,
    mut end: watch::Receiver<()>,
) {
    let service = service_fn(|request| ready(Ok::<_, Infallible>(site.answer(&request, is_from_itself))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // Whatever a client did wrong concerns that client only.
        _ = &mut connection => return,
        () = sleep(limits.connection_time) => {}
        _ = end.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.grace, connection).await;
}

#[cfg(test)]
mod tests {
    use hyper::body::Bytes;
    use invigil::problemset::paper::Paper;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    fn connect(limits: Limits) -> (DuplexStream, watch::Sender<()>) {
        let paper = Paper {
            format_version: 1,
            name: "a".into(),
            title: "A".into(),
            language: "en".into(),
            items: vec![],
        };
        let site = Arc::new(Site::new(&paper, Bytes::from(vec![b' '; 1024 * 1024])));
        let (client, server) = duplex(1024);
        let (ending, end) = watch::channel(());
        tokio::spawn(serve_connection(server, false, site, limits, end));
        (client, ending)
    }

    async fn read_to_end(client: &mut DuplexStream) -> String {
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = client.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn only_what_does_not_leave_the_host_is_from_itself() {
        let same = |own: &str, peer: &str| is_same_host(own.parse().unwrap(), peer.parse().unwrap());
        assert!(same("127.0.0.1", "127.0.0.1") && same("127.0.0.1", "127.0.0.2") && same("::1", "::1"));
        assert!(same("172.17.0.2", "172.17.0.2") && same("::ffff:127.0.0.1", "127.0.0.1"));
        assert!(
            !same("172.17.0.2", "172.17.0.1")
                && !same("172.17.0.2", "127.0.0.1")
                && !same("fd00::2", "fd00::3")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_is_cut_off_after_ten_seconds() {
        let (mut client, _ending) = connect(Limits::default());
        let start = Instant::now();
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        while client.write_all(b"a: b\r\n").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        let lived = start.elapsed();
        assert!(lived >= Duration::from_secs(10) && lived <= Duration::from_secs(12), "lived {lived:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_after_ten_seconds() {
        let (mut client, _ending) = connect(Limits::default());
        let start = Instant::now();
        client.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(read_to_end(&mut client).await.ends_with("\r\n\r\nok"));
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_dropped_after_five_minutes() {
        let (mut client, _ending) = connect(Limits::default());
        client.write_all(b"GET /api/paper HTTP/1.1\r\n\r\n").await.unwrap();
        sleep(Duration::from_secs(299)).await;
        client.write_all(b" ").await.unwrap();
        sleep(Duration::from_secs(2)).await;
        assert!(client.write_all(b" ").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_is_too_large_is_refused() {
        let (mut client, _ending) = connect(Limits::default());
        let head = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(17 * 1024));
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let mut answer = Vec::new();
        let (_, _) = tokio::join!(writer.write_all(head.as_bytes()), reader.read_to_end(&mut answer));
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_not_read_and_its_connection_ends() {
        let (mut client, _ending) = connect(Limits::default());
        let start = Instant::now();
        client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").await.unwrap();
        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer}");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_closes_an_idle_connection_at_once_and_a_busy_one_after_the_grace() {
        let (mut idle, ending) = connect(Limits::default());
        idle.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
        let mut head = [0; 15];
        idle.read_exact(&mut head).await.unwrap();
        let start = Instant::now();
        drop(ending);
        read_to_end(&mut idle).await;
        assert_eq!(start.elapsed(), Duration::ZERO);

        let (mut busy, ending) = connect(Limits::default());
        busy.write_all(b"GET /api/paper HTTP/1.1\r\n\r\n").await.unwrap();
        busy.read_exact(&mut head).await.unwrap();
        let start = Instant::now();
        drop(ending);
        sleep(Duration::from_millis(499)).await;
        assert!(busy.write_all(b" ").await.is_ok());
        sleep(Duration::from_millis(2)).await;
        assert!(busy.write_all(b" ").await.is_err());
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
