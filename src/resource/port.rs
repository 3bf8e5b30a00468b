//! Published ports. In: Docker's `-p` notation or the long form. Out: [`PortMapping`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notation::{Notation, notation};

/// A transport protocol.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The engine's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Tcp, Self::Udp, Self::Sctp]
            .into_iter()
            .find(|protocol| protocol.as_str() == text)
            .ok_or_else(|| format!("`{}` is not a protocol (tcp, udp, sctp)", text.escape_debug()))
    }
}

/// One port, or several in a row; 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port of the range.
    pub fn ports(self) -> impl Iterator<Item = u16> {
        self.first..=self.last
    }

    /// How many ports there are beside the first.
    pub(super) const fn further(self) -> u16 {
        self.last - self.first
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
            _ => Err(format!("{} is not a port (1-65535)", text.escape_debug())),
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(text)?, port(text)?),
        };
        if first <= last {
            Ok(Self { first, last })
        } else {
            Err(format!("{text} is no range: it ends before it begins"))
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A port of the container, published on the host. Shown as `127.0.0.1:8082:8081/tcp`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortMapping {
    host_ip: Option<IpAddr>,
    host: Option<PortRange>,
    container: PortRange,
    protocol: Protocol,
}

/// One published port, a range taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishedPort {
    /// The address of the host it is bound to; `None`: all of them.
    pub host_ip: Option<IpAddr>,
    /// The port of the host; `None`: the engine chooses one.
    pub host: Option<u16>,
    /// The port of the container.
    pub container: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl PublishedPort {
    /// Whether both would need the same port of the host.
    pub fn collides_with(&self, other: &Self) -> bool {
        let everywhere = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
        self.host.is_some()
            && self.host == other.host
            && self.protocol == other.protocol
            && (self.host_ip == other.host_ip || everywhere(self.host_ip) || everywhere(other.host_ip))
    }
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host_ip.filter(|ip| !ip.is_unspecified()), self.host) {
            (Some(ip), host) => {
                write!(f, "{}:{}:", bracketed(ip), host.map(|port| port.to_string()).unwrap_or_default())?;
            }
            (None, Some(host)) => write!(f, "{host}:")?,
            (None, None) => {}
        }
        write!(f, "{}/{}", self.container, self.protocol.as_str())
    }
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

impl PortMapping {
    /// The single ports that this publishes.
    pub fn published(&self) -> impl Iterator<Item = PublishedPort> + '_ {
        self.container.ports().enumerate().map(|(offset, container)| PublishedPort {
            host_ip: self.host_ip,
            host: self.host.and_then(|host| host.ports().nth(offset)),
            container,
            protocol: self.protocol,
        })
    }

    /// How many ports this publishes.
    pub fn count(&self) -> usize {
        usize::from(self.container.further()) + 1
    }

    /// Whether it says which ports of the host.
    pub const fn is_fixed(&self) -> bool {
        self.host.is_some()
    }

    fn checked(self) -> Result<Self, String> {
        match self.host {
            Some(host) if host.further() != self.container.further() => {
                Err(format!("the ranges {host} and {} have different lengths", self.container))
            }
            _ => Ok(self),
        }
    }
}

/// The long form of a published port.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PortMappingForm {
    /// The container's port, or a range of them (`8000-8010`).
    container: PortForm,
    /// The host's port, or a range as long as the container's. Left out: the engine chooses.
    host: Option<PortForm>,
    /// The address of the host to bind to. Left out: all.
    host_ip: Option<String>,
    /// The protocol.
    #[serde(default)]
    protocol: Protocol,
}

/// A port or a range of ports, as a number or a text.
pub(super) struct PortForm(pub PortRange);

impl Notation for PortForm {
    type Long = super::notation::NoLongForm;
    const EXPECTED: &'static str = "a port (1-65535)";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Self)
    }

    fn from_long(long: Self::Long) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for PortForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

notation!(PortForm, "Port", "A port, or a range of ports like `8000-8010`.", also u16);

impl Notation for PortMapping {
    type Long = PortMappingForm;
    const EXPECTED: &'static str = "a port like \"8080:80\"";

    fn parse(text: &str) -> Result<Self, String> {
        let (rest, protocol) = match text.split_once('/') {
            Some((rest, protocol)) => (rest, protocol.parse()?),
            None => (text, Protocol::Tcp),
        };
        let (rest, container) = match rest.rsplit_once(':') {
            Some((rest, container)) => (Some(rest), container),
            None => (None, rest),
        };
        let (host_ip, host) = match rest {
            None => (None, None),
            Some(rest) => match rest.rsplit_once(':') {
                // `::1` without brackets would be read as an address and a port.
                Some((ip, host)) => (Some(address(ip)?), Some(host)),
                None => (None, Some(rest)),
            },
        };
        let host = host.filter(|host| !host.is_empty()).map(str::parse).transpose()?;
        Self { host_ip, host, container: container.parse()?, protocol }.checked()
    }

    fn from_long(long: PortMappingForm) -> Result<Self, String> {
        let host_ip = long.host_ip.as_deref().map(address).transpose()?;
        Self {
            host_ip,
            host: long.host.map(|form| form.0),
            container: long.container.0,
            protocol: long.protocol,
        }
        .checked()
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.parse().map_err(|_| format!("`{}` is not an IP address of this host", text.escape_debug()))
}

impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host_ip, self.host) {
            (Some(ip), host) => {
                write!(f, "{}:{}:", bracketed(ip), host.map(|range| range.to_string()).unwrap_or_default())?;
            }
            (None, Some(host)) => write!(f, "{host}:")?,
            (None, None) => {}
        }
        write!(f, "{}/{}", self.container, self.protocol.as_str())
    }
}

notation!(
    PortMapping, "PortMapping",
    "A published port in Docker's notation, `[[hostIp:]host:]container[/protocol]`, or written out.",
    also PortMappingForm
);

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        text.parse::<PortMapping>().map(|mapping| mapping.to_string())
    }

    #[test]
    fn dockers_port_notations_are_read() {
        for (text, canonical) in [
            ("18081:8080", "18081:8080/tcp"),
            ("8080", "8080/tcp"),
            ("127.0.0.1:80:8080/udp", "127.0.0.1:80:8080/udp"),
            ("127.0.0.1::8080", "127.0.0.1::8080/tcp"),
            ("[::1]:80:8080", "[::1]:80:8080/tcp"),
            ("8000-8001:9000-9001", "8000-8001:9000-9001/tcp"),
        ] {
            assert_eq!(shown(text), Ok(canonical.to_owned()), "{text}");
            assert_eq!(shown(canonical), Ok(canonical.to_owned()), "{canonical}");
        }
        assert_eq!(shown("80:99999"), Err("99999 is not a port (1-65535)".to_owned()));
        assert_eq!(shown("80:80/icmp"), Err("`icmp` is not a protocol (tcp, udp, sctp)".to_owned()));
        assert_eq!(shown("80-82:80"), Err("the ranges 80-82 and 80 have different lengths".to_owned()));
        for bad in ["", ":", "a:b", "1:2:3:4", "+1:80", "0:80"] {
            assert!(shown(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_long_form_is_the_same_mapping() {
        let long = r#"{"container": 8081, "host": 18082, "hostIp": "127.0.0.1", "protocol": "tcp"}"#;
        let long: PortMapping = serde_json::from_str(long).expect("a mapping");
        assert_eq!(long, "127.0.0.1:18082:8081".parse().expect("a mapping"));
    }

    #[test]
    fn ports_collide_where_the_kernel_would_refuse_the_second() {
        let port =
            |text: &str| text.parse::<PortMapping>().expect("a mapping").published().next().expect("a port");
        assert!(port("80:1").collides_with(&port("127.0.0.1:80:2")));
        assert!(port("0.0.0.0:80:1").collides_with(&port("127.0.0.1:80:2")));
        assert!(!port("127.0.0.2:80:1").collides_with(&port("127.0.0.1:80:2")));
        assert!(!port("80:1/udp").collides_with(&port("80:2")));
        assert!(!port("1").collides_with(&port("2")));
    }
}
