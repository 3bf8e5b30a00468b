//! Restart policies. In: Docker's notation or the long form. Out: [`RestartPolicy`].

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::notation::{Notation, notation};

/// When the engine starts a container again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// Never.
    No,
    /// Always, also when the engine starts.
    Always,
    /// Always, unless it was stopped.
    UnlessStopped,
    /// When it exits with an error, at most this often (0: without limit).
    OnFailure(u32),
}

impl RestartPolicy {
    /// The engine's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure(_) => "on-failure",
        }
    }

    /// How often `on-failure` tries; 0 for the others.
    pub const fn maximum_retry_count(self) -> u32 {
        match self {
            Self::OnFailure(count) => count,
            Self::No | Self::Always | Self::UnlessStopped => 0,
        }
    }

    fn from_parts(name: &str, count: Option<u32>) -> Result<Self, String> {
        let policy = match name {
            "no" | "" => Self::No,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => return Ok(Self::OnFailure(count.unwrap_or(0))),
            _ => {
                return Err(format!(
                    "`{}` is not a restart policy (expected one of no, always, unless-stopped, on-failure[:N])",
                    name.escape_debug()
                ));
            }
        };
        match count {
            None | Some(0) => Ok(policy),
            Some(_) => Err(format!("a retry count goes with on-failure only, not with {name}")),
        }
    }
}

/// The long form of a restart policy.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RestartPolicyForm {
    /// `no`, `always`, `unless-stopped` or `on-failure`.
    name: String,
    /// For `on-failure`: how often at most.
    maximum_retry_count: Option<u32>,
}

impl Notation for RestartPolicy {
    type Long = RestartPolicyForm;
    const EXPECTED: &'static str = "a restart policy like \"unless-stopped\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None => Self::from_parts(text, None),
            Some((name, count)) => {
                let count = count
                    .parse()
                    .map_err(|_| format!("`{}` is not a number of retries", count.escape_debug()))?;
                Self::from_parts(name, Some(count))
            }
        }
    }

    fn from_long(long: RestartPolicyForm) -> Result<Self, String> {
        Self::from_parts(&long.name, long.maximum_retry_count)
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnFailure(count) if *count > 0 => write!(f, "on-failure:{count}"),
            policy => f.write_str(policy.name()),
        }
    }
}

notation!(
    RestartPolicy, "RestartPolicy",
    "When the engine restarts the container: `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:N`.",
    also RestartPolicyForm
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_one_policy() {
        let short: RestartPolicy = "on-failure:3".parse().expect("a policy");
        let long: RestartPolicy =
            serde_json::from_str(r#"{"name": "on-failure", "maximumRetryCount": 3}"#).expect("a policy");
        assert_eq!(short, long);
        assert_eq!(short.to_string(), "on-failure:3");
        assert_eq!(
            "always:3".parse::<RestartPolicy>(),
            Err("a retry count goes with on-failure only, not with always".to_owned())
        );
    }
}
