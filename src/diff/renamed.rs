//! Containers of ours under another name. In: what is observed, and what containers were called. Out: the same, with each
//! container as the resource that it is now. A label cannot be changed: it goes on saying what a container was made as, and
//! what it became is remembered beside the engine.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::container::{NEXT_SUFFIX, PREVIOUS_SUFFIX};
use crate::desired::Desired;
use crate::observed::{Observed, ObservedContainer};
use crate::resource::name::{Kind, Name, ResourceId};

/// What is observed, as the manifests call it.
///
/// Of a replacement that is not at its end, all that belongs to it goes over, under names as if it had been begun under
/// the new one: it is brought to its end first, so that what is kept for it stays (law 7), and the name comes after.
pub(super) fn renamed<'a>(desired: &Desired, observed: &'a Observed) -> Cow<'a, Observed> {
    let now: Vec<Option<&Name>> =
        observed.containers.iter().map(|container| now(container, desired, observed)).collect();
    if now.iter().all(Option::is_none) {
        return Cow::Borrowed(observed);
    }
    let parts = observed.containers.iter().zip(&now).filter_map(|(container, now)| {
        let was = &container.managed.as_ref()?.resource;
        now.filter(|_| container.name != was.as_str() && part_of(container, was).is_some())
    });
    let unfinished: BTreeSet<&Name> = parts.collect();
    let mut changed = observed.clone();
    for (container, now) in changed.containers.iter_mut().zip(now) {
        let Some(now) = now else { continue };
        let Some(managed) = &mut container.managed else { continue };
        let was = std::mem::replace(&mut managed.resource, now.clone());
        if unfinished.contains(now)
            && let Some(suffix) = part_of(container, &was)
        {
            container.name = format!("{now}{suffix}");
        }
    }
    Cow::Owned(changed)
}

/// Which resource a container is now, where it was made as another: the one that it was remembered to have become, the one
/// whose manifest says that it was called so, or whose name it bears already. Never one that has a container, and but
/// for what is remembered never by a manifest that may only be unreadable.
fn now<'a>(
    container: &'a ObservedContainer,
    desired: &'a Desired,
    observed: &'a Observed,
) -> Option<&'a Name> {
    let was = &container.managed.as_ref()?.resource;
    let became = observed.applied.get(&container.id).and_then(|applied| applied.became.as_ref());
    let is_wrong = |name: &Name| desired.invalid.contains(&ResourceId::new(Kind::Container, name.clone()));
    let has_one = |now: &Name| {
        let is_its = |other: &ObservedContainer| {
            other.id != container.id && other.managed.as_ref().is_some_and(|managed| managed.resource == *now)
        };
        observed.containers.iter().any(is_its)
    };
    let is_free = |now: &&Name| *now != was && !has_one(now);
    // One that bears its first name again was given it back.
    let is_still = |became: &&Name| {
        part_of(container, was).is_none() && (desired.containers.contains_key(*became) || is_wrong(became))
    };
    if let Some(became) = became.filter(is_still) {
        return Some(became).filter(is_free);
    }
    if desired.opaque || is_wrong(was) || desired.containers.contains_key(was) {
        return None;
    }
    let said = desired.previous_names.get(was).and_then(|now| desired.containers.get_key_value(now));
    let by_name = || {
        let name: Name = container.name.parse().ok()?;
        desired.containers.get_key_value(&name)
    };
    let (now, _) = said.or_else(by_name)?;
    let is_its = container.name == now.as_str() || part_of(container, was).is_some();
    Some(now).filter(|_| is_its).filter(is_free)
}

/// What a container's name says beside its resource's: that it is the resource's own, or part of a replacement.
fn part_of(container: &ObservedContainer, resource: &Name) -> Option<&'static str> {
    let rest = container.name.strip_prefix(resource.as_str())?;
    ["", NEXT_SUFFIX, PREVIOUS_SUFFIX].into_iter().find(|suffix| *suffix == rest)
}
