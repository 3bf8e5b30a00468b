//! The way to an engine. In: its address, and where certificates are if it has to prove who it is. Out: connections.
//! Says nothing on one.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;

use super::{Access, tls};
use crate::fields::plain;

/// The port of an engine that no address names, without and with TLS: Docker's.
const PORTS: [u16; 2] = [2375, 2376];

/// How an engine is reached.
#[derive(Clone)]
pub(super) enum Way {
    /// By a socket on this host.
    Socket(PathBuf),
    /// By TCP, and through TLS where it is asked for.
    Tcp {
        /// `10.0.0.5:2376`, `[::1]:2376`.
        authority: String,
        /// Who the engine has to prove to be.
        tls: Option<(TlsConnector, ServerName<'static>)>,
    },
}

impl Way {
    /// The way to an address as `DOCKER_HOST` has it. Certificates are read anew each time.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    pub(super) fn to(access: &Access) -> Result<Self, String> {
        let endpoint = access.endpoint.as_str();
        if let Some(path) = endpoint.strip_prefix("unix://") {
            return Ok(Self::Socket(PathBuf::from(path)));
        }
        let authority = endpoint.strip_prefix("tcp://").or_else(|| endpoint.strip_prefix("http://"));
        let authority = authority.map(|authority| authority.trim_end_matches('/'));
        let authority = authority.and_then(|authority| authority.parse::<hyper::http::uri::Authority>().ok());
        // What stands where a port does and is none means another address than the usual port.
        let is_whole = |authority: &hyper::http::uri::Authority| {
            let rest = authority.as_str().strip_prefix(authority.host());
            rest.is_some_and(|rest| rest.is_empty() || authority.port_u16().is_some())
        };
        let Some(authority) = authority.filter(is_whole) else {
            return Err(
                "the engine's address is unix:///PATH, or tcp://HOST:PORT with DOCKER_TLS_VERIFY=1 where it speaks TLS"
                    .to_owned(),
            );
        };
        let certificates = access.certificates();
        let port = authority.port_u16().unwrap_or(PORTS[usize::from(certificates.is_some())]);
        let host = authority.host();
        let tls = match certificates {
            None => None,
            Some(directory) => {
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
                Some((tls::connector(&directory)?, name.map_err(|error| error.to_string())?))
            }
        };
        Ok(Self::Tcp { authority: format!("{host}:{port}"), tls })
    }

    /// A new connection.
    ///
    /// # Errors
    /// If there is nobody, or not the one that it has to be.
    pub(super) async fn open(&self) -> io::Result<Open> {
        let boxed: Box<dyn Both> = match self {
            Self::Socket(path) => {
                Box::new(UnixStream::connect(path).await.map_err(|error| match error.kind() {
                    ErrorKind::NotFound => {
                        let told = format!("there is no socket {}", plain(&path.to_string_lossy()));
                        io::Error::new(ErrorKind::NotFound, told)
                    }
                    _ => error,
                })?)
            }
            Self::Tcp { authority, tls } => {
                let stream = TcpStream::connect(authority.as_str()).await?;
                stream.set_nodelay(true)?;
                match tls {
                    None => Box::new(stream),
                    Some((connector, name)) => Box::new(
                        connector.connect(name.clone(), stream).await.map_err(|error| tls::told(&error))?,
                    ),
                }
            }
        };
        Ok(Open(boxed))
    }
}

/// A connection of either sort.
trait Both: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

/// A connection to an engine.
pub(super) struct Open(Box<dyn Both>);

impl AsyncRead for Open {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // An engine that does not take our certificate says so instead of an answer.
        Pin::new(&mut self.0).poll_read(cx, buf).map_err(|error| tls::told(&error))
    }
}

impl AsyncWrite for Open {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

impl Connection for Open {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Opens a connection for each that hyper's client wants, wherever its request says it goes.
#[derive(Clone)]
pub(super) struct Connector(pub(super) Arc<Way>);

impl Service<Uri> for Connector {
    type Response = TokioIo<Open>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Open>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let way = Arc::clone(&self.0);
        async move { way.open().await.map(TokioIo::new) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_or_a_host_and_its_port() {
        let way = |endpoint: &str| match Way::to(&Access::at(endpoint)) {
            Ok(Way::Socket(path)) => path.display().to_string(),
            Ok(Way::Tcp { authority, .. }) => authority,
            Err(why) => why,
        };
        for (endpoint, there) in [
            ("unix:///run/docker.sock", "/run/docker.sock"),
            ("tcp://10.0.0.5:2375", "10.0.0.5:2375"),
            ("tcp://exam.example", "exam.example:2375"),
            ("tcp://[::1]:99/", "[::1]:99"),
        ] {
            assert_eq!(way(endpoint), there);
        }
        for endpoint in [
            "ssh://exam.example",
            "10.0.0.5:2375",
            "tcp://",
            "tcp://u:p@h:1",
            "tcp://h:1/docker",
            "tcp://h:99999",
            "tcp://h:",
        ] {
            assert!(
                way(endpoint).starts_with("the engine's address is unix:///PATH"),
                "{endpoint}: {}",
                way(endpoint)
            );
        }
    }
}
