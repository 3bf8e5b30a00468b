//! Turns changes into ordered steps. One step is one engine operation. Decides everything that is to
//! be decided; who walks the plan decides nothing. Never calls an engine.

mod build;
mod json;
mod step;
mod text;

use std::collections::{BTreeMap, BTreeSet};

pub use step::{Await, Step, nothing_new};
use text::Verb;
#[cfg(test)]
pub use text::actions;
pub use text::{Palette, action, because, detail};

use crate::diff::{Act, Change, Changes, Need, Old, Operation, Unwell};
use crate::observed::{Applied, EngineId};
use crate::resource::container::Condition;
use crate::resource::label::is_pulled_for_containers;
use crate::resource::name::{Kind, Owner, ResourceId};

/// What is going to happen, in an order in which it can.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The changes that it is about, sorted by resource.
    pub changes: Vec<Change>,
    /// The steps; a step needs only steps before it.
    pub nodes: Vec<Node>,
    /// The resources that are as they should be.
    pub unchanged: Vec<ResourceId>,
    /// Those of them that are not well.
    pub unwell: BTreeMap<ResourceId, Unwell>,
    /// Resources that no manifest describes and that are kept for now, with why.
    pub withheld: Vec<(ResourceId, String)>,
    /// Changes that are not tried in this plan, with why.
    pub waiting: BTreeMap<ResourceId, String>,
    /// What cannot be made now, and likely can in a moment.
    pub soon: BTreeSet<ResourceId>,
    /// What is left as it is because somebody said so, with why.
    pub suspended: BTreeMap<ResourceId, String>,
    /// Why nothing is changed on this host, if that is so.
    pub host_suspended: Option<String>,
    /// Whether anything is wrong with the manifests: then nothing that they do not describe is removed (law 3).
    pub wrong: bool,
    /// What is left as it is because its manifest is wrong, or one that it needs.
    pub left: BTreeSet<ResourceId>,
    /// What is no error, and worth knowing.
    pub warnings: Vec<String>,
    /// What is to be remembered of containers once they do what their manifests now have them do. No step depends on it.
    pub turned: BTreeMap<ResourceId, (EngineId, Applied)>,
}

/// One step and its place in the order.
#[derive(Debug, Clone)]
pub struct Node {
    /// The operation.
    pub step: Step,
    /// The resources that it is for.
    pub resources: Vec<ResourceId>,
    /// The changes that it is for, by their place in the plan: one resource may have several.
    pub changes: Vec<usize>,
    /// The nodes that have to succeed first, by their place in the plan.
    pub needs: Vec<usize>,
    /// What undoes what was done so far if this step fails, in order.
    pub rescue: Vec<Step>,
    /// The other resources that are put back by that.
    pub undoes: Vec<ResourceId>,
    /// If there are any, it is done only where one of these nodes fails, by their place in the plan: what was there before
    /// is started again as it was.
    pub instead: Vec<usize>,
}

impl Node {
    /// Its resources, and the others that are put back where it fails.
    pub fn concerns(&self) -> impl Iterator<Item = &ResourceId> {
        self.resources.iter().chain(&self.undoes)
    }
}

impl Plan {
    /// Orders changes. What is in `held` (resource and why) is left out, and so is what needs it.
    pub fn new(changes: Changes, owner: &Owner, held: &BTreeMap<ResourceId, String>) -> Self {
        Self::putting_back(changes, owner, held, &BTreeSet::new(), &BTreeSet::new())
    }

    /// The same where replacements of `interrupted` failed after they had stopped what was there: it is
    /// put back, should it not be there again. That one was stopped shows from names, too, but not always. What was there
    /// before those that are `resting` is left as it is for now.
    pub fn putting_back(
        mut changes: Changes,
        owner: &Owner,
        held: &BTreeMap<ResourceId, String>,
        interrupted: &BTreeSet<ResourceId>,
        resting: &BTreeSet<ResourceId>,
    ) -> Self {
        let mut held = held.clone();
        held.extend(std::mem::take(&mut changes.waiting));
        held.extend(changes.suspended.clone());
        let waiting = waiting(&changes.changes, &held);
        keep_used_images(&mut changes, &waiting);
        let left = changes.suspended.keys().chain(resting).collect();
        let (nodes, notes) = build::nodes(&changes.changes, owner, &waiting, &left, interrupted);
        let is_made = |id: &ResourceId| {
            let mut made = changes.changes.iter().filter(|change| !matches!(change.act, Act::Block { .. }));
            !waiting.contains_key(id) && made.any(|change| change.id == *id)
        };
        let cut_off: Vec<_> = changes.cut_off.into_iter().filter(|(id, _)| is_made(id)).collect();
        changes.warnings.extend(cut_off.into_iter().map(|(_, told)| told));
        changes.warnings.extend(notes);
        Self {
            changes: changes.changes,
            nodes,
            unchanged: changes.unchanged,
            unwell: changes.unwell,
            withheld: changes.withheld,
            waiting,
            soon: changes.soon,
            suspended: changes.suspended,
            host_suspended: changes.host_suspended,
            wrong: changes.wrong,
            left: changes.left,
            warnings: changes.warnings,
            turned: changes.turned,
        }
    }

    /// Whether there is nothing to do. What is withheld or suspended may be told all the same.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| self.suspended.contains_key(&change.id))
    }

    /// Whether something is to be done and is not tried: it is blocked, or it waits. What is suspended is not to be done.
    pub fn leaves_undone(&self) -> bool {
        self.changes.iter().any(|change| !self.suspended.contains_key(&change.id) && !self.tries(&change.id))
    }

    /// The changes that cannot be made, with why.
    pub fn blocked(&self) -> impl Iterator<Item = (&ResourceId, &str)> {
        self.changes.iter().filter_map(|change| match &change.act {
            Act::Block { why, .. } => Some((&change.id, why.as_str())),
            _ => None,
        })
    }

    /// Whether the change of a resource is tried. Of one that is not, what an interrupted one left is put back at most.
    pub fn tries(&self, id: &ResourceId) -> bool {
        !self.waiting.contains_key(id) && self.blocked().all(|(blocked, _)| blocked != id)
    }

    /// How many bytes of images go at most: what they share with images that stay goes not. `None` where no image goes
    /// whose size is known.
    pub fn frees(&self) -> Option<u64> {
        let sizes = self.changes.iter().filter_map(|change| match change.act {
            Act::Untag { frees, .. } => frees,
            _ => None,
        });
        sizes.reduce(u64::saturating_add)
    }

    /// Whether it replaces, removes or stops something that is there: as its headline says, or on the way.
    pub fn disturbs(&self) -> bool {
        let restarts = |node: &Node| node.instead.is_empty() && matches!(node.step, Step::Restart(_));
        self.changes.iter().any(|change| Verb::of(&change.act).disturbs() || change.act.takes_on_the_way())
            || self.nodes.iter().any(restarts)
    }
}

/// A former generation stays as long as a container waits that uses it, or its next generation is not
/// made. That it stays is no change that waits: the next generation, which has the same name, goes on.
fn keep_used_images(changes: &mut Changes, waiting: &BTreeMap<ResourceId, String>) {
    let is_blocked = |id: &ResourceId| {
        changes.changes.iter().any(|change| change.id == *id && matches!(change.act, Act::Block { .. }))
    };
    let why = |change: &Change| {
        if !matches!(change.act, Act::Untag { .. }) {
            return None;
        }
        if is_blocked(&change.id) || waiting.contains_key(&change.id) {
            return Some("its next generation is not there yet".to_owned());
        }
        let user = change.needs.iter().find(|need| waiting.contains_key(&need.id));
        user.map(|user| format!("{} uses it", user.id))
    };
    let kept: Vec<(ResourceId, String)> =
        changes.changes.iter().filter_map(|change| Some((change.id.clone(), why(change)?))).collect();
    changes.changes.retain(|change| {
        !matches!(change.act, Act::Untag { .. }) || kept.iter().all(|(id, _)| *id != change.id)
    });
    // That an image is there for the containers which use it is nothing to tell.
    changes.withheld.extend(kept.into_iter().filter(|(id, _)| !is_pulled_for_containers(&id.name)));
    changes.withheld.sort();
    changes.withheld.dedup();
}

/// Whether a container is there with what it needs: its image, its volumes and its networks, however those should be changed;
/// and those beside it that only have to run, and do.
fn has(change: &Change, need: &Need, runs_on: &BTreeSet<&ResourceId>) -> bool {
    let joins = |one: &Operation| matches!(one, Operation::Connect { .. });
    let is_there = matches!(&change.act, Act::Alter { operations, .. } if !operations.iter().any(joins));
    let only_has_to_run = need.condition == Some(Condition::Started);
    is_there && (need.id.kind != Kind::Container || (only_has_to_run && runs_on.contains(&need.id)))
}

/// For each container that another takes the place of, who is in its namespaces or is linked to it, and would be cut off if it did
/// not follow.
fn followers(changes: &[Change]) -> BTreeMap<&ResourceId, Vec<&ResourceId>> {
    // What an interrupted replacement stopped is kept until they followed.
    let stops = |change: &Change| match &change.act {
        Act::Replace { old, .. } => old.up,
        Act::Alter { predecessor, .. } => predecessor.is_some(),
        _ => false,
    };
    let stopped: BTreeSet<&ResourceId> =
        changes.iter().filter(|change| stops(change)).map(|change| &change.id).collect();
    let mut followers: BTreeMap<&ResourceId, Vec<&ResourceId>> = BTreeMap::new();
    for change in changes {
        let old = change.act.predecessor().filter(|old| old.up);
        let owners = old.into_iter().flat_map(Old::made_for);
        for owner in owners.filter_map(|owner| stopped.get(owner)) {
            followers.entry(owner).or_default().push(&change.id);
        }
    }
    followers
}

/// The changes that are not tried: held ones, and those that need a held or blocked one.
fn waiting(changes: &[Change], held: &BTreeMap<ResourceId, String>) -> BTreeMap<ResourceId, String> {
    let mut waiting: BTreeMap<ResourceId, String> = changes
        .iter()
        .filter_map(|change| Some((change.id.clone(), held.get(&change.id)?.clone())))
        .collect();
    let blocked: BTreeSet<&ResourceId> = changes
        .iter()
        .filter(|change| matches!(change.act, Act::Block { .. }))
        .map(|change| &change.id)
        .collect();
    let made: BTreeSet<&ResourceId> =
        changes.iter().filter(|change| change.act.makes()).map(|change| &change.id).collect();
    let waits = |id: &ResourceId, waiting: &BTreeMap<ResourceId, String>| {
        made.contains(id) && waiting.contains_key(id)
    };
    let runs_on: BTreeSet<&ResourceId> =
        changes.iter().filter(|change| change.act.leaves_up()).map(|change| &change.id).collect();
    let followers = followers(changes);
    loop {
        let before = waiting.len();
        for change in
            changes.iter().filter(|change| !matches!(change.act, Act::Block { .. } | Act::Untag { .. }))
        {
            let stays = |id: &ResourceId, waiting: &BTreeMap<ResourceId, String>| {
                blocked.contains(id) || waits(id, waiting)
            };
            let mut needs = change.needs.iter().filter(|need| !has(change, need, &runs_on));
            let cause = needs.find(|need| stays(&need.id, &waiting)).map(|need| &need.id);
            let mut followers = followers.get(&change.id).into_iter().flatten().copied();
            let cause = cause.or_else(|| followers.find(|id| stays(id, &waiting)));
            if let Some(cause) = cause.filter(|_| !waiting.contains_key(&change.id)) {
                waiting.insert(change.id.clone(), format!("waits for {cause}"));
            }
        }
        if waiting.len() == before {
            return waiting;
        }
    }
}

#[cfg(test)]
mod tests;
