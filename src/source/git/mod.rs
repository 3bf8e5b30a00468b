//! Manifests from a Git repository. In: where it is, and which of its commits may run. Out: a directory with the files of one
//! commit, which another takes the place of at one blow. Calls the host's own `git`, so that its logins, proxies and ssh
//! configuration hold; runs nothing that comes with the repository: no hook, no filter, no submodule.
//!
//! ```text
//! STATE/git/OWNER/repository              what was fetched, bare
//!                 revisions/COMMIT        its files
//!                 current -> revisions/COMMIT
//!                 ran                     which ran last, and where it came from
//! ```

mod checkout;
mod command;
mod place;
mod ran;
mod signature;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::command::{Git, said};
pub use self::place::{Reference, SubDirectory, Url};
use self::ran::Ran;
use super::Checkout;
use crate::resource::digest::sha256_hex;
use crate::resource::printable::printable;

/// How long fetching may take. A first clone over a slow line is the longest.
const FETCH_MAX: Duration = Duration::from_mins(15);
/// How long anything else may take.
const LOCAL_MAX: Duration = Duration::from_mins(2);
/// The longest subject of a commit that is told, in characters.
const SUBJECT_MAX: usize = 200;
/// What was fetched last, and what runs: both are kept by Git for as long as they are named so.
const FETCHED: &str = "refs/invigil/fetched";
const RUNNING: &str = "refs/invigil/running";
/// The link to the revision that runs.
const CURRENT: &str = "current";
const REVISIONS: &str = "revisions";

/// Which commits run.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The repository.
    pub url: Url,
    /// Whose head it is.
    pub reference: Reference,
    /// Where in the repository the manifests are.
    pub directory: SubDirectory,
    /// Who may sign, in the form of `ssh-keygen`'s allowed signers; `None` if unsigned commits run, too.
    pub allowed_signers: Option<PathBuf>,
    /// Whether a commit may run that does not descend from the one that ran last.
    pub rewritten_history: bool,
}

/// A commit, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// Its full id.
    pub commit: String,
    /// The first line of its message; nothing in it steers a terminal.
    pub subject: String,
    /// When its author made it, by the author's clock.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub authored: Timestamp,
}

impl Commit {
    /// As much of its id as people need.
    pub fn short(&self) -> &str {
        short(&self.commit)
    }
}

/// As much of a commit's id as people need.
pub fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// A commit that may run in the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub commit: Commit,
    /// What ran when it was judged; nothing else may run by the time that it does.
    over: Option<String>,
}

/// What the repository has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// What runs already.
    Running,
    /// A commit that may run, and whose files are there.
    Next(Candidate),
    /// A commit that may not, and why.
    Refused(Commit, String),
}

/// Why something could not be done. One sentence, without passwords.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct GitError(String);

impl GitError {
    fn on_disk(path: &Path, error: &io::Error) -> Self {
        Self(format!("{}: {error}", printable(&path.to_string_lossy())))
    }
}

/// What ran last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// Nothing.
    Nothing,
    /// A commit, which runs.
    Good(Commit),
    /// A commit, which runs as it did, and why it could not be looked at whether it may.
    Unsure(Commit, String),
    /// A commit that may not run by the terms of now, and why.
    Refused(Commit, String),
}

/// The commits of one owner's repository on this host. One process has them; one thread of it fetches, and any other may
/// switch meanwhile.
#[derive(Debug, Clone)]
pub struct Checkouts {
    place: PathBuf,
    terms: Terms,
    stop: Arc<AtomicBool>,
    /// Whoever changes which commit runs has it.
    turn: Arc<Mutex<()>>,
}

impl Checkouts {
    /// Those of an owner, by name, kept under a state directory.
    pub fn of(state: &Path, owner: &str, terms: Terms) -> Self {
        Self { place: state.join("git").join(owner), terms, stop: Arc::default(), turn: Arc::default() }
    }

    /// Ends what is being fetched, and lets nothing else be.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Where they come from, and which run.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The directory of the manifests of the commit that runs: the same path for every commit.
    pub fn root(&self) -> PathBuf {
        self.place.join(CURRENT).join(self.terms.directory.as_path())
    }

    /// What ran last, whose files are there again if they were not. One that may not run by the terms of now is let go:
    /// nothing runs then.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn last(&self) -> Result<Last, GitError> {
        let Some(id) = self.running_id() else { return Ok(Last::Nothing) };
        let git = self.git();
        let commit = commit(&git, &id)?;
        let revisions = self.place.join(REVISIONS);
        // Where nobody can be asked who may sign, nobody may. What else goes wrong says nothing of the commit, which stays.
        let unsigned =
            self.unreadable_signers().map_or_else(|| self.unsigned(&git, &commit), |why| Ok(Some(why)));
        let why = match unsigned {
            Err(error) => return Ok(Last::Unsure(commit, error.to_string())),
            Ok(Some(why)) => why,
            Ok(None) => match checkout::files(&git, &id, &revisions, &self.terms.directory)? {
                Ok(()) => return Ok(Last::Good(commit)),
                Err(why) => why,
            },
        };
        let _turn = self.turn();
        if self.running_id().as_ref() == Some(&id) {
            let current = self.place.join(CURRENT);
            fs::remove_file(&current).map_err(|error| GitError::on_disk(&current, &error))?;
        }
        Ok(Last::Refused(commit, why))
    }

    /// Whether any commit runs.
    pub fn runs(&self) -> bool {
        self.running_id().is_some()
    }

    fn running_id(&self) -> Option<String> {
        commit_of(&fs::read_link(self.place.join(CURRENT)).ok()?)
    }

    /// Fetches, and tells what is there. What runs stays as it is.
    ///
    /// # Errors
    /// If it cannot be fetched, or not be looked at.
    pub fn fetch(&self) -> Result<Head, GitError> {
        self.prepare()?;
        let git = self.git();
        self.fetch_head(&git)?;
        let id = git.text(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("{FETCHED}^{{commit}}"),
        ]);
        let id = id.map_err(|_| GitError(format!("{} is no commit", self.terms.reference)))?;
        let revisions = self.place.join(REVISIONS);
        let over = self.running_id();
        if over.as_deref() == Some(&id) && revisions.join(&id).is_dir() {
            return Ok(Head::Running);
        }
        let head = commit(&git, &id)?;
        if let Some(why) = self.rewritten(&git, &head)? {
            return Ok(Head::Refused(head, why));
        }
        if let Some(why) = self.unsigned(&git, &head)? {
            return Ok(Head::Refused(head, why));
        }
        match checkout::files(&git, &id, &revisions, &self.terms.directory)? {
            Ok(()) => Ok(Head::Next(Candidate { commit: head, over })),
            Err(why) => Ok(Head::Refused(head, why)),
        }
    }

    /// Lets a commit run: one that [`Self::fetch`] found. Returns whether it does: in the place of another than it was judged
    /// by, it does not.
    ///
    /// # Errors
    /// If the disk does not let it; what ran before goes on then.
    pub fn switch(&self, next: &Candidate) -> Result<bool, GitError> {
        let Candidate { commit: Commit { commit, .. }, over } = next;
        let _turn = self.turn();
        if self.running_id() != *over {
            return Ok(false);
        }
        // First: were it not there afterwards, what is no descendant of this commit could take its place.
        Ran { origin: self.origin(), commit: commit.clone() }.keep(&self.place)?;
        let (current, beside) = (self.place.join(CURRENT), self.place.join(".current.new"));
        let _ = fs::remove_file(&beside);
        symlink(Path::new(REVISIONS).join(commit), &beside)
            .and_then(|()| fs::rename(&beside, &current))
            .map_err(|error| GitError::on_disk(&current, &error))?;
        // It runs, whether or not the disk can say that it will after a loss of power.
        let _ = fs::File::open(&self.place).and_then(|place| place.sync_all());
        Ok(true)
    }

    /// Forgets what does not run, while nobody is about to switch. Only room is at stake.
    pub fn tidy(&self) {
        let Some(running) = self.running_id() else { return };
        // Objects that are named so are kept.
        let _ = self.git().text(&["update-ref", RUNNING, &running]);
        for entry in fs::read_dir(self.place.join(REVISIONS)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name != *running {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let _ = self.git().text(&["gc", "--auto", "--quiet"]);
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn git(&self) -> Git {
        Git::at(self.place.join("repository"), Arc::clone(&self.stop))
    }

    /// Makes what is missing, and clears away what a killed `git` has left. Nobody else works here.
    fn prepare(&self) -> Result<(), GitError> {
        let repository = self.place.join("repository");
        // Manifests hold the keys of exams.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.place.join(REVISIONS))
            .map_err(|error| GitError::on_disk(&self.place, &error))?;
        if !repository.join("HEAD").exists() {
            let _ = fs::remove_dir_all(&repository);
            self.git().init()?;
        }
        for directory in ["", "refs/invigil", "objects/pack", "objects/info"] {
            for entry in fs::read_dir(repository.join(directory)).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.ends_with(".lock") || name.starts_with("tmp_") || name == "gc.pid" {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        Ok(())
    }

    fn fetch_head(&self, git: &Git) -> Result<(), GitError> {
        let Terms { url, reference, .. } = &self.terms;
        let fetch = |from: &str| {
            let refspec = format!("+{from}:{FETCHED}");
            let arguments = [
                "fetch",
                "--quiet",
                "--force",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
            ];
            git.outside(url, &[&arguments[..], &["--", url.bare(), &refspec]].concat(), FETCH_MAX)
        };
        let is_absent = |words: &str| words.contains("couldn't find remote ref");
        let mut answer = fetch(&reference.as_branch())?;
        if !answer.status.success() && is_absent(&answer.told()) && !reference.is_full() {
            // No branch: a tag, then.
            answer = fetch(&format!("refs/tags/{reference}"))?;
        }
        if answer.status.success() {
            return Ok(());
        }
        let told = answer.told();
        Err(GitError(if is_absent(&told) {
            format!("{url} has no branch or tag {reference}")
        } else {
            format!("{url} cannot be fetched: {}", said(&told))
        }))
    }

    /// Why a commit may not run for the sake of what runs.
    fn rewritten(&self, git: &Git, head: &Commit) -> Result<Option<String>, GitError> {
        if self.terms.rewritten_history {
            return Ok(None);
        }
        let runs = || Some(Ran { origin: self.origin(), commit: self.running_id()? });
        let Some(Ran { origin, commit: ran }) = Ran::read(&self.place)?.or_else(runs) else {
            return Ok(None);
        };
        // Another repository, or another branch, is the operator's word.
        if origin != self.origin() {
            return Ok(None);
        }
        let answer = git.inside(&["merge-base", "--is-ancestor", &ran, &head.commit])?;
        if answer.status.success() {
            return Ok(None);
        }
        // One that is not even there is no ancestor either.
        let told = answer.told();
        if answer.status.code() != Some(1) && !told.contains("Not a valid commit name") {
            return Err(GitError(format!("its history cannot be looked at: {}", said(&told))));
        }
        let ran = short(&ran);
        let why = format!("its history was rewritten or went back: {ran}, which ran last, is not in it");
        Ok(Some(format!("{why}; --allow-rewritten-history lets it run")))
    }

    /// Why a commit may not run for the sake of its signature.
    fn unsigned(&self, git: &Git, commit: &Commit) -> Result<Option<String>, GitError> {
        let Some(signers) = &self.terms.allowed_signers else { return Ok(None) };
        if let Some(why) = self.unreadable_signers() {
            return Err(GitError(why));
        }
        signature::verdict(git, signers, &commit.commit)
    }

    /// Why it cannot be known who may sign, if somebody has to.
    fn unreadable_signers(&self) -> Option<String> {
        let signers = self.terms.allowed_signers.as_ref()?;
        let error = fs::File::open(signers).err()?;
        Some(format!("cannot read the allowed signers {}: {error}", signers.display()))
    }

    /// What tells this source from another.
    fn origin(&self) -> String {
        sha256_hex(format!("{}\n{}", self.terms.url.bare(), self.terms.reference).as_bytes())
    }
}

/// The checkout that a path is in. A bind into it would lose its data with the next commit.
pub(super) fn checkout_around(path: &Path) -> Option<Checkout> {
    // A link that a `/` follows is not read, but gone through.
    let path: PathBuf = path.components().collect();
    path.ancestors().filter(|at| at.file_name().is_some_and(|name| name == CURRENT)).find_map(|at| {
        let commit = commit_of(&fs::read_link(at).ok()?)?;
        let is_ours = at.with_file_name("repository").join("HEAD").exists();
        is_ours.then_some(Checkout { directory: at.parent()?.to_owned(), commit })
    })
}

/// Which commit the link to the files of one names.
fn commit_of(link: &Path) -> Option<String> {
    let id = link.strip_prefix(REVISIONS).ok()?.to_str()?;
    is_id(id).then(|| id.to_owned())
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn commit(git: &Git, id: &str) -> Result<Commit, GitError> {
    let text = git.text(&["show", "--no-patch", "--format=%at%n%s", "--end-of-options", id])?;
    let (seconds, subject) = text.split_once('\n').unwrap_or((&text, ""));
    let authored = seconds.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    Ok(Commit {
        commit: id.to_owned(),
        subject: printable(&subject.chars().take(SUBJECT_MAX).collect::<String>()).into_owned(),
        authored: authored.unwrap_or(Timestamp::UNIX_EPOCH),
    })
}
