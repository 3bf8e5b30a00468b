//! Invigil keeps the Docker host of an exam server in the state that a directory of YAML manifests
//! describes.
//!
//! One way through, each stage a plain value:
//!
//! ```text
//! files -> Snapshot -> Manifests -> Desired \
//!                                            diff -> Changes -> Plan -> execute -> Outcomes -> Status
//!                  engine.observe() -> Observed /
//! ```
//!
//! The modules are floors; one imports only from those above it in this list
//! (`tests/floors.rs` holds them to it).

pub mod html;
pub mod resource;

pub mod problemset;

pub mod source;

pub mod manifest;

pub mod assembly;

pub mod fields;

pub mod desired;
pub mod diff;
pub mod observed;
pub mod plan;

pub mod convert;

pub mod engine;
pub mod host;
pub mod journal;
pub mod records;
pub mod registries;
pub mod secret;
pub mod suspension;
pub mod whole;

pub mod execute;

pub mod account;
pub mod reconcile;
pub mod status;
pub mod turn;

pub mod daemon;

pub mod cli;
