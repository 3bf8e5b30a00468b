//! Podman speaks Docker's API, in words of its own. In: its answers. Out: the same in Docker's forms, and what it
//! cannot do as a refusal. The only place that knows Podman; seen with 4.3.
//!
//! What is asked of Podman at a container's creation stays as long as the container does: it has no call that
//! changes it. So where it tells what it made of what was asked for, or tells nothing, the creation spec's word is
//! taken, unless what it tells says otherwise. What its API loses is refused.

mod inspection;
mod mounts;
mod order;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::engine::Filters;
use crate::resource::label;
use crate::resource::network::NetworkSpec;

pub(super) use inspection::container;
pub(super) use order::{
    check_health, commit, completed, import, refused_container, refused_network, takes_tags_along, thaw,
};

/// What Podman calls itself among the parts of its version.
pub(super) const NAME: &str = "Podman";

/// What the versions begin with whose answers are known.
pub(super) const VERSION: &str = "4.3.";

/// Why an address is no build context: what stands there is never asked for.
pub(super) const FETCHES_NOTHING: &str =
    "Podman fetches no build context: name a directory or an archive on this host";

/// Why a build gets no secrets: its compatible API has no session.
pub(super) const GIVES_NO_SECRETS: &str = "Podman's API gives a build no secrets: use Docker for this image";

/// Why a build says no network but the host's: its programs would be on that one all the same.
pub(super) const BUILDS_ON_HOST: &str =
    "Podman builds in the host's network: say `network: host`, or leave it out";

/// Whether Podman says something of a push before it has asked the registry.
pub(super) fn is_own_word(status: &str) -> bool {
    status.starts_with("The push refers to repository")
}

/// The network that containers are on where nothing is asked for: Podman's name, and Docker's.
const DEFAULT_NETWORK: (&str, &str) = ("podman", "bridge");

/// What Docker calls the largest size of a packet.
const MTU: &str = "com.docker.network.driver.mtu";

/// What Podman calls it.
const PODMANS_MTU: &str = "mtu";

/// What an event is called: by Podman, and by Docker.
const EVENTS: [(&str, &str); 4] =
    [("died", "die"), ("remove", "destroy"), ("exec_died", "exec_die"), ("remove", "delete")];

fn text<'a>(document: &'a Value, key: &str) -> &'a str {
    document[key].as_str().unwrap_or_default()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn keys(value: &Value) -> impl Iterator<Item = &String> {
    value.as_object().into_iter().flatten().map(|(key, _)| key)
}

/// Sets a key of what should be a map; of what is none, nothing.
fn set(document: &mut Value, key: &str, value: Value) {
    if let Some(map) = document.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
        || *value == json!("")
        || *value == json!(0)
        || *value == json!([])
        || *value == json!({})
}

/// A container of Podman's list in Docker's form.
pub(super) fn listed(document: &mut Value) {
    with_dockers_network(document);
    without_host(document.pointer_mut("/Image"));
}

/// An image of Podman's list, or an inspection of one, in Docker's form.
pub(super) fn image(document: &mut Value) {
    if !document.is_object() {
        return;
    }
    for key in ["RepoTags", "RepoDigests"] {
        for reference in document[key].as_array_mut().into_iter().flatten() {
            without_host(Some(reference));
        }
    }
    // By the digest of a mark that it had, Podman would remove the image with everybody's tags (law 8).
    if let Some(digests) = document["RepoDigests"].as_array_mut() {
        digests.retain(|digest| {
            digest
                .as_str()
                .and_then(|digest| digest.parse().ok())
                .is_none_or(|digest| !label::is_mark(&digest))
        });
    }
}

/// The end of a period as Podman takes it, and when one ends that is over: of that it tells nothing, so it is asked for
/// all that there is.
pub(super) fn end(until: &str) -> (&str, Option<f64>) {
    let over = until.parse().ok().filter(|end| *end <= Timestamp::now().as_duration().as_secs_f64());
    (if over.is_some() { "" } else { until }, over)
}

/// Whether an event was before the end of a period.
pub(super) fn is_until(event: &Value, end: Option<f64>) -> bool {
    let at = event["timeNano"].as_u64().map(|nanos| Duration::from_nanos(nanos).as_secs_f64());
    end.zip(at).is_none_or(|(end, at)| at <= end)
}

/// Which events are asked for, by Podman's names.
pub(super) fn filters(filters: &Filters) -> Filters {
    let podmans = |name: &String| {
        let known = EVENTS.iter().find(|(_, dockers)| dockers == name);
        known.map_or_else(|| name.clone(), |(podmans, _)| (*podmans).to_owned())
    };
    let mut filters = filters.clone();
    if let Some(names) = filters.get_mut("event") {
        *names = names.iter().map(podmans).collect();
    }
    filters
}

/// An event of Podman's in Docker's form.
pub(super) fn happening(document: &mut Value) {
    for key in ["status", "Action"] {
        let told = EVENTS.iter().find(|(podmans, _)| document[key] == *podmans);
        if let Some((_, dockers)) = told {
            set(document, key, json!(dockers));
        }
    }
    without_host(document.pointer_mut("/Actor/Attributes/image"));
}

/// Takes from a reference the host that Podman writes out: of images that come from no registry, and of Docker's.
fn without_host(reference: Option<&mut Value>) {
    let Some(reference) = reference else { return };
    let hosts = ["localhost/", "docker.io/library/", "docker.io/"];
    let told = reference.as_str().unwrap_or_default();
    if let Some(rest) = hosts.iter().find_map(|host| told.strip_prefix(host)) {
        *reference = json!(rest);
    }
}

fn with_dockers_network(document: &mut Value) {
    let (podmans, dockers) = DEFAULT_NETWORK;
    if let Some(networks) = document.pointer_mut("/NetworkSettings/Networks").and_then(Value::as_object_mut)
        && let Some(endpoint) = networks.remove(podmans)
    {
        networks.insert(dockers.to_owned(), endpoint);
    }
}

/// A network of Podman's in Docker's form.
pub(super) fn network(document: &mut Value) {
    let asked: Option<NetworkSpec> = label::spec_from(text(&document["Labels"], label::SPEC));
    if let Some(options) = document.pointer_mut("/IPAM/Options").and_then(Value::as_object_mut) {
        options.remove("driver");
    }
    let Some(asked) = asked else { return };
    // Every container may join every network.
    if let Some(attachable) = asked.attachable {
        set(document, "Attachable", json!(attachable));
    }
    if let Some(options) = document.pointer_mut("/Options").and_then(Value::as_object_mut)
        && asked.options.0.contains_key(MTU)
        && let Some(mtu) = options.remove(PODMANS_MTU)
    {
        options.insert(MTU.to_owned(), mtu);
    }
    for subnet in document.pointer_mut("/IPAM/Config").and_then(Value::as_array_mut).into_iter().flatten() {
        let range = asked.subnets.iter().find(|one| one.subnet == text(subnet, "Subnet"));
        if let Some(range) = range.and_then(|one| one.ip_range.as_ref()) {
            set(subnet, "IPRange", json!(range));
        }
    }
}

#[cfg(test)]
mod tests;
