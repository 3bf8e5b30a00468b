//! Networks: their spec, and how containers name them. In: manifests. Out: [`NetworkSpec`],
//! [`NetworkMode`], [`NetworkAttachment`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::env::TextMap;
use super::name::Name;
use super::notation::{NoLongForm, Notation, notation};
use super::violation::{FieldPath, Violation};

/// The networks that engines have by themselves, which no manifest describes. Nobody on one is found by its name.
pub const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

/// The most subnets of a network: far more than an engine can route. Each fixed address is looked for in all.
const SUBNETS_MAX: usize = 256;

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
    /// Who gives out its addresses.
    #[serde(default, skip_serializing_if = "Ipam::is_default")]
    pub ipam: Ipam,
    /// Labels of its own.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub labels: TextMap,
}

/// Who gives out a network's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ipam {
    /// The driver; `default` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The driver's options.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub options: TextMap,
}

impl Ipam {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subnet {
    /// The addresses: `172.30.0.0/16`.
    #[serde(deserialize_with = "canonical")]
    pub subnet: String,
    /// The gateway's address; the engine chooses one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The part that containers get addresses from: `172.30.5.0/24`.
    #[serde(default, deserialize_with = "canonical_or_none", skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<String>,
    /// Addresses that others use and that no container gets, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

impl Subnet {
    /// Whether an address is one of the subnet's.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.range().is_some_and(|range| range.contains(&address))
    }

    /// Its addresses, if they can be read.
    pub fn range(&self) -> Option<IpNet> {
        self.subnet.parse().ok().map(|range: IpNet| range.trunc())
    }

    /// Whether any address is one of both.
    fn overlaps(&self, other: &Self) -> bool {
        let (Some(one), Some(other)) = (self.range(), other.range()) else { return false };
        one.contains(&other) || other.contains(&one)
    }

    /// The rules that one of its ranges breaks.
    fn check_ranges(&self, path: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (key, text) in [("subnet", Some(&self.subnet)), ("ipRange", self.ip_range.as_ref())] {
            let Some(text) = text else { continue };
            let message = match (text.parse::<IpNet>(), self.range()) {
                (Err(_), _) => {
                    format!("`{}` is not a range of addresses (like 172.30.0.0/16)", text.escape_debug())
                }
                (Ok(range), Some(subnet)) if !subnet.contains(&range) => {
                    format!("{range} is not in {subnet}")
                }
                _ => continue,
            };
            violations.push(Violation::error(path.key(key), message));
        }
        violations
    }
}

fn canonical<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|range| canonical_range(&range))
}

fn canonical_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|range| range.map(|range| canonical_range(&range)))
}

/// A range of addresses as engines write it: `10.0.3.0/16` is `10.0.0.0/16`. What is none stays as it is.
pub fn canonical_range(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |range: IpNet| range.trunc().to_string())
}

impl NetworkSpec {
    /// Every rule that the spec breaks, with paths from the spec.
    pub fn check(&self) -> Vec<Violation> {
        let mut violations = super::label::check(&FieldPath::root().key("labels"), &self.labels);
        if self.subnets.len() > SUBNETS_MAX {
            let message =
                format!("a network has at most {SUBNETS_MAX} subnets, this one has {}", self.subnets.len());
            violations.push(Violation::error(FieldPath::root().key("subnets"), message));
            return violations;
        }
        for (index, subnet) in self.subnets.iter().enumerate() {
            if let Some(before) = self.subnets.iter().take(index).find(|before| before.overlaps(subnet)) {
                let path = FieldPath::root().key("subnets").index(index).key("subnet");
                let message = format!("{} overlaps with {}", subnet.subnet, before.subnet);
                let seen = FieldPath::root().key("subnets");
                violations.push(Violation::error(path, message).concluded_from([seen]));
            }
        }
        for (index, subnet) in self.subnets.iter().enumerate() {
            let path = FieldPath::root().key("subnets").index(index);
            violations.extend(subnet.check_ranges(&path));
            if let Some(gateway) = subnet.gateway.filter(|gateway| !subnet.contains(*gateway)) {
                violations.push(Violation::error(
                    path.key("gateway"),
                    format!("{gateway} is not in {}", subnet.subnet),
                ));
            }
            for (name, address) in
                subnet.aux_addresses.iter().filter(|(_, address)| !subnet.contains(**address))
            {
                violations.push(Violation::error(
                    path.key("auxAddresses").key(name),
                    format!("{address} is not in {}", subnet.subnet),
                ));
            }
        }
        violations
    }

    /// The subnets whose addresses are of those that all networks of a host divide among themselves: not those of a swarm, nor
    /// what somebody else's program gives out, nor IPv6 where it is off.
    fn shared_subnets(&self) -> impl Iterator<Item = (usize, &Subnet)> {
        let is_here = self.driver.as_deref() != Some("overlay")
            && self.ipam.driver.as_deref().is_none_or(|driver| driver == "default");
        let has_ipv6 = self.ipv6 == Some(true);
        let is_on =
            move |subnet: &Subnet| has_ipv6 || subnet.range().is_some_and(|range| range.addr().is_ipv4());
        self.subnets.iter().enumerate().filter(move |(_, subnet)| is_here && is_on(subnet))
    }

    /// Those of them that nobody else may have before. Of one that is given out in part only others may have the rest, except
    /// where bridges lead to it (Docker's `ipam` looks for no overlap then, its `bridge` driver does).
    pub fn own_subnets(&self) -> impl Iterator<Item = (usize, &Subnet)> {
        let is_bridge = self.driver.as_deref().is_none_or(|driver| driver == "bridge");
        self.shared_subnets().filter(move |(_, subnet)| is_bridge || subnet.ip_range.is_none())
    }

    /// A subnet of this network, and one of another that is there, for which an engine refuses this one: `Pool overlaps with
    /// other one on this address space`.
    pub fn overlap<'a>(&'a self, other: &'a Self) -> Option<(&'a Subnet, &'a Subnet)> {
        let mut pairs =
            self.own_subnets().flat_map(|(_, one)| other.shared_subnets().map(move |(_, two)| (one, two)));
        pairs.find(|(one, two)| one.overlaps(two))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_so_many_subnets_at_most() {
        let told = |count: usize| {
            let subnets = (0..count).map(|number| {
                let range = format!("10.{}.{}.0/24", number / 256, number % 256);
                serde_json::from_value(serde_json::json!({"subnet": range})).unwrap()
            });
            let spec = NetworkSpec { subnets: subnets.collect(), ..NetworkSpec::default() };
            let violations = spec.check().into_iter();
            violations.map(|told| format!("{}: {}", told.path, told.message)).collect::<Vec<_>>()
        };
        assert_eq!(told(256), [""; 0]);
        assert_eq!(told(257), ["subnets: a network has at most 256 subnets, this one has 257"]);
    }
}
