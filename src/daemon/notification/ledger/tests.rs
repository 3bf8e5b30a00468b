use super::*;
use crate::source::git::Commit;
use crate::status::{Source, Standing, WantedCommit};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A ledger, how everything stands, and the time.
struct Book {
    ledger: Ledger,
    status: Status,
    now: Instant,
}

impl Book {
    fn new() -> Self {
        Self::on(Event::ALL.into())
    }

    fn on(events: BTreeSet<Event>) -> Self {
        let mut status = Status::new("exam", Timestamp::UNIX_EPOCH);
        status.looked = Some(Timestamp::UNIX_EPOCH);
        Self { ledger: Ledger::new(Terms { events, ..Terms::default() }), status, now: Instant::now() }
    }

    fn resource(&mut self, name: &str, condition: Condition, reason: &str) {
        let standing = Standing {
            condition,
            since: Timestamp::UNIX_EPOCH,
            legacy_image_id: None,
            reason: reason.to_owned(),
            stage: None,
            next_try: None,
            difference: Vec::new(),
            output: VecDeque::new(),
        };
        self.status.resources.insert(id(name), standing);
        self.look();
    }

    fn fails(&mut self, name: &str) {
        self.resource(name, Condition::Stalled, "failed: no such image");
    }

    fn is_ready(&mut self, name: &str) {
        self.resource(name, Condition::Ready, "");
    }

    fn look(&mut self) {
        self.ledger.look(&self.status, self.now, Timestamp::UNIX_EPOCH);
    }

    /// What is told within a time, message by message.
    fn told(&mut self, time: Duration) -> Vec<Vec<String>> {
        let until = self.now + time;
        let mut messages = Vec::new();
        while let Some(due) = self.ledger.due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.look();
            if self.ledger.due().is_some_and(|due| due <= self.now) {
                let notices = self.ledger.take(self.now, Timestamp::UNIX_EPOCH);
                messages.push(notices.iter().map(ToString::to_string).collect());
            }
        }
        self.now = until;
        messages.retain(|message: &Vec<String>| !message.is_empty());
        messages
    }
}

fn id(name: &str) -> ResourceId {
    format!("container/{name}").parse().unwrap()
}

const NOTHING: [[&str; 0]; 0] = [];

#[test]
fn a_failure_is_told_once_and_so_is_its_end() {
    let mut book = Book::new();
    book.is_ready("web");
    assert_eq!(book.told(MINUTE), NOTHING);
    book.resource("web", Condition::Stalled, "start web: it took 3 s");
    assert_eq!(book.told(SECOND), NOTHING, "it is gathered first");
    assert_eq!(book.told(MINUTE), [["container/web failed: start web: it took 3 s"]]);
    // It is tried again, and fails as before.
    book.resource("web", Condition::Progressing, "create");
    book.resource("web", Condition::Stalled, "failed: start web: it took 5 s");
    assert_eq!(book.told(MINUTE), NOTHING);
    book.resource("web", Condition::Progressing, "create");
    book.is_ready("web");
    assert_eq!(book.told(MINUTE), [["container/web is well again"]]);
    assert_eq!(book.told(10 * MINUTE), NOTHING);
}

#[test]
fn another_reason_is_another_failure() {
    let mut book = Book::new();
    book.fails("web");
    assert_eq!(book.told(MINUTE).len(), 1);
    book.resource("web", Condition::Stalled, "port 80 is taken");
    assert_eq!(book.told(MINUTE), [["container/web failed: port 80 is taken"]]);
}

#[test]
fn what_happens_within_a_short_while_is_one_message() {
    let mut book = Book::new();
    for name in ["aa", "bb", "cc"] {
        book.fails(name);
        assert_eq!(book.told(SECOND), NOTHING);
    }
    let failed = ["aa", "bb", "cc"].map(|name| format!("container/{name} failed: no such image"));
    assert_eq!(book.told(MINUTE), [failed]);
}

#[test]
fn what_is_over_before_it_is_told_is_told_to_nobody() {
    let mut book = Book::new();
    book.fails("web");
    assert_eq!(book.told(SECOND), NOTHING);
    book.is_ready("web");
    assert_eq!(book.told(MINUTE), NOTHING);
}

#[test]
fn what_goes_up_and_down_is_told_a_few_times_an_hour_and_how_it_stands_in_the_end() {
    let mut book = Book::new();
    let mut messages = Vec::new();
    for _ in 0..60 {
        book.fails("web");
        messages.extend(book.told(20 * SECOND));
        book.is_ready("web");
        messages.extend(book.told(20 * SECOND));
    }
    // In 40 minutes.
    assert_eq!(messages.len(), DEFAULT_HOURLY, "{messages:#?}");
    book.fails("web");
    messages = book.told(60 * MINUTE);
    assert_eq!(messages.len(), 1, "{messages:#?}");
    let told = &messages[0][0];
    assert!(told.starts_with("container/web failed: no such image (it changed 1"), "{told}");
    book.fails("db");
    assert_eq!(book.told(MINUTE), [["container/db failed: no such image"]], "others are told as ever");
}

#[test]
fn what_never_stays_down_long_enough_is_told_all_the_same() {
    let mut book = Book::new();
    let mut messages = Vec::new();
    for _ in 0..10 {
        book.fails("web");
        messages.extend(book.told(2 * SECOND));
        book.is_ready("web");
        messages.extend(book.told(2 * SECOND));
    }
    messages.extend(book.told(MINUTE));
    let told = &messages[0][0];
    assert!(told.starts_with("container/web failed: "), "{told}");
    assert!(told.ends_with(" times since it was told of last)"), "{told}");
}

#[test]
fn removals_that_are_withheld_are_told_and_their_end_is_not() {
    let mut book = Book::new();
    for name in ["aa", "bb"] {
        book.is_ready(name);
        book.resource(name, Condition::Kept, "no manifest describes it: 2 of 2 would be removed");
    }
    let kept = ["aa", "bb"]
        .map(|name| format!("container/{name} is kept: no manifest describes it: 2 of 2 would be removed"));
    assert_eq!(book.told(MINUTE), [kept]);
    book.resource("aa", Condition::Kept, "no manifest describes it: a manifest is invalid");
    assert_eq!(book.told(MINUTE), NOTHING, "for another reason now, and kept as before");
    book.status.resources.clear();
    book.look();
    assert_eq!(book.told(MINUTE), NOTHING);
}

#[test]
fn what_failed_and_is_described_no_more_is_over() {
    let mut book = Book::new();
    book.fails("web");
    assert_eq!(book.told(MINUTE).len(), 1);
    book.status.resources.clear();
    book.look();
    assert_eq!(book.told(MINUTE), [["container/web is well again: nothing describes it any more"]]);
}

#[test]
fn manifests_that_are_wrong_are_told_once_and_not_for_each_of_their_resources() {
    let mut book = Book::new();
    let wrong = "a.yaml:1:1: kind: unknown kind `Contaner`\n  hint: did you mean `Container`?";
    book.status.errors = vec![wrong.to_owned(); 12];
    book.resource("web", Condition::Stalled, MANIFEST_IS_WRONG);
    let messages = book.told(MINUTE);
    assert_eq!(messages.len(), 1);
    let told = &messages[0];
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with("the manifests are wrong: a.yaml:1:1: kind: unknown kind `Contaner` (hint: did"),
        "{told:?}"
    );
    assert!(told[0].ends_with("; and 2 more"), "{told:?}");
    book.status.errors.clear();
    book.look();
    assert_eq!(book.told(MINUTE), [["the manifests hold again"]]);
}

#[test]
fn another_manifest_that_is_wrong_in_the_same_way_is_news() {
    let mut book = Book::new();
    for manifest in ["seat-01.yaml", "seat-02.yaml"] {
        book.status.errors = vec![format!("{manifest}:2:7: kind: unknown kind `Contaner`")];
        book.look();
        let told = format!("the manifests are wrong: {manifest}:2:7: kind: unknown kind `Contaner`");
        assert_eq!(book.told(MINUTE), [[told]]);
    }
}

#[test]
fn an_engine_that_does_not_answer_is_told_and_that_it_is_back() {
    let mut book = Book::new();
    book.fails("web");
    assert_eq!(book.told(MINUTE).len(), 1);
    book.status.trouble = Some("no engine answers".to_owned());
    book.look();
    assert_eq!(book.told(MINUTE), [["not everything can be looked at: no engine answers"]]);
    book.status.trouble = None;
    book.look();
    assert_eq!(book.told(MINUTE), [["everything can be looked at again"]], "web fails as before");
}

#[test]
fn a_source_that_is_refused_or_away_is_told_each_time_that_it_is_another_one() {
    let commit = |digit: char| Commit {
        commit: digit.to_string().repeat(40),
        subject: "exam".to_owned(),
        authored: Timestamp::UNIX_EPOCH,
    };
    let mut book = Book::new();
    book.status.source = Some(Source { fetched: Some(Timestamp::UNIX_EPOCH), ..Source::default() });
    let mut source = |change: &dyn Fn(&mut Source)| {
        change(book.status.source.as_mut().unwrap());
        book.look();
        book.told(MINUTE)
    };
    let refused = |digit: char| {
        let refused = Some("it is not signed".to_owned());
        Some(WantedCommit { commit: commit(digit), refused })
    };
    let stays = "the manifests' repository is not followed";
    for digit in ['a', 'b'] {
        let short = commit(digit).short().to_owned();
        let told = format!("{stays}: revision {short} is refused: it is not signed");
        assert_eq!(source(&|source| source.wanted = refused(digit)), [[told]]);
        assert_eq!(source(&|source| source.trouble = Some("away".to_owned())), NOTHING);
        assert_eq!(source(&|source| source.trouble = None), NOTHING);
    }
    assert_eq!(source(&|source| source.wanted = None), [["the manifests' repository is well again"]]);
    let away = "it cannot be fetched: could not resolve host".to_owned();
    assert_eq!(source(&|source| source.trouble = Some(away.clone())), [[format!("{stays}: {away}")]]);
}

#[test]
fn nothing_is_well_again_before_everything_was_looked_at() {
    let mut book = Book::new();
    book.status.looked = None;
    book.look();
    assert_eq!(book.told(MINUTE), NOTHING);
}

#[test]
fn what_nobody_wants_to_hear_is_not_told() {
    let mut book = Book::on([Event::Recovery].into());
    book.fails("web");
    assert_eq!(book.told(MINUTE), NOTHING);
    book.ledger.hear(id("web"), "killed".to_owned(), book.now, Timestamp::UNIX_EPOCH);
    assert_eq!(book.told(MINUTE), NOTHING);
    book.is_ready("web");
    assert_eq!(book.told(MINUTE), [["container/web is well again"]]);
}

#[test]
fn interference_is_gathered_counted_and_told_a_few_times_an_hour() {
    let mut book = Book::new();
    let hear = |book: &mut Book, what: &str| {
        book.ledger.hear(id("web"), what.to_owned(), book.now, Timestamp::UNIX_EPOCH);
    };
    for what in ["exec", "exec", "stopped"] {
        hear(&mut book, what);
    }
    assert_eq!(book.told(SECOND), NOTHING);
    assert_eq!(book.told(MINUTE), [["somebody else changed container/web: exec (2 times); stopped"]]);
    let mut messages = Vec::new();
    for _ in 0..30 {
        hear(&mut book, "exec");
        messages.extend(book.told(MINUTE));
    }
    assert_eq!(messages.len(), DEFAULT_HOURLY - 1, "{messages:#?}");
    assert_eq!(
        book.told(60 * MINUTE),
        [["somebody else changed container/web: exec (25 times)"]],
        "the rest is not lost"
    );
}

#[test]
fn a_flood_of_interference_takes_little_room_and_says_that_it_was_one() {
    let mut book = Book::new();
    for number in 0..5000 {
        book.ledger.hear(id(&format!("c{number}")), "exec".to_owned(), book.now, Timestamp::UNIX_EPOCH);
    }
    assert_eq!(book.ledger.interferences.len(), INTERFERENCES_MAX);
    let messages = book.told(MINUTE);
    let last = messages[0]
        .iter()
        .filter(|told| *told == "somebody else did more than is told one by one: 4500 times");
    assert_eq!(last.count(), 1);
}

#[test]
fn what_others_did_beside_is_told_by_itself_a_few_times_an_hour() {
    let mut book = Book::new();
    let (begun, mut told) = (book.now, Vec::new());
    for _ in 0..120 {
        book.ledger.hear_more(5, book.now);
        told.extend(book.told(MINUTE).concat());
        book.now += MINUTE;
    }
    let hours = (book.now - begun).as_secs() / 3600 + 1;
    assert!(told.len() as u64 <= hours * DEFAULT_HOURLY as u64, "{told:#?}");
    assert_eq!(told[0], "somebody else did more than is told one by one: 5 times");
    let count = |told: &String| told.split(' ').rev().nth(1)?.parse::<u64>().ok();
    let counted: u64 = told.iter().filter_map(count).sum();
    assert_eq!(counted + book.ledger.more.count, 600, "{told:#?}");
    let mut deaf = Book::on([Event::Failure].into());
    deaf.ledger.hear_more(5, deaf.now);
    assert_eq!(deaf.ledger.due(), None);
}

#[test]
fn what_is_well_and_was_told_long_ago_takes_no_room() {
    let mut book = Book::new();
    for number in 0..100 {
        book.fails(&format!("c{number}"));
    }
    book.told(MINUTE);
    for number in 0..100 {
        book.is_ready(&format!("c{number}"));
    }
    book.told(MINUTE);
    book.told(120 * MINUTE);
    book.look();
    assert!(book.ledger.entries.is_empty(), "{:?}", book.ledger.entries.keys());
}
