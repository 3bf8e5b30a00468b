//! Trees into values. In: a node and a type. Out: everything that keeps the node from being one, and the value as far as it
//! can be read all the same, so that the rules that it breaks are told with that.

use serde::de::DeserializeOwned;

use super::deserializer::Reading;
use super::parse::FAULTS_MAX;
use super::tree::{Fault, Node};
use super::wording::About;
use crate::resource::violation::FieldPath;

/// What became of a node.
#[derive(Debug)]
pub(super) struct Read<T> {
    /// The value. Where there is a fault, or something was refused in the tree before, it is without what cannot be read
    /// and good for nothing but for finding more faults; `None` if not even that can be had.
    pub value: Option<T>,
    /// What is wrong; not what was refused in the tree before, which is told elsewhere.
    pub faults: Vec<Fault>,
}

impl<T> Read<T> {
    /// The value, if nothing is wrong with it.
    ///
    /// # Errors
    /// Every fault.
    pub fn whole(self) -> Result<T, Vec<Fault>> {
        let faults = self.faults;
        self.value.filter(|_| faults.is_empty()).ok_or(faults)
    }
}

/// Reads a value.
///
/// All faults are told at once: after each, what is wrong is refused and the rest is read again; what has to be there, and
/// is not, is stood in for. `at` is the node's path in its document; it precedes the faults' paths.
pub(super) fn read<T: DeserializeOwned>(node: &mut Node<'_>, at: &FieldPath) -> Read<T> {
    let mut faults = Vec::new();
    let mut refused: Vec<FieldPath> = Vec::new();
    // What stands in, and what nothing of its type can stand in for.
    let (mut standing, mut vain): (Vec<FieldPath>, Vec<FieldPath>) = (Vec::new(), Vec::new());
    // Each round reads the whole value; a consequence is no fault, and there may be as many as lines.
    for _ in 0..4 * FAULTS_MAX {
        if faults.len() == FAULTS_MAX {
            break;
        }
        let error = match T::deserialize(Reading(node)) {
            Ok(value) => return Read { value: Some(value), faults },
            Err(error) => *error.0,
        };
        let path: FieldPath = error.steps.into_iter().rev().collect();
        if let Some(place) = standing.iter().position(|field| path.is_within(field)) {
            let field = standing.swap_remove(place);
            if let Some(node) = node.at_mut(&field) {
                node.stands_in = false;
            }
            vain.push(field);
            continue;
        }
        // What holds something refused may be wrong for that reason only.
        let is_consequence = match &error.about {
            About::MissingField(field) => node.place_of_key(&path.key(field)).is_some(),
            _ => refused.iter().any(|inner| inner != &path && inner.is_within(&path)),
        };
        if !is_consequence {
            let position = match error.about {
                About::Key => node.place_of_key(&path).unwrap_or_else(|| node.place(&path)),
                About::Value | About::MissingField(_) => node.place(&path),
            };
            faults.push(Fault { position, path: at.join(&path), message: error.message, hint: error.hint });
        }
        if let About::MissingField(field) = error.about {
            let missing = path.key(field);
            if !vain.contains(&missing) {
                node.let_stand_in(&path, field);
                standing.push(missing);
                continue;
            }
        }
        if path.segments().is_empty() || !node.refuse(&path) {
            break;
        }
        if let (About::Key, Some(node)) = (&error.about, node.at_mut(&path)) {
            node.misnamed = true;
        }
        refused.push(path);
    }
    Read { value: None, faults }
}

#[cfg(test)]
mod tests;
