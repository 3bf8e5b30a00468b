//! The words: names, identities, specs and notations, each parsed once into a type.
//!
//! In: text and serde values from manifests and engines. Out: validated values. Never does I/O.

pub mod container;
pub mod digest;
pub mod duration;
pub mod env;
pub mod health;
pub mod image;
pub mod label;
pub mod mount;
pub mod name;
pub mod network;
mod notation;
pub mod port;
pub mod printable;
pub mod quantity;
pub mod reference;
pub mod restart;
pub mod violation;
pub mod volume;
