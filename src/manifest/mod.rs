//! Manifests: YAML into values. In: a snapshot of files. Out: valid manifests, and every error of the
//! others with its file, line, column and field. Never talks to an engine.

pub mod diagnostic;
pub mod reader;
pub mod scalar;
pub mod suggestion;
pub mod tree;
