//! What a restart is needed for, though no field differs: a new token, a restart that was interrupted, a
//! namespace whose owner was started since. In: what is wanted, what is there, what was done before. Out: a
//! [`Renewal`].

use super::super::{Act, Changes, Operation, Told, told};
use super::namespace::shared_started;
use crate::desired::DesiredContainer;
use crate::observed::{Applied, LiveStatus, Managed, Observed, ObservedContainer};
use crate::resource::container::State;
use crate::resource::name::{Kind, Name, ResourceId};

/// Why a container's program is to be started anew, and what is to be remembered of it.
pub(super) struct Renewal {
    reasons: Vec<Told>,
    /// What is to be remembered before it; `None` if that is remembered already, or shows by itself.
    record: Option<Applied>,
}

impl Renewal {
    /// What `wanted` asks of a container; `None` if nothing.
    pub(super) fn of(
        wanted: &DesiredContainer,
        container: &ObservedContainer,
        managed: &Managed,
        observed: &Observed,
        changes: &Changes,
    ) -> Option<Self> {
        let was = applied(container, managed, observed);
        let spec = &wanted.spec;
        let mut renewal = Self { reasons: Vec::new(), record: None };
        let mut record = Applied { restart_token: spec.restart_token.clone(), ..was.clone() };
        if spec.restart_token.is_some() && spec.restart_token != was.restart_token {
            record.restart_after = managed.started;
            renewal.reasons.push(told("restartToken", was.restart_token.clone(), spec.restart_token.clone()));
            renewal.record = Some(record.clone());
        } else if was.restart_after.is_some() && was.restart_after == managed.started {
            let why = "the restart that was interrupted".to_owned();
            renewal.reasons.push(told("", None, Some(why)));
        }
        for (field, owner) in spec.shares_with().filter(|_| container.status.is_up()) {
            let mode = format!("container:{owner}");
            let now = if restarts(owner, changes) {
                "which is restarted"
            } else {
                let since = shared_started(owner, observed);
                if since.is_none() || since <= managed.started || since == was.followed {
                    continue;
                }
                record.followed = since;
                renewal.record = Some(record.clone());
                "which was started since"
            };
            renewal.reasons.push(told(field, Some(mode.clone()), Some(format!("{mode}, {now}"))));
        }
        (!renewal.reasons.is_empty()).then_some(renewal)
    }

    /// The calls that start a program anew, given those that lead it to its state anyway.
    pub(super) fn operations(
        self,
        state: State,
        status: LiveStatus,
        steps: Vec<Operation>,
    ) -> (Vec<Operation>, Vec<Told>) {
        let starts = steps.contains(&Operation::Start);
        let again = state == State::Completed && matches!(status, LiveStatus::Exited(_));
        let restart = match (state, status) {
            _ if starts => Vec::new(),
            _ if again => vec![Operation::Start],
            (State::Stopped | State::Created, _) => return (steps, Vec::new()),
            (_, LiveStatus::Paused) => vec![Operation::Unpause, Operation::Restart],
            _ => vec![Operation::Restart],
        };
        let unpauses = |step: &Operation| *step == Operation::Unpause;
        let rest = steps.into_iter().filter(|step| restart.is_empty() || !unpauses(step));
        let pause_again = state == State::Paused && status == LiveStatus::Paused;
        let operations = self
            .record
            .into_iter()
            .map(|applied| Operation::Record(Box::new(applied)))
            .chain(restart.iter().cloned())
            .chain(rest)
            .chain(pause_again.then_some(Operation::Pause));
        (operations.collect(), self.reasons)
    }
}

/// What was done to a container: as it is remembered, else as it was created.
fn applied(container: &ObservedContainer, managed: &Managed, observed: &Observed) -> Applied {
    let created = || Applied {
        restart_token: managed.created.as_ref().and_then(|created| created.restart_token.clone()),
        ..Applied::default()
    };
    observed.applied.get(&container.id).cloned().unwrap_or_else(created)
}

/// Whether a container that stays is started anew by what is already known to change.
fn restarts(name: &Name, changes: &Changes) -> bool {
    let id = ResourceId::new(Kind::Container, name.clone());
    changes.changes.iter().filter(|change| change.id == id).any(|change| match &change.act {
        Act::Alter { operations, .. } => {
            operations.iter().any(|one| matches!(one, Operation::Start | Operation::Restart))
        }
        _ => false,
    })
}
