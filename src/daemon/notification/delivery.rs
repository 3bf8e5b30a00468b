//! What was written down is brought to one target. In: messages. Out: that they arrived, were sent in vain, or found no room. What
//! a target does not take is brought again after growing waits; meanwhile a few messages wait, of which the oldest go first.
//! Nobody waits for this.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::notice::Message;
use crate::daemon::board::Board;
use crate::daemon::post::Undelivered;
use crate::daemon::tally::Sent;

/// How many messages wait for one target.
const WAITING_MAX: usize = 100;
/// The wait after the first failure; each further one waits twice as long.
const FIRST: Duration = Duration::from_secs(2);
/// The longest of these waits.
const LONGEST: Duration = Duration::from_mins(10);
/// How much longer or shorter a wait may be, as a share of it: not all servers call at once.
const JITTER: f64 = 0.2;
/// After which time a message is news no more.
const STALE: Duration = Duration::from_hours(24);
/// How long one try may take, whatever the target does; each target is quicker by itself.
const TRY_MAX: Duration = Duration::from_mins(2);

/// What takes messages.
pub(super) trait Takes {
    /// What it is, in one word.
    fn name(&self) -> &'static str;

    /// Brings it a message.
    fn take(&self, message: &Message) -> impl Future<Output = Result<(), Undelivered>> + Send;
}

/// Brings it a message, once.
pub(super) async fn bring(target: &impl Takes, message: &Message) -> Result<(), Undelivered> {
    match timeout(TRY_MAX, target.take(message)).await {
        Ok(taken) => taken,
        Err(_) => Err(Undelivered::for_now(format!("it did not take it within {} s", TRY_MAX.as_secs()))),
    }
}

/// A message, and since when it is there.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) message: Arc<Message>,
    since: Instant,
}

/// The messages for one target.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<Waiting>>,
    more: Notify,
}

impl Outbox {
    /// One more. Says whether the oldest had to go for it.
    pub(super) fn put(&self, message: Arc<Message>) -> bool {
        let mut waiting = self.lock();
        let is_full = waiting.len() >= WAITING_MAX;
        if is_full {
            waiting.pop_front();
        }
        waiting.push_back(Waiting { message, since: Instant::now() });
        self.more.notify_one();
        is_full
    }

    /// Brings them to the target, one after the other, for ever.
    pub(super) async fn empty(&self, target: &impl Takes, board: &Board) -> Infallible {
        let mut in_trouble = false;
        loop {
            let waiting = self.next().await;
            let sent = bring_again(target, &waiting, &mut in_trouble).await;
            board.notified(target.name(), sent);
        }
    }

    pub(super) async fn next(&self) -> Waiting {
        loop {
            let more = self.more.notified();
            let next = self.lock().pop_front();
            match next {
                Some(waiting) => return waiting,
                None => more.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings a message until it arrived, or it makes no sense any more. Trouble is told once, and that it is over.
async fn bring_again(target: &impl Takes, waiting: &Waiting, in_trouble: &mut bool) -> Sent {
    let Waiting { message, since } = waiting;
    let name = target.name();
    let mut wait = FIRST;
    loop {
        let error = match bring(target, message).await {
            Ok(()) => {
                if std::mem::take(in_trouble) {
                    info!(target = name, "notifications arrive again");
                }
                debug!(target = name, id = message.id, "notified");
                return Sent::Arrived;
            }
            Err(error) => error,
        };
        if !error.is_transient || since.elapsed() + wait > STALE {
            warn!(target = name, why = %error, "a notification is given up");
            *in_trouble = true;
            return Sent::Failed;
        }
        if std::mem::replace(in_trouble, true) {
            debug!(target = name, why = %error, "still not notified");
        } else {
            warn!(target = name, why = %error, "a notification does not arrive, and is sent again");
        }
        sleep(wait.mul_f64(1.0 + JITTER * fastrand::f64().mul_add(2.0, -1.0))).await;
        wait = (wait * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests;
