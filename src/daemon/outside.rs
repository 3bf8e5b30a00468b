//! Watches what others do to the resources that are kept. In: what the engine tells while the daemon listens. Out: what
//! interfered, told to whoever is to know. Beside everything else: no pass waits for it, and it decides nothing.

use std::convert::Infallible;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use super::Options;
use super::board::Board;
use super::interference::{Limits, tell};
use super::sift::{SETTLES_LONG, Sift, Touched, is_an_end};
use super::traces::Traces;
use crate::engine::{Events, Manner, Touch};
use crate::journal::{By, CLOSING, Entry, Journal, Query, What, Writer};
use crate::resource::name::{Kind, Owner, ResourceId};
use crate::turn::Turns;

/// How long what settles is gathered.
const GATHERS: Duration = Duration::from_millis(250);
/// How long after a daemon was cut off its engine may go on with a stop that it was asked for.
const ENDS_LATE: Duration = SETTLES_LONG;
/// How far the clocks and the calls of two programs lie apart.
const APART: SignedDuration = SignedDuration::from_secs(1);
/// How many of the journal's last entries are looked at.
const LOOKED_AT: usize = 200;

/// What others do.
#[derive(Debug)]
pub(super) struct Outside<'a> {
    owner: Owner,
    begun: Instant,
    journal: Option<&'a Writer>,
    turns: Option<&'a Turns>,
    board: &'a Board,
    /// What the daemon does.
    pub(super) traces: Traces,
    sift: Sift,
}

impl<'a> Outside<'a> {
    pub(super) fn new(options: &'a Options, board: &'a Board) -> Self {
        let (journal, turns) = (options.journal.as_ref(), options.turns.as_ref());
        Self { journal, turns, ..Self::of(options.setup.owner.clone(), board) }
    }

    /// Without anybody to tell but the board.
    pub(super) fn of(owner: Owner, board: &'a Board) -> Self {
        let (sift, traces) = (Sift::new(Timestamp::now()), Traces::default());
        Self { owner, begun: Instant::now(), journal: None, turns: None, board, traces, sift }
    }

    /// The engine listens from now on.
    pub(super) fn listening(&self) {
        self.sift.listening();
    }

    /// The engine is not heard any more.
    pub(super) fn lost(&self) {
        self.traces.lost();
        self.sift.lost();
    }

    /// A container's program began or ended.
    pub(super) fn turned(&self, container: String) {
        self.traces.turned(&container);
        self.sift.turned(container);
    }

    /// Somebody touched something.
    pub(super) fn saw(&self, touch: Touch) {
        let Some(resource) = self.traces.whose(&self.owner, &touch) else { return };
        self.sift.saw(Touched { resource, touch }, |Touched { resource, touch }| {
            let holder = self.turns.and_then(Turns::others);
            if let Some(holder) = &holder {
                debug!(%touch, %resource, "taken for that of {holder}, which makes a pass for this owner");
            }
            holder.is_some() || self.traces.are_of(touch)
        });
    }

    /// Tells what others do, for ever.
    pub(super) async fn keep<E: Events>(&self, engine: &E, limits: &mut Limits) -> Infallible {
        loop {
            let counted = limits.next();
            tokio::select! {
                () = self.sift.settled() => sleep(GATHERS).await,
                () = at(counted) => {}
            }
            let takes_calls = engine.takes_calls().await;
            self.judge(limits, false, takes_calls).await;
        }
    }

    /// Tells what is left.
    pub(super) async fn end(&self, limits: &mut Limits) {
        self.judge(limits, true, true).await;
    }

    /// Waits for the journal alone, and takes nothing before: who ends meanwhile loses nothing.
    async fn judge(&self, limits: &mut Limits, all: bool, takes_calls: bool) {
        let reading = async { (self.of_others().await, self.cut_off().await) };
        // Who ends does not wait for a disk that hangs, and says the rest without it.
        let (entries, cut_off) =
            if all { timeout(CLOSING, reading).await.unwrap_or_default() } else { reading.await };
        let mut settled = self.sift.take(&self.traces, all, takes_calls);
        settled.touches.retain(|Touched { touch, .. }| {
            !(is_an_end(touch) && cut_off.is_some_and(|until| touch.time <= until))
        });
        settled.touches.retain(|touched| !entries.iter().any(|entry| is_done_by(touched, entry)));
        let now = Instant::now();
        let mut told = limits.note(settled, now);
        told.extend(limits.due(now, all));
        tell(&told, self.journal, self.board);
    }

    /// Until when what is ended may be ended for the daemon before, which was cut off: its engine goes on with what it was asked.
    async fn cut_off(&self) -> Option<Timestamp> {
        let journal = self.journal.filter(|_| self.begun.elapsed() < ENDS_LATE * 2)?.journal().clone();
        spawn_blocking(move || cut_off(&journal)).await.ok().flatten()
    }

    /// What the journal says that an Invigil beside the daemon has done since the first of what is kept was.
    async fn of_others(&self) -> Vec<Entry> {
        let Some((journal, first)) = self.journal.zip(self.sift.first()) else { return Vec::new() };
        let journal = journal.journal().clone();
        let since = first.saturating_sub(APART).unwrap_or(first);
        // What cannot be read says nothing; the journal's writer tells why.
        spawn_blocking(move || beside(&journal, since)).await.unwrap_or_default()
    }
}

/// Waits until then; for ever if that is never.
async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// Until when that is, by the journal: a daemon that was not cut off has said that it stopped before the next one started.
fn cut_off(journal: &Journal) -> Option<Timestamp> {
    let (mut ended, mut until) = (true, None);
    let query = Query { last: Some(LOOKED_AT), ..Query::default() };
    let _ = journal.read(&query, |row| {
        let Some(entry) = row.entry().filter(|entry| entry.by == By::Daemon) else { return true };
        if matches!(entry.what, What::Started { .. }) {
            until = (!ended).then(|| entry.time.saturating_add(ENDS_LATE).unwrap_or(Timestamp::MAX));
        }
        ended = matches!(entry.what, What::Stopped);
        true
    });
    until
}

/// What Invigils that are no daemon have done since then.
fn beside(journal: &Journal, since: Timestamp) -> Vec<Entry> {
    let mut entries = Vec::new();
    let query = Query { since: Some(since), last: Some(LOOKED_AT), ..Query::default() };
    let _ = journal.read(&query, |row| {
        entries.extend(row.entry().filter(|entry| matches!(entry.by, By::Apply | By::Prune)));
        true
    });
    entries
}

/// Whether an entry is of what made a touch.
fn is_done_by(Touched { resource, touch }: &Touched, entry: &Entry) -> bool {
    let took = match &entry.what {
        What::Done { took_ms, .. } | What::Unfinished { took_ms, .. } | What::Failed { took_ms, .. } => {
            *took_ms
        }
        What::PutBack { .. } | What::NotPutBack { .. } => 0,
        _ => return false,
    };
    let took = SignedDuration::from_millis(i64::try_from(took).unwrap_or(i64::MAX));
    let after_its_end = touch.time.duration_since(entry.time);
    // Who makes a network anew has its containers leave and join.
    let network = match &touch.manner {
        Manner::Connect(network) | Manner::Disconnect(network) => network.parse().ok(),
        _ => None,
    };
    let network = network.map(|name| ResourceId::new(Kind::Network, name));
    let is_of = |done: &ResourceId| done == resource || Some(done) == network.as_ref();
    entry.resource.as_ref().is_some_and(is_of)
        && after_its_end <= APART
        && SignedDuration::ZERO - after_its_end <= took.saturating_add(APART)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A runtime that reads nothing until what is given with it is sent something.
    fn reading_waits() -> (tokio::runtime::Runtime, std::sync::mpsc::Sender<()>) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        let (runtime, (go, waits)) = (runtime.unwrap(), std::sync::mpsc::channel());
        runtime.spawn_blocking(move || waits.recv());
        (runtime, go)
    }

    #[test]
    fn who_ends_while_the_journal_is_read_loses_nothing() {
        use futures_util::FutureExt;
        let (runtime, go) = reading_waits();
        let dir = tempfile::tempdir().unwrap();
        let owner: Owner = "exam".parse().unwrap();
        let journal = Writer::begin(Journal::of(dir.path(), &owner), crate::journal::Limits::default(), true);
        let (_bell, wakes) = crate::daemon::wake::channel();
        let board = Board::new(&owner, &wakes, None);
        let outside = Outside { journal: Some(&journal), ..Outside::of(owner, &board) };
        outside.saw(Touch {
            time: Timestamp::now(),
            kind: Kind::Container,
            id: "1".repeat(64),
            name: "web".to_owned(),
            labelled: Some(("exam".parse().unwrap(), "container/web".parse().unwrap())),
            manner: Manner::Pause,
        });
        let mut limits = Limits::new(Instant::now());
        runtime.block_on(async {
            assert!(outside.judge(&mut limits, true, true).now_or_never().is_none(), "it waits");
            go.send(()).unwrap();
            outside.end(&mut limits).await;
        });
        let shown = board.shown();
        let told: Vec<&str> = shown.status.actions.iter().map(|action| &*action.action).collect();
        assert_eq!(told, ["pause"]);
        assert_eq!(journal.close(Duration::from_secs(10)), None);
        let mut written = Vec::new();
        let keep = |row: crate::journal::Row| {
            written.extend(row.entry().map(|entry| entry.what));
            true
        };
        journal.journal().read(&Query::default(), keep).unwrap();
        assert!(
            matches!(&written[..], [What::Begun { .. }, What::Interfered { action, times: 1, .. }] if action == "pause"),
            "{written:?}"
        );
    }

    #[test]
    fn what_ends_as_the_daemon_before_was_cut_off_may_be_its_doing() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::of(dir.path(), &"exam".parse().unwrap());
        let time: Timestamp = "2018-07-06T08:34:10Z".parse().unwrap();
        let started = || What::Started { version: "1".to_owned() };
        let late = Some("2018-07-06T08:34:23Z".parse().unwrap());
        for (what, expected) in [
            (started(), None),
            (What::Stopped, None),
            (started(), None),
            (What::PutBack { away_ms: None }, None),
            (started(), late),
            (What::Stopped, late),
            (started(), None),
        ] {
            let writer = Writer::begin(journal.clone(), crate::journal::Limits::default(), true);
            writer.note(Entry { time, by: By::Daemon, revision: None, resource: None, what });
            assert_eq!(writer.close(Duration::from_secs(10)), None);
            assert_eq!(cut_off(&journal), expected);
        }
    }

    #[test]
    fn what_apply_did_beside_the_daemon_is_known_by_its_entry() {
        let time: Timestamp = "2018-07-06T08:34:10Z".parse().unwrap();
        let entry = |resource: &str, took_ms| Entry {
            time,
            by: By::Apply,
            revision: None,
            resource: Some(resource.parse().unwrap()),
            what: What::Done {
                action: "replace".to_owned(),
                detail: String::new(),
                reasons: Vec::new(),
                took_ms,
            },
        };
        let touched = |second: &str| {
            let time = format!("2018-07-06T08:34:{second}Z").parse().unwrap();
            let (id, name) = ("1".repeat(64), "web".to_owned());
            let touch = Touch { time, kind: Kind::Container, id, name, labelled: None, manner: Manner::Stop };
            Touched { resource: "container/web".parse().unwrap(), touch }
        };
        let web = entry("container/web", 5000);
        for (second, is) in [("03", false), ("04.5", true), ("09", true), ("10.9", true), ("11.1", false)] {
            assert_eq!(is_done_by(&touched(second), &web), is, "{second}");
        }
        assert!(!is_done_by(&touched("09"), &entry("container/db", 5000)));
        // Of a network that is made anew, its containers leave it and join it.
        let leaves = |network: &str| {
            let Touched { resource, touch } = touched("09");
            Touched { resource, touch: Touch { manner: Manner::Disconnect(network.to_owned()), ..touch } }
        };
        let exam = entry("network/exam", 5000);
        assert!(is_done_by(&leaves("exam"), &exam) && !is_done_by(&leaves("other"), &exam));
    }
}
