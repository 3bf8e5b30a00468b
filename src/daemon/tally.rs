//! What passes did, counted. In: each pass, its plan and its outcomes. Out: numbers for whoever measures. Never says how
//! things stand, which is the status's.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::execute::Outcomes;
use crate::plan::{Plan, action};
use crate::resource::name::Kind;

/// What one pass came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Passed {
    /// Everything that could be tried succeeded.
    Good,
    /// Something failed, and the rest went on.
    Failed,
    /// Not everything could be looked at, or the engine was lost: nothing is concluded from it.
    Blind,
}

impl Passed {
    pub(super) const ALL: [Self; 3] = [Self::Good, Self::Failed, Self::Blind];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Failed => "failed",
            Self::Blind => "blind",
        }
    }
}

/// What fetching the manifests' repository came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fetched {
    /// What is there runs, or may.
    Good,
    /// What is there may not run.
    Refused,
    /// It could not be fetched.
    Failed,
}

impl Fetched {
    pub(super) const ALL: [Self; 3] = [Self::Good, Self::Refused, Self::Failed];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sent {
    /// It arrived.
    Arrived,
    /// It was given up.
    Failed,
    /// It had to go for newer ones.
    Dropped,
}

impl Sent {
    pub(super) const ALL: [Self; 3] = [Self::Arrived, Self::Failed, Self::Dropped];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Arrived => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// What one resource's part of a plan came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// All of its steps succeeded.
    Done,
    /// One of them failed.
    Failed,
    /// It was not finished: for another's failure, for want of a result, or because it was time to stop.
    Skipped,
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// How long something took, how often.
#[derive(Debug, Clone, Default)]
pub(super) struct Durations {
    /// For each of [`Self::BOUNDS`], how many took no longer; the ones after it are in the next.
    counts: [u64; Self::BOUNDS.len()],
    /// All of them.
    pub(super) count: u64,
    /// Together, in seconds.
    pub(super) sum: f64,
}

impl Durations {
    /// In seconds: from a look at an idle engine to an image of many gigabytes.
    pub(super) const BOUNDS: [f64; 12] =
        [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

    fn took(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        if let Some(at) = Self::BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.counts[at] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }

    /// Each bound, and how many took no longer.
    pub(super) fn cumulated(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut so_far = 0;
        Self::BOUNDS.into_iter().zip(self.counts).map(move |(bound, count)| {
            so_far += count;
            (bound, so_far)
        })
    }
}

/// What was counted since the daemon started.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Fetches of the manifests' repository.
    pub(super) fetches: BTreeMap<Fetched, u64>,
    /// Passes, by what they came to.
    pub(super) passes: BTreeMap<Passed, u64>,
    /// From the wake to the end of what a pass did.
    pub(super) pass: Durations,
    /// How long the engine took to show everything.
    pub(super) look: Durations,
    /// How long steps took that succeeded, by their verb.
    pub(super) steps: BTreeMap<String, Durations>,
    /// What became of resources that were changed, by their kind and what was to be done.
    pub(super) actions: BTreeMap<(Kind, &'static str, Outcome), u64>,
    /// Removals that the last plan withheld.
    pub(super) withheld: usize,
    /// What others did to resources, by what it was.
    pub(super) interferences: BTreeMap<&'static str, u64>,
    /// Entries of the journal that found no room.
    pub(super) journal_lost: u64,
    /// Notifications, by who was to be told and what became of them.
    pub(super) notifications: BTreeMap<(&'static str, Sent), u64>,
}

impl Tally {
    /// A pass is over.
    pub(super) fn passed(&mut self, passed: Passed, took: Duration) {
        *self.passes.entry(passed).or_default() += 1;
        self.pass.took(took);
    }

    /// The engine showed everything.
    pub(super) fn looked(&mut self, took: Duration) {
        self.look.took(took);
    }

    /// A step succeeded. It is counted by the first of its words, of which there are a few dozen.
    pub(super) fn step(&mut self, words: &str, took: Duration) {
        let verb = words.split(' ').next().unwrap_or_default();
        match self.steps.get_mut(verb) {
            Some(durations) => durations.took(took),
            None => self.steps.entry(verb.to_owned()).or_default().took(took),
        }
    }

    /// A plan was walked.
    pub(super) fn walked(&mut self, plan: &Plan, outcomes: &Outcomes) {
        for change in &plan.changes {
            let outcome = if outcomes.failed.contains_key(&change.id) {
                Outcome::Failed
            } else if outcomes.skipped.contains(&change.id) {
                Outcome::Skipped
            } else if outcomes.done.contains(&change.id) && plan.tries(&change.id) {
                Outcome::Done
            } else {
                // Nothing of it was to be tried.
                continue;
            };
            *self.actions.entry((change.id.kind, action(change), outcome)).or_default() += 1;
        }
    }
}
