//! Listens to an engine. In: its events. Out: wakes, and touches for whoever tells of them. Never decides by what an event says.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::outside::Outside;
use super::wake::Bell;
use crate::engine::{EngineError, Events, Heard};

/// The wait before listening again after the connection ended; each further one waits twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait: an engine that is back is heard within this time.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a connection has to stand to be one: an engine that is gone, or forbids listening, says so at once.
const STANDS: Duration = Duration::from_millis(100);

/// Wakes the daemon whenever something happens on `engine`, and whenever something may have happened
/// unheard, and tells `outside` what was touched, for ever.
pub(super) async fn follow<E: Events>(engine: &E, bell: &Bell, outside: &Outside<'_>) -> Infallible {
    let mut wait = FIRST;
    loop {
        let begun = Instant::now();
        let (heard, end) = listen(engine, bell, outside).await;
        outside.lost();
        if begun.elapsed() >= STANDS {
            // A pass finds out, and says, whether the engine is gone.
            bell.engine_changed();
        }
        debug!(error = end.as_ref().map(tracing::field::display), "the engine is not heard");
        if heard || begun.elapsed() >= LONGEST {
            wait = FIRST;
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    }
}

/// Listens until the connection ends. Returns whether anything was heard, and why it ended.
async fn listen<E: Events>(engine: &E, bell: &Bell, outside: &Outside<'_>) -> (bool, Option<EngineError>) {
    let mut events = pin!(engine.events());
    match events.next().await {
        Some(Ok(_)) => outside.listening(),
        end => return (false, end.and_then(Result::err)),
    }
    let mut heard = false;
    let mut next = if let Ok(next) = timeout(STANDS, events.next()).await {
        next
    } else {
        // What happened while nobody listened was not heard.
        bell.engine_changed();
        events.next().await
    };
    loop {
        match next {
            Some(Ok(Heard { moved, touch, turned })) => {
                if moved {
                    bell.engine_changed();
                }
                if let Some(container) = turned {
                    outside.turned(container);
                }
                if let Some(touch) = touch {
                    outside.saw(touch);
                }
            }
            end => return (heard, end.and_then(Result::err)),
        }
        heard = true;
        next = events.next().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures_util::{Stream, StreamExt, stream};
    use tokio::time::{sleep, timeout};

    use super::follow;
    use crate::daemon::board::Board;
    use crate::daemon::outside::Outside;
    use crate::daemon::wake::channel;
    use crate::engine::{EngineError, Events, Heard};

    const MOVED: Heard = Heard { moved: true, touch: None, turned: None };

    /// Says `events` things on each connection, of which the first is that it listens, then loses it after
    /// some time.
    struct Flaky {
        connections: AtomicU32,
        says: Heard,
        events: usize,
        lasts: Duration,
    }

    impl Events for Flaky {
        fn events(&self) -> impl Stream<Item = Result<Heard, EngineError>> + Send {
            self.connections.fetch_add(1, Ordering::Relaxed);
            let lost = EngineError::Unreachable { endpoint: "here".to_owned(), cause: "gone".to_owned() };
            let lost = stream::once(async {
                sleep(self.lasts).await;
                Err(lost)
            });
            stream::iter(std::iter::repeat_with(|| Ok(self.says.clone())).take(self.events)).chain(lost)
        }

        async fn takes_calls(&self) -> bool {
            true
        }
    }

    /// How often it is connected to, and how often that wakes the daemon.
    async fn in_a_minute(says: Heard, events: usize, lasts: Duration) -> (u32, u64) {
        let engine = Flaky { connections: AtomicU32::new(0), says, events, lasts };
        let (bell, wakes) = channel();
        let owner = "exam".parse().unwrap();
        let board = Board::new(&owner, &wakes, None);
        let outside = Outside::of(owner, &board);
        assert!(timeout(Duration::from_millis(59_500), follow(&engine, &bell, &outside)).await.is_err());
        let wakes = wakes.counts.borrow().engine;
        (engine.connections.into_inner(), wakes)
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_is_gone_is_asked_again_after_growing_waits() {
        // At 0, 1, 3, 7, 15, 25, 35, 45 and 55 seconds.
        assert_eq!(in_a_minute(MOVED, 0, Duration::ZERO).await, (9, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_forbids_listening_wakes_nobody() {
        assert_eq!(in_a_minute(MOVED, 1, Duration::ZERO).await, (9, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_said_something_is_made_again_soon() {
        assert_eq!(in_a_minute(MOVED, 2, Duration::ZERO).await, (60, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_observation_shows_wakes_nobody() {
        let unseen = Heard { moved: false, touch: None, turned: None };
        assert_eq!(in_a_minute(unseen, 1000, Duration::ZERO).await, (60, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_stood_wakes_for_what_was_not_heard_before_and_when_it_is_lost() {
        // From 0, 11, 22, 33, 44 and 55 seconds on, for ten each.
        assert_eq!(in_a_minute(MOVED, 1, Duration::from_secs(10)).await, (6, 6 + 5));
    }
}
