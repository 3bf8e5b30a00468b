//! The words: names, identities, specs and notations, each parsed once into a type.
//!
//! In: text and serde values from manifests and engines. Out: validated values. Never does I/O.

pub mod violation;
