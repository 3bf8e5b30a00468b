//! How things stood at one moment, for all who ask, and that the moment is over. In: a copy of the status. Out: the same, and as
//! JSON, which is written once for all of them.

use std::sync::OnceLock;

use hyper::body::Bytes;
use tokio::sync::watch::Receiver;

use super::wake::Counts;
use crate::status::Status;

/// How things stood at a moment.
#[derive(Debug)]
pub struct Shown {
    /// The status.
    pub status: Status,
    moment: Moment,
    json: OnceLock<Option<Bytes>>,
}

/// A moment: between two that are equal nothing was different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// How often the status had changed.
    pub(super) edition: u64,
    /// How often the daemon had been woken because something else may be wanted.
    pub(super) woken: u64,
    /// Why the journal could not be written.
    pub(super) journal: Option<String>,
    /// What had become of the journal before it.
    pub(super) journal_broken: Option<String>,
}

impl Shown {
    /// A copy of the status, and of which moment.
    pub(super) fn new(status: Status, moment: Moment) -> Self {
        Self { status, moment, json: OnceLock::new() }
    }

    /// When it was so.
    pub(super) fn moment(&self) -> &Moment {
        &self.moment
    }

    /// The status as JSON; `None` if it cannot be written.
    pub fn json(&self) -> Option<Bytes> {
        self.json.get_or_init(|| serde_json::to_vec(&self.status).ok().map(Bytes::from)).clone()
    }
}

/// That things may stand otherwise. Counts instead of a queue: who is slow is told once.
#[derive(Debug)]
pub(super) struct Changes {
    /// How often the status has changed.
    pub(super) edition: Receiver<u64>,
    /// How often the daemon was woken.
    pub(super) wakes: Receiver<Counts>,
}

impl Changes {
    /// Waits until something may be different.
    pub(super) async fn changed(&mut self) {
        tokio::select! {
            Ok(()) = self.edition.changed() => {}
            Ok(()) = self.wakes.changed() => {}
            // Of what is gone, nothing changes any more.
            else => std::future::pending::<()>().await,
        }
    }
}
