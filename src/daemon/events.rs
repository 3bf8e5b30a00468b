//! Listens to an engine. In: its events. Out: wakes. Never reads what an event says.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::sleep;
use tracing::debug;

use super::wake::Bell;
use crate::engine::Events;

/// The wait before listening again after the connection ended; each further one waits twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait: an engine that is back is heard within this time.
const LONGEST: Duration = Duration::from_secs(10);
/// Wakes the daemon whenever something happens on `engine`, and whenever something may have happened
/// unheard, for ever.
pub async fn follow<E: Events>(engine: &E, bell: &Bell) -> Infallible {
    let mut wait = FIRST;
    loop {
        let mut events = pin!(engine.events());
        let mut heard = events.next().await;
        while let Some(Ok(())) = heard {
            wait = FIRST;
            bell.engine_changed();
            heard = events.next().await;
        }
        let end = heard.and_then(Result::err);
        // The passes say that the engine is gone; this is only about hearing from it.
        debug!(error = end.as_ref().map(tracing::field::display), "the engine is not heard");
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures_util::{Stream, stream};
    use tokio::time::timeout;

    use super::follow;
    use crate::daemon::wake::channel;
    use crate::engine::{EngineError, Events};

    /// Says `events` things on each connection, then loses it.
    struct Flaky {
        connections: AtomicU32,
        events: usize,
    }

    impl Events for Flaky {
        fn events(&self) -> impl Stream<Item = Result<(), EngineError>> + Send {
            self.connections.fetch_add(1, Ordering::Relaxed);
            let lost = EngineError::Unreachable { endpoint: "here".to_owned(), cause: "gone".to_owned() };
            stream::iter(std::iter::repeat_with(|| Ok(())).take(self.events).chain([Err(lost)]))
        }
    }

    async fn connections_in_a_minute(events: usize) -> u32 {
        let engine = Flaky { connections: AtomicU32::new(0), events };
        let (bell, wakes) = channel();
        assert!(timeout(Duration::from_millis(59_500), follow(&engine, &bell)).await.is_err());
        let heard = events as u64 * u64::from(engine.connections.load(Ordering::Relaxed));
        assert_eq!(wakes.counts.borrow().engine, heard);
        engine.connections.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_is_gone_is_asked_again_after_growing_waits() {
        // At 0, 1, 3, 7, 15, 25, 35, 45 and 55 seconds.
        assert_eq!(connections_in_a_minute(0).await, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_said_something_is_made_again_soon() {
        assert_eq!(connections_in_a_minute(2).await, 60);
    }
}
