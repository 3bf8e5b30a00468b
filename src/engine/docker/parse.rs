//! The engine's answers into observed values. In: its documents as JSON. Out: values, or what could
//! not be read; nothing is skipped (law 1).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::diff::is_in_replacement;
use crate::engine::EngineError;
use crate::fields::{self, Live};
use crate::observed::{
    EngineId, Health, LiveStatus, Managed, ObservedContainer, ObservedImage, ObservedNetwork, ObservedVolume,
    StartedAt,
};
use crate::resource::label;
use crate::resource::name::{Kind, Name, Owner, ResourceId};
use crate::resource::port::{Protocol, PublishedPort};
use crate::resource::reference::{ImageId, ImageReference};

fn unreadable(what: &str, cause: impl Into<String>) -> EngineError {
    EngineError::Unreadable { what: fields::plain(what), cause: cause.into() }
}

fn text<'a>(document: &'a Value, key: &str) -> &'a str {
    document[key].as_str().unwrap_or_default()
}

/// Which resource of `owner`'s of this kind the labels name.
///
/// # Errors
/// If the labels are none, or ours and name nothing that can be: such a thing must not count as nobody's.
pub(super) fn resource(
    labels: &Value,
    owner: &Owner,
    kind: Kind,
    what: &str,
) -> Result<Option<Name>, EngineError> {
    if !labels.is_object() && !labels.is_null() {
        return Err(unreadable(what, "its labels are no labels"));
    }
    if text(labels, label::OWNER) != owner.as_str() {
        return Ok(None);
    }
    let id: ResourceId = text(labels, label::RESOURCE)
        .parse()
        .map_err(|error| unreadable(what, format!("its label {}: {error}", label::RESOURCE)))?;
    Ok((id.kind == kind).then_some(id.name))
}

/// A container's name in a list or inspection: without the slash, and without links' names.
pub(super) fn container_name(document: &Value) -> &str {
    let names = document["Names"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let own = names.map(|name| name.trim_start_matches('/')).find(|name| !name.contains('/'));
    own.unwrap_or_else(|| text(document, "Name").trim_start_matches('/'))
}

fn status(word: &str, health: &str, exit_code: i64, what: &str) -> Result<LiveStatus, EngineError> {
    Ok(match word {
        "created" | "configured" | "initialized" => LiveStatus::Created,
        "running" | "stopping" => LiveStatus::Running(match health {
            "starting" => Health::Starting,
            "healthy" => Health::Healthy,
            "unhealthy" => Health::Unhealthy,
            _ => Health::Unchecked,
        }),
        "paused" => LiveStatus::Paused,
        "restarting" => LiveStatus::Restarting,
        "exited" | "stopped" => LiveStatus::Exited(exit_code),
        "removing" => LiveStatus::Removing,
        "dead" => LiveStatus::Dead,
        other => {
            return Err(unreadable(what, format!("`{}` is no state of a container", fields::plain(other))));
        }
    })
}

/// What an engine says of a container that it was starting when it was killed, for ever after: the program is there,
/// and is nobody's, or nothing is there but its directory (containerd's `NewBundle` makes it, and never takes one over).
fn is_lost(error: &str) -> bool {
    let task = error.split("task ").skip(1).any(|rest| {
        let id = rest.trim_start_matches(|character: char| character.is_ascii_hexdigit());
        id.len() < rest.len() && id.trim_start_matches(':').trim_start().starts_with("already exists")
    });
    let directory = error.split("mkdir ").skip(1).any(|rest| {
        let path = rest.split_once(": file exists").map(|(path, _)| path);
        path.is_some_and(|path| path.contains("/io.containerd.runtime."))
    });
    task || directory
        || error.contains("container with given ID already exists")
        || error.contains("id already in use")
}

/// A container from the engine's list: as much as is needed of one that is not ours.
pub(super) fn listed_container(document: &Value) -> Result<ObservedContainer, EngineError> {
    let name = container_name(document);
    let what = format!("container {name}");
    let status = status(text(document, "State"), "", 0, &what)?;
    Ok(ObservedContainer {
        id: text(document, "Id").parse().map_err(|error: String| unreadable(&what, error))?,
        name: name.to_owned(),
        image: image_of(text(document, "ImageID"), &what)?,
        status,
        networks: endpoints(&document["NetworkSettings"]["Networks"]),
        ports: held(status, listed_ports(&document["Ports"])),
        managed: None,
        stranger: None,
        other_owner: document["Labels"][label::OWNER].as_str().map(fields::plain),
        network_of: shared_network(&document["HostConfig"]),
    })
}

/// Whose network it is, by a container's host configuration.
fn shared_network(host_config: &Value) -> Option<EngineId> {
    text(host_config, "NetworkMode").strip_prefix("container:")?.parse().ok()
}

/// The ports in the engine's list: `[{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]`.
fn listed_ports(ports: &Value) -> Vec<PublishedPort> {
    let ports = ports.as_array().into_iter().flatten();
    ports
        .filter_map(|port| {
            published(
                text(port, "IP"),
                &port["PublicPort"].to_string(),
                &format!("{}/{}", port["PrivatePort"], text(port, "Type")),
            )
        })
        .collect()
}

/// What a container holds of its ports. Podman tells them of one that is down, too.
fn held(status: LiveStatus, ports: Vec<PublishedPort>) -> Vec<PublishedPort> {
    if status.is_up() { ports } else { Vec::new() }
}

/// The ports in an inspection: `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}`.
fn inspected_ports(ports: &Value) -> Vec<PublishedPort> {
    let ports = ports.as_object().into_iter().flatten();
    ports
        .flat_map(|(container, bindings)| {
            let bindings = bindings.as_array().into_iter().flatten();
            bindings.filter_map(move |binding| {
                published(text(binding, "HostIp"), text(binding, "HostPort"), container)
            })
        })
        .collect()
}

fn published(ip: &str, host: &str, container: &str) -> Option<PublishedPort> {
    let (port, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    Some(PublishedPort {
        host_ip: ip.parse().ok(),
        host: Some(host.parse().ok()?),
        container: port.parse().ok()?,
        protocol: match protocol {
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => Protocol::Tcp,
        },
    })
}

/// The image that a container was made from; none only where the engine names none.
fn image_of(id: &str, what: &str) -> Result<Option<ImageId>, EngineError> {
    if id.is_empty() {
        return Ok(None);
    }
    id.parse().map(Some).map_err(|error: String| unreadable(what, error))
}

/// The networks that a container is on. The engine tells no id before it was started first.
fn endpoints(networks: &Value) -> BTreeMap<String, Option<EngineId>> {
    let networks = networks.as_object().into_iter().flatten();
    networks.map(|(name, endpoint)| (name.clone(), text(endpoint, "NetworkID").parse().ok())).collect()
}

/// In which fields an inspection tells that a container is in another's namespace, by that one's id.
const SHARED: [&str; 3] = ["NetworkMode", "IpcMode", "PidMode"];

/// Whether a container is in another's namespace.
pub(super) fn shares(document: &Value) -> bool {
    let is_shared = |mode: &str| text(&document["HostConfig"], mode).starts_with("container:");
    SHARED.into_iter().any(is_shared)
}

/// As what manifests know a container whose namespaces another one shares: one of ours by its resource, whatever somebody
/// has renamed it to; of a replacement's two, each by its own name.
///
/// # Errors
/// If its labels cannot be read.
pub(super) fn known_as(document: &Value, owner: &Owner) -> Result<String, EngineError> {
    let name = container_name(document);
    let resource = resource(&document["Labels"], owner, Kind::Container, &format!("container {name}"))?;
    let resource = resource.filter(|resource| !is_in_replacement(resource, name));
    Ok(resource.map_or_else(|| name.to_owned(), |resource| resource.to_string()))
}

/// A container of ours from its inspection. `names` are all containers' names by id, as manifests know them, for the
/// namespaces that it shares.
pub(super) fn inspected_container(
    mut document: Value,
    resource: Name,
    names: &BTreeMap<String, String>,
) -> Result<ObservedContainer, EngineError> {
    let name = container_name(&document).to_owned();
    let what = format!("container {name}");
    for mode in SHARED {
        let shared = document["HostConfig"][mode].as_str().and_then(|mode| mode.strip_prefix("container:"));
        if let Some(other) = shared.and_then(|id| names.get(id)) {
            document["HostConfig"][mode] = format!("container:{other}").into();
        }
    }
    let mounts = document["Mounts"].as_array().into_iter().flatten();
    let anonymous = mounts
        .filter(|mount| mount["Type"] == "volume" && fields::is_anonymous_volume(text(mount, "Name")))
        .map(|mount| (text(mount, "Name").to_owned(), text(mount, "Destination").to_owned()))
        .collect();
    let spec = text(&document["Config"]["Labels"], label::SPEC);
    let created = label::spec_from(spec);
    let state = &document["State"];
    let status = match status(
        text(state, "Status"),
        text(&state["Health"], "Status"),
        state["ExitCode"].as_i64().unwrap_or_default(),
        &what,
    )? {
        LiveStatus::Created if is_lost(text(state, "Error")) => LiveStatus::Stuck,
        status => status,
    };
    let lost = matches!(status, LiveStatus::Exited(_)) && is_lost(text(state, "Error"));
    Ok(ObservedContainer {
        id: text(&document, "Id").parse::<EngineId>().map_err(|error| unreadable(&what, error))?,
        name,
        image: image_of(text(&document, "Image"), &what)?,
        status,
        networks: endpoints(&document["NetworkSettings"]["Networks"]),
        ports: held(status, inspected_ports(&document["NetworkSettings"]["Ports"])),
        managed: Some(Box::new(Managed {
            resource,
            unreadable: created.is_none() && !spec.is_empty(),
            created,
            files: label::files_from(spec),
            live: fields::read_telling(&document),
            started: started(text(state, "StartedAt")),
            lost,
            anonymous_volumes: anonymous,
            removes_itself: document["HostConfig"]["AutoRemove"] == true,
        })),
        stranger: None,
        other_owner: None,
        network_of: None,
    })
}

/// When a program was started; one that never was has the year 1.
fn started(text: &str) -> Option<StartedAt> {
    u64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()
}

/// An image from the engine's list.
pub(super) fn image(document: &Value, config: Option<Live>) -> Result<ObservedImage, EngineError> {
    let id = text(document, "Id");
    let tags = document["RepoTags"].as_array().into_iter().flatten();
    let digests = document["RepoDigests"].as_array().into_iter().flatten();
    Ok(ObservedImage {
        id: id.parse().map_err(|error: String| unreadable(&format!("image {id}"), error))?,
        // `<none>:<none>` is what engines call no tag.
        references: tags
            .chain(digests)
            .filter_map(Value::as_str)
            .filter_map(|reference| reference.parse::<ImageReference>().ok())
            .collect(),
        source: document["Labels"][label::SOURCE].as_str().map(str::to_owned),
        size: document["Size"].as_u64(),
        config,
    })
}

/// A network from the engine's list.
pub(super) fn network(document: &Value, owner: &Owner) -> Result<ObservedNetwork, EngineError> {
    let name = text(document, "Name");
    let what = format!("network {name}");
    let resource = resource(&document["Labels"], owner, Kind::Network, &what)?;
    let created = resource.as_ref().and_then(|_| label::spec_from(text(&document["Labels"], label::SPEC)));
    Ok(ObservedNetwork {
        id: text(document, "Id").parse().map_err(|error: String| unreadable(&what, error))?,
        name: name.to_owned(),
        resource,
        created,
        spec: fields::read_network(document),
        is_pattern: document["ConfigOnly"] == true,
    })
}

/// A volume from the engine's list.
pub(super) fn volume(document: &Value, owner: &Owner) -> Result<ObservedVolume, EngineError> {
    let name = text(document, "Name");
    let ours = resource(&document["Labels"], owner, Kind::Volume, &format!("volume {name}"))?;
    Ok(ObservedVolume {
        name: name.to_owned(),
        created: ours.and_then(|_| label::spec_from(text(&document["Labels"], label::SPEC))),
        spec: fields::read_volume(document),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(ports: &[PublishedPort]) -> Vec<String> {
        ports.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn law_1_labels_that_cannot_be_read_are_not_nobodys() {
        let owner: Owner = "default".parse().expect("an owner");
        let told = |labels: Value| resource(&labels, &owner, Kind::Container, "container web");
        assert_eq!(told(json!(null)).expect("nobody's"), None);
        assert_eq!(told(json!({"a": "b"})).expect("nobody's"), None);
        for labels in [json!("a=b"), json!([]), json!({label::OWNER: "default"})] {
            let error = told(labels).expect_err("unreadable").to_string();
            assert!(error.contains("container web"), "{error}");
        }
    }

    #[test]
    fn only_what_the_engine_lost_track_of_is_stuck() {
        for (error, stuck) in [
            ("task 0123: already exists", true),
            ("failed to create task for container: task 0123 already exists: unknown", true),
            ("container with given ID already exists", true),
            ("failed to create task for container: Unit docker-0123.scope already exists", false),
            ("id already in use", true),
            (
                "failed to start shim: mkdir /run/io.containerd.runtime.v2.task/moby/0123: file exists: unknown",
                true,
            ),
            ("error while creating mount source path '/srv': mkdir /srv: file exists", false),
            ("listen tcp 0.0.0.0:80: bind: address already in use", false),
            ("exec: \"nope\": executable file not found in $PATH", false),
            ("", false),
        ] {
            assert_eq!(is_lost(error), stuck, "{error}");
        }
    }

    #[test]
    fn one_that_ran_is_told_as_stopped_and_as_what_the_engine_may_have_lost_track_of() {
        let told = |status: &str, error: &str| {
            let document = json!({
                "Id": "a".repeat(64), "Name": "/web", "Image": format!("sha256:{}", "b".repeat(64)),
                "State": {"Status": status, "ExitCode": 137, "Error": error},
            });
            let container = inspected_container(document, "web".parse().expect("a name"), &BTreeMap::new());
            let container = container.expect("a container");
            (container.status, container.managed.expect("ours").lost)
        };
        let lost = "task 0123: already exists";
        assert_eq!(told("exited", lost), (LiveStatus::Exited(137), true));
        assert_eq!(told("exited", "exec: \"nope\": not found"), (LiveStatus::Exited(137), false));
        assert_eq!(told("created", lost), (LiveStatus::Stuck, false));
        assert_eq!(told("running", lost), (LiveStatus::Running(Health::Unchecked), false));
    }

    #[test]
    fn the_ports_of_a_list_and_of_an_inspection_are_the_same() {
        // As Docker 20.10 answers for `-p 127.0.0.1:39181:80 -p 39182:81/udp`.
        let listed = json!([
            {"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 39181, "Type": "tcp"},
            {"IP": "0.0.0.0", "PrivatePort": 81, "PublicPort": 39182, "Type": "udp"},
            {"IP": "::", "PrivatePort": 81, "PublicPort": 39182, "Type": "udp"},
            {"PrivatePort": 9000, "Type": "tcp"},
        ]);
        let inspected = json!({
            "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "39181"}],
            "81/udp": [{"HostIp": "0.0.0.0", "HostPort": "39182"}, {"HostIp": "::", "HostPort": "39182"}],
            "9000/tcp": null,
        });
        let expected = ["127.0.0.1:39181:80/tcp", "39182:81/udp", "39182:81/udp"];
        assert_eq!(shown(&listed_ports(&listed)), expected);
        assert_eq!(shown(&inspected_ports(&inspected)), expected);
        assert_eq!(shown(&inspected_ports(&json!(null))), Vec::<String>::new());
        for (status, some) in [(LiveStatus::Paused, true), (LiveStatus::Exited(0), false)] {
            assert_eq!(!held(status, listed_ports(&listed)).is_empty(), some);
        }
    }
}
