//! The daemon: passes, one at a time, whenever something may have changed. In: files, an engine, wakes
//! and the wish to stop. Out: log lines, and what systemd is told. Decides only when; what is done
//! stands in each pass's plan.
//!
//! A pass looks at everything anew. What woke it says nothing about what it finds: a lost or false
//! event costs time, never truth.

mod announce;
mod backoff;
mod board;
mod brief;
mod debounce;
mod events;
mod files;
mod fingerprint;
pub mod logging;
mod memory;
mod progress;
mod pulse;
mod signals;
pub mod socket;
pub mod systemd;
pub mod wake;
mod watch;

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::announce::Announcements;
use self::backoff::{Attempt, Backoff};
use self::board::Board;
use self::brief::Brief;
use self::files::Files;
use self::memory::Memory;
use self::progress::Progress;
use self::pulse::Pulse;
use self::systemd::Systemd;
use self::wake::Wakes;
use crate::engine::{EngineError, Events, Perform};
use crate::plan::Plan;
use crate::reconcile::{self, Setup};
use crate::source::SourceError;
use crate::turn::{Holder, Turn, Turns};

/// How often a pass is made when nothing asks for one.
pub const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);
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

/// How long after a pass the next one goes on waiting for what has come to no result.
const GO_ON: Duration = Duration::from_secs(5);

/// What a daemon is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The manifests' directory, or one file.
    pub path: PathBuf,
    /// What stays the same from pass to pass.
    pub setup: Setup,
    /// How often a pass is made when nothing asks for one.
    pub interval: Duration,
    /// Where the engine is, for people.
    pub engine: String,
    /// Whose turn it is to make a pass; `None` where nobody else can.
    pub turns: Option<Turns>,
}

/// Runs as a service: until SIGTERM or SIGINT, woken by files, the engine, the timer and SIGHUP.
///
/// # Errors
/// If signals cannot be received, or the path is none. Everything later is logged and tried again.
pub async fn serve<E: Perform + Events>(options: &Options, engine: &E) -> io::Result<()> {
    let (bell, wakes) = wake::channel();
    let mut signals = signals::Signals::new()?;
    let (stop, mut shutdown) = tokio::sync::watch::channel(false);
    // Before the first pass, so that nothing falls between reading and watching. A file system may hang there.
    let files = tokio::select! {
        files = watch::FileWatch::begin(&options.path, bell.clone()) => files?,
        never = signals.obey(&bell, &stop) => match never {},
        _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
    };
    let systemd = Systemd::from_environment();
    let board = Arc::new(Board::new(&options.setup.owner, &wakes));
    let answers = answers(options, &board);
    // On the heap: with all steps' futures in it, it is too large to be handed around.
    let passes = Box::pin(run(options, engine, wakes, shutdown, &systemd, &board));
    tokio::select! {
        () = passes => Ok(()),
        never = answers => match never {},
        never = files.keep() => match never {},
        never = events::follow(engine, &bell) => match never {},
        never = signals.obey(&bell, &stop) => match never {},
    }
}

/// Answers who asks how things stand. Where that cannot be, passes are made all the same.
async fn answers(options: &Options, board: &Arc<Board>) -> Infallible {
    let Some(turns) = &options.turns else { return std::future::pending().await };
    let path = turns.socket();
    match socket::bind(&path) {
        Ok(listener) => socket::answer(listener, Arc::clone(board)).await,
        Err(error) => {
            warn!(%error, socket = %path.display(), "nobody can ask how things stand");
            std::future::pending().await
        }
    }
}

/// Makes passes until `shutdown` turns true; then what is begun is finished and nothing else is begun.
pub async fn run<E: Perform>(
    options: &Options,
    engine: &E,
    mut wakes: Wakes,
    mut shutdown: Receiver<bool>,
    systemd: &Systemd,
    board: &Board,
) {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        owner = %options.setup.owner,
        manifests = %options.path.display(),
        engine = %options.engine,
        interval = ?options.interval,
        "invigil starts"
    );
    let pulse = Arc::new(Pulse::default());
    let mut daemon = Daemon::new(options, engine, systemd, &pulse, board);
    tokio::select! {
        biased;
        _ = shutdown.wait_for(|stop| *stop) => {}
        () = daemon.recall() => {}
    }
    loop {
        pulse.beat();
        let next = systemd.while_alive(&pulse, daemon.pass(&shutdown)).await;
        // However long the timer: waiting is being alive.
        let waiting = systemd.while_waiting(wakes.next(next.at, next.rested));
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => break,
            causes = waiting => {
                debug!(?causes, "woken");
                if causes.reload {
                    daemon.reload();
                }
            }
        }
    }
    systemd.stopping();
    info!("invigil stops; containers go on as they are");
}

/// When there is something to do again.
struct Next {
    /// The next pass, if nothing wakes the daemon before.
    at: Instant,
    /// From when on the engine's events are answered.
    rested: Instant,
}

/// Why a pass could not look at everything. Nothing is concluded from it (law 1).
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{}", caused(.0))]
    Files(#[from] SourceError),
    #[error("{0}")]
    Engine(#[from] EngineError),
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
struct Daemon<'a, E> {
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
    /// Whether something was done that was not looked at since.
    unseen: bool,
    /// How many passes in a row could not look at everything.
    troubles: u32,
    /// What systemd waits to hear of.
    awaited: Awaited,
}

impl<'a, E: Perform> Daemon<'a, E> {
    fn new(
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
            unseen: false,
            troubles: 0,
            awaited: Awaited::Start,
        }
    }

    /// Learns what the daemon before knew.
    async fn recall(&mut self) {
        let kept = self.memory.read().await;
        self.backoff.recall(kept, Instant::now(), Timestamp::now());
    }

    /// Makes one pass, and says when the next is due. Ends early when `shutdown` turns true.
    async fn pass(&mut self, shutdown: &Receiver<bool>) -> Next {
        let begun = Instant::now();
        let mut stopping = shutdown.clone();
        let (_turn, looked) = tokio::select! {
            biased;
            // Looking can be dropped at any moment; a step in flight cannot.
            _ = stopping.wait_for(|stop| *stop) => return Next { at: begun, rested: begun },
            looked = async {
                let turn = self.turn().await;
                (turn, self.look().await)
            } => looked,
        };
        let looking = begun.elapsed();
        let lost = match looked {
            Ok(plan) => {
                self.announced.no_trouble();
                self.systemd.status(&plan.summary());
                let lost = self.walk(&plan, shutdown).await;
                self.ready();
                lost
            }
            Err(trouble) => {
                self.announced.trouble(&trouble.to_string());
                self.board.trouble(&trouble.to_string());
                self.systemd.status(&trouble.to_string());
                // A reload is over when it was tried; a start, when it worked.
                if self.awaited == Awaited::Reload {
                    self.ready();
                }
                true
            }
        };
        self.next(lost, looking)
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

    /// Reads the manifests, looks at the engine, and plans.
    async fn look(&mut self) -> Result<Plan, Trouble> {
        let setup = &self.options.setup;
        let woken = self.board.woken();
        let wanted = self.files.read().await?;
        self.announced.diagnostics(&wanted.diagnostics);
        let changes = reconcile::compare(wanted, setup, self.engine).await?;
        let held = self.backoff.hold(&changes.changes, &wanted.desired, Instant::now(), jitter);
        let plan = Plan::putting_back(changes, &setup.owner, &held.why, &held.interrupted, &held.resting);
        let unsettled = plan.withheld.iter().any(|(_, why)| why == files::UNSETTLED);
        self.announced.undone(&plan, &held.why);
        for (id, retry) in &held.relapses {
            let after = progress::seconds(retry.after);
            warn!(resource = %id, times = retry.failures, %after, "did not last, will be done again");
        }
        debug!("{}", plan.summary());
        self.board.looked(&plan, wanted, &self.backoff, woken);
        (self.unseen, self.undecided) = (false, false);
        self.settled_at = self.files.settles_at().filter(|_| unsettled);
        Ok(plan)
    }

    /// Makes a plan come true. Returns whether the engine was lost on the way.
    async fn walk(&mut self, plan: &Plan, shutdown: &Receiver<bool>) -> bool {
        let progress = Progress::of(plan, self.pulse);
        let note = |event: crate::execute::Event<'_>| {
            self.board.note(&event);
            progress.note(&event);
        };
        let desired = self.files.last().map(|wanted| &wanted.desired);
        let engine = Brief::new(self.engine, desired, shutdown);
        let outcomes = reconcile::apply(plan, &self.options.setup, &engine, shutdown, &note).await;
        self.undecided = outcomes.undecided;
        self.unseen = !outcomes.done.is_empty();
        let disturbed = progress.into_disturbed();
        self.board.done(outcomes.done.iter().filter(|id| !plan.waiting.contains_key(*id)));
        let attempt = Attempt { plan, outcomes: &outcomes, disturbed: &disturbed };
        if let Some(wanted) = self.files.last() {
            for (id, retry) in self.backoff.settle(&attempt, &wanted.desired, Instant::now(), jitter) {
                let after = progress::seconds(retry.after);
                info!(resource = %id, failures = retry.failures, %after, "will be tried again");
                self.board.retried(&id, &retry);
            }
        }
        self.memory.keep(self.backoff.interrupted(Instant::now(), Timestamp::now())).await;
        outcomes.engine_lost
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
            let goes_on = self.undecided.then_some(now + GO_ON);
            [self.backoff.next_try(), self.settled_at, seen_at, goes_on]
                .into_iter()
                .flatten()
                .fold(timer, Instant::min)
        };
        Next { at, rested }
    }

    /// Takes everything as it is now for what is meant, and says again what is wrong with it.
    fn reload(&mut self) {
        info!("reloading");
        // Before the first good pass systemd waits for that one anyhow.
        if self.awaited == Awaited::Nothing {
            self.systemd.reloading();
            self.awaited = Awaited::Reload;
        }
        self.files.accept();
        self.backoff.reset();
        self.announced = Announcements::default();
    }
}

/// Chance, from -1 to 1.
fn jitter() -> f64 {
    fastrand::f64().mul_add(2.0, -1.0)
}

#[cfg(test)]
mod tests;
