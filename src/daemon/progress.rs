//! Logs a plan while it is walked. In: the executor's events. Out: one line for each resource that is
//! done or failed, and which predecessors were interrupted. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::pulse::Pulse;
use crate::diff::Change;
use crate::execute::Event;
use crate::plan::{Node, Plan, Step, action, because};
use crate::resource::name::ResourceId;
use crate::resource::printable::printable;

/// Follows one plan.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    changes: BTreeMap<&'a ResourceId, &'a Change>,
    /// What is not changed now; steps for it put back what was there before.
    waiting: &'a BTreeMap<ResourceId, String>,
    pulse: &'a Pulse,
    state: Mutex<State<'a>>,
}

#[derive(Debug, Default)]
struct State<'a> {
    /// How many steps of each resource are left, and when its first began.
    left: BTreeMap<&'a ResourceId, (usize, Option<Instant>)>,
    disturbed: BTreeSet<ResourceId>,
}

impl<'a> Progress<'a> {
    pub(super) fn of(plan: &'a Plan, pulse: &'a Pulse) -> Self {
        let mut state = State::default();
        for id in plan.nodes.iter().flat_map(|node| &node.resources) {
            state.left.entry(id).or_default().0 += 1;
        }
        let changes = plan.changes.iter().map(|change| (&change.id, change)).collect();
        Self { changes, waiting: &plan.waiting, pulse, state: Mutex::new(state) }
    }

    /// Notes what happens.
    pub(super) fn note(&self, event: &Event<'_>) {
        self.pulse.beat();
        match event {
            Event::Started(_, node) => self.started(node),
            Event::Progress(_, node, stage) => debug!(step = %node.step, "{}", printable(&stage.to_string())),
            Event::Done(_, node, took) => {
                debug!(step = %node.step, took = %seconds(*took), "step done");
                self.done(node);
            }
            Event::Failed(_, node, why) => {
                for id in &node.resources {
                    let (action, reasons) = self.about(id);
                    let why = why.to_string();
                    error!(resource = %id, action, reasons, step = %node.step, why = %printable(&why), "failed");
                }
            }
            Event::Left(_, node) => debug!(step = %node.step, "no result yet, a later pass goes on"),
            Event::Rescued(_, node, Ok(away)) => {
                self.rescued(node);
                let away = away.map(seconds);
                for id in &node.resources {
                    warn!(resource = %id, away, "what was there before is put back");
                }
            }
            Event::Rescued(_, node, Err(why)) => {
                self.rescued(node);
                for id in &node.resources {
                    error!(resource = %id, why = %printable(why), "what was there before cannot be put back");
                }
            }
            Event::Skipped(_, node) => debug!(step = %node.step, "step left out"),
        }
    }

    /// The resources of which something that was there has been interrupted.
    pub(super) fn into_disturbed(self) -> BTreeSet<ResourceId> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).disturbed
    }

    fn started(&self, node: &Node) {
        debug!(step = %node.step, "step begins");
        let mut state = self.state();
        if node.step.interrupts() {
            state.disturbed.extend(node.resources.iter().cloned());
        }
        for id in &node.resources {
            if let Some((_, begun)) = state.left.get_mut(id) {
                begun.get_or_insert_with(Instant::now);
            }
        }
    }

    /// What has to be started again was interrupted, maybe by an earlier pass.
    fn rescued(&self, node: &Node) {
        if node.rescue.iter().any(|step| matches!(step, Step::Start(_))) {
            self.state().disturbed.extend(node.resources.iter().cloned());
        }
    }

    fn done(&self, node: &Node) {
        for id in &node.resources {
            let begun = {
                let mut state = self.state();
                let Some((left, begun)) = state.left.get_mut(id) else { continue };
                *left = left.saturating_sub(1);
                if *left > 0 {
                    continue;
                }
                begun.unwrap_or_else(Instant::now)
            };
            if self.waiting.contains_key(id) {
                info!(resource = %id, "what was there before is put back");
                continue;
            }
            let (action, reasons) = self.about(id);
            info!(resource = %id, action, reasons, took = %seconds(begun.elapsed()), "done");
        }
    }

    /// A resource's action and reasons; secrets are masked in them already.
    fn about(&self, id: &ResourceId) -> (&'static str, String) {
        self.changes.get(id).map_or_else(|| ("", String::new()), |change| (action(change), because(change)))
    }

    fn state(&self) -> MutexGuard<'_, State<'a>> {
        // Counts stay true whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time as people say it: `0.42s`.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2}s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_7_a_predecessor_that_an_earlier_pass_stopped_was_interrupted_when_it_is_put_back() {
        let (web, start) = ("container/web".parse::<ResourceId>().unwrap(), Step::Start("old".to_owned()));
        let interrupted = |rescue: Vec<Step>| {
            let step = Step::Pause("web".to_owned());
            let node = Node { step, resources: vec![web.clone()], needs: Vec::new(), rescue };
            let plan = Plan { nodes: vec![node], ..Plan::default() };
            let pulse = Pulse::default();
            let progress = Progress::of(&plan, &pulse);
            progress.note(&Event::Rescued(0, &plan.nodes[0], Ok(None)));
            progress.into_disturbed().contains(&web)
        };
        assert!(interrupted(vec![Step::RemoveContainer("web".to_owned()), start]));
        assert!(!interrupted(vec![Step::RemoveContainer("web.invigil-next".to_owned())]));
    }
}
