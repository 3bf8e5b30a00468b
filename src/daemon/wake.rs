//! What wakes the daemon. In: that something happened, from any thread. Out: how often what happened.
//! Says nothing about what happened: every pass looks at everything anew.

use tokio::sync::watch;

/// How often each thing happened so far. Counted instead of queued: a thousand events take the room
/// of one, and none is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) files: u64,
    pub(super) engine: u64,
    pub(super) suspension: u64,
    pub(super) reload: u64,
}

/// Wakes the daemon. Clones wake the same one.
#[derive(Debug, Clone)]
pub struct Bell(watch::Sender<Counts>);

/// What the daemon is woken by.
#[derive(Debug)]
pub struct Wakes {
    pub(super) counts: watch::Receiver<Counts>,
    /// What was answered by a pass already.
    pub(super) answered: Counts,
}

/// A bell, and whom it wakes.
pub fn channel() -> (Bell, Wakes) {
    let (sender, counts) = watch::channel(Counts::default());
    (Bell(sender), Wakes { counts, answered: Counts::default() })
}

impl Bell {
    /// Manifest files, or something about them, changed.
    pub fn files_changed(&self) {
        self.0.send_modify(|counts| counts.files += 1);
    }

    /// Something changed on the engine, or the engine is back.
    pub fn engine_changed(&self) {
        self.0.send_modify(|counts| counts.engine += 1);
    }

    /// The host may have been suspended, or resumed.
    pub fn suspension_changed(&self) {
        self.0.send_modify(|counts| counts.suspension += 1);
    }

    /// Somebody asked for a fresh look at everything (SIGHUP).
    pub fn reload(&self) {
        self.0.send_modify(|counts| counts.reload += 1);
    }
}
