//! Reading. In: what is asked for. Out: that many entries at most, the newest last. Changes nothing.

use jiff::Timestamp;
use rusqlite::{Row as SqlRow, params_from_iter, types::Value};

use super::chain::Head;
use super::entry::Entry;
use super::store::{nanoseconds, open_to_read};
use super::{Journal, JournalError};
use crate::resource::name::ResourceId;

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Of these resources alone; of all where there are none.
    pub resources: Vec<ResourceId>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Until this time.
    pub until: Option<Timestamp>,
    /// The last so many of them; all of them, unless said.
    pub last: Option<usize>,
}

/// An entry as it is kept.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its number and hash.
    pub head: Head,
    /// Its canonical JSON, as it was written.
    pub body: String,
}

impl Row {
    /// What it says; `None` if another version of Invigil wrote it, or nobody's.
    pub fn entry(&self) -> Option<Entry> {
        serde_json::from_str(&self.body).ok()
    }

    pub(super) fn from_sql(row: &SqlRow<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self { head: Head { seq: row.get("seq")?, hash: row.get("hash")? }, body: row.get("body")? })
    }
}

impl Journal {
    /// The last `count` entries, of a resource or of all, the newest last. None where there is no journal. Never writes;
    /// waits for the disk, so not for an async task.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn recent(&self, count: usize, resource: Option<&ResourceId>) -> Result<Vec<Row>, JournalError> {
        let mut rows = Vec::new();
        let query = Query {
            resources: resource.into_iter().cloned().collect(),
            last: Some(count),
            ..Query::default()
        };
        self.read(&query, |row| {
            rows.push(row);
            true
        })?;
        Ok(rows)
    }

    /// Gives the entries that are asked for to `each`, the newest last, until it has enough.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, query: &Query, mut each: impl FnMut(Row) -> bool) -> Result<(), JournalError> {
        let Some(connection) = open_to_read(self)? else { return Ok(()) };
        let (mut terms, mut values) = (vec!["1"], Vec::new());
        let any = format!("resource IN ({})", vec!["?"; query.resources.len()].join(", "));
        if !query.resources.is_empty() {
            terms.push(&any);
            values.extend(query.resources.iter().map(|resource| Value::from(resource.to_string())));
        }
        if let Some(since) = query.since {
            terms.push("time >= ?");
            values.push(nanoseconds(since).into());
        }
        if let Some(until) = query.until {
            terms.push("time <= ?");
            values.push(nanoseconds(until).into());
        }
        values.push(query.last.map_or(-1, |last| i64::try_from(last).unwrap_or(i64::MAX)).into());
        let terms = terms.join(" AND ");
        // Only numbers are sorted again, however many there are.
        let text = format!(
            "SELECT seq, body, hash FROM entries WHERE seq IN \
             (SELECT seq FROM entries WHERE {terms} ORDER BY seq DESC LIMIT ?) ORDER BY seq"
        );
        let mut statement = connection.prepare(&text)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if !each(Row::from_sql(row)?) {
                break;
            }
        }
        Ok(())
    }
}
