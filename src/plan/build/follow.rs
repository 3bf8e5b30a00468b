//! Who shares a namespace of a container has to follow it, whatever becomes of that one. In: changes and what is there. Out: the
//! steps that stop it first where it would be killed, and those that restart it where the other one was started again though nothing
//! took its place.

use std::collections::{BTreeMap, BTreeSet};

use super::Builder;
use super::container::step;
use crate::diff::{Act, Change, Old, Operation};
use crate::plan::{Node, Step};
use crate::resource::name::ResourceId;

/// When a container's program is started again though nothing takes its place.
#[derive(Clone)]
pub(super) struct StartedAnew {
    /// The nodes of which one has failed then.
    pub(super) instead: BTreeSet<usize>,
    /// The nodes after which it is up, beside that failure's own rescue.
    pub(super) after: Vec<usize>,
}

/// One whose program ends with another's.
#[derive(Clone, Copy)]
pub(super) struct EndsWith<'a> {
    place: usize,
    change: &'a Change,
    old: &'a Old,
}

/// For each container, those of `changes` that are in its PID namespace and are stopped, restarted or made anew after it.
pub(super) fn in_pid_of<'a>(changes: &[(usize, &'a Change)]) -> BTreeMap<&'a ResourceId, Vec<EndsWith<'a>>> {
    let mut all: BTreeMap<&ResourceId, Vec<EndsWith<'_>>> = BTreeMap::new();
    for (place, change) in changes {
        let old = match &change.act {
            Act::Replace { old, .. } => old,
            Act::Alter { container, operations, .. } if operations.iter().any(Operation::stops) => container,
            _ => continue,
        };
        let Some(owner) = old.pid_of.as_ref().filter(|_| old.up) else { continue };
        // Who leaves goes before its owner does.
        let leaves =
            |(_, of): &&(usize, &Change)| of.id == *owner && of.needs.iter().any(|need| need.id == change.id);
        if changes.iter().find(leaves).is_none() {
            all.entry(owner).or_default().push(EndsWith { place: *place, change, old });
        }
    }
    all
}

impl<'a> Builder<'a> {
    /// Does what stops the program of a container, or restarts it. The engine kills those in its PID namespace then: they are stopped
    /// first, as anybody is, and started again where that fails. One in whose place another comes is, if what that needs is there.
    pub(super) fn stopping(
        &mut self,
        id: &ResourceId,
        step: Step,
        mut needs: Vec<usize>,
        mut rescue: Vec<Step>,
    ) -> usize {
        let current = self.current;
        let (mut ending, mut undoes) = (Vec::new(), Vec::new());
        self.end_with(id, &mut ending);
        for EndsWith { place, change, old } in ending {
            if matches!(change.act, Act::Replace { .. }) && !self.is_with_others(id) {
                continue;
            }
            self.current = place;
            rescue.extend(old.started_again());
            let stop = Step::Stop(old.id.as_str().to_owned());
            needs = vec![self.push_with_rescue(&change.id, stop, needs, rescue.clone())];
            self.nodes[needs[0]].undoes.clone_from(&undoes);
            undoes.push(change.id.clone());
            self.stopped_first.insert(change.id.clone());
        }
        self.current = current;
        let stopped = self.push_with_rescue(id, step, needs, rescue);
        self.nodes[stopped].undoes = undoes;
        stopped
    }

    /// Whether it is stopped before the one with which its program ends.
    pub(super) fn is_stopped_first(&self, id: &ResourceId) -> bool {
        self.stopped_first.contains(id)
    }

    /// Adds those whose programs end with a container's to `ending`, each after those whose end with its.
    fn end_with(&self, id: &ResourceId, ending: &mut Vec<EndsWith<'a>>) {
        for one in self.in_pid_of.get(id).into_iter().flatten() {
            if ending.iter().all(|other| other.change.id != one.change.id) {
                self.end_with(&one.change.id, ending);
                ending.push(*one);
            }
        }
    }

    /// Who shares namespaces of a container that a replacement stopped in vain, and that was started again as it was, is
    /// restarted. Its own replacement, which begins at the node `first`, may have it started again, too.
    pub(super) fn follow_back(&mut self, id: &ResourceId, old: &Old, first: usize) {
        let target = old.id.as_str();
        let starts_it = |step: &Step| matches!(step, Step::Start(container) if container == target);
        let restarts_it = |step: &Step| matches!(step, Step::Restart(container) if container == target);
        // One that could not be stopped has not stopped, as far as anybody knows.
        let stops_it = |step: &Step| matches!(step, Step::Stop(container) if container == target);
        let is_own = |at: &usize| {
            let Node { step, rescue, resources, .. } = &self.nodes[*at];
            resources.contains(id)
                && (rescue.iter().any(restarts_it) || rescue.iter().any(starts_it) && !stops_it(step))
        };
        let own: BTreeSet<usize> = (first..self.nodes.len()).filter(is_own).collect();
        let mut anew = vec![StartedAnew { instead: own, after: Vec::new() }];
        // One that is frozen is looked after by the next look, unless it was stopped in this one.
        let is_stopped = self.is_stopped_first(id);
        if is_stopped || old.up && !old.frozen && old.hindered.is_none() {
            let steps = if is_stopped { old.started_again() } else { vec![Step::Restart(target.to_owned())] };
            let owners = old.shares.iter().filter_map(|owner| self.anew.get(owner));
            let owners: Vec<StartedAnew> = owners.flatten().cloned().collect();
            for StartedAnew { instead, after } in owners {
                let mut after = after;
                for step in &steps {
                    after = vec![self.push(id, step.clone(), after)];
                    self.nodes[after[0]].instead = instead.iter().copied().collect();
                }
                anew.push(StartedAnew { instead, after });
            }
        }
        anew.retain(|anew| !anew.instead.is_empty());
        self.anew.entry(id.clone()).or_default().extend(anew);
    }

    /// One that runs, and that nothing takes the place of for now, is left without a network where the container whose it
    /// shares was started anew, or is in this plan.
    pub(super) fn follow_meanwhile(&mut self, id: &ResourceId, old: &Old, mut needs: Vec<usize>) {
        let starts = |node: &Node| {
            matches!(node.step, Step::Start(_) | Step::Restart(_))
                && node.instead.is_empty()
                && node.resources.iter().any(|owner| old.shares.contains(owner))
        };
        let is_now = self.nodes.iter().any(starts);
        if old.follow.is_empty() && (!is_now || old.frozen) {
            return;
        }
        let owners: Vec<String> = old.shares.iter().map(ToString::to_string).collect();
        let shares = format!("{id} shares namespaces of {}, started anew", owners.join(" and "));
        if let Some(why) = &old.hindered {
            self.notes.push(format!("{shares}, and is not restarted as it is: {why}"));
            return;
        }
        self.notes.push(format!("{shares}: until it can be replaced it is restarted as it is"));
        needs.extend(old.shares.iter().filter_map(|owner| self.ready.get(owner)).flatten());
        let mut steps: Vec<Step> =
            old.follow.iter().filter_map(|operation| step(operation, id, old.id.as_str())).collect();
        if steps.is_empty() {
            steps.push(Step::Restart(old.id.as_str().to_owned()));
        }
        for step in steps {
            needs = vec![self.push(id, step, needs)];
        }
        self.ready.insert(id.clone(), needs);
    }
}
