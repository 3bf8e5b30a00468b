//! Whether the daemon gets on. In: a beat for every sign of progress. Out: whether there was one lately.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// How long a pass may show no progress: longer than any one step is silent, a slow `docker stop` or
/// an archive of many gigabytes. After that a connection hangs for good, and a restart is what helps.
pub const SILENCE_MAX: Duration = Duration::from_mins(15);

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

    /// Whether something got on lately.
    pub fn beats(&self, now: Instant) -> bool {
        let last = *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        now < last + SILENCE_MAX
    }
}
