//! What a service may use of the host, in Compose's several places for it.

use serde_json::{Map, Value, json};

use super::project::{texts, why};
use super::service::{Service, written};
use super::tree::Item;

pub(super) fn take<'a>(service: &mut Service<'a>, key: &str, item: &'a Item) {
    match key {
        "ulimits" => {
            let limits = item.entries().map(|(name, limit)| {
                let part = |key: &str| limit.text_at(key).unwrap_or_default();
                let both = || format!("{}:{}", part("soft"), part("hard"));
                json!(format!("{name}={}", limit.text().map_or_else(both, str::to_owned)))
            });
            service.set(item, "resources.ulimits", limits.collect());
        }
        "blkio_config" => item.entries().for_each(|(key, item)| block_io(service, key, item)),
        "gpus" if item.text() == Some("all") => {
            service.set(item, "resources.deviceRequests", json!([{"count": -1, "capabilities": [["gpu"]]}]));
        }
        "gpus" => requests(service, item),
        "scale" => replicas(service, item),
        _ => item.entries().for_each(|(key, item)| deploy(service, key, item)),
    }
}

fn text<'a>(service: &mut Service<'a>, item: &'a Item, field: &str) {
    service.set(item, field, written(field, item.text().unwrap_or_default()));
}

fn replicas<'a>(service: &mut Service<'a>, item: &'a Item) {
    if item.text() != Some("1") {
        service.notes.push(item.note(why("replicas")));
    }
}

fn deploy<'a>(service: &mut Service<'a>, key: &str, item: &'a Item) {
    match key {
        "replicas" => replicas(service, item),
        "resources" => {
            for (kind, item) in item.entries() {
                for (key, item) in item.entries() {
                    match (kind, key) {
                        ("limits", "cpus") => text(service, item, "resources.cpus"),
                        ("limits", "memory") => text(service, item, "resources.memory"),
                        ("limits", "pids") => match item.text().and_then(|text| text.parse::<u32>().ok()) {
                            Some(limit) => service.set(item, "resources.pidsLimit", json!(limit)),
                            None => service.notes.push(item.note(Some("it is no whole number"))),
                        },
                        ("reservations", "memory") => text(service, item, "resources.memoryReservation"),
                        ("reservations", "devices") => requests(service, item),
                        _ => service.notes.push(item.note(None)),
                    }
                }
            }
        }
        "restart_policy" => {
            let attempts = item.text_at("max_attempts").map(|count| format!(":{count}")).unwrap_or_default();
            let policy = match item.text_at("condition").unwrap_or("any") {
                "none" => "no".to_owned(),
                "on-failure" => format!("on-failure{attempts}"),
                _ => "always".to_owned(),
            };
            service.set(item, "restartPolicy", json!(policy));
            let more = item.entries().filter(|(key, _)| ["delay", "window"].contains(key));
            service.notes.extend(more.map(|(_, item)| item.note(None)));
        }
        key => service.notes.push(item.note(why(key))),
    }
}

fn block_io<'a>(service: &mut Service<'a>, key: &str, item: &'a Item) {
    let (field, part) = match key {
        "weight" => {
            return match item.text().and_then(|text| text.parse::<u16>().ok()) {
                Some(weight) => service.set(item, "resources.blkioWeight", json!(weight)),
                None => service.notes.push(item.note(Some("it is no whole number"))),
            };
        }
        "weight_device" => ("resources.blkioWeightDevice", "weight"),
        "device_read_bps" => ("resources.deviceReadBps", "rate"),
        "device_write_bps" => ("resources.deviceWriteBps", "rate"),
        "device_read_iops" => ("resources.deviceReadIops", "rate"),
        "device_write_iops" => ("resources.deviceWriteIops", "rate"),
        _ => return service.notes.push(item.note(None)),
    };
    service
        .set_each(item, field, |one| Some(json!(format!("{}:{}", one.text_at("path")?, one.text_at(part)?))));
}

fn requests<'a>(service: &mut Service<'a>, item: &'a Item) {
    service.set_each(item, "resources.deviceRequests", |one| {
        let mut request = Map::new();
        for (key, item) in one.entries() {
            let list = || item.elements().iter().filter_map(Item::text).collect::<Vec<_>>();
            let (key, value): (&str, Value) = match key {
                "driver" => ("driver", json!(item.text())),
                "count" if item.text() == Some("all") => ("count", json!(-1)),
                "count" => ("count", json!(item.text()?.parse::<i32>().ok()?)),
                "device_ids" => ("deviceIds", json!(list())),
                "capabilities" => ("capabilities", json!([list()])),
                "options" => ("options", texts(item)),
                _ => return None,
            };
            request.insert(key.to_owned(), value);
        }
        Some(Value::Object(request))
    });
}
