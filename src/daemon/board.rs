//! How things stand, kept up to date while passes are made. In: what each pass finds and does. Out: one copy for all who ask,
//! made anew only when something is different. Whoever asks never holds up a pass, however many they are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::backoff::{Backoff, Retry};
use super::files::UNSETTLED;
use super::interference::Interference;
use super::mutex::lock;
use super::notification::Interfered;
use super::shown::{Changes, Moment, Shown};
use super::tally::{Fetched, Passed, Sent, Tally};
use super::wake::{Counts, Wakes};
use crate::account::Deed;
use crate::engine::Manner;
use crate::execute::{Event, Outcomes};
use crate::journal::Writer;
use crate::plan::Plan;
use crate::reconcile::Wanted;
use crate::resource::name::{Kind, Owner, ResourceId};
use crate::resource::printable::printable;
use crate::source::git::Commit;
use crate::status::{Action, Looked, Outcome, Source, Status};

/// As what is counted that is told without saying what it was.
const MORE: &str = "more";

/// The status of now, and what was counted on the way to it.
#[derive(Debug)]
pub struct Board {
    status: Mutex<Status>,
    /// The last copy of it. Passes do not touch this.
    shown: Mutex<Option<Arc<Shown>>>,
    tally: Mutex<Tally>,
    /// When everything was last looked at, and whether what was planned then is still being done.
    freshness: Mutex<Freshness>,
    /// How often the status has changed.
    edition: watch::Sender<u64>,
    /// How often the daemon was woken.
    wakes: watch::Receiver<Counts>,
    /// How often it had been when they were read for this status.
    read_at: AtomicU64,
    journal: Option<Writer>,
    /// Who notifies of what others do, if somebody does.
    hears: OnceLock<mpsc::Sender<Interfered>>,
    /// How much of it nobody could be told one by one.
    unheard: AtomicU64,
}

#[derive(Debug, Default)]
struct Freshness {
    looked: Option<Instant>,
    is_walking: bool,
}

impl Board {
    /// Nothing is known yet.
    pub fn new(owner: &Owner, wakes: &Wakes, journal: Option<Writer>) -> Self {
        let interferences = Manner::WORDS.into_iter().chain([MORE]).map(|action| (action, 0)).collect();
        Self {
            status: Mutex::new(Status::new(owner.as_str(), Timestamp::now())),
            shown: Mutex::default(),
            tally: Mutex::new(Tally { interferences, ..Tally::default() }),
            freshness: Mutex::default(),
            edition: watch::channel(0).0,
            wakes: wakes.counts.clone(),
            read_at: AtomicU64::default(),
            journal,
            hears: OnceLock::new(),
            unheard: AtomicU64::default(),
        }
    }

    /// How things stand. Who asks while nothing changes gets what was copied for the first of them; the pass waits for that one
    /// copy at most.
    pub fn shown(&self) -> Arc<Shown> {
        let mut shown = lock(&self.shown);
        // Before the copy: what changes meanwhile is copied again, and nothing is missed.
        let now = self.moment();
        if let Some(shown) = shown.as_ref().filter(|shown| *shown.moment() == now) {
            return Arc::clone(shown);
        }
        let mut status = lock(&self.status).clone();
        status.outdated = status.looked.is_some() && now.woken != self.read_at.load(Ordering::Relaxed);
        status.journal.clone_from(&now.journal);
        status.journal_broken.clone_from(&now.journal_broken);
        Arc::clone(shown.insert(Arc::new(Shown::new(status, now))))
    }

    /// What tells how things stand now from how they stood.
    pub(super) fn moment(&self) -> Moment {
        Moment {
            edition: *self.edition.borrow(),
            woken: self.woken(),
            journal: self.journal.as_ref().and_then(Writer::trouble),
            journal_broken: self.journal.as_ref().and_then(Writer::broken),
        }
    }

    /// Tells whenever they may stand otherwise.
    pub(super) fn changes(&self) -> Changes {
        Changes { edition: self.edition.subscribe(), wakes: self.wakes.clone() }
    }

    /// What was counted.
    pub(super) fn tally(&self) -> Tally {
        let journal_lost = self.journal.as_ref().map_or(0, Writer::lost_in_all);
        Tally { journal_lost, ..lock(&self.tally).clone() }
    }

    /// How long ago everything was looked at; `None` if it never was. What is still being done about it makes it no older.
    pub(super) fn age(&self) -> Option<Duration> {
        let freshness = lock(&self.freshness);
        freshness.looked.map(|at| if freshness.is_walking { Duration::ZERO } else { at.elapsed() })
    }

    /// How often the daemon was woken so far because something else may be wanted now.
    pub(super) fn woken(&self) -> u64 {
        let counts = self.wakes.borrow();
        counts.files + counts.suspension + counts.reload
    }

    /// A pass could not look at everything.
    pub(super) fn trouble(&self, why: &str) {
        self.change(|status| status.trouble(why));
    }

    /// A pass looked, and is going to do this. Before it read the manifests, the daemon had been [`Self::woken`] so often.
    /// The engine took so long to show everything.
    pub(super) fn looked(
        &self,
        plan: &Plan,
        wanted: &Wanted,
        backoff: &Backoff,
        read_at: u64,
        took: Duration,
    ) {
        let now = Instant::now();
        let retries: BTreeMap<ResourceId, Timestamp> =
            backoff.held_back().map(|(id, at)| (id.clone(), in_the_world(at, now))).collect();
        let errors = wanted.diagnostics.iter().filter(|one| one.is_error()).map(ToString::to_string);
        let images = wanted.desired.images.iter();
        let legacy_ids = images.filter_map(|(name, image)| {
            Some((ResourceId::new(Kind::Image, name.clone()), image.legacy_id.clone()?))
        });
        let looked = Looked {
            errors: errors.collect(),
            invalid: &wanted.desired.invalid,
            soon: UNSETTLED,
            retries,
            legacy_ids: legacy_ids.collect(),
        };
        *lock(&self.freshness) = Freshness { looked: Some(now), is_walking: true };
        let mut tally = lock(&self.tally);
        tally.looked(took);
        tally.withheld = plan.withheld.len();
        drop(tally);
        self.change(|status| {
            status.looked(plan, looked, Timestamp::now());
            self.read_at.store(read_at, Ordering::Relaxed);
        });
    }

    /// Where the manifests come from, and how that stands.
    pub(super) fn source(&self, change: impl FnOnce(&mut Option<Source>)) {
        self.change(|status| change(&mut status.source));
    }

    /// The same, once it is known where they come from.
    pub(super) fn of_source(&self, change: impl FnOnce(&mut Source)) {
        self.source(|source| {
            if let Some(source) = source {
                change(source);
            }
        });
    }

    /// The manifests' commit that runs.
    pub(super) fn running(&self) -> Option<Commit> {
        lock(&self.status).source.as_ref().and_then(|source| source.running.clone())
    }

    /// The manifests' repository was fetched, or could not be.
    pub(super) fn fetched(&self, fetched: Fetched) {
        *lock(&self.tally).fetches.entry(fetched).or_default() += 1;
    }

    /// Somebody is told what happens, from now on.
    pub(super) fn notifies(&self, target: &'static str) {
        lock(&self.tally).notifications.extend(Sent::ALL.map(|sent| ((target, sent), 0)));
    }

    /// Who is to hear of what others do to resources.
    pub(super) fn hears_by(&self, heard: mpsc::Sender<Interfered>) {
        // There is one who notifies.
        let _ = self.hears.set(heard);
    }

    /// Somebody else did this to a resource. Never waits; while too much happens at once it is counted alone.
    pub(super) fn interference(&self, resource: &ResourceId, what: &str) {
        if let Some(hears) = self.hears.get()
            && hears.try_send((resource.clone(), what.to_owned())).is_err()
        {
            self.unheard.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How much more others did than was heard one by one, since this was asked last.
    pub(super) fn unheard(&self) -> u64 {
        self.unheard.swap(0, Ordering::Relaxed)
    }

    /// What became of a notification.
    pub(super) fn notified(&self, target: &'static str, sent: Sent) {
        *lock(&self.tally).notifications.entry((target, sent)).or_default() += 1;
    }

    /// A plan is being walked.
    pub(super) fn note(&self, event: &Event<'_>) {
        let now = Timestamp::now();
        if let Event::Done(_, node, took) = event {
            lock(&self.tally).step(&node.step.to_string(), *took);
        }
        self.change(|status| match event {
            Event::Started(_, node) => status.begun(node, now),
            Event::Progress(_, node, stage) => status.said(node, &printable(&stage.to_string())),
            Event::Done(_, node, _) | Event::Left(_, node) => status.ended(node, None, now),
            Event::Failed(_, node, why) => status.ended(node, Some(&why.to_string()), now),
            Event::Rescued(_, node, Ok(_)) => status.said(node, "what was there before is put back"),
            Event::Rescued(_, node, Err(why)) => {
                status.said(node, &format!("what was there before cannot be put back: {}", printable(why)));
            }
            Event::Skipped(..) => {}
        });
    }

    /// What became of changes.
    pub(super) fn did(&self, deeds: &[Deed<'_>]) {
        if !deeds.is_empty() {
            let now = Timestamp::now();
            self.change(|status| deeds.iter().for_each(|deed| status.did(deed, now)));
        }
    }

    /// Somebody else did something.
    pub(super) fn interfered(&self, interference: &Interference) {
        let Interference { time, resource, action, detail, times } = interference;
        *lock(&self.tally).interferences.entry(action).or_default() += times;
        let often = (*times > 1).then(|| format!("{times} times"));
        let why: Vec<String> = detail.clone().into_iter().chain(often.clone()).collect();
        let action = Action {
            time: *time,
            resource: resource.clone(),
            action: (*action).to_owned(),
            outcome: Outcome::Outside,
            why: Some(why.join(", ")).filter(|why| !why.is_empty()),
        };
        let with = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        let what = [Some(format!("{}{with}", action.action)), often].into_iter().flatten();
        self.interference(resource, &what.collect::<Vec<_>>().join(", "));
        self.change(|status| status.note(action));
    }

    /// More was done by others than is told one by one.
    pub(super) fn interfered_more(&self, times: u64) {
        *lock(&self.tally).interferences.entry(MORE).or_default() += times;
        self.unheard.fetch_add(times, Ordering::Relaxed);
        // Whoever notifies looks.
        self.change(|_| {});
    }

    /// A plan was walked.
    pub(super) fn walked(&self, plan: &Plan, outcomes: &Outcomes) {
        lock(&self.tally).walked(plan, outcomes);
        let now = Timestamp::now();
        let done = outcomes.done.iter().filter(|id| plan.tries(id));
        self.change(|status| done.for_each(|id| status.done(id, now)));
    }

    /// A resource that failed is tried again.
    pub(super) fn retried(&self, id: &ResourceId, retry: &Retry) {
        let now = Instant::now();
        self.change(|status| status.retried_at(id, in_the_world(now + retry.after, now)));
    }

    /// A pass is over.
    pub(super) fn passed(&self, passed: Passed, took: Duration) {
        lock(&self.freshness).is_walking = false;
        lock(&self.tally).passed(passed, took);
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        change(&mut lock(&self.status));
        self.edition.send_modify(|edition| *edition += 1);
    }
}

/// When an instant is, by the clock on the wall.
fn in_the_world(at: Instant, now: Instant) -> Timestamp {
    let ahead = at.saturating_duration_since(now);
    Timestamp::now().checked_add(ahead).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::wake::channel;

    #[test]
    fn fifty_who_ask_cost_a_pass_one_copy_of_each_change() {
        let (bell, wakes) = channel();
        let board = Board::new(&"exam".parse().unwrap(), &wakes, None);
        let ask = || {
            let asked: Vec<Arc<Shown>> = std::thread::scope(|scope| {
                let asking: Vec<_> = (0..50).map(|_| scope.spawn(|| board.shown())).collect();
                asking.into_iter().map(|asking| asking.join().unwrap()).collect()
            });
            for one in &asked {
                assert!(Arc::ptr_eq(one, &asked[0]));
                // Written once for all of them, too.
                assert_eq!(one.json().unwrap().as_ptr(), asked[0].json().unwrap().as_ptr());
            }
            Arc::clone(&asked[0])
        };
        let first = ask();
        assert!(Arc::ptr_eq(&first, &ask()));
        board.trouble("no engine answers");
        let second = ask();
        assert_eq!(second.status.trouble.as_deref(), Some("no engine answers"));
        assert_eq!(first.status.trouble, None);
        bell.files_changed();
        assert!(!Arc::ptr_eq(&second, &ask()));
    }
}
