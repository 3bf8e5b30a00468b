//! Whether the daemon gets on. In: a beat for every sign of progress. Out: whether there was one lately.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::engine::PATIENCE_MAX;

/// How long a pass may show no progress: longer than any one call of the engine may be silent. After that
/// something hangs for good, and a restart is what helps.
pub const SILENCE_MAX: Duration = PATIENCE_MAX.saturating_add(Duration::from_mins(5));

/// How often it is shown that waiting for something that may take any time is no hanging.
const BEAT: Duration = Duration::from_secs(30);

/// When the daemon last got on.
#[derive(Debug)]
pub struct Pulse(Mutex<Instant>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Pulse {
    /// Something got on.
    pub fn beat(&self) {
        // A poisoned lock still holds an instant.
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
    }

    /// Does `work`, which may take any time and needs no restart: it beats all the while.
    pub async fn beating<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            self.beat();
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(BEAT) => {}
            }
        }
    }

    /// Whether something got on lately.
    pub fn beats(&self, now: Instant) -> bool {
        let last = *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        now < last + SILENCE_MAX
    }
}
