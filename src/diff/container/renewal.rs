//! What a container needs though no field differs: a restart for a new token, one that was interrupted, one
//! after the container whose namespace it shares; a file that changed; what a job leaves. In: what is wanted,
//! what is there, what was done before. Out: a [`Renewal`].

use super::super::{Act, Changes, Collection, Operation, Told, told};
use super::files::{FileChanges, collected, collections, digests};
use super::namespace::{is_left_behind, owners_started};
use super::standing::Standing;
use crate::desired::DesiredContainer;
use crate::observed::{Applied, LiveStatus, Managed, Observed, ObservedContainer};
use crate::resource::container::{OnChange, PlacedFile, State};
use crate::resource::name::{Kind, Name, ResourceId};

/// What is to be done to a container though no field differs, and why.
#[derive(Default)]
pub(super) struct Renewal {
    reasons: Vec<Told>,
    put: Vec<PlacedFile>,
    collect: Vec<Collection>,
    restart: bool,
    /// What is to be remembered of it; `None` if that is remembered already, or shows by itself.
    record: Option<Applied>,
    /// What is to be remembered instead if it is started: that it was tried once more.
    trial: Option<Applied>,
}

impl Renewal {
    /// What `wanted` asks of a container.
    pub(super) fn of(
        name: &Name,
        wanted: &DesiredContainer,
        (container, managed): (&ObservedContainer, &Managed),
        standing: &Standing<'_>,
        observed: &Observed,
        changes: &Changes,
    ) -> Self {
        let was = applied(container, managed, observed);
        let mut renewal = Self::default();
        renewal.token(wanted, managed, &was);
        renewal.files(FileChanges::of(wanted, container.status, &was), &was);
        if container.status.is_up() {
            renewal.namespaces(wanted, managed, standing, changes, &was);
        }
        let is_done = wanted.spec.state == State::Completed && container.status == LiveStatus::Exited(0);
        if is_done && !renewal.restart && !was.collected && !wanted.spec.collect.is_empty() {
            renewal.collect = collections(name, container, Some(&wanted.spec));
            renewal.reasons.extend(collected(&renewal.collect));
            renewal.record.get_or_insert_with(|| was.clone()).collected = true;
        }
        if let Some(record) = &mut renewal.record {
            record.restart_token.clone_from(&wanted.spec.restart_token);
            record.files = digests(&wanted.files);
            record.restart_after = managed.started.filter(|_| renewal.restart);
            record.collected &= !renewal.restart;
        }
        renewal.trial = managed
            .lost
            .then(|| Applied { tried_after: managed.started, ..renewal.record.clone().unwrap_or(was) });
        renewal
    }

    /// Whether there is nothing to do.
    pub(super) const fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    fn token(&mut self, wanted: &DesiredContainer, managed: &Managed, was: &Applied) {
        let token = &wanted.spec.restart_token;
        if token.is_some() && *token != was.restart_token {
            self.reasons.push(told("restartToken", was.restart_token.clone(), token.clone()));
            self.restart = true;
            self.record = Some(was.clone());
        } else if is_owed(managed, was) {
            self.reasons.push(told("", None, Some("the restart that was interrupted".to_owned())));
            self.restart = true;
        }
    }

    fn files(&mut self, changes: FileChanges, was: &Applied) {
        self.reasons.extend(changes.reasons);
        self.restart |= changes.put.iter().any(|file| file.on_change == OnChange::Restart);
        if !changes.put.is_empty() {
            self.record.get_or_insert_with(|| was.clone());
        }
        self.put = changes.put;
    }

    fn namespaces(
        &mut self,
        wanted: &DesiredContainer,
        managed: &Managed,
        standing: &Standing<'_>,
        changes: &Changes,
        was: &Applied,
    ) {
        let started = owners_started(managed, standing);
        for (field, owner) in wanted.spec.shares_with() {
            let mode = format!("container:{owner}");
            let now = if restarts(owner, changes) {
                "which is restarted"
            } else {
                if !started.get(owner).is_some_and(|started| is_left_behind(managed, was, owner, *started)) {
                    continue;
                }
                let record = self.record.get_or_insert_with(|| was.clone());
                record.followed.extend(started.clone());
                record.followed_at = managed.started;
                "which was started since"
            };
            self.restart = true;
            self.reasons.push(told(field, Some(mode.clone()), Some(format!("{mode}, {now}"))));
        }
    }

    /// The calls that do it, given those that lead the container to its state anyway.
    pub(super) fn operations(
        self,
        state: State,
        status: LiveStatus,
        steps: Vec<Operation>,
    ) -> (Vec<Operation>, Vec<Told>) {
        let starts = steps.contains(&Operation::Start);
        let is_to_rest = matches!(state, State::Stopped | State::Created);
        if is_to_rest && self.put.is_empty() {
            return (steps, Vec::new());
        }
        let signals: Vec<Operation> = self.signals(status);
        let restart = match (state, status) {
            _ if !self.restart || starts || is_to_rest => Vec::new(),
            (State::Completed, LiveStatus::Exited(_)) => vec![Operation::Start],
            _ => restart(status),
        };
        let is_restarted = !restart.is_empty();
        let is_unpaused = |step: &Operation| is_restarted && *step == Operation::Unpause;
        let rest = steps.into_iter().filter(|step| !is_unpaused(step));
        let pause_again = is_restarted && state == State::Paused && status == LiveStatus::Paused;
        let trial = self.trial.filter(|_| starts || is_restarted);
        let record = trial.or(self.record).map(|applied| Operation::Record(Box::new(applied)));
        // What is remembered before a restart says that it is yet to come; a signal may well come twice.
        let operations = (!self.put.is_empty())
            .then_some(Operation::Put(self.put))
            .into_iter()
            .chain(self.collect.into_iter().map(Operation::Collect))
            .chain(signals.into_iter().filter(|_| !is_restarted && !starts))
            .chain(record)
            .chain(restart)
            .chain(rest)
            .chain(pause_again.then_some(Operation::Pause));
        (operations.collect(), self.reasons)
    }

    /// The signals that tell a running program of its files.
    fn signals(&self, status: LiveStatus) -> Vec<Operation> {
        let signals: std::collections::BTreeSet<&String> = self
            .put
            .iter()
            .filter_map(|file| match &file.on_change {
                OnChange::Signal(signal) if status.is_up() => Some(signal),
                _ => None,
            })
            .collect();
        signals.into_iter().cloned().map(Operation::Signal).collect()
    }
}

/// What a container needs as it is, whatever is to take its place: one whose namespace it shares was started since.
pub(super) fn follow(
    (container, managed): (&ObservedContainer, &Managed),
    was: &Applied,
    standing: &Standing<'_>,
) -> Vec<Operation> {
    let started = owners_started(managed, standing);
    let is_left = started.iter().any(|(owner, started)| is_left_behind(managed, was, owner, *started));
    if !container.status.is_up() || !(is_left || is_owed(managed, was)) {
        return Vec::new();
    }
    let mut record = Applied { followed_at: managed.started, restart_after: managed.started, ..was.clone() };
    record.followed.extend(started);
    let pause = (container.status == LiveStatus::Paused).then_some(Operation::Pause);
    let restart = restart(container.status);
    std::iter::once(Operation::Record(Box::new(record))).chain(restart).chain(pause).collect()
}

/// Whether a restart was interrupted: what is remembered before it says that it is yet to come.
fn is_owed(managed: &Managed, was: &Applied) -> bool {
    was.restart_after.is_some() && was.restart_after == managed.started
}

/// The calls that restart a program that is there.
fn restart(status: LiveStatus) -> Vec<Operation> {
    let frozen = (status == LiveStatus::Paused).then_some(Operation::Unpause);
    frozen.into_iter().chain([Operation::Restart]).collect()
}

/// What was done to a container: as it is remembered, else as it was created.
pub(super) fn applied(container: &ObservedContainer, managed: &Managed, observed: &Observed) -> Applied {
    let created = || Applied {
        restart_token: managed.created.as_ref().and_then(|created| created.restart_token.clone()),
        files: managed.files.clone(),
        ..Applied::default()
    };
    observed.applied.get(&container.id).cloned().unwrap_or_else(created)
}

/// Whether a container that stays is started anew by what is already known to change.
fn restarts(name: &Name, changes: &Changes) -> bool {
    let id = ResourceId::new(Kind::Container, name.clone());
    let mut its = changes.changes.iter().filter(|change| change.id == id);
    its.any(|change| matches!(change.act, Act::Alter { .. }) && change.act.starts())
}
