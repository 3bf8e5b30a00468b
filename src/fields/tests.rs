use std::collections::BTreeSet;

use serde_json::{Map, json};

use super::network::networks;
use super::*;

pub(super) fn spec(value: Value) -> ContainerSpec {
    serde_json::from_value(value).expect("a spec")
}

/// What an engine would answer for a container made from `spec` on an image with `image` as config.
pub(super) fn created(spec: &ContainerSpec, image: &Value) -> Live {
    let mut body = create_body(spec);
    let mut host = body["HostConfig"].take();
    if let (Some(memory), None) = (host["Memory"].as_u64(), host["MemorySwap"].as_u64()) {
        host["MemorySwap"] = json!(memory * 2);
    }
    fill_label(&mut host);
    let mut config = image.clone();
    for (key, value) in body.as_object().expect("an object") {
        config[key] = value.clone();
    }
    let joined = networks(spec).as_object().expect("networks").clone();
    let endpoints: Map<String, Value> =
        joined.into_iter().map(|(name, endpoint)| (name, encode_endpoint(&endpoint))).collect();
    read_container(&json!({"Config": config, "HostConfig": host, "NetworkSettings": {"Networks": endpoints}}))
}

fn told(from: Value, to: Value) -> Vec<String> {
    let (from, to) = (spec(from), spec(to));
    let image = json!({});
    let live = created(&from, &image);
    differences(&to, Some(&from), &live, Some(&read_image(&image)), &BTreeSet::new())
        .iter()
        .flat_map(|difference| {
            let class = if difference.in_place() { "in place" } else { "replace" };
            difference.told().into_iter().map(move |told| {
                format!(
                    "{class}: {} {} -> {}",
                    told.field,
                    told.from.unwrap_or_default(),
                    told.to.unwrap_or_default()
                )
            })
        })
        .collect()
}

#[test]
fn a_changed_port_is_told_as_just_that_port() {
    assert_eq!(
        told(json!({"ports": ["8888:80", "81:81"]}), json!({"ports": ["8889:80", "81:81"]})),
        ["replace: ports 8888:80/tcp -> 8889:80/tcp"]
    );
}

#[test]
fn swap_follows_memory_where_the_kernel_can_limit_it() {
    let of = |resources: Value| json!({"resources": resources});
    let memory = of(json!({"memory": "64Mi"}));
    let both = of(json!({"memory": "64Mi", "memorySwap": "96Mi"}));
    assert_eq!(told(both.clone(), memory.clone()), ["in place: resources.memorySwap 96Mi -> 128Mi"]);
    // What Docker 20.10 keeps of the same on a kernel that cannot.
    for asked in [memory, both] {
        let asked = spec(asked);
        let mut inspection = json!({"HostConfig": {"Memory": 67_108_864, "MemorySwap": -1}});
        without_idle_swap(&mut inspection, false);
        let live = read_telling(&inspection);
        let found = differences(&asked, Some(&asked), &live, None, &BTreeSet::new());
        assert!(!found.iter().any(|one| one.field.name == "resources.memorySwap"), "{found:?}");
    }
}

#[test]
fn law_9_what_an_engine_takes_for_silence_is_no_difference() {
    for same in [
        json!({"healthcheck": {"test": "x", "interval": "0s", "timeout": "0s", "startPeriod": "0s", "retries": 0}}),
        json!({"mounts": ["type=tmpfs,target=/t,tmpfs-size=0"]}),
    ] {
        assert_eq!(told(same.clone(), same), Vec::<String>::new());
    }
    assert_eq!(
        told(
            json!({"healthcheck": {"test": "x", "retries": 3}}),
            json!({"healthcheck": {"test": "x", "retries": 0}})
        ),
        ["replace: healthcheck.retries 3 -> "]
    );
}

#[test]
fn a_line_removed_from_the_manifest_is_seen() {
    assert_eq!(
        told(json!({"env": {"A": "1", "B": "2"}}), json!({"env": {"A": "1"}})),
        ["replace: env.B 2 -> "]
    );
    assert_eq!(told(json!({"user": "cloud"}), json!({})), ["replace: user cloud -> "]);
    assert_eq!(told(json!({"hostname": "seat"}), json!({})), ["replace: hostname seat -> "]);
    assert_eq!(told(json!({"binds": ["/a:/b"]}), json!({})), ["replace: binds /a:/b -> "]);
}

#[test]
fn a_secret_is_never_told() {
    assert_eq!(
        told(json!({"env": {"DB_PASSWORD": "canary-1"}}), json!({"env": {"DB_PASSWORD": "canary-2"}})),
        ["replace: env.DB_PASSWORD (hidden) -> (hidden), changed"]
    );
}

#[test]
fn limits_change_in_place_unless_they_are_taken_away() {
    assert_eq!(
        told(json!({"resources": {"memory": "256Mi"}}), json!({"resources": {"memory": "512Mi"}})),
        ["in place: resources.memory 256Mi -> 512Mi", "in place: resources.memorySwap 512Mi -> 1Gi"]
    );
    assert_eq!(
        told(json!({"resources": {"memory": "256Mi"}}), json!({})),
        ["replace: resources.memory 256Mi -> ", "replace: resources.memorySwap 512Mi -> "]
    );
    assert_eq!(
        told(json!({"resources": {"pidsLimit": 5}}), json!({})),
        ["in place: resources.pidsLimit 5 -> "]
    );
    assert_eq!(told(json!({"restartPolicy": "always"}), json!({})), ["in place: restartPolicy always -> no"]);
}

#[test]
fn networks_are_joined_and_left_in_place() {
    assert_eq!(
        told(
            json!({"networks": ["exam"]}),
            json!({"networks": ["exam", {"name": "lab", "aliases": ["db"]}]})
        ),
        ["in place: networks.lab  -> joined as [db]"]
    );
    assert_eq!(
        told(json!({"networks": ["exam", "lab"]}), json!({"networks": ["exam"]})),
        ["in place: networks.lab joined -> "]
    );
}

#[test]
fn what_the_image_gives_is_no_difference() {
    let image = json!({
        "Env": ["PATH=/bin"], "Cmd": ["serve"], "User": "65532", "Labels": {"a": "b"},
        "Healthcheck": {"Test": ["CMD", "/x"], "Interval": 2_000_000_000_u64},
    });
    let wanted = spec(json!({"env": {"A": "1"}, "labels": {"c": "d"}, "healthcheck": {"retries": 3}}));
    let mut live_config = image.clone();
    live_config["Env"] = json!(["PATH=/bin", "A=1"]);
    live_config["Labels"] = json!({"a": "b", "c": "d", "io.invigil.owner": "default"});
    live_config["Healthcheck"]["Retries"] = json!(3);
    let live = read_container(&json!({
        "Config": live_config, "HostConfig": {}, "NetworkSettings": {"Networks": {"bridge": {"Aliases": null}}},
    }));
    let found = differences(&wanted, Some(&wanted), &live, Some(&read_image(&image)), &BTreeSet::new());
    assert!(found.is_empty(), "{found:?}");
    let found = differences(&wanted, Some(&wanted), &live, None, &BTreeSet::new());
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_field_written_is_read_back() {
    let all = spec(serde_json::from_str(include_str!("every_field.json")).expect("JSON"));
    let live = created(&all, &json!({}));
    for field in super::all() {
        let sent = (field.sent)(&all).unwrap_or_else(|| panic!("{} is not in this test", field.name));
        let there = if ["platform", "macAddress"].contains(&field.name) { &sent } else { &live[field.name] };
        match (there, &sent) {
            // Those of `ports` are exposed too.
            (Value::Array(there), Value::Array(sent)) if field.name == "expose" => {
                assert!(sent.iter().all(|port| there.contains(port)), "{there:?}");
            }
            (there, sent) => assert_eq!(there, sent, "{}", field.name),
        }
    }
    assert!(differences(&all, Some(&all), &live, Some(&read_image(&json!({}))), &BTreeSet::new()).is_empty());
}
