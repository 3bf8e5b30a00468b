//! A container. In: Podman's inspection, and what was asked for at the creation. Out: Docker's inspection.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::wait;
use super::order::STOP_TIMEOUT;
use super::{DEFAULT_NETWORK, is_nothing, keys, set, text, texts, with_dockers_network, without_host};
use crate::fields;
use crate::resource::container::ContainerSpec;
use crate::resource::{label, signal};

/// The most processes of a container where nothing is asked for.
const PIDS_LIMIT: u64 = 2048;

/// How often health is checked, and how long a check may take, where nothing is asked for: nanoseconds.
const CHECK: u64 = wait::CHECK.as_secs() * 1_000_000_000;

/// The size of `/dev/shm` where nothing is asked for.
const SHM_SIZE: u64 = 65_536_000;

/// An inspection of Podman's in Docker's form. `image` is the config of the container's image; null where it is gone.
pub(in crate::engine::docker) fn container(document: &mut Value, image: &Value) {
    if ["Config", "HostConfig", "NetworkSettings"].iter().any(|part| !document[*part].is_object()) {
        return;
    }
    let spec: Option<ContainerSpec> = label::spec_from(text(&document["Config"]["Labels"], label::SPEC));
    let body = spec.as_ref().map(fields::create_body).unwrap_or_default();
    let asked = Asked { body: &body, image, is_known: spec.is_some() };
    with_dockers_network(document);
    asked.config(document);
    asked.networks(document, spec.as_ref());
    asked.mounts(document);
    let host = &mut document["HostConfig"];
    asked.ports(host);
    asked.capabilities(host);
    asked.limits(host);
    asked.rest(host);
}

/// What was asked for at a container's creation, and what its image gives.
pub(super) struct Asked<'a> {
    /// The create body; null where nobody knows.
    body: &'a Value,
    /// The config of the image; null where it is gone.
    image: &'a Value,
    is_known: bool,
}

impl Asked<'_> {
    pub(super) fn host(&self, key: &str) -> &Value {
        &self.body["HostConfig"][key]
    }

    /// The program and what is around it.
    fn config(&self, document: &mut Value) {
        let volumes: BTreeSet<String> =
            keys(&self.body["Volumes"]).chain(keys(&self.image["Volumes"])).cloned().collect();
        let mounted = document["Mounts"].as_array().into_iter().flatten();
        let mounted: Map<String, Value> = mounted
            .map(|mount| text(mount, "Destination").to_owned())
            .filter(|target| volumes.contains(target))
            .map(|target| (target, json!({})))
            .collect();
        let config = &mut document["Config"];
        without_host(config.get_mut("Image"));
        set(config, "Volumes", if mounted.is_empty() { Value::Null } else { Value::Object(mounted) });
        self.environment(config);
        if config["WorkingDir"] == "/"
            && is_nothing(&self.body["WorkingDir"])
            && is_nothing(&self.image["WorkingDir"])
        {
            set(config, "WorkingDir", json!(""));
        }
        let number = text(config, "StopSignal").parse().ok();
        if let Some(number) = number {
            let said = [&self.body["StopSignal"], &self.image["StopSignal"]];
            let said =
                said.into_iter().filter_map(Value::as_str).find(|said| signal::number(said) == Some(number));
            set(config, "StopSignal", json!(said.map_or_else(|| signal::name(number), str::to_owned)));
        }
        let timeout = config["StopTimeout"].as_u64();
        if self.body["StopTimeout"].is_null()
            && timeout.is_none_or(|seconds| [0, STOP_TIMEOUT].contains(&seconds))
        {
            set(config, "StopTimeout", Value::Null);
        }
        for (key, default) in [("Interval", CHECK), ("Timeout", CHECK), ("Retries", 3)] {
            let said = [&self.body["Healthcheck"][key], &self.image["Healthcheck"][key]];
            if config["Healthcheck"][key] == default && said.into_iter().all(is_nothing) {
                config["Healthcheck"][key] = json!(0);
            }
        }
    }

    /// The variables, without those that Podman adds by itself.
    fn environment(&self, config: &mut Value) {
        let key = |entry: &str| entry.split_once('=').map_or(entry, |(key, _)| key).to_owned();
        let said: BTreeSet<String> =
            texts(&self.body["Env"]).chain(texts(&self.image["Env"])).map(key).collect();
        let hostname = text(config, "Hostname").to_owned();
        let added = |entry: &str| match entry.split_once('=') {
            Some(("container", value)) => value == "podman",
            Some(("TERM", value)) => value == "xterm",
            Some(("HOSTNAME", value)) => value == hostname,
            Some(("HOME", _)) => true,
            _ => false,
        };
        if let Some(entries) = config["Env"].as_array_mut() {
            entries.retain(|entry| {
                entry.as_str().is_none_or(|entry| said.contains(&key(entry)) || !added(entry))
            });
        }
    }

    /// The network mode by the network's name, and the endpoints as they were asked for.
    fn networks(&self, document: &mut Value, spec: Option<&ContainerSpec>) {
        let mode = text(&document["HostConfig"], "NetworkMode").to_owned();
        let (_, default) = DEFAULT_NETWORK;
        match mode.as_str() {
            "none" | "host" => document["NetworkSettings"]["Networks"] = json!({mode: {}}),
            mode if mode.starts_with("container:") => document["NetworkSettings"]["Networks"] = json!({}),
            _ => {
                let asked = self.host("NetworkMode").as_str().unwrap_or(default);
                let is_network = !matches!(asked, "none" | "host" | "default") && !asked.contains(':');
                let networks = &document["NetworkSettings"]["Networks"];
                let name = match keys(networks).next() {
                    _ if self.is_known && is_network => asked,
                    Some(first) if networks[default].is_null() => first,
                    _ => default,
                };
                document["HostConfig"]["NetworkMode"] = json!(name);
            }
        }
        // One that is asked for is refused: those that there are Podman chose.
        for (_, endpoint) in document["NetworkSettings"]["Networks"].as_object_mut().into_iter().flatten() {
            set(endpoint, "MacAddress", Value::Null);
        }
        let Some(spec) = spec else { return };
        let is_up = document["State"]["Running"] == true;
        let endpoints = document["NetworkSettings"]["Networks"].as_object_mut().into_iter().flatten();
        for (network, endpoint) in endpoints {
            let Some(asked) = fields::endpoint(spec, network) else { continue };
            let mut addresses = Map::new();
            for (key, live) in [("IPv4Address", "IPAddress"), ("IPv6Address", "GlobalIPv6Address")] {
                let address = &asked["IPAMConfig"][key];
                if !address.is_null() && (!is_up || endpoint[live] == *address) {
                    addresses.insert(key.to_owned(), address.clone());
                }
            }
            if !addresses.is_empty() {
                set(endpoint, "IPAMConfig", Value::Object(addresses));
            }
        }
    }

    /// The ports, of which Podman chooses those that nobody did at the creation.
    fn ports(&self, host: &mut Value) {
        let publish_all = *self.host("PublishAllPorts") == true;
        let asked = self.host("PortBindings");
        if let Some(told) = host["PortBindings"].as_object_mut() {
            if publish_all {
                told.retain(|port, _| !asked[port].is_null());
            }
            for (port, bindings) in told {
                let asked = asked[port].as_array().into_iter().flatten();
                let free = |binding: &&Value| text(binding, "HostPort").is_empty();
                let mut free: Vec<&Value> = asked.clone().filter(free).collect();
                for binding in bindings.as_array_mut().into_iter().flatten() {
                    let is_chosen = !asked.clone().any(|one| one["HostPort"] == binding["HostPort"]);
                    if is_chosen && let Some(one) = free.pop() {
                        *binding = one.clone();
                    }
                }
            }
        }
        set(host, "PublishAllPorts", json!(publish_all));
    }

    /// The capabilities as they were asked for, as far as that gives those that Podman tells: it leaves out those
    /// that it gives anyway, and names each of `ALL`.
    fn capabilities(&self, host: &mut Value) {
        if !self.is_known {
            return;
        }
        let names = |value: &Value| -> BTreeSet<String> {
            texts(value).map(|name| name.strip_prefix("CAP_").unwrap_or(name).to_owned()).collect()
        };
        let (add, drop) = (names(self.host("CapAdd")), names(self.host("CapDrop")));
        let is_asked = |told: &BTreeSet<String>, asked: &BTreeSet<String>, other: &BTreeSet<String>| {
            told.is_subset(asked) || (asked.contains("ALL") && told.is_disjoint(other))
        };
        let is_privileged = host["Privileged"] == true;
        if is_privileged || is_asked(&names(&host["CapAdd"]), &add, &drop) {
            set(host, "CapAdd", json!(add));
        }
        if is_privileged || is_asked(&names(&host["CapDrop"]), &drop, &add) {
            set(host, "CapDrop", json!(drop));
        }
    }

    /// The limits, without Podman's own.
    fn limits(&self, host: &mut Value) {
        if is_nothing(self.host("PidsLimit")) && host["PidsLimit"] == PIDS_LIMIT {
            set(host, "PidsLimit", json!(0));
        }
        if self.host("MemorySwappiness").is_null() {
            set(host, "MemorySwappiness", Value::Null);
        }
        // It tells one in the words of the other.
        if is_nothing(self.host("CpuPeriod")) && is_nothing(self.host("CpuQuota")) {
            if host["NanoCpus"].as_u64().is_some_and(|cpus| cpus > 0) {
                (host["CpuPeriod"], host["CpuQuota"]) = (json!(0), json!(0));
            }
        } else if is_nothing(self.host("NanoCpus")) {
            set(host, "NanoCpus", json!(0));
        }
        if let Some(limits) = host["Ulimits"].as_array_mut() {
            for limit in limits.iter_mut() {
                let name = text(limit, "Name");
                set(limit, "Name", json!(name.strip_prefix("RLIMIT_").unwrap_or(name).to_ascii_lowercase()));
            }
            let asked = self.host("Ulimits").as_array().into_iter().flatten();
            let asked: BTreeSet<&str> = asked.map(|limit| text(limit, "Name")).collect();
            limits.retain(|limit| !self.is_known || asked.contains(text(limit, "Name")));
        }
        for device in host["Devices"].as_array_mut().into_iter().flatten() {
            if text(device, "CgroupPermissions").is_empty() {
                let place =
                    |device: &Value| (device["PathOnHost"].clone(), device["PathInContainer"].clone());
                let asked = self.host("Devices").as_array().into_iter().flatten();
                let asked = asked.into_iter().find(|asked| place(asked) == place(device));
                let permissions = asked.map_or(json!("rwm"), |asked| asked["CgroupPermissions"].clone());
                set(device, "CgroupPermissions", permissions);
            }
        }
        // It calls a block device by the name of a character device with the same numbers.
        let rates =
            ["BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"];
        for (key, what) in rates.map(|key| (key, "Rate")).into_iter().chain([("BlkioWeightDevice", "Weight")])
        {
            let values = |list: &Value| -> BTreeMap<u64, usize> {
                let mut values = BTreeMap::new();
                for one in list.as_array().into_iter().flatten() {
                    *values.entry(one[what].as_u64().unwrap_or_default()).or_default() += 1;
                }
                values
            };
            if values(&host[key]) == values(self.host(key)) {
                set(host, key, self.host(key).clone());
            }
        }
    }

    /// What Podman tells as what it does where nothing is asked for, or does not tell.
    fn rest(&self, host: &mut Value) {
        for key in ["Sysctls", "StorageOpt", "UsernsMode"] {
            set(host, key, self.host(key).clone());
        }
        if !text(host, "IpcMode").starts_with("container:") {
            set(host, "IpcMode", self.host("IpcMode").clone());
        }
        for key in ["PidMode", "UTSMode"] {
            if host[key] == "private" {
                set(host, key, json!(""));
            }
        }
        set(host, "Runtime", json!(""));
        fields::fill_label(host);
        if host["ShmSize"] == SHM_SIZE && is_nothing(self.host("ShmSize")) {
            set(host, "ShmSize", json!(0));
        }
        let asked = self.host("LogConfig");
        let driver = text(asked, "Type").to_owned();
        // Its own driver is called `k8s-file`, and told as Docker's.
        if driver.is_empty() && host["LogConfig"]["Type"] == "json-file" {
            host["LogConfig"]["Type"] = json!("");
        }
        if host["LogConfig"]["Type"] == driver.as_str() {
            host["LogConfig"]["Config"] = asked["Config"].clone();
        }
    }
}
