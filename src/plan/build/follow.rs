//! The steps of containers that share a namespace of one whose program is started again though nothing takes its place.

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

/// For each container, those of `changes` that are in its PID namespace and are made anew or restarted.
pub(super) fn in_pid_of<'a>(
    changes: &[(usize, &'a Change)],
) -> BTreeMap<&'a ResourceId, Vec<(usize, &'a ResourceId, &'a Old)>> {
    let mut all: BTreeMap<&ResourceId, Vec<(usize, &ResourceId, &Old)>> = BTreeMap::new();
    for (place, change) in changes {
        let old = match &change.act {
            Act::Replace { old, .. } => old,
            Act::Alter { container, operations, .. } if operations.contains(&Operation::Restart) => container,
            _ => continue,
        };
        if let Some(owner) = old.pid_of.as_ref().filter(|_| old.up) {
            all.entry(owner).or_default().push((*place, &change.id, old));
        }
    }
    all
}

impl<'a> Builder<'a> {
    /// Does what stops the program of a container, or restarts it. The engine kills those in its PID namespace then: they are stopped
    /// first, as anybody is, and started again where that fails.
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
        for (place, sharer, old) in ending {
            self.current = place;
            let target = || old.id.as_str().to_owned();
            rescue.push(Step::Restart(target()));
            needs = vec![self.push_with_rescue(sharer, Step::Stop(target()), needs, rescue.clone())];
            self.nodes[needs[0]].undoes.clone_from(&undoes);
            undoes.push(sharer.clone());
        }
        self.current = current;
        let stopped = self.push_with_rescue(id, step, needs, rescue);
        self.nodes[stopped].undoes = undoes;
        stopped
    }

    /// Adds those whose programs end with a container's to `ending`, each after those whose end with its.
    fn end_with(&self, id: &ResourceId, ending: &mut Vec<(usize, &'a ResourceId, &'a Old)>) {
        for one in self.in_pid_of.get(id).into_iter().flatten() {
            if ending.iter().all(|(_, other, _)| *other != one.1) {
                self.end_with(one.1, ending);
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
        // One that is frozen is looked after by the next look.
        if old.up && !old.frozen && old.hindered.is_none() {
            let owners = old.shares.iter().filter_map(|owner| self.anew.get(owner));
            let owners: Vec<StartedAnew> = owners.flatten().cloned().collect();
            for StartedAnew { instead, after } in owners {
                let restart = self.push(id, Step::Restart(target.to_owned()), after);
                self.nodes[restart].instead = instead.iter().copied().collect();
                anew.push(StartedAnew { instead, after: vec![restart] });
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
