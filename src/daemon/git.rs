//! Follows a Git repository. In: which commits run, and how often to look. Out: wakes, and the next commit for the pass that
//! comes. Nobody waits for the network but this: passes go on with the commit that runs.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::Options;
use super::board::Board;
use super::tally::Fetched;
use super::wake::Bell;
use crate::journal::What;
use crate::source::git::{Candidate, Checkouts, Commit, GitError, Head, Last};
use crate::status::{Source, WantedCommit};

/// The shortest time between the beginnings of two fetches, however often one is asked for.
const FETCH_REST: Duration = Duration::from_secs(1);

/// After which time a fetch that goes on is told: it may take long, and nothing that was committed since runs.
const SLOW: Duration = Duration::from_secs(20);

/// A repository that is followed.
#[derive(Debug)]
pub struct Following {
    checkouts: Checkouts,
    every: Duration,
    /// What the next pass lets run.
    next: Mutex<Option<Candidate>>,
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
    pub(super) async fn nothing(&self) -> Option<String> {
        let runs = self.blocking(|checkouts| Ok(checkouts.runs())).await;
        let url = &self.checkouts.terms().url;
        (runs != Ok(true)).then(|| format!("no revision of {url} runs"))
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
        let mut is_known = self.recall(options, board, &mut trouble).await;
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
            let mut head = self.fetch(board, &mut trouble).await;
            // What could not be looked at before may be there now; and it is known again what is running.
            if !is_known && self.recall(options, board, &mut trouble).await {
                is_known = true;
                head = self.fetch(board, &mut trouble).await;
            }
            if let (Ok(Head::Next(next)), _) = &head {
                offered = Some(next.commit.clone());
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

    /// What ran last, and whether it may still. Returns whether that is known.
    async fn recall(&self, options: &Options, board: &Board, trouble: &mut Trouble) -> bool {
        match self.blocking(Checkouts::last).await {
            Ok(Last::Good(commit)) => {
                trouble.unsure = None;
                let (revision, subject) = (commit.short(), &commit.subject);
                info!(revision, subject, "goes on with the revision that ran");
                board.of_source(|source| source.running = Some(commit));
                self.begun.send_replace(true);
                true
            }
            Ok(Last::Unsure(commit, why)) => {
                trouble.unsure(&why, true);
                board.of_source(|source| (source.running, source.trouble) = (Some(commit), Some(why)));
                // It runs as it did: nobody waits for the network.
                self.begun.send_replace(true);
                false
            }
            Ok(Last::Refused(commit, why)) => {
                trouble.unsure = None;
                let revision = commit.short();
                warn!(revision, why, "the revision that ran may not run any more");
                board.of_source(|source| source.running = None);
                let Commit { commit, subject, .. } = commit;
                options.journaled(Some(commit), What::Refused { subject, why });
                true
            }
            Ok(Last::Nothing) => {
                trouble.unsure = None;
                true
            }
            Err(error) => {
                let runs = self.runs().await;
                trouble.unsure(&error.to_string(), runs);
                board.of_source(|source| source.trouble = Some(error.to_string()));
                if runs {
                    self.begun.send_replace(true);
                }
                false
            }
        }
    }

    /// What the repository has, and whether any commit runs. Says so where that takes long.
    async fn fetch(&self, board: &Board, trouble: &mut Trouble) -> (Result<Head, GitError>, bool) {
        let mut fetching = pin!(self.blocking(Checkouts::fetch));
        let head = tokio::select! {
            biased;
            head = &mut fetching => head,
            () = sleep(SLOW) => {
                let url = &self.checkouts.terms().url;
                let why = format!("{url} has been fetched for {} s, and that is not over", SLOW.as_secs());
                trouble.tell(&why, self.runs().await);
                board.of_source(|source| source.trouble = trouble.shown(Some(&why)));
                fetching.await
            }
        };
        (head, self.runs().await)
    }

    async fn runs(&self) -> bool {
        self.blocking(|checkouts| Ok(checkouts.runs())).await == Ok(true)
    }

    /// What fetching has found out. Returns what is refused, and why, if that is news.
    fn found(
        &self,
        (head, runs): (Result<Head, GitError>, bool),
        bell: &Bell,
        board: &Board,
        trouble: &mut Trouble,
    ) -> Option<(Commit, String)> {
        board.fetched(match &head {
            Ok(Head::Running | Head::Next(_)) => Fetched::Good,
            Ok(Head::Refused(..)) => Fetched::Refused,
            Err(_) => Fetched::Failed,
        });
        let mut next = self.lock();
        let fetched = Some(Timestamp::now());
        match head {
            Ok(Head::Running) => {
                *next = None;
                trouble.over();
                board.of_source(|source| {
                    (source.wanted, source.trouble, source.fetched) = (None, trouble.shown(None), fetched);
                });
            }
            Ok(Head::Next(candidate)) => {
                trouble.over();
                let wanted = Some(WantedCommit { commit: candidate.commit.clone(), refused: None });
                board.of_source(|source| {
                    (source.wanted, source.trouble, source.fetched) = (wanted, trouble.shown(None), fetched);
                });
                if next.as_ref() != Some(&candidate) {
                    *next = Some(candidate);
                    bell.files_changed();
                }
            }
            Ok(Head::Refused(commit, why)) => {
                *next = None;
                let is_news = trouble.refused(&commit, &why, runs);
                let wanted = Some(WantedCommit { commit: commit.clone(), refused: Some(why.clone()) });
                board.of_source(|source| {
                    (source.wanted, source.trouble, source.fetched) = (wanted, trouble.shown(None), fetched);
                });
                return is_news.then_some((commit, why));
            }
            Err(error) => {
                trouble.tell(&error.to_string(), runs);
                board.of_source(|source| source.trouble = trouble.shown(Some(&error.to_string())));
            }
        }
        None
    }

    /// Lets the next commit run, between two passes. Returns it, if another one runs now.
    pub(super) async fn take_over(&self, board: &Board) -> Option<Commit> {
        let next = self.lock().take()?;
        let commit = next.commit.clone();
        let revision = commit.short();
        match self.blocking(move |checkouts| checkouts.switch(&next)).await {
            Ok(true) => {}
            Ok(false) => {
                // Another runs by now than it was judged by: it is judged anew.
                self.fetch_now();
                return None;
            }
            Err(error) => {
                warn!(revision, %error, "cannot go over to another revision");
                board.of_source(|source| source.trouble = Some(error.to_string()));
                return None;
            }
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

    fn lock(&self) -> MutexGuard<'_, Option<Candidate>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was said to be wrong.
#[derive(Debug, Default)]
struct Trouble {
    /// With looking at what ran last.
    unsure: Option<String>,
    /// With fetching, or with looking at what was fetched.
    away: Option<String>,
    /// With what was fetched last.
    refused: Option<(Commit, String)>,
}

/// What is said of what runs, beside what is wrong.
const fn so(runs: bool) -> &'static str {
    if runs { "the revision that runs stays" } else { "no revision runs" }
}

/// What tells one trouble from another: a time that differs, in the words of a program, is no news.
fn without_numbers(why: &str) -> String {
    why.replace(|c: char| c.is_ascii_digit(), "")
}

impl Trouble {
    /// Says once why it is not known whether what ran last may run.
    fn unsure(&mut self, why: &str, runs: bool) {
        if self.unsure.as_deref().map(without_numbers) != Some(without_numbers(why)) {
            warn!(why, "{}", so(runs));
        }
        self.unsure = Some(why.to_owned());
    }

    /// Says once what is wrong, and what that means where a revision `runs`.
    fn tell(&mut self, why: &str, runs: bool) {
        let known = without_numbers(why);
        if self.away.as_ref() != Some(&known) {
            warn!(why, "{}", so(runs));
            self.away = Some(known);
        }
    }

    /// What is shown of it, with what is wrong with fetching.
    fn shown(&self, away: Option<&str>) -> Option<String> {
        let all: Vec<&str> = self.unsure.as_deref().into_iter().chain(away).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Says once that a commit may not run, and why. Returns whether it is news.
    fn refused(&mut self, commit: &Commit, why: &str, runs: bool) -> bool {
        self.away = None;
        let now = Some((commit.clone(), why.to_owned()));
        if self.refused == now {
            return false;
        }
        self.refused = now;
        let why = format!("revision {} is refused: {why}", commit.short());
        warn!(why, "{}", so(runs));
        true
    }

    /// Says once that nothing is wrong any more.
    fn over(&mut self) {
        if self.away.take().is_some() | self.refused.take().is_some() {
            info!("the repository is well again");
        }
    }
}
