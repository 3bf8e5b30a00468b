//! Where a request came in, and for whom it was meant. In: a listener, and a request's head. Out: whether it is answered
//! there. Never looks at anything else of a request.

use std::net::{IpAddr, SocketAddr};

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Uri};

/// Where requests come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// A Unix socket, whose permissions say who may ask.
    Socket,
    /// An address that only this host reaches.
    Loopback,
    /// An address that others reach, because the operator wrote it.
    Network,
}

impl Door {
    pub(super) fn at(address: SocketAddr) -> Self {
        if address.ip().is_loopback() { Self::Loopback } else { Self::Network }
    }

    /// Whether a request is meant for this door. A browser on this host asks a loopback address for any page that has its
    /// name lead there (DNS rebinding), and then lets that page read the answer: so it must have been asked for by a name that
    /// nobody else can give.
    pub(super) fn takes(self, uri: &Uri, headers: &HeaderMap) -> bool {
        if self != Self::Loopback {
            return true;
        }
        let mut hosts = headers.get_all(HOST).iter();
        let is_ours = match (hosts.next().map(|host| Authority::try_from(host.as_bytes())), hosts.next()) {
            (Some(Ok(host)), None) => is_local(&host),
            _ => false,
        };
        // What is written into the request's target counts as its host (RFC 9112, section 3.2.2).
        is_ours && uri.authority().is_none_or(is_local)
    }
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn takes(door: Door, target: &str, hosts: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_static(host));
        }
        door.takes(&target.parse().unwrap(), &headers)
    }

    #[test]
    fn a_loopback_address_answers_only_to_names_that_nobody_else_can_give() {
        for host in ["localhost", "LOCALHOST:9090", "127.0.0.1:9090", "127.8.8.8", "[::1]:9090"] {
            assert!(takes(Door::Loopback, "/", &[host]), "{host}");
        }
        for host in [
            "exam.example:9090",
            "localhost.example",
            "127.0.0.1.example",
            "localhost.",
            "10.0.0.1",
            "0.0.0.0:9090",
            "[::ffff:7f00:1]",
            "me@localhost@evil.example",
            "",
            " ",
        ] {
            assert!(!takes(Door::Loopback, "/", &[host]), "{host}");
            assert!(takes(Door::Network, "/", &[host]), "{host}");
            assert!(takes(Door::Socket, "/", &[host]), "{host}");
        }
        assert!(!takes(Door::Loopback, "/", &[]));
        assert!(!takes(Door::Loopback, "/", &["localhost", "evil.example"]));
        assert!(!takes(Door::Loopback, "http://evil.example/", &["localhost"]));
        assert!(takes(Door::Loopback, "http://localhost:9090/", &["localhost:9090"]));
    }

    #[test]
    fn an_address_of_loopback_is_this_hosts_alone() {
        assert_eq!(Door::at("127.0.0.1:1".parse().unwrap()), Door::Loopback);
        assert_eq!(Door::at("[::1]:1".parse().unwrap()), Door::Loopback);
        assert_eq!(Door::at("0.0.0.0:1".parse().unwrap()), Door::Network);
        assert_eq!(Door::at("10.0.0.7:1".parse().unwrap()), Door::Network);
    }
}
