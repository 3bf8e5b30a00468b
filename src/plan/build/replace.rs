//! The steps that put a successor in a container's place. Whatever fails, the predecessor is there again
//! (law 7).

use std::collections::BTreeSet;

use super::Builder;
use super::container::create_body;
use super::follow::StartedAnew;
use crate::diff::{Act, Change, NEXT_SUFFIX, NewContainer, Old, PREVIOUS_SUFFIX};
use crate::plan::{Await, Step};
use crate::resource::container::State;
use crate::resource::name::{Kind, ResourceId};

/// What the parts of a replacement are called.
struct Names {
    /// The resource's own name.
    name: String,
    /// The successor's, until it takes the place.
    next: String,
    /// The predecessor's, from then on.
    previous: String,
    /// The predecessor's id.
    old: String,
}

impl Names {
    /// The successor goes, if it could be made.
    fn drop_next(&self) -> Step {
        Step::RemoveContainer(self.next.clone())
    }

    /// The predecessor gets its name again.
    fn rename_back(&self) -> Step {
        Step::Rename { container: self.old.clone(), to: self.name.clone() }
    }
}

impl Builder<'_> {
    /// The successor is made while the predecessor runs, or one that has the place and has not proved
    /// itself: that one goes, and the predecessor that had is kept.
    pub(super) fn replace(
        &mut self,
        change: &Change,
        old: &Old,
        container: &NewContainer,
        leftovers: &[Old],
    ) -> Option<usize> {
        let id = &change.id;
        let begun = self.nodes.len();
        let name = id.name.to_string();
        let names = Names {
            next: format!("{name}{NEXT_SUFFIX}"),
            previous: format!("{name}{PREVIOUS_SUFFIX}"),
            old: old.id.as_str().to_owned(),
            name,
        };
        let (unproved, leftovers): (Vec<&Old>, Vec<&Old>) =
            leftovers.iter().partition(|one| one.name == names.name);
        let unproved = unproved.first().copied();
        let mut needs = self.before_create(change, container);
        // One that runs is stopped only when what its successor needs is there.
        let runs_on = leftovers.iter().any(|left| left.up);
        let before = if runs_on { needs.clone() } else { Vec::new() };
        needs.extend(leftovers.iter().map(|left| self.remove(id, left, before.clone())).collect::<Vec<_>>());
        let first = self.nodes.len();
        let body = create_body(self.owner, id, container);
        let platform = container.spec.platform.clone();
        let create = Step::CreateContainer { name: names.next.clone(), body, platform };
        // What ran beside a predecessor that is down is gone by then.
        let is_alone = runs_on && !old.up && unproved.is_none();
        let again = if is_alone { old.back(container.state) } else { Vec::new() };
        let made = self.push_with_rescue(id, create, needs, again.clone());
        let joined = self.connect_more(id, &names.next, &container.spec, made);
        let joined = self.put_files(id, &names.next, container, joined);
        for node in &mut self.nodes[made + 1..] {
            node.rescue = std::iter::once(names.drop_next()).chain(again.iter().cloned()).collect();
        }
        let runs = old.up || unproved.is_some_and(|unproved| unproved.up);
        let last = if container.starts_first(runs) {
            self.start_first(change, (old, unproved), container, &names, joined)
        } else {
            self.stop_first(change, (old, unproved), container, &names, joined)
        };
        self.undo_together(id, old, begun);
        self.follow_back(id, old, first);
        if self.is_with_others(id) {
            let stopped = Old { up: false, ..old.clone() };
            self.proved_together(id, (&stopped, old.back(container.state)), &[], (begun, last));
            return None;
        }
        Some(self.remove_stopped(id, old, vec![last]))
    }

    /// The predecessor is stopped and put aside, then the successor is started and watched. Where nobody misses its name
    /// meanwhile it is put aside first: every call between the stop and the start keeps its users waiting.
    fn stop_first(
        &mut self,
        change: &Change,
        (old, unproved): (&Old, Option<&Old>),
        container: &NewContainer,
        names: &Names,
        mut last: usize,
    ) -> usize {
        let id = &change.id;
        let with_restart = |steps: &[Step]| -> Vec<Step> {
            steps.iter().cloned().chain(old.back(container.state)).collect()
        };
        let waiting = match unproved {
            None => with_restart(&[names.drop_next()]),
            // As long as it is there, it is what runs.
            Some(unproved) => {
                let up = [unproved, old].into_iter().filter(|one| one.up);
                let restart = up.map(|one| Step::Start(one.id.as_str().to_owned()));
                std::iter::once(names.drop_next()).chain(restart).collect()
            }
        };
        // Also where it cannot be told whether it bears its name still.
        let renamed = with_restart(&[names.drop_next(), names.rename_back()]);
        let aside = Step::Rename { container: names.old.clone(), to: names.previous.clone() };
        let mut is_aside = old.name == names.previous;
        let mut before_aside = Vec::new();
        if !beside_another(change) && old.comes_back(container.state, false) {
            before_aside = self.before_start(change);
            self.fall_back(id, old, before_aside.iter().copied().chain([last]));
        }
        if old.up {
            let mut needs = self.before_start(change);
            needs.push(last);
            if !is_aside && unproved.is_none() && old.may_go_aside_first() {
                let back = vec![names.drop_next(), names.rename_back()];
                needs = vec![self.push_with_rescue(id, aside.clone(), needs, back)];
                is_aside = true;
            }
            let back = if is_aside && unproved.is_none() { &renamed } else { &waiting };
            last = self.stopping(id, Step::Stop(names.old.clone()), needs, back.clone());
        }
        if let Some(unproved) = unproved {
            let mut needs = self.before_start(change);
            needs.push(last);
            last = self.make_room(id, unproved, needs, &waiting);
        }
        before_aside.push(last);
        if !is_aside {
            before_aside = vec![self.push_with_rescue(id, aside, before_aside, renamed.clone())];
        }
        let step = Step::Rename { container: names.next.clone(), to: names.name.clone() };
        last = self.push_with_rescue(id, step, before_aside, renamed);
        if !container.state.starts() {
            return last;
        }
        let successor = names.name.clone();
        let started = with_restart(&[
            Step::Stop(successor.clone()),
            Step::RemoveContainer(successor.clone()),
            names.rename_back(),
        ]);
        let mut needs = self.before_start(change);
        needs.push(last);
        last = self.push_with_rescue(id, Step::Start(successor.clone()), needs, started.clone());
        if container.state.is_up() {
            last = self.prove(change, container, successor.clone(), last, started.clone());
        }
        if container.state == State::Paused {
            last = self.push_with_rescue(id, Step::Pause(successor), vec![last], started);
        }
        last
    }

    /// The successor is started and watched beside its predecessor, which is stopped only then.
    fn start_first(
        &mut self,
        change: &Change,
        (old, unproved): (&Old, Option<&Old>),
        container: &NewContainer,
        names: &Names,
        made: usize,
    ) -> usize {
        let id = &change.id;
        let next = names.next.clone();
        let drop_next = vec![Step::Stop(next.clone()), names.drop_next()];
        let mut needs = self.before_start(change);
        needs.push(made);
        let mut last = self.push_with_rescue(id, Step::Start(next.clone()), needs, drop_next.clone());
        last = self.prove(change, container, next.clone(), last, drop_next.clone());
        let undone = |first: &[Step]| -> Vec<Step> { first.iter().chain(&drop_next).cloned().collect() };
        if let Some(unproved) = unproved {
            let again = unproved.up.then(|| Step::Start(unproved.id.as_str().to_owned()));
            let again: Vec<Step> = again.into_iter().collect();
            last = self.make_room(id, unproved, vec![last], &undone(&again));
        }
        let back = old.back(container.state);
        let stopped = undone(&back);
        let renamed: Vec<Step> = std::iter::once(names.rename_back()).chain(back).collect();
        let renamed = undone(&renamed);
        if old.up {
            last = self.stopping(id, Step::Stop(names.old.clone()), vec![last], stopped.clone());
        }
        // An interrupted replacement may have put it aside already.
        if old.name != names.previous {
            let aside = Step::Rename { container: names.old.clone(), to: names.previous.clone() };
            last = self.push_with_rescue(id, aside, vec![last], renamed.clone());
        }
        let step = Step::Rename { container: next, to: names.name.clone() };
        self.push_with_rescue(id, step, vec![last], renamed)
    }

    /// One that has the place and has not proved itself gives it up. Until it is gone, every failure is
    /// followed by `rescue`.
    fn make_room(&mut self, id: &ResourceId, unproved: &Old, needs: Vec<usize>, rescue: &[Step]) -> usize {
        let first = self.nodes.len();
        let last = self.remove(id, unproved, needs);
        for node in &mut self.nodes[first..] {
            node.rescue = rescue.to_vec();
        }
        last
    }

    /// One that is down, and is to run, is started as it was where anything fails that has to be done before it is put aside.
    fn fall_back(&mut self, id: &ResourceId, old: &Old, before: impl Iterator<Item = usize>) {
        let mut instead: BTreeSet<usize> = BTreeSet::new();
        let mut open: Vec<usize> = before.collect();
        while let Some(node) = open.pop() {
            if instead.insert(node) {
                open.extend(&self.nodes[node].needs);
            }
        }
        let mut needs = Vec::new();
        for step in old.started_again() {
            needs = vec![self.push(id, step, needs)];
            self.nodes[needs[0]].instead = instead.iter().copied().collect();
        }
        self.anew.entry(id.clone()).or_default().push(StartedAnew { instead, after: needs });
    }

    /// Waits until the successor has proved itself.
    fn prove(
        &mut self,
        change: &Change,
        container: &NewContainer,
        successor: String,
        started: usize,
        rescue: Vec<Step>,
    ) -> usize {
        let until = container.proof();
        let step = Step::Await { container: successor, until };
        let proved = self.push_with_rescue(&change.id, step, vec![started], rescue);
        if until == Await::Healthy {
            self.awaited.insert(change.id.clone(), proved);
        }
        proved
    }

    /// What a replacement that is not tried for now was to take the place of is down, or has another name: by another try
    /// of it, or by anybody's hand. It is as its own manifest had it as long as that lasts.
    pub(super) fn bring_back(&mut self, id: &ResourceId, act: &Act, interrupted: bool) {
        let (old, others, next): (&Old, Vec<&Old>, State) = match act {
            Act::Replace { old, container, leftovers } => (old, leftovers.iter().collect(), container.state),
            // Its successor was to be started, and to prove itself.
            Act::Alter { container, predecessor: Some(before), leftovers, .. } => {
                (&before.container, leftovers.iter().chain([container]).collect(), State::Running)
            }
            _ => return,
        };
        let target = old.id.as_str().to_owned();
        let is = |one: &Old, suffix: &str| one.name == format!("{}{suffix}", id.name);
        let interrupted =
            interrupted || is(old, PREVIOUS_SUFFIX) || others.iter().any(|one| is(one, NEXT_SUFFIX));
        // As long as it is up, it is what runs.
        if others.iter().any(|one| one.up) {
            return;
        }
        let mut needs = Vec::new();
        if let Some(unproved) = others.iter().find(|one| one.name == id.name.as_str()) {
            needs = vec![self.remove_stopped(id, unproved, needs)];
        }
        if old.name != id.name.as_str() {
            let step = Step::Rename { container: target.clone(), to: id.name.to_string() };
            needs = vec![self.push(id, step, needs)];
        }
        if old.up {
            return self.follow_meanwhile(id, old, needs);
        }
        if !old.is_to_run(next, interrupted) {
            return;
        }
        if let Some(why) = &old.hindered {
            self.notes.push(format!("{id} is down, and is not started again as it was: {why}"));
            return;
        }
        self.notes.push(format!("{id} is down: until it can be replaced it is started again as it was"));
        // A namespace that it shares is started first.
        if let Act::Replace { container, .. } = act {
            let shared = container
                .spec
                .shares_with()
                .map(|(_, owner)| ResourceId::new(Kind::Container, owner.clone()));
            needs.extend(shared.filter_map(|owner| self.ready.get(&owner)).flatten());
        }
        for step in old.started_again() {
            needs = vec![self.push(id, step, needs)];
        }
        self.ready.insert(id.clone(), needs);
    }
}

/// Whether anything of its resource runs beside what a replacement takes the place of.
fn beside_another(change: &Change) -> bool {
    matches!(&change.act, Act::Replace { leftovers, .. } if leftovers.iter().any(|left| left.up))
}

impl Old {
    /// Whether one that is down is to run, and can.
    fn comes_back(&self, next: State, was_stopped_for_it: bool) -> bool {
        !self.up && self.hindered.is_none() && self.is_to_run(next, was_stopped_for_it)
    }

    /// The steps after which one that a replacement stopped, be it one that was interrupted, does again what it did: none if
    /// its own manifest had stopped it before.
    pub(super) fn back(&self, next: State) -> Vec<Step> {
        if self.up || self.is_to_run(next, true) { self.started_again() } else { Vec::new() }
    }

    /// The steps after which one that is down does again what it did.
    pub(super) fn started_again(&self) -> Vec<Step> {
        let frozen = self.state == Some(State::Paused);
        let start = Step::Start(self.id.as_str().to_owned());
        let pause = frozen.then(|| Step::Pause(self.id.as_str().to_owned()));
        std::iter::once(start).chain(pause).collect()
    }

    /// The steps that restart one that may run.
    pub(super) fn restarted(&self) -> Vec<Step> {
        let target = || self.id.as_str().to_owned();
        let thaw = self.frozen.then(|| Step::Unpause(target()));
        let freeze = self.frozen.then(|| Step::Pause(target()));
        thaw.into_iter().chain([Step::Restart(target())]).chain(freeze).collect()
    }

    /// Whether one that runs may give up its name before it is stopped: nobody finds it by its name, and the next look knows
    /// it by its labels, should nothing come after that.
    const fn may_go_aside_first(&self) -> bool {
        self.is_ours && !self.is_found_by_name
    }
}
