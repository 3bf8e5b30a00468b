//! When the next pass is due. In: what happened and when. Out: one moment for all of it. Reads no file
//! and asks no engine.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::wake::{Counts, Wakes};

/// How long files have to be quiet: a checkout of some hundred files pauses for less.
pub const FILES_QUIET: Duration = Duration::from_millis(150);
/// How long files are waited for at most, so that one that never rests holds nothing up.
pub const FILES_QUIET_MAX: Duration = Duration::from_secs(2);
/// How long the engine has to be quiet. Its events come in handfuls: one `docker rm -f` is four.
pub const ENGINE_QUIET: Duration = Duration::from_millis(20);
/// How long the engine is waited for at most.
pub const ENGINE_QUIET_MAX: Duration = Duration::from_millis(200);

/// Why a pass is made. A pass that nothing else asked for is the timer's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each of them may hold beside the others")]
pub struct Causes {
    /// Files changed.
    pub files: bool,
    /// Something changed on the engine.
    pub engine: bool,
    /// The host may have been suspended, or resumed.
    pub suspension: bool,
    /// Somebody asked for it.
    pub reload: bool,
}

/// A series of events without a pause.
#[derive(Debug, Clone, Copy)]
struct Burst {
    first: Instant,
    last: Instant,
}

impl Burst {
    fn extend(burst: &mut Option<Self>, now: Instant) {
        burst.get_or_insert(Self { first: now, last: now }).last = now;
    }

    fn over(self, quiet: Duration, at_most: Duration) -> Instant {
        (self.last + quiet).min(self.first + at_most)
    }
}

/// What happened since the last pass.
#[derive(Debug, Default)]
struct Pending {
    files: Option<Burst>,
    engine: Option<Burst>,
    suspension: bool,
    reload: bool,
}

impl Pending {
    fn note(&mut self, before: Counts, counts: Counts, now: Instant) {
        if counts.files != before.files {
            Burst::extend(&mut self.files, now);
        }
        if counts.engine != before.engine {
            Burst::extend(&mut self.engine, now);
        }
        self.suspension |= counts.suspension != before.suspension;
        self.reload |= counts.reload != before.reload;
    }

    /// When a pass is due. Files that change go before everything else: whatever wakes the daemon in
    /// the middle of a checkout would make it read half of it.
    fn due(&self, timer: Instant, rested: Instant, now: Instant) -> Instant {
        if let Some(files) = self.files {
            return files.over(FILES_QUIET, FILES_QUIET_MAX);
        }
        if self.reload || self.suspension {
            return now;
        }
        let engine = self.engine.map(|engine| engine.over(ENGINE_QUIET, ENGINE_QUIET_MAX).max(rested));
        engine.map_or(timer, |engine| engine.min(timer))
    }

    fn causes(&self) -> Causes {
        let Self { suspension, reload, .. } = *self;
        Causes { files: self.files.is_some(), engine: self.engine.is_some(), suspension, reload }
    }
}

impl Wakes {
    /// Waits until a pass is due: `timer` at the latest (unless files are changing right then), and
    /// for the engine's events alone not before `rested`.
    ///
    /// Cancelling it loses no event, only for how long things have been quiet.
    pub async fn next(&mut self, timer: Instant, rested: Instant) -> Causes {
        let mut pending = Pending::default();
        let mut before = self.answered;
        let mut listening = true;
        loop {
            let (counts, now) = (*self.counts.borrow_and_update(), Instant::now());
            pending.note(before, counts, now);
            before = counts;
            let due = pending.due(timer, rested, now);
            tokio::select! {
                // What happened by now is looked at before time is.
                biased;
                changed = self.counts.changed(), if listening => listening = changed.is_ok(),
                () = sleep_until(due) => {
                    self.answered = before;
                    return pending.causes();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::Causes;
    use crate::daemon::wake::{Bell, Wakes, channel};

    const MINUTE: Duration = Duration::from_mins(1);
    const NONE: Causes = Causes { files: false, engine: false, suspension: false, reload: false };
    const FILES: Causes = Causes { files: true, ..NONE };
    const ENGINE: Causes = Causes { engine: true, ..NONE };

    /// Why the next pass is made and after how many milliseconds, with an hour's timer and a rested engine.
    async fn next(wakes: &mut Wakes) -> (Causes, u128) {
        let now = Instant::now();
        let causes = wakes.next(now + 60 * MINUTE, now).await;
        (causes, now.elapsed().as_millis())
    }

    async fn every(bell: Bell, pause: Duration, times: u32, wake: fn(&Bell)) {
        for _ in 0..times {
            wake(&bell);
            sleep(pause).await;
        }
        // Dropping the last bell must not look like an event.
        sleep(60 * MINUTE).await;
    }

    #[tokio::test(start_paused = true)]
    async fn three_hundred_files_at_once_are_one_pass_after_the_quiet_period() {
        let (bell, mut wakes) = channel();
        tokio::spawn(every(bell, Duration::from_millis(1), 300, Bell::files_changed));
        let (causes, after) = next(&mut wakes).await;
        assert_eq!(causes, FILES);
        assert!((449..=450).contains(&after), "{after}");
        let (causes, after) = next(&mut wakes).await;
        assert_eq!((causes, after / 1000), (NONE, 3600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_never_rests_is_waited_for_two_seconds() {
        let (bell, mut wakes) = channel();
        tokio::spawn(every(bell, Duration::from_millis(100), 1000, Bell::files_changed));
        assert_eq!(next(&mut wakes).await, (FILES, 2000));
        let (causes, after) = next(&mut wakes).await;
        assert_eq!(causes, FILES);
        assert!(after >= 2000, "{after}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_engine_is_heard_sooner_than_files() {
        let (bell, mut wakes) = channel();
        bell.engine_changed();
        assert_eq!(next(&mut wakes).await, (ENGINE, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn the_engines_events_wait_for_the_rest_after_a_pass_and_files_do_not() {
        let (bell, mut wakes) = channel();
        let begin = Instant::now();
        let rested = begin + Duration::from_secs(1);
        bell.engine_changed();
        assert_eq!(wakes.next(begin + MINUTE, rested).await, ENGINE);
        assert_eq!(begin.elapsed().as_millis(), 1000);

        let begin = Instant::now();
        bell.files_changed();
        assert_eq!(wakes.next(begin + MINUTE, begin + Duration::from_secs(1)).await, FILES);
        assert_eq!(begin.elapsed().as_millis(), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_interrupts_a_checkout() {
        let (bell, mut wakes) = channel();
        bell.files_changed();
        bell.engine_changed();
        bell.reload();
        let now = Instant::now();
        let all = Causes { files: true, engine: true, reload: true, ..NONE };
        assert_eq!(wakes.next(now + Duration::from_millis(1), now).await, all);
        assert_eq!(now.elapsed().as_millis(), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_and_a_suspension_are_answered_at_once_and_the_timer_in_time() {
        let (bell, mut wakes) = channel();
        bell.reload();
        assert_eq!(next(&mut wakes).await, (Causes { reload: true, ..NONE }, 0));
        bell.suspension_changed();
        assert_eq!(next(&mut wakes).await, (Causes { suspension: true, ..NONE }, 0));
        let now = Instant::now();
        assert_eq!(wakes.next(now + MINUTE, now).await, NONE);
        assert_eq!(now.elapsed(), MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_while_nobody_waits_is_not_lost() {
        let (bell, mut wakes) = channel();
        let now = Instant::now();
        tokio::select! {
            _ = wakes.next(now + MINUTE, now) => panic!("nothing was due"),
            () = async { bell.files_changed(); sleep(Duration::from_millis(10)).await } => {}
        }
        assert_eq!(next(&mut wakes).await, (FILES, 150));
    }
}
