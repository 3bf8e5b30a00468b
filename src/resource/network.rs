//! Networks: their spec, and how containers name them. In: manifests. Out: [`NetworkSpec`],
//! [`NetworkMode`], [`NetworkAttachment`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::env::TextMap;
use super::name::Name;
use super::notation::{NoLongForm, Notation, notation};
use super::violation::{FieldPath, Violation};

/// A network, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkSpec {
    /// The driver; `bridge` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Whether it is cut off from other networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<bool>,
    /// Whether containers outside a swarm's services may join it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachable: Option<bool>,
    /// Whether it has IPv6 addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// The driver's options.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub options: TextMap,
    /// The subnets; the engine chooses one by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Subnet>,
    /// Labels of its own.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub labels: TextMap,
}

/// One subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subnet {
    /// The addresses: `172.30.0.0/16`.
    pub subnet: String,
    /// The gateway's address; the engine chooses one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The part that containers get addresses from: `172.30.5.0/24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<String>,
}

impl NetworkSpec {
    /// Every rule that the spec breaks, with paths from the spec.
    pub fn check(&self) -> Vec<Violation> {
        let mut violations = super::label::check(&FieldPath::root().key("labels"), &self.labels);
        for (index, subnet) in self.subnets.iter().enumerate() {
            let path = FieldPath::root().key("subnets").index(index);
            for (key, range) in [("subnet", Some(&subnet.subnet)), ("ipRange", subnet.ip_range.as_ref())] {
                if let Some(range) = range.filter(|range| !is_cidr(range)) {
                    violations.push(Violation::error(
                        path.key(key),
                        format!(
                            "`{}` is not a range of addresses (like 172.30.0.0/16)",
                            range.escape_debug()
                        ),
                    ));
                }
            }
        }
        violations
    }
}

fn is_cidr(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, bits)| {
        let longest = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
    })
}

/// What a container's network namespace is. Shown in Docker's notation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkMode {
    /// The engine's default bridge.
    Bridge,
    /// The host's own.
    Host,
    /// Nothing but loopback.
    None,
    /// That of another container.
    Container(Name),
    /// A network by its name.
    Network(Name),
}

impl Notation for NetworkMode {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a network mode like \"bridge\" or a network's name";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            // What engines before 25 called the default bridge.
            "bridge" | "default" => Self::Bridge,
            "host" => Self::Host,
            "none" => Self::None,
            other => match other.split_once(':') {
                Some(("container", name)) => Self::Container(name.parse()?),
                _ => Self::Network(other.parse()?),
            },
        })
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.write_str("bridge"),
            Self::Host => f.write_str("host"),
            Self::None => f.write_str("none"),
            Self::Container(name) => write!(f, "container:{name}"),
            Self::Network(name) => name.fmt(f),
        }
    }
}

notation!(NetworkMode, "NetworkMode", "`bridge`, `host`, `none`, `container:NAME` or a network's name.");

/// A network that a container joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAttachment {
    /// The network.
    pub name: Name,
    /// Further names of the container on it, sorted.
    pub aliases: Vec<String>,
    /// A fixed address on it.
    pub ipv4_address: Option<Ipv4Addr>,
    /// A fixed address on it.
    pub ipv6_address: Option<Ipv6Addr>,
}

/// The long form of an attachment.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NetworkAttachmentForm {
    /// The network's name.
    name: Name,
    /// Further names of the container on the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    /// A fixed address on the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ipv4_address: Option<Ipv4Addr>,
    /// A fixed address on the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ipv6_address: Option<Ipv6Addr>,
}

impl Notation for NetworkAttachment {
    type Long = NetworkAttachmentForm;
    const EXPECTED: &'static str = "a network's name";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { name: text.parse()?, aliases: Vec::new(), ipv4_address: None, ipv6_address: None })
    }

    fn from_long(long: NetworkAttachmentForm) -> Result<Self, String> {
        let mut aliases = long.aliases;
        if let Some(bad) = aliases.iter().find(|alias| alias.parse::<Name>().is_err() && alias.len() != 1) {
            return Err(format!("`{}` is not an alias", bad.escape_debug()));
        }
        aliases.sort_unstable();
        aliases.dedup();
        Ok(Self {
            name: long.name,
            aliases,
            ipv4_address: long.ipv4_address,
            ipv6_address: long.ipv6_address,
        })
    }
}

impl<'de> Deserialize<'de> for NetworkAttachment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::notation::deserialize(deserializer)
    }
}

impl Serialize for NetworkAttachment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = NetworkAttachmentForm {
            name: self.name.clone(),
            aliases: self.aliases.clone(),
            ipv4_address: self.ipv4_address,
            ipv6_address: self.ipv6_address,
        };
        form.serialize(serializer)
    }
}

impl JsonSchema for NetworkAttachment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NetworkAttachment".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A network that the container joins: its name, or written out.",
            "anyOf": [generator.subschema_for::<Name>(), generator.subschema_for::<NetworkAttachmentForm>()],
        })
    }
}
