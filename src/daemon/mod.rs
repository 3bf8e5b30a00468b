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
pub mod git;
mod glance;
mod glances;
mod interference;
pub mod logging;
mod memory;
mod mutex;
pub mod notification;
mod outside;
mod pass;
pub mod post;
mod progress;
mod pulse;
mod seen;
mod shown;
mod sift;
mod signals;
pub mod systemd;
mod tally;
pub mod telemetry;
mod traces;
pub mod wake;
mod watch;
pub mod web;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::watch::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::board::Board;
use self::git::Following;
use self::interference::Limits;
use self::logging::Lost;
use self::notification::{Notifications, Notifier};
use self::outside::Outside;
use self::pass::Daemon;
use self::pulse::Pulse;
use self::systemd::Systemd;
use self::telemetry::Collector;
use self::traces::Traced;
use self::wake::{Bell, Wakes};
use self::watch::{FileWatch, Subject};
use self::web::{Hook, Site, WebhookSecret};
use crate::engine::{Events, Look, Perform};
use crate::journal::{By, Entry, What, Writer};
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
    /// What is done is written there; `None` where it is not.
    pub journal: Option<Writer>,
    /// Whose turn it is to make a pass; `None` where nobody else can.
    pub turns: Option<Turns>,
    /// The addresses at which it shows how things stand, besides its socket.
    pub listen: Vec<SocketAddr>,
    /// The repository that the manifests come from, where they do: its checkout is the path.
    pub git: Option<Arc<Following>>,
    /// What a forge signs with that asks for a fetch; `None` if none may.
    pub webhook: Option<WebhookSecret>,
    /// Who is told what happens.
    pub notifications: Notifications,
    /// Who takes traces of passes; `None` if nobody does.
    pub collector: Option<Arc<Collector>>,
    /// What of the log nobody took.
    pub log: Lost,
    /// Tells what has become of the settings that the daemon was started with.
    pub settings: SettingsCheck,
}

/// Tells whether settings are others by now than those that a daemon was started with, in a sentence. Reads files.
#[derive(Clone)]
pub struct SettingsCheck(pub Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl Default for SettingsCheck {
    /// There is nothing that could change.
    fn default() -> Self {
        Self(Arc::new(|| None))
    }
}

impl fmt::Debug for SettingsCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SettingsCheck")
    }
}

impl Options {
    /// Writes into the journal what the daemon itself does.
    fn journaled(&self, revision: Option<String>, what: What) {
        if let Some(journal) = &self.journal {
            let time = Timestamp::now();
            journal.note(Entry { time, by: By::Daemon, revision, resource: None, what });
        }
    }
}

/// Runs as a service: until SIGTERM or SIGINT, woken by files, `invigil suspend` and `resume`, the engine, the timer and SIGHUP.
/// What pages show of containers is looked at by a side of the engine that can change nothing (law 10).
///
/// # Errors
/// If signals cannot be received, or the path is none. Everything later is logged and tried again.
pub async fn serve<E: Perform + Events>(options: &Options, engine: &E, look: &impl Look) -> io::Result<()> {
    let (bell, wakes) = wake::channel();
    let mut signals = signals::Signals::new()?;
    let (stop, mut shutdown) = tokio::sync::watch::channel(false);
    // Before the first pass, so that nothing falls between reading and watching. A file system may hang there.
    let (told, suspension) = tokio::select! {
        watches = watched(options, &bell) => watches?,
        never = signals.obey(&bell, &stop) => match never {},
        _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
    };
    let systemd = Systemd::from_environment();
    let board = Arc::new(Board::new(&options.setup.owner, &wakes, options.journal.clone()));
    let _notifier = Notifier::begin(&options.notifications, &board);
    let hook = options.webhook.clone().zip(options.git.clone()).map(|(secret, git)| Hook::new(secret, git));
    let (glances, mut asks) = glances::channel();
    let site = Arc::new(Site::new(Arc::clone(&board), options.interval, glances).asked_by(hook));
    let outside = Outside::new(options, &board);
    let mut limits = Limits::new(Instant::now());
    let traced = Traced::new(engine, &outside.traces);
    // On the heap: with all steps' futures in it, it is too large to be handed around.
    let passes = Box::pin(run(options, &traced, wakes, shutdown, &systemd, &board));
    tokio::select! {
        () = passes => {}
        never = on_socket(options, &site) => match never {},
        never = on_addresses(options, &site) => match never {},
        never = asks.answer(look, &options.setup.owner) => match never {},
        never = told.keep(options, &bell, &board) => match never {},
        never = suspension.keep() => match never {},
        never = telemetry::keep(options.collector.as_deref()) => match never {},
        never = events::follow(engine, &bell, &outside) => match never {},
        never = outside.keep(engine, &mut limits) => match never {},
        never = signals.obey(&bell, &stop) => match never {},
    }
    outside.end(&mut limits).await;
    Ok(())
}

/// Begins to hear what changes: the manifests, and whether the host is suspended.
async fn watched<'a>(options: &'a Options, bell: &Bell) -> io::Result<(Told<'a>, FileWatch)> {
    let suspension = options.setup.suspension.clone();
    // Where that cannot be, the watch says so.
    let _ = spawn_blocking(move || suspension.make_room()).await;
    let told = match &options.git {
        Some(git) => Told::Git(git),
        None => Told::Files(FileWatch::begin(&options.path, Subject::Manifests, bell.clone()).await?),
    };
    let file = options.setup.suspension.file();
    Ok((told, FileWatch::begin(file, Subject::Suspension, bell.clone()).await?))
}

/// What tells that the manifests are others now.
enum Told<'a> {
    /// Their files change.
    Files(FileWatch),
    /// Their repository has another commit: nobody writes into its checkout.
    Git(&'a Following),
}

impl Told<'_> {
    async fn keep(self, options: &Options, bell: &Bell, board: &Board) -> Infallible {
        match self {
            Self::Files(files) => files.keep().await,
            Self::Git(git) => git.follow(options, bell, board).await,
        }
    }
}

/// Answers who asks how things stand. Where that cannot be, passes are made all the same.
async fn on_socket(options: &Options, site: &Arc<Site>) -> Infallible {
    let Some(turns) = &options.turns else { return std::future::pending().await };
    let path = turns.socket();
    match web::bind(&path) {
        Ok(socket) => web::on_socket(socket, site).await,
        Err(error) => {
            warn!(%error, socket = %path.display(), "nobody can ask how things stand");
            std::future::pending().await
        }
    }
}

/// The same at each address that was given.
async fn on_addresses(options: &Options, site: &Arc<Site>) -> Infallible {
    join_all(options.listen.iter().map(|address| web::on_address(*address, site))).await;
    std::future::pending().await
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
    options.journaled(None, What::Started { version: env!("CARGO_PKG_VERSION").to_owned() });
    let pulse = Arc::new(Pulse::default());
    let mut daemon = Daemon::new(options, engine, systemd, &pulse, board);
    tokio::select! {
        biased;
        _ = shutdown.wait_for(|stop| *stop) => {}
        () = daemon.recall() => {}
    }
    if let Some(git) = &options.git {
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => {}
            () = systemd.while_waiting(git.begun()) => {}
        }
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
    options.journaled(None, What::Stopped);
    info!("invigil stops; containers go on as they are");
}

#[cfg(test)]
mod tests;
