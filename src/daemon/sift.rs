//! Sifts what others do from what is done anyway. In: touches of an owner's resources, as the engine tells them, at any rate. Out: those that are
//! nobody's of ours, a moment later, when it is known what they belong to. Keeps a bounded number, and holds up nobody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::traces::Traces;
use crate::engine::{Manner, Touch};
use crate::resource::name::{Kind, ResourceId};

/// How long a touch is kept: what it belongs to is told within this time, and what the daemon's own looks say of it.
const SETTLES: Duration = Duration::from_secs(2);
/// The same for a signal that may be the beginning of a stop: an engine waits for ten seconds, unless told, before it kills.
/// And for who joins or leaves a network, which may be the beginning of a start, or the end of one that is told late.
pub(super) const SETTLES_LONG: Duration = Duration::from_secs(13);
/// Of how many containers it is kept that they began or ended within that time.
const TURNED_MAX: usize = 4096;
/// How many are kept. What finds no room is counted.
const KEPT_MAX: usize = 1024;
/// How far apart an engine tells one thing more than once: Docker 20.10 and 26.1 within some 10 ms.
const REPEATED: SignedDuration = SignedDuration::from_secs(1);
/// For how long the engine tells once more what it told before a connection was lost.
const REPEATS: Duration = Duration::from_secs(3);

/// A touch, and the resource that it was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touched {
    /// Which of this owner's.
    pub(super) resource: ResourceId,
    /// What was done.
    pub(super) touch: Touch,
}

/// What was touched, until it has settled.
#[derive(Debug)]
pub(super) struct Sift {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug)]
struct State {
    kept: VecDeque<(Instant, Touched)>,
    /// When the programs of containers began or ended last, of late.
    turned: BTreeMap<String, Instant>,
    /// When that were more than could be kept.
    overrun: Option<Instant>,
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
    pub(super) touches: Vec<Touched>,
    /// How much more happened than could be kept.
    pub(super) more: u64,
}

impl Sift {
    /// What happened before `now` is of no interest.
    pub(super) fn new(now: Timestamp) -> Self {
        let state = State {
            kept: VecDeque::new(),
            turned: BTreeMap::new(),
            overrun: None,
            more: 0,
            last: now,
            told: (now, Instant::now()),
        };
        Self { state: Mutex::new(state), news: Notify::new() }
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
        self.state().kept.retain(|(_, touched)| !is_an_end(&touched.touch));
    }

    /// A container's program began or ended: it joins and leaves its networks by that.
    pub(super) fn turned(&self, container: String) {
        let mut state = self.state();
        state.turned.retain(|_, at| at.elapsed() <= SETTLES_LONG);
        if state.turned.len() >= TURNED_MAX {
            state.turned.clear();
            state.overrun = Some(Instant::now());
        }
        let is_overrun = state.is_overrun();
        let is_by_that = |touch: &Touch| joins_or_leaves(touch) && (is_overrun || touch.id == container);
        state.kept.retain(|(_, touched)| !is_by_that(&touched.touch));
        state.turned.insert(container, Instant::now());
    }

    /// Something was touched. `is_ours` tells whether an Invigil has done it.
    pub(super) fn saw(&self, touched: Touched, is_ours: impl FnOnce(&Touched) -> bool) {
        let mut state = self.state();
        let ((until, since), time) = (state.told, touched.touch.time);
        if since.elapsed() < REPEATS && time <= until {
            return;
        }
        state.last = state.last.max(time);
        // Others need not wait for what has to be looked up.
        drop(state);
        if is_ours(&touched) {
            return;
        }
        let mut state = self.state();
        let touch = &touched.touch;
        if state.is_by_turn(touch) || state.kept.iter().any(|(_, before)| is_repeated(&before.touch, touch)) {
            return;
        }
        if state.kept.len() >= KEPT_MAX {
            state.more += 1;
            return;
        }
        state.kept.push_back((Instant::now(), touched));
        drop(state);
        self.news.notify_one();
    }

    /// When the first of what is kept was touched.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.state().kept.iter().map(|(_, touched)| touched.touch.time).min()
    }

    /// Waits until something has settled.
    pub(super) async fn settled(&self) {
        loop {
            let next = {
                let state = self.state();
                state.kept.iter().map(|one| state.due(one)).min()
            };
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
        let (mut state, now) = (self.state(), Instant::now());
        let mut touches = Vec::new();
        let mut waiting = VecDeque::new();
        for one in &state.kept {
            let (_, touched) = one;
            let touch = &touched.touch;
            if !all && state.due(one) > now {
                waiting.push_back(one.clone());
            } else if state.whole(touch).is_some() {
                // It is told with it, now: until then it tells which signals are no part of it.
            } else if let Some(resource) = traces.settled(&touched.resource, touch)
                && (takes_calls || !is_an_end(touch))
            {
                touches.push(Touched { resource, touch: touch.clone() });
            }
        }
        state.kept = waiting;
        Settled { touches, more: std::mem::take(&mut state.more) }
    }
}

impl State {
    /// What a touch is a part of.
    fn whole(&self, touch: &Touch) -> Option<&(Instant, Touched)> {
        let touches = || self.kept.iter().map(|(_, other)| &other.touch);
        self.kept.iter().find(|(_, Touched { touch: whole, .. })| {
            is_part_of(touch, whole) && !touches().any(|other| is_between(touch, other, whole))
        })
    }

    /// When something that is kept has settled: a part with its whole, which may be a part itself.
    fn due<'a>(&'a self, mut one: &'a (Instant, Touched)) -> Instant {
        while let Some(whole) = self.whole(&one.1.touch) {
            one = whole;
        }
        one.0 + settles(&one.1.touch)
    }

    /// Whether so many began and ended of late that it is not known which.
    fn is_overrun(&self) -> bool {
        self.overrun.is_some_and(|at| at.elapsed() <= SETTLES_LONG)
    }

    /// Whether a container joins or leaves a network because its program began or ended.
    fn is_by_turn(&self, touch: &Touch) -> bool {
        let turned = self.turned.get(&touch.id);
        joins_or_leaves(touch) && (self.is_overrun() || turned.is_some_and(|at| at.elapsed() <= SETTLES_LONG))
    }
}

/// How long it is kept.
fn settles(touch: &Touch) -> Duration {
    match &touch.manner {
        Manner::Kill(signal) if signal != KILL => SETTLES_LONG,
        // A look tells whether the tag was ours.
        Manner::Connect(_) | Manner::Disconnect(_) | Manner::Untag => SETTLES_LONG,
        _ => SETTLES,
    }
}

fn joins_or_leaves(touch: &Touch) -> bool {
    matches!(touch.manner, Manner::Connect(_) | Manner::Disconnect(_))
}

/// Whether an engine tells one thing more than once: Docker, who leaves a network; who takes away an image, each tag of it.
fn is_repeated(before: &Touch, touch: &Touch) -> bool {
    matches!(touch.manner, Manner::Disconnect(_) | Manner::Untag)
        && (before.kind, &before.id, &before.manner) == (touch.kind, &touch.id, &touch.manner)
        && touch.time.duration_since(before.time).abs() <= REPEATED
}

/// Whether it is what an engine does to each container when it ends.
pub(super) fn is_an_end(touch: &Touch) -> bool {
    touch.kind == Kind::Container
        && matches!(touch.manner, Manner::Kill(_) | Manner::Stop | Manner::Disconnect(_))
}

/// Whether a touch is a part of another: who stops something has it killed first.
fn is_part_of(touch: &Touch, whole: &Touch) -> bool {
    let is_before = touch.time <= whole.time;
    (touch.kind, &touch.id) == (whole.kind, &whole.id)
        && match (&touch.manner, &whole.manner) {
            (Manner::Kill(_), Manner::Stop | Manner::Restart | Manner::Remove)
            | (Manner::Stop, Manner::Restart) => is_before,
            // A program is frozen while an image is made of its container.
            (Manner::Pause | Manner::Unpause, Manner::Commit)
            // Who takes away an image takes away its tags.
            | (Manner::Untag, Manner::Remove) => true,
            _ => false,
        }
}

/// Whether a signal is followed by the one with which a stop begins: then somebody has sent it before.
fn is_between(touch: &Touch, other: &Touch, whole: &Touch) -> bool {
    let signal = |touch: &Touch| matches!(&touch.manner, Manner::Kill(signal) if signal != KILL);
    (touch.kind, &touch.id) == (other.kind, &other.id)
        && signal(touch)
        && signal(other)
        && touch.time < other.time
        && other.time <= whole.time
}

/// The signal with which a stop ends.
const KILL: &str = "SIGKILL";

#[cfg(test)]
mod tests;
