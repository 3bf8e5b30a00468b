//! Names that somebody gave to another container of ours. In: what stands. Out: whose container bears a name, who
//! of a circle goes aside, and what is left of a replacement. Never about containers that are not ours.

use std::collections::BTreeSet;

use super::standing::Standing;
use super::{NEXT_SUFFIX, PREVIOUS_SUFFIX};
use crate::desired::Desired;
use crate::observed::ObservedContainer;
use crate::resource::name::Name;

/// What a container is called while another of ours, which bears its name, gets its own back.
pub const ASIDE_SUFFIX: &str = ".invigil-aside";

/// Whether a container of a resource, beside the one that stands for it, is named as replacements name theirs.
pub(super) fn is_leftover(name: &Name, container: &ObservedContainer) -> bool {
    container.name == name.as_str() || is_in_replacement(name, &container.name)
}

/// Whether a container of a resource is called as a replacement calls the one that goes, or the one that comes.
pub fn is_in_replacement(resource: &Name, called: &str) -> bool {
    let rest = called.strip_prefix(resource.as_str());
    rest.is_some_and(|rest| [NEXT_SUFFIX, PREVIOUS_SUFFIX].contains(&rest))
}

/// Who stands between a resource and its name.
pub(super) enum Claim<'a> {
    /// Nobody, or one of a circle that is opened first.
    Free,
    /// Another resource's container, which gets its own name back.
    After(&'a Name),
    /// A container that keeps it.
    Taken(&'a ObservedContainer),
}

/// Looks who bears the name of a resource.
pub(super) fn claim<'a>(name: &Name, standing: &Standing<'a>, desired: &Desired) -> Claim<'a> {
    match (standing.foreign(name), holder(name, standing, desired)) {
        (None, _) => Claim::Free,
        (Some(_), Some(holder)) if opens_circle(holder, standing, desired) => Claim::Free,
        (Some(_), Some(holder)) => Claim::After(holder),
        (Some(there), None) => Claim::Taken(there),
    }
}

/// The other resource whose container bears this name, and is about to get its own back.
fn holder<'a>(name: &Name, standing: &Standing<'a>, desired: &Desired) -> Option<&'a Name> {
    let there = standing.foreign(name)?;
    let holder = &there.managed.as_deref()?.resource;
    let (stands, _) = standing.live(holder).next()?;
    (stands.id == there.id && desired.containers.contains_key(holder)).then_some(holder)
}

/// Whether names went round in a circle, and this resource's container is the one that goes aside.
pub(super) fn opens_circle(name: &Name, standing: &Standing<'_>, desired: &Desired) -> bool {
    let mut others = BTreeSet::new();
    let mut next = name;
    while let Some(holder) = holder(next, standing, desired) {
        if holder == name {
            return others.iter().all(|other| name < *other);
        }
        if !others.insert(holder) {
            return false;
        }
        next = holder;
    }
    false
}
