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
mod pass;
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

use tokio::sync::watch::Receiver;
use tracing::{debug, info, warn};

use self::board::Board;
use self::pass::Daemon;
use self::pulse::Pulse;
use self::systemd::Systemd;
use self::wake::Wakes;
use crate::engine::{Events, Perform};
use crate::reconcile::Setup;
use crate::turn::Turns;

/// How often a pass is made when nothing asks for one.
pub const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);

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

#[cfg(test)]
mod tests;
