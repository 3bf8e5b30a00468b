//! The exam: items, the paper that examinees see, the key that they must not. Does not know Docker.
//!
//! ```text
//! manifest -> ProblemSetSpec -> ProblemSet { Paper, AnswerKey }
//! the old service's body -> legacy -> ProblemSetSpec -> manifest
//! ```

pub mod paper;

mod check;
mod image_name;
pub mod item;
pub mod key;
pub mod key_spec;
pub mod legacy;
mod moment;
pub mod set;
pub mod spec;
pub mod text;
pub(crate) mod yaml;

#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod set_tests;
