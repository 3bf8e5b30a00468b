//! The engine's forms of fields and the common one. In and out: JSON values. What cannot be read is
//! kept as it is, so that it differs from whatever is expected instead of being overlooked.

use serde_json::{Map, Value, json};

use crate::resource::container::ContainerSpec;
use crate::resource::mount::{Bind, Mount, MountSource};
use crate::resource::network::NetworkMode;
use crate::resource::port::{PortMapping, PublishedPort};
use crate::resource::restart::RestartPolicy;

/// As it is.
pub(super) fn same(value: &Value) -> Value {
    value.clone()
}

/// A text; nothing is the empty one.
pub(super) fn text(value: &Value) -> Value {
    Value::String(value.as_str().unwrap_or_default().to_owned())
}

/// Yes or no; nothing is no.
pub(super) fn flag(value: &Value) -> Value {
    Value::Bool(value.as_bool().unwrap_or(false))
}

/// A count of which nothing, 0 and -1 mean "without limit".
pub(super) fn limit(value: &Value) -> Value {
    json!(value.as_i64().filter(|limit| *limit > 0).unwrap_or(0))
}

/// A list of texts in order; nothing is the empty one.
pub(super) fn list(value: &Value) -> Value {
    match value {
        Value::Array(_) => value.clone(),
        // Old engines give a lone text here.
        Value::String(text) => json!([text]),
        _ => json!([]),
    }
}

/// A sorted set of texts.
pub(super) fn set(texts: impl IntoIterator<Item = String>) -> Value {
    let mut texts: Vec<String> = texts.into_iter().collect();
    texts.sort_unstable();
    texts.dedup();
    json!(texts)
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// `["A=1"]` to `{"A": "1"}`.
pub(super) fn decode_env(value: &Value) -> Value {
    let entries = texts(value).map(|entry| entry.split_once('=').unwrap_or((entry, "")));
    Value::Object(entries.map(|(key, value)| (key.to_owned(), json!(value))).collect())
}

/// `{"A": "1"}` to `["A=1"]`.
pub(super) fn encode_env(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| json!(format!("{key}={}", value.as_str().unwrap_or_default()))).collect()
}

/// Labels without ours.
pub(super) fn decode_labels(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    Value::Object(
        entries
            .filter(|(key, _)| !key.starts_with(crate::resource::label::PREFIX))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
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

/// Binds in the form in which a manifest shows them.
pub(super) fn decode_binds(value: &Value) -> Value {
    set(texts(value)
        .map(|bind| bind.parse::<Bind>().map_or_else(|_| bind.to_owned(), |bind| bind.to_string())))
}

/// The engine's mounts to Docker's `--mount` notation; anonymous volumes are left out, they are
/// carried over from container to container.
pub(super) fn decode_mounts(value: &Value) -> Value {
    let mounts = value.as_array().into_iter().flatten();
    set(mounts.filter(|mount| !is_anonymous(mount)).map(|mount| {
        let part = |key: &str| mount[key].as_str().unwrap_or_default();
        let mut notation = format!("type={},target={}", part("Type"), part("Target"));
        if let Some(source) = mount["Source"].as_str().filter(|source| !source.is_empty()) {
            notation.push_str(",source=");
            notation.push_str(source);
        }
        if let Some(size) = mount["TmpfsOptions"]["SizeBytes"].as_u64().filter(|size| *size > 0) {
            notation = format!("{notation},tmpfs-size={size}");
        }
        if mount["ReadOnly"] == true {
            notation.push_str(",readonly");
        }
        notation.parse::<Mount>().map_or(notation, |mount| mount.to_string())
    }))
}

fn is_anonymous(mount: &Value) -> bool {
    mount["Type"] == "volume" && mount["Source"].as_str().is_some_and(is_anonymous_volume)
}

/// Whether a volume's name is one that the engine made up: 64 hexadecimal digits.
pub(crate) fn is_anonymous_volume(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Docker's `--mount` notation to the engine's mounts.
pub(super) fn encode_mounts(value: &Value) -> Value {
    texts(value)
        .filter_map(|mount| mount.parse::<Mount>().ok())
        .map(|mount| {
            let mut encoded = match &mount.source {
                MountSource::Bind(path) => json!({"Type": "bind", "Source": path}),
                MountSource::Volume(name) => json!({"Type": "volume", "Source": name.as_str()}),
                MountSource::Tmpfs(None) => json!({"Type": "tmpfs"}),
                MountSource::Tmpfs(Some(size)) => {
                    json!({"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": size.bytes()}})
                }
            };
            encoded["Target"] = json!(mount.target);
            encoded["ReadOnly"] = json!(mount.read_only);
            encoded
        })
        .collect()
}

/// `{"/run": "size=64m"}` to `["/run:size=64m"]`.
pub(super) fn decode_tmpfs(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    set(entries.map(|(target, options)| match options.as_str().unwrap_or_default() {
        "" => target.clone(),
        options => format!("{target}:{options}"),
    }))
}

/// `["/run:size=64m"]` to `{"/run": "size=64m"}`.
pub(super) fn encode_tmpfs(value: &Value) -> Value {
    let entries = texts(value).map(|entry| entry.split_once(':').unwrap_or((entry, "")));
    Value::Object(entries.map(|(target, options)| (target.to_owned(), json!(options))).collect())
}

/// The engine's restart policy to Docker's notation.
pub(super) fn decode_restart(value: &Value) -> Value {
    match value["Name"].as_str().unwrap_or_default() {
        "" => json!("no"),
        "on-failure" => match value["MaximumRetryCount"].as_u64().unwrap_or(0) {
            0 => json!("on-failure"),
            count => json!(format!("on-failure:{count}")),
        },
        name => json!(name),
    }
}

/// Docker's notation to the engine's restart policy.
pub(super) fn encode_restart(value: &Value) -> Value {
    let policy: RestartPolicy = value.as_str().unwrap_or_default().parse().unwrap_or(RestartPolicy::No);
    json!({"Name": policy.name(), "MaximumRetryCount": policy.maximum_retry_count()})
}

/// Capabilities without the `CAP_` that some engines put before them.
pub(super) fn decode_capabilities(value: &Value) -> Value {
    set(texts(value).map(|name| name.strip_prefix("CAP_").unwrap_or(name).to_owned()))
}

/// Whether the security options hold `no-new-privileges`.
pub(super) fn decode_no_new_privileges(value: &Value) -> Value {
    let on = |option: &str| {
        matches!(option, "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true")
    };
    Value::Bool(texts(value).any(on))
}

/// The security option for `no-new-privileges`.
pub(super) fn encode_no_new_privileges(value: &Value) -> Value {
    if value == true { json!(["no-new-privileges"]) } else { json!([]) }
}

/// A network mode; `default` is what engines before 25 called `bridge`.
pub(super) fn decode_network_mode(value: &Value) -> Value {
    match value.as_str().unwrap_or_default() {
        "" | "default" => json!("bridge"),
        mode => json!(mode),
    }
}

/// A signal by its whole name; engines fill in `SIGTERM`.
pub(super) fn decode_signal(value: &Value) -> Value {
    match value.as_str().unwrap_or_default() {
        "" => json!("SIGTERM"),
        signal if signal.starts_with("SIG") || signal.bytes().all(|b| b.is_ascii_digit()) => json!(signal),
        signal => json!(format!("SIG{signal}")),
    }
}

const HEALTH_KEYS: [(&str, &str); 5] = [
    ("test", "Test"),
    ("interval", "Interval"),
    ("timeout", "Timeout"),
    ("startPeriod", "StartPeriod"),
    ("retries", "Retries"),
];

/// The engine's health check by the manifest's keys, without what is not set.
pub(super) fn decode_health(value: &Value) -> Value {
    let set = |value: &Value| !value.is_null() && *value != json!(0) && *value != json!([]);
    let keys = HEALTH_KEYS.iter().filter(|(_, theirs)| set(&value[*theirs]));
    Value::Object(keys.map(|(ours, theirs)| ((*ours).to_owned(), value[*theirs].clone())).collect())
}

/// The engine's health check from the manifest's keys.
pub(super) fn encode_health(value: &Value) -> Value {
    let keys = HEALTH_KEYS.iter().filter(|(ours, _)| !value[*ours].is_null());
    Value::Object(keys.map(|(ours, theirs)| ((*theirs).to_owned(), value[*ours].clone())).collect())
}

/// The endpoints of a live container by network, from its inspection, without what the engine adds by
/// itself: the host name and, before Docker 25, the container's short id as aliases.
pub(super) fn decode_networks(inspection: &Value) -> Value {
    let entries = inspection["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    let hostname = inspection["Config"]["Hostname"].as_str();
    Value::Object(
        entries
            .map(|(network, endpoint)| {
                let added = |alias: &str| {
                    let short_id = alias.len() == 12 && alias.bytes().all(|b| b.is_ascii_hexdigit());
                    short_id || Some(alias) == hostname
                };
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

/// The parts of a create body that follow from several fields: exposed ports, and the endpoint on the
/// first network (engines before 25 take one; the others are connected before the start).
pub(super) fn complete(spec: &ContainerSpec, config: &mut Map<String, Value>, host: &mut Map<String, Value>) {
    if let Some(Value::Object(bindings)) = host.get("PortBindings") {
        let exposed: Map<String, Value> = bindings.keys().map(|port| (port.clone(), json!({}))).collect();
        config.insert("ExposedPorts".to_owned(), Value::Object(exposed));
    }
    let mode = network_mode(spec).to_string();
    if let Some(endpoint) = networks(spec).get(&mode).filter(|endpoint| **endpoint != json!({})) {
        config.insert(
            "NetworkingConfig".to_owned(),
            json!({"EndpointsConfig": {mode: encode_endpoint(endpoint)}}),
        );
    }
}
