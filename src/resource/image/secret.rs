//! Where a build's secrets are. In: Docker's notation or the long form. Out: [`BuildSecret`]. Never holds a secret itself:
//! there is no field for one.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::resource::notation::{Notation, notation};

/// A secret that a build's steps may ask for (`RUN --mount=type=secret,id=...`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSecret {
    /// What the Dockerfile calls it.
    pub id: String,
    /// Where it is.
    pub from: SecretSource,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file on this host.
    File(PathBuf),
    /// A variable of the environment in which Invigil runs.
    Env(String),
}

/// The long form of a build's secret.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BuildSecretForm {
    /// What the Dockerfile calls it: `RUN --mount=type=secret,id=ID`.
    id: String,
    /// The file that holds it, relative to this one.
    file: Option<String>,
    /// The variable that holds it, of the environment in which Invigil runs.
    env: Option<String>,
}

impl BuildSecret {
    /// The same, with a file that is found from everywhere.
    #[must_use]
    pub fn below(&self, directory: &Path) -> Self {
        let from = match &self.from {
            SecretSource::File(path) => SecretSource::File(directory.join(path)),
            SecretSource::Env(name) => SecretSource::Env(name.clone()),
        };
        Self { id: self.id.clone(), from }
    }

    fn from_parts(id: &str, file: Option<&str>, env: Option<&str>) -> Result<Self, String> {
        let is_plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c == ',' || c.is_control());
        if !is_plain(id) {
            return Err("a secret needs an id, without commas".to_owned());
        }
        let from = match (file, env) {
            (Some(file), None) if is_plain(file) => SecretSource::File(PathBuf::from(file)),
            (None, Some(env)) if is_plain(env) && !env.contains('=') => SecretSource::Env(env.to_owned()),
            (Some(_), None) => return Err("a secret's file has a path without commas".to_owned()),
            (None, Some(_)) => return Err("a variable has a name without `=` and commas".to_owned()),
            _ => return Err("a secret is in a file or in a variable (env), exactly one of them".to_owned()),
        };
        Ok(Self { id: id.to_owned(), from })
    }
}

impl Notation for BuildSecret {
    type Long = BuildSecretForm;
    const EXPECTED: &'static str = "a secret like \"id=npm,src=./npm-token\" or {id: npm, file: ./npm-token}";

    fn parse(text: &str) -> Result<Self, String> {
        let (mut id, mut file, mut env) = (None, None, None);
        let mut is_env = false;
        for part in text.split(',') {
            let place = match part.split_once('=') {
                Some(("id", _)) => &mut id,
                Some(("src" | "source", _)) => &mut file,
                Some(("env", _)) => &mut env,
                Some(("type", word @ ("file" | "env"))) => {
                    is_env = word == "env";
                    continue;
                }
                // What was written may be the secret itself.
                _ => return Err(format!("expected {}", Self::EXPECTED)),
            };
            if place.replace(part.split_once('=').map_or("", |(_, value)| value)).is_some() {
                return Err("a secret has each of id, src and env at most once".to_owned());
            }
        }
        // Docker's `type=env,src=NAME` means a variable.
        if is_env && env.is_none() {
            env = file.take();
        }
        Self::from_parts(id.unwrap_or_default(), file, env)
    }

    fn from_long(long: BuildSecretForm) -> Result<Self, String> {
        Self::from_parts(&long.id, long.file.as_deref(), long.env.as_deref())
    }
}

impl fmt::Display for BuildSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            SecretSource::File(path) => write!(f, "id={},src={}", self.id, path.display()),
            SecretSource::Env(name) => write!(f, "id={},env={name}", self.id),
        }
    }
}

notation!(
    BuildSecret,
    "BuildSecret",
    "A file (`id=npm,src=./npm-token`) or a variable of Invigil's own environment (`id=npm,env=NPM_TOKEN`) that holds a secret.",
    also BuildSecretForm
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_its_file_or_variable_and_never_written() {
        for (text, shown) in [
            ("id=npm,src=./t", "id=npm,src=./t"),
            ("type=file,id=npm,source=/run/t", "id=npm,src=/run/t"),
            ("id=npm,env=NPM", "id=npm,env=NPM"),
            ("type=env,id=npm,src=NPM", "id=npm,env=NPM"),
        ] {
            assert_eq!(text.parse::<BuildSecret>().map(|secret| secret.to_string()), Ok(shown.to_owned()));
        }
        for (text, why) in [
            ("canary", "expected a secret like \"id=npm,src=./npm-token\" or {id: npm, file: ./npm-token}"),
            ("id=npm", "a secret is in a file or in a variable (env), exactly one of them"),
            ("id=npm,src=a,env=B", "a secret is in a file or in a variable (env), exactly one of them"),
            ("src=a", "a secret needs an id, without commas"),
            ("id=npm,id=b,src=a", "a secret has each of id, src and env at most once"),
            ("id=npm,env=A=canary", "a variable has a name without `=` and commas"),
        ] {
            assert_eq!(text.parse::<BuildSecret>(), Err(why.to_owned()), "{text}");
        }
    }
}
