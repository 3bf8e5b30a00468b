//! Specs to the bodies of the engine's calls. In: specs. Out: plain JSON.

use serde_json::{Map, Value, json};

use super::network::{encode_endpoint, network_mode, networks};
use super::{Place, all};
use crate::resource::container::ContainerSpec;

/// The body that creates a container from a spec, without its image, name and labels of ours.
pub fn create_body(spec: &ContainerSpec) -> Value {
    let mut config = Map::new();
    let mut host = Map::new();
    for field in all() {
        let Some(sent) = (field.sent)(spec) else { continue };
        let encoded = (field.encode)(&sent);
        match field.place {
            Place::Config(key) | Place::Attached(key) => merge(&mut config, key, encoded),
            Place::Host(key) => merge(&mut host, key, encoded),
            Place::Inspection | Place::Asked => {}
        }
    }
    complete(spec, &mut config, &mut host);
    config.insert("HostConfig".to_owned(), Value::Object(host));
    Value::Object(config)
}

/// Two fields may share a place (`ports` and `expose`, `noNewPrivileges` and `securityOpt`).
fn merge(body: &mut Map<String, Value>, key: &str, value: Value) {
    match (body.get_mut(key), value) {
        (Some(Value::Array(there)), Value::Array(more)) => there.extend(more),
        (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
        (_, value) => {
            body.insert(key.to_owned(), value);
        }
    }
}

/// The parts of a create body that follow from several fields: the ports that are published are exposed
/// too, and the endpoint on the first network (engines before 25 take one; the others are connected
/// before the start).
fn complete(spec: &ContainerSpec, config: &mut Map<String, Value>, host: &mut Map<String, Value>) {
    if let Some(Value::Object(bindings)) = host.get("PortBindings") {
        let exposed: Map<String, Value> = bindings.keys().map(|port| (port.clone(), json!({}))).collect();
        merge(config, "ExposedPorts", Value::Object(exposed));
    }
    let mode = network_mode(spec).to_string();
    if let Some(endpoint) = networks(spec).get(&mode).filter(|endpoint| **endpoint != json!({})) {
        config.insert(
            "NetworkingConfig".to_owned(),
            json!({"EndpointsConfig": {mode: encode_endpoint(endpoint)}}),
        );
    }
}

/// The networks that a spec's container joins beyond the one in its create body, each with the engine's
/// endpoint settings.
pub fn further_networks(spec: &ContainerSpec) -> Vec<(String, Value)> {
    let first = network_mode(spec).to_string();
    let networks = networks(spec);
    let networks = networks.as_object().into_iter().flatten();
    networks
        .filter(|(name, _)| **name != first)
        .map(|(name, endpoint)| (name.clone(), encode_endpoint(endpoint)))
        .collect()
}

/// The engine's endpoint settings of a spec's container on one network; `None` if it is not to be on it.
pub fn endpoint(spec: &ContainerSpec, network: &str) -> Option<Value> {
    networks(spec).get(network).map(encode_endpoint)
}
