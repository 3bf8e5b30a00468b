//! What others do to the resources that are kept. In: touches that are nobody's of ours. Out: an entry in the journal, a line
//! in the log, and an action on the board for each; for what goes on and on, one in a while that counts it. Bounded in number
//! and in memory, whatever somebody does in a loop; no pass waits for it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::board::Board;
use super::sift::{Settled, Touched};
use crate::journal::{By, Entry, What, Writer};
use crate::resource::name::ResourceId;

/// For how long the same done to the same is counted, and not told again.
const COUNTED: Duration = Duration::from_mins(10);
/// How many are told one after the other: each seat of a room, and more.
const BURST: u32 = 200;
/// After which time one more is.
const EACH: Duration = Duration::from_secs(10);
/// Of how many it is known that they were told.
const KNOWN_MAX: usize = 1000;

/// What somebody did to a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interference {
    /// When, at last.
    pub(super) time: Timestamp,
    /// To what.
    pub(super) resource: ResourceId,
    /// What: `exec`.
    pub(super) action: &'static str,
    /// With what: a program, a signal, a name before and after.
    pub(super) detail: Option<String>,
    /// How often, since it was told last.
    pub(super) times: u64,
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// What somebody did.
    One(Interference),
    /// How much more was done than is told one by one.
    More(u64),
}

/// What was told, and what is counted since.
#[derive(Debug)]
pub(super) struct Limits {
    known: BTreeMap<Key, Known>,
    left: u32,
    /// From when on the next one may be told.
    refilled: Instant,
    more: u64,
}

type Key = (ResourceId, &'static str, Option<String>);

#[derive(Debug)]
struct Known {
    /// When it was told.
    told: Instant,
    /// How often it was done since.
    times: u64,
    /// When it was done last.
    last: Timestamp,
}

impl Limits {
    pub(super) fn new(now: Instant) -> Self {
        Self { known: BTreeMap::new(), left: BURST, refilled: now, more: 0 }
    }

    /// What is to be told of what was done.
    pub(super) fn note(&mut self, settled: Settled, now: Instant) -> Vec<Told> {
        self.more += settled.more;
        let mut told = Vec::new();
        for Touched { resource, touch } in settled.touches {
            let time = &touch.time;
            let key = (resource.clone(), touch.manner.as_str(), touch.detail());
            if let Some(known) = self.known.get_mut(&key) {
                known.times += 1;
                known.last = *time;
            } else if self.known.len() < KNOWN_MAX && self.may(now) {
                let (resource, action, detail) = key.clone();
                told.push(Told::One(Interference { time: *time, resource, action, detail, times: 1 }));
                self.known.insert(key, Known { told: now, times: 0, last: *time });
            } else {
                self.more += 1;
            }
        }
        told
    }

    /// What is to be told of what was counted; `all` of it if nothing more is counted.
    pub(super) fn due(&mut self, now: Instant, all: bool) -> Vec<Told> {
        let is_due = |known: &Known| all || now.duration_since(known.told) >= COUNTED;
        let keys: Vec<Key> =
            self.known.iter().filter(|(_, known)| is_due(known)).map(|(key, _)| key.clone()).collect();
        let mut told = Vec::new();
        for key in keys {
            let Some(known) = self.known.remove(&key).filter(|known| known.times > 0) else { continue };
            let (resource, action, detail) = key.clone();
            told.push(Told::One(Interference {
                time: known.last,
                resource,
                action,
                detail,
                times: known.times,
            }));
            self.known.insert(key, Known { told: now, times: 0, last: known.last });
        }
        if self.more > 0 && (all || self.may(now)) {
            told.push(Told::More(std::mem::take(&mut self.more)));
        }
        told
    }

    /// When something that was counted may be told, if anything is.
    pub(super) fn next(&self) -> Option<Instant> {
        let counted = self.known.values().map(|known| known.told + COUNTED).min();
        let more = (self.more > 0).then(|| self.refilled + EACH);
        counted.into_iter().chain(more).min()
    }

    /// Whether one more may be told, which it then is.
    fn may(&mut self, now: Instant) -> bool {
        let refills = now.duration_since(self.refilled).as_secs() / EACH.as_secs();
        let refills = u32::try_from(refills).unwrap_or(BURST);
        if refills > 0 {
            self.left = self.left.saturating_add(refills).min(BURST);
            self.refilled += EACH * refills;
        }
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

/// Tells whoever is to know.
pub(super) fn tell(told: &[Told], journal: Option<&Writer>, board: &Board) {
    for one in told {
        let (time, resource, what) = match one {
            Told::One(interference) => {
                let Interference { time, resource, action, detail, times } = interference;
                warn!(%resource, action, detail, times, "interfered with from outside");
                board.interfered(interference);
                let (action, detail) = ((*action).to_owned(), detail.clone().unwrap_or_default());
                (*time, Some(resource.clone()), What::Interfered { action, detail, times: *times })
            }
            Told::More(times) => {
                board.interfered_more(*times);
                warn!(times, "more was interfered with from outside than is told one by one");
                (Timestamp::now(), None, What::InterferedMore { times: *times })
            }
        };
        if let Some(journal) = journal {
            journal.note(Entry { time, by: By::Outside, revision: None, resource, what });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Manner, Touch};
    use crate::resource::name::Kind;

    fn settled(touches: &[(&str, Manner)]) -> Settled {
        let touched = |(name, manner): &(&str, Manner)| Touched {
            resource: format!("container/{name}").parse().unwrap(),
            touch: Touch {
                time: Timestamp::UNIX_EPOCH,
                kind: Kind::Container,
                id: (*name).to_owned(),
                name: (*name).to_owned(),
                labelled: None,
                manner: manner.clone(),
            },
        };
        Settled { touches: touches.iter().map(touched).collect(), more: 0 }
    }

    fn exec(program: &str) -> Manner {
        Manner::Exec(program.to_owned())
    }

    fn said(told: &[Told]) -> Vec<String> {
        let one = |told: &Told| match told {
            Told::One(Interference { resource, action, detail, times, .. }) => {
                format!("{resource} {action} {} {times}", detail.clone().unwrap_or_default())
            }
            Told::More(times) => format!("more {times}"),
        };
        told.iter().map(one).collect()
    }

    #[test]
    fn the_same_again_is_counted_and_told_after_a_while() {
        let begun = Instant::now();
        let mut limits = Limits::new(begun);
        let sh =
            settled(&[("web", exec("sh")), ("web", exec("sh")), ("web", exec("ps")), ("db", exec("sh"))]);
        assert_eq!(
            said(&limits.note(sh, begun)),
            ["container/web exec sh 1", "container/web exec ps 1", "container/db exec sh 1"]
        );
        for _ in 0..1000 {
            assert_eq!(limits.note(settled(&[("web", exec("sh"))]), begun + COUNTED / 2), []);
        }
        assert_eq!(limits.due(begun + COUNTED / 2, false), []);
        assert_eq!(limits.next(), Some(begun + COUNTED));
        assert_eq!(said(&limits.due(begun + COUNTED, false)), ["container/web exec sh 1001"]);
        // What did not go on is told anew.
        let again = settled(&[("web", exec("sh")), ("web", exec("ps"))]);
        assert_eq!(said(&limits.note(again, begun + COUNTED)), ["container/web exec ps 1"]);
        assert_eq!(said(&limits.due(begun + COUNTED, true)), ["container/web exec sh 1"]);
    }

    #[test]
    fn however_much_is_done_a_bounded_number_of_it_is_told_and_kept() {
        let begun = Instant::now();
        let mut limits = Limits::new(begun);
        let (mut told, mut counted) = (0, 0);
        for second in 0..3600 {
            let now = begun + Duration::from_secs(second);
            let some: Vec<(&str, Manner)> =
                (0..10).map(|at| ("web", exec(&format!("p{second}-{at}")))).collect();
            let said = [limits.note(settled(&some), now), limits.due(now, false)].concat();
            told += said.len();
            counted += said
                .iter()
                .map(|told| match told {
                    Told::One(one) => one.times,
                    Told::More(times) => *times,
                })
                .sum::<u64>();
            assert!(limits.known.len() <= KNOWN_MAX);
        }
        counted += limits.more;
        assert_eq!(counted, 36_000);
        assert!(told <= BURST as usize + 360, "{told}");
    }

    #[test]
    fn a_whole_room_that_is_touched_at_once_is_told_seat_by_seat() {
        let begun = Instant::now();
        let names: Vec<String> = (0..150).map(|seat| format!("seat-{seat}")).collect();
        let room: Vec<(&str, Manner)> = names.iter().map(|name| (name.as_str(), Manner::Stop)).collect();
        assert_eq!(Limits::new(begun).note(settled(&room), begun).len(), 150);
    }
}
