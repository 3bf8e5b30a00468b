//! How things stand, kept up to date while passes are made. In: what each pass finds and does. Out: a
//! [`Status`] for whoever asks, at any moment. Whoever asks never holds up a pass.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backoff::{Backoff, Retry};
use super::files::UNSETTLED;
use super::wake::{Counts, Wakes};
use crate::execute::Event;
use crate::plan::Plan;
use crate::reconcile::Wanted;
use crate::resource::name::{Kind, Owner, ResourceId};
use crate::resource::printable::printable;
use crate::status::{Looked, Status};

/// The status of now.
#[derive(Debug)]
pub struct Board {
    status: Mutex<Status>,
    /// How often the daemon was woken for the manifests.
    wakes: watch::Receiver<Counts>,
    /// How often it had been when they were read for this status.
    read_at: AtomicU64,
}

impl Board {
    /// Nothing is known yet.
    pub fn new(owner: &Owner, wakes: &Wakes) -> Self {
        let status = Mutex::new(Status::new(owner.as_str(), Timestamp::now()));
        Self { status, wakes: wakes.counts.clone(), read_at: AtomicU64::default() }
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        let mut status = self.lock().clone();
        status.outdated = status.looked.is_some() && self.woken() != self.read_at.load(Ordering::Relaxed);
        status
    }

    /// How often the daemon was woken so far because the manifests may be others now.
    pub(super) fn woken(&self) -> u64 {
        let counts = self.wakes.borrow();
        counts.files + counts.reload
    }

    /// A pass could not look at everything.
    pub(super) fn trouble(&self, why: &str) {
        self.lock().trouble(why);
    }

    /// A pass looked, and is going to do this. Before it read the manifests, the daemon had been [`Self::woken`] so often.
    pub(super) fn looked(&self, plan: &Plan, wanted: &Wanted, backoff: &Backoff, read_at: u64) {
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
        let mut status = self.lock();
        status.looked(plan, looked, Timestamp::now());
        self.read_at.store(read_at, Ordering::Relaxed);
    }

    /// A plan is being walked.
    pub(super) fn note(&self, event: &Event<'_>) {
        let now = Timestamp::now();
        let mut status = self.lock();
        match event {
            Event::Started(_, node) => status.begun(node, now),
            Event::Progress(_, node, stage) => status.said(node, &printable(&stage.to_string())),
            Event::Done(_, node, _) | Event::Left(_, node) => status.ended(node, None, now),
            Event::Failed(_, node, why) => status.ended(node, Some(&why.to_string()), now),
            Event::Rescued(_, node, Ok(_)) => status.said(node, "what was there before is put back"),
            Event::Rescued(_, node, Err(why)) => {
                status.said(node, &format!("what was there before cannot be put back: {}", printable(why)));
            }
            Event::Skipped(..) => {}
        }
    }

    /// All of a resource's steps are done.
    pub(super) fn done<'a>(&self, ids: impl Iterator<Item = &'a ResourceId>) {
        let now = Timestamp::now();
        let mut status = self.lock();
        ids.for_each(|id| status.done(id, now));
    }

    /// A resource that failed is tried again.
    pub(super) fn retried(&self, id: &ResourceId, retry: &Retry) {
        let now = Instant::now();
        self.lock().retried_at(id, in_the_world(now + retry.after, now));
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // Each change leaves it whole.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When an instant is, by the clock on the wall.
fn in_the_world(at: Instant, now: Instant) -> Timestamp {
    let ahead = at.saturating_duration_since(now);
    Timestamp::now().checked_add(ahead).unwrap_or(Timestamp::MAX)
}
