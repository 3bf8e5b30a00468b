//! Containers that are made anew together: one whose namespaces others share, or which others are linked to, and those others. In:
//! the changes that are tried. Out: which belong together, and that whichever fails, all are there again as they were (law 7): the
//! predecessors are kept until all have proved themselves. Makes no step of a container itself.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::Builder;
use crate::diff::{Act, Change, Need, Old};
use crate::plan::{Node, Step};
use crate::resource::container::State;
use crate::resource::name::ResourceId;

/// One change, and its place among all of them.
type Placed<'a> = (usize, &'a Change);

/// The containers that are made anew together, and how far that is.
pub(super) struct Together<'a> {
    /// Those whose steps are yet to be pushed.
    left: Vec<Placed<'a>>,
    /// What they need, and that needs none of them.
    before: BTreeSet<&'a ResourceId>,
    /// What some of them need, and that needs others of them.
    between: Vec<Placed<'a>>,
    /// The nodes after which the next one may begin: what comes before all, then the end of the one before.
    after: Vec<usize>,
    /// Those that have taken their places.
    done: Vec<Successor<'a>>,
}

/// One that has taken its place.
struct Successor<'a> {
    place: usize,
    id: &'a ResourceId,
    /// What it took the place of: it is removed at last.
    old: Old,
    /// What an interrupted replacement left beside it.
    leftovers: Vec<Old>,
    undo: Undo,
}

/// What puts a predecessor back.
struct Undo {
    /// The steps that make room for it.
    away: Vec<Step>,
    /// Those that have it do what it did.
    again: Vec<Step>,
}

/// All groups of containers that are made anew together.
#[derive(Default)]
pub(super) struct Groups<'a> {
    all: Vec<Together<'a>>,
    of: BTreeMap<&'a ResourceId, usize>,
}

impl<'a> Groups<'a> {
    /// Those among the changes that are tried.
    pub(super) fn of(changes: &[Placed<'a>]) -> Self {
        let by_id: BTreeMap<&ResourceId, Placed<'a>> =
            changes.iter().map(|placed| (&placed.1.id, *placed)).collect();
        let mut groups = Self::default();
        for left in members(changes, &by_id).into_values().filter(|members| members.len() > 1) {
            groups.of.extend(left.iter().map(|(_, change)| (&change.id, groups.all.len())));
            let ids: BTreeSet<&ResourceId> = left.iter().map(|(_, change)| &change.id).collect();
            let needed = |from: &[Placed<'a>]| -> BTreeSet<&'a ResourceId> {
                let mut found = BTreeSet::new();
                let mut open: Vec<&Change> = from.iter().map(|(_, change)| *change).collect();
                while let Some(change) = open.pop() {
                    for need in &change.needs {
                        if found.insert(&need.id) && !ids.contains(&need.id) {
                            open.extend(by_id.get(&need.id).map(|(_, change)| *change));
                        }
                    }
                }
                found
            };
            let outside = needed(&left).into_iter().filter(|id| !ids.contains(id));
            let (between, before): (Vec<&ResourceId>, Vec<&ResourceId>) = outside
                .partition(|id| by_id.get(id).is_some_and(|placed| !needed(&[*placed]).is_disjoint(&ids)));
            let between = between.into_iter().filter_map(|id| by_id.get(id).copied()).collect();
            let (after, done) = (Vec::new(), Vec::new());
            groups.all.push(Together { left, before: before.into_iter().collect(), between, after, done });
        }
        groups
    }

    /// Whether a change waits for any of these resources because of what is made anew together: a member for what any of them needs,
    /// anybody else who needs a member for all of them.
    pub(super) fn waits(&self, change: &Change, ids: &BTreeSet<&ResourceId>) -> bool {
        let own = self.of.get(&change.id);
        let waits_with_others =
            own.is_some_and(|own| self.all[*own].before.iter().any(|id| ids.contains(id)));
        let groups: BTreeSet<usize> =
            change.needs.iter().filter_map(|need| self.of.get(&need.id)).copied().collect();
        let is_between = |group: usize| self.all[group].between.iter().any(|(_, one)| one.id == change.id);
        waits_with_others
            || groups
                .into_iter()
                .filter(|group| own != Some(group) && !is_between(*group))
                .any(|group| self.all[group].left.iter().any(|(_, member)| ids.contains(&member.id)))
    }

    /// Has the members of each group stand in the order in which their steps are pushed.
    pub(super) fn sort(&mut self, ordered: &[&Change]) {
        let at = |id: &ResourceId| ordered.iter().position(|change| change.id == *id);
        for group in &mut self.all {
            group.left.sort_by_key(|(_, change)| at(&change.id));
        }
    }
}

/// The changes that belong together, by one of them.
fn members<'a>(
    changes: &[Placed<'a>],
    by_id: &BTreeMap<&ResourceId, Placed<'a>>,
) -> BTreeMap<&'a ResourceId, Vec<Placed<'a>>> {
    let anew = changes.iter().filter(|(_, change)| replaced(change).is_some());
    // For each one, one of those that it belongs together with, for all of them the same.
    let mut chief: BTreeMap<&ResourceId, &ResourceId> =
        anew.map(|(_, change)| (&change.id, &change.id)).collect();
    let needs = |id: &ResourceId, other: &ResourceId| {
        by_id.get(id).is_some_and(|(_, change)| change.needs.iter().any(|need| need.id == *other))
    };
    for (_, change) in changes {
        let Some(old) = replaced(change) else { continue };
        // Who leaves a namespace goes before its owner does, or has to follow that one for another reason.
        let follows = |owner: &&ResourceId| {
            needs(&change.id, owner) || old.shares.contains(*owner) && !needs(owner, &change.id)
        };
        for owner in old.made_for().filter(follows) {
            let Some((one, other)) = chief.get(owner).copied().zip(chief.get(&change.id).copied()) else {
                continue;
            };
            chief.values_mut().filter(|chief| **chief == other).for_each(|chief| *chief = one);
        }
    }
    let mut members: BTreeMap<&ResourceId, Vec<Placed<'a>>> = BTreeMap::new();
    for (place, change) in changes {
        if let Some(chief) = chief.get(&change.id) {
            members.entry(chief).or_default().push((*place, change));
        }
    }
    members
}

/// What a change takes the place of, if that is or was in use.
fn replaced(change: &Change) -> Option<&Old> {
    match &change.act {
        Act::Replace { old, container, .. } => {
            let was_put_aside = old.name != change.id.name.as_str();
            (old.up || old.is_to_run(container.state, was_put_aside)).then_some(old)
        }
        Act::Alter { predecessor: Some(before), .. } => {
            let old = &before.container;
            (old.up || old.is_to_run(State::Running, true)).then_some(old)
        }
        _ => None,
    }
}

impl Builder<'_> {
    /// Whether a container is made anew together with others.
    pub(super) fn is_with_others(&self, id: &ResourceId) -> bool {
        self.together.of.contains_key(id)
    }

    /// Before the first one of those that are made anew together is touched, what any of them needs is there (law 6).
    pub(super) fn before_together(&mut self, id: &ResourceId) {
        let Some(group) = self.together.of.get(id).copied() else { return };
        let Together { left, before, between, done, .. } = &self.together.all[group];
        if !done.is_empty() {
            return;
        }
        let (left, before, between) = (left.clone(), before.clone(), between.clone());
        let current = self.current;
        let mut after = Vec::new();
        for (place, change) in left.into_iter().chain(between) {
            self.current = place;
            let needs: Vec<Need> =
                change.needs.iter().filter(|need| before.contains(&need.id)).cloned().collect();
            after.extend(self.up(&change.id, &needs));
            let there: Vec<Need> = needs.into_iter().filter(|need| need.condition.is_none()).collect();
            after.extend(self.ready_nodes(&there));
            if let Act::Create(container) | Act::Replace { container, .. } = &change.act
                && container.pull
            {
                after.push(self.pull(&change.id, &container.image, container.spec.platform.as_ref()));
            }
        }
        self.current = current;
        self.together.all[group].after = after;
    }

    /// Has the nodes from `first` on come after those `before`, one after the other: nothing is undone twice.
    fn chain(&mut self, first: usize, mut before: Vec<usize>) -> Vec<usize> {
        let own = self.nodes.iter_mut().enumerate().skip(first);
        for (index, node) in own.filter(|(_, node)| node.instead.is_empty()) {
            node.needs.append(&mut before);
            node.needs.sort_unstable();
            node.needs.dedup();
            before.push(index);
        }
        before
    }

    /// Has the nodes from `first` on, which put a successor in the place of `old`, come after those of the containers before it
    /// that are made anew together with it. If they fail, those are undone as well, and what an interrupted pass had done of the others.
    pub(super) fn undo_together(&mut self, id: &ResourceId, old: &Old, first: usize) {
        let Some(group) = self.together.of.get(id).copied() else { return };
        self.chain(first, self.together.all[group].after.clone());
        let Together { left, done, .. } = &self.together.all[group];
        let others = left.iter().filter(|(_, change)| change.id != *id);
        let later: Vec<(&ResourceId, Undo)> =
            others.filter_map(|(_, change)| Some((&change.id, Undo::of_interrupted(change)?))).collect();
        if done.is_empty() && later.is_empty() {
            return;
        }
        for node in self.nodes[first..].iter_mut().filter(|node| node.instead.is_empty()) {
            let starts = |step: &Step| matches!(step, Step::Start(_) | Step::Restart(_));
            let end = node.rescue.len();
            let back = node.rescue.split_off(node.rescue.iter().position(starts).unwrap_or(end));
            let own = mem::take(&mut node.rescue);
            node.rescue.extend(later.iter().rev().flat_map(|(_, undo)| &undo.away).cloned());
            node.rescue.extend(own);
            undo(node, done);
            // It may run still, without what the others gave it.
            let again = |step: Step| if let Step::Start(it) = step { Step::Restart(it) } else { step };
            let back: Vec<Step> = back.into_iter().map(again).collect();
            let is_of_old = |step: &Step| matches!(step, Step::Restart(it) if it == old.id.as_str());
            if !done.is_empty() && old.up && !back.iter().any(is_of_old) {
                node.rescue.extend(old.restarted());
            }
            node.rescue.extend(back);
            node.rescue.extend(later.iter().flat_map(|(_, undo)| &undo.again).cloned());
            node.undoes.extend(later.iter().map(|(id, _)| (*id).clone()));
        }
    }

    /// If the nodes from `first` on are of what comes between containers that are made anew together, those before it are undone if
    /// they fail.
    pub(super) fn between_together(&mut self, id: &ResourceId, first: usize) {
        for group in 0..self.together.all.len() {
            let Together { left, between, done, after, .. } = &self.together.all[group];
            let is_between = between.iter().any(|(_, change)| change.id == *id);
            if !is_between || done.is_empty() || left.is_empty() || first == self.nodes.len() {
                continue;
            }
            let after = self.chain(first, after.clone());
            for node in self.nodes[first..].iter_mut().filter(|node| node.instead.is_empty()) {
                undo(node, &self.together.all[group].done);
            }
            self.together.all[group].after = after;
            self.followed_back(group, first);
        }
    }

    /// Whoever comes later and was made for one that is done has to follow it back if the nodes from `first` on fail.
    fn followed_back(&mut self, group: usize, first: usize) {
        let own = (first..self.nodes.len()).filter(|node| self.nodes[*node].instead.is_empty());
        for one in &self.together.all[group].done {
            let anew = self.anew.entry(one.id.clone()).or_default();
            if let Some(anew) = anew.iter_mut().find(|anew| anew.after.is_empty()) {
                anew.instead.extend(own.clone());
            }
        }
    }

    /// Notes that a successor has proved itself with the node `proved`, the last of those from `first` on. What it took the place of,
    /// `old`, which the steps `again` have do what it did, and the leftovers go once all are as far.
    pub(super) fn proved_together(
        &mut self,
        id: &ResourceId,
        (old, again): (&Old, Vec<Step>),
        leftovers: &[Old],
        (first, proved): (usize, usize),
    ) {
        let Some(group) = self.together.of.get(id).copied() else { return };
        self.ready.insert(id.clone(), vec![proved]);
        self.followed_back(group, first);
        let together = &mut self.together.all[group];
        let Some(at) = together.left.iter().position(|(_, change)| change.id == *id) else { return };
        let (place, change) = together.left.remove(at);
        let undo = Undo::of_interrupted(change)
            .unwrap_or_else(|| Undo { away: away(id.name.as_str(), id, old), again });
        let (old, leftovers) = (old.clone(), leftovers.to_vec());
        together.done.push(Successor { place, id: &change.id, old, leftovers, undo });
        together.after = vec![proved];
        if !together.left.is_empty() {
            return;
        }
        let (done, current) = (mem::take(&mut together.done), self.current);
        let mut last = proved;
        // Podman removes none that another one needs.
        for one in done.into_iter().rev() {
            self.current = one.place;
            for old in std::iter::once(&one.old).chain(&one.leftovers) {
                last = self.remove(one.id, old, vec![last]);
            }
            self.ready.insert(one.id.clone(), vec![last]);
        }
        self.current = current;
    }
}

impl Undo {
    /// That of one whose successor has its place since an interrupted pass.
    fn of_interrupted(change: &Change) -> Option<Self> {
        let Act::Alter { container, predecessor: Some(before), .. } = &change.act else { return None };
        let old = &before.container;
        // By its id: the name may be its predecessor's still.
        Some(Self { away: away(container.id.as_str(), &change.id, old), again: old.back(State::Running) })
    }
}

/// The steps that take a successor away and give what it took the place of its name again.
fn away(successor: &str, id: &ResourceId, old: &Old) -> Vec<Step> {
    vec![
        Step::Stop(successor.to_owned()),
        Step::RemoveContainer(successor.to_owned()),
        Step::Rename { container: old.id.as_str().to_owned(), to: id.name.to_string() },
    ]
}

/// Has what is done be undone, too, where a node fails.
fn undo(node: &mut Node, done: &[Successor<'_>]) {
    node.rescue.extend(done.iter().rev().flat_map(|one| &one.undo.away).cloned());
    node.rescue.extend(done.iter().flat_map(|one| &one.undo.again).cloned());
    node.undoes.extend(done.iter().map(|one| one.id.clone()));
}
