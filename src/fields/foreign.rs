//! Documents that others wrote. In: create bodies, `hostconfig.json`, inspections, as JSON. Out: inspections, which
//! [`read_container`](super::read_container) takes, and everything in them that no field takes.

use serde_json::{Map, Value, json};

use super::network::decode_network_mode;
use super::security::fill_label;
use super::{EXCLUDED, Lost, Place, all, show, storage};

/// Keys that say what the docker command itself is connected to, and what belongs to an image.
const NOT_THE_CONTAINERS: [&str; 9] = [
    "Image",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "StdinOnce",
    "ConsoleSize",
    "OnBuild",
    "Shell",
    "ArgsEscaped",
];

/// Keys of the engine whose flags are no field, for the reason.
const FLAGS: [(&str, &str); 7] = [
    ("Annotations", "--annotation"),
    ("AutoRemove", "--rm"),
    ("ContainerIDFile", "--cidfile"),
    ("CpuRealtimePeriod", "--cpu-rt-period"),
    ("CpuRealtimeRuntime", "--cpu-rt-runtime"),
    ("Isolation", "--isolation"),
    ("KernelMemory", "--kernel-memory"),
];

/// What engines hide of `/proc` and `/sys`, and what they let nobody write.
const PROTECTED: [&str; 18] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/irq",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/firmware",
];

/// Whether the engine keeps a key under `HostConfig`.
pub fn is_host_key(key: &str) -> bool {
    all().any(|field| matches!(field.place, Place::Host(own) if own == key))
}

/// A create body as an inspection. The keys of `HostConfig` may stand at its top, as in the first
/// versions of the API; what stands in both places counts where it stands now, and is told if it differs.
pub fn from_create_body(body: &Value) -> (Value, Vec<Lost>) {
    let mut config = body.as_object().cloned().unwrap_or_default();
    let mut host = config.remove("HostConfig").and_then(|host| host.as_object().cloned()).unwrap_or_default();
    let joined = config.remove("NetworkingConfig").unwrap_or_default();
    let mut lost = Vec::new();
    for (key, value) in body.as_object().into_iter().flatten().filter(|(key, _)| is_host_key(key)) {
        config.remove(key);
        match host.get(key) {
            Some(there) if says(there) => {
                if says(value) && there != value {
                    lost.push(told(key, key, value, Some(format!("HostConfig.{key} says otherwise"))));
                }
            }
            _ => {
                host.insert(key.clone(), value.clone());
            }
        }
    }
    // A volume without a name is one, however it is asked for.
    let mounts = host.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    let nameless = mounts.filter(|mount| mount["Type"] == "volume" && !says(&mount["Source"]));
    let targets: Vec<String> =
        nameless.filter_map(|mount| mount["Target"].as_str()).map(str::to_owned).collect();
    if !targets.is_empty() {
        let volumes = config.entry("Volumes").or_insert(json!({}));
        for target in targets {
            volumes[&target] = json!({});
        }
    }
    let mac = config.get("MacAddress").cloned().unwrap_or_default();
    (inspection(&config, host, &joined["EndpointsConfig"], &mac), lost)
}

/// An engine's `hostconfig.json` as an inspection.
pub fn from_host_config(host: &Value) -> Value {
    inspection(&Map::new(), host.as_object().cloned().unwrap_or_default(), &Value::Null, &Value::Null)
}

fn inspection(
    config: &Map<String, Value>,
    mut host: Map<String, Value>,
    endpoints: &Value,
    mac: &Value,
) -> Value {
    let mut networks = endpoints.as_object().cloned().unwrap_or_default();
    let asked = host.get("NetworkMode").and_then(Value::as_str).unwrap_or_default();
    // As the engine does: the networks named here are all there are, unless the container is to have none of its own.
    let has_own = ["host", "none"].contains(&asked) || asked.starts_with("container:");
    let is_named = networks.contains_key(asked);
    if let (false, Some(first)) = (has_own || is_named, networks.keys().next().cloned()) {
        host.insert("NetworkMode".to_owned(), json!(first));
    }
    let mode = decode_network_mode(host.get("NetworkMode").unwrap_or(&Value::Null));
    let mode = mode.as_str().unwrap_or_default();
    if !mode.starts_with("container:") {
        let endpoint = networks.entry(mode).or_insert(json!({}));
        if says(mac) && endpoint.is_object() {
            endpoint["MacAddress"] = mac.clone();
        }
    }
    let mut host = Value::Object(host);
    fill_label(&mut host);
    json!({"Config": config, "HostConfig": host, "NetworkSettings": {"Networks": networks}})
}

/// Everything in an inspection that says something and that no field takes. `top` is what the keys of its
/// `Config` are called by who wrote it: `Config.` in an inspection, nothing in a create body.
pub fn unread(inspection: &Value, top: &str) -> Vec<Lost> {
    let mut lost = Vec::new();
    for (section, prefix) in [("Config", top), ("HostConfig", "HostConfig.")] {
        for (key, value) in inspection[section].as_object().into_iter().flatten() {
            if NOT_THE_CONTAINERS.contains(&key.as_str()) {
                continue;
            }
            let path = format!("{prefix}{}", show::plain(key));
            if ["MaskedPaths", "ReadonlyPaths"].contains(&key.as_str()) {
                lost.extend(
                    unprotected(inspection, key, value).map(|why| told(&path, key, value, Some(why))),
                );
                continue;
            }
            let taken = taken(section, key, value);
            match taken {
                None if says(value) => {
                    let flag = FLAGS.iter().find(|(own, _)| own == key).map(|(_, flag)| *flag);
                    let why = EXCLUDED.iter().find(|(excluded, _)| Some(*excluded) == flag);
                    lost.push(told(&path, key, value, why.map(|(_, why)| (*why).to_owned())));
                }
                Some(taken) if leaves(&taken) < leaves(&known(key, value)) => {
                    let why = "not all of it can be carried over".to_owned();
                    lost.push(told(&path, key, value, Some(why)));
                }
                _ => {}
            }
        }
    }
    let endpoints = inspection["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    for (network, endpoint) in endpoints {
        let links = inspection["HostConfig"]["Links"].as_array().map_or(0, Vec::len);
        let links = if links == 0 { &endpoint["Links"] } else { &Value::Null };
        let further = &endpoint["IPAMConfig"]["LinkLocalIPs"];
        for (key, value) in
            [("Links", links), ("DriverOpts", &endpoint["DriverOpts"]), ("LinkLocalIPs", further)]
        {
            if says(value) {
                lost.push(told(&format!("networks.{}.{key}", show::plain(network)), key, value, None));
            }
        }
    }
    lost
}

/// Whether a value says anything: not nothing, no, none, and not without limit.
fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0) && number.as_i64() != Some(-1),
        // Every address is what no address means.
        Value::String(text) => !matches!(text.as_str(), "" | "0.0.0.0" | "::"),
        Value::Array(elements) => elements.iter().any(says),
        Value::Object(entries) => entries.values().any(says),
    }
}

/// How much a value says; what stands twice says it once.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(elements) => {
            let before = |at: usize, element: &Value| elements.iter().take(at).any(|other| other == element);
            let own = elements.iter().enumerate().filter(|(at, element)| !before(*at, element));
            own.map(|(_, element)| leaves(element)).sum()
        }
        Value::Object(entries) => entries.values().map(leaves).sum(),
        value => usize::from(says(value)),
    }
}

/// A key's value as its fields give it back to the engine; `None` if it has none.
fn taken(section: &str, key: &str, value: &Value) -> Option<Value> {
    let is_here = |place: Place| match place {
        Place::Config(own) | Place::Attached(own) => section == "Config" && own == key,
        Place::Host(own) => section == "HostConfig" && own == key,
        Place::Inspection | Place::Asked => false,
    };
    let mut fields = all().filter(|field| is_here(field.place)).peekable();
    fields.peek()?;
    if key == "MacAddress" {
        return Some(value.clone());
    }
    Some(fields.map(|field| (field.encode)(&(field.decode)(value))).collect())
}

/// A value without what goes over to a successor anyway, and without labels of ours.
fn known(key: &str, value: &Value) -> Value {
    match value {
        Value::Array(mounts) if key == "Mounts" => {
            mounts.iter().filter(|mount| !storage::is_anonymous(mount)).cloned().collect()
        }
        Value::Object(labels) if key == "Labels" => {
            let own = labels.iter().filter(|(key, _)| !key.starts_with(crate::resource::label::PREFIX));
            Value::Object(own.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        value => value.clone(),
    }
}

fn unprotected(inspection: &Value, key: &str, value: &Value) -> Option<String> {
    let paths = value.as_array()?;
    let usual = !paths.is_empty()
        && paths.iter().all(|path| path.as_str().is_some_and(|path| PROTECTED.contains(&path)));
    let privileged = inspection["HostConfig"]["Privileged"] == true;
    (!usual && !privileged).then(|| format!("{key} are always the engine's own"))
}

fn told(path: &str, key: &str, value: &Value, why: Option<String>) -> Lost {
    // Any of the variables may be a secret.
    let key = if key == "Env" { "SECRET" } else { key };
    let (_, shown) = show::pair(key, None, Some(value), |_, value| show::plain(&value.to_string()));
    Lost { path: path.to_owned(), value: shown.unwrap_or_default(), why }
}

#[cfg(test)]
mod tests {
    use super::super::{Around, create_body, read_container, written};
    use super::*;

    fn lost(body: &Value) -> Vec<String> {
        let (inspection, mut lost) = from_create_body(body);
        lost.extend(unread(&inspection, ""));
        lost.iter().map(ToString::to_string).collect()
    }

    fn spec(body: &Value) -> Value {
        let (inspection, _) = from_create_body(body);
        let around = Around { inspection: &inspection, info: &Value::Null };
        written(&read_container(&inspection), None, None, &around).spec()
    }

    #[test]
    fn every_field_of_a_create_body_is_taken() {
        let all: crate::resource::container::ContainerSpec =
            serde_json::from_str(include_str!("every_field.json")).expect("a spec");
        let body = create_body(&all);
        assert_eq!(lost(&body), Vec::<String>::new());
        let mut old = body.clone();
        let host = old["HostConfig"].take();
        old.as_object_mut().expect("an object").extend(host.as_object().expect("an object").clone());
        assert_eq!(lost(&old), Vec::<String>::new());
        assert_eq!(spec(&old), spec(&body));
    }

    #[test]
    fn what_says_nothing_is_not_told() {
        let body = json!({
            "Image": "a1", "AttachStdout": true, "Tty": false, "Domainname": "", "Entrypoint": null, "OnBuild": null,
            "HostConfig": {
                "ConsoleSize": [40, 120], "Memory": 0, "PidsLimit": -1, "MemorySwappiness": -1, "CpuCount": 0,
                "Isolation": "", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "NetworkMode": "default",
                "LogConfig": {"Type": "", "Config": {}}, "BlkioWeightDevice": [], "Devices": null, "MaskedPaths": null,
                "PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]}, "AutoRemove": false,
            },
        });
        assert_eq!(lost(&body), Vec::<String>::new());
        assert_eq!(spec(&body), json!({"ports": ["80:80"]}));
    }

    #[test]
    fn the_networks_of_a_body_are_those_that_an_engine_joins() {
        let joins = |mode: &str, networks: &[&str]| {
            let endpoints: Map<String, Value> =
                networks.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
            let body = json!({
                "Image": "a1", "HostConfig": {"NetworkMode": mode},
                "NetworkingConfig": {"EndpointsConfig": endpoints},
            });
            spec(&body)["networks"].clone()
        };
        assert_eq!(joins("bridge", &["lab"]), json!(["lab"]));
        assert_eq!(joins("default", &["lab"]), json!(["lab"]));
        assert_eq!(joins("bridge", &["bridge", "lab"]), json!(["bridge", "lab"]));
        assert_eq!(joins("lab", &["exam"]), json!(["exam"]));
        assert_eq!(joins("bridge", &[]), Value::Null);
    }

    #[test]
    fn what_no_field_takes_is_told_with_its_value() {
        let body = json!({
            "Image": "a1", "PortSpecs": ["22"], "Binds": ["/a:/b"], "Memory": "64m",
            "Healthcheck": {"Test": ["CMD", "x"], "StartInterval": 5}, "Env": ["TOKEN=canary", 7],
            "HostConfig": {
                "AutoRemove": true, "Foo": {"Bar": 1}, "SecretKey": "canary", "Binds": ["/c:/d", 7],
                "Mounts": [
                    {"Type": "bind", "Source": "/x", "Target": "/y", "BindOptions": {"CreateMountpoint": true}},
                    {"Type": "volume", "Target": "/z"},
                ],
                "MaskedPaths": [],
            },
            "NetworkingConfig": {"EndpointsConfig": {"lab": {"DriverOpts": {"a": "b"}}}},
        });
        assert_eq!(
            lost(&body),
            [
                r#"Binds = ["/a:/b"] (HostConfig.Binds says otherwise)"#,
                "Env = (hidden) (not all of it can be carried over)",
                r#"Healthcheck = {"StartInterval":5,"Test":["CMD","x"]} (not all of it can be carried over)"#,
                r#"PortSpecs = ["22"]"#,
                "HostConfig.AutoRemove = true (contradicts being kept; state: completed is for what ends)",
                r#"HostConfig.Binds = ["/c:/d",7] (not all of it can be carried over)"#,
                r#"HostConfig.Foo = {"Bar":1}"#,
                "HostConfig.MaskedPaths = [] (MaskedPaths are always the engine's own)",
                r#"HostConfig.Memory = "64m" (not all of it can be carried over)"#,
                r#"HostConfig.Mounts = [{"BindOptions":{"CreateMountpoint":true},"Source":"/x","Target":"/y","Type":"bind"},{"Target":"/z","Type":"volume"}] (not all of it can be carried over)"#,
                "HostConfig.SecretKey = (hidden)",
                r#"networks.lab.DriverOpts = {"a":"b"}"#,
            ]
        );
        assert_eq!(
            spec(&body),
            json!({
                "binds": ["/c:/d"], "mounts": ["type=bind,source=/x,target=/y"], "networks": ["lab"], "volumes": ["/z"],
                "healthcheck": {"test": ["CMD", "x"]}, "env": {"TOKEN": "canary"},
            })
        );
    }
}
