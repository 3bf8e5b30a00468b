//! One pass, and what it keeps for the next. In: the manifests, the engine, and what was learnt before. Out: what was done,
//! and when there is something to do again. Decides only when; what is done stands in each pass's plan.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Options;
use super::announce::Announcements;
use super::backoff::{Attempt, Backoff};
use super::board::Board;
use super::brief::Brief;
use super::files::{self, Files};
use super::memory::Memory;
use super::progress::{self, Progress};
use super::pulse::Pulse;
use super::systemd::Systemd;
use super::tally::Passed;
use super::telemetry::Trace;
use crate::engine::{EngineError, Perform};
use crate::journal::What;
use crate::plan::Plan;
use crate::reconcile;
use crate::source::SourceError;
use crate::source::git::Commit;
use crate::turn::{Holder, Turn};

/// The wait after a pass that could not look at everything; each further one waits twice as long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The longest of these waits: what is back is seen within this time.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(10);
/// How much longer than looking took the engine's events are left waiting, so that a restless engine
/// keeps the daemon busy for a fifth of its time at most.
const REST_FACTOR: u32 = 4;
/// The longest of these rests.
const REST_MAX: Duration = Duration::from_secs(5);
/// How long after this rest what was done is looked at, where no event of the engine asks for it sooner.
const SEEN: Duration = Duration::from_millis(200);
/// How long after a pass it is looked again for a name or a port that is about to be free.
const FREE: Duration = Duration::from_millis(30);
/// How long that may last before it is worth a line, and looked at less often.
const FREE_SOON: Duration = Duration::from_secs(2);
/// How long after a pass the next one goes on waiting for what has come to no result.
const GO_ON: Duration = Duration::from_secs(5);

/// When there is something to do again.
pub(super) struct Next {
    /// The next pass, if nothing wakes the daemon before.
    pub(super) at: Instant,
    /// From when on the engine's events are answered.
    pub(super) rested: Instant,
}

/// Why a pass could not look at everything. Nothing is concluded from it (law 1).
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{}", caused(.0))]
    Files(#[from] SourceError),
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// No revision of a repository runs: there is nothing to be kept as it is either.
    #[error("{0}")]
    Nothing(String),
}

/// An error with what caused it.
fn caused(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", caused(cause)))
}

/// What systemd waits to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The first pass that could look at everything.
    Start,
    /// The first pass after a reload.
    Reload,
    /// Nothing.
    Nothing,
}

/// What one pass keeps for the next.
pub(super) struct Daemon<'a, E> {
    options: &'a Options,
    engine: &'a E,
    systemd: &'a Systemd,
    pulse: &'a Arc<Pulse>,
    board: &'a Board,
    files: Files,
    backoff: Backoff,
    memory: Memory,
    announced: Announcements,
    /// When removals that wait for the manifests to settle can be made.
    settled_at: Option<Instant>,
    /// Whether something that was waited for had come to no result.
    undecided: bool,
    /// Since when something is not made that likely can be in a moment.
    soon: Option<Instant>,
    /// Whether something was done that was not looked at since.
    unseen: bool,
    /// How many passes in a row could not look at everything.
    troubles: u32,
    /// What systemd waits to hear of.
    awaited: Awaited,
    /// The pass that is made, where somebody takes traces.
    trace: Option<Trace>,
}

impl<'a, E: Perform> Daemon<'a, E> {
    pub(super) fn new(
        options: &'a Options,
        engine: &'a E,
        systemd: &'a Systemd,
        pulse: &'a Arc<Pulse>,
        board: &'a Board,
    ) -> Self {
        Self {
            options,
            engine,
            systemd,
            pulse,
            board,
            files: Files::new(options.path.clone(), options.setup.server.clone()).heard_by(pulse),
            backoff: Backoff::default(),
            memory: Memory::beside(options.setup.records.file()),
            announced: Announcements::default(),
            settled_at: None,
            undecided: false,
            soon: None,
            unseen: false,
            troubles: 0,
            awaited: Awaited::Start,
            trace: None,
        }
    }

    /// Learns what the daemon before knew.
    pub(super) async fn recall(&mut self) {
        let kept = self.memory.read().await;
        self.backoff.recall(kept, Instant::now(), Timestamp::now());
    }

    /// Makes one pass, and says when the next is due. Ends early when `shutdown` turns true.
    pub(super) async fn pass(&mut self, shutdown: &Receiver<bool>) -> Next {
        self.options.log.tell();
        let begun = Instant::now();
        let mut stopping = shutdown.clone();
        let stopped = Next { at: begun, rested: begun };
        let _turn = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return stopped,
            turn = self.turn() => turn,
        };
        self.trace = self.options.collector.as_ref().map(|_| Trace::begin());
        self.take_over().await;
        let looked = tokio::select! {
            biased;
            // Looking can be dropped at any moment; going over to another revision, or a step in flight, cannot.
            _ = stopping.wait_for(|stop| *stop) => return stopped,
            looked = self.look() => looked,
        };
        let looking = begun.elapsed();
        if let Some(trace) = &self.trace {
            trace.looked();
        }
        let passed = match looked {
            Ok(plan) => {
                self.announced.no_trouble();
                self.systemd.status(&plan.summary());
                let passed = self.walk(&plan, shutdown).await;
                self.ready();
                passed
            }
            Err(trouble) => {
                self.announced.trouble(&trouble.to_string());
                self.board.trouble(&trouble.to_string());
                self.systemd.status(&trouble.to_string());
                // A reload is over when it was tried; a start, when it worked, or when there is nothing yet to be looked for.
                if self.awaited == Awaited::Reload || matches!(trouble, Trouble::Nothing(_)) {
                    self.ready();
                }
                Passed::Blind
            }
        };
        self.board.passed(passed, begun.elapsed());
        if let Some((trace, collector)) = self.trace.take().zip(self.options.collector.as_ref()) {
            let revision = self.files.last().and_then(|wanted| wanted.commit.as_deref());
            trace.end(collector, &self.options.setup.owner, revision, passed);
        }
        self.next(passed == Passed::Blind, looking)
    }

    /// Waits until nobody else makes a pass for this owner.
    async fn turn(&self) -> Option<Turn> {
        let turns = self.options.turns.as_ref()?;
        let say = |holder: &Holder| info!("waits for {holder}, which makes a pass for this owner");
        match self.pulse.beating(turns.pass(say)).await {
            Ok(turn) => Some(turn),
            Err(error) => {
                // Going on alone is better than not at all.
                warn!(%error, "cannot see whether another Invigil makes a pass for this owner");
                None
            }
        }
    }

    /// Goes over to the revision that may run now, between two passes: what a pass reads is of one.
    async fn take_over(&mut self) {
        if let Some(git) = &self.options.git
            && let Some(Commit { commit, subject, .. }) = git.take_over(self.board).await
        {
            self.files.switched();
            self.options.journaled(Some(commit), What::Runs { subject });
        }
    }

    /// Reads the manifests, looks at the engine, and plans.
    async fn look(&mut self) -> Result<Plan, Trouble> {
        let setup = &self.options.setup;
        let woken = self.board.woken();
        if let Some(git) = &self.options.git
            && let Some(why) = git.nothing().await
        {
            return Err(Trouble::Nothing(why));
        }
        let wanted = self.files.read().await?;
        if let Some(errors) = self.announced.diagnostics(&wanted.diagnostics) {
            self.options.journaled(wanted.commit.clone(), What::Wrong { errors });
        }
        self.announced.notice(wanted.notice.as_deref());
        let asked = Instant::now();
        let changes = reconcile::compare(wanted, setup, self.engine).await?;
        let took = asked.elapsed();
        let held = self.backoff.hold(&changes.changes, &wanted.desired, Instant::now(), jitter);
        let plan = Plan::putting_back(changes, &setup.owner, &held.why, &held.interrupted, &held.resting);
        let unsettled = plan.withheld.iter().any(|(_, why)| why == files::UNSETTLED);
        let now = Instant::now();
        self.soon = (!plan.soon.is_empty()).then(|| self.soon.unwrap_or(now));
        if self.announced.suspension(plan.host_suspended.as_deref()) {
            let why = plan.host_suspended.clone();
            self.options.journaled(None, why.map_or(What::Resumed, |why| What::Suspended { why }));
        }
        self.announced.undone(&plan, &held.why, is_soon(self.soon, now));
        for (id, retry) in &held.relapses {
            let after = progress::seconds(retry.after);
            warn!(resource = %id, times = retry.failures, %after, "did not last, will be done again");
        }
        debug!("{}", plan.summary());
        self.board.looked(&plan, wanted, &self.backoff, woken, took);
        (self.unseen, self.undecided) = (false, false);
        self.settled_at = self.files.settles_at().filter(|_| unsettled);
        Ok(plan)
    }

    /// Makes a plan come true.
    async fn walk(&mut self, plan: &Plan, shutdown: &Receiver<bool>) -> Passed {
        let revision = self.files.last().and_then(|wanted| wanted.commit.clone());
        let journal = self.options.journal.as_ref();
        let progress = Progress::of(plan, self.pulse, self.board, journal, revision.as_deref());
        let note = |event: crate::execute::Event<'_>| {
            self.board.note(&event);
            progress.note(&event);
            if let Some(trace) = &self.trace {
                trace.note(&event);
            }
        };
        let engine = Brief::new(self.engine, plan, shutdown);
        let outcomes = reconcile::apply(plan, &self.options.setup, &engine, shutdown, &note).await;
        self.undecided = outcomes.undecided;
        self.unseen = !outcomes.done.is_empty();
        let disturbed = progress.into_disturbed();
        self.board.walked(plan, &outcomes);
        let attempt = Attempt { plan, outcomes: &outcomes, disturbed: &disturbed };
        if let Some(wanted) = self.files.last() {
            for (id, retry) in self.backoff.settle(&attempt, &wanted.desired, Instant::now(), jitter) {
                let after = progress::seconds(retry.after);
                info!(resource = %id, failures = retry.failures, %after, "will be tried again");
                self.board.retried(&id, &retry);
            }
        }
        self.memory.keep(self.backoff.interrupted(Instant::now(), Timestamp::now())).await;
        match outcomes {
            outcomes if outcomes.engine_lost => Passed::Blind,
            outcomes if outcomes.failed.is_empty() => Passed::Good,
            _ => Passed::Failed,
        }
    }

    /// Tells systemd what it waits for.
    fn ready(&mut self) {
        if self.awaited != Awaited::Nothing {
            self.awaited = Awaited::Nothing;
            self.systemd.ready();
            info!("ready");
        }
    }

    fn next(&mut self, lost: bool, looking: Duration) -> Next {
        let now = Instant::now();
        self.troubles = if lost { self.troubles + 1 } else { 0 };
        let rested = now + (looking * REST_FACTOR).min(REST_MAX);
        let timer = now + self.options.interval;
        let at = if lost {
            // What is due meanwhile cannot be done either.
            let doubled = LOOK_AGAIN.saturating_mul(1 << (self.troubles - 1).min(16));
            timer.min(now + doubled.min(LOOK_AGAIN_MAX))
        } else {
            let seen_at = self.unseen.then_some(rested + SEEN);
            let goes_on = (self.undecided || self.soon.is_some()).then_some(now + GO_ON);
            let free = is_soon(self.soon, now).then_some(now + FREE.max(looking));
            [self.backoff.next_try(), self.settled_at, seen_at, goes_on, free]
                .into_iter()
                .flatten()
                .fold(timer, Instant::min)
        };
        Next { at, rested }
    }

    /// Takes everything as it is now for what is meant, and says again what is wrong with it.
    pub(super) fn reload(&mut self) {
        info!("reloading");
        // Settings are what a daemon was started with; the manifests alone are read anew.
        let settings = self.options.settings.clone();
        // A file system may hang there.
        drop(spawn_blocking(move || {
            if let Some(why) = (settings.0)() {
                warn!("{why}");
            }
        }));
        // Before the first good pass systemd waits for that one anyhow.
        if self.awaited == Awaited::Nothing {
            self.systemd.reloading();
            self.awaited = Awaited::Reload;
        }
        if let Some(git) = &self.options.git {
            git.fetch_now();
        }
        self.files.accept();
        self.backoff.reset();
        self.announced = Announcements::default();
    }
}

/// Whether what has been removed `since` then is gone in a moment.
fn is_soon(since: Option<Instant>, now: Instant) -> bool {
    since.is_some_and(|since| now < since + FREE_SOON)
}

/// Chance, from -1 to 1.
fn jitter() -> f64 {
    fastrand::f64().mul_add(2.0, -1.0)
}
