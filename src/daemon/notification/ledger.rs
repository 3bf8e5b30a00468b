//! What is to be told, and when. In: one status after the other, and the time. Out: notices: each state of a subject once,
//! those of a short while together, and of one subject a few an hour. Has no clock, and sends nothing.
//!
//! It compares how things stand with what was told last: what is over before its time has come is told to nobody, and
//! what could not be told for a while is told then, if it still is so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::notice::{Event, Notice, Subject};
use super::{DEFAULT_GATHER, DEFAULT_HOURLY};
use crate::resource::name::ResourceId;
use crate::status::{Condition, MANIFEST_IS_WRONG, Status};

/// The time in which one subject is told of so often.
const HOUR: Duration = Duration::from_hours(1);
/// How many interferences wait to be told; the others are counted.
const INTERFERENCES_MAX: usize = 500;
/// How many changes are told though all is again as it was.
const FLAPS: u32 = 6;
/// After which time without a change those before it do not count.
const QUIET: Duration = Duration::from_mins(10);
/// How many errors of manifests are told.
const ERRORS_MAX: usize = 10;

/// What is told, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What is told at all.
    pub events: BTreeSet<Event>,
    /// For how long what happens is gathered into one message.
    pub gather: Duration,
    /// How often one subject is told of in an hour.
    pub hourly: usize,
}

impl Default for Terms {
    fn default() -> Self {
        Self { events: Event::ALL.into(), gather: DEFAULT_GATHER, hourly: DEFAULT_HOURLY }
    }
}

/// How a subject stands, as far as somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Fine(&'static str),
    Wrong(Event, String),
}

impl State {
    /// Whether it is nothing new of a subject. A number that differs, in the words of a program, is none; of manifests it is
    /// another one, or another place in one.
    fn is_told_by(&self, told: &Self, subject: &Subject) -> bool {
        let is_number = |c: char| c.is_ascii_digit() && *subject != Subject::Manifests;
        let words = |text: &str| text.replace(is_number, "");
        match (self, told) {
            // Kept is kept, for whichever reason.
            (Self::Fine(_), Self::Fine(_))
            | (Self::Wrong(Event::Withheld, _), Self::Wrong(Event::Withheld, _)) => true,
            (Self::Wrong(now, what), Self::Wrong(event, told)) => now == event && words(what) == words(told),
            _ => false,
        }
    }
}

/// What is known of a subject.
#[derive(Debug)]
struct Entry {
    /// How it stands.
    now: State,
    /// Since when, by the clock on the wall.
    since: Timestamp,
    /// What was told last.
    told: State,
    /// Since when that is not so any more.
    differs: Option<Instant>,
    /// How often it changed since.
    changes: u32,
    /// When it changed last.
    changed: Instant,
    /// When it was told of within the last hour.
    times: VecDeque<Instant>,
}

/// What somebody else did, and how often.
#[derive(Debug)]
struct Interference {
    first: Timestamp,
    heard: Instant,
    times: u32,
}

/// What was told, and what is to be.
#[derive(Debug)]
pub(super) struct Ledger {
    terms: Terms,
    entries: BTreeMap<Subject, Entry>,
    interferences: BTreeMap<(ResourceId, String), Interference>,
    /// When resources were last told to have been interfered with.
    interfered: BTreeMap<ResourceId, VecDeque<Instant>>,
    /// What others did beside that.
    more: More,
}

/// What others did that is counted alone.
#[derive(Debug, Default)]
struct More {
    count: u64,
    /// Since when.
    heard: Option<Instant>,
    /// When it was told of within the last hour.
    times: VecDeque<Instant>,
}

impl Ledger {
    /// Nothing is told yet, and nothing is wrong.
    pub(super) fn new(terms: Terms) -> Self {
        let (entries, interferences, interfered, more) = Default::default();
        Self { terms, entries, interferences, interfered, more }
    }

    /// Sees how everything stands.
    pub(super) fn look(&mut self, status: &Status, now: Instant, wall: Timestamp) {
        for (subject, state) in states(status) {
            if let Some((state, since)) = state {
                self.stands(subject, state, since.unwrap_or(wall), now);
            }
        }
        let gone = |subject: &Subject| matches!(subject, Subject::Resource(id) if !status.resources.contains_key(id));
        let gone: Vec<Subject> = self.entries.keys().filter(|subject| gone(subject)).cloned().collect();
        for subject in gone {
            self.stands(subject, State::Fine("nothing describes it any more"), wall, now);
        }
        self.forget(now);
    }

    fn stands(&mut self, subject: Subject, state: State, since: Timestamp, now: Instant) {
        let Some(entry) = self.entries.get_mut(&subject) else {
            // Most are well, and always were.
            if let State::Wrong(..) = state {
                let (told, times) = (State::Fine(""), VecDeque::new());
                let entry =
                    Entry { now: state, since, told, differs: Some(now), changes: 1, changed: now, times };
                self.entries.insert(subject, entry);
            }
            return;
        };
        let is_told_by = |told: &State| state.is_told_by(told, &subject);
        if !is_told_by(&entry.now) {
            (entry.since, entry.changed) = (since, now);
            entry.changes = entry.changes.saturating_add(1);
        }
        entry.differs = match entry.differs {
            _ if is_told_by(&entry.told) && entry.changes < FLAPS => None,
            differs => differs.or(Some(now)),
        };
        entry.now = state;
    }

    /// Hears that somebody else changed a resource.
    pub(super) fn hear(&mut self, id: ResourceId, what: String, now: Instant, wall: Timestamp) {
        if !self.terms.events.contains(&Event::Interference) {
            return;
        }
        let key = (id, what);
        if self.interferences.len() >= INTERFERENCES_MAX && !self.interferences.contains_key(&key) {
            self.hear_more(1, now);
            return;
        }
        let new = Interference { first: wall, heard: now, times: 0 };
        let interference = self.interferences.entry(key).or_insert(new);
        interference.times = interference.times.saturating_add(1);
    }

    /// Hears that others did so much more.
    pub(super) fn hear_more(&mut self, count: u64, now: Instant) {
        if count > 0 && self.terms.events.contains(&Event::Interference) {
            self.more.count += count;
            self.more.heard.get_or_insert(now);
        }
    }

    /// When there is something to be told.
    pub(super) fn due(&self) -> Option<Instant> {
        let gathered = |from: Instant, times: &VecDeque<Instant>| {
            (from + self.terms.gather).max(self.free_at(times, from))
        };
        let states = self.entries.values().filter_map(|entry| Some(gathered(entry.differs?, &entry.times)));
        let none = VecDeque::new();
        let interferences = self
            .interferences
            .iter()
            .map(|((id, _), one)| gathered(one.heard, self.interfered.get(id).unwrap_or(&none)));
        let more = self.more.heard.map(|heard| gathered(heard, &self.more.times));
        states.chain(interferences).chain(more).min()
    }

    /// From when on a subject may be told of.
    fn free_at(&self, times: &VecDeque<Instant>, now: Instant) -> Instant {
        let first = times.len().checked_sub(self.terms.hourly.max(1));
        first.and_then(|first| times.get(first)).map_or(now, |time| *time + HOUR)
    }

    /// What is told now: all that may be, so that it is one message.
    pub(super) fn take(&mut self, now: Instant, wall: Timestamp) -> Vec<Notice> {
        let mut notices = Vec::new();
        let free: Vec<Subject> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.differs.is_some() && self.free_at(&entry.times, now) <= now)
            .map(|(subject, _)| subject.clone())
            .collect();
        for subject in free {
            let Some(entry) = self.entries.get_mut(&subject) else { continue };
            let event = entry.told_as();
            entry.told = entry.now.clone();
            entry.differs = None;
            let changes = std::mem::take(&mut entry.changes);
            let Some((event, what)) = event.filter(|(event, _)| self.terms.events.contains(event)) else {
                continue;
            };
            entry.times.push_back(now);
            let notice = Notice::new(event, subject, entry.since, &what);
            notices.push(Notice { changes: Some(changes).filter(|changes| *changes > 2), ..notice });
        }
        notices.extend(self.take_interferences(now));
        if self.more.heard.is_some() && self.free_at(&self.more.times, now) <= now {
            let (count, _) = (std::mem::take(&mut self.more.count), self.more.heard.take());
            self.more.times.push_back(now);
            notices.push(Notice::new(Event::Interference, Subject::Resources, wall, &times(count)));
        }
        self.forget(now);
        notices.sort_by(|one, other| (one.event, &one.subject).cmp(&(other.event, &other.subject)));
        notices
    }

    fn take_interferences(&mut self, now: Instant) -> Vec<Notice> {
        let none = VecDeque::new();
        let (free, held): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.interferences)
            .into_iter()
            .partition(|((id, _), _)| self.free_at(self.interfered.get(id).unwrap_or(&none), now) <= now);
        self.interferences = held;
        let mut told: BTreeMap<ResourceId, (Timestamp, Vec<String>)> = BTreeMap::new();
        for ((id, what), Interference { first, times, .. }) in free {
            let what = if times == 1 { what } else { format!("{what} ({times} times)") };
            let (since, all) = told.entry(id).or_insert((first, Vec::new()));
            *since = first.min(*since);
            all.push(what);
        }
        // All of a resource is told at once, and counts as once.
        for id in told.keys() {
            self.interfered.entry(id.clone()).or_default().push_back(now);
        }
        let notice = |(id, (since, all)): (ResourceId, (Timestamp, Vec<String>))| {
            Notice::new(Event::Interference, Subject::Resource(id), since, &all.join("; "))
        };
        told.into_iter().map(notice).collect()
    }

    /// Forgets of whom nothing is to be known any more.
    fn forget(&mut self, now: Instant) {
        let old = |times: &mut VecDeque<Instant>| {
            times.retain(|time| now < *time + HOUR);
            times.is_empty()
        };
        self.entries.retain(|_, entry| {
            let is_old = old(&mut entry.times) && now >= entry.changed + QUIET;
            !(is_old && entry.differs.is_none() && matches!(entry.now, State::Fine(_)))
        });
        self.interfered.retain(|_, times| !old(times));
        old(&mut self.more.times);
    }
}

impl Entry {
    /// As what its change is told, if it is worth a notice.
    fn told_as(&self) -> Option<(Event, String)> {
        match (&self.told, &self.now) {
            (_, State::Wrong(event, what)) => Some((*event, what.clone())),
            (State::Fine(_), State::Fine(_)) if self.changes >= FLAPS => {
                Some((Event::Failure, "it is well again by now, and does not stay so".to_owned()))
            }
            // What is kept no more went as it should, or is described again.
            (State::Wrong(Event::Withheld, _) | State::Fine(_), State::Fine(_)) => None,
            (State::Wrong(..), State::Fine(what)) => Some((Event::Recovery, (*what).to_owned())),
        }
    }
}

/// How each subject stands, and since when where that is known; `None` while nobody knows yet.
fn states(status: &Status) -> impl Iterator<Item = (Subject, Option<(State, Option<Timestamp>)>)> {
    let fine = || Some((State::Fine(""), None));
    let wrong = |event: Event, what: String| Some((State::Wrong(event, what), None));
    let passes = match &status.trouble {
        Some(why) => wrong(Event::Failure, why.clone()),
        None if status.looked.is_some() => fine(),
        None => None,
    };
    let manifests = match status.errors.as_slice() {
        [] if status.looked.is_some() && status.trouble.is_none() => fine(),
        [] => None,
        errors => wrong(Event::Source, some_of(errors)),
    };
    let git = status.source.as_ref().and_then(|source| {
        let refused = source.wanted.as_ref().and_then(|wanted| Some((wanted, wanted.refused.as_ref()?)));
        match (refused, &source.trouble) {
            (Some((wanted, why)), _) => {
                wrong(Event::Source, format!("revision {} is refused: {why}", wanted.commit.short()))
            }
            (None, Some(why)) => wrong(Event::Source, why.clone()),
            (None, None) if source.fetched.is_some() => fine(),
            (None, None) => None,
        }
    });
    let journal = match status.journal.as_ref().or(status.journal_broken.as_ref()) {
        Some(why) => wrong(Event::Failure, why.clone()),
        None => fine(),
    };
    let resources = status.resources.iter().map(|(id, standing)| {
        let wrong = |event| {
            let why = standing.reason.strip_prefix("failed: ").unwrap_or(&standing.reason);
            Some((State::Wrong(event, why.to_owned()), Some(standing.since)))
        };
        let state = match standing.condition {
            Condition::Ready => Some((State::Fine(""), Some(standing.since))),
            // That its manifest is wrong is told of the manifests.
            Condition::Stalled if standing.reason == MANIFEST_IS_WRONG => None,
            Condition::Stalled => wrong(Event::Failure),
            Condition::Kept => wrong(Event::Withheld),
            // It fails no less for being tried again.
            Condition::Progressing | Condition::Suspended => None,
        };
        (Subject::Resource(id.clone()), state)
    });
    let others = [
        (Subject::Passes, passes),
        (Subject::Manifests, manifests),
        (Subject::Git, git),
        (Subject::Journal, journal),
    ];
    others.into_iter().chain(resources)
}

/// How often.
fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// The first of them, on one line.
fn some_of(errors: &[String]) -> String {
    let line = |error: &String| match error.split_once("\n  hint: ") {
        Some((what, hint)) => format!("{what} (hint: {hint})"),
        None => error.clone(),
    };
    let mut told: Vec<String> = errors.iter().take(ERRORS_MAX).map(line).collect();
    if errors.len() > ERRORS_MAX {
        told.push(format!("and {} more", errors.len() - ERRORS_MAX));
    }
    told.join("; ")
}

#[cfg(test)]
mod tests;
