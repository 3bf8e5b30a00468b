//! Whether a container can run again. In: what is wanted, what is there. Out: why not, in words. Compares no field.

use super::super::{Told, told};
use crate::observed::{LiveStatus, Managed, Observed, ObservedContainer};
use crate::resource::container::State;

/// Why a container is made again though no field of it differs.
const LOST: &str = "the engine has lost track of its program, and cannot start it any more";

/// Why no start of a container succeeds any more, if it is to be started: no engine starts one that it lost track of while
/// starting it; and one that it could not remove is of no use at all. Of one that ran, which holds what its program wrote,
/// one failed start does not tell that: it is tried once more.
pub(super) fn why_never_again(
    state: State,
    container: &ObservedContainer,
    managed: &Managed,
    observed: &Observed,
) -> Option<Told> {
    let tried = || observed.applied.get(&container.id).and_then(|applied| applied.tried_after);
    match container.status {
        LiveStatus::Dead => {
            let (from, to) = (container.status.as_str().to_owned(), state.as_str().to_owned());
            Some(told("state", Some(from), Some(to)))
        }
        status if state.starts() => {
            let is_lost = status == LiveStatus::Stuck
                || (managed.lost && managed.started.is_some() && tried() == managed.started);
            is_lost.then(|| told("", None, Some(LOST.to_owned())))
        }
        _ => None,
    }
}

/// Why a job that failed is not run again by itself.
pub(super) fn failed_job(state: State, status: LiveStatus) -> Option<String> {
    let (State::Completed, LiveStatus::Exited(code @ 1..)) = (state, status) else { return None };
    Some(format!(
        "it ended with exit code {code}; a changed manifest, another restartToken or removing it by hand runs it again"
    ))
}
