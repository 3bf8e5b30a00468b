//! What is to be remembered of a container that its engine does not tell. In: what is asked of it, and the calls that do it.
//! Out: the same calls, with what is remembered among them.

use std::collections::BTreeSet;

use super::super::Operation;
use super::namespace::owners_started;
use super::standing::Standing;
use crate::desired::Desired;
use crate::fields::Difference;
use crate::observed::{Applied, EngineId, Managed, ObservedContainer};
use crate::resource::container::State;
use crate::resource::name::{Name, ResourceId};

/// What its own manifest last had a container do.
pub(super) fn last_state(managed: &Managed, was: &Applied) -> Option<State> {
    was.state.or_else(|| managed.created.as_ref().map(|created| created.state))
}

/// Puts what is to be remembered among the calls.
pub(super) fn remembered(
    name: &Name,
    container: &ObservedContainer,
    differences: &[Difference],
    was: &Applied,
    desired: &Desired,
    operations: &mut Vec<Operation>,
) {
    remember_name(name, container, was.clone(), desired, operations);
    remember_asked(differences, was, operations);
}

/// What a container becomes by its manifest's word is remembered before it is called so: from then on its former name is
/// free for another, whatever its label says.
fn remember_name(
    name: &Name,
    container: &ObservedContainer,
    was: Applied,
    desired: &Desired,
    operations: &mut Vec<Operation>,
) {
    let is_former = |(was, now): (&Name, &Name)| now == name && container.name == was.as_str();
    let is_said = || desired.previous_names.iter().any(is_former);
    if !operations.contains(&Operation::Rename) || !(was.became.is_some() || is_said()) {
        return;
    }
    let became = Some(name.clone());
    for operation in &mut *operations {
        if let Operation::Record(record) = operation {
            record.became = became;
            return;
        }
    }
    operations.insert(0, Operation::Record(Box::new(Applied { became, ..was })));
}

/// Which limits a container was asked to have is remembered once it was: what it has not got by then, its host's kernel has no
/// means for.
fn remember_asked(differences: &[Difference], was: &Applied, operations: &mut Vec<Operation>) {
    let asked = differences.iter().filter(|difference| difference.is_asked_for());
    let asked: BTreeSet<String> = asked.map(|difference| difference.field.name.to_owned()).collect();
    let Some(update) = operations.iter().position(|one| matches!(one, Operation::Update(_))) else { return };
    if asked.is_empty() {
        return;
    }
    let mut record = was.clone();
    for (at, operation) in operations.iter_mut().enumerate() {
        let Operation::Record(one) = operation else { continue };
        if at > update {
            one.asked.extend(asked);
            return;
        }
        record.clone_from(one);
    }
    record.asked.extend(asked);
    operations.insert(update + 1, Operation::Record(Box::new(record)));
}

/// What is to be remembered of a container whose manifest has it do something else than it did before, or which shares
/// namespaces of others as they are since they, or it, were started.
pub(super) fn turned(
    id: &ResourceId,
    state: State,
    (container, managed): (&ObservedContainer, &Managed),
    was: &Applied,
    standing: &Standing<'_>,
) -> Option<(ResourceId, (EngineId, Applied))> {
    let mut now = was.clone();
    if last_state(managed, was).is_some_and(|before| before != state) {
        now.state = Some(state);
    }
    let owners = owners_started(managed, standing);
    if container.status.is_up() && !owners.is_empty() {
        now.followed.extend(owners);
        now.followed_at = managed.started;
    }
    (now != *was).then(|| (id.clone(), (container.id.clone(), now)))
}
