//! How every resource stands, for whoever asks the daemon. In: plans, and what becomes of them. Out: a [`Status`], a
//! plain value that goes over the socket as JSON. Never looks at an engine, and decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::{Deed, Ending};
use crate::diff::{Act, Change, Unwell};
use crate::fields::Told;
use crate::plan::{Node, Plan, action, because};
use crate::resource::name::ResourceId;
use crate::source::git::Commit;

/// The version of the form. Raised when a field changes its meaning or goes.
pub const STATUS_FORMAT_VERSION: u32 = 1;

/// Why a resource whose manifest is wrong is left alone.
pub const MANIFEST_IS_WRONG: &str = "its manifest is wrong; it is left as it is";

/// How much of what a resource's steps said is kept, in bytes.
const OUTPUT_MAX: usize = 8 << 10;
/// How many of the last actions are kept; the journal has all.
const ACTIONS_MAX: usize = 20;
/// How many of them are kept of one resource.
const OWN_ACTIONS_MAX: usize = 5;

/// How a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ready, Self::Progressing, Self::Stalled, Self::Suspended, Self::Kept];

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// In one word.
    pub condition: Condition,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
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
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_try: Option<Timestamp>,
    /// How it differs from its manifest, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub difference: Vec<Told>,
    /// The last lines that its steps said, a builder's and a registry's among them; 8 KiB at most.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub output: VecDeque<String>,
}

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version of this form.
    pub format_version: u32,
    /// Whose resources these are.
    pub owner: String,
    /// The daemon's version.
    pub version: String,
    /// Since when the daemon runs.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: Timestamp,
    /// When everything was looked at last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub looked: Option<Timestamp>,
    /// Whether the manifests have changed since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
    /// Why not everything could be looked at since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Why what is done cannot be written into the journal; it is done all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// What became of the journal that was there before, if it did not hold or went away since the daemon started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_broken: Option<String>,
    /// What is wrong with the manifests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The Git repository that the manifests come from; none where a plain directory is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What was done last since the daemon started, the newest first; 20 at most.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub actions: VecDeque<Action>,
    /// The resources.
    pub resources: BTreeMap<ResourceId, Standing>,
    /// What was done last to each of them, the newest first; 5 at most. For its own page.
    #[serde(skip)]
    pub recent: BTreeMap<ResourceId, Arc<VecDeque<Action>>>,
}

/// What was done to a resource, or tried, or what somebody else did to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// When it was over.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: Timestamp,
    /// To what.
    pub resource: ResourceId,
    /// What was to be done: `replace`.
    pub action: String,
    /// How that ended.
    pub outcome: Outcome,
    /// Why it did not end well; of what somebody else did: with what, and how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// All of it is done.
    Done,
    /// Some of it is done; a later pass goes on.
    Unfinished,
    /// It failed.
    Failed,
    /// What was there before is put back.
    PutBack,
    /// What was there before cannot be put back.
    NotPutBack,
    /// Somebody else has done it, past Invigil.
    Outside,
}

impl Outcome {
    /// Whether somebody may have to do something about it.
    pub const fn is_fine(self) -> bool {
        matches!(self, Self::Done | Self::Unfinished)
    }
}

/// The Git repository that the manifests come from, and which of its commits runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its address, without a password.
    pub git: String,
    /// Its branch or tag.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Where in it the manifests are.
    pub directory: String,
    /// The commit that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Commit>,
    /// The commit that is there and does not run, or not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<WantedCommit>,
    /// When it was fetched last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub fetched: Option<Timestamp>,
    /// Why it could not be fetched since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl Source {
    /// Whether what is wanted may not run.
    pub fn is_refused(&self) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.refused.is_some())
    }
}

/// A commit that is there and does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WantedCommit {
    /// Which one.
    #[serde(flatten)]
    pub commit: Commit,
    /// Why it may not; none while it is about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
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
            journal: None,
            journal_broken: None,
            errors: Vec::new(),
            source: None,
            actions: VecDeque::new(),
            recent: BTreeMap::new(),
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
            let standing = Standing {
                condition,
                since,
                legacy_image_id,
                reason,
                stage: None,
                next_try,
                difference: Vec::new(),
                output,
            };
            self.resources.insert(id.clone(), standing);
        };
        for (id, why) in &plan.suspended {
            stands(id, Condition::Suspended, why.clone());
        }
        for id in looked.invalid {
            stands(id, Condition::Stalled, MANIFEST_IS_WRONG.to_owned());
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
        for change in &plan.changes {
            if let Some(standing) = self.resources.get_mut(&change.id) {
                let named = change.reasons.iter().filter(|told| !told.field.is_empty());
                standing.difference = named.cloned().collect();
            }
        }
        let (resources, actions) = (&self.resources, &self.actions);
        let is_told = |id: &ResourceId| actions.iter().any(|action| action.resource == *id);
        self.recent.retain(|id, _| resources.contains_key(id) || is_told(id));
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
            standing.difference.clear();
            "done, and not looked at yet".clone_into(&mut standing.reason);
        }
    }

    /// What became of a change.
    pub fn did(&mut self, Deed { change, ending }: &Deed<'_>, now: Timestamp) {
        let (outcome, why) = match ending {
            Ending::Done(_) => (Outcome::Done, None),
            Ending::Unfinished(_) => (Outcome::Unfinished, None),
            Ending::Failed { step, why, .. } => (Outcome::Failed, Some(format!("{step}: {why}"))),
            Ending::Returned | Ending::PutBack(_) => (Outcome::PutBack, None),
            Ending::NotPutBack(why) => (Outcome::NotPutBack, Some(why.clone())),
        };
        let (resource, action) = (change.id.clone(), action(change).to_owned());
        self.note(Action { time: now, resource, action, outcome, why });
    }

    /// Something was done.
    pub fn note(&mut self, action: Action) {
        let own = Arc::make_mut(self.recent.entry(action.resource.clone()).or_default());
        own.truncate(OWN_ACTIONS_MAX - 1);
        own.push_front(action.clone());
        self.actions.truncate(ACTIONS_MAX - 1);
        self.actions.push_front(action);
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
    if let Act::Block { why, .. } = &change.act {
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
