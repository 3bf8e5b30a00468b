//! Walks a plan. In: a plan and an engine. Out: what became of each step. Decides nothing: order,
//! targets and rescues all stand in the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, watch};

use crate::engine::{EngineError, Perform, Stage};
use crate::plan::{Node, Plan, Step};
use crate::resource::env::without_secrets;
use crate::resource::name::ResourceId;

/// What happens while a plan is walked, for whoever watches. Nodes are places in the plan.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step began.
    Started(usize, &'a Node),
    /// A step is at something. What looks secret is hidden in it (law 12).
    Progress(usize, &'a Node, Stage),
    /// A step succeeded.
    Done(usize, &'a Node, Duration),
    /// A step failed.
    Failed(usize, &'a Node, &'a EngineError),
    /// A step that waits was broken off before there was a result.
    Left(usize, &'a Node),
    /// What a failed step had interrupted was undone, after this long if a program was stopped for it; or could not be.
    Rescued(usize, &'a Node, Result<Option<Duration>, String>),
    /// A step was not tried because one that it needs failed, or because it was time to stop.
    Skipped(usize, &'a Node),
}

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Resources whose steps all succeeded.
    pub done: BTreeSet<ResourceId>,
    /// Resources of which a step failed, with why, in a sentence.
    pub failed: BTreeMap<ResourceId, String>,
    /// Resources that were not finished for another's failure or because it was time to stop.
    pub skipped: BTreeSet<ResourceId>,
    /// Whether something that was waited for came to no result: a later plan goes on with it.
    pub undecided: bool,
    /// Whether the engine was lost on the way.
    pub engine_lost: bool,
}

impl Outcomes {
    /// Whether everything was done.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty()
    }
}

/// How many steps are in flight by default: four for each core, at most 16. An engine on two cores is
/// fastest with 4 to 8 and slower with 50.
pub fn default_parallelism() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| (cores.get() * 4).min(16))
}

/// How many steps that only wait may be in flight for each place but the first, and in all: each looks at its container ten
/// times a second, which an engine does not notice of some dozens.
const WAITS: usize = 8;
const WAITS_MAX: usize = 64;

/// Walks `plan` on `engine` with at most `parallelism` steps in flight. Those that only wait for a container hold no
/// place, unless there is but one, or they are too many; of what undoes what they waited for in vain, again at most
/// `parallelism` are in flight.
///
/// When `stop` turns true, steps in flight are finished and no further one is begun, but for those that
/// end what is begun already: a predecessor that was stopped is not left without a successor (law 11).
pub async fn execute<E: Perform>(
    plan: &Plan,
    engine: &E,
    parallelism: usize,
    stop: &watch::Receiver<bool>,
    report: &(dyn Fn(Event<'_>) + Sync),
) -> Outcomes {
    let mut walk = Walk::new(plan);
    let rescues = Semaphore::new(parallelism.max(1));
    let mut flying = FuturesUnordered::new();
    let mut outcomes = Outcomes::default();
    let mut interrupted: BTreeSet<&ResourceId> = BTreeSet::new();
    let mut stopped: BTreeMap<&ResourceId, Instant> = BTreeMap::new();
    let mut is_alone = false;
    let mut waiting = 0;
    let waits_max = (parallelism.saturating_sub(1) * WAITS).min(WAITS_MAX);
    loop {
        while flying.len() - waiting.min(waits_max) < parallelism.max(1) && !outcomes.engine_lost {
            let owed = stop.borrow().then(|| walk.owed(plan, &interrupted));
            let may = |index: usize| {
                owed.as_ref().is_none_or(|owed| owed.contains(&index))
                    && !(is_alone && plan.nodes[index].step.is_done_alone())
            };
            let Some(index) = walk.next(may) else { break };
            is_alone |= plan.nodes[index].step.is_done_alone();
            waiting += usize::from(plan.nodes[index].step.only_waits());
            if plan.nodes[index].step.interrupts() {
                interrupted.extend(&plan.nodes[index].resources);
            }
            let resources = &plan.nodes[index].resources;
            if matches!(plan.nodes[index].step, Step::Stop(_)) {
                for id in resources {
                    stopped.entry(id).or_insert_with(Instant::now);
                }
            }
            let since = plan.nodes[index].concerns().filter_map(|id| stopped.get(id).copied()).min();
            flying.push(run(index, &plan.nodes[index], since, engine, &rescues, report));
        }
        let Some((index, result, is_started)) = flying.next().await else { break };
        is_alone &= !plan.nodes[index].step.is_done_alone();
        waiting -= usize::from(plan.nodes[index].step.only_waits());
        match result {
            Ok(()) => walk.succeeded(index),
            Err(EngineError::Undecided) => {
                outcomes.undecided = true;
                outcomes.skipped.extend(plan.nodes[index].resources.iter().cloned());
            }
            Err(error) => {
                outcomes.engine_lost |= error.is_unreachable();
                // What runs beside is left alone unless what it follows is there again.
                walk.failed(index, |other| is_started || !matches!(plan.nodes[other].step, Step::Restart(_)));
                for id in &plan.nodes[index].resources {
                    outcomes.failed.entry(id.clone()).or_insert_with(|| error.to_string());
                }
            }
        }
    }
    let is_left = |(index, node): &(usize, &Node)| !walk.is_started(*index) && node.instead.is_empty();
    for (index, node) in plan.nodes.iter().enumerate().filter(is_left) {
        report(Event::Skipped(index, node));
        outcomes.skipped.extend(node.resources.iter().cloned());
    }
    outcomes.skipped.retain(|id| !outcomes.failed.contains_key(id));
    let all = plan.nodes.iter().flat_map(|node| &node.resources);
    let unfinished = |id: &&ResourceId| !outcomes.failed.contains_key(*id) && !outcomes.skipped.contains(*id);
    outcomes.done = all.filter(unfinished).cloned().collect();
    outcomes
}

/// Does a step, and undoes what led to it if it fails. Gives what came of it, and whether what was to be started again for it is.
async fn run<E: Perform>(
    index: usize,
    node: &Node,
    since: Option<Instant>,
    engine: &E,
    rescues: &Semaphore,
    report: &(dyn Fn(Event<'_>) + Sync),
) -> (usize, Result<(), EngineError>, bool) {
    report(Event::Started(index, node));
    let begun = Instant::now();
    let progress = |Stage { doing, far }: Stage| {
        let far = far.map(|far| without_secrets(&far));
        report(Event::Progress(index, node, Stage { doing: without_secrets(&doing), far }));
    };
    let result = engine.perform(&node.step, &progress).await;
    let mut is_started = true;
    match &result {
        Ok(()) => report(Event::Done(index, node, begun.elapsed())),
        Err(EngineError::Undecided) => report(Event::Left(index, node)),
        Err(error) => {
            report(Event::Failed(index, node, error));
            if !node.rescue.is_empty() {
                let _place = if node.step.only_waits() { rescues.acquire().await.ok() } else { None };
                let (rescued, started) = rescue(node, engine).await;
                is_started = started;
                report(Event::Rescued(index, node, rescued.map(|()| since.map(|since| since.elapsed()))));
            }
        }
    }
    (index, result, is_started)
}

/// Undoes what led to a failed step. Every part is tried, also after one of them failed: the last one
/// starts the predecessor again. Gives whether it is undone, and whether what was to be started again is.
async fn rescue<E: Perform>(node: &Node, engine: &E) -> (Result<(), String>, bool) {
    let mut failures = Vec::new();
    let mut is_started = true;
    for step in &node.rescue {
        if let Err(error) = engine.perform(step, &|_| {}).await {
            is_started &= !matches!(step, Step::Start(_) | Step::Restart(_));
            failures.push(format!("{step}: {error}"));
        }
    }
    let undone = if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) };
    (undone, is_started)
}

/// Which steps can be begun.
struct Walk {
    /// For each node, how many of those it needs are not done; one more as long as none has failed that it is instead of.
    missing: Vec<usize>,
    /// For each node, those that need it.
    needed_by: Vec<Vec<usize>>,
    /// For each node, those that are done only if it fails.
    instead: Vec<Vec<usize>>,
    /// Those of which one has failed that they are instead of.
    called: BTreeSet<usize>,
    /// Nodes that can be begun and are not, lowest first.
    ready: BTreeSet<usize>,
    started: Vec<bool>,
}

impl Walk {
    fn new(plan: &Plan) -> Self {
        let mut needed_by = vec![Vec::new(); plan.nodes.len()];
        let mut instead = needed_by.clone();
        for (index, node) in plan.nodes.iter().enumerate() {
            for need in &node.needs {
                needed_by[*need].push(index);
            }
            for other in &node.instead {
                instead[*other].push(index);
            }
        }
        let missing = plan.nodes.iter().map(|node| node.needs.len() + usize::from(!node.instead.is_empty()));
        let missing: Vec<usize> = missing.collect();
        let ready = (0..missing.len()).filter(|index| missing[*index] == 0).collect();
        Self {
            missing,
            needed_by,
            instead,
            called: BTreeSet::new(),
            ready,
            started: vec![false; plan.nodes.len()],
        }
    }

    /// The lowest node that can be begun and may.
    fn next(&mut self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let index = self.ready.iter().copied().find(|index| may(*index))?;
        self.ready.remove(&index);
        self.started[index] = true;
        Some(index)
    }

    fn succeeded(&mut self, index: usize) {
        for dependent in std::mem::take(&mut self.needed_by[index]) {
            self.one_less(dependent);
        }
    }

    /// Calls what is done instead, as far as it may.
    fn failed(&mut self, index: usize, may: impl Fn(usize) -> bool) {
        for other in std::mem::take(&mut self.instead[index]) {
            if may(other) && self.called.insert(other) {
                self.one_less(other);
            }
        }
    }

    fn one_less(&mut self, index: usize) {
        self.missing[index] -= 1;
        if self.missing[index] == 0 {
            self.ready.insert(index);
        }
    }

    /// What ends what is begun: every step for one of the `interrupted`, and all that those wait for.
    fn owed(&self, plan: &Plan, interrupted: &BTreeSet<&ResourceId>) -> BTreeSet<usize> {
        let mut owed = BTreeSet::new();
        for (index, node) in plan.nodes.iter().enumerate().rev().filter(|(index, _)| !self.started[*index]) {
            let ends = !node.instead.is_empty() || node.resources.iter().any(|id| interrupted.contains(id));
            if ends || owed.contains(&index) {
                owed.insert(index);
                owed.extend(&node.needs);
            }
        }
        owed
    }

    fn is_started(&self, index: usize) -> bool {
        self.started[index]
    }
}

#[cfg(test)]
mod tests;
