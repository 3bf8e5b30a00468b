//! Asks a running exam server for `/healthz` over loopback, for the container's health check.
//! Blocking, one request, bounded in time and in bytes.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use thiserror::Error;

/// How long the whole question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than the head of the expected answer; what comes after it is not read.
const ANSWER_BYTES: usize = 1024;

/// The server is not healthy.
#[derive(Debug, Error)]
pub enum Unhealthy {
    /// No connection, or no answer in time.
    #[error("no answer from {address}")]
    Silent {
        /// Who was asked.
        address: SocketAddr,
        /// Why there was no answer.
        source: io::Error,
    },
    /// Something answered, but not `200`.
    #[error("{address} does not answer as a healthy exam server")]
    Strange {
        /// Who was asked.
        address: SocketAddr,
    },
}

/// Returns when the server that listens on `listen` has said that it is well.
pub fn check(listen: SocketAddr) -> Result<(), Unhealthy> {
    let address = own_address(listen);
    match ask(address) {
        Ok(answer) if answer.starts_with(b"HTTP/1.1 200 ") => Ok(()),
        Ok(_) => Err(Unhealthy::Strange { address }),
        Err(source) => Err(Unhealthy::Silent { address, source }),
    }
}

/// A server on all addresses is asked over loopback; a server on one address is only there.
fn own_address(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one write: a server that answers the first half of a request resets the connection, and
    // the reset overtakes its answer.
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = vec![0; ANSWER_BYTES];
    let mut filled = 0;
    while filled < answer.len() {
        // A server that drips bytes must not stretch the deadline, so each read gets what is left.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut answer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    answer.truncate(filled);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer).unwrap();
        });
        address
    }

    #[test]
    fn a_server_on_all_addresses_is_asked_over_loopback() {
        let asked = |listen: &str| own_address(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(asked("[::]:8080"), "[::1]:8080");
        assert_eq!(asked("10.0.0.7:81"), "10.0.0.7:81");
    }

    #[test]
    fn only_200_is_healthy() {
        assert!(check(answering(b"HTTP/1.1 200 OK\r\n\r\nok")).is_ok());
        let address = answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert_eq!(
            check(address).unwrap_err().to_string(),
            format!("{address} does not answer as a healthy exam server")
        );
    }

    #[test]
    fn a_server_that_accepts_and_says_nothing_is_given_up_after_two_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let start = Instant::now();
        assert!(matches!(check(listener.local_addr().unwrap()), Err(Unhealthy::Silent { .. })));
        let waited = start.elapsed();
        assert!(waited >= PATIENCE && waited < PATIENCE * 2, "waited {waited:?}");
    }
}
