//! The network: namespaces, networks, ports.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::Base::{Engine, Image, Nothing, Spec};
use super::Class::Connect;
use super::Place::{Attached, Config, Host, Inspection};
use super::codec::{decode_keys, encode_keys, flag, list, same, set, texts};
use super::entry::{field, list_of, set_of, shown};
use super::{Around, Field, Live, Shape, show};
use crate::resource::container::ContainerSpec;
use crate::resource::exposed::ExposedPorts;
use crate::resource::link::ExtraHost;
use crate::resource::network::NetworkMode;
use crate::resource::port::{PortMapping, PublishedPort};

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("networkMode", "--network", Host("NetworkMode"), Nothing, |s| {
        (s.network_mode.is_some() || !s.networks.is_empty()).then(|| json!(network_mode(s).to_string()))
    })
    .form(same, decode_network_mode),
    field("networks", "--network, --network-alias, --ip, --ip6", Inspection, Spec(networks), |s| {
        (!s.networks.is_empty()).then(|| networks(s))
    })
    .class(Connect)
    .shape(Shape::Map)
    .form(same, decode_networks)
    .notation(attachments)
    .shown(show::network),
    field("ports", "--publish", Host("PortBindings"), Nothing, |s| {
        let published = s.ports.iter().flat_map(PortMapping::published);
        (!s.ports.is_empty()).then(|| set(published.map(|port| port.to_string())))
    })
    .shape(Shape::Set)
    .form(encode_ports, decode_ports)
    .notation(without_tcp),
    field("publishAll", "--publish-all", Host("PublishAllPorts"), Nothing, |s| {
        s.publish_all.map(Value::Bool)
    })
    .form(same, flag),
    field("expose", "--expose", Config("ExposedPorts"), Image, |s| {
        (!s.expose.is_empty()).then(|| set(s.expose.iter().flat_map(ExposedPorts::each)))
    })
    .shape(Shape::Added)
    .form(encode_keys, decode_keys)
    .notation(without_tcp)
    .given(published_ports),
    field("dns", "--dns", Host("Dns"), Nothing, |s| list_of(&s.dns)).form(same, list),
    field("dnsSearch", "--dns-search", Host("DnsSearch"), Nothing, |s| list_of(&s.dns_search))
        .form(same, list),
    field("dnsOptions", "--dns-option", Host("DnsOptions"), Nothing, |s| list_of(&s.dns_options))
        .form(same, list),
    field("extraHosts", "--add-host", Host("ExtraHosts"), Nothing, |s| set_of(&s.extra_hosts))
        .shape(Shape::Set)
        .form(same, decode_hosts),
    field("links", "--link", Host("Links"), Nothing, |s| set_of(&s.links))
        .shape(Shape::Set)
        .form(same, decode_links),
    // Of what an inspection tells of it, the engine's client leaves out all but the address in use.
    field("macAddress", "--mac-address", Attached("MacAddress"), Engine(is_engines_mac), |s| {
        shown(s.mac_address.as_ref())
    })
    .form(same, decode_mac),
];

/// Ports without the `/tcp` that is the default.
fn without_tcp(value: &Value, _: &Live) -> Value {
    texts(value).map(|port| json!(port.strip_suffix("/tcp").unwrap_or(port))).collect()
}

/// What is published is exposed too.
fn published_ports(live: &Live) -> Value {
    let ports = live.get("ports").into_iter().flat_map(texts);
    set(ports.filter_map(|port| port.rsplit(':').next()).map(str::to_owned))
}

/// The networks of a container as a manifest lists them: the one of `networkMode` first, which says it.
fn attachments(value: &Value, live: &Live) -> Value {
    let mode = live.get("networkMode").and_then(Value::as_str).unwrap_or_default();
    let mut networks: Vec<(&String, &Value)> = value.as_object().into_iter().flatten().collect();
    networks.sort_by_key(|(name, _)| (*name != mode, *name));
    let attachment = |(name, endpoint): (&String, &Value)| match endpoint.as_object() {
        Some(endpoint) if !endpoint.is_empty() => {
            let name = std::iter::once(("name".to_owned(), json!(name)));
            Value::Object(name.chain(endpoint.clone()).collect())
        }
        _ => json!(name),
    };
    networks.into_iter().map(attachment).collect()
}

/// None, or the one that engines before 28 make from the address on the network: `02:42` and its four bytes.
fn is_engines_mac(value: &Value, around: &Around<'_>) -> bool {
    let Some(mac) = value.as_str().filter(|mac| !mac.is_empty()) else { return true };
    let endpoints = around.inspection["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    let mut addresses =
        endpoints.filter_map(|(_, endpoint)| endpoint["IPAddress"].as_str()?.parse::<Ipv4Addr>().ok());
    addresses.any(|address| {
        let [a, b, c, d] = address.octets();
        mac == format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    })
}

/// The lines of `/etc/hosts` as a manifest shows them.
fn decode_hosts(value: &Value) -> Value {
    set(texts(value)
        .map(|host| host.parse::<ExtraHost>().map_or_else(|_| host.to_owned(), |host| host.to_string())))
}

/// `["/db:/seat/database"]` to `["db:database"]`.
fn decode_links(value: &Value) -> Value {
    set(texts(value).map(|link| {
        let (container, alias) = link.split_once(':').unwrap_or((link, link));
        let alias = alias.rsplit('/').next().unwrap_or_default();
        format!("{}:{alias}", container.trim_start_matches('/'))
    }))
}

/// The address that is in use on the network of `networkMode`, from an inspection.
fn decode_mac(inspection: &Value) -> Value {
    let mode = decode_network_mode(&inspection["HostConfig"]["NetworkMode"]);
    let network = mode.as_str().unwrap_or_default();
    let address = &inspection["NetworkSettings"]["Networks"][network]["MacAddress"];
    json!(address.as_str().unwrap_or_default().to_ascii_lowercase())
}

/// `{"8080/tcp": [{"HostIp": "", "HostPort": "18081"}]}` to `["18081:8080/tcp"]`.
pub(super) fn decode_ports(value: &Value) -> Value {
    let bindings = value.as_object().into_iter().flatten();
    set(bindings.flat_map(|(container, bindings)| {
        let bindings = bindings.as_array().into_iter().flatten();
        bindings.map(move |binding| {
            let part = |key: &str| binding[key].as_str().unwrap_or_default();
            let notation = match (part("HostIp"), part("HostPort")) {
                ("", "") => container.clone(),
                ("", port) => format!("{port}:{container}"),
                (ip, port) if ip.contains(':') => format!("[{ip}]:{port}:{container}"),
                (ip, port) => format!("{ip}:{port}:{container}"),
            };
            match notation.parse::<PortMapping>() {
                Ok(mapping) => mapping.published().map(|port| port.to_string()).collect::<Vec<_>>().join(","),
                Err(_) => notation,
            }
        })
    }))
}

/// `["18081:8080/tcp"]` to `{"8080/tcp": [{"HostIp": "", "HostPort": "18081"}]}`.
pub(super) fn encode_ports(value: &Value) -> Value {
    let mut bindings: Map<String, Value> = Map::new();
    for port in published(value) {
        let binding = json!({
            "HostIp": port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            "HostPort": port.host.map(|port| port.to_string()).unwrap_or_default(),
        });
        let entry =
            bindings.entry(format!("{}/{}", port.container, port.protocol.as_str())).or_insert(json!([]));
        if let Value::Array(entry) = entry {
            entry.push(binding);
        }
    }
    Value::Object(bindings)
}

fn published(value: &Value) -> impl Iterator<Item = PublishedPort> {
    texts(value)
        .filter_map(|port| port.parse::<PortMapping>().ok())
        .flat_map(|mapping| mapping.published().collect::<Vec<_>>())
}

/// A network mode; `default` is what engines before 25 called `bridge`.
pub(super) fn decode_network_mode(value: &Value) -> Value {
    match value.as_str().unwrap_or_default() {
        "" | "default" => json!("bridge"),
        mode => json!(mode),
    }
}

/// The endpoints of a live container by network, from its inspection, without what the engine adds by
/// itself: the host name and, before Docker 25, the container's short id as aliases.
pub(super) fn decode_networks(inspection: &Value) -> Value {
    let entries = inspection["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    let hostname = inspection["Config"]["Hostname"].as_str();
    let short_id = inspection["Id"].as_str().and_then(|id| id.get(..12));
    Value::Object(
        entries
            .map(|(network, endpoint)| {
                let added = |alias: &str| Some(alias) == short_id || Some(alias) == hostname;
                let mut told = Map::new();
                let aliases =
                    set(texts(&endpoint["Aliases"]).filter(|alias| !added(alias)).map(str::to_owned));
                if aliases != json!([]) {
                    told.insert("aliases".to_owned(), aliases);
                }
                for (ours, theirs) in [("ipv4Address", "IPv4Address"), ("ipv6Address", "IPv6Address")] {
                    if let Some(address) =
                        endpoint["IPAMConfig"][theirs].as_str().filter(|text| !text.is_empty())
                    {
                        told.insert(ours.to_owned(), json!(address));
                    }
                }
                (network.clone(), Value::Object(told))
            })
            .collect(),
    )
}

/// The engine's endpoint settings from the common form of one network.
pub fn encode_endpoint(endpoint: &Value) -> Value {
    let mut encoded = Map::new();
    if let Some(aliases) = endpoint.get("aliases") {
        encoded.insert("Aliases".to_owned(), aliases.clone());
    }
    let mut addresses = Map::new();
    for (ours, theirs) in [("ipv4Address", "IPv4Address"), ("ipv6Address", "IPv6Address")] {
        if let Some(address) = endpoint.get(ours) {
            addresses.insert(theirs.to_owned(), address.clone());
        }
    }
    if !addresses.is_empty() {
        encoded.insert("IPAMConfig".to_owned(), Value::Object(addresses));
    }
    Value::Object(encoded)
}

/// The network namespace that a spec asks for.
pub(super) fn network_mode(spec: &ContainerSpec) -> NetworkMode {
    match (&spec.network_mode, spec.networks.first()) {
        (Some(mode), _) => mode.clone(),
        (None, Some(first)) => NetworkMode::Network(first.name.clone()),
        (None, None) => NetworkMode::Bridge,
    }
}

/// Every network that a spec's container is on, in the common form.
pub(super) fn networks(spec: &ContainerSpec) -> Value {
    let mut networks = Map::new();
    match network_mode(spec) {
        NetworkMode::Container(_) => {}
        mode => {
            networks.insert(mode.to_string(), json!({}));
        }
    }
    for attachment in &spec.networks {
        let mut told = Map::new();
        // The engine adds the host name by itself.
        let aliases = attachment.aliases.iter().filter(|alias| Some(*alias) != spec.hostname.as_ref());
        let aliases: Vec<&String> = aliases.collect();
        if !aliases.is_empty() {
            told.insert("aliases".to_owned(), json!(aliases));
        }
        if let Some(address) = attachment.ipv4_address {
            told.insert("ipv4Address".to_owned(), json!(address));
        }
        if let Some(address) = attachment.ipv6_address {
            told.insert("ipv6Address".to_owned(), json!(address));
        }
        networks.insert(attachment.name.to_string(), Value::Object(told));
    }
    Value::Object(networks)
}
