//! What Podman is asked for. In: bodies as Docker takes them. Out: the same as Podman has to be asked, or why it cannot
//! do it.

use bollard::errors::Error;
use bollard::query_parameters::InspectContainerOptions;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::super::Session;
use super::super::error::{failed, is_absent};
use super::super::look::with_query;
use super::super::observe::{read, there};
use super::super::perform::segment;
use super::mounts::options_of;
use super::{MTU, PODMANS_MTU, image, is_nothing, keys, set, text, texts};
use crate::engine::EngineError;
use crate::fields;
use crate::resource::image::Commit;
use crate::resource::label;
use crate::resource::reference::ImageReference;

/// How long a program has to end where nothing else is asked for, as with Docker; Podman's API would kill it at once.
pub(super) const STOP_TIMEOUT: u64 = 10;

/// What Podman's API takes and loses: where it stands in a create body, and the manifest's name for it.
const LOST: [(&str, &str); 7] = [
    ("/Domainname", "domainname"),
    ("/MacAddress", "macAddress"),
    ("/HostConfig/VolumeDriver", "volumeDriver"),
    ("/HostConfig/Runtime", "runtime"),
    ("/HostConfig/CgroupnsMode", "cgroupnsMode"),
    ("/HostConfig/DeviceCgroupRules", "resources.deviceCgroupRules"),
    ("/HostConfig/DeviceRequests", "resources.deviceRequests"),
];

/// The options of a network that Podman knows; it loses others.
const NETWORK_OPTIONS: [&str; 6] = [PODMANS_MTU, MTU, "vlan", "isolate", "mode", "parent"];

/// Why Podman cannot make a container from a create body, if it cannot.
pub(in crate::engine::docker) fn refused_container(body: &Value) -> Option<String> {
    let lost = LOST.iter().filter(|(place, _)| body.pointer(place).is_some_and(|asked| !is_nothing(asked)));
    let mut lost: Vec<&str> = lost.map(|(_, field)| *field).collect();
    if !is_nothing(&body["HostConfig"]["Links"]) {
        lost.push("links");
    }
    (!lost.is_empty()).then(|| format!("Podman has no {}", lost.join(", no ")))
}

/// A create body that asks Podman for what Docker does where nothing is said.
pub(in crate::engine::docker) fn completed(body: &Value) -> Value {
    let mut body = body.clone();
    // In a mount without a mode Podman lets nobody do anything; what `Tmpfs` asks for is the same otherwise.
    let host = &mut body["HostConfig"];
    let mounts = host["Mounts"].as_array().cloned().unwrap_or_default();
    let (tmpfs, mounts): (Vec<Value>, Vec<Value>) =
        mounts.into_iter().partition(|mount| mount["Type"] == "tmpfs");
    if !tmpfs.is_empty() {
        let mut told = host["Tmpfs"].as_object().cloned().unwrap_or_default();
        for mount in &tmpfs {
            let options: Vec<String> = options_of(mount).into_iter().collect();
            told.insert(text(mount, "Target").to_owned(), json!(options.join(",")));
        }
        set(host, "Tmpfs", Value::Object(told));
        set(host, "Mounts", json!(mounts));
    }
    if body["StopTimeout"].is_null() {
        set(&mut body, "StopTimeout", json!(STOP_TIMEOUT));
    }
    body
}

/// Why Podman cannot make a network from a create body, if it cannot.
pub(in crate::engine::docker) fn refused_network(body: &Value) -> Option<String> {
    let options = keys(&body["Options"]).filter(|option| !NETWORK_OPTIONS.contains(&option.as_str()));
    let mut lost: Vec<String> = options.map(|option| format!("options.{}", fields::plain(option))).collect();
    let subnets = body["IPAM"]["Config"].as_array().into_iter().flatten();
    if subnets.into_iter().any(|subnet| !is_nothing(&subnet["AuxiliaryAddresses"])) {
        lost.push("auxAddresses".to_owned());
    }
    lost.extend(
        keys(&body["IPAM"]["Options"]).map(|option| format!("ipam.options.{}", fields::plain(option))),
    );
    (!lost.is_empty()).then(|| format!("Podman has no {}", lost.join(", no ")))
}

/// Where an archive is imported. Podman takes a tag from the repository alone, and each change by itself: after a
/// first one that is a label, others in the same text would be that label's.
pub(in crate::engine::docker) fn import(source: &str, tag: &ImageReference, changes: &[String]) -> String {
    let repository = format!("{}:{}", tag.repository(), tag.tag().unwrap_or("latest"));
    let query = [("fromSrc", source), ("repo", &repository)].into_iter();
    let changes = changes.iter().map(|change| ("changes", change.as_str()));
    with_query("/images/create", &query.chain(changes).collect::<Vec<_>>())
}

/// Where a snapshot is taken of a container, with each change by itself.
pub(in crate::engine::docker) fn commit(
    container: &str,
    commit: &Commit,
    tag: &ImageReference,
    changes: &[String],
) -> String {
    let repository = tag.repository();
    let query = [
        ("container", container),
        ("repo", &repository),
        ("tag", tag.tag().unwrap_or("latest")),
        ("pause", if commit.pause.unwrap_or(true) { "true" } else { "false" }),
        ("author", commit.author.as_deref().unwrap_or_default()),
        ("comment", commit.message.as_deref().unwrap_or_default()),
    ];
    let changes = changes.iter().map(|change| ("changes", change.as_str()));
    with_query("/commit", &query.into_iter().chain(changes).collect::<Vec<_>>())
}

/// Unfreezes a container that is to be stopped: Podman stops none that is frozen.
pub(in crate::engine::docker) async fn thaw(engine: &Session, container: &str) -> Result<(), EngineError> {
    let container = segment(container)?;
    let ask = || async {
        match engine.docker.inspect_container(container, None::<InspectContainerOptions>).await {
            Ok(answer) => Ok(answer.state.and_then(|state| state.paused)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    };
    if read(engine, "look at it", ask).await? == Some(true) {
        let unpaused = engine.docker.unpause_container(container).await;
        unpaused.map_err(|error| failed(&engine.endpoint, "unpause", error))?;
    }
    Ok(())
}

/// Whether a digest that is taken away takes tags along: by its digest Podman removes an image with all of them,
/// whoever set them (law 8). One mark of Invigil's may go, and does so with the digest that it was set for.
pub(in crate::engine::docker) async fn takes_tags_along(
    engine: &Session,
    what: &str,
    reference: &ImageReference,
) -> Result<bool, EngineError> {
    if reference.tag().is_some() {
        return Ok(false);
    }
    let path = format!("/images/{}/json", segment(&reference.to_string())?);
    let mut found = there(engine, what, &path).await?.unwrap_or_default();
    image(&mut found);
    let tags: Vec<&str> = texts(&found["RepoTags"]).collect();
    Ok(!match tags[..] {
        [] => true,
        [only] => only.parse().is_ok_and(|tag| label::is_mark(&tag)),
        _ => false,
    })
}

/// Has a container's health checked, as systemd has on a host that it runs.
pub(in crate::engine::docker) async fn check_health(
    engine: &Session,
    container: &str,
) -> Result<(), EngineError> {
    let path = format!("/libpod/containers/{}/healthcheck", segment(container)?);
    let mut answer = std::pin::pin!(engine.at(&path)?.export_container("any").boxed());
    while let Some(part) = answer.next().await {
        match part {
            Ok(_) => {}
            // It ended meanwhile, which a look at it tells.
            Err(Error::DockerResponseServerError { .. }) => break,
            Err(error) => return Err(failed(&engine.endpoint, "check its health", error)),
        }
    }
    Ok(())
}
