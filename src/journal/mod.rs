//! The journal of one owner: what was done. In: entries, plain values. Out: the same, in order, and
//! whether they are still what was written. Decides nothing, and nobody waits for it.
//!
//! # The form
//!
//! A `SQLite` database in the state directory, `OWNER.journal.db`, for its owner alone. Table `entries` has a row for each
//! entry: `seq` counts from 1 without a hole, `body` is the entry in canonical JSON (UTF-8, keys sorted, no white space),
//! `time` (nanoseconds since 1970, UTC) and `resource` repeat what the body says, for looking up, and
//!
//! ```text
//! hash(0) = 32 bytes of zero
//! hash(n) = SHA-256( hash(n-1) || n as 8 bytes, big-endian || body(n) )
//! ```
//!
//! Table `ends` has the row `last` (`seq` and `hash` of the last entry), and once retention has removed the oldest entries
//! the row `removed` (`seq` and `hash` of the last of these), from which the chain goes on; an entry in the chain says the
//! same of that removal.
//!
//! # What this shows, and what it does not
//!
//! An entry that was changed, taken out, put in or moved is found, and so is an end that was cut off without `ends`. The chain
//! has no secret: who may write the file can compute all of it anew, or cut off its end and write `ends` anew. Against that
//! helps what was noted elsewhere: `invigil log --verify` tells the head, and `--head` checks that it is still in the chain.
//! The daemon writes its head to its log when it begins and when it ends.
//!
//! A journal that is found damaged is put aside under another name, and the one that is begun instead says so in its first
//! entry. A process that wrote one finds at its next entry that it is gone, cut off or another one, and writes that. Both
//! are breaks: what holds does not reach back beyond them. `--verify` tells the last one and fails, unless `--head` gives a
//! head from after it: who noted that has been told.

mod chain;
mod entry;
mod place;
mod read;
mod retention;
mod store;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use self::chain::Head;
pub use self::entry::{By, Entry, Reason, What};
pub use self::read::{Query, Row};
pub use self::retention::{DEFAULT_MAX_AGE, DEFAULT_MAX_SIZE, Limits, MIN_MAX_SIZE};
pub use self::verify::{Break, Broken, Verified};
pub use self::writer::{CLOSING, Writer};
use crate::resource::name::Owner;

/// Where the journal of one owner is.
#[derive(Debug, Clone)]
pub struct Journal {
    file: PathBuf,
}

impl Journal {
    /// The journal of `owner`, kept under `dir`.
    pub fn of(dir: &Path, owner: &Owner) -> Self {
        Self { file: dir.join(format!("{owner}.journal.db")) }
    }

    /// The database.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It is there, and is no journal any more.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
    /// Another version of Invigil wrote it.
    #[error("the journal was written by another version of Invigil (form {0})")]
    Foreign(i64),
    /// It cannot be read or written now.
    #[error("{0}")]
    Unusable(String),
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match &error {
            rusqlite::Error::SqliteFailure(failure, _)
                if matches!(failure.code, DatabaseCorrupt | NotADatabase) =>
            {
                Self::Damaged(error.to_string())
            }
            // Every statement is written here: what it names is not there any more.
            rusqlite::Error::SqliteFailure(failure, Some(text))
                if failure.code == rusqlite::ErrorCode::Unknown && is_not_there(text) =>
            {
                Self::Damaged(error.to_string())
            }
            rusqlite::Error::SqlInputError { error: failure, msg, .. }
                if failure.code == rusqlite::ErrorCode::Unknown && is_not_there(msg) =>
            {
                Self::Damaged(msg.clone())
            }
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::Damaged(error.to_string()),
            _ => Self::Unusable(error.to_string()),
        }
    }
}

/// Whether `SQLite` says that a table or a column is not there.
fn is_not_there(text: &str) -> bool {
    text.starts_with("no such ") || text.contains(" has no column named ")
}

impl From<std::io::Error> for JournalError {
    fn from(error: std::io::Error) -> Self {
        Self::Unusable(error.to_string())
    }
}
