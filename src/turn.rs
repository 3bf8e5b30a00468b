//! One at a time: who may change an owner's resources now. In: an owner. Out: a turn, which ends when it
//! is dropped or its process dies. Never looks at the engine.
//!
//! Two passes of one owner at once would each take the other's half-made replacements for leftovers. The
//! turns are advisory locks on files of this host: an Invigil on another host that works on the same
//! engine is not held back.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::resource::name::Owner;

/// How often it is looked whether another's turn is over.
const LOOK: Duration = Duration::from_millis(50);

/// The turns of one owner on this host.
#[derive(Debug, Clone)]
pub struct Turns {
    dir: PathBuf,
    owner: Owner,
}

/// What somebody has, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    /// The lock goes with the open file.
    _file: File,
}

/// Who has it instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process, where it could be read.
    pub process: Option<u32>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.process {
            Some(process) => write!(f, "process {process}"),
            None => f.write_str("another process"),
        }
    }
}

impl Turns {
    /// The turns of `owner`, kept in the first of these directories that can be used: `/run/invigil`, the
    /// user's own runtime directory, the one for temporary files.
    ///
    /// # Errors
    /// If none can be.
    pub fn of(owner: &Owner) -> io::Result<Self> {
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("invigil"));
        let dirs = [Some(PathBuf::from("/run/invigil")), own, Some(std::env::temp_dir())];
        let mut refusal = io::Error::from(io::ErrorKind::NotFound);
        for dir in dirs.into_iter().flatten() {
            let turns = Self { dir, owner: owner.clone() };
            match fs::create_dir_all(&turns.dir).and_then(|()| turns.open("pass")) {
                Ok(_) => return Ok(turns),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// The right to be the one daemon of the owner.
    ///
    /// # Errors
    /// If the file cannot be used. Inside: who is it already.
    pub fn daemon(&self) -> io::Result<Result<Turn, Holder>> {
        self.try_take("daemon")
    }

    /// The right to make a pass; waits until it is free, and says once who has it.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub async fn pass(&self, waiting: impl FnOnce(&Holder)) -> io::Result<Turn> {
        let mut waiting = Some(waiting);
        loop {
            match self.try_take("pass")? {
                Ok(turn) => return Ok(turn),
                Err(holder) => {
                    if let Some(say) = waiting.take() {
                        say(&holder);
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn open(&self, what: &str) -> io::Result<File> {
        let path = self.dir.join(format!("{}.{what}.lock", self.owner));
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    fn try_take(&self, what: &str) -> io::Result<Result<Turn, Holder>> {
        let mut file = self.open(what)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(Ok(Turn { _file: file }))
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.rewind()?;
                // Who has just taken it may not have written yet.
                let _ = file.read_to_string(&mut text);
                Ok(Err(Holder { process: text.trim().parse().ok() }))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_is_had_by_one_and_ends_when_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let turns = Turns { dir: dir.path().to_owned(), owner: "exam".parse().unwrap() };
        let other = Turns { owner: "other".parse().unwrap(), ..turns.clone() };
        let first = turns.pass(|_| panic!("nobody has it")).await.unwrap();
        assert!(other.try_take("pass").unwrap().is_ok());
        assert!(turns.daemon().unwrap().is_ok());
        let holder = turns.try_take("pass").unwrap().unwrap_err();
        assert_eq!(holder.to_string(), format!("process {}", std::process::id()));
        let mut said = 0;
        tokio::select! {
            _ = turns.pass(|_| said += 1) => panic!("it is not free"),
            () = tokio::time::sleep(LOOK * 3) => {}
        }
        assert_eq!(said, 1);
        drop(first);
        turns.pass(|_| panic!("it is free")).await.unwrap();
    }
}
