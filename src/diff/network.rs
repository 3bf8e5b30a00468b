//! Networks. One that changed is made anew, and its containers are taken off it and put on it again. None is taken apart for
//! addresses that are not free.

use super::trial::trial;
use super::{Act, Change, Changes, Member, Need, Operation, told};
use crate::desired::{Desired, Removals};
use crate::fields::{self, network_differences};
use crate::observed::{EngineId, Observed, ObservedContainer, ObservedNetwork};
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::network::NetworkSpec;

pub(super) fn diff(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    for (name, spec) in &desired.networks {
        let id = ResourceId::new(Kind::Network, name.clone());
        let ours = observed.networks.iter().find(|network| network.resource.as_ref() == Some(name));
        let Some(there) = ours else {
            let foreign = observed.networks.iter().find(|network| network.name == name.as_str());
            match foreign {
                Some(there) if desired.adopted_networks.contains(name) => use_as_it_is(id, spec, there, changes),
                Some(_) => changes.block(
                    id,
                    "a network of this name is there that Invigil did not make; remove or rename it, or use it as it is \
                     with metadata.adopt: true",
                ),
                None => changes.push(id, Act::CreateNetwork(Box::new(spec.clone())), Vec::new(), Vec::new()),
            }
            continue;
        };
        let mut reasons = network_differences(spec, there.created.as_ref(), &there.spec);
        if reasons.is_empty() {
            changes.unchanged.push(id);
            continue;
        }
        let act = match members(there, desired, observed) {
            _ if has_namesake(there, observed) => Act::blocked(
                "a network is made anew for this, and another one of this name is there, which containers would be put on: \
                 remove that one first",
            ),
            Ok(members) => {
                if !members.is_empty() {
                    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
                    reasons.insert(0, told("", None, Some(format!("reconnects {}", names.join(", ")))));
                }
                let was = there.created.clone().unwrap_or_else(|| there.spec.clone());
                // Where nobody is on it, nobody is disturbed by putting it back.
                let trial = if members.is_empty() {
                    None
                } else {
                    trial(name, &was, spec, desired, observed, changes)
                };
                Act::ReplaceNetwork {
                    old: there.id.clone(),
                    was: Box::new(was),
                    spec: Box::new(spec.clone()),
                    members,
                    trial,
                }
            }
            Err(stranger) => Act::blocked(format!(
                "a network is made anew for this, and container/{} is on it, which Invigil did not make: take it off first",
                fields::plain(stranger)
            )),
        };
        if let (Act::ReplaceNetwork { .. }, Some(why)) = (&act, left_alone(there, desired, observed)) {
            changes.waiting.insert(id.clone(), why);
        }
        changes.push(id, act, reasons, Vec::new());
    }
    let_addresses_be_free(desired, observed, changes);
}

/// What a change is going to make, and in whose place.
fn made(act: &Act) -> Option<(&NetworkSpec, Option<&EngineId>)> {
    match act {
        Act::CreateNetwork(spec) => Some((spec, None)),
        Act::ReplaceNetwork { old, spec, .. } => Some((spec, Some(old))),
        _ => None,
    }
}

/// A network is not made, nor one taken apart for it, with addresses that another one goes on having (law 6); one that another
/// change gives them up is waited for.
fn let_addresses_be_free(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    for at in 0..changes.changes.len() {
        let Some((spec, old)) = made(&changes.changes[at].act) else { continue };
        let (id, spec, old) = (changes.changes[at].id.clone(), spec.clone(), old.cloned());
        let others = observed.networks.iter().filter(|other| Some(&other.id) != old.as_ref());
        for holder in others.filter(|other| !other.is_pattern) {
            let Some((wanted, held)) = spec.overlap(&holder.spec) else { continue };
            let giver = giver(&spec, holder, changes);
            let waits_for_this = giver.as_ref().is_some_and(|giver| changes.has_to_follow(giver, &id));
            if let Some(giver) = giver.filter(|_| !waits_for_this) {
                changes.let_follow(&id, giver);
                continue;
            }
            let goes = goes(holder, desired, observed, changes);
            let is_free = on(holder, observed).is_empty();
            let first = match (goes, is_free) {
                (true, true) => ", which goes first",
                (true, false) => ", which goes once no container is on it",
                (false, _) if waits_for_this => {
                    ", which waits for this one: give one of them other addresses first"
                }
                (false, _) => "",
            };
            if goes && is_free {
                changes.soon.insert(id.clone());
            }
            let (wanted, held, name) = (&wanted.subnet, &held.subnet, fields::plain(&holder.name));
            let why = format!("{wanted} overlaps with {held} of the network {name}{first}");
            let change = &mut changes.changes[at];
            // Nobody is reconnected.
            change.reasons.retain(|reason| !reason.field.is_empty());
            change.block(why);
            changes.waiting.remove(&id);
            break;
        }
    }
}

/// The change by which a network gives up the addresses that another one is to have.
fn giver(wanted: &NetworkSpec, holder: &ObservedNetwork, changes: &Changes) -> Option<ResourceId> {
    let gives_up = |other: &&Change| match made(&other.act) {
        // Whom the engine gives addresses may be given the same ones again.
        Some((becomes, Some(old))) => {
            *old == holder.id && !becomes.subnets.is_empty() && wanted.overlap(becomes).is_none()
        }
        _ => false,
    };
    changes.changes.iter().find(gives_up).map(|change| change.id.clone())
}

/// Whether this pass removes a network, as soon as nobody is on it.
fn goes(network: &ObservedNetwork, desired: &Desired, observed: &Observed, changes: &Changes) -> bool {
    network.resource.as_ref().is_some_and(|name| {
        let id = ResourceId::new(Kind::Network, name.clone());
        !desired.networks.contains_key(name) && !desired.invalid.contains(&id)
    }) && desired.removals == Removals::Allowed
        && !changes.over_budget.contains_key(&Kind::Network)
        && observed.host.suspended.is_none()
}

/// Whether another network bears the name, as Docker 20.10 lets it.
fn has_namesake(network: &ObservedNetwork, observed: &Observed) -> bool {
    observed.networks.iter().any(|other| other.name == network.name && other.id != network.id)
}

/// Why a network has to wait: a container on it is to be left as it is (law 3), which it would not be were it taken
/// off and put on again.
fn left_alone(network: &ObservedNetwork, desired: &Desired, observed: &Observed) -> Option<String> {
    let why = |name: &Name| {
        let id = ResourceId::new(Kind::Container, name.clone());
        if desired.invalid.contains(&id) {
            Some(format!("waits for {id}, whose manifest is invalid"))
        } else if desired.suspended.contains(&id) {
            Some(format!("waits for {id}, which is suspended"))
        } else {
            None
        }
    };
    on(network, observed).into_iter().find_map(|container| why(&container.managed.as_ref()?.resource))
}

/// Somebody else's network is joined, never changed: others may be on it, and no label can be added to it.
fn use_as_it_is(id: ResourceId, spec: &NetworkSpec, there: &ObservedNetwork, changes: &mut Changes) {
    let reasons = network_differences(spec, None, &there.spec);
    if reasons.is_empty() {
        return changes.unchanged.push(id);
    }
    let why = "Invigil did not make this network, and uses it as it is: write it so, or remove or rename it";
    changes.push(id, Act::blocked(why), reasons, Vec::new());
}

/// The containers on a network, by name. One that is on another network of the same name is not on it.
fn on<'a>(network: &ObservedNetwork, observed: &'a Observed) -> Vec<&'a ObservedContainer> {
    let is_on_it = |container: &&ObservedContainer| {
        let there = container.networks.get(&network.name);
        there.is_some_and(|id| id.as_ref().is_none_or(|id| *id == network.id))
    };
    let mut on_it: Vec<&ObservedContainer> = observed.containers.iter().filter(is_on_it).collect();
    on_it.sort_by_key(|container| (&container.name, &container.id));
    on_it
}

/// The containers on a network, each with how it is to be joined again; or one that is not ours.
fn members<'a>(
    network: &ObservedNetwork,
    desired: &Desired,
    observed: &'a Observed,
) -> Result<Vec<Member>, &'a str> {
    on(network, observed)
        .into_iter()
        .map(|container| {
            let managed = container.managed.as_ref().ok_or(container.name.as_str())?;
            let endpoint_in = |networks: &serde_json::Value| {
                networks.get(&network.name).map(fields::encode_endpoint).unwrap_or_default()
            };
            let back = managed.live.get("networks").map(endpoint_in).unwrap_or_default();
            let wanted = desired.containers.get(&managed.resource);
            let endpoint = wanted
                .and_then(|wanted| fields::endpoint(&wanted.spec, &network.name))
                .unwrap_or_else(|| back.clone());
            Ok(Member {
                container: container.id.clone(),
                name: fields::plain(&container.name),
                endpoint,
                back,
            })
        })
        .collect()
}

/// What else happens to a container happens after the network that it is on was made anew.
pub(super) fn let_members_follow(observed: &Observed, changes: &mut Changes) {
    let renewed: Vec<(ResourceId, Vec<EngineId>)> = changes
        .changes
        .iter()
        .filter_map(|change| match &change.act {
            Act::ReplaceNetwork { members, .. } => {
                Some((change.id.clone(), members.iter().map(|member| member.container.clone()).collect()))
            }
            _ => None,
        })
        .collect();
    for (network, members) in renewed {
        let managed = observed.containers.iter().filter(|container| members.contains(&container.id));
        for managed in managed.filter_map(|container| container.managed.as_ref()) {
            changes.let_follow(&ResourceId::new(Kind::Container, managed.resource.clone()), network.clone());
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
        for container in on(network, observed) {
            match changes.leaves(container).or_else(|| disconnected(container, &network.name, changes)) {
                Some(need) => needs.push(need),
                None => user = user.or(Some(&container.name)),
            }
        }
        if let Some(user) = user {
            changes.withheld.push((id, format!("container/{} is on it", crate::fields::plain(user))));
            continue;
        }
        needs.sort_by(|a: &Need, b| a.id.cmp(&b.id));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::LiveStatus;

    fn id(digit: char) -> EngineId {
        digit.to_string().repeat(64).parse().unwrap()
    }

    fn network(digit: char) -> ObservedNetwork {
        ObservedNetwork {
            id: id(digit),
            name: "exam".to_owned(),
            resource: (digit == 'a').then(|| "exam".parse().unwrap()),
            created: None,
            spec: NetworkSpec::default(),
            is_pattern: false,
        }
    }

    #[test]
    fn law_8_a_network_that_another_one_shares_its_name_with_is_not_made_anew() {
        let spec = NetworkSpec { internal: Some(true), ..NetworkSpec::default() };
        let desired = Desired { networks: [("exam".parse().unwrap(), spec)].into(), ..Desired::default() };
        let act = |networks: Vec<ObservedNetwork>| {
            let mut changes = Changes::default();
            diff(&desired, &Observed { networks, ..Observed::default() }, &mut changes);
            changes.changes.remove(0).act
        };
        assert!(matches!(act(vec![network('a')]), Act::ReplaceNetwork { .. }));
        let Act::Block { why, .. } = act(vec![network('a'), network('b')]) else { panic!("it is made anew") };
        assert!(why.contains("another one of this name"), "{why}");
    }

    #[test]
    fn law_8_who_is_on_another_network_of_the_same_name_is_not_on_ours() {
        let network = network('a');
        let container = |name: &str, network: Option<EngineId>| ObservedContainer {
            id: id('c'),
            name: name.to_owned(),
            image: None,
            status: LiveStatus::Created,
            networks: [("exam".to_owned(), network)].into(),
            ports: Vec::new(),
            managed: None,
            stranger: None,
            other_owner: None,
            network_of: None,
        };
        let containers = vec![
            container("elsewhere", Some(id('b'))),
            container("here", Some(id('a'))),
            container("new", None),
        ];
        let observed = Observed { containers, ..Observed::default() };
        let names: Vec<&str> =
            on(&network, &observed).iter().map(|container| container.name.as_str()).collect();
        assert_eq!(names, ["here", "new"]);
    }
}
