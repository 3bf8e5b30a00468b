//! Sifts what others do from what is done anyway. In: touches, as the engine tells them, at any rate. Out: those that are
//! nobody's of ours, a moment later, when it is known what they belong to. Keeps a bounded number, and holds up nobody.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::traces::Traces;
use crate::engine::{Manner, Touch};
use crate::resource::name::{Kind, Owner};

/// How long a touch is kept: what it belongs to is told within this time, and what the daemon's own looks say of it.
const SETTLES: Duration = Duration::from_secs(2);
/// The same for a signal that may be the beginning of a stop: an engine waits for ten seconds, unless told, before it kills.
const SETTLES_SIGNAL: Duration = Duration::from_secs(13);
/// How many are kept. What finds no room is counted.
const KEPT_MAX: usize = 1024;
/// For how long the engine tells once more what it told before a connection was lost.
const REPEATS: Duration = Duration::from_secs(3);

/// What was touched, until it has settled.
#[derive(Debug)]
pub(super) struct Sift {
    owner: Owner,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug)]
struct State {
    kept: VecDeque<(Instant, Touch)>,
    /// How many found no room.
    more: u64,
    /// The last that was told.
    last: Timestamp,
    /// What was told when this connection began, and when that was.
    told: (Timestamp, Instant),
}

/// What has settled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// What others have done.
    pub(super) touches: Vec<Touch>,
    /// How much more happened than could be kept.
    pub(super) more: u64,
}

impl Sift {
    /// For the resources of `owner`. What happened before `now` is of no interest.
    pub(super) fn new(owner: Owner, now: Timestamp) -> Self {
        let state = State { kept: VecDeque::new(), more: 0, last: now, told: (now, Instant::now()) };
        Self { owner, state: Mutex::new(state), news: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine listens, and tells the last moments once more.
    pub(super) fn listening(&self) {
        let mut state = self.state();
        state.told = (state.last, Instant::now());
    }

    /// The connection is lost: whose programs were ended by then were likely ended by the engine, which ends too.
    pub(super) fn lost(&self) {
        self.state().kept.retain(|(_, touch)| !is_an_end(touch));
    }

    /// Something was touched. `is_ours` tells whether an Invigil has done it.
    pub(super) fn saw(&self, touch: Touch, is_ours: impl FnOnce(&Touch) -> bool) {
        let mut state = self.state();
        let (until, since) = state.told;
        if touch.labelled.0 != self.owner || (since.elapsed() < REPEATS && touch.time <= until) {
            return;
        }
        state.last = state.last.max(touch.time);
        // Others need not wait for what has to be looked up.
        drop(state);
        if is_ours(&touch) {
            return;
        }
        let mut state = self.state();
        if state.kept.len() >= KEPT_MAX {
            state.more += 1;
            return;
        }
        state.kept.push_back((Instant::now(), touch));
        drop(state);
        self.news.notify_one();
    }

    /// When the first of what is kept was touched.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.state().kept.iter().map(|(_, touch)| touch.time).min()
    }

    /// Waits until something has settled.
    pub(super) async fn settled(&self) {
        loop {
            let next = self.state().kept.iter().map(|(at, touch)| *at + settles(touch)).min();
            match next {
                // What comes later may settle sooner.
                Some(at) => tokio::select! {
                    () = sleep_until(at) => return,
                    () = self.news.notified() => {}
                },
                None => self.news.notified().await,
            }
        }
    }

    /// Takes what has settled; `all` of it if nothing more is waited for. `takes_calls` says whether the engine is there
    /// to stay: one that ends stops its containers itself.
    pub(super) fn take(&self, traces: &Traces, all: bool, takes_calls: bool) -> Settled {
        let mut state = self.state();
        let mut touches = Vec::new();
        let mut waiting = VecDeque::new();
        for (at, touch) in &state.kept {
            if state.kept.iter().any(|(_, whole)| is_part_of(touch, whole)) {
                // It is told with it.
            } else if !all && at.elapsed() < settles(touch) {
                waiting.push_back((*at, touch.clone()));
            } else if !traces.is_stranger(touch) && (takes_calls || !is_an_end(touch)) {
                touches.push(touch.clone());
            }
        }
        state.kept = waiting;
        Settled { touches, more: std::mem::take(&mut state.more) }
    }
}

/// How long it is kept.
fn settles(touch: &Touch) -> Duration {
    match &touch.manner {
        Manner::Kill(signal) if signal != "SIGKILL" => SETTLES_SIGNAL,
        _ => SETTLES,
    }
}

/// Whether it is what an engine does to each container when it ends.
fn is_an_end(touch: &Touch) -> bool {
    touch.kind == Kind::Container && matches!(touch.manner, Manner::Kill(_) | Manner::Stop)
}

/// Whether a touch is a part of another: who stops something has it killed first.
fn is_part_of(touch: &Touch, whole: &Touch) -> bool {
    let is_before = touch.time <= whole.time;
    (touch.kind, &touch.id) == (whole.kind, &whole.id)
        && match (&touch.manner, &whole.manner) {
            (Manner::Kill(_), Manner::Stop | Manner::Restart | Manner::Remove)
            | (Manner::Stop, Manner::Restart) => is_before,
            // A program is frozen while an image is made of its container.
            (Manner::Pause | Manner::Unpause, Manner::Commit) => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests;
