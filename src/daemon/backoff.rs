//! When a resource is tried again. In: changes and what became of them. Out: which resources are held
//! back, why, and until when. Pure: the time and the chance are inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::fingerprint::fingerprint;
use super::memory::Failed;
use crate::desired::Desired;
use crate::diff::{Act, Change};
use crate::execute::Outcomes;
use crate::plan::Plan;
use crate::resource::name::ResourceId;

/// The wait after a first failure; each further one waits twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, before jitter.
const LONGEST: Duration = Duration::from_mins(5);
/// How much jitter shortens or lengthens a wait, so that what failed together is not tried together.
const JITTER: f64 = 0.2;
/// The wait after a first failure that interrupted a predecessor; each further one waits twice as long.
/// Every try interrupts it again (law 7), so the same spec is tried a few times a day at most; another
/// manifest, or a reload, is tried at once.
const AFTER_DISTURBANCE: Duration = Duration::from_hours(1);
/// The longest of these waits.
const AFTER_DISTURBANCE_LONGEST: Duration = Duration::from_hours(24);
/// What needs the same again within this time after it was done has not lasted. Docker takes a
/// container for up after the same time (its restart policy's delay is then reset).
const LASTING: Duration = Duration::from_secs(10);

/// Remembers what failed or did not last.
#[derive(Debug, Default)]
pub struct Backoff {
    entries: BTreeMap<ResourceId, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// What the manifests asked for; another wish is a fresh start.
    fingerprint: String,
    /// Failures and relapses in a row.
    failures: u32,
    why: String,
    /// Whether only what nothing waits for failed: an image was there, and could not be put elsewhere.
    is_made: bool,
    /// Not tried before.
    retry_at: Instant,
    /// Nothing that is there is interrupted before.
    disturb_at: Instant,
    /// When it was last done, if that is what happened last.
    done_at: Option<Instant>,
    /// Until when it is held back now.
    held_until: Option<Instant>,
    /// How often in a row what was there before could not be put back, or did not last then.
    unrescued: u32,
    /// What was there before is not put back before.
    rescue_at: Instant,
    /// When it was last put back, if it was not found down since.
    rescued_at: Option<Instant>,
}

/// When something is tried again.
#[derive(Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often it failed, or did not last, in a row.
    pub failures: u32,
    /// In which time it is tried again.
    pub after: Duration,
}

/// What is held back.
#[derive(Debug, Default)]
pub struct Held {
    /// The changes that are not to be tried now, with why.
    pub why: BTreeMap<ResourceId, String>,
    /// Those of them that were found not to have lasted just now.
    pub relapses: Vec<(ResourceId, Retry)>,
    /// Those whose predecessors were interrupted for them.
    pub interrupted: BTreeSet<ResourceId>,
    /// Those whose predecessors are not put back now: that failed, or did not last, a moment ago.
    pub resting: BTreeSet<ResourceId>,
}

/// What became of a plan, as far as trying again depends on it.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What became of the resources.
    pub outcomes: &'a Outcomes,
    /// The resources whose predecessors were interrupted.
    pub disturbed: &'a BTreeSet<ResourceId>,
}

impl Backoff {
    /// The changes that are not to be tried now. `jitter` gives numbers from -1 to 1.
    pub fn hold(
        &mut self,
        changes: &[Change],
        desired: &Desired,
        now: Instant,
        mut jitter: impl FnMut() -> f64,
    ) -> Held {
        let changing: BTreeSet<&ResourceId> = changes.iter().map(|change| &change.id).collect();
        self.entries.retain(|id, entry| {
            entry.held_until = None;
            // Whose manifest is wrong for a while is the same afterwards, or another wish.
            desired.invalid.contains(id)
                || (entry.fingerprint == fingerprint(desired, id)
                    && (changing.contains(id) || entry.is_fresh(now)))
        });
        let making: BTreeSet<&ResourceId> =
            changes.iter().filter(|change| change.act.makes()).map(|change| &change.id).collect();
        let mut held = Held::default();
        for change in changes {
            let Some(entry) = self.entries.get_mut(&change.id) else { continue };
            if matches!(change.act, Act::Block { .. }) {
                // Nothing is tried but to put back what was there before.
                if entry.rests(change, now, &mut jitter) {
                    entry.held_until = Some(entry.rescue_at);
                    held.resting.insert(change.id.clone());
                }
                continue;
            }
            // What has to be made anew, and is put elsewhere then, did not fail.
            if entry.is_made && making.contains(&change.id) {
                continue;
            }
            if let Some(done_at) = entry.done_at.take() {
                if now >= done_at + LASTING {
                    self.entries.remove(&change.id);
                    continue;
                }
                entry.relapse(change, now, jitter());
                if now < entry.retry_at {
                    let retry = Retry { failures: entry.failures, after: entry.retry_at - now };
                    held.relapses.push((change.id.clone(), retry));
                }
            }
            let until = entry.until(change);
            if now < until {
                entry.held_until = Some(until);
                if entry.retry_at < entry.disturb_at {
                    held.interrupted.insert(change.id.clone());
                }
                held.why.insert(change.id.clone(), entry.why.clone());
            }
            if entry.rests(change, now, &mut jitter) {
                entry.held_until = Some(entry.held_until.unwrap_or(entry.rescue_at).min(entry.rescue_at));
                held.resting.insert(change.id.clone());
            }
        }
        held
    }

    /// Learns what became of the changes that were tried, and says when failed ones are tried again.
    ///
    /// An engine that went away on the way says nothing about a resource: nothing is counted then.
    pub fn settle(
        &mut self,
        attempt: &Attempt<'_>,
        desired: &Desired,
        now: Instant,
        mut jitter: impl FnMut() -> f64,
    ) -> Vec<(ResourceId, Retry)> {
        let Attempt { plan, outcomes, disturbed } = attempt;
        let changes: BTreeMap<&ResourceId, &Change> =
            plan.changes.iter().map(|change| (&change.id, change)).collect();
        for id in &outcomes.done {
            if !plan.tries(id) {
                // Putting back what was there before is not what was asked for.
                self.entry(id, desired, now).rescued_at = Some(now);
                continue;
            }
            let entry = self.entry(id, desired, now);
            entry.done_at = Some(now);
        }
        if outcomes.engine_lost {
            return Vec::new();
        }
        let mut retries = Vec::new();
        for (id, why) in &outcomes.failed {
            let entry = self.entry(id, desired, now);
            if !plan.tries(id) {
                entry.unrescued += 1;
                let after = delay(entry.unrescued, jitter());
                (entry.rescue_at, entry.rescued_at) = (now + after, None);
                entry.held_until = Some(entry.rescue_at);
                retries.push((id.clone(), Retry { failures: entry.unrescued, after }));
                continue;
            }
            entry.done_at = None;
            entry.is_made = !plan.changes.iter().any(|change| change.id == *id && change.act.makes());
            entry.failures += 1;
            entry.why = format!("failed: {why}");
            entry.retry_at = now + delay(entry.failures, jitter());
            entry.disturb_at = entry.retry_at;
            if disturbed.contains(id) {
                entry.disturb_at = entry.retry_at.max(now + after_disturbance(entry.failures));
            }
            let until = changes.get(id).map_or(entry.retry_at, |change| entry.until(change));
            entry.held_until = Some(until);
            retries.push((id.clone(), Retry { failures: entry.failures, after: until - now }));
        }
        retries
    }

    /// What is held back, and until when.
    pub fn held_back(&self) -> impl Iterator<Item = (&ResourceId, Instant)> {
        self.entries.iter().filter_map(|(id, entry)| Some((id, entry.held_until?)))
    }

    /// When the first of those held back can be tried.
    pub fn next_try(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.held_until).min()
    }

    /// The replacements that failed after they had interrupted what was there, for the next daemon.
    pub fn interrupted(&self, now: Instant, wall: Timestamp) -> BTreeMap<ResourceId, Failed> {
        let interrupted = self.entries.iter().filter(|(_, entry)| now.max(entry.retry_at) < entry.disturb_at);
        let failed = |(id, entry): (&ResourceId, &Entry)| {
            let disturb_at = wall.checked_add(entry.disturb_at - now).unwrap_or(Timestamp::MAX);
            let (fingerprint, failures) = (entry.fingerprint.clone(), entry.failures);
            (id.clone(), Failed { fingerprint, failures, why: entry.why.clone(), disturb_at })
        };
        interrupted.map(failed).collect()
    }

    /// Goes on from what the daemon before knew. A clock that was set wrong makes no wait longer than the longest.
    pub fn recall(&mut self, failed: &BTreeMap<ResourceId, Failed>, now: Instant, wall: Timestamp) {
        for (id, failed) in failed {
            let left = Duration::try_from(failed.disturb_at.duration_since(wall)).unwrap_or_default();
            self.entries.insert(
                id.clone(),
                Entry {
                    failures: failed.failures,
                    why: failed.why.clone(),
                    disturb_at: now + left.min(AFTER_DISTURBANCE_LONGEST),
                    ..Entry::new(failed.fingerprint.clone(), now)
                },
            );
        }
    }

    /// Forgets everything: all is tried again at once.
    pub fn reset(&mut self) {
        self.entries.clear();
    }

    fn entry(&mut self, id: &ResourceId, desired: &Desired, now: Instant) -> &mut Entry {
        self.entries.entry(id.clone()).or_insert_with(|| Entry::new(fingerprint(desired, id), now))
    }
}

impl Entry {
    const fn new(fingerprint: String, now: Instant) -> Self {
        Self {
            fingerprint,
            failures: 0,
            why: String::new(),
            is_made: false,
            retry_at: now,
            disturb_at: now,
            done_at: None,
            held_until: None,
            unrescued: 0,
            rescue_at: now,
            rescued_at: None,
        }
    }

    /// When a change may be tried again.
    const fn until(&self, change: &Change) -> Instant {
        if replaces(change) { self.disturb_at } else { self.retry_at }
    }

    /// Whether it may still say something about a resource that is in order now.
    fn is_fresh(&self, now: Instant) -> bool {
        now < self.done_at.unwrap_or(self.disturb_at) + LASTING
    }

    /// Whether what was there before is left down for now. That it is down again soon after it was put back counts
    /// as if that had failed (law 7): it would be restarted in a tight loop.
    fn rests(&mut self, change: &Change, now: Instant, mut jitter: impl FnMut() -> f64) -> bool {
        let has_left = |change: &Change| change.act.has_left_down() || change.act.has_left_behind();
        if let Some(rescued_at) = self.rescued_at.take_if(|_| has_left(change)) {
            self.unrescued = if now < rescued_at + LASTING { self.unrescued + 1 } else { 0 };
            if self.unrescued > 0 {
                self.rescue_at = now + delay(self.unrescued, jitter());
            }
        }
        now < self.rescue_at
    }

    /// It was done, and the same is needed again. Once is forgiven: somebody may just have removed
    /// it by hand. What is replaced in vain again and again is interrupted each time, for something that its engine does not
    /// take as it is asked to (laws 4 and 9).
    fn relapse(&mut self, change: &Change, now: Instant, jitter: f64) {
        self.failures += 1;
        "it was done and did not last".clone_into(&mut self.why);
        let again = self.failures - 1;
        if again > 0 {
            self.retry_at = now + delay(again, jitter);
            self.disturb_at = self.retry_at;
            if replaces(change) {
                self.disturb_at = self.disturb_at.max(now + after_disturbance(again));
            }
        }
    }
}

/// Whether doing it interrupts what is there, in favour of something new.
const fn replaces(change: &Change) -> bool {
    matches!(change.act, Act::Replace { .. } | Act::ReplaceNetwork { .. })
}

/// The wait after so many failures in a row of which each interrupted what is there.
fn after_disturbance(failures: u32) -> Duration {
    let doubled = AFTER_DISTURBANCE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(AFTER_DISTURBANCE_LONGEST)
}

/// The wait after so many failures in a row.
fn delay(failures: u32, jitter: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(LONGEST).mul_f64(1.0 + JITTER * jitter.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests;
