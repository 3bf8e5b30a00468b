//! Containers. Finds the live container of each resource, compares it field by field, and chooses the
//! least disturbing act.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::image;
use super::{Act, Changes, Need, NewContainer, Old, Operation, Predecessor, Told, proof, told};
use crate::desired::{Desired, DesiredContainer, ImageOrigin};
use crate::fields::{self, Difference, encode_endpoint, is_anonymous_volume};
use crate::observed::{LiveStatus, Managed, Observed, ObservedContainer};
use crate::resource::container::{Condition, ContainerSpec, Reference, State, Use};
use crate::resource::name::{Kind, Name, Owner, ResourceId};
use crate::resource::reference::ImageId;

/// What the successor is called until it takes its predecessor's place.
pub const NEXT_SUFFIX: &str = ".invigil-next";
/// What the predecessor is called until its successor has proved itself.
pub const PREVIOUS_SUFFIX: &str = ".invigil-prev";

pub(super) fn diff(desired: &Desired, observed: &Observed, owner: &Owner, changes: &mut Changes) {
    for (name, wanted) in owners_first(&desired.containers) {
        diff_one(name, wanted, desired, observed, owner, changes);
    }
    let gone: BTreeSet<&Name> = observed
        .containers
        .iter()
        .filter_map(|container| container.managed.as_ref())
        .map(|managed| &managed.resource)
        .filter(|name| !desired.containers.contains_key(*name))
        .collect();
    for name in gone {
        let id = ResourceId::new(Kind::Container, name.clone());
        if changes.may_remove(desired, &id) {
            let old = live(name, observed).map(|(container, _)| Old::from(container)).collect();
            let reasons = vec![told("", None, Some("no longer in the manifests".to_owned()))];
            changes.push(id, Act::Remove(old), reasons, Vec::new());
        }
    }
    let_leavers_go_first(observed, changes);
}

/// The containers, each after those whose namespaces it shares: it has to follow them.
fn owners_first(containers: &BTreeMap<Name, DesiredContainer>) -> Vec<(&Name, &DesiredContainer)> {
    let mut ordered = Vec::with_capacity(containers.len());
    let mut left: BTreeMap<&Name, &DesiredContainer> = containers.iter().collect();
    while !left.is_empty() {
        let waits =
            |wanted: &DesiredContainer| wanted.spec.shares_with().any(|(_, name)| left.contains_key(name));
        let mut free: Vec<(&Name, &DesiredContainer)> =
            left.iter().filter(|(_, wanted)| !waits(wanted)).map(|(name, wanted)| (*name, *wanted)).collect();
        if free.is_empty() {
            // A circle, which no valid manifests have.
            free = left.iter().map(|(name, wanted)| (*name, *wanted)).collect();
        }
        for (name, _) in &free {
            left.remove(name);
        }
        ordered.extend(free);
    }
    ordered
}

/// Who shares a namespace of a container that is made anew is left without it: it is made anew too.
fn namespace_differences<'a>(
    wanted: &'a DesiredContainer,
    changes: &'a Changes,
) -> impl Iterator<Item = Told> + 'a {
    let is_renewed = |name: &Name| {
        let id = ResourceId::new(Kind::Container, name.clone());
        let renews = |act: &Act| matches!(act, Act::Create { .. } | Act::Replace { .. });
        changes.changes.iter().any(|change| change.id == id && renews(&change.act))
    };
    wanted.spec.shares_with().filter(move |(_, name)| is_renewed(name)).map(|(field, name)| {
        let mode = format!("container:{name}");
        told(field, Some(mode.clone()), Some(format!("{mode}, which is made anew")))
    })
}

/// Who leaves a namespace of a container goes before that one does: should it have to be put back, the
/// namespace still has to be there. Who needs the container otherwise has to follow it all the same.
fn let_leavers_go_first(observed: &Observed, changes: &mut Changes) {
    let managed = observed.containers.iter().filter_map(|container| container.managed.as_ref());
    let mut managed: Vec<&Managed> = managed.map(AsRef::as_ref).collect();
    managed.sort_by_key(|managed| &managed.resource);
    for managed in managed {
        for shared in shared_live(managed) {
            let shared = ResourceId::new(Kind::Container, shared);
            let leaver = ResourceId::new(Kind::Container, managed.resource.clone());
            let goes = |change: &super::Change| {
                change.id == shared && matches!(change.act, Act::Remove(_) | Act::Replace { .. })
            };
            let changes_too = changes.changes.iter().any(|change| change.id == leaver);
            if changes_too && changes.changes.iter().any(goes) && !changes.has_to_follow(&leaver, &shared) {
                changes.let_follow(&shared, leaver);
            }
        }
    }
}

/// The containers whose namespaces a live one shares.
fn shared_live(managed: &Managed) -> BTreeSet<Name> {
    let modes = ["networkMode", "ipcMode", "pidMode"]
        .into_iter()
        .filter_map(|field| managed.live.get(field)?.as_str());
    modes.filter_map(|mode| mode.strip_prefix("container:")?.parse().ok()).collect()
}

/// The live containers of a resource, the one that stands for it first: the one that bears its name,
/// else a predecessor whose replacement was interrupted, else one that somebody renamed.
fn live<'a>(
    name: &Name,
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a ObservedContainer, &'a Managed)> + use<'a> {
    let rank = |container: &ObservedContainer| match container.name.strip_prefix(name.as_str()) {
        Some("") => 0,
        Some(PREVIOUS_SUFFIX) => 1,
        Some(NEXT_SUFFIX) => 3,
        _ => 2,
    };
    let mut found: Vec<(u8, &ObservedContainer, &Managed)> = observed
        .containers
        .iter()
        .filter_map(|container| {
            let managed = container.managed.as_deref().filter(|managed| managed.resource == *name)?;
            Some((rank(container), container, managed))
        })
        .collect();
    found.sort_by_key(|(rank, container, _)| (*rank, &container.id));
    found.into_iter().map(|(_, container, managed)| (container, managed))
}

impl From<&ObservedContainer> for Old {
    fn from(container: &ObservedContainer) -> Self {
        Self { id: container.id.clone(), name: container.name.clone(), up: container.status.is_up() }
    }
}

fn diff_one(
    name: &Name,
    wanted: &DesiredContainer,
    desired: &Desired,
    observed: &Observed,
    owner: &Owner,
    changes: &mut Changes,
) {
    let id = ResourceId::new(Kind::Container, name.clone());
    let foreign = |container: &&ObservedContainer| {
        container.name == name.as_str()
            && container.managed.as_ref().is_none_or(|managed| managed.resource != *name)
    };
    if let Some(there) = observed.containers.iter().find(foreign) {
        let why = match (&there.other_owner, &there.stranger) {
            (Some(owner), _) => format!("a container of this name belongs to another Invigil (owner {owner})"),
            (None, Some(stranger)) => return adopt(id, wanted, there, stranger, desired, observed, changes),
            (None, None) => {
                "a container of this name is there that Invigil did not make; remove or rename it, or take it over \
                 with metadata.adopt: true"
                    .to_owned()
            }
        };
        return changes.block(id, why);
    }
    let mut containers = live(name, observed);
    let needs = needs(wanted);
    let Some((container, managed)) = containers.next() else {
        let new = NewContainer::new(wanted, Vec::new(), desired, observed);
        let act = Act::Create { container: Box::new(new), leftovers: Vec::new() };
        return changes.push(id, act, Vec::new(), needs);
    };
    let ours_by_name = |container: &ObservedContainer| {
        container
            .name
            .strip_prefix(name.as_str())
            .is_some_and(|rest| [NEXT_SUFFIX, PREVIOUS_SUFFIX].contains(&rest))
    };
    let mut leftovers: Vec<Old> = containers
        .map(|(container, _)| container)
        .filter(|container| ours_by_name(container))
        .map(Old::from)
        .collect();
    if container.status == LiveStatus::Removing {
        return changes.block(id, "the engine is still removing the container of this name");
    }

    let image = image_difference(wanted, container, managed, desired, observed, owner);
    let config =
        container.image.as_ref().and_then(|id| observed.image(id)).and_then(|image| image.config.as_ref());
    let differences = fields::differences(&wanted.spec, managed.created.as_ref(), &managed.live, config);
    let namespaces: Vec<Told> = namespace_differences(wanted, changes).collect();
    let reasons: Vec<Told> = image
        .iter()
        .chain(&namespaces)
        .cloned()
        .chain(differences.iter().flat_map(Difference::told))
        .collect();
    if image.is_some()
        || !namespaces.is_empty()
        || differences.iter().any(|difference| !difference.in_place())
    {
        let new = NewContainer::new(wanted, managed.anonymous_volumes.clone(), desired, observed);
        let act = Act::Replace { old: container.into(), container: Box::new(new), leftovers };
        return changes.push(id, act, reasons, needs);
    }
    if let (State::Completed, LiveStatus::Exited(code @ 1..)) = (wanted.spec.state, container.status) {
        let why = format!(
            "it ended with exit code {code}; a changed manifest, or removing it by hand, runs it again"
        );
        return changes.push(id, Act::Block(why), reasons, Vec::new());
    }
    let (operations, more) = operations(name, &wanted.spec, container, &differences);
    if operations.is_empty() && leftovers.is_empty() {
        return changes.unchanged.push(id);
    }
    let mut reasons: Vec<Told> = more.into_iter().chain(reasons).collect();
    if operations.is_empty() {
        reasons.push(told("", None, Some("what an interrupted replacement left behind goes".to_owned())));
    }
    let previous = format!("{name}{PREVIOUS_SUFFIX}");
    let to_prove = wanted.spec.state.is_up() && container.name != previous;
    let predecessor = leftovers.iter().position(|old| to_prove && old.name == previous);
    let predecessor = predecessor.map(|index| Predecessor {
        container: leftovers.remove(index),
        until: proof(&wanted.spec, is_checked(wanted, desired, observed)),
    });
    let act = Act::Alter { container: container.into(), operations, leftovers, predecessor };
    changes.push(id, act, reasons, needs);
}

/// Puts our container in the place of one that somebody else made. Labels cannot be added to a container
/// that is there, so that taking it over costs a replacement, like any other.
fn adopt(
    id: ResourceId,
    wanted: &DesiredContainer,
    there: &ObservedContainer,
    stranger: &Managed,
    desired: &Desired,
    observed: &Observed,
    changes: &mut Changes,
) {
    let image = there.image.as_ref().and_then(|id| observed.image(id));
    let config = image.and_then(|image| image.config.as_ref());
    let mut reasons =
        vec![told("", None, Some("takes over a container that Invigil did not make".to_owned()))];
    let was = image.and_then(|image| image.references.first()).map(ToString::to_string);
    if image.is_none_or(|image| !image.references.contains(&wanted.reference)) {
        reasons.push(told("image", was, Some(wanted.reference.to_string())));
    }
    let differences = fields::all_differences(&wanted.spec, &stranger.live, config);
    reasons.extend(differences.iter().flat_map(Difference::told));
    let new = NewContainer::new(wanted, stranger.anonymous_volumes.clone(), desired, observed);
    let act = Act::Replace { old: there.into(), container: Box::new(new), leftovers: Vec::new() };
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
    let starts = |act: &Act| match act {
        Act::Create { container, .. } | Act::Replace { container, .. } => container.state.starts(),
        Act::Alter { operations, .. } => operations.contains(&Operation::Start),
        _ => false,
    };
    let changing: BTreeSet<ResourceId> = changes.changes.iter().map(|change| change.id.clone()).collect();
    let mut waiting = BTreeMap::new();
    for change in changes.changes.iter_mut().filter(|change| starts(&change.act)) {
        let is_awaited = |need: &Need| {
            need.condition == Some(Condition::Completed)
                && !changing.contains(&need.id)
                && desired.containers.contains_key(&need.id.name)
        };
        for need in change.needs.iter().filter(|need| is_awaited(need)) {
            let job = live(&need.id.name, observed).next().map(|(container, _)| container.status);
            if job.is_some_and(LiveStatus::is_up) {
                waiting.insert(change.id.clone(), format!("waits for {} to run to its end", need.id));
            }
        }
        // What has run to its end need not be waited for.
        change.needs.retain(|need| !is_awaited(need));
    }
    changes.waiting.extend(waiting);
}

/// Compares images by id: a tag says what was asked for, not what runs.
fn image_difference(
    wanted: &DesiredContainer,
    container: &ObservedContainer,
    managed: &Managed,
    desired: &Desired,
    observed: &Observed,
    owner: &Owner,
) -> Option<Told> {
    let live = container.image.as_ref()?;
    let ids = wanted_ids(wanted, desired, observed, owner);
    let was = managed.created.as_ref().and_then(|created| created.image.as_ref());
    let same = match &ids[..] {
        // Not on the engine yet: what the container was made from is all that can be compared.
        [] => was == Some(&wanted.reference),
        ids => ids.contains(live),
    };
    if same {
        return None;
    }
    let (from, to) = match (was, ids.first()) {
        (Some(was), _) if *was != wanted.reference => (was.to_string(), wanted.reference.to_string()),
        (_, Some(id)) => (live.to_string(), id.to_string()),
        (_, None) => (live.to_string(), wanted.reference.to_string()),
    };
    Some(told("image", Some(from), Some(to)))
}

/// The ids that the wanted image may have, as far as they are known.
fn wanted_ids(
    wanted: &DesiredContainer,
    desired: &Desired,
    observed: &Observed,
    owner: &Owner,
) -> Vec<ImageId> {
    let described = wanted.image.as_ref().and_then(|name| Some((name, desired.images.get(name)?)));
    let Some((name, image)) = described else {
        return observed.image_at(&wanted.reference).map(|image| image.id.clone()).into_iter().collect();
    };
    if let Some(there) = image::present(image, name, observed, owner) {
        return vec![there.id.clone()];
    }
    match &image.source {
        ImageOrigin::Paper(paper) => paper.ids().to_vec(),
        ImageOrigin::Load { ids, .. } => ids.clone(),
        // An archive that is yet to be imported gives an id that no container can have.
        ImageOrigin::Import { digest, .. } => vec![ImageId::of(digest.as_bytes())],
        ImageOrigin::Pull { .. } => Vec::new(),
    }
}

/// The calls that put a container right as it is, and the reasons that are not fields.
fn operations(
    name: &Name,
    spec: &ContainerSpec,
    container: &ObservedContainer,
    differences: &[Difference],
) -> (Vec<Operation>, Vec<Told>) {
    let mut operations = Vec::new();
    let mut reasons = Vec::new();
    if container.name != name.as_str() {
        operations.push(Operation::Rename);
        reasons.push(told("name", Some(fields::plain(&container.name)), Some(name.to_string())));
    }
    let update: Map<String, Value> = differences
        .iter()
        .filter_map(Difference::update)
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    if !update.is_empty() {
        operations.push(Operation::Update(with_swap(update, spec)));
    }
    for difference in differences.iter().filter(|difference| difference.field.class == fields::Class::Connect)
    {
        operations.extend(reconnect(difference));
    }
    let state = spec.state;
    let steps = toward(state, container.status);
    if steps.is_empty() {
        return (operations, reasons);
    }
    operations.extend(steps);
    reasons.push(told("state", Some(container.status.as_str().to_owned()), Some(state.as_str().to_owned())));
    (operations, reasons)
}

/// The calls that lead from what a container is doing to what it should.
fn toward(state: State, status: LiveStatus) -> Vec<Operation> {
    let paused = status == LiveStatus::Paused;
    match state {
        State::Running | State::Completed if paused => vec![Operation::Unpause],
        State::Running if !status.is_up() => vec![Operation::Start],
        State::Completed if status == LiveStatus::Created => vec![Operation::Start],
        State::Paused if paused => Vec::new(),
        State::Paused if status.is_up() => vec![Operation::Pause],
        State::Paused => vec![Operation::Start, Operation::Pause],
        State::Stopped | State::Created if paused => vec![Operation::Unpause, Operation::Stop],
        State::Stopped | State::Created if status.is_up() => vec![Operation::Stop],
        _ => Vec::new(),
    }
}

/// Swap follows memory where the manifest is silent: the engine sets it to twice the memory at creation
/// and then refuses a memory limit above it.
fn with_swap(mut update: Map<String, Value>, spec: &ContainerSpec) -> Value {
    let memory =
        update.get("Memory").and_then(Value::as_u64).filter(|_| spec.resources.memory_swap.is_none());
    if let Some(memory) = memory {
        update.insert("MemorySwap".to_owned(), json!(memory.saturating_mul(2)));
    }
    Value::Object(update)
}

/// Leaves what should not be joined or is joined otherwise, then joins what should be.
fn reconnect(difference: &Difference) -> Vec<Operation> {
    let empty = Map::new();
    let live = difference.live.as_object().unwrap_or(&empty);
    let wanted = difference.expected.as_ref().and_then(Value::as_object).unwrap_or(&empty);
    let leave = live
        .iter()
        .filter(|(network, endpoint)| wanted.get(*network) != Some(endpoint))
        .map(|(network, _)| Operation::Disconnect { network: network.clone() });
    let join = wanted.iter().filter(|(network, endpoint)| live.get(*network) != Some(endpoint)).map(
        |(network, endpoint)| Operation::Connect {
            network: network.clone(),
            endpoint: encode_endpoint(endpoint),
        },
    );
    leave.chain(join).collect()
}

impl NewContainer {
    fn new(
        wanted: &DesiredContainer,
        carried: Vec<(String, String)>,
        desired: &Desired,
        observed: &Observed,
    ) -> Self {
        let spec = &wanted.spec;
        let targets: Vec<&str> = (spec.binds.iter().map(|bind| bind.target.as_str()))
            .chain(spec.mounts.iter().map(|mount| mount.target.as_str()))
            .chain(spec.tmpfs.iter().map(|tmpfs| tmpfs.target.as_str()))
            .collect();
        let carried = carried
            .into_iter()
            .filter(|(name, target)| is_anonymous_volume(name) && !targets.contains(&target.as_str()));
        Self {
            spec: spec.clone(),
            image: wanted.reference.clone(),
            pull: wanted.image.is_none() && observed.image_at(&wanted.reference).is_none(),
            carried: carried.collect(),
            state: spec.state,
            checked: is_checked(wanted, desired, observed),
        }
    }
}

/// Whether a container will have a health check; `None` where only its image knows and is not there yet.
fn is_checked(wanted: &DesiredContainer, desired: &Desired, observed: &Observed) -> Option<bool> {
    if let Some(test) = wanted.spec.healthcheck.as_ref().and_then(|check| check.test.as_ref()) {
        return Some(test.words().first().is_some_and(|word| word != "NONE"));
    }
    let described =
        wanted.image.as_ref().and_then(|name| desired.images.get(name)).map(|image| &image.source);
    if matches!(described, Some(ImageOrigin::Paper(_))) {
        return Some(true);
    }
    let config = observed.image_at(&wanted.reference)?.config.as_ref()?;
    Some(config.get("healthcheck").is_some_and(|check| check.get("test").is_some()))
}
