//! The steps that put a successor in a container's place. Whatever fails, the predecessor is there again
//! (law 7).

use super::Builder;
use super::container::create_body;
use crate::diff::{Act, Change, NEXT_SUFFIX, NewContainer, Old, PREVIOUS_SUFFIX};
use crate::plan::{Await, Step};
use crate::resource::container::State;
use crate::resource::name::ResourceId;

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
    ) -> usize {
        let id = &change.id;
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
        let body = create_body(self.owner, id, container);
        let platform = container.spec.platform.clone();
        let create = Step::CreateContainer { name: names.next.clone(), body, platform };
        // What ran beside a predecessor that is down is gone by then.
        let again = runs_on && !old.up && unproved.is_none() && container.state.is_up();
        let again = again.then(|| Step::Start(names.old.clone()));
        let made = self.push_with_rescue(id, create, needs, again.clone().into_iter().collect());
        let joined = self.connect_more(id, &names.next, &container.spec, made);
        let joined = self.put_files(id, &names.next, container, joined);
        for node in &mut self.nodes[made + 1..] {
            node.rescue = std::iter::once(names.drop_next()).chain(again.clone()).collect();
        }
        let runs = old.up || unproved.is_some_and(|unproved| unproved.up);
        let last = if container.starts_first(runs) {
            self.start_first(change, (old, unproved), container, &names, joined)
        } else {
            self.stop_first(change, (old, unproved), container, &names, joined)
        };
        self.remove_stopped(id, old, vec![last])
    }

    /// The predecessor is stopped and put aside, then the successor is started and watched.
    fn stop_first(
        &mut self,
        change: &Change,
        (old, unproved): (&Old, Option<&Old>),
        container: &NewContainer,
        names: &Names,
        mut last: usize,
    ) -> usize {
        let id = &change.id;
        // One that an interrupted replacement stopped was up before, too.
        let was_up = old.up || container.state.is_up();
        let with_restart = |steps: &[Step]| -> Vec<Step> {
            let restart = was_up.then(|| Step::Start(names.old.clone()));
            steps.iter().cloned().chain(restart).collect()
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
        if old.up {
            let mut needs = self.before_start(change);
            needs.push(last);
            last = self.push_with_rescue(id, Step::Stop(names.old.clone()), needs, waiting.clone());
        }
        if let Some(unproved) = unproved {
            let mut needs = self.before_start(change);
            needs.push(last);
            last = self.make_room(id, unproved, needs, &waiting);
        }
        if old.name != names.previous {
            let step = Step::Rename { container: names.old.clone(), to: names.previous.clone() };
            last = self.push_with_rescue(id, step, vec![last], waiting);
        }
        let renamed = with_restart(&[names.drop_next(), names.rename_back()]);
        let step = Step::Rename { container: names.next.clone(), to: names.name.clone() };
        last = self.push_with_rescue(id, step, vec![last], renamed);
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
        let start_old = Step::Start(names.old.clone());
        let stopped = undone(std::slice::from_ref(&start_old));
        if old.up {
            last = self.push_with_rescue(id, Step::Stop(names.old.clone()), vec![last], stopped.clone());
        }
        // An interrupted replacement may have put it aside already.
        if old.name != names.previous {
            let aside = Step::Rename { container: names.old.clone(), to: names.previous.clone() };
            last = self.push_with_rescue(id, aside, vec![last], stopped);
        }
        let step = Step::Rename { container: next, to: names.name.clone() };
        self.push_with_rescue(id, step, vec![last], undone(&[names.rename_back(), start_old]))
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

    /// A replacement that is not tried for now may have left its predecessor down or under another name.
    /// One that is down for another reason is left.
    pub(super) fn bring_back(&mut self, change: &Change, interrupted: bool) {
        let Act::Replace { old, container, leftovers } = &change.act else { return };
        let (id, target) = (&change.id, old.id.as_str().to_owned());
        let is = |one: &Old, suffix: &str| one.name == format!("{}{suffix}", id.name);
        let interrupted =
            interrupted || is(old, PREVIOUS_SUFFIX) || leftovers.iter().any(|one| is(one, NEXT_SUFFIX));
        let mut needs = Vec::new();
        if let Some(unproved) = leftovers.iter().find(|one| one.name == id.name.as_str()) {
            if unproved.up {
                return;
            }
            needs = vec![self.remove_stopped(id, unproved, needs)];
        }
        if old.name != id.name.as_str() {
            let step = Step::Rename { container: target.clone(), to: id.name.to_string() };
            needs = vec![self.push(id, step, needs)];
        }
        if !old.up && interrupted && container.state.is_up() {
            self.push(id, Step::Start(target), needs);
        }
    }
}
