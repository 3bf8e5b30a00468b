use serde_json::json;

use super::super::tests::{created, spec};
use super::super::{create_body, read_container, read_image};
use super::*;

const NOWHERE: Around<'_> = Around { inspection: &Value::Null, info: &Value::Null };

fn every_field() -> Value {
    serde_json::from_str(include_str!("../every_field.json")).expect("JSON")
}

/// The spec that is written for a container made from `all` on an image with `image` as config.
fn again(all: &ContainerSpec, image: &Value) -> Written {
    written(&created(all, image), Some(&read_image(image)), None, &NOWHERE)
}

#[test]
fn every_field_alone_is_written_back() {
    let all = spec(every_field());
    for field in all.fields_alone() {
        let (name, alone) = field;
        let written = again(&alone, &json!({}));
        assert_eq!(written.lost, [], "{name}");
        if ["platform", "macAddress"].contains(&name) {
            // This test's inspection does not tell them.
            continue;
        }
        assert_eq!(create_body(&spec(written.spec())), create_body(&alone), "{name}: {}", written.spec());
        // The form that Docker's notations have is the one that is written.
        assert!(written.fields.len() <= 2, "{name}: {}", written.spec());
    }
}

#[test]
fn all_fields_together_are_written_back_and_nothing_else() {
    let mut value = every_field();
    // One container has either.
    value["resources"].as_object_mut().expect("an object").remove("cpus");
    value.as_object_mut().expect("an object").remove("utsMode");
    let all = spec(value);
    let asked = written(&created(&all, &json!({})), None, Some(&all), &NOWHERE);
    assert_eq!(asked.lost, []);
    assert_eq!(create_body(&spec(asked.spec())), create_body(&all));
    let names: Vec<&str> = asked.fields.iter().map(|(name, _)| *name).collect();
    let expected: Vec<&str> =
        all_names().filter(|name| !["networkMode", "resources.cpus", "utsMode"].contains(name)).collect();
    assert_eq!(names, expected);
}

fn all_names() -> impl Iterator<Item = &'static str> {
    all().map(|field| field.name)
}

trait Alone {
    fn fields_alone(&self) -> Vec<(&'static str, ContainerSpec)>;
}

impl Alone for ContainerSpec {
    fn fields_alone(&self) -> Vec<(&'static str, ContainerSpec)> {
        let value = serde_json::to_value(self).expect("JSON");
        all()
            .filter(|field| field.name != "networkMode")
            .map(|field| {
                let path = format!("/{}", field.name.replace('.', "/"));
                let mut alone = json!({});
                put(&mut alone, field.name, value.pointer(&path).cloned().expect(field.name));
                if field.name == "resources.memorySwap" || field.name == "resources.memoryReservation" {
                    alone["resources"]["memory"] = json!("64Mi");
                }
                if field.name == "resources.memorySwap" {
                    alone["resources"]["memorySwap"] = json!("65Mi");
                }
                (field.name, spec(alone))
            })
            .collect()
    }
}

#[test]
fn what_the_image_and_the_engine_give_is_left_out() {
    let image = json!({
        "Env": ["PATH=/bin", "A=1"], "Cmd": ["serve"], "Entrypoint": ["/init"], "User": "65532",
        "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}, "Labels": {"a": "b"}, "StopSignal": "SIGQUIT",
        "Healthcheck": {"Test": ["CMD", "/x"], "Interval": 2_000_000_000_u64},
    });
    let mut config = image.clone();
    config["Hostname"] = json!("0123456789ab");
    config["Env"] = json!(["PATH=/bin", "A=2", "B=3"]);
    config["ExposedPorts"] = json!({"80/tcp": {}, "81/tcp": {}, "82/udp": {}});
    config["Volumes"] = json!({"/data": {}, "/more": {}, "/bound": {}, "/run": {}});
    let inspection = json!({
        "Id": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "Config": config,
        "HostConfig": {
            "NetworkMode": "default", "ShmSize": 67_108_864, "Runtime": "runc", "IpcMode": "private",
            "CgroupnsMode": "host", "Memory": 67_108_864, "MemorySwap": 134_217_728, "PidsLimit": null,
            "LogConfig": {"Type": "json-file", "Config": {}}, "RestartPolicy": {"Name": "no"},
            "PortBindings": {"81/tcp": [{"HostIp": "", "HostPort": "8081"}]},
            "Binds": ["/srv:/bound"], "Mounts": [{"Type": "volume", "Target": "/nameless"}],
            "Tmpfs": {"/run": ""},
        },
        "NetworkSettings": {"Networks": {
            "bridge": {"IPAddress": "172.17.0.2", "MacAddress": "02:42:ac:11:00:02", "Aliases": null},
        }},
    });
    let info =
        json!({"CgroupVersion": "1", "DefaultRuntime": "runc", "LoggingDriver": "json-file", "Name": "vm"});
    let live = read_container(&inspection);
    let found =
        written(&live, Some(&read_image(&image)), None, &Around { inspection: &inspection, info: &info });
    assert_eq!(found.lost, []);
    assert_eq!(
        found.spec(),
        json!({
            "env": {"A": "2", "B": "3"}, "ports": ["8081:81"], "expose": ["82/udp"], "volumes": ["/more"],
            "binds": ["/srv:/bound"], "tmpfs": ["/run"], "resources": {"memory": "64Mi"},
        })
    );
}

#[test]
fn an_entrypoint_of_its_own_takes_the_images_command_away() {
    let image = json!({"Entrypoint": ["/init"], "Cmd": ["serve"]});
    for (config, expected) in [
        (json!({"Entrypoint": ["/other"], "Cmd": null}), json!({"entrypoint": ["/other"]})),
        (
            json!({"Entrypoint": ["/other"], "Cmd": ["serve"]}),
            json!({"entrypoint": ["/other"], "command": ["serve"]}),
        ),
        (json!({"Entrypoint": ["/init"], "Cmd": ["other"]}), json!({"command": ["other"]})),
        (json!({"Entrypoint": null, "Cmd": ["sh"]}), json!({"entrypoint": [], "command": ["sh"]})),
        (json!({"Entrypoint": ["/init"], "Cmd": ["serve"]}), json!({})),
    ] {
        let live = read_container(&json!({
            "Config": config, "HostConfig": {}, "NetworkSettings": {"Networks": {"bridge": {}}},
        }));
        assert_eq!(written(&live, Some(&read_image(&image)), None, &NOWHERE).spec(), expected);
    }
}

#[test]
fn networks_are_written_as_a_person_would() {
    let live = |mode: &str, networks: Value| {
        read_container(&json!({
            "Config": {}, "HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": networks},
        }))
    };
    for (mode, networks, expected) in [
        ("default", json!({"bridge": {}}), json!({})),
        ("host", json!({"host": {}}), json!({"networkMode": "host"})),
        ("container:db", json!({}), json!({"networkMode": "container:db"})),
        ("lab", json!({"lab": {}}), json!({"networks": ["lab"]})),
        ("lab", json!({"lab": {}, "exam": {}}), json!({"networks": ["lab", "exam"]})),
        ("bridge", json!({"bridge": {}, "exam": {}}), json!({"networks": ["bridge", "exam"]})),
        (
            "lab",
            json!({"lab": {"Aliases": ["db"], "IPAMConfig": {"IPv4Address": "10.0.0.5"}}}),
            json!({"networks": [{"name": "lab", "aliases": ["db"], "ipv4Address": "10.0.0.5"}]}),
        ),
    ] {
        let found = written(&live(mode, networks), None, None, &NOWHERE);
        assert_eq!(found.spec(), expected);
        assert_eq!(found.lost, []);
    }
    let left = written(&live("bridge", json!({})), None, None, &NOWHERE);
    assert_eq!(
        left.lost.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["networks (no manifest can say this)"]
    );
}

#[test]
fn what_no_manifest_can_say_is_told_and_the_rest_is_written() {
    let live = read_container(&json!({
        "Config": {"Env": ["A B=1", "C=2"], "Labels": {"": "x", "y": "z"}},
        "HostConfig": {
            "NetworkMode": "default", "Binds": ["/a:/b", "/a:/c:odd"], "SecurityOpt": ["systempaths=unconfined"],
            "Memory": 1024, "ExtraHosts": ["h_:nowhere", "ok:10.0.0.1"],
        },
        "NetworkSettings": {"Networks": {"bridge": {}}},
    }));
    let found = written(&live, None, None, &NOWHERE);
    assert_eq!(
        found.spec(),
        json!({"env": {"C": "2"}, "labels": {"y": "z"}, "binds": ["/a:/b"], "extraHosts": ["ok:10.0.0.1"]})
    );
    let told: Vec<String> = found.lost.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "env.A B = 1 (`A B` is not a variable's name)",
            "labels. = x (a label needs a name)",
            "extraHosts = h_:nowhere (`nowhere` is neither an address nor host-gateway)",
            "binds = /a:/c:odd (`odd` is not an option of a bind (like ro))",
            "resources.memory = 1Ki (1Ki is less than the engine's least, 6Mi)",
            "securityOpt = systempaths=unconfined (`systempaths=unconfined` is not a security option (apparmor=..., label=..., seccomp=...))",
        ]
    );
}
