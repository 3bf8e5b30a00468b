//! Saved plans: what `plan --out` writes and `apply --plan` carries out. In: a plan and where it comes from.
//! Out: a JSON file; or the plan of now, if it is still the same one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::report::{self, Advised};
use crate::fields::plain;
use crate::plan::{Palette, Plan};
use crate::resource::name::Owner;
use crate::whole;

/// The version of the file's form.
const FORMAT_VERSION: u32 = 1;

/// A plan that somebody read, and what it was made of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SavedPlan {
    format_version: u32,
    /// Whose plan it is.
    owner: String,
    /// Where the manifests were, from the root.
    pub(super) path: PathBuf,
    /// What they and the files that they name say, sealed with this host's secret.
    manifests: String,
    /// How many removals were approved.
    pub(super) allow_removals: Option<usize>,
    /// The plan in words.
    text: String,
    /// The plan, with the ids of what was there: the fingerprint of what was observed.
    plan: Value,
}

impl SavedPlan {
    pub(super) fn new(
        plan: &Plan,
        owner: &Owner,
        path: PathBuf,
        manifests: String,
        allow_removals: Option<usize>,
    ) -> Result<Self> {
        Ok(Self {
            format_version: FORMAT_VERSION,
            owner: owner.to_string(),
            path,
            manifests,
            allow_removals,
            text: plan.to_text(&Palette::default()),
            plan: plan.to_json()?,
        })
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = format!("{:#}\n", serde_json::to_value(self)?);
        if fs::symlink_metadata(file).is_ok_and(|there| !there.is_file()) {
            return Err(Advised {
                message: format!("{} is there, and no regular file", file.display()),
                hint: "a plan is saved in a file of its own; `-o json` prints one",
            }
            .into());
        }
        whole::write(file, text.as_bytes(), None).with_context(|| format!("while writing {}", file.display()))
    }

    pub(super) fn read(file: &Path) -> Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("while reading {}", file.display()))?;
        let saved: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not a plan that `invigil plan --out` wrote", file.display()))?;
        if saved.format_version != FORMAT_VERSION {
            return Err(Advised {
                message: format!("{} was written by another version of Invigil", file.display()),
                hint: "make the plan anew",
            }
            .into());
        }
        Ok(saved)
    }

    /// Refuses, unless it is this owner's.
    pub(super) fn check_owner(&self, owner: &Owner) -> Result<()> {
        if self.owner == owner.as_str() {
            return Ok(());
        }
        Err(Advised {
            message: format!("the plan is owner {}'s, and this is owner {owner}", self.owner.escape_debug()),
            hint: "`--owner` says which one is meant; nothing was changed",
        }
        .into())
    }

    /// Refuses, unless the plan of now is the one that was saved.
    pub(super) fn check(&self, now: &Plan, manifests: &str) -> Result<()> {
        let moved = |message: String| -> Result<()> {
            Err(Advised { message, hint: "make the plan anew and read it; nothing was changed" }.into())
        };
        let plan = now.to_json()?;
        if self.plan != plan {
            let words = differences(&self.text, &now.to_text(&Palette::default()));
            // What is there may be another one that looks the same.
            report::talk(&if words.is_empty() {
                differences(&steps(&self.plan), &steps(&plan))
            } else {
                words
            });
            return moved("what is there, or wanted, has changed since the plan was made".to_owned());
        }
        if self.manifests != manifests {
            let what = "the manifests, or the files that they name, have changed since the plan was made";
            return moved(what.to_owned());
        }
        Ok(())
    }
}

/// The steps of a plan's JSON, which name what is there by its id, a line for each.
fn steps(plan: &Value) -> String {
    let texts = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let steps = plan["steps"].as_array().into_iter().flatten();
    let lines = steps.map(|step| {
        format!("{}: {}\n", texts(&step["resources"]).join(", "), step["step"].as_str().unwrap_or_default())
    });
    lines.collect()
}

/// The lines that only one of two texts has.
fn differences(before: &str, now: &str) -> String {
    let only = |of: &str, other: &str, sign: char| -> String {
        let lines = of.lines().filter(|line| !other.lines().any(|there| there == *line));
        lines.fold(String::new(), |told, line| format!("{told}{sign} {}\n", plain(line)))
    };
    only(before, now, '-') + &only(now, before, '+')
}
