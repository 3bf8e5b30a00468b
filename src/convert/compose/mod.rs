//! Compose.

use std::collections::BTreeMap;

use super::{Converted, Refusal};

/// What a Compose file is read with.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The project's name, if it was given.
    pub project: Option<String>,
    /// The name of the directory it stands in.
    pub directory: String,
    /// The variables that may stand in it.
    pub variables: BTreeMap<String, String>,
}

pub fn env_file(_: &str) -> BTreeMap<String, String> {
    BTreeMap::new()
}

pub fn convert(_: &str, _: &Given) -> Result<Converted, Vec<Refusal>> {
    Ok(Converted::default())
}
