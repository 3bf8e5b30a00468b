//! The words: names, identities, specs and notations, each parsed once into a type.
//!
//! In: text and serde values from manifests and engines. Out: validated values. Never does I/O.

pub mod bind;
pub mod container;
pub mod device;
pub mod digest;
pub mod duration;
pub mod env;
pub mod exposed;
pub mod health;
pub mod image;
pub mod label;
pub mod link;
pub mod logging;
pub mod mount;
pub mod name;
pub mod namespace;
pub mod network;
mod notation;
pub mod platform;
pub mod port;
pub mod printable;
pub mod quantity;
pub mod reference;
pub mod restart;
pub mod security;
pub mod signal;
pub mod size;
pub mod tmpfs;
pub mod ulimit;
pub mod violation;
pub mod volume;
pub mod words;
