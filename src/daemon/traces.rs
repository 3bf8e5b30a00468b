//! What the daemon itself does leaves traces: by them it is told from what others do. In: each step, before it is done, and
//! each look. Out: the same engine, whether a touch is of the daemon's own making, and which resource it was done to.
//! Changes nothing.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::desired::Ingredients;
use crate::engine::{EngineError, Manner, Observe, Perform, Progress, Scope, Touch};
use crate::observed::{LiveStatus, Observed, ObservedContainer};
use crate::plan::Step;
use crate::resource::label::marked_image;
use crate::resource::name::{Kind, Name, Owner, ResourceId};
use crate::resource::reference::ImageReference;

/// For how long after a step is over the engine may still tell of it.
const LINGERS: Duration = Duration::from_secs(5);

/// What was done of late.
#[derive(Debug, Default)]
pub(super) struct Traces(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    traces: VecDeque<Trace>,
    /// The number of the first of these.
    first: usize,
    /// What the last look showed.
    seen: Seen,
    /// What it did not show any more, and since when: an engine tells that something is removed after it does not list it.
    gone: VecDeque<(Instant, ResourceId, String)>,
    /// When a look last ended; none while one goes on.
    looked: Option<Instant>,
    is_looking: bool,
}

/// What is kept of a look.
#[derive(Debug, Default)]
struct Seen {
    /// Containers of ours whose programs run.
    up: Ids,
    /// Those whose programs have ended.
    down: Ids,
    /// Containers that bear our labels and are not ours.
    strangers: Ids,
    networks: Ids,
    volumes: Ids,
    images: Ids,
}

/// The engine's ids and what our resources are called, in one piece of memory: they are noted while a look is whole, and what is
/// kept of it in a thousand pieces would keep a heap as large as that.
#[derive(Debug, Default)]
struct Ids(String);

impl Ids {
    fn of<'a>(named: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut lines = String::new();
        named.for_each(|(id, name)| lines.extend([id, " ", name, "\n"]));
        Self(lines)
    }

    /// What the resource is called that has this id.
    fn get(&self, id: &str) -> Option<&str> {
        self.iter().find(|(one, _)| *one == id).map(|(_, name)| name)
    }

    /// The ids, and what their resources are called.
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter_map(|line| line.split_once(' '))
    }

    fn contains(&self, id: &str) -> bool {
        self.get(id).is_some()
    }
}

impl Seen {
    fn of(scope: &Scope, observed: &Observed) -> Self {
        let ours = |is: &dyn Fn(LiveStatus) -> bool| {
            let managed = observed.containers.iter().filter(|one| is(one.status));
            let managed = managed.filter_map(|one| Some((one.id.as_str(), one.managed.as_ref()?)));
            Ids::of(managed.map(|(id, managed)| (id, managed.resource.as_str())))
        };
        let is_stranger = |one: &&ObservedContainer| {
            one.managed.is_none() && one.other_owner.as_deref() == Some(scope.owner.as_str())
        };
        let strangers = observed.containers.iter().filter(is_stranger);
        let networks = observed.networks.iter();
        let networks = networks.filter_map(|one| Some((one.id.as_str(), one.resource.as_ref()?.as_str())));
        let volumes = observed.volumes.iter().filter(|one| one.created.is_some());
        let marked = |references: &BTreeSet<ImageReference>| -> Option<Name> {
            references.iter().find_map(|reference| marked_image(&scope.owner, reference))
        };
        let images = observed.images.iter();
        let images: Vec<(&str, Name)> =
            images.filter_map(|one| Some((one.id.as_str(), marked(&one.references)?))).collect();
        Self {
            up: ours(&LiveStatus::is_up),
            down: ours(&|status| !status.is_up() && status != LiveStatus::Created),
            strangers: Ids::of(strangers.map(|one| (one.id.as_str(), ""))),
            networks: Ids::of(networks),
            volumes: Ids::of(volumes.map(|one| (one.name.as_str(), one.name.as_str()))),
            images: Ids::of(images.iter().map(|(id, name)| (*id, name.as_str()))),
        }
    }

    /// What of a look before is not in this one, of what bears no labels in its events.
    fn gone_since(&self, before: &Self) -> Vec<(ResourceId, String)> {
        let kinds = [
            (Kind::Network, &self.networks, &before.networks),
            (Kind::Volume, &self.volumes, &before.volumes),
            (Kind::Image, &self.images, &before.images),
        ];
        let gone = kinds.into_iter().flat_map(|(kind, now, before)| {
            let there: BTreeSet<&str> = now.iter().map(|(id, _)| id).collect();
            let gone = before.iter().filter(move |(id, _)| !there.contains(id));
            gone.map(move |(id, name)| (kind, id.to_owned(), name.parse()))
        });
        gone.filter_map(|(kind, id, name)| Some((ResourceId::new(kind, name.ok()?), id))).collect()
    }

    /// Whether it is a container of ours that ran. Those that never did are looked into by a look itself.
    fn ran(&self, id: &str) -> bool {
        self.up.contains(id) || self.down.contains(id)
    }
}

/// What a step is done to, and what that looks like from outside.
#[derive(Debug)]
struct Trace {
    target: String,
    /// As what the engine will tell of it.
    looks: Vec<&'static str>,
    /// Since when it is over.
    over: Option<Instant>,
}

/// What a step is done to, and as which touches the engine tells of it.
fn traces(step: &Step) -> Vec<(&str, &'static [&'static str])> {
    vec![match step {
        // Podman thaws what it stops.
        Step::Stop(container) => (container, &["kill", "stop", "unpause"]),
        Step::Restart(container) => (container, &["kill", "stop", "unpause", "restart"]),
        Step::Signal { container, .. } => (container, &["kill"]),
        Step::Pause(container) => (container, &["pause"]),
        Step::Unpause(container) => (container, &["unpause"]),
        Step::Rename { container, to } => return vec![(container, &["rename"]), (to, &[RENAMED])],
        Step::Update { container, .. } => (container, &["update"]),
        Step::Put { container, .. } => (container, &["copy in"]),
        Step::Collect { container, .. } => (container, &["copy out"]),
        Step::Connect { container, .. } => (container, &["connect"]),
        Step::Disconnect { container, .. } => (container, &["disconnect"]),
        Step::RemoveContainer(target) | Step::RemoveNetwork(target) => (target, &["remove"]),
        Step::Untag { image, .. } => (image.as_str(), &["untag", "remove"]),
        // One that could not be made is removed by the engine.
        Step::CreateContainer { name, .. } => (name, &[CREATE]),
        Step::Make { recipe, .. } => {
            let made: (&str, &'static [&'static str]) = (ANY_IMAGE, &["untag"]);
            return match &recipe.ingredients {
                Ingredients::Commit(commit) => {
                    vec![(commit.container.as_str(), &["commit", "pause", "unpause"]), made]
                }
                Ingredients::Import { .. } | Ingredients::Build { .. } => vec![made],
            };
        }
        _ => return Vec::new(),
    }]
}

/// What is made gets a tag while it is made, and loses it: which image that is, is known when it is made.
const ANY_IMAGE: &str = "";
/// No touch is called that: what it looks like depends on whether its container was there before.
const CREATE: &str = "create";
/// Nor that: Podman tells what a container is called now, and not what it was called.
const RENAMED: &str = "renamed";

impl Trace {
    /// Whether a touch is what the engine tells of it. Each is told once: who does the same afterwards is somebody else.
    fn takes(&mut self, touch: &Touch, was_there: bool) -> bool {
        let before = match &touch.manner {
            Manner::Rename(before) => before.as_str(),
            _ => "",
        };
        let is_image = self.target == ANY_IMAGE && touch.kind == Kind::Image;
        let is_target = is_image || [&touch.id, &touch.name, before].contains(&self.target.as_str());
        let looks = |look: &&str| match *look {
            CREATE => touch.manner == Manner::Remove && !was_there,
            RENAMED => touch.manner == Manner::Rename(String::new()),
            look => look == touch.manner.as_str(),
        };
        let Some(at) = self.looks.iter().position(looks).filter(|_| is_target) else { return false };
        // What does not end by one signal gets another; who leaves a network is told twice by Docker; an image that is made may
        // have several tags.
        if !matches!(touch.manner, Manner::Kill(_) | Manner::Disconnect(_) | Manner::Untag) {
            self.looks.swap_remove(at);
        }
        true
    }
}

impl Traces {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step begins; its traces are there until some time after what is given back is dropped.
    fn begin(&self, step: &Step) -> UnderWay<'_> {
        let begun = traces(step);
        let mut state = self.state();
        while state.traces.front().and_then(|trace| trace.over).is_some_and(|over| over.elapsed() > LINGERS) {
            state.traces.pop_front();
            state.first += 1;
        }
        let first = state.first + state.traces.len();
        let numbers = first..first + begun.len();
        state.traces.extend(begun.into_iter().map(|(target, looks)| Trace {
            target: target.to_owned(),
            looks: looks.to_vec(),
            over: None,
        }));
        UnderWay { traces: self, numbers }
    }

    /// Whether it is the daemon that has done this. Asked once of each.
    pub(super) fn are_of(&self, touch: &Touch) -> bool {
        let mut state = self.state();
        let was_there = state.seen.ran(&touch.id);
        let lingers = |over: Option<Instant>| over.is_none_or(|over| over.elapsed() <= LINGERS);
        let looks_into = state.is_looking || state.looked.is_some_and(|looked| looked.elapsed() <= LINGERS);
        (touch.manner == Manner::CopyOut && !was_there && looks_into)
            || state.traces.iter_mut().any(|trace| lingers(trace.over) && trace.takes(touch, was_there))
    }

    /// Whether a container has its labels from an image that somebody committed from one of ours.
    pub(super) fn is_stranger(&self, touch: &Touch) -> bool {
        self.state().seen.strangers.contains(&touch.id)
    }

    /// Which resource of `owner`'s something was done to, as far as labels or the last look tell.
    pub(super) fn whose(&self, owner: &Owner, touch: &Touch) -> Option<ResourceId> {
        if let Some((whose, resource)) = &touch.labelled {
            return (whose == owner).then(|| resource.clone());
        }
        let state = self.state();
        let (id, seen) = (&touch.id, &state.seen);
        let name = match (touch.kind, &touch.manner) {
            // What does not run joins its networks as it starts.
            (Kind::Container, Manner::Connect(_)) => seen.up.get(id),
            (Kind::Container, _) => seen.up.get(id).or_else(|| seen.down.get(id)),
            (Kind::Network, _) => seen.networks.get(id),
            (Kind::Volume, _) => seen.volumes.get(id),
            (Kind::Image, _) => seen.images.get(id),
        };
        let gone = || {
            let mut gone = state.gone.iter().filter(|(_, resource, _)| resource.kind == touch.kind);
            gone.find(|(_, _, one)| one == id).map(|(_, resource, _)| resource.clone())
        };
        name.and_then(|name| Some(ResourceId::new(touch.kind, name.parse().ok()?))).or_else(gone)
    }

    /// The engine was not heard: what ran may have ended, and be started again by whoever.
    pub(super) fn lost(&self) {
        self.state().seen.up = Ids::default();
    }

    fn looking(&self) {
        self.state().is_looking = true;
    }

    fn looked(&self, scope: &Scope, observed: Option<&Observed>) {
        let mut state = self.state();
        (state.is_looking, state.looked) = (false, Some(Instant::now()));
        if let Some(observed) = observed {
            let (now, seen) = (Instant::now(), Seen::of(scope, observed));
            let gone = seen.gone_since(&state.seen);
            state.gone.retain(|(since, _, _)| since.elapsed() <= LINGERS);
            state.gone.extend(gone.into_iter().map(|(resource, id)| (now, resource, id)));
            state.seen = seen;
        }
    }
}

/// A step that is being done.
struct UnderWay<'a> {
    traces: &'a Traces,
    /// The numbers of its traces.
    numbers: Range<usize>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.traces.state();
        let first = state.first;
        for number in self.numbers.clone() {
            if let Some(trace) = state.traces.get_mut(number - first) {
                trace.over = Some(Instant::now());
            }
        }
    }
}

/// An engine on which everything that is done leaves its trace.
#[derive(Debug)]
pub(super) struct Traced<'a, E> {
    engine: &'a E,
    traces: &'a Traces,
}

impl<'a, E> Traced<'a, E> {
    pub(super) const fn new(engine: &'a E, traces: &'a Traces) -> Self {
        Self { engine, traces }
    }
}

impl<E: Observe> Observe for Traced<'_, E> {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        self.traces.looking();
        let observed = self.engine.observe(scope).await;
        self.traces.looked(scope, observed.as_ref().ok());
        observed
    }

    async fn data_directory(&self) -> Result<Option<String>, EngineError> {
        self.engine.data_directory().await
    }
}

impl<E: Perform> Perform for Traced<'_, E> {
    async fn perform(&self, step: &Step, progress: &Progress<'_>) -> Result<(), EngineError> {
        let _under_way = self.traces.begin(step);
        self.engine.perform(step, progress).await
    }
}
