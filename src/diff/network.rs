//! Networks. One that changed is made anew if nothing is on it; otherwise that is told.

use super::{Act, Changes, Need, Operation, Told, told};
use crate::desired::Desired;
use crate::observed::{Observed, ObservedContainer, ObservedNetwork};
use crate::resource::name::{Kind, ResourceId};
use crate::resource::network::NetworkSpec;

pub(super) fn diff(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    for (name, spec) in &desired.networks {
        let id = ResourceId::new(Kind::Network, name.clone());
        let ours = observed.networks.iter().find(|network| network.resource.as_ref() == Some(name));
        let Some(there) = ours else {
            if observed.networks.iter().any(|network| network.name == name.as_str()) {
                changes.block(
                    id,
                    "a network of this name is there that Invigil did not make; remove or rename it",
                );
            } else {
                changes.push(id, Act::CreateNetwork(Box::new(spec.clone())), Vec::new(), Vec::new());
            }
            continue;
        };
        let reasons = differences(spec, &there.spec);
        if reasons.is_empty() {
            changes.unchanged.push(id);
        } else if let Some(user) = user(there, observed) {
            let fields: Vec<&str> = reasons.iter().map(|reason| reason.field.as_str()).collect();
            let why = format!(
                "{} changed, and a network is made anew for that; container/{user} is on it: stop using it first",
                fields.join(", ")
            );
            changes.push(id, Act::Block(why), reasons, Vec::new());
        } else {
            let act = Act::ReplaceNetwork(there.id.clone(), Box::new(spec.clone()));
            changes.push(id, act, reasons, Vec::new());
        }
    }
}

/// Removes networks that no manifest describes any more, after the containers that were on them. One
/// that somebody else is on stays.
pub(super) fn diff_leftovers(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    for network in &observed.networks {
        let Some(name) = &network.resource else { continue };
        if desired.networks.contains_key(name) {
            continue;
        }
        let id = ResourceId::new(Kind::Network, name.clone());
        if !changes.may_remove(desired, &id) {
            continue;
        }
        let mut needs = Vec::new();
        let mut user = None;
        for container in observed.containers.iter().filter(|one| one.networks.contains(&network.name)) {
            match changes.leaves(container).or_else(|| disconnected(container, &network.name, changes)) {
                Some(need) => needs.push(need),
                None => user = user.or(Some(&container.name)),
            }
        }
        if let Some(user) = user {
            changes.withheld.push((id, format!("container/{} is on it", crate::fields::plain(user))));
            continue;
        }
        let reasons = vec![told("", None, Some("no longer in the manifests".to_owned()))];
        changes.push(id, Act::RemoveNetwork(network.id.clone()), reasons, needs);
    }
}

/// The change by which a container leaves a network.
fn disconnected(container: &ObservedContainer, network: &str, changes: &Changes) -> Option<Need> {
    let leaves = |operation: &Operation| matches!(operation, Operation::Disconnect { network: left } if left == network);
    let change = changes.changes.iter().find(|change| match &change.act {
        Act::Alter { container: old, operations, .. } => {
            old.id == container.id && operations.iter().any(leaves)
        }
        _ => false,
    })?;
    Some(Need::there(change.id.kind, &change.id.name))
}

fn user<'a>(network: &ObservedNetwork, observed: &'a Observed) -> Option<&'a str> {
    let on_it = observed.containers.iter().find(|container| container.networks.contains(&network.name));
    on_it.map(|container| container.name.as_str())
}

/// What the manifest says and the network is not.
fn differences(wanted: &NetworkSpec, live: &NetworkSpec) -> Vec<Told> {
    let mut reasons = Vec::new();
    let mut compare = |field: &str, wanted: Option<String>, live: Option<String>| {
        if wanted.is_some() && wanted != live {
            reasons.push(told(field, live, wanted));
        }
    };
    let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string());
    compare("driver", wanted.driver.clone(), live.driver.clone());
    compare("internal", flag(wanted.internal), flag(live.internal));
    compare("attachable", flag(wanted.attachable), flag(live.attachable));
    compare("ipv6", flag(wanted.ipv6), flag(live.ipv6));
    for (field, wanted, live) in
        [("options", &wanted.options, &live.options), ("labels", &wanted.labels, &live.labels)]
    {
        for (key, value) in &wanted.0 {
            compare(&format!("{field}.{key}"), Some(value.clone()), live.0.get(key).cloned());
        }
    }
    for (index, subnet) in wanted.subnets.iter().enumerate() {
        let live = live.subnets.get(index);
        let field = |field: &str| format!("subnets[{index}].{field}");
        compare(&field("subnet"), Some(subnet.subnet.clone()), live.map(|live| live.subnet.clone()));
        compare(
            &field("gateway"),
            subnet.gateway.map(|ip| ip.to_string()),
            live.and_then(|live| live.gateway).map(|ip| ip.to_string()),
        );
        compare(&field("ipRange"), subnet.ip_range.clone(), live.and_then(|live| live.ip_range.clone()));
    }
    reasons
}
