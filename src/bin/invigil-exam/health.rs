//! Asks a running exam server for `/healthz` over loopback, for the container's health check.
//! Blocking, one request, bounded in time and in bytes.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::http::{MAY_REST, UNHURRIED};

/// How long the whole question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long after a refused connection the next one is tried.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

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

impl Unhealthy {
    /// Whether nobody listens there, as before a server is up.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Silent { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
    }
}

/// Returns when the server that listens on `listen` has said that it is well.
pub fn check(listen: SocketAddr) -> Result<(), Unhealthy> {
    well(listen, "/healthz").map(drop)
}

/// The same, but for a rest where the server says that there is no hurry, and with patience for one that does not listen yet. That
/// it is not well is said at once otherwise.
pub fn check_unhurried(listen: SocketAddr, rest: Duration) -> Result<(), Unhealthy> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match well(listen, UNHURRIED) {
            Err(error) if error.is_refusal() && Instant::now() < deadline => sleep(REFUSED_PAUSE),
            Ok(answer) if answer.ends_with(MAY_REST.as_bytes()) => {
                sleep(rest);
                return Ok(());
            }
            other => return other.map(drop),
        }
    }
}

/// What a server says that is well.
fn well(listen: SocketAddr, path: &str) -> Result<Vec<u8>, Unhealthy> {
    let address = own_address(listen);
    match ask(address, path) {
        Ok(answer) if answer.starts_with(b"HTTP/1.1 200 ") => Ok(answer),
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

fn ask(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one write: a server that answers the first half of a request resets the connection, and
    // the reset overtakes its answer.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
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
    fn there_is_a_rest_only_where_all_is_well_and_there_is_no_hurry() {
        const REST: Duration = Duration::from_millis(300);
        let took = |answer| {
            let begun = Instant::now();
            let is_well = check_unhurried(answering(answer), REST).is_ok();
            (is_well, begun.elapsed() >= REST)
        };
        assert_eq!(took(b"HTTP/1.1 200 OK\r\n\r\nok"), (true, false));
        assert_eq!(took(b"HTTP/1.1 200 OK\r\n\r\nok, no hurry"), (true, true));
        assert_eq!(took(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), (false, false));
    }

    #[test]
    fn a_server_that_does_not_listen_yet_is_waited_for_for_two_seconds() {
        // Of its own, so that no other test is given the port meanwhile.
        let address: SocketAddr = "127.0.5.1:18080".parse().unwrap();
        let begun = Instant::now();
        let refused = check_unhurried(address, Duration::ZERO).unwrap_err();
        assert!(refused.is_refusal(), "{refused:?}");
        let waited = begun.elapsed();
        assert!(waited >= PATIENCE && waited < PATIENCE * 2, "waited {waited:?}");

        let checked = std::thread::spawn(move || check_unhurried(address, Duration::ZERO).is_ok());
        sleep(PATIENCE / 4);
        let listener = TcpListener::bind(address).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; ANSWER_BYTES];
        assert!(stream.read(&mut request).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nok").unwrap();
        drop(stream);
        assert!(checked.join().unwrap());
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
