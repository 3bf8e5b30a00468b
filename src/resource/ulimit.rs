//! Limits of processes. In: Docker's `--ulimit` notation or the long form. Out: [`Ulimit`].

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::notation::{Notation, notation};

/// One limit of `setrlimit(2)`. Shown as `nofile=1024:2048`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulimit {
    /// Which, in the engine's words: `nofile`.
    pub name: String,
    /// What holds at first; -1 for none.
    pub soft: i64,
    /// What a process may raise it to; -1 for none.
    pub hard: i64,
}

/// The engine's names (docker/go-units).
const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl Ulimit {
    fn new(name: &str, soft: i64, hard: i64) -> Result<Self, String> {
        if !NAMES.contains(&name) {
            return Err(format!("`{}` is not a limit (like nofile)", name.escape_debug()));
        }
        if soft < -1 || hard < -1 {
            return Err("a limit is -1 (none) or more".to_owned());
        }
        if hard != -1 && (soft == -1 || soft > hard) {
            return Err(format!("the soft limit of {name} is above the hard one"));
        }
        Ok(Self { name: name.to_owned(), soft, hard })
    }
}

/// The long form of a limit.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UlimitForm {
    /// Which: `nofile`, `nproc`, `memlock`, ...
    name: String,
    /// What holds at first; -1 for none.
    soft: i64,
    /// What a process may raise it to; the same by default.
    hard: Option<i64>,
}

impl Notation for Ulimit {
    type Long = UlimitForm;
    const EXPECTED: &'static str = "a limit like \"nofile=1024:2048\"";

    fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("`{}` is not a limit (name=soft[:hard])", text.escape_debug());
        let (name, limits) = text.split_once('=').ok_or_else(refused)?;
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        let number = |text: &str| text.parse().map_err(|_| refused());
        Self::new(name, number(soft)?, number(hard)?)
    }

    fn from_long(long: UlimitForm) -> Result<Self, String> {
        Self::new(&long.name, long.soft, long.hard.unwrap_or(long.soft))
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.name, self.soft, self.hard)
    }
}

notation!(Ulimit, "Ulimit", "A limit of processes in Docker's notation, `name=soft[:hard]`, or written out.", also UlimitForm);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_one_limit() {
        let short: Ulimit = "nofile=1024:2048".parse().expect("a limit");
        let long: Ulimit =
            serde_json::from_str(r#"{"name": "nofile", "soft": 1024, "hard": 2048}"#).expect("a limit");
        assert_eq!(short, long);
        assert_eq!("nproc=64".parse::<Ulimit>().map(|limit| limit.to_string()), Ok("nproc=64:64".to_owned()));
        for bad in ["nofile", "nofile=", "nofile=2:1", "files=1", "nofile=-2", "nofile=-1:5"] {
            assert!(bad.parse::<Ulimit>().is_err(), "{bad:?}");
        }
    }
}
