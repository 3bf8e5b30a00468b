//! What a service has of the host's storage and devices.

use serde_json::{Map, Value, json};

use super::service::Service;
use super::tree::Item;

pub(super) fn take<'a>(service: &mut Service<'a>, key: &str, item: &'a Item) {
    match key {
        "volumes" => item.elements().iter().for_each(|one| volume(service, item, one)),
        "volumes_from" => {
            let project = service.project;
            service.set_each(item, "volumesFrom", |from| {
                let text = from.text()?;
                if let Some(container) = text.strip_prefix("container:") {
                    return Some(json!(container));
                }
                let (key, mode) = text.split_once(':').unwrap_or((text, "rw"));
                Some(json!(format!("{}:{mode}", project.container(key)?)))
            });
        }
        _ => service.set_each(item, "resources.devices", device),
    }
}

fn volume<'a>(service: &mut Service<'a>, list: &'a Item, one: &'a Item) {
    match one.text() {
        Some(text) => short(service, list, one, text),
        None => long(service, list, one),
    }
}

fn short<'a>(service: &mut Service<'a>, list: &'a Item, one: &'a Item, text: &str) {
    let Some((source, rest)) = text.split_once(':') else {
        return add(service, list, one, "volumes", json!(text));
    };
    let is_path = source.contains('/') || source.starts_with(['.', '~']);
    let source = if is_path { Some(path(source)) } else { service.project.called("volumes", source) };
    match source {
        Some(source) => add(service, list, one, "binds", json!(format!("{source}:{rest}"))),
        None => service.notes.push(one.note(Some("there is no such volume in the file"))),
    }
}

/// `data/x` is a path too; a manifest's begin with `/` or `.`.
fn path(text: &str) -> String {
    if text.starts_with(['/', '.', '~']) { text.to_owned() } else { format!("./{text}") }
}

/// Docker's `--mount`, written out; a bind whose source may be made is a bind.
fn long<'a>(service: &mut Service<'a>, list: &'a Item, one: &'a Item) {
    let kind = one.text_at("type").unwrap_or("volume");
    let mut mount = Map::new();
    let mut put = |key: &str, value: Value| drop(mount.insert(key.to_owned(), value));
    put("type", json!(kind));
    let mut makes = false;
    for (key, item) in one.entries() {
        match (key, kind) {
            ("target", _) => put("target", json!(item.text())),
            ("read_only", _) if item.is_true() => put("readOnly", json!(true)),
            ("type" | "consistency" | "read_only", _) => {}
            ("source", "volume") => {
                let called = item.text().and_then(|key| service.project.called("volumes", key));
                match called {
                    Some(name) => put("source", json!(name)),
                    None => return service.notes.push(one.note(Some("there is no such volume in the file"))),
                }
            }
            ("source", _) => put("source", json!(item.text().map(path))),
            ("bind", "bind") | ("volume", "volume") | ("tmpfs", "tmpfs") => {
                for (key, item) in item.entries() {
                    match key {
                        "propagation" => put("propagation", json!(item.text())),
                        "create_host_path" => makes = item.is_true(),
                        "nocopy" if item.is_true() => put("noCopy", json!(true)),
                        "nocopy" => {}
                        "size" => put("tmpfsSize", json!(item.text())),
                        "mode" => put("tmpfsMode", json!(octal(item.text().unwrap_or_default()))),
                        _ => service.notes.push(item.note(None)),
                    }
                }
            }
            _ => service.notes.push(item.note(None)),
        }
    }
    if kind == "volume" && !mount.contains_key("source") {
        let target = mount.remove("target").unwrap_or_default();
        return add(service, list, one, "volumes", target);
    }
    if kind == "bind" && makes && !mount.contains_key("propagation") {
        mount.remove("type");
        mount.insert("createHostPath".to_owned(), json!(true));
        return add(service, list, one, "binds", Value::Object(mount));
    }
    add(service, list, one, "mounts", Value::Object(mount));
}

/// YAML reads `0o1770`, and what prints Compose's files prints 1016; `01770` is octal already.
fn octal(text: &str) -> String {
    match text.parse::<u32>() {
        Ok(mode) if !text.starts_with('0') => format!("{mode:04o}"),
        _ => text.to_owned(),
    }
}

fn add<'a>(service: &mut Service<'a>, list: &'a Item, one: &'a Item, field: &str, value: Value) {
    match super::service::refused(field, &json!([value])) {
        None => service.append(list, field, vec![value]),
        Some(why) => service.notes.push(one.note(Some(&why))),
    }
}

fn device(item: &Item) -> Option<Value> {
    if let Some(text) = item.text() {
        return Some(json!(text));
    }
    let source = item.text_at("source")?;
    let target = item.text_at("target").unwrap_or(source);
    Some(json!(format!("{source}:{target}:{}", item.text_at("permissions").unwrap_or("rwm"))))
}
