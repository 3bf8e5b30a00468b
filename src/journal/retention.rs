//! How long entries are kept. In: limits. Out: the oldest entries gone, and an entry that says so, from which the chain goes
//! on. Nothing else ever removes one.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::JournalError;
use super::chain::Head;
use super::entry::{Entry, What};
use super::store::{Line, Store, append, nanoseconds, set_end};
use crate::resource::quantity::ByteSize;

/// How long entries are kept, unless said otherwise: two exam years.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_hours(24 * 730);
/// How large the database becomes, unless said otherwise: about 200,000 actions.
pub const DEFAULT_MAX_SIZE: ByteSize = ByteSize::from_bytes(64 << 20);
/// The least that may be said: a pass over a large host has room in it, some thousands of actions.
pub const MIN_MAX_SIZE: ByteSize = ByteSize::from_bytes(1 << 20);
/// So many of the last entries are kept however old they are: a clock that jumps ahead makes all of them old.
const KEPT: u64 = 1000;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Older entries are removed.
    pub max_age: Duration,
    /// Where the database is larger, the oldest are.
    pub max_size: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_age: DEFAULT_MAX_AGE, max_size: DEFAULT_MAX_SIZE }
    }
}

impl Limits {
    /// Removes what is beyond the limits.
    pub(super) fn hold(&self, store: &mut Store, now: Timestamp) -> Result<(), JournalError> {
        let through = self.through(&store.connection, now)?;
        let Some(through) = through else { return Ok(()) };
        let transaction = store.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last = transaction
            .query_row("SELECT seq, hash FROM entries WHERE seq = ?1", [through], |row| {
                Ok(Head { seq: row.get(0)?, hash: row.get(1)? })
            })
            .optional()?;
        // Another process may have removed them meanwhile.
        let Some(last) = last else { return Ok(()) };
        let removed = transaction.execute("DELETE FROM entries WHERE seq <= ?1", [through])?;
        set_end(&transaction, "removed", &last)?;
        let what = What::Removed { entries: removed as u64, through: last.seq, hash: last.hash() };
        append(&transaction, &[Line::of(Entry::own(now, what))])?;
        transaction.commit()?;
        // What they took goes back to the disk.
        let mut vacuum = store.connection.prepare("PRAGMA incremental_vacuum")?;
        let mut pages = vacuum.query([])?;
        // A page at each step.
        while pages.next()?.is_some() {}
        Ok(())
    }

    /// The last entry that is to go, if any is.
    fn through(&self, connection: &Connection, now: Timestamp) -> Result<Option<u64>, JournalError> {
        let (first, last): (Option<u64>, Option<u64>) =
            connection.query_row("SELECT min(seq), max(seq) FROM entries", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
        let by_age = now
            .checked_sub(self.max_age)
            .ok()
            .map(|oldest| {
                let young = "SELECT seq FROM entries WHERE time >= ?1 ORDER BY seq LIMIT 1";
                connection.query_row(young, [nanoseconds(oldest)], |row| row.get::<_, u64>(0)).optional()
            })
            .transpose()?
            .map_or(0, |young| young.unwrap_or(last + 1) - 1)
            .min(last.saturating_sub(KEPT));
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        let used = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
        let by_size = if used > self.max_size.bytes() {
            // Some more than is needed, so that it is not done at each entry.
            let count = last - first + 1;
            let keep = self.max_size.bytes() / 10 * 9;
            let gone = u128::from(count) * u128::from(used - keep) / u128::from(used);
            first + u64::try_from(gone).unwrap_or(count).clamp(1, count) - 1
        } else {
            0
        };
        // The last one stays: the chain goes on from it.
        let through = by_age.max(by_size).min(last - 1);
        Ok((through >= first).then_some(through))
    }
}
