//! Networks that are tried before another one is taken apart (law 6). In: what a network is, and what it is to be. Out: one
//! beside it that an engine refuses if it refuses what is new of that one.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use super::{Act, Changes, NEXT_SUFFIX, Trial};
use crate::desired::Desired;
use crate::observed::Observed;
use crate::resource::digest::sha256_hex;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::network::{NetworkSpec, Subnet};

/// Addresses that are for measuring in laboratories alone (RFC 2544, appendix C.2.2).
const NOBODYS: &str = "198.18.0.0/15";
/// The length of the prefix of a part of them: few addresses, and more than a driver keeps for itself. How many parts there are.
const PREFIX: u8 = 29;
const PARTS: usize = 1 << 14;

/// How many names there are for a trial: what is left of one that was cut off is removed as what no manifest describes, and
/// the next one has another name meanwhile.
const NAMES: usize = 9;

/// What is to be tried before a network becomes another; nothing where only what cannot be had twice is new.
pub(super) fn trial(
    name: &Name,
    was: &NetworkSpec,
    spec: &NetworkSpec,
    desired: &Desired,
    observed: &Observed,
    changes: &Changes,
) -> Option<Box<Trial>> {
    let driver = |spec: &NetworkSpec| spec.driver.clone().unwrap_or_else(|| "bridge".to_owned());
    if driver(was) == driver(spec) && was.options == spec.options && was.ipam == spec.ipam {
        return None;
    }
    let name = free_name(name, desired, observed)?;
    let mut tried = NetworkSpec {
        driver: spec.driver.clone(),
        internal: spec.internal,
        options: spec.options.clone(),
        ipam: spec.ipam.clone(),
        ..NetworkSpec::default()
    };
    // What the one has already, as an interface of the host, no other one can have beside it.
    tried.options.0.retain(|option, value| was.options.0.get(option) != Some(value));
    // Whoever else gives out addresses knows which.
    if tried.ipam.driver.as_deref().is_none_or(|driver| driver == "default") {
        tried.subnets.extend(free(&name, observed, changes));
    }
    Some(Box::new(Trial { name, spec: tried }))
}

/// A name that no network has and no manifest gives.
fn free_name(name: &Name, desired: &Desired, observed: &Observed) -> Option<Name> {
    let names = (1..=NAMES).filter_map(|number| {
        let number = if number == 1 { String::new() } else { number.to_string() };
        format!("{name}{NEXT_SUFFIX}{number}").parse::<Name>().ok()
    });
    let is_described = |name: &Name| {
        desired.networks.contains_key(name)
            || desired.invalid.contains(&ResourceId::new(Kind::Network, name.clone()))
    };
    let is_there = |name: &Name| observed.networks.iter().any(|network| network.name == name.as_str());
    names.into_iter().find(|name| !is_described(name) && !is_there(name))
}

fn trials(changes: &Changes) -> impl Iterator<Item = &Trial> {
    changes.changes.iter().filter_map(|change| match &change.act {
        Act::ReplaceNetwork { trial, .. } => trial.as_deref(),
        _ => None,
    })
}

/// Addresses that nobody has, another trial neither. Other Invigils on the engine may be trying at this moment: which part is
/// looked at first hangs on the name.
fn free(name: &Name, observed: &Observed, changes: &Changes) -> Option<Subnet> {
    let parts =
        || NOBODYS.parse::<Ipv4Net>().ok().and_then(|all| all.subnets(PREFIX).ok()).into_iter().flatten();
    let digits = sha256_hex(name.as_str().as_bytes());
    let first =
        digits.get(..8).and_then(|digits| usize::from_str_radix(digits, 16).ok()).unwrap_or_default() % PARTS;
    let parts = parts().skip(first).chain(parts().take(first));
    let mut subnets = parts.map(|part| Subnet {
        subnet: part.to_string(),
        gateway: None,
        ip_range: None,
        aux_addresses: BTreeMap::new(),
    });
    subnets.find(|subnet| {
        let alone = NetworkSpec { subnets: vec![subnet.clone()], ..NetworkSpec::default() };
        let is_free = |other: &NetworkSpec| alone.overlap(other).is_none();
        observed.networks.iter().all(|network| is_free(&network.spec))
            && trials(changes).all(|trial| is_free(&trial.spec))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::ObservedNetwork;

    fn spec(yaml: &str) -> NetworkSpec {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn network(digit: char, name: &str, spec: NetworkSpec) -> ObservedNetwork {
        ObservedNetwork {
            id: digit.to_string().repeat(64).parse().unwrap(),
            name: name.to_owned(),
            resource: Some(name.parse().unwrap()),
            created: None,
            spec,
            is_pattern: false,
        }
    }

    /// What is tried, with what is there beside it.
    fn tried(was: &str, becomes: &str, networks: Vec<ObservedNetwork>) -> Option<Box<Trial>> {
        let desired = Desired {
            networks: [("exam.invigil-next3".parse().unwrap(), NetworkSpec::default())].into(),
            ..Desired::default()
        };
        let observed = Observed { networks, ..Observed::default() };
        trial(&"exam".parse().unwrap(), &spec(was), &spec(becomes), &desired, &observed, &Changes::default())
    }

    #[test]
    fn law_6_what_is_new_of_a_network_is_tried_without_what_the_one_before_has() {
        let was = "{options: {parent: eth0, mode: a}}";
        assert_eq!(
            tried(was, "{driver: bridge, options: {parent: eth0, mode: a}, internal: true}", Vec::new()),
            None
        );
        let trial = tried(
            was,
            "{driver: macvlan, options: {parent: eth0, mode: b}, labels: {a: b}, ipv6: true}",
            Vec::new(),
        );
        let trial = trial.unwrap();
        assert_eq!(trial.name.as_str(), "exam.invigil-next");
        assert_eq!(
            trial.spec,
            spec("{driver: macvlan, options: {mode: b}, subnets: [{subnet: 198.19.218.104/29}]}")
        );
        let trial = tried(was, "{ipam: {driver: other}}", Vec::new()).unwrap();
        assert_eq!(trial.spec, spec("{ipam: {driver: other}}"));
    }

    #[test]
    fn a_trial_has_a_name_and_addresses_that_nobody_has() {
        let there = vec![
            network('a', "lab", spec("{subnets: [{subnet: 198.18.53.80/28}]}")),
            network('b', "exam.invigil-next", spec("{subnets: [{subnet: 198.18.53.96/29}]}")),
            network('c', "exam.invigil-next2", NetworkSpec::default()),
        ];
        let trial = tried("{}", "{driver: macvlan}", there).unwrap();
        assert_eq!(trial.spec.subnets[0].subnet, "198.18.53.104/29");
        assert_eq!(trial.name.as_str(), "exam.invigil-next4", "a manifest gives the third one");
    }
}
