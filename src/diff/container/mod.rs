//! Containers. Finds the live container of each resource, compares it field by field, and chooses the
//! least disturbing act.

mod again;
mod anonymous;
mod files;
mod image;
mod names;
mod namespace;
mod operations;
mod remembered;
mod renewal;
mod standing;
mod takeover;

use std::collections::{BTreeMap, BTreeSet};

use self::again::{failed_job, why_never_again};
use self::files::{FileChanges, collected, collections};
use self::image::{image_difference, is_checked};
use self::names::Claim;
pub use self::names::{ASIDE_SUFFIX, is_in_replacement};
use self::namespace::{
    let_leavers_go_first, linked, namespace_differences, owners_first, pid_of, shares, wait_for_who_stays,
    without_owners,
};
use self::operations::operations;
use self::remembered::{last_state, remembered, turned};
use self::renewal::{Renewal, applied, follow};
use self::standing::Standing;
use self::takeover::take_over;
pub use self::takeover::taken_over;
use super::image::Images;
use super::{
    Act, Changes, Need, NewContainer, Old, Operation, Predecessor, STILL_REMOVING, Told, Unwell, proof, told,
};
use crate::desired::{Desired, DesiredContainer};
use crate::fields::{self, Difference, is_anonymous_volume};
use crate::observed::{Applied, Health, LiveStatus, Managed, Observed, ObservedContainer};
use crate::resource::container::{Condition, Reference, State, Use};
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::network::PREDEFINED;

/// What the successor is called until it takes its predecessor's place.
pub const NEXT_SUFFIX: &str = ".invigil-next";
/// What the predecessor is called until its successor has proved itself.
pub const PREVIOUS_SUFFIX: &str = ".invigil-prev";

/// Why a container stays of which cannot be said what it was to give before it goes (law 1).
const UNREADABLE: &str = "its label io.invigil.spec, which says what is to be collected from it, cannot be read (a newer \
                          Invigil may have written it); remove it by hand";

/// Why a container is not started again as it was.
const NO_MORE: &str = "the engine cannot start it any more";

pub(super) fn diff(desired: &Desired, observed: &Observed, images: &Images<'_>, changes: &mut Changes) {
    let standing = Standing::of(observed);
    for (name, wanted) in owners_first(&desired.containers) {
        diff_one(name, wanted, &standing, desired, observed, images, changes);
    }
    let gone: BTreeSet<&Name> =
        standing.resources().filter(|name| !desired.containers.contains_key(*name)).collect();
    for name in gone {
        let id = ResourceId::new(Kind::Container, name.clone());
        if changes.may_remove(desired, &id) {
            if standing.live(name).any(|(_, managed)| managed.unreadable) {
                changes.withheld.push((id, UNREADABLE.to_owned()));
                continue;
            }
            let old: Vec<Old> =
                standing.live(name).map(|(container, _)| Old::new(name, container, None, observed)).collect();
            let mut reasons = vec![told("", None, Some("no longer in the manifests".to_owned()))];
            reasons.extend(old.iter().flat_map(|old| collected(&old.collect)));
            changes.push(id, Act::Remove(old), reasons, Vec::new());
        }
    }
    let_leavers_go_first(observed, changes);
    wait_for_who_stays(observed, changes);
}

impl Old {
    fn new(
        name: &Name,
        container: &ObservedContainer,
        wanted: Option<&DesiredContainer>,
        observed: &Observed,
    ) -> Self {
        let never_again =
            |managed: &Managed| why_never_again(wanted?.spec.state, container, managed, observed);
        let state = |managed: &Managed| last_state(managed, &applied(container, managed, observed));
        let known = container.managed.as_deref().or(container.stranger.as_deref());
        Self {
            id: container.id.clone(),
            name: container.name.clone(),
            up: container.status.is_up(),
            is_ours: container.managed.is_some(),
            is_found_by_name: container
                .networks
                .keys()
                .any(|network| !PREDEFINED.contains(&network.as_str())),
            collect: collections(name, container, wanted.map(|wanted| &wanted.spec)),
            state: container.managed.as_deref().and_then(state),
            hindered: container.managed.as_deref().and_then(never_again).map(|_| NO_MORE.to_owned()),
            frozen: container.status == LiveStatus::Paused,
            shares: known.map(shares).unwrap_or_default(),
            pid_of: known.and_then(pid_of),
            linked: known.map(linked).unwrap_or_default(),
            follow: Vec::new(),
        }
    }
}

fn diff_one(
    name: &Name,
    wanted: &DesiredContainer,
    standing: &Standing<'_>,
    desired: &Desired,
    observed: &Observed,
    images: &Images<'_>,
    changes: &mut Changes,
) {
    let id = ResourceId::new(Kind::Container, name.clone());
    let mut needs = needs(wanted);
    let mut bearer = None;
    match names::claim(name, standing, desired) {
        Claim::Free => {}
        Claim::After(holder) => {
            bearer = Some(Need::there(Kind::Container, holder));
            needs.extend(bearer.clone());
        }
        Claim::Taken(there) => {
            let left = left_beside(name, wanted, standing.live(name).map(|(left, _)| left), observed);
            return take_over(id, wanted, there, left, (desired, observed, images), changes);
        }
    }
    let steps_aside = names::opens_circle(name, standing, desired);
    let previous = format!("{name}{PREVIOUS_SUFFIX}");
    let mut containers: Vec<_> = standing.live(name).collect();
    if let [(down, _), successor] = containers[..]
        && !down.status.is_up()
        && [name.as_str(), &previous].contains(&down.name.as_str())
        && took_over(name, wanted, successor, desired, observed, images, changes)
    {
        containers.swap(0, 1);
    }
    let mut containers = containers.into_iter();
    let first = containers.next();
    let Some((container, managed)) = first.filter(|(there, _)| there.status != LiveStatus::Removing) else {
        if first.is_some() {
            changes.waiting.insert(id.clone(), STILL_REMOVING.to_owned());
            changes.soon.insert(id.clone());
        } else if let Some(there) = takeover::put_aside(name, wanted, standing) {
            return take_over(id, wanted, there, Vec::new(), (desired, observed, images), changes);
        }
        let new = NewContainer::new(wanted, Vec::new(), desired, images);
        return changes.push(id, Act::Create(Box::new(new)), Vec::new(), needs);
    };
    let mut leftovers = left_beside(name, wanted, containers.map(|(left, _)| left), observed);
    let aside = takeover::put_aside(name, wanted, standing);
    leftovers.extend(aside.map(|left| Old::new(name, left, Some(wanted), observed)));

    let image = image_difference(wanted, container, managed, desired, images);
    let config = images.of_container(container).and_then(|image| image.config.as_ref());
    let was = applied(container, managed, observed);
    let differences = differing(wanted, (container, managed), config, &was);
    let namespaces: Vec<Told> =
        namespace_differences(wanted, container.status, &differences, changes).collect();
    let files = FileChanges::of(wanted, container.status, &was);
    let dead = why_never_again(wanted.spec.state, container, managed, observed);
    let mut reasons: Vec<Told> = dead
        .iter()
        .chain(&image)
        .chain(&namespaces)
        .cloned()
        .chain(differences.iter().flat_map(Difference::told))
        .collect();
    if dead.is_some()
        || image.is_some()
        || !namespaces.is_empty()
        || files.replace
        || differences.iter().any(|difference| !is_in_place(difference, observed))
    {
        let follow = follow((container, managed), &was, standing);
        let mut old = Old { follow, ..Old::new(name, container, Some(wanted), observed) };
        if steps_aside {
            return step_aside(id, &container.name, old, leftovers, changes);
        }
        reasons.extend(files.reasons);
        reasons.extend(collected(&old.collect));
        if let Some(proved) = leftovers.iter_mut().find(|left| left.name == previous && !is_proved(container))
        {
            // What is kept until the new one has proved itself is what had proved itself before.
            std::mem::swap(&mut old, proved);
        }
        let (carried, left) = anonymous::carried(wanted, managed, config.filter(|_| image.is_none()));
        reasons.extend(left);
        let new = NewContainer::new(wanted, carried, desired, images);
        let act = Act::Replace { old, container: Box::new(new), leftovers };
        return changes.push(id, act, reasons, needs);
    }
    let renewal = Renewal::of(name, wanted, (container, managed), standing, observed, changes);
    if let Some(why) = failed_job(wanted.spec.state, container.status).filter(|_| renewal.is_empty()) {
        return changes.push(id, Act::blocked(why), reasons, Vec::new());
    }
    let (mut operations, more) = operations(name, &wanted.spec, container, &differences, renewal, observed);
    changes.turned.extend(turned(&id, wanted.spec.state, (container, managed), &was, standing));
    remembered(name, container, &differences, &was, desired, &mut operations);
    if steps_aside {
        operations.insert(0, Operation::StepAside);
    }
    if operations.is_empty() && leftovers.is_empty() {
        return changes.unchanged.push(id);
    }
    let mut reasons: Vec<Told> = more.into_iter().chain(reasons).collect();
    if operations.is_empty() {
        reasons.push(told("", None, Some("what an interrupted replacement left behind goes".to_owned())));
    }
    let predecessor = unproved_for(name, wanted, container, &mut leftovers, (desired, images)).map(Box::new);
    let container = Old::new(name, container, Some(wanted), observed);
    // Who only gets its name back needs who bears it to let it go, and nothing else: who does may need this one.
    if leftovers.is_empty() && predecessor.is_none() && operations.iter().all(is_about_its_name) {
        needs.retain(|need| Some(need) == bearer.as_ref());
    }
    changes.push(id, Act::Alter { container, operations, leftovers, predecessor }, reasons, needs);
}

/// Where a live container differs from what is wanted.
fn differing(
    wanted: &DesiredContainer,
    (container, managed): (&ObservedContainer, &Managed),
    config: Option<&fields::Live>,
    was: &Applied,
) -> Vec<Difference> {
    let created = managed.created.as_ref();
    let differences = fields::differences(&wanted.spec, created, &managed.live, config, &was.asked);
    without_owners(differences, wanted, (container, managed))
}

/// The predecessor of a container that is yet to prove itself, taken out of what was left beside it.
fn unproved_for(
    name: &Name,
    wanted: &DesiredContainer,
    container: &ObservedContainer,
    leftovers: &mut Vec<Old>,
    (desired, images): (&Desired, &Images<'_>),
) -> Option<Predecessor> {
    let previous = format!("{name}{PREVIOUS_SUFFIX}");
    // It was frozen when it had proved itself, and proves nothing more.
    let frozen = wanted.spec.state == State::Paused && container.status == LiveStatus::Paused;
    let to_prove = wanted.spec.state.is_up() && container.name != previous && !frozen;
    let is_before = |old: &Old| old.name == previous || old.name == name.as_str();
    let index = leftovers.iter().position(|old| to_prove && is_before(old))?;
    Some(Predecessor {
        container: leftovers.remove(index),
        until: proof(&wanted.spec, is_checked(wanted, desired, images)),
    })
}

fn is_about_its_name(operation: &Operation) -> bool {
    matches!(operation, Operation::Rename | Operation::StepAside | Operation::Record(_))
}

/// What an interrupted replacement has left beside the container that stands for a resource.
fn left_beside<'a>(
    name: &Name,
    wanted: &DesiredContainer,
    beside: impl Iterator<Item = &'a ObservedContainer>,
    observed: &Observed,
) -> Vec<Old> {
    let left = beside.filter(|container| names::is_leftover(name, container));
    left.map(|container| Old::new(name, container, Some(wanted), observed)).collect()
}

/// Lets a container that is to be replaced give up its name, and do nothing else in this pass: others wait for it.
fn step_aside(id: ResourceId, name: &str, container: Old, leftovers: Vec<Old>, changes: &mut Changes) {
    let aside = format!("{}{ASIDE_SUFFIX}", id.name);
    let reasons = vec![told("name", Some(fields::plain(name)), Some(aside))];
    let operations = vec![Operation::StepAside];
    let act = Act::Alter { container, operations, leftovers, predecessor: None };
    changes.push(id, act, reasons, Vec::new());
}

/// Whether a replacement that starts first was interrupted when its successor, this one, had taken over.
fn took_over(
    name: &Name,
    wanted: &DesiredContainer,
    (container, managed): (&ObservedContainer, &Managed),
    desired: &Desired,
    observed: &Observed,
    images: &Images<'_>,
    changes: &Changes,
) -> bool {
    let config = images.of_container(container).and_then(|image| image.config.as_ref());
    let was = applied(container, managed, observed);
    wanted.spec.state.is_up()
        && container.status.is_up()
        && container.name == format!("{name}{NEXT_SUFFIX}")
        && image_difference(wanted, container, managed, desired, images).is_none()
        && namespace_differences(wanted, container.status, &[], changes).next().is_none()
        && !FileChanges::of(wanted, container.status, &was).replace
        && differing(wanted, (container, managed), config, &was)
            .iter()
            .all(|difference| is_in_place(difference, observed))
}

/// Whether the engine can mend a difference without a new container.
fn is_in_place(difference: &Difference, observed: &Observed) -> bool {
    let is_beyond = || difference.update().is_some() || difference.has_address();
    difference.in_place() && !(observed.cannot_update && is_beyond())
}

/// Whether a container shows by itself that it is as well as a successor has to be.
fn is_proved(container: &ObservedContainer) -> bool {
    container.status == LiveStatus::Running(Health::Healthy)
}

/// What has to be in order before a container can be made and started.
fn needs(wanted: &DesiredContainer) -> Vec<Need> {
    let image = wanted.image.iter().map(|image| Need::there(Kind::Image, image));
    let named = wanted.spec.references().into_iter().flat_map(|(_, reference)| match reference {
        Reference::Network(name) => vec![Need::there(Kind::Network, name)],
        Reference::Volume(name) => vec![Need::there(Kind::Volume, name)],
        Reference::Container(name, Use::Volumes | Use::Namespace) => {
            vec![Need::there(Kind::Container, name)]
        }
        // It is made for one that is there, and starts beside one that is up.
        Reference::Container(name, Use::Link) => {
            vec![Need::there(Kind::Container, name), Need::up(name, Condition::Started)]
        }
        Reference::Container(name, Use::Service(condition)) => vec![Need::up(name, condition)],
    });
    image.chain(named).collect()
}

/// Who needs a job that still runs waits for it, over as many passes as it takes: its end wakes the daemon.
pub(super) fn wait_for_jobs(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    let standing = Standing::of(observed);
    let changing: BTreeSet<ResourceId> = changes.changes.iter().map(|change| change.id.clone()).collect();
    let mut waiting = BTreeMap::new();
    for change in changes.changes.iter_mut().filter(|change| change.act.starts()) {
        let is_awaited = |need: &Need| {
            need.condition == Some(Condition::Completed)
                && !changing.contains(&need.id)
                && desired.containers.contains_key(&need.id.name)
        };
        for need in change.needs.iter().filter(|need| is_awaited(need)) {
            let job = standing.live(&need.id.name).next().map(|(container, _)| container.status);
            if job.is_some_and(LiveStatus::is_up) {
                waiting.insert(change.id.clone(), format!("waits for {} to run to its end", need.id));
            }
        }
        // What has run to its end need not be waited for.
        change.needs.retain(|need| !is_awaited(need));
    }
    changes.waiting.extend(waiting);
}

impl NewContainer {
    fn new(
        wanted: &DesiredContainer,
        carried: Vec<(String, String)>,
        desired: &Desired,
        images: &Images<'_>,
    ) -> Self {
        let spec = &wanted.spec;
        let mounted: Vec<&str> = spec.mounted().collect();
        let carried = carried
            .into_iter()
            .filter(|(name, target)| is_anonymous_volume(name) && !mounted.contains(&target.as_str()));
        Self {
            spec: spec.clone(),
            files: wanted.files.clone(),
            image: wanted.reference.clone(),
            pull: wanted.image.is_none() && images.at(&wanted.reference).is_none(),
            carried: carried.collect(),
            state: spec.state,
            checked: is_checked(wanted, desired, images),
        }
    }
}

/// Notes which of the containers that are as they should be are not well.
pub(super) fn unwell(observed: &Observed, changes: &mut Changes) {
    let unchanged: BTreeSet<&ResourceId> = changes.unchanged.iter().collect();
    let unwell = observed.containers.iter().filter_map(|container| {
        let id = ResourceId::new(Kind::Container, container.managed.as_ref()?.resource.clone());
        let how = match container.status {
            LiveStatus::Running(Health::Starting) => Unwell::Starting,
            LiveStatus::Running(Health::Unhealthy) => Unwell::Unhealthy,
            LiveStatus::Restarting => Unwell::Restarting,
            _ => return None,
        };
        unchanged.contains(&id).then_some((id, how))
    });
    changes.unwell = unwell.collect();
}
