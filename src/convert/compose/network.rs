//! What a service has of the network: ports, networks, namespaces.

use serde_json::{Map, Value, json};

use super::project::DEFAULT;
use super::service::Service;
use super::tree::{Content, Item};

pub(super) fn take<'a>(service: &mut Service<'a>, key: &str, item: &'a Item) {
    match key {
        "ports" => {
            let more = item.elements().iter().flat_map(|port| {
                let modes = port.get("mode").filter(|mode| !matches!(mode.text(), Some("host" | "ingress")));
                modes.into_iter().chain(port.get("app_protocol"))
            });
            service.notes.extend(more.map(|item| item.note(None)));
            service.set_each(item, "ports", port);
        }
        "network_mode" => mode(service, "networkMode", item),
        "pid" => mode(service, "pidMode", item),
        "ipc" => mode(service, "ipcMode", item),
        _ => match &item.content {
            Content::Mapping(entries) => {
                let hosts = entries.iter().flat_map(|(name, addresses)| {
                    addresses
                        .elements()
                        .iter()
                        .filter_map(move |one| Some(json!(format!("{name}:{}", one.text()?))))
                });
                service.set(item, "extraHosts", hosts.collect());
            }
            _ => service.set_each(item, "extraHosts", |host| host.text().map(|host| json!(host))),
        },
    }
}

/// In Docker's notation, which the short form is.
fn port(item: &Item) -> Option<Value> {
    if let Some(text) = item.text() {
        return Some(json!(text));
    }
    let mut port = item.text_at("target")?.to_owned();
    match (item.text_at("host_ip"), item.text_at("published")) {
        (Some(ip), published) if ip.contains(':') => {
            port = format!("[{ip}]:{}:{port}", published.unwrap_or_default());
        }
        (Some(ip), published) => port = format!("{ip}:{}:{port}", published.unwrap_or_default()),
        (None, Some(published)) if !published.is_empty() => port = format!("{published}:{port}"),
        (None, _) => {}
    }
    match item.text_at("protocol") {
        None | Some("tcp") => Some(json!(port)),
        Some(protocol) => Some(json!(format!("{port}/{protocol}"))),
    }
}

/// A namespace, which may be another service's.
fn mode<'a>(service: &mut Service<'a>, field: &str, item: &'a Item) {
    let text = item.text().unwrap_or_default();
    match text.strip_prefix("service:") {
        None => service.set(item, field, json!(text)),
        Some(key) => match service.project.container(key) {
            Some(container) => service.set(item, field, json!(format!("container:{container}"))),
            None => service.notes.push(item.note(Some("there is no such service"))),
        },
    }
}

/// Joins the networks that a service names, or the project's own, under its name and its aliases.
pub(super) fn join<'a>(service: &mut Service<'a>, whole: &'a Item) {
    if service.has("networkMode") {
        return;
    }
    let own = whole.get("networks").filter(|item| !item.is_nothing());
    let keys: Vec<(&str, Option<&Item>)> = match own.map(|item| &item.content) {
        None => vec![(DEFAULT, None)],
        Some(Content::List(items)) => items.iter().filter_map(|item| Some((item.text()?, None))).collect(),
        Some(_) => own.into_iter().flat_map(Item::entries).map(|(key, item)| (key, Some(item))).collect(),
    };
    let item = own.unwrap_or(whole);
    let container = service.project.container(service.key).unwrap_or_default();
    let mut joined = Vec::new();
    for (key, long) in keys {
        let Some(name) = service.project.called("networks", key) else {
            service.notes.push(long.unwrap_or(item).note(Some("there is no such network")));
            continue;
        };
        service.networks.push(key.to_owned());
        let mut aliases: Vec<&str> = if service.key == container { Vec::new() } else { vec![service.key] };
        let mut endpoint = Map::new();
        for (key, item) in long.into_iter().flat_map(Item::entries) {
            match key {
                "aliases" => aliases.extend(item.elements().iter().filter_map(Item::text)),
                "ipv4_address" => drop(endpoint.insert("ipv4Address".to_owned(), json!(item.text()))),
                "ipv6_address" => drop(endpoint.insert("ipv6Address".to_owned(), json!(item.text()))),
                _ if item.is_nothing() => {}
                _ => service.notes.push(item.note(None)),
            }
        }
        if !aliases.is_empty() {
            endpoint.insert("aliases".to_owned(), json!(aliases));
        }
        joined.push(if endpoint.is_empty() {
            json!(name)
        } else {
            endpoint.insert("name".to_owned(), json!(name));
            Value::Object(endpoint)
        });
    }
    service.append(item, "networks", joined);
}
