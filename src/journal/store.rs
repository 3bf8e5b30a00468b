//! The database. In: bodies of entries. Out: the chain made longer by them, all or none of them. Each use opens it anew:
//! another process may have put a damaged one aside meanwhile. Waits for the disk.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::chain::Head;
use super::entry::{Entry, What};
use super::place::{Place, resolved};
use super::{Journal, JournalError};
use crate::resource::printable::printable;

/// What tells a journal from other databases: `invj`.
const APPLICATION_ID: i64 = 0x696e_766a;
/// The version of the form.
const FORM: i64 = 1;
/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
/// Neither is a cache of megabytes needed, nor is what the file says of itself to be trusted.
const PRAGMAS: &str = "PRAGMA cache_size = -256; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL;";
const TABLES: &str = "
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, resource TEXT, body TEXT NOT NULL, hash BLOB NOT NULL
    ) STRICT;
    CREATE INDEX entries_of_resource ON entries (resource, seq) WHERE resource IS NOT NULL;
    CREATE TABLE ends (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT, WITHOUT ROWID;
";

/// An entry on its way into the database.
#[derive(Debug, Clone)]
pub(super) struct Line {
    time: i64,
    resource: Option<String>,
    body: String,
}

impl Line {
    pub(super) fn of(entry: Entry) -> Self {
        let (time, resource) = (nanoseconds(entry.time), entry.resource.as_ref().map(ToString::to_string));
        Self { time, resource, body: entry.body() }
    }

    /// How much room it takes, about.
    pub(super) fn size(&self) -> usize {
        self.body.len() + 64
    }
}

/// Since 1970.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// The database, to be written. Nobody else writes it meanwhile.
pub(super) struct Store {
    pub(super) connection: Connection,
    place: Place,
    /// Why it was begun anew just now, if it was.
    pub(super) anew: Option<String>,
}

impl Store {
    /// Opens the database, which is begun if there is none. A damaged one is put aside, and a new one begun that says so.
    ///
    /// # Errors
    /// If it cannot be used now.
    pub(super) fn open(journal: &Journal) -> Result<Self, JournalError> {
        let place = Place::taken(&journal.file)?;
        match connect(place.file(), "") {
            Err(JournalError::Damaged(why)) => Self::begin_anew(place, &why),
            connection => Ok(Self { connection: connection?, place, anew: None }),
        }
    }

    /// The same, and the whole of it has to pass `check`.
    pub(super) fn open_checked(
        journal: &Journal,
        check: impl Fn(&Connection) -> Result<(), JournalError>,
    ) -> Result<Self, JournalError> {
        // Nobody is kept waiting while it is read.
        let checked = open_to_read(journal).and_then(|found| found.as_ref().map_or(Ok(()), &check));
        match checked {
            Err(JournalError::Damaged(_)) => Self::open(journal)?.checked(check),
            checked => checked.and_then(|()| Self::open(journal)),
        }
    }

    /// Itself if it passes `check`; damaged, it is put aside, and a new one begun that says so.
    pub(super) fn checked(
        self,
        check: impl Fn(&Connection) -> Result<(), JournalError>,
    ) -> Result<Self, JournalError> {
        let Err(error) = check(&self.connection) else { return Ok(self) };
        let JournalError::Damaged(why) = error else { return Err(error) };
        let Self { connection, place, .. } = self;
        drop(connection);
        Self::begin_anew(place, &why)
    }

    fn begin_anew(place: Place, why: &str) -> Result<Self, JournalError> {
        // What the database says of damage has several lines.
        let (why, kept) = (printable(why.trim()), place.put_aside(Timestamp::now())?);
        let because = format!("{why}; the one before is kept as {kept}");
        Ok(Self { connection: connect(place.file(), &because)?, place, anew: Some(because) })
    }

    /// Whether the chain that ended with `known` is not in it any more. What retention has removed is not missed.
    pub(super) fn misses(&self, known: &Head) -> Result<bool, JournalError> {
        let removed = end(&self.connection, "removed")?.unwrap_or(Head::NONE);
        if known.seq <= removed.seq {
            return Ok(known.seq == removed.seq && *known != removed);
        }
        let there = "SELECT seq, hash FROM entries WHERE seq = ?1";
        let there = self
            .connection
            .query_row(there, [known.seq], |row| Ok(Head { seq: row.get(0)?, hash: row.get(1)? }));
        Ok(there.optional()? != Some(*known))
    }

    /// Makes the chain longer by these, all of them or none.
    ///
    /// # Errors
    /// If they cannot be written; or the end is not what it was.
    pub(super) fn append(&mut self, lines: &[Line]) -> Result<Head, JournalError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let head = append(&transaction, lines)?;
        transaction.commit()?;
        Ok(head)
    }
}

/// Opens the database as it is; an empty one is begun.
fn connect(file: &Path, because: &str) -> Result<Connection, JournalError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    // Before the first table, or never.
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")?;
    connection.execute_batch(PRAGMAS)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(JournalError::Unusable(format!("its journal mode is {mode}")));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))? == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORM)?;
        set_end(&transaction, "last", &Head::NONE)?;
        let begun = Entry::own(Timestamp::now(), What::Begun { because: because.to_owned() });
        append(&transaction, &[Line::of(begun)])?;
    }
    transaction.commit()?;
    check_form(&connection)?;
    Ok(connection)
}

/// Opens the database to be read alone; `None` if there is none.
pub(super) fn open_to_read(journal: &Journal) -> Result<Option<Connection>, JournalError> {
    let found = resolved(&journal.file).and_then(|file| Ok((fs::metadata(&file)?.len(), file)));
    let file = match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok((0, _)) => return Ok(None),
        found => found?.1,
    };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(&file, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(PRAGMAS)?;
    check_form(&connection)?;
    Ok(Some(connection))
}

/// An end of the chain: `last`, or `removed`.
pub(super) fn end(connection: &Connection, name: &str) -> Result<Option<Head>, JournalError> {
    let row = connection.query_row("SELECT seq, hash FROM ends WHERE name = ?1", [name], |row| {
        Ok(Head { seq: row.get(0)?, hash: row.get(1)? })
    });
    Ok(row.optional()?)
}

pub(super) fn set_end(connection: &Connection, name: &str, head: &Head) -> Result<(), JournalError> {
    connection.execute(
        "INSERT OR REPLACE INTO ends (name, seq, hash) VALUES (?1, ?2, ?3)",
        params![name, head.seq, head.hash],
    )?;
    Ok(())
}

pub(super) fn append(transaction: &Transaction<'_>, lines: &[Line]) -> Result<Head, JournalError> {
    let mut head = checked_end(transaction)?;
    let mut insert = transaction
        .prepare("INSERT INTO entries (seq, time, resource, body, hash) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for line in lines {
        head = head.then(&line.body);
        insert.execute(params![head.seq, line.time, line.resource, line.body, head.hash])?;
    }
    set_end(transaction, "last", &head)?;
    Ok(head)
}

/// Where the chain ends, if the last entry does too. Nothing is added to a chain that has lost its end.
fn checked_end(connection: &Connection) -> Result<Head, JournalError> {
    let head = end(connection, "last")?
        .ok_or_else(|| JournalError::Damaged("where its chain ends is not there".to_owned()))?;
    let last = connection
        .query_row("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok(Head { seq: row.get(0)?, hash: row.get(1)? })
        })
        .optional()?;
    if last.unwrap_or(Head::NONE) == head {
        return Ok(head);
    }
    Err(JournalError::Damaged("its last entry is not the one with which its chain ends".to_owned()))
}

fn check_form(connection: &Connection) -> Result<(), JournalError> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION_ID {
        return Err(JournalError::Damaged("it is another database".to_owned()));
    }
    match pragma("user_version")? {
        FORM => Ok(()),
        other => Err(JournalError::Foreign(other)),
    }
}
