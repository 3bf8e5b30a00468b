//! What systemd is told. In: how the daemon is. Out: `sd_notify(3)` messages; none where no systemd
//! listens. Never fails: a daemon that works goes on also unheard.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::pulse::Pulse;
use crate::resource::printable::printable;

/// The supervisor, as the daemon sees it.
pub struct Systemd {
    tell: Box<dyn Fn(&str) + Send + Sync>,
    /// Within which time it wants to hear that the daemon lives.
    watchdog: Option<Duration>,
    /// When it is to hear that next; at once at first.
    next_sign: Mutex<Option<Instant>>,
}

impl fmt::Debug for Systemd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Systemd").field("watchdog", &self.watchdog).finish_non_exhaustive()
    }
}

impl Systemd {
    /// The one that started this process, if any did.
    pub fn from_environment() -> Self {
        let tell = |message: &str| {
            if let Err(error) = sd_notify::notify(&[NotifyState::Custom(message)]) {
                debug!(%error, "systemd cannot be told");
            }
        };
        Self::new(tell, sd_notify::watchdog_enabled())
    }

    /// One that is told by `tell`.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static, watchdog: Option<Duration>) -> Self {
        Self { tell: Box::new(tell), watchdog, next_sign: Mutex::default() }
    }

    /// The daemon is up, or has taken up what it was asked to reload.
    pub fn ready(&self) {
        (self.tell)("READY=1");
    }

    /// The daemon reloads.
    pub fn reloading(&self) {
        // Both in one message: since version 253 systemd wants to know when it began.
        let since = NotifyState::monotonic_usec_now().map(|usec| format!("\n{usec}"));
        (self.tell)(&format!("RELOADING=1{}", since.unwrap_or_default()));
    }

    /// The daemon finishes what it is at and ends.
    pub fn stopping(&self) {
        (self.tell)("STOPPING=1");
    }

    /// What the daemon is at, on one line.
    pub fn status(&self, line: &str) {
        (self.tell)(&format!("STATUS={}", printable(line)));
    }

    /// Runs `work`, and tells systemd every half of its watchdog's time that the daemon lives, as long
    /// as `pulse` beats. All in one task: were the loop stuck, nothing would be told either.
    pub async fn while_alive<T>(&self, pulse: &Pulse, work: impl Future<Output = T>) -> T {
        self.told_while(|now| pulse.beats(now), work).await
    }

    /// The same while there is nothing to do, however long that is.
    pub async fn while_waiting<T>(&self, wait: impl Future<Output = T>) -> T {
        self.told_while(|_| true, wait).await
    }

    async fn told_while<T>(&self, alive: impl Fn(Instant) -> bool, work: impl Future<Output = T>) -> T {
        let Some(watchdog) = self.watchdog else { return work.await };
        let mut work = std::pin::pin!(work);
        loop {
            let due = self.next_sign().unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(due) => {
                    let now = Instant::now();
                    *self.next_sign() = Some(now + (watchdog / 2).max(Duration::from_millis(1)));
                    if alive(now) {
                        (self.tell)("WATCHDOG=1");
                    }
                }
            }
        }
    }

    fn next_sign(&self) -> MutexGuard<'_, Option<Instant>> {
        // A poisoned lock still holds an instant.
        self.next_sign.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::sleep;

    use super::*;
    use crate::daemon::pulse::SILENCE_MAX;

    fn recorded(watchdog: Option<Duration>) -> (Systemd, Arc<Mutex<Vec<String>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        (Systemd::new(move |message| sink.lock().unwrap().push(message.to_owned()), watchdog), told)
    }

    #[test]
    fn a_reload_says_when_it_began_and_a_status_is_one_line() {
        let (systemd, told) = recorded(None);
        systemd.reloading();
        systemd.status("a\nWATCHDOG=trigger");
        let told = told.lock().unwrap();
        let began = told[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(began.parse::<u64>().unwrap() > 0);
        assert_eq!(told[1], r"STATUS=a\nWATCHDOG=trigger");
    }

    #[tokio::test(start_paused = true)]
    async fn long_work_that_progresses_is_not_killed_and_silent_work_is() {
        let (systemd, told) = recorded(Some(Duration::from_mins(1)));
        let pulse = Pulse::default();
        let work = async {
            for _ in 0..10 {
                sleep(SILENCE_MAX / 2).await;
                pulse.beat();
            }
        };
        let begun = Instant::now();
        systemd.while_alive(&pulse, work).await;
        let told_while_working = told.lock().unwrap().len();
        assert_eq!(told_while_working as u64, begun.elapsed().as_secs() / 30);

        pulse.beat();
        systemd.while_alive(&pulse, sleep(SILENCE_MAX * 3)).await;
        let told_while_silent = told.lock().unwrap().len() - told_while_working;
        let until_silent = SILENCE_MAX.as_secs() / 30;
        assert!(
            (until_silent - 1..=until_silent + 1).contains(&(told_while_silent as u64)),
            "{told_while_silent}"
        );

        let before = told.lock().unwrap().len();
        systemd.while_alive(&pulse, pulse.beating(sleep(SILENCE_MAX * 3))).await;
        let told_while_waiting = told.lock().unwrap().len() - before;
        assert!(told_while_waiting as u64 >= SILENCE_MAX.as_secs() * 3 / 30 - 1, "{told_while_waiting}");
    }
}
