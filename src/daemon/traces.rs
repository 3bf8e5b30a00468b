//! What the daemon itself does leaves traces: by them it is told from what others do. In: each step, before it is done, and
//! each look. Out: the same engine, and whether a touch is of the daemon's own making. Changes nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::desired::Ingredients;
use crate::engine::{EngineError, Manner, Observe, Perform, Progress, Scope, Touch};
use crate::observed::{LiveStatus, Observed, ObservedContainer};
use crate::plan::Step;

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
    /// Containers of ours that the last look showed, of which those that never ran are looked into by a look itself.
    there: Ids,
    /// Containers that bear our labels and are not ours.
    strangers: Ids,
    /// When a look last ended; none while one goes on.
    looked: Option<Instant>,
    is_looking: bool,
}

/// Ids, in one piece of memory: they are noted while a look is whole, and what is kept of it in a thousand pieces would keep a
/// heap as large as that.
#[derive(Debug, Default)]
struct Ids(String);

impl Ids {
    fn of<'a>(ids: impl Iterator<Item = &'a str>) -> Self {
        let mut lines = String::new();
        ids.for_each(|id| lines.extend([id, "\n"]));
        Self(lines)
    }

    fn contains(&self, id: &str) -> bool {
        self.0.lines().any(|one| one == id)
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
fn trace(step: &Step) -> Option<(&str, &'static [&'static str])> {
    Some(match step {
        // Podman thaws what it stops.
        Step::Stop(container) => (container, &["kill", "stop", "unpause"]),
        Step::Restart(container) => (container, &["kill", "stop", "unpause", "restart"]),
        Step::Signal { container, .. } => (container, &["kill"]),
        Step::Pause(container) => (container, &["pause"]),
        Step::Unpause(container) => (container, &["unpause"]),
        Step::Rename { container, .. } => (container, &["rename"]),
        Step::Update { container, .. } => (container, &["update"]),
        Step::Put { container, .. } => (container, &["copy in"]),
        Step::Collect { container, .. } => (container, &["copy out"]),
        Step::RemoveContainer(container) => (container, &["remove"]),
        // One that could not be made is removed by the engine.
        Step::CreateContainer { name, .. } => (name, &[CREATE]),
        Step::Make { recipe, .. } => match &recipe.ingredients {
            Ingredients::Commit(commit) => (commit.container.as_str(), &["commit", "pause", "unpause"]),
            Ingredients::Import { .. } | Ingredients::Build { .. } => return None,
        },
        _ => return None,
    })
}

/// No touch is called that: what it looks like depends on whether its container was there before.
const CREATE: &str = "create";

impl Trace {
    /// Whether a touch is what the engine tells of it. Each is told once: who does the same afterwards is somebody else.
    fn takes(&mut self, touch: &Touch, was_there: bool) -> bool {
        let before = match &touch.manner {
            Manner::Rename(before) => before.as_str(),
            _ => "",
        };
        let is_target = [&touch.id, &touch.name, before].contains(&self.target.as_str());
        let looks = |look: &&str| match *look {
            CREATE => touch.manner == Manner::Remove && !was_there,
            look => look == touch.manner.as_str(),
        };
        let Some(at) = self.looks.iter().position(looks).filter(|_| is_target) else { return false };
        // What does not end by one signal gets another.
        if !matches!(touch.manner, Manner::Kill(_)) {
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

    /// A step begins; its trace is there until some time after what is given back is dropped.
    fn begin(&self, step: &Step) -> Option<UnderWay<'_>> {
        let (target, looks) = trace(step)?;
        let mut state = self.state();
        while state.traces.front().and_then(|trace| trace.over).is_some_and(|over| over.elapsed() > LINGERS) {
            state.traces.pop_front();
            state.first += 1;
        }
        state.traces.push_back(Trace { target: target.to_owned(), looks: looks.to_vec(), over: None });
        let number = state.first + state.traces.len() - 1;
        Some(UnderWay { traces: self, number })
    }

    /// Whether it is the daemon that has done this. Asked once of each.
    pub(super) fn are_of(&self, touch: &Touch) -> bool {
        let mut state = self.state();
        let was_there = state.there.contains(&touch.id);
        let lingers = |over: Option<Instant>| over.is_none_or(|over| over.elapsed() <= LINGERS);
        let looks_into = state.is_looking || state.looked.is_some_and(|looked| looked.elapsed() <= LINGERS);
        (touch.manner == Manner::CopyOut && !was_there && looks_into)
            || state.traces.iter_mut().any(|trace| lingers(trace.over) && trace.takes(touch, was_there))
    }

    /// Whether a container has its labels from an image that somebody committed from one of ours.
    pub(super) fn is_stranger(&self, touch: &Touch) -> bool {
        self.state().strangers.contains(&touch.id)
    }

    fn looking(&self) {
        self.state().is_looking = true;
    }

    fn looked(&self, scope: &Scope, observed: Option<&Observed>) {
        let mut state = self.state();
        (state.is_looking, state.looked) = (false, Some(Instant::now()));
        let Some(observed) = observed else { return };
        let ids = |is: &dyn Fn(&&ObservedContainer) -> bool| {
            Ids::of(observed.containers.iter().filter(is).map(|one| one.id.as_str()))
        };
        state.there = ids(&|one| one.managed.is_some() && one.status != LiveStatus::Created);
        state.strangers =
            ids(&|one| one.managed.is_none() && one.other_owner.as_deref() == Some(scope.owner.as_str()));
    }
}

/// A step that is being done.
struct UnderWay<'a> {
    traces: &'a Traces,
    number: usize,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.traces.state();
        let at = self.number - state.first;
        if let Some(trace) = state.traces.get_mut(at) {
            trace.over = Some(Instant::now());
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
