//! Containers. Finds the live container of each resource, compares it field by field, and chooses the
//! least disturbing act.

mod files;
mod image;
mod names;
mod namespace;
mod operations;
mod renewal;
mod standing;

use std::collections::{BTreeMap, BTreeSet};

use self::files::{FileChanges, collected, collections};
use self::image::{image_difference, is_checked};
pub use self::names::ASIDE_SUFFIX;
use self::names::Claim;
use self::namespace::{let_leavers_go_first, namespace_differences, owners_first};
use self::operations::operations;
use self::renewal::{Renewal, applied};
use self::standing::Standing;
use super::image::Images;
use super::{Act, Changes, Need, NewContainer, Old, Operation, Predecessor, Told, Unwell, proof, told};
use crate::desired::{Desired, DesiredContainer};
use crate::fields::{self, Difference, is_anonymous_volume};
use crate::observed::{Health, LiveStatus, Managed, Observed, ObservedContainer};
use crate::resource::container::{Condition, Reference, State, Use};
use crate::resource::name::{Kind, Name, ResourceId};

/// What the successor is called until it takes its predecessor's place.
pub const NEXT_SUFFIX: &str = ".invigil-next";
/// What the predecessor is called until its successor has proved itself.
pub const PREVIOUS_SUFFIX: &str = ".invigil-prev";

/// Why a container stays of which cannot be said what it was to give before it goes (law 1).
const UNREADABLE: &str = "its label io.invigil.spec, which says what is to be collected from it, cannot be read (a newer \
                          Invigil may have written it); remove it by hand";

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
                standing.live(name).map(|(container, _)| Old::new(name, container, None)).collect();
            let mut reasons = vec![told("", None, Some("no longer in the manifests".to_owned()))];
            reasons.extend(old.iter().flat_map(|old| collected(&old.collect)));
            changes.push(id, Act::Remove(old), reasons, Vec::new());
        }
    }
    let_leavers_go_first(observed, changes);
}

impl Old {
    fn new(name: &Name, container: &ObservedContainer, wanted: Option<&DesiredContainer>) -> Self {
        Self {
            id: container.id.clone(),
            name: container.name.clone(),
            up: container.status.is_up(),
            collect: collections(name, container, wanted.map(|wanted| &wanted.spec)),
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
    match names::claim(name, standing, desired) {
        Claim::Free => {}
        Claim::After(holder) => needs.push(Need::there(Kind::Container, holder)),
        Claim::Taken(there) => return take_over(id, wanted, there, desired, images, changes),
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
    let Some((container, managed)) = containers.next() else {
        let new = NewContainer::new(wanted, Vec::new(), desired, images);
        return changes.push(id, Act::Create(Box::new(new)), Vec::new(), needs);
    };
    let mut leftovers: Vec<Old> = containers
        .map(|(container, _)| container)
        .filter(|container| names::is_leftover(name, container))
        .map(|container| Old::new(name, container, Some(wanted)))
        .collect();
    if container.status == LiveStatus::Removing {
        return changes.block(id, "the engine is still removing the container of this name");
    }

    let image = image_difference(wanted, container, managed, desired, images);
    let config =
        container.image.as_ref().and_then(|id| images.with(id)).and_then(|image| image.config.as_ref());
    let differences = fields::differences(&wanted.spec, managed.created.as_ref(), &managed.live, config);
    let namespaces: Vec<Told> = namespace_differences(wanted, changes).collect();
    let files = FileChanges::of(wanted, container.status, &applied(container, managed, observed));
    // No engine starts one that it could not remove, or that it lost track of while starting it.
    let is_dead = container.status == LiveStatus::Dead
        || (container.status == LiveStatus::Stuck && wanted.spec.state.starts());
    let dead = is_dead.then(|| {
        let (from, to) = (container.status.as_str().to_owned(), wanted.spec.state.as_str().to_owned());
        told("state", Some(from), Some(to))
    });
    let mut reasons: Vec<Told> = dead
        .iter()
        .chain(&image)
        .chain(&namespaces)
        .cloned()
        .chain(differences.iter().flat_map(Difference::told))
        .collect();
    if is_dead
        || image.is_some()
        || !namespaces.is_empty()
        || files.replace
        || differences.iter().any(|difference| !is_in_place(difference, observed))
    {
        let mut old = Old::new(name, container, Some(wanted));
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
        let new = NewContainer::new(wanted, managed.anonymous_volumes.clone(), desired, images);
        let act = Act::Replace { old, container: Box::new(new), leftovers };
        return changes.push(id, act, reasons, needs);
    }
    let renewal = Renewal::of(name, wanted, (container, managed), standing, observed, changes);
    if let (State::Completed, LiveStatus::Exited(code @ 1..), true) =
        (wanted.spec.state, container.status, renewal.is_empty())
    {
        let why = format!(
            "it ended with exit code {code}; a changed manifest, another restartToken or removing it by hand runs it again"
        );
        return changes.push(id, Act::Block(why), reasons, Vec::new());
    }
    let (mut operations, more) = operations(name, &wanted.spec, container, &differences, renewal);
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
    // It was frozen when it had proved itself, and proves nothing more.
    let frozen = wanted.spec.state == State::Paused && container.status == LiveStatus::Paused;
    let to_prove = wanted.spec.state.is_up() && container.name != previous && !frozen;
    let is_before = |old: &Old| old.name == previous || old.name == name.as_str();
    let predecessor = leftovers.iter().position(|old| to_prove && is_before(old));
    let predecessor = predecessor.map(|index| Predecessor {
        container: leftovers.remove(index),
        until: proof(&wanted.spec, is_checked(wanted, desired, images)),
    });
    let container = Old::new(name, container, Some(wanted));
    changes.push(id, Act::Alter { container, operations, leftovers, predecessor }, reasons, needs);
}

/// Lets a container that is to be replaced give up its name, and do nothing else in this pass: others wait for it.
fn step_aside(id: ResourceId, name: &str, container: Old, leftovers: Vec<Old>, changes: &mut Changes) {
    let aside = format!("{}{ASIDE_SUFFIX}", id.name);
    let reasons = vec![told("name", Some(fields::plain(name)), Some(aside))];
    let operations = vec![Operation::StepAside];
    let act = Act::Alter { container, operations, leftovers, predecessor: None };
    changes.push(id, act, reasons, Vec::new());
}

/// Takes over the container that bears the name, if that is what the manifest says.
fn take_over(
    id: ResourceId,
    wanted: &DesiredContainer,
    there: &ObservedContainer,
    desired: &Desired,
    images: &Images<'_>,
    changes: &mut Changes,
) {
    match (&there.stranger, &there.other_owner) {
        (Some(stranger), None) => adopt(id, wanted, there, stranger, desired, images, changes),
        _ => changes.block(id, whose(there)),
    }
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
    let config =
        container.image.as_ref().and_then(|id| images.with(id)).and_then(|image| image.config.as_ref());
    wanted.spec.state.is_up()
        && container.status.is_up()
        && container.name == format!("{name}{NEXT_SUFFIX}")
        && image_difference(wanted, container, managed, desired, images).is_none()
        && namespace_differences(wanted, changes).next().is_none()
        && !FileChanges::of(wanted, container.status, &applied(container, managed, observed)).replace
        && fields::differences(&wanted.spec, managed.created.as_ref(), &managed.live, config)
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

/// Whose a container is that bears a wanted name, and is not the wanted one.
fn whose(there: &ObservedContainer) -> String {
    match (&there.managed, &there.other_owner) {
        (Some(ours), _) => {
            format!("the container of this name is container/{}'s, which somebody renamed", ours.resource)
        }
        (None, Some(owner)) => format!("a container of this name belongs to another Invigil (owner {owner})"),
        (None, None) => "a container of this name is there that Invigil did not make; remove or rename it, or take it over \
                         with metadata.adopt: true"
            .to_owned(),
    }
}

/// Puts our container in the place of one that somebody else made. Labels cannot be added to a container
/// that is there, so that taking it over costs a replacement, like any other.
fn adopt(
    id: ResourceId,
    wanted: &DesiredContainer,
    there: &ObservedContainer,
    stranger: &Managed,
    desired: &Desired,
    images: &Images<'_>,
    changes: &mut Changes,
) {
    if stranger.removes_itself {
        let why = "the container of this name was started with --rm: as soon as it stops it is gone with its volumes, and \
                   could not be put back; start it again without --rm";
        return changes.block(id, why);
    }
    let image = there.image.as_ref().and_then(|id| images.with(id));
    let config = image.and_then(|image| image.config.as_ref());
    let old = Old::new(&id.name, there, Some(wanted));
    let new = NewContainer::new(wanted, stranger.anonymous_volumes.clone(), desired, images);
    let price = match old.up {
        true if new.starts_first(true) => "it is made anew, and ends once the new one has proved itself",
        true if new.state.starts() => "it is made anew, and stops for a moment",
        true => "it is made anew, and stops",
        false => "it is made anew",
    };
    let takes_over = format!("takes over a container that Invigil did not make: {price}");
    let mut reasons = vec![told("", None, Some(takes_over))];
    let was = image.and_then(|image| image.references.first()).map(ToString::to_string);
    if image.is_none_or(|image| !image.references.contains(&wanted.reference)) {
        reasons.push(told("image", was, Some(wanted.reference.to_string())));
    }
    let differences = fields::all_differences(&wanted.spec, &stranger.live, config);
    reasons.extend(differences.iter().flat_map(Difference::told));
    reasons.extend(collected(&old.collect));
    let act = Act::Replace { old, container: Box::new(new), leftovers: Vec::new() };
    changes.push(id, act, reasons, needs(wanted));
}

/// What has to be in order before a container can be made and started.
fn needs(wanted: &DesiredContainer) -> Vec<Need> {
    let image = wanted.image.iter().map(|image| Need::there(Kind::Image, image));
    let named = wanted.spec.references().into_iter().map(|(_, reference)| match reference {
        Reference::Network(name) => Need::there(Kind::Network, name),
        Reference::Volume(name) => Need::there(Kind::Volume, name),
        Reference::Container(name, Use::Volumes | Use::Namespace) => Need::there(Kind::Container, name),
        Reference::Container(name, Use::Link) => Need::up(name, Condition::Started),
        Reference::Container(name, Use::Service(condition)) => Need::up(name, condition),
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
