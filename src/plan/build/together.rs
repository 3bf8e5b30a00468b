//! Containers that are made anew together: one whose namespaces others share, or which others are linked to, and those others. Its
//! predecessor is kept until all of them have proved themselves, and whichever fails, all are there again as they were (law 7).

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::Builder;
use crate::diff::{Act, Change, Need, Old};
use crate::plan::Step;
use crate::resource::container::State;
use crate::resource::name::ResourceId;

/// One change, and its place among all of them.
type Placed<'a> = (usize, &'a Change);

/// The containers that are made anew together, and how far that is.
pub(super) struct Together<'a> {
    /// Those whose steps are yet to be pushed, and what all of them need that none of them is.
    left: Vec<Placed<'a>>,
    outside: BTreeSet<&'a ResourceId>,
    /// The nodes after which the next one may begin: what is outside, then the proof of the one before.
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
    /// The steps that make room for its predecessor again, and those that have that one do what it did.
    away: Vec<Step>,
    again: Vec<Step>,
}

/// All groups of containers that are made anew together.
#[derive(Default)]
pub(super) struct Groups<'a> {
    all: Vec<Together<'a>>,
    of: BTreeMap<&'a ResourceId, usize>,
    /// Everything that changes.
    changing: BTreeSet<&'a ResourceId>,
}

impl<'a> Groups<'a> {
    /// Those among the changes that are tried.
    pub(super) fn of(changes: &[Placed<'a>]) -> Self {
        let anew: BTreeSet<&ResourceId> = changes
            .iter()
            .filter(|(_, change)| replaced(change).is_some())
            .map(|(_, change)| &change.id)
            .collect();
        // For each one, the first of those that it belongs together with.
        let mut first: BTreeMap<&ResourceId, &ResourceId> = anew.iter().map(|id| (*id, *id)).collect();
        for (_, change) in changes {
            let Some(old) = replaced(change) else { continue };
            let needs = |(id, other): (&ResourceId, &ResourceId)| {
                let mut its = changes.iter().filter(|(_, change)| change.id == *id);
                its.any(|(_, change)| change.needs.iter().any(|need| need.id == *other))
            };
            // Who leaves a namespace goes before its owner does, or has to follow that one for another reason.
            let follows = |owner: &&ResourceId| {
                needs((&change.id, owner)) || old.shares.contains(*owner) && !needs((owner, &change.id))
            };
            for owner in old.made_for().filter(follows).filter_map(|owner| anew.get(owner)) {
                let (one, other) = (first[owner], first[&change.id]);
                first.values_mut().filter(|first| **first == other).for_each(|first| *first = one);
            }
        }
        let mut members: BTreeMap<&ResourceId, Vec<Placed<'a>>> = BTreeMap::new();
        for (place, change) in changes {
            if let Some(first) = first.get(&change.id) {
                members.entry(first).or_default().push((*place, change));
            }
        }
        let changing = changes.iter().map(|(_, change)| &change.id).collect();
        let mut groups = Self { changing, ..Self::default() };
        for left in members.into_values().filter(|members| members.len() > 1) {
            groups.of.extend(left.iter().map(|(_, change)| (&change.id, groups.all.len())));
            let is_outside = |id: &&ResourceId| left.iter().all(|(_, change)| change.id != **id);
            let needs = left.iter().flat_map(|(_, change)| &change.needs);
            let outside = needs.map(|need| &need.id).filter(is_outside).collect();
            groups.all.push(Together { left, outside, after: Vec::new(), done: Vec::new() });
        }
        groups
    }

    /// What the others need that a change is made together with.
    pub(super) fn needs(&self, id: &ResourceId) -> impl Iterator<Item = &'a ResourceId> {
        let group = self.of.get(id).map(|group| &self.all[*group]);
        group.into_iter().flat_map(|group| &group.outside).copied()
    }
}

/// What a change takes the place of, if that is or was in use.
fn replaced(change: &Change) -> Option<&Old> {
    match &change.act {
        Act::Replace { old, container, .. } => {
            let was_put_aside = old.name != change.id.name.as_str() && old.is_to_run(container.state, true);
            (old.up || was_put_aside).then_some(old)
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
        let Together { left, outside, done, .. } = &self.together.all[group];
        if !done.is_empty() {
            return;
        }
        let (left, outside) = (left.clone(), outside.clone());
        let current = self.current;
        let mut after = Vec::new();
        for (place, change) in left {
            self.current = place;
            // What waits for some of these itself comes between them.
            let is_before = |need: &&Need| {
                outside.contains(&need.id)
                    && (self.ready.contains_key(&need.id) || !self.together.changing.contains(&need.id))
            };
            let needs: Vec<Need> = change.needs.iter().filter(is_before).cloned().collect();
            after.extend(self.up(&change.id, &needs));
            let there: Vec<Need> = needs.into_iter().filter(|need| need.condition.is_none()).collect();
            after.extend(self.ready_nodes(&there));
            if let Act::Replace { container, .. } = &change.act
                && container.pull
            {
                after.push(self.pull(&change.id, &container.image, container.spec.platform.as_ref()));
            }
        }
        self.current = current;
        self.together.all[group].after = after;
    }

    /// Has the nodes from `first` on, which put a successor in the place of `old`, come after those of the containers before it
    /// that are made anew together with it, and undo those as well if they fail. They come one after the other: nothing is undone
    /// twice.
    pub(super) fn undo_together(&mut self, id: &ResourceId, old: &Old, first: usize) {
        let Some(group) = self.together.of.get(id) else { return };
        let Together { after, done, .. } = &self.together.all[*group];
        let away = done.iter().rev().flat_map(|one| &one.away);
        let again = done.iter().flat_map(|one| &one.again);
        let undo: Vec<Step> = away.chain(again).cloned().collect();
        let mut before = after.clone();
        let own = self.nodes.iter_mut().enumerate().skip(first);
        for (index, node) in own.filter(|(_, node)| node.instead.is_empty()) {
            node.needs.append(&mut before);
            node.needs.sort_unstable();
            node.needs.dedup();
            before.push(index);
            if done.is_empty() {
                continue;
            }
            let starts = |step: &Step| matches!(step, Step::Start(_) | Step::Restart(_));
            let end = node.rescue.len();
            let back = node.rescue.split_off(node.rescue.iter().position(starts).unwrap_or(end));
            node.rescue.extend(undo.iter().cloned());
            node.undoes.extend(done.iter().map(|one| one.id.clone()));
            // It may run still, without what the others gave it.
            let again = |step: Step| if let Step::Start(it) = step { Step::Restart(it) } else { step };
            let back: Vec<Step> = back.into_iter().map(again).collect();
            let is_of_old = |step: &Step| matches!(step, Step::Restart(it) if it == old.id.as_str());
            if old.up && !back.iter().any(is_of_old) {
                node.rescue.extend(old.restarted());
            }
            node.rescue.extend(back);
        }
    }

    /// Once a successor has proved itself, with the last of the nodes from `first` on that are not done instead: what it took the place
    /// of, `old`, which `again` has do what it did, goes together with what the others did.
    pub(super) fn proved_together(
        &mut self,
        id: &ResourceId,
        (old, again): (&Old, Vec<Step>),
        leftovers: &[Old],
        (first, proved): (usize, usize),
    ) {
        let Some(group) = self.together.of.get(id).copied() else { return };
        let group = &mut self.together.all[group];
        let Some(at) = group.left.iter().position(|(_, change)| change.id == *id) else { return };
        // Whoever comes later and was made for one of those before has to follow it back if this one fails.
        let own = (first..self.nodes.len()).filter(|node| self.nodes[*node].instead.is_empty());
        for one in &group.done {
            let anew = self.anew.entry(one.id.clone()).or_default();
            if let Some(anew) = anew.iter_mut().find(|anew| anew.after.is_empty()) {
                anew.instead.extend(own.clone());
            }
        }
        let (place, change) = group.left.remove(at);
        let name = change.id.name.to_string();
        let away = vec![
            Step::Stop(name.clone()),
            Step::RemoveContainer(name.clone()),
            Step::Rename { container: old.id.as_str().to_owned(), to: name },
        ];
        let (old, leftovers) = (old.clone(), leftovers.to_vec());
        group.done.push(Successor { place, id: &change.id, old, leftovers, away, again });
        group.after = vec![proved];
        if !group.left.is_empty() {
            return;
        }
        let (done, current) = (mem::take(&mut group.done), self.current);
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
