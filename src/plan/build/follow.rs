//! The steps of containers that share a namespace of one whose program is started again though nothing takes its place.

use std::collections::BTreeSet;

use super::Builder;
use super::container::step;
use crate::diff::Old;
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

impl Builder<'_> {
    /// Who shares namespaces of a container that a replacement stopped in vain, and that was started again as it was, is
    /// restarted. Its own replacement, which begins at the node `first`, may have it started again, too.
    pub(super) fn follow_back(&mut self, id: &ResourceId, old: &Old, first: usize) {
        let target = old.id.as_str();
        let starts_it = |step: &Step| matches!(step, Step::Start(container) if container == target);
        // One that could not be stopped has not stopped, as far as anybody knows.
        let stops_it = |step: &Step| matches!(step, Step::Stop(container) if container == target);
        let is_own = |at: &usize| {
            let Node { step, rescue, .. } = &self.nodes[*at];
            rescue.iter().any(starts_it) && !stops_it(step)
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
