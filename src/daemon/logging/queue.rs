//! Lines on their way out. In: what is said. Out: the same, in order, from a thread of its own, however slowly it is taken; of
//! what finds no room, how much. Whoever says something never waits: a log that nobody reads must not hold up a pass.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How much is kept that is not taken yet: more than a pass over a thousand containers says at its most talkative.
const ROOM: usize = 1 << 14;
/// How long whoever ends waits for the rest to be taken.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Where things are said.
#[derive(Debug)]
pub(super) struct Queue<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// How much found no room, and was not told yet.
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// Whether one is being taken.
    is_taking: bool,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Queue<T> {
    /// One whose things are given to `take`, one after the other; what finds no room is counted in `lost`.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub(super) fn new(lost: Arc<AtomicU64>, mut take: impl FnMut(T) + Send + 'static) -> io::Result<Self> {
        let state = State { waiting: VecDeque::new(), is_taking: false };
        let queue = Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), lost }));
        let taken = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                take(taken.next());
            }
        })?;
        Ok(queue)
    }

    /// Says something.
    pub(super) fn put(&self, one: T) {
        let mut state = self.state();
        if state.waiting.len() < ROOM {
            state.waiting.push_back(one);
            self.0.changed.notify_all();
        } else {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything is taken, for a moment.
    pub(super) fn flush(&self) {
        let is_busy = |state: &mut State<T>| state.is_taking || !state.waiting.is_empty();
        let waited = self.0.changed.wait_timeout_while(self.state(), FLUSH_MAX, is_busy);
        drop(waited);
    }

    /// The next one. What was taken before is done with.
    fn next(&self) -> T {
        let mut state = self.state();
        state.is_taking = false;
        loop {
            if let Some(one) = state.waiting.pop_front() {
                state.is_taking = true;
                return one;
            }
            self.0.changed.notify_all();
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Queue<Vec<u8>> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn nobody_waits_for_who_does_not_take_and_what_finds_no_room_is_counted() {
        let (taken, heard) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let lost = Arc::new(AtomicU64::new(0));
        let queue = Queue::new(Arc::clone(&lost), move |number: usize| {
            let _ = taken.send(number);
            let _ = gone.recv();
        })
        .expect("a thread");
        queue.put(0);
        assert_eq!(heard.recv(), Ok(0), "it is being taken");
        (1..=ROOM + 3).for_each(|number| queue.put(number));
        assert_eq!(lost.load(Ordering::Relaxed), 3);
        queue.flush();
        assert!(heard.try_recv().is_err(), "whoever ends waits for a moment only");
        drop(go);
        queue.flush();
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), (1..=ROOM).collect::<Vec<_>>());
    }
}
