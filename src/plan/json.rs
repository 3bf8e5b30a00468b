//! A plan as JSON, for programs. The form has a version; fields are only ever added to it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::text::{Verb, detail};
use super::{Node, Plan};
use crate::resource::name::ResourceId;

/// The version of the form. Raised when a field changes its meaning or goes.
pub const PLAN_FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanForm<'a> {
    format_version: u32,
    changes: Vec<ChangeForm<'a>>,
    steps: Vec<StepForm<'a>>,
    withheld: Vec<WithheldForm<'a>>,
    summary: std::collections::BTreeMap<&'static str, usize>,
    unchanged: usize,
    suspended: Vec<WithheldForm<'a>>,
    /// Whether anything is wrong with the manifests: then nothing is removed.
    wrong: bool,
    /// What is left as it is because its manifest is wrong, or one that it needs.
    left: &'a BTreeSet<ResourceId>,
    warnings: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeForm<'a> {
    resource: &'a ResourceId,
    action: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    reasons: Vec<ReasonForm<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<&'a str>,
}

#[derive(Serialize)]
struct ReasonForm<'a> {
    field: &'a str,
    from: Option<&'a str>,
    to: Option<&'a str>,
}

#[derive(Serialize)]
struct StepForm<'a> {
    step: String,
    resources: &'a [ResourceId],
    needs: &'a [usize],
    /// The steps of which one has to fail for it to be done.
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    instead: &'a [usize],
}

#[derive(Serialize)]
struct WithheldForm<'a> {
    resource: &'a ResourceId,
    reason: &'a str,
}

impl<'a> From<&'a Node> for StepForm<'a> {
    fn from(node: &'a Node) -> Self {
        Self {
            step: node.step.to_string(),
            resources: &node.resources,
            needs: &node.needs,
            instead: &node.instead,
        }
    }
}

impl Plan {
    /// The plan as a JSON value, with its `formatVersion`.
    ///
    /// # Errors
    /// None in practice: every part is text and numbers.
    pub fn to_json(&self) -> Result<Value, serde_json::Error> {
        let changes = self.changes.iter().map(|change| ChangeForm {
            resource: &change.id,
            action: Verb::of(&change.act).as_str(),
            detail: detail(change),
            reasons: change
                .reasons
                .iter()
                .filter(|reason| !reason.field.is_empty())
                .map(|reason| ReasonForm {
                    field: &reason.field,
                    from: reason.from.as_deref(),
                    to: reason.to.as_deref(),
                })
                .collect(),
            waiting: self.waiting.get(&change.id).map(String::as_str),
        });
        serde_json::to_value(PlanForm {
            format_version: PLAN_FORMAT_VERSION,
            changes: changes.collect(),
            steps: self.nodes.iter().map(StepForm::from).collect(),
            withheld: self
                .withheld
                .iter()
                .map(|(resource, reason)| WithheldForm { resource, reason })
                .collect(),
            summary: self.counts().map(|(verb, count)| (verb.as_str(), count)).collect(),
            unchanged: self.unchanged.len(),
            suspended: self
                .suspended
                .iter()
                .map(|(resource, reason)| WithheldForm { resource, reason })
                .collect(),
            wrong: self.wrong,
            left: &self.left,
            warnings: &self.warnings,
        })
    }
}
