//! How every resource stands, for whoever asks the daemon. In: plans, and what becomes of them. Out: a [`Status`], a
//! plain value that goes over the socket as JSON. Never looks at an engine, and decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::diff::{Act, Change, Unwell};
use crate::plan::{Node, Plan, action, because};
use crate::resource::name::ResourceId;

/// The version of the form. Raised when a field changes its meaning or goes.
pub const STATUS_FORMAT_VERSION: u32 = 1;

/// How much of what a resource's steps said is kept, in bytes.
const OUTPUT_MAX: usize = 8 << 10;

/// How a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Condition {
    /// It is as its manifest says, and well.
    Ready,
    /// Something is being done to it, or is about to be.
    Progressing,
    /// It is not as its manifest says, and nothing is being done about that now.
    Stalled,
    /// It is left as it is because somebody said so.
    Suspended,
    /// No manifest describes it, and it is there all the same, for a reason: no failure.
    Kept,
}

impl Condition {
    /// The condition's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Progressing => "Progressing",
            Self::Stalled => "Stalled",
            Self::Suspended => "Suspended",
            Self::Kept => "Kept",
        }
    }

    /// Whether nobody has to wait for it, or to do something about it.
    pub const fn is_fine(self) -> bool {
        matches!(self, Self::Ready | Self::Suspended | Self::Kept)
    }
}

/// How one resource stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// In one word.
    pub condition: Condition,
    /// Since when.
    pub since: Timestamp,
    /// What the old exam service called the image of a problem set, whose `imgId` was any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_image_id: Option<String>,
    /// Why; empty where there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What is being done to it at this moment: a step, or what that is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try: Option<Timestamp>,
    /// The last lines that its steps said, a builder's and a registry's among them; 8 KiB at most.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub output: VecDeque<String>,
}

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version of this form.
    pub format_version: u32,
    /// Whose resources these are.
    pub owner: String,
    /// The daemon's version.
    pub version: String,
    /// Since when the daemon runs.
    pub started: Timestamp,
    /// When everything was looked at last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Timestamp>,
    /// Whether the manifests have changed since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
    /// Why not everything could be looked at since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What is wrong with the manifests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The resources.
    pub resources: BTreeMap<ResourceId, Standing>,
}

/// What a pass found, beside its plan.
#[derive(Debug)]
pub struct Looked<'a> {
    /// What is wrong with the manifests.
    pub errors: Vec<String>,
    /// The resources whose manifest is wrong.
    pub invalid: &'a BTreeSet<ResourceId>,
    /// Why something is kept that goes by itself in a moment.
    pub soon: &'a str,
    /// When what is held back is tried again.
    pub retries: BTreeMap<ResourceId, Timestamp>,
    /// What the old exam service called images.
    pub legacy_ids: BTreeMap<ResourceId, String>,
}

impl Status {
    /// How things stand before anything was looked at.
    pub fn new(owner: &str, now: Timestamp) -> Self {
        Self {
            format_version: STATUS_FORMAT_VERSION,
            owner: owner.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: now,
            looked: None,
            outdated: false,
            trouble: None,
            errors: Vec::new(),
            resources: BTreeMap::new(),
        }
    }

    /// A pass could not look at everything.
    pub fn trouble(&mut self, why: &str) {
        self.trouble = Some(why.to_owned());
    }

    /// A pass looked at everything, and this is its plan. A resource that is in none of it any more is forgotten.
    pub fn looked(&mut self, plan: &Plan, looked: Looked<'_>, now: Timestamp) {
        let mut before = std::mem::take(&mut self.resources);
        self.trouble = None;
        self.looked = Some(now);
        self.errors = looked.errors;
        // What is said first of a resource holds.
        let mut stands = |id: &ResourceId, condition: Condition, reason: String| {
            if self.resources.contains_key(id) {
                return;
            }
            let next_try = looked.retries.get(id).copied().filter(|_| condition == Condition::Stalled);
            let was = before.remove(id);
            let same = was.as_ref().is_some_and(|was| was.condition == condition);
            let since = was.as_ref().filter(|_| same).map_or(now, |was| was.since);
            // What was said of another try says nothing of this one.
            let is_new = condition == Condition::Progressing && !same;
            // Of what cannot be read, or is not described any more, the name that it had says as much.
            let former = was.as_ref().and_then(|was| was.legacy_image_id.clone());
            let legacy_image_id = looked
                .legacy_ids
                .get(id)
                .cloned()
                .or(former.filter(|_| condition == Condition::Kept || looked.invalid.contains(id)));
            let output = was.filter(|_| !is_new).map(|was| was.output).unwrap_or_default();
            let standing =
                Standing { condition, since, legacy_image_id, reason, stage: None, next_try, output };
            self.resources.insert(id.clone(), standing);
        };
        for (id, why) in &plan.suspended {
            stands(id, Condition::Suspended, why.clone());
        }
        for id in looked.invalid {
            stands(id, Condition::Stalled, "its manifest is wrong; it is left as it is".to_owned());
        }
        for change in &plan.changes {
            let (condition, reason) = ahead(change, plan, &looked.retries);
            stands(&change.id, condition, reason);
        }
        for id in &plan.unchanged {
            match plan.unwell.get(id) {
                Some(unwell @ Unwell::Starting) => stands(id, Condition::Progressing, unwell.to_string()),
                Some(unwell) => stands(id, Condition::Stalled, unwell.to_string()),
                None => stands(id, Condition::Ready, String::new()),
            }
        }
        for (id, why) in &plan.withheld {
            let condition = if why == looked.soon { Condition::Progressing } else { Condition::Kept };
            stands(id, condition, format!("no manifest describes it: {why}"));
        }
    }

    /// A step began.
    pub fn begun(&mut self, node: &Node, now: Timestamp) {
        let step = node.step.to_string();
        for id in &node.resources {
            let Some(standing) = self.resources.get_mut(id) else { continue };
            standing.turn(Condition::Progressing, now);
            standing.next_try = None;
            standing.stage = Some(step.clone());
        }
    }

    /// A step said what it is at.
    pub fn said(&mut self, node: &Node, text: &str) {
        for id in &node.resources {
            let Some(standing) = self.resources.get_mut(id) else { continue };
            standing.stage = Some(text.to_owned());
            standing.say(text);
        }
    }

    /// A step is over, well or not.
    pub fn ended(&mut self, node: &Node, failure: Option<&str>, now: Timestamp) {
        for id in &node.resources {
            let Some(standing) = self.resources.get_mut(id) else { continue };
            standing.stage = None;
            if let Some(why) = failure {
                standing.turn(Condition::Stalled, now);
                why.clone_into(&mut standing.reason);
            }
        }
    }

    /// A resource is done; how well it is shows the next look.
    pub fn done(&mut self, id: &ResourceId, now: Timestamp) {
        if let Some(standing) = self.resources.get_mut(id) {
            standing.turn(Condition::Progressing, now);
            "done, and not looked at yet".clone_into(&mut standing.reason);
        }
    }

    /// When a resource that failed is tried again.
    pub fn retried_at(&mut self, id: &ResourceId, at: Timestamp) {
        if let Some(standing) = self.resources.get_mut(id) {
            standing.next_try = Some(at);
        }
    }
}

/// How a resource stands that is to be changed.
fn ahead(change: &Change, plan: &Plan, retries: &BTreeMap<ResourceId, Timestamp>) -> (Condition, String) {
    if let Act::Block(why) = &change.act {
        return (Condition::Stalled, why.clone());
    }
    match plan.waiting.get(&change.id) {
        Some(why) if retries.contains_key(&change.id) => (Condition::Stalled, why.clone()),
        Some(why) => (Condition::Progressing, why.clone()),
        None => {
            let because = because(change);
            let gap = if because.is_empty() { "" } else { ": " };
            (Condition::Progressing, format!("{}{gap}{because}", action(change)))
        }
    }
}

impl Standing {
    fn turn(&mut self, condition: Condition, now: Timestamp) {
        if self.condition != condition {
            (self.condition, self.since) = (condition, now);
        }
    }

    fn say(&mut self, line: &str) {
        if self.output.back().is_some_and(|last| last == line) {
            return;
        }
        self.output.push_back(line.chars().take(OUTPUT_MAX / 4).collect());
        while self.output.iter().map(String::len).sum::<usize>() > OUTPUT_MAX {
            self.output.pop_front();
        }
    }
}
