//! The key of a checked problem set. Enters from a `ProblemSet`; leaves to whoever marks responses, item by
//! item. Never serialised, printed or hashed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The right answers of one problem set.
///
/// A paper can be written into an image:
///
/// ```
/// fn into_an_image(_: &impl serde::Serialize) {}
/// fn image_of(paper: &invigil::problemset::paper::Paper) { into_an_image(paper) }
/// ```
///
/// A key cannot; the same program with the other type does not compile:
///
/// ```compile_fail,E0277
/// fn into_an_image(_: &impl serde::Serialize) {}
/// fn image_of(key: &invigil::problemset::key::AnswerKey) { into_an_image(key) }
/// ```
///
/// Nor can it be put into a message:
///
/// ```compile_fail,E0277
/// fn message(key: &invigil::problemset::key::AnswerKey) -> String { key.to_string() }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AnswerKey(BTreeMap<String, ItemKey>);

/// The right answer to one item. Withheld from `Debug`, like the whole key.
#[derive(Clone, PartialEq, Eq)]
pub enum ItemKey {
    /// The ids of the right choices; never empty.
    Choices(BTreeSet<String>),
    /// Whether the statement is true.
    Bool(bool),
    /// What belongs into the blanks, in order; never empty.
    Blanks(Vec<String>),
    /// A model answer.
    Reference(String),
}

impl AnswerKey {
    pub(super) fn new(items: BTreeMap<String, ItemKey>) -> Self {
        Self(items)
    }

    /// The right answer to the item `id`; `None` when it has none, as a short answer may.
    pub fn item(&self, id: &str) -> Option<&ItemKey> {
        self.0.get(id)
    }
}

impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerKey(withheld)")
    }
}

impl fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ItemKey(withheld)")
    }
}
