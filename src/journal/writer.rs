//! Writing beside everything else. In: entries, from any thread, which is never held up. Out: the journal, some moments
//! later; and in what trouble it is. What finds no room while the disk does not answer is counted, and told as a gap.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::Connection;
use tracing::{error, info};

use super::chain::Head;
use super::entry::{Entry, What};
use super::retention::Limits;
use super::store::{Line, Store, end};
use super::verify::verify;
use super::{Broken, Journal, JournalError};
use crate::resource::digest::hex;

/// How long it may take to be written to its end, when everything else of a program has ended.
pub const CLOSING: Duration = Duration::from_secs(5);

/// How much waits to be written, in bytes.
const WAITING_MAX: usize = 4 << 20;
/// How many are written at once.
const BATCH: usize = 256;
/// The wait after a failure; each further one waits twice as long.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest of these waits.
const AGAIN_MAX: Duration = Duration::from_mins(1);
/// How long one write may take before it is told.
const SLOW: Duration = Duration::from_secs(30);

/// Writes the journal. Clones write the same.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    journal: Journal,
    limits: Limits,
    state: Mutex<State>,
    /// Something is there to be written, or was written, or it is time to end.
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Line>,
    /// How much of the above there is, in bytes.
    bytes: usize,
    /// How many found no room.
    lost: u64,
    /// How many ever did.
    lost_in_all: u64,
    /// Since when something is being written.
    writing: Option<Instant>,
    /// Why nothing can be written.
    trouble: Option<String>,
    /// Why the oldest entries cannot be removed.
    overflow: Option<String>,
    /// What became of the journal that was there before, since this process began.
    broken: Option<String>,
    /// Where the chain ends, as far as this process knows.
    head: Option<Head>,
    closed: bool,
    ended: bool,
}

impl Writer {
    /// Begins to write. With `checked` the whole journal is verified first, beside everything else, and put aside if it
    /// does not hold.
    pub fn begin(journal: Journal, limits: Limits, checked: bool) -> Self {
        let shared = Shared { journal, limits, state: Mutex::default(), news: Condvar::new() };
        let writer = Self(Arc::new(shared));
        let own = Arc::clone(&writer.0);
        let begun = thread::Builder::new().name("journal".to_owned()).spawn(move || own.write(checked));
        if let Err(error) = begun {
            let mut state = writer.0.state();
            state.trouble = Some(error.to_string());
            state.ended = true;
        }
        writer
    }

    /// Where it writes.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// Takes an entry to be written. Never waits.
    pub fn note(&self, entry: Entry) {
        let line = Line::of(entry);
        let mut state = self.0.state();
        if state.ended || state.bytes + line.size() > WAITING_MAX {
            state.lost += 1;
            state.lost_in_all += 1;
            return;
        }
        state.bytes += line.size();
        state.waiting.push_back(line);
        self.0.news.notify_all();
    }

    /// Why the journal is not written, if it is not.
    pub fn trouble(&self) -> Option<String> {
        let state = self.0.state();
        let slow = state.writing.filter(|since| since.elapsed() > SLOW);
        let slow = slow.map(|since| format!("the disk has not answered for {}s", since.elapsed().as_secs()));
        let overflow = || {
            let why = state.overflow.as_ref()?;
            Some(format!("it is, but its oldest entries cannot be removed: {why}"))
        };
        let why = state.trouble.clone().or(slow).or_else(overflow)?;
        let lost = if state.lost == 0 { String::new() } else { format!("; {} entries are lost", state.lost) };
        Some(format!("{why}{lost}"))
    }

    /// What became of a journal that did not hold, or went away, since this process began.
    pub fn broken(&self) -> Option<String> {
        self.0.state().broken.clone()
    }

    /// How many entries found no room since this process began.
    pub fn lost_in_all(&self) -> u64 {
        self.0.state().lost_in_all
    }

    /// Where the chain ends, as far as this process has written it.
    pub fn head(&self) -> Option<Head> {
        self.0.state().head
    }

    /// Waits until everything is written, but not longer than this, and ends. Says what could not be. Waits for the disk.
    pub fn close(&self, patience: Duration) -> Option<String> {
        let deadline = Instant::now() + patience;
        let mut state = self.0.state();
        state.closed = true;
        self.0.news.notify_all();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.0.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let lost = state.lost + state.waiting.len() as u64;
        let is_whole = state.ended && lost == 0;
        let why = state.trouble.clone().unwrap_or_else(|| "the disk does not answer".to_owned());
        (!is_whole).then(|| format!("{why}; {lost} entries are lost"))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until it is closed.
    fn write(&self, checked: bool) {
        let mut is_checked = !checked;
        let mut wait = AGAIN;
        while let Some((lines, lost)) = self.next(!is_checked) {
            match self.write_some(&lines, lost, is_checked) {
                Ok(store) => {
                    self.written(&lines, lost, is_checked);
                    (is_checked, wait) = (true, AGAIN);
                    // Not before these are written: whatever becomes of older ones, they are not written once more.
                    let held = self.hold(store);
                    self.held(held);
                }
                Err(why) => {
                    let why = why.to_string();
                    let mut state = self.state();
                    state.writing = None;
                    if state.trouble.as_ref() != Some(&why) {
                        let file = self.journal.file.display();
                        error!(%why, %file, "the journal cannot be written; everything else goes on");
                    }
                    state.trouble = Some(why);
                    if state.closed {
                        break;
                    }
                    let paused = self.news.wait_timeout_while(state, wait, |state| !state.closed);
                    drop(paused);
                    wait = (wait * 2).min(AGAIN_MAX);
                }
            }
        }
        self.state().ended = true;
        self.news.notify_all();
    }

    /// These are in the journal.
    fn written(&self, lines: &[Line], lost: u64, is_checked: bool) {
        let mut state = self.state();
        if let Some(head) = state.head.filter(|_| !is_checked && state.broken.is_none()) {
            info!(%head, file = %self.journal.file.display(), "the journal holds");
        }
        for line in state.waiting.drain(..lines.len()).collect::<Vec<_>>() {
            state.bytes -= line.size();
        }
        state.lost -= lost;
        if state.trouble.take().is_some() {
            info!(lost, "the journal is written again");
        }
    }

    /// What is beyond the limits is removed, or cannot be.
    fn held(&self, held: Result<(), JournalError>) {
        let mut state = self.state();
        state.writing = None;
        let overflow = held.err().map(|error| error.to_string());
        if let Some(why) = overflow.as_ref().filter(|why| state.overflow.as_ref() != Some(*why)) {
            error!(%why, "the oldest entries of the journal cannot be removed");
        }
        state.overflow = overflow;
    }

    /// Waits until something is to be written, which stays where it is until it is. `None` when it is time to end.
    fn next(&self, at_once: bool) -> Option<(Vec<Line>, u64)> {
        let mut state = self.state();
        loop {
            if at_once || !state.waiting.is_empty() || state.lost > 0 {
                state.writing = Some(Instant::now());
                return Some((state.waiting.iter().take(BATCH).cloned().collect(), state.lost));
            }
            if state.closed {
                return None;
            }
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write_some(&self, lines: &[Line], lost: u64, is_checked: bool) -> Result<Store, JournalError> {
        let opened =
            if is_checked { Store::open(&self.journal) } else { Store::open_checked(&self.journal, holds) };
        let mut store = self.told(opened?);
        let mut lines = lines.to_vec();
        if lost > 0 {
            let why = "the journal could not be written for too long".to_owned();
            lines.push(Line::of(Entry::own(Timestamp::now(), What::Gap { lost, why })));
        }
        match self.append(&mut store, &lines) {
            Err(JournalError::Damaged(_)) => {
                store = self.told(store.checked(holds)?);
                self.append(&mut store, &lines)?;
            }
            appended => appended?,
        }
        Ok(store)
    }

    /// Makes the chain longer. That it is not the one which this process made longer before is written first.
    fn append(&self, store: &mut Store, lines: &[Line]) -> Result<(), JournalError> {
        let known = self.state().head;
        let missing = known.map_or(Ok(false), |known| store.misses(&known))?;
        let missing = known.filter(|_| missing).map(|Head { seq, hash }| {
            Entry::own(Timestamp::now(), What::Missing { through: seq, hash: hex(&hash) })
        });
        let all: Vec<Line> = missing.clone().map(Line::of).into_iter().chain(lines.iter().cloned()).collect();
        let head = store.append(&all)?;
        let mut state = self.state();
        state.head = Some(head);
        if let Some(missing) = missing {
            let (why, file) = (missing.to_string(), self.journal.file.display());
            error!(%why, %file, "the journal was removed, cut off or exchanged while it was written");
            state.broken = Some(why);
        }
        Ok(())
    }

    /// Removes what is beyond the limits.
    fn hold(&self, mut store: Store) -> Result<(), JournalError> {
        match self.limits.hold(&mut store, Timestamp::now()) {
            Err(JournalError::Damaged(why)) => {
                store = self.told(store.checked(holds)?);
                if store.anew.is_none() {
                    return Err(JournalError::Damaged(why));
                }
            }
            held => held?,
        }
        self.state().head = end(&store.connection, "last")?;
        Ok(())
    }

    /// The same; if it was begun anew, that is told, once.
    fn told(&self, store: Store) -> Store {
        if let Some(why) = &store.anew {
            let mut state = self.state();
            // It is told already that it is not there any more.
            state.head = None;
            error!(%why, file = %self.journal.file.display(), "the journal did not hold, and is begun anew");
            state.broken = Some(why.clone());
        }
        store
    }
}

/// Whether all of a journal holds.
fn holds(connection: &Connection) -> Result<(), JournalError> {
    match verify(connection, None) {
        Ok(_) => Ok(()),
        Err(Broken::Journal(error)) => Err(error),
        Err(broken) => Err(JournalError::Damaged(broken.to_string())),
    }
}
