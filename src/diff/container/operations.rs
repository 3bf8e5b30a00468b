//! The calls that put a container right as it is. In: what is wanted, what is there, and where they differ.
//! Out: [`Operation`]s in order, and the reasons that are not fields.

use serde_json::{Map, Value};

use super::super::{Operation, Told, told};
use super::renewal::Renewal;
use crate::fields::{self, Difference, encode_endpoint};
use crate::observed::{EngineId, LiveStatus, Observed, ObservedContainer};
use crate::resource::container::{ContainerSpec, State};
use crate::resource::name::Name;
use crate::resource::network::PREDEFINED;

/// The calls that put a container right as it is, and the reasons that are not fields.
pub(super) fn operations(
    name: &Name,
    spec: &ContainerSpec,
    container: &ObservedContainer,
    differences: &[Difference],
    renewal: Renewal,
    observed: &Observed,
) -> (Vec<Operation>, Vec<Told>) {
    let mut operations = Vec::new();
    let mut reasons = Vec::new();
    if container.name != name.as_str() {
        operations.push(Operation::Rename);
        reasons.push(told("name", Some(fields::plain(&container.name)), Some(name.to_string())));
    }
    let update: Map<String, Value> = differences
        .iter()
        .filter_map(Difference::update)
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    if !update.is_empty() {
        operations.push(Operation::Update(Value::Object(update)));
    }
    for difference in differences.iter().filter(|difference| difference.field.class == fields::Class::Connect)
    {
        operations.extend(reconnect(difference));
    }
    for network in gone(container, observed) {
        let leaves = Operation::Disconnect { network: network.clone() };
        if !operations.contains(&leaves)
            && let Some(endpoint) = fields::endpoint(spec, network)
        {
            let what = format!("networks.{}", fields::plain(network));
            reasons.push(told(&what, Some("one that is gone".to_owned()), Some(fields::plain(network))));
            operations.extend([leaves, Operation::Connect { network: network.clone(), endpoint }]);
        }
    }
    let state = spec.state;
    let steps = toward(state, container.status);
    if !steps.is_empty() {
        reasons.push(told("state", Some(ended(container.status)), Some(state.as_str().to_owned())));
    }
    let (steps, more) = renewal.operations(state, container.status, steps);
    operations.extend(steps);
    reasons.extend(more);
    (operations, reasons)
}

/// The networks that a container which is down was on and that are gone: its engine keeps their ids, and starts it on no other
/// network of their names, but for its own, which have another id whenever it is started.
fn gone<'a>(container: &'a ObservedContainer, observed: &'a Observed) -> impl Iterator<Item = &'a String> {
    let is_gone = |id: &Option<EngineId>| {
        id.as_ref().is_some_and(|id| observed.networks.iter().all(|one| one.id != *id))
    };
    let joined = container.networks.iter().filter(|_| !container.status.is_up());
    let made = joined.filter(|(name, _)| !PREDEFINED.contains(&name.as_str()));
    made.filter(move |(_, id)| is_gone(id)).map(|(name, _)| name)
}

/// The exit codes of a program that ended well, or by the signal of `docker kill` or `docker stop`: 128 and its number.
const EXPECTED: [i64; 3] = [0, 128 + 9, 128 + 15];

/// What a container is doing, and how its program ended, if that was by itself and not well.
fn ended(status: LiveStatus) -> String {
    match status {
        LiveStatus::Exited(code) if !EXPECTED.contains(&code) => {
            format!("{} (exit code {code})", status.as_str())
        }
        _ => status.as_str().to_owned(),
    }
}

/// The calls that lead from what a container is doing to what it should.
fn toward(state: State, status: LiveStatus) -> Vec<Operation> {
    let paused = status == LiveStatus::Paused;
    match state {
        State::Running | State::Completed if paused => vec![Operation::Unpause],
        State::Running if !status.is_up() => vec![Operation::Start],
        State::Completed if status == LiveStatus::Created => vec![Operation::Start],
        State::Paused if paused => Vec::new(),
        State::Paused if status.is_up() => vec![Operation::Pause],
        State::Paused => vec![Operation::Start, Operation::Pause],
        State::Stopped | State::Created if paused => vec![Operation::Unpause, Operation::Stop],
        State::Stopped | State::Created if status.is_up() => vec![Operation::Stop],
        _ => Vec::new(),
    }
}

/// Leaves what should not be joined or is joined otherwise, then joins what should be.
fn reconnect(difference: &Difference) -> Vec<Operation> {
    let empty = Map::new();
    let live = difference.live.as_object().unwrap_or(&empty);
    let wanted = difference.expected.as_ref().and_then(Value::as_object).unwrap_or(&empty);
    let leave = live
        .iter()
        .filter(|(network, endpoint)| wanted.get(*network) != Some(endpoint))
        .map(|(network, _)| Operation::Disconnect { network: network.clone() });
    let join = wanted.iter().filter(|(network, endpoint)| live.get(*network) != Some(endpoint)).map(
        |(network, endpoint)| Operation::Connect {
            network: network.clone(),
            endpoint: encode_endpoint(endpoint),
        },
    );
    leave.chain(join).collect()
}
