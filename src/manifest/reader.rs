//! Trees into values. In: a node and a type. Out: the value, or everything that keeps the node from
//! being one.

use serde::de::DeserializeOwned;

use super::deserializer::Reading;
use super::parse::FAULTS_MAX;
use super::tree::{Fault, Node};
use super::wording::About;
use crate::resource::violation::FieldPath;

/// Reads a value.
///
/// All faults are told at once: after each, what is wrong is refused and the rest is read again.
/// `at` is the node's path in its document; it precedes the faults' paths.
///
/// # Errors
/// Every fault; none if what is missing was refused in the tree already, whose faults are told elsewhere.
pub(super) fn read<T: DeserializeOwned>(node: &mut Node<'_>, at: &FieldPath) -> Result<T, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut refused: Vec<FieldPath> = Vec::new();
    // Each round reads the whole value; a consequence is no fault, and there may be as many as lines.
    for _ in 0..2 * FAULTS_MAX {
        if faults.len() == FAULTS_MAX {
            break;
        }
        let error = match T::deserialize(Reading(node)) {
            Ok(value) if faults.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(error) => *error.0,
        };
        let path: FieldPath = error.steps.into_iter().rev().collect();
        // What holds something refused may be wrong for that reason only.
        let is_consequence = match &error.about {
            About::MissingField(field) => node.place_of_key(&path.key(field)).is_some(),
            _ => refused.iter().any(|inner| inner != &path && inner.segments().starts_with(path.segments())),
        };
        if !is_consequence {
            let position = match error.about {
                About::Key => node.place_of_key(&path).unwrap_or_else(|| node.place(&path)),
                About::Value | About::MissingField(_) => node.place(&path),
            };
            faults.push(Fault { position, path: at.join(&path), message: error.message, hint: error.hint });
        }
        if path.segments().is_empty() || !node.refuse(&path) {
            break;
        }
        refused.push(path);
    }
    Err(faults)
}

#[cfg(test)]
mod tests;
