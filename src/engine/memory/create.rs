//! How create bodies become containers of the engine in memory: merged with the image, completed with
//! the engine's defaults, with their volumes made.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::EngineError;
use super::container::{Container, Doing, name_taken};
use super::world::World;
use crate::resource::bind::{Bind, BindSource};
use crate::resource::label;
use crate::resource::volume::VolumeSpec;

/// The `Config` of a container: what its create body says, laid over what its image says.
fn configure(mut config: Value, image: &Value) -> Value {
    let is_silent = |value: &Value| value.is_null() || *value == "" || *value == json!([]);
    if is_silent(&config["Cmd"]) && is_silent(&config["Entrypoint"]) {
        config["Cmd"] = image["Cmd"].clone();
    }
    for key in ["Entrypoint", "User", "WorkingDir", "StopSignal"] {
        if is_silent(&config[key]) {
            config[key] = image[key].clone();
        }
    }
    let mut env: Vec<Value> = config["Env"].as_array().cloned().unwrap_or_default();
    let key =
        |entry: &Value| entry.as_str().and_then(|text| text.split_once('=')).map(|(key, _)| key.to_owned());
    let set: Vec<Option<String>> = env.iter().map(key).collect();
    env.extend(
        image["Env"].as_array().into_iter().flatten().filter(|entry| !set.contains(&key(entry))).cloned(),
    );
    config["Env"] = json!(env);
    for field in ["Labels", "ExposedPorts", "Healthcheck", "Volumes"] {
        let mut merged = image[field].as_object().cloned().unwrap_or_default();
        merged.extend(config[field].as_object().cloned().unwrap_or_default());
        config[field] = if merged.is_empty() && field != "Labels" { Value::Null } else { json!(merged) };
    }
    config
}

/// The `HostConfig` of a container: what its create body says, with the engine's defaults.
fn host_config(mut host: Value) -> Value {
    let defaults = [
        ("NetworkMode", json!("default")),
        ("RestartPolicy", json!({"Name": "no", "MaximumRetryCount": 0})),
        ("Memory", json!(0)),
        ("NanoCpus", json!(0)),
        ("PidsLimit", Value::Null),
        ("ReadonlyRootfs", json!(false)),
        ("MemorySwap", json!(0)),
    ];
    for (key, value) in defaults {
        if host[key].is_null() {
            host[key] = value;
        }
    }
    if host["MemorySwap"] == 0 {
        host["MemorySwap"] = json!(host["Memory"].as_u64().unwrap_or(0) * 2);
    }
    host
}

impl World {
    pub(super) fn create_container(&mut self, name: &str, body: &Value) -> Result<(), EngineError> {
        if let Some(other) = self.containers.iter().find(|container| container.name == name) {
            return Err(name_taken(name, other));
        }
        let wanted = body["Image"].as_str().unwrap_or_default();
        let image = self.image(wanted).cloned();
        let image = image.ok_or_else(|| EngineError::refused(format!("no such image: {wanted}")))?;
        let mut config = body.clone();
        let networking = config["NetworkingConfig"].take();
        let mut host = host_config(config["HostConfig"].take());
        if let Some(parts) = config.as_object_mut() {
            parts.retain(|key, _| key != "NetworkingConfig" && key != "HostConfig");
        }
        let mode = host["NetworkMode"].as_str().unwrap_or_default().to_owned();
        if let Some(other) = mode.strip_prefix("container:") {
            let id = self.container(other)?.id.as_str().to_owned();
            host["NetworkMode"] = json!(format!("container:{id}"));
        }
        let config = configure(config, &image.config);
        let volumes = self.volumes_for(&config, &host);
        let mut container = Container {
            id: self.next_id()?,
            name: name.to_owned(),
            image: image.id,
            doing: Doing::Created,
            started: None,
            files: BTreeMap::new(),
            endpoints: Map::new(),
            config,
            host,
            volumes,
        };
        if body["Labels"][label::OWNER].is_string() {
            container.config["Labels"][label::MADE] = json!(container.id.short());
        }
        if container.config["Hostname"].is_null() {
            container.config["Hostname"] = json!(container.id.short());
        }
        if !mode.starts_with("container:") {
            let network = if mode == "default" { "bridge".to_owned() } else { mode };
            let endpoint = container.endpoint(&network, &networking["EndpointsConfig"][&network]);
            container.endpoints.insert(network, endpoint);
        }
        self.containers.push(container);
        Ok(())
    }

    /// The volumes that a container uses, made where they are not there, as name and target.
    fn volumes_for(&mut self, config: &Value, host: &Value) -> Vec<(String, String)> {
        let binds = host["Binds"].as_array().into_iter().flatten();
        let binds: Vec<Bind> = binds.filter_map(|bind| bind.as_str()?.parse().ok()).collect();
        let mounts: Vec<Value> = host["Mounts"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut volumes: Vec<(String, String)> = mounts
            .iter()
            .filter(|mount| mount["Type"] == "volume")
            .map(|mount| (text(&mount["Source"]), text(&mount["Target"])))
            .collect();
        volumes.extend(binds.iter().filter_map(|bind| match &bind.source {
            BindSource::Volume(volume) => Some((volume.to_string(), bind.target.clone())),
            BindSource::Path(_) => None,
        }));
        let is_covered = |target: &str| {
            binds.iter().any(|bind| bind.target == target)
                || mounts.iter().any(|mount| mount["Target"] == target)
        };
        for target in config["Volumes"].as_object().into_iter().flat_map(Map::keys) {
            if !is_covered(target) {
                volumes.push((self.next_digits(), target.clone()));
            }
        }
        for (name, _) in &volumes {
            self.add_volume(name, &VolumeSpec::default(), &Value::Null);
        }
        volumes
    }
}
