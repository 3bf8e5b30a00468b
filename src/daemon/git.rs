//! Follows a Git repository. In: which commits run, and how often to look. Out: wakes, and the next commit for the pass that
//! comes. Nobody waits for the network but this: passes go on with the commit that runs.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::Options;
use super::board::Board;
use super::tally::Fetched;
use super::wake::Bell;
use crate::journal::What;
use crate::source::git::{Checkouts, Commit, GitError, Head, Last};
use crate::status::{Source, WantedCommit};

/// The shortest time between the beginnings of two fetches, however often one is asked for.
const FETCH_REST: Duration = Duration::from_secs(1);

/// A repository that is followed.
#[derive(Debug)]
pub struct Following {
    checkouts: Checkouts,
    every: Duration,
    /// What the next pass lets run.
    next: Mutex<Option<Commit>>,
    /// Somebody says that there is something to fetch.
    asked: Notify,
    /// Whether there is something that runs, or was looked for in vain.
    begun: watch::Sender<bool>,
}

/// Ends a fetch under way with whoever waits for it.
struct Stop<'a>(&'a Checkouts);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Following {
    /// Nothing is fetched yet.
    pub fn new(checkouts: Checkouts, every: Duration) -> Self {
        Self {
            checkouts,
            every,
            next: Mutex::default(),
            asked: Notify::new(),
            begun: watch::Sender::new(false),
        }
    }

    /// The directory of the manifests, the same for every commit.
    pub fn root(&self) -> std::path::PathBuf {
        self.checkouts.root()
    }

    /// Fetches at once, instead of when the time has come. Asking again before it is done is the same wish.
    pub fn fetch_now(&self) {
        self.asked.notify_one();
    }

    /// Waits until there is a commit that runs, or nobody knows when there will be one.
    pub(super) async fn begun(&self) {
        // The sender is here as well.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// Why there are no manifests to be read, if no commit runs.
    pub(super) fn nothing(&self) -> Option<String> {
        let url = &self.checkouts.terms().url;
        (!self.checkouts.runs()).then(|| format!("no revision of {url} runs"))
    }

    /// Looks for commits, for ever.
    pub(super) async fn follow(&self, options: &Options, bell: &Bell, board: &Board) -> Infallible {
        let _stop = Stop(&self.checkouts);
        let terms = self.checkouts.terms();
        board.source(|source| {
            *source = Some(Source {
                git: terms.url.to_string(),
                reference: terms.reference.to_string(),
                directory: terms.directory.to_string(),
                ..Source::default()
            });
        });
        let mut trouble = Trouble::default();
        match self.blocking(Checkouts::last).await {
            Ok(Last::Good(commit)) => {
                let (revision, subject) = (commit.short(), &commit.subject);
                info!(revision, subject, "goes on with the revision that ran");
                board.of_source(|source| source.running = Some(commit));
                self.begun.send_replace(true);
            }
            Ok(Last::Refused(commit, why)) => {
                let revision = commit.short();
                warn!(revision, why, "the revision that ran may not run any more");
                let Commit { commit, subject, .. } = commit;
                options.journaled(Some(commit), What::Refused { subject, why });
            }
            Ok(Last::Nothing) => {}
            Err(error) => drop(trouble.tell(Some(&error.to_string()), self.checkouts.runs())),
        }
        // What was offered to passes last: none of it is about to be switched to once that runs.
        let mut offered: Option<Commit> = None;
        let mut tidied: Option<Commit> = None;
        loop {
            let began = Instant::now();
            let running = board.running();
            if running != tidied && offered.as_ref().is_none_or(|offered| running.as_ref() == Some(offered)) {
                let tidy = |checkouts: &Checkouts| {
                    checkouts.tidy();
                    Ok(())
                };
                // Nothing of it can be wrong.
                let _ = self.blocking(tidy).await;
                tidied = running;
            }
            let head = self.blocking(Checkouts::fetch).await;
            if let Ok(Head::Next(commit)) = &head {
                offered = Some(commit.clone());
            }
            if let Some((commit, why)) = self.found(head, bell, board, &mut trouble) {
                let Commit { commit, subject, .. } = commit;
                options.journaled(Some(commit), What::Refused { subject, why });
            }
            self.begun.send_replace(true);
            tokio::select! {
                () = sleep_until(began + self.every) => {}
                () = self.asked.notified() => sleep_until(began + FETCH_REST).await,
            }
        }
    }

    /// What fetching has found out. Returns what is refused, and why, if that is news.
    fn found(
        &self,
        head: Result<Head, GitError>,
        bell: &Bell,
        board: &Board,
        trouble: &mut Trouble,
    ) -> Option<(Commit, String)> {
        board.fetched(match &head {
            Ok(Head::Running | Head::Next(_)) => Fetched::Good,
            Ok(Head::Refused(..)) => Fetched::Refused,
            Err(_) => Fetched::Failed,
        });
        let runs = self.checkouts.runs();
        let mut next = self.lock();
        let fetched = Some(Timestamp::now());
        match head {
            Ok(Head::Running) => {
                *next = None;
                trouble.tell(None, runs);
                board.of_source(|source| {
                    (source.wanted, source.trouble, source.fetched) = (None, None, fetched);
                });
            }
            Ok(Head::Next(commit)) => {
                trouble.tell(None, runs);
                let wanted = Some(WantedCommit { commit: commit.clone(), refused: None });
                board.of_source(|source| {
                    (source.wanted, source.trouble, source.fetched) = (wanted, None, fetched);
                });
                if next.as_ref() != Some(&commit) {
                    *next = Some(commit);
                    bell.files_changed();
                }
            }
            Ok(Head::Refused(commit, why)) => {
                *next = None;
                let told = format!("revision {} is refused: {why}", commit.short());
                let is_news = trouble.tell(Some(&told), runs);
                let wanted = Some(WantedCommit { commit: commit.clone(), refused: Some(why.clone()) });
                board.of_source(|source| {
                    (source.wanted, source.trouble, source.fetched) = (wanted, None, fetched);
                });
                return is_news.then_some((commit, why));
            }
            Err(error) => {
                trouble.tell(Some(&error.to_string()), runs);
                board.of_source(|source| source.trouble = Some(error.to_string()));
            }
        }
        None
    }

    /// Lets the next commit run, between two passes. Returns it, if another one runs now.
    pub(super) async fn take_over(&self, board: &Board) -> Option<Commit> {
        let commit = self.lock().take()?;
        let (revision, next) = (commit.short(), commit.clone());
        if let Err(error) = self.blocking(move |checkouts| checkouts.switch(&next)).await {
            warn!(revision, %error, "cannot go over to another revision");
            board.of_source(|source| source.trouble = Some(error.to_string()));
            return None;
        }
        info!(revision, subject = commit.subject, "another revision runs");
        board.of_source(|source| {
            // Meanwhile there may be one more.
            source.wanted.take_if(|wanted| wanted.commit == commit);
            source.running = Some(commit.clone());
        });
        Some(commit)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Checkouts) -> Result<T, GitError> + Send + 'static,
    ) -> Result<T, GitError> {
        let checkouts = self.checkouts.clone();
        match spawn_blocking(move || call(&checkouts)).await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Commit>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was said to be wrong.
#[derive(Debug, Default)]
struct Trouble(Option<String>);

impl Trouble {
    /// Says once what is wrong, and what that means where a revision `runs`; and once that it is over. Returns whether it is
    /// news.
    fn tell(&mut self, now: Option<&str>, runs: bool) -> bool {
        // A time that differs, in the words of a program, is no news.
        let known = now.map(|why| why.replace(|c: char| c.is_ascii_digit(), ""));
        if self.0 == known {
            return false;
        }
        if let Some(why) = now {
            warn!(why, "{}", if runs { "the revision that runs stays" } else { "no revision runs" });
        } else {
            info!("the repository is well again");
        }
        self.0 = known;
        true
    }
}
