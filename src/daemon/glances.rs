//! Glances into containers, for all who look at a page. In: who asks, and an engine. Out: for each container one glance at a time,
//! the same for all who ask in the same moment. A few at once, and each for a bounded time: however many look, and however slow
//! the engine is, nobody waits for long, and no pass is slower for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::glance::{Glance, PATIENCE, Trouble};
use crate::engine::Look;
use crate::resource::name::{Name, Owner};

/// Into how many containers the engine is asked to look at once.
const AT_ONCE: usize = 4;
/// How many wait for that. More are told so.
const WAITING: usize = 64;
/// For how long a glance is shown to whoever asks.
const FRESH: Duration = Duration::from_secs(2);

/// What was seen, and when.
type Answer = Option<(Instant, Arc<Glance>)>;

/// Where to ask.
#[derive(Debug)]
pub(super) struct Glances {
    asks: mpsc::Sender<Ask>,
    last: Mutex<BTreeMap<Name, Asked>>,
}

/// Who is asked.
#[derive(Debug)]
pub(super) struct Asks(mpsc::Receiver<Ask>);

/// What was asked.
#[derive(Debug)]
struct Asked {
    begun: Instant,
    seen: watch::Receiver<Answer>,
}

#[derive(Debug)]
struct Ask {
    name: Name,
    until: Instant,
    tell: watch::Sender<Answer>,
}

/// The two ends.
pub(super) fn channel() -> (Glances, Asks) {
    let (asks, asked) = mpsc::channel(WAITING);
    (Glances { asks, last: Mutex::default() }, Asks(asked))
}

impl Glances {
    /// A glance into a container, at most [`FRESH`] old; who asks again meanwhile, having given up waiting, waits for the same.
    pub(super) async fn of(&self, name: &Name) -> Arc<Glance> {
        let (begun, mut seen) = match self.ask(name) {
            Ok(asked) => asked,
            Err(trouble) => return Arc::new(Glance::dark(&trouble)),
        };
        let answer = timeout_at(begun + PATIENCE, seen.wait_for(Option::is_some)).await;
        let seen = answer.ok().and_then(Result::ok).and_then(|answer| answer.clone());
        seen.map_or_else(|| Arc::new(Glance::dark(&Trouble::NotInTime)), |(_, glance)| glance)
    }

    fn ask(&self, name: &Name) -> Result<(Instant, watch::Receiver<Answer>), Trouble> {
        // Each change leaves it whole.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, asked| asked.is_of_use());
        if let Some(asked) = last.get(name) {
            return Ok((asked.begun, asked.seen.clone()));
        }
        let (tell, seen) = watch::channel(None);
        let begun = Instant::now();
        let ask = Ask { name: name.clone(), until: begun + PATIENCE, tell };
        self.asks.try_send(ask).map_err(|_| Trouble::TooMany)?;
        last.insert(name.clone(), Asked { begun, seen: seen.clone() });
        Ok((begun, seen))
    }
}

impl Asked {
    /// Whether it is being answered, or has just been.
    fn is_of_use(&self) -> bool {
        match &*self.seen.borrow() {
            Some((at, _)) => at.elapsed() < FRESH,
            None => self.begun.elapsed() < PATIENCE,
        }
    }
}

impl Asks {
    /// Answers, as long as it is polled.
    pub(super) async fn answer(&mut self, engine: &impl Look, owner: &Owner) -> Infallible {
        let mut glances = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(ask) = self.0.recv(), if glances.len() < AT_ONCE => {
                    // Nobody waits any more for one that stood in the queue for too long.
                    if ask.until > Instant::now() {
                        glances.push(answered(engine, owner, ask));
                    }
                }
                Some(()) = glances.next() => {}
                else => std::future::pending().await,
            }
        }
    }
}

async fn answered(engine: &impl Look, owner: &Owner, ask: Ask) {
    let glance = Glance::take(engine, owner, &ask.name, ask.until).await;
    let _ = ask.tell.send(Some((Instant::now(), Arc::new(glance))));
}

#[cfg(test)]
mod tests;
