//! When the container's own health check asked last -> whether it may rest now, before it says that all is well. An engine begins
//! anew whenever it likes (after a pause, a commit, its own restart), and says so to nobody: only the time between two questions tells.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long one that is known to be well is left alone.
pub const REST: Duration = Duration::from_secs(8);

/// How much later than it could, a question comes that still follows on the last one: the engine's interval, and a busy machine.
const SLACK: Duration = Duration::from_secs(7);

/// The last question of the health check, if there was one.
#[derive(Debug, Default)]
pub struct Rhythm(Mutex<Option<Asked>>);

#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Instant,
    rests: bool,
}

impl Rhythm {
    /// Takes down that the check asks now. It may rest if it follows on the last one: not the first one, and not one after a check
    /// that was broken off, or long ago. The engine waits for those.
    pub fn may_rest(&self) -> bool {
        let at = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = last.is_some_and(|last| {
            let soonest = if last.rests { REST } else { Duration::ZERO };
            (soonest..=soonest + SLACK).contains(&at.duration_since(last.at))
        });
        *last = Some(Asked { at, rests });
        rests
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Asks at these times, in milliseconds since the last question.
    async fn rests<const N: usize>(times: [u64; N]) -> [bool; N] {
        let rhythm = Rhythm::default();
        let mut rests = [false; N];
        for (millis, rests) in times.into_iter().zip(&mut rests) {
            advance(Duration::from_millis(millis)).await;
            *rests = rhythm.may_rest();
        }
        rests
    }

    #[tokio::test(start_paused = true)]
    async fn all_but_the_first_question_rest_in_a_steady_rhythm() {
        assert_eq!(rests([0, 500, 8_500, 8_520, 14_900]).await, [false, true, true, true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_check_that_was_broken_off_the_next_one_is_the_first() {
        assert_eq!(rests([0, 500, 8_500, 4_000, 500, 8_500]).await, [false, true, true, false, true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_long_silence_the_next_one_is_the_first() {
        assert_eq!(rests([0, 500, 60_000, 500]).await, [false, true, false, true]);
        assert_eq!(rests([0, 60_000, 500]).await, [false, false, true]);
    }
}
