//! Whether the entries are still what was written. In: the database. Out: what holds, or the first thing that does not.
//! Changes nothing; the memory that it takes does not grow with the journal.

use jiff::Timestamp;
use rusqlite::Connection;

use super::chain::Head;
use super::entry::{Entry, What};
use super::read::Row;
use super::store::{end, nanoseconds, open_to_read};
use super::{Journal, JournalError};

/// A journal that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are.
    pub entries: u64,
    /// How many older ones were removed, as the journal itself says.
    pub removed: u64,
    /// When the first that is there was written.
    pub first: Option<Timestamp>,
    /// When the last was.
    pub last: Option<Timestamp>,
    /// Where the chain ends: to be noted elsewhere.
    pub head: Head,
    /// The last entry that says that what was there before is not in the chain.
    pub broken: Option<Break>,
}

/// An entry beyond which what holds does not reach back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Its number.
    pub seq: u64,
    /// What it says.
    pub says: String,
    /// Whether the head that was noted is from after it: who noted that has been told.
    pub is_known: bool,
}

/// Why a journal does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is none.
    #[error("there is no journal: either nothing was done yet, or it was removed")]
    Absent,
    /// An entry is not what was written.
    #[error("entry {seq} {why}")]
    Entry {
        /// The first one that does not hold.
        seq: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Entries are missing.
    #[error("entries {from} to {to} are missing")]
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The oldest entries were removed, and the journal does not say that they were.
    #[error("the entries up to {0} are missing, and none says that retention removed them")]
    Unexplained(u64),
    /// What was noted elsewhere is not in the chain.
    #[error("{0}")]
    Head(String),
}

impl Journal {
    /// Goes through the whole chain; `noted` is a head that has to be in it.
    ///
    /// # Errors
    /// The first thing that does not hold, or that it cannot be read.
    pub fn verify(&self, noted: Option<&Head>) -> Result<Verified, Broken> {
        match open_to_read(self)? {
            Some(connection) => verify(&connection, noted),
            None => Err(Broken::Absent),
        }
    }
}

pub(super) fn verify(connection: &Connection, noted: Option<&Head>) -> Result<Verified, Broken> {
    // One state of it, whoever writes meanwhile.
    let _state = connection.unchecked_transaction().map_err(JournalError::from)?;
    check_database(connection)?;
    let noted_at = noted.map(|noted| noted.seq);
    let anchor = end(connection, "removed")?.unwrap_or(Head::NONE);
    let mut explained = anchor == Head::NONE;
    let mut verified =
        Verified { entries: 0, removed: anchor.seq, first: None, last: None, head: anchor, broken: None };
    let mut noted = noted.filter(|noted| **noted != anchor);
    if let Some(noted) = noted
        && noted.seq <= anchor.seq
    {
        return Err(Broken::Head(format!(
            "entry {} was removed by retention, and cannot be compared with the head that was noted",
            noted.seq
        )));
    }
    let mut statement = connection
        .prepare("SELECT seq, time, resource, body, hash FROM entries ORDER BY seq")
        .map_err(JournalError::from)?;
    let mut rows = statement.query([]).map_err(JournalError::from)?;
    while let Some(sql) = rows.next().map_err(JournalError::from)? {
        let read = |error: rusqlite::Error| JournalError::from(error);
        let row = Row::from_sql(sql).map_err(read)?;
        let (time, resource): (i64, Option<String>) =
            (sql.get("time").map_err(read)?, sql.get("resource").map_err(read)?);
        let seq = row.head.seq;
        if seq != verified.head.seq + 1 {
            return Err(Broken::Missing { from: verified.head.seq + 1, to: seq.saturating_sub(1) });
        }
        let expected = verified.head.then(&row.body);
        if expected != row.head {
            return Err(Broken::Entry { seq, why: "is not what was written, or not where it was written" });
        }
        let entry = row.entry();
        if let Some(entry) = &entry {
            let says = (nanoseconds(entry.time), entry.resource.as_ref().map(ToString::to_string));
            if says != (time, resource) {
                return Err(Broken::Entry {
                    seq,
                    why: "is listed under another time or resource than it says",
                });
            }
            explained |= explains(entry, &anchor);
            if breaks(entry) {
                let is_known = noted_at.is_some_and(|noted| noted >= seq);
                verified.broken = Some(Break { seq, says: entry.to_string(), is_known });
            }
            verified.first = verified.first.or(Some(entry.time));
            verified.last = Some(entry.time);
        }
        if let Some(head) = noted.filter(|noted| noted.seq == seq) {
            if *head != expected {
                return Err(Broken::Head(format!("entry {seq} is not the one whose head was noted")));
            }
            noted = None;
        }
        verified.head = expected;
        verified.entries += 1;
    }
    if verified.entries == 0 {
        return Err(
            JournalError::Damaged("not even the entry with which it begins is there".to_owned()).into()
        );
    }
    let last = end(connection, "last")?.unwrap_or(Head::NONE);
    if last.seq > verified.head.seq {
        return Err(Broken::Missing { from: verified.head.seq + 1, to: last.seq });
    }
    if last != verified.head {
        return Err(Broken::Entry {
            seq: verified.head.seq,
            why: "is not the one with which the chain ended",
        });
    }
    if !explained {
        return Err(Broken::Unexplained(anchor.seq));
    }
    if let Some(noted) = noted {
        return Err(Broken::Head(format!(
            "entry {} is missing, whose head was noted; the chain ends with {}",
            noted.seq, verified.head.seq
        )));
    }
    Ok(verified)
}

/// Whether an entry says that what `anchor` ends with was removed.
fn explains(entry: &Entry, anchor: &Head) -> bool {
    matches!(&entry.what, What::Removed { through, hash, .. } if *through == anchor.seq && *hash == anchor.hash())
}

/// Whether an entry says that what was there before it is not in the chain.
fn breaks(entry: &Entry) -> bool {
    match &entry.what {
        What::Begun { because } => !because.is_empty(),
        What::Missing { .. } => true,
        _ => false,
    }
}

/// What `SQLite` says of its own pages and indices.
fn check_database(connection: &Connection) -> Result<(), JournalError> {
    let said: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if said == "ok" { Ok(()) } else { Err(JournalError::Damaged(said)) }
}
