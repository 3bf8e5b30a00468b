//! What the daemon itself does leaves traces: by them it is told from what others do. In: each step, before it is done, and
//! each look. Out: the same engine, whether a touch is of the daemon's own making, and which resource it was done to.
//! Changes nothing.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::seen::Seen;
use crate::desired::Ingredients;
use crate::engine::{EngineError, Manner, Observe, Perform, Progress, Scope, Touch};
use crate::observed::Observed;
use crate::plan::Step;
use crate::resource::name::{Kind, Owner, ResourceId};

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
    seen: Seen,
    /// When a look last ended; none while one goes on.
    looked: Option<Instant>,
    is_looking: bool,
}

/// What a step is done to, and what that looks like from outside.
#[derive(Debug)]
struct Trace {
    target: Target,
    /// As what the engine will tell of it.
    looks: Vec<&'static str>,
    /// Since when it is over.
    over: Option<Instant>,
}

/// What a step is done to: the engine's id, or a name.
#[derive(Debug)]
enum Target {
    Container(String),
    Network(String),
    Image(String),
    /// What is made gets a tag while it is made, and loses it: which image that is, is known when it is made.
    AnyImage,
}

/// What a step is done to, and as which touches the engine tells of it.
fn traces(step: &Step) -> Vec<(Target, &'static [&'static str])> {
    let container = |container: &str| Target::Container(container.to_owned());
    vec![match step {
        // Podman thaws what it stops.
        Step::Stop(target) => (container(target), &["kill", "stop", "unpause"]),
        Step::Restart(target) => (container(target), &["kill", "stop", "unpause", "restart"]),
        Step::Signal { container: target, .. } => (container(target), &["kill"]),
        Step::Pause(target) => (container(target), &["pause"]),
        Step::Unpause(target) => (container(target), &["unpause"]),
        Step::Rename { container: target, to } => {
            return vec![(container(target), &["rename"]), (container(to), &[RENAMED])];
        }
        Step::Update { container: target, .. } => (container(target), &["update"]),
        Step::Put { container: target, .. } => (container(target), &["copy in"]),
        Step::Collect { container: target, .. } => (container(target), &["copy out"]),
        Step::Connect { container: target, .. } => (container(target), &["connect"]),
        Step::Disconnect { container: target, .. } => (container(target), &["disconnect"]),
        Step::RemoveContainer(target) => (container(target), &["remove"]),
        Step::RemoveNetwork(target) | Step::RemoveTrial(target) => {
            (Target::Network(target.clone()), &["remove"])
        }
        Step::Untag { image, .. } => (Target::Image(image.as_str().to_owned()), &["untag", "remove"]),
        // One that could not be made is removed by the engine.
        Step::CreateContainer { name, .. } => (container(name), &[CREATE]),
        Step::Make { recipe, .. } => {
            let made: (Target, &'static [&'static str]) = (Target::AnyImage, &["untag"]);
            return match &recipe.ingredients {
                Ingredients::Commit(commit) => {
                    vec![(container(commit.container.as_str()), &["commit", "pause", "unpause"]), made]
                }
                Ingredients::Import { .. } | Ingredients::Build { .. } => vec![made],
            };
        }
        _ => return Vec::new(),
    }]
}

/// No touch is called that: what it looks like depends on whether its container was there before.
const CREATE: &str = "create";
/// Nor that: Podman tells what a container is called now, and not what it was called.
const RENAMED: &str = "renamed";

impl Target {
    /// Whether it is what was touched.
    fn is_of(&self, touch: &Touch) -> bool {
        let before = match &touch.manner {
            Manner::Rename(before) => before.as_str(),
            _ => "",
        };
        let (kind, target) = match self {
            Self::Container(target) => (Kind::Container, target),
            Self::Network(target) => (Kind::Network, target),
            Self::Image(target) => (Kind::Image, target),
            Self::AnyImage => return touch.kind == Kind::Image,
        };
        kind == touch.kind && [&touch.id, &touch.name, before].contains(&target.as_str())
    }
}

impl Trace {
    /// Whether a touch is what the engine tells of it. Each is told once: who does the same afterwards is somebody else.
    fn takes(&mut self, touch: &Touch, was_there: bool) -> bool {
        let looks = |look: &&str| match *look {
            CREATE => touch.manner == Manner::Remove && !was_there,
            RENAMED => touch.manner == Manner::Rename(String::new()),
            look => look == touch.manner.as_str(),
        };
        let Some(at) = self.looks.iter().position(looks).filter(|_| self.target.is_of(touch)) else {
            return false;
        };
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
            target,
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

    /// Which resource of `owner`'s something was done to, as far as labels or the last look tell.
    pub(super) fn whose(&self, owner: &Owner, touch: &Touch) -> Option<ResourceId> {
        match &touch.labelled {
            Some((whose, resource)) => (whose == owner).then(|| resource.clone()),
            None => self.state().seen.whose(touch),
        }
    }

    /// Which resource a touch is to be told of, once it has settled, if any.
    pub(super) fn settled(&self, resource: &ResourceId, touch: &Touch) -> Option<ResourceId> {
        self.state().seen.settled(resource, touch)
    }

    /// A container's program began or ended.
    pub(super) fn turned(&self, container: &str) {
        self.state().seen.turned(container);
    }

    /// The engine was not heard: what ran may have ended, and be started again by whoever.
    pub(super) fn lost(&self) {
        self.state().seen.lost();
    }

    fn looking(&self) {
        self.state().is_looking = true;
    }

    fn looked(&self, scope: &Scope, observed: Option<&Observed>) {
        let mut state = self.state();
        (state.is_looking, state.looked) = (false, Some(Instant::now()));
        if let Some(observed) = observed {
            state.seen.look(&scope.owner, observed);
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
