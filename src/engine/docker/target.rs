//! Which container a step means. In: a step. Out: the same step, with the container's id in the place of a
//! name that could be mistaken. Only looks.
//!
//! Engines take a name that no container bears for the beginning of an id: with `db` gone, a step for `db`
//! would hit whoever's id begins with `db` (law 8).

use bollard::query_parameters::InspectContainerOptions;

use super::Session;
use super::error::{failed, is_absent};
use super::perform::segment;
use crate::engine::EngineError;
use crate::plan::Step;

/// How many digits an id has.
const ID_DIGITS: usize = 64;

/// A step that can be done as it is; `None` if no container bears the name that it means one by.
pub(super) async fn meant(engine: &Session, step: &Step) -> Result<Option<Step>, EngineError> {
    let mut step = step.clone();
    let Some(target) = step.container_mut() else { return Ok(Some(step)) };
    let Some(found) = unmistaken(engine, target).await? else { return Ok(None) };
    *target = found;
    Ok(Some(step))
}

/// The container of this name in a form that the engine takes for no other one; `None` if no container bears it.
pub(super) async fn unmistaken(engine: &Session, target: &str) -> Result<Option<String>, EngineError> {
    if !is_like_an_id(target) {
        return Ok(Some(target.to_owned()));
    }
    match engine.docker.inspect_container(segment(target)?, None::<InspectContainerOptions>).await {
        Ok(found) => {
            let name = found.name.unwrap_or_default();
            Ok(found.id.filter(|_| name.trim_start_matches('/') == target))
        }
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed(&engine.endpoint, "look at it", error)),
    }
}

/// Whether an engine could take a name for the beginning of an id.
pub(super) fn is_like_an_id(target: &str) -> bool {
    target.len() < ID_DIGITS && target.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::is_like_an_id;

    #[test]
    fn a_short_name_of_hexadecimal_digits_is_like_an_id_and_others_are_not() {
        for name in ["db", "DB", "2018", "01", "cafe"] {
            assert!(is_like_an_id(name), "{name}");
        }
        for name in ["web", "db.invigil-next", "seat-01", &"0f".repeat(32)] {
            assert!(!is_like_an_id(name), "{name}");
        }
    }
}
