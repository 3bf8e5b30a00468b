use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::{Span, Timestamp};
use rusqlite::Connection;

use super::store::{Line, Store};
use super::*;
use crate::resource::quantity::ByteSize;

const PATIENCE: Duration = Duration::from_mins(1);

fn journal(dir: &Path) -> Journal {
    Journal::of(&dir.join("state"), &"exam".parse().unwrap())
}

fn done(resource: &str, action: &str) -> Entry {
    Entry {
        time: Timestamp::from_second(1_530_866_040).unwrap(),
        by: By::Daemon,
        revision: None,
        resource: Some(resource.parse().unwrap()),
        what: What::Done {
            action: action.to_owned(),
            detail: String::new(),
            reasons: vec![Reason {
                field: "image".to_owned(),
                from: Some("nginx:1.14".to_owned()),
                to: Some("nginx:1.15".to_owned()),
            }],
            took_ms: 420,
        },
    }
}

/// A journal with these entries, after the one with which it begins.
fn written(dir: &Path, count: usize) -> Journal {
    let journal = journal(dir);
    let lines: Vec<Line> =
        (0..count).map(|n| Line::of(done(&format!("container/seat-{n:02}"), "replace"))).collect();
    Store::open(&journal).unwrap().append(&lines).unwrap();
    journal
}

/// Changes the database past Invigil.
fn tampered(journal: &Journal, sql: &str) -> String {
    Connection::open(journal.file()).unwrap().execute_batch(sql).unwrap();
    journal
        .verify(None)
        .map_or_else(|broken| broken.to_string(), |verified| format!("{} hold", verified.entries))
}

fn told(journal: &Journal) -> Vec<String> {
    let rows = journal.recent(100, None).unwrap();
    rows.iter().map(|row| format!("{} {}", row.head.seq, row.entry().unwrap())).collect()
}

#[test]
fn what_was_noted_is_read_again_in_order_and_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    assert_eq!(told(&journal), Vec::<String>::new());
    let writer = Writer::begin(journal.clone(), Limits::default(), true);
    writer.note(done("container/web", "replace"));
    writer.note(done("network/exam", "create"));
    assert_eq!((writer.close(PATIENCE), writer.trouble()), (None, None));
    let replaced = "container/web replace done in 0.42s (image: nginx:1.14 -> nginx:1.15)";
    assert_eq!(
        told(&journal),
        [
            "1 journal begun".to_owned(),
            format!("2 {replaced}"),
            "3 network/exam create done in 0.42s (image: nginx:1.14 -> nginx:1.15)".to_owned(),
        ]
    );
    let of_web = journal.recent(100, Some(&"container/web".parse().unwrap())).unwrap();
    assert_eq!(
        of_web[0].body,
        r#"{"by":"daemon","resource":"container/web","time":"2018-07-06T08:34:00Z","what":{"action":"replace","event":"done","reasons":[{"field":"image","from":"nginx:1.14","to":"nginx:1.15"}],"tookMs":420}}"#
    );
    assert_eq!((of_web.len(), journal.recent(1, None).unwrap()[0].head), (1, writer.head().unwrap()));
    assert_eq!(journal.verify(writer.head().as_ref()).unwrap().entries, 3);
    for file in fs::read_dir(dir.path().join("state")).unwrap() {
        let metadata = file.unwrap().metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn one_changed_byte_is_found_or_changes_nothing_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let journal = written(dir.path(), 5);
    let bytes = fs::read(journal.file()).unwrap();
    let before = told(&journal);
    let (mut found, mut harmless) = (0, 0);
    // Of the room that nothing is in, a sample.
    for at in (0..bytes.len()).filter(|at| bytes[*at] != 0 || at % 64 == 0) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(journal.file(), &changed).unwrap();
        if journal.verify(None).is_err() {
            found += 1;
        } else {
            assert_eq!(told(&journal), before, "byte {at}");
            harmless += 1;
        }
        for beside in ["exam.journal.db-wal", "exam.journal.db-shm"] {
            let _ = fs::remove_file(dir.path().join("state").join(beside));
        }
    }
    // Every byte of an entry is among those found: what is left is room that nothing is in.
    let told: usize =
        journal.recent(100, None).unwrap_or_default().iter().map(|row| row.body.len() + 32).sum();
    assert!(found > told && harmless > 0, "{found} found, {harmless} harmless, {told} told");
}

#[test]
fn what_was_changed_taken_out_moved_or_cut_off_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let whole = written(dir.path(), 9);
    let noted = whole.verify(None).unwrap().head;
    let bytes = fs::read(whole.file()).unwrap();
    let after = |sql: &str| {
        fs::write(whole.file(), &bytes).unwrap();
        tampered(&whole, sql)
    };
    assert_eq!(after(""), "10 hold");
    let changed = "entry 4 is not what was written, or not where it was written";
    assert_eq!(after("UPDATE entries SET body = replace(body, '1.15', '1.16') WHERE seq = 4"), changed);
    assert_eq!(after("DELETE FROM entries WHERE seq = 4"), "entries 4 to 4 are missing");
    assert_eq!(
        after(
            "UPDATE entries SET seq = -1 WHERE seq = 4; UPDATE entries SET seq = 4 WHERE seq = 5; UPDATE entries SET seq = 5 WHERE seq = -1"
        ),
        changed
    );
    assert_eq!(after("UPDATE entries SET hash = zeroblob(32) WHERE seq = 4"), changed);
    let listed = "entry 4 is listed under another time or resource than it says";
    assert_eq!(after("UPDATE entries SET resource = 'container/other' WHERE seq = 4"), listed);
    assert_eq!(after("UPDATE entries SET time = 0 WHERE seq = 4"), listed);
    assert_eq!(after("DELETE FROM entries WHERE seq > 7"), "entries 8 to 10 are missing");
    assert_eq!(after("DELETE FROM ends"), "entry 10 is not the one with which the chain ended");
    // Its first ones removed, as if retention had.
    let removed = "DELETE FROM entries WHERE seq < 4; INSERT INTO ends SELECT 'removed', 3, hash FROM entries WHERE seq = 4";
    assert!(after(removed).starts_with("entry 4 is not what was written"));
    let removed = "INSERT INTO ends SELECT 'removed', 3, hash FROM entries WHERE seq = 3; DELETE FROM entries WHERE seq < 4";
    assert_eq!(after(removed), "the entries up to 3 are missing, and none says that retention removed them");
    // Its end cut off by somebody who knows the form: the head that was noted elsewhere tells.
    let cut = "DELETE FROM entries WHERE seq > 7; UPDATE ends SET seq = 7, hash = (SELECT hash FROM entries WHERE seq = 7)";
    assert_eq!(after(cut), "7 hold");
    assert_eq!(
        whole.verify(Some(&noted)).unwrap_err().to_string(),
        "entry 10 is missing, whose head was noted; the chain ends with 7"
    );
    let other: Head = format!("7:{}", "a".repeat(64)).parse().unwrap();
    assert_eq!(
        whole.verify(Some(&other)).unwrap_err().to_string(),
        "entry 7 is not the one whose head was noted"
    );
    assert!("7:x".parse::<Head>().is_err() && noted.to_string().parse::<Head>().unwrap() == noted);
}

#[test]
fn the_oldest_go_beyond_the_limits_and_the_chain_goes_on_from_them() {
    let dir = tempfile::tempdir().unwrap();
    let journal = written(dir.path(), 3000);
    let now = Timestamp::from_second(1_530_866_040).unwrap();
    let size = || fs::metadata(journal.file()).unwrap().len();
    let before = size();
    let limits = |max_age, max_size| Limits { max_age, max_size: ByteSize::from_bytes(max_size) };
    let hold = |limits: Limits, now| limits.hold(&mut Store::open(&journal).unwrap(), now).unwrap();
    hold(limits(Duration::from_hours(1), 1 << 30), now);
    assert_eq!(journal.verify(None).unwrap().removed, 0);

    hold(limits(Duration::from_hours(1), before / 2), now);
    let halved = journal.verify(None).unwrap();
    assert!(halved.removed > 1500 && halved.entries < 1500 && size() < before * 6 / 10, "{halved:?}");
    assert_eq!(
        told(&journal).last().unwrap(),
        &format!("3002 {} old entries removed, the last of them {}", halved.removed, halved.removed)
    );

    // A clock that jumps ahead makes everything old: the last thousand stay.
    hold(limits(Duration::from_hours(1), 1 << 30), now + Span::new().hours(2));
    let verified = journal.verify(None).unwrap();
    assert_eq!((verified.removed, verified.entries, verified.head.seq), (2002, 1001, 3003));
    let gone: Head = format!("5:{}", "a".repeat(64)).parse().unwrap();
    assert_eq!(
        journal.verify(Some(&gone)).unwrap_err().to_string(),
        "entry 5 was removed by retention, and cannot be compared with the head that was noted"
    );
}

#[test]
fn a_damaged_journal_is_put_aside_and_the_new_one_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let aside = |state: &Path| {
        let names = fs::read_dir(state).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("damaged")).collect::<BTreeSet<String>>()
    };
    let note = |journal: &Journal, checked| {
        let writer = Writer::begin(journal.clone(), Limits::default(), checked);
        writer.note(done("container/web", "replace"));
        assert_eq!(writer.close(PATIENCE), None);
        let broken = writer.broken().unwrap();
        assert!(broken.contains("; the one before is kept as exam.journal.damaged-20"), "{broken}");
        assert!(told(journal)[0].ends_with(&broken), "{broken}");
        // Told until a head from after it was noted.
        let verified = journal.verify(None).unwrap();
        assert!(verified.broken.is_some_and(|broken| broken.seq == 1 && !broken.is_known));
        assert!(journal.verify(Some(&verified.head)).unwrap().broken.unwrap().is_known);
    };
    for (times, checked, damage) in [
        // No database.
        (1, false, None),
        // Lost its end: seen by whoever adds to it.
        (2, false, Some("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)")),
        // Changed: seen by a daemon, when it begins.
        (3, true, Some("UPDATE entries SET body = replace(body, 'web', 'wob') WHERE seq = 2")),
        (4, true, Some("DROP TABLE ends")),
        (5, false, Some("ALTER TABLE entries RENAME COLUMN body TO text")),
    ] {
        let journal = written(dir.path(), 1);
        match damage {
            None => fs::write(journal.file(), vec![b'x'; 5000]).unwrap(),
            Some(sql) => drop(tampered(&journal, sql)),
        }
        note(&journal, checked);
        let names = aside(&state);
        assert_eq!(names.len(), times, "{names:?}");
        let lines = told(&journal);
        assert!(
            lines[0].starts_with("1 journal begun: ")
                && lines[0].contains("; the one before is kept as exam.journal.damaged-20"),
            "{lines:?}"
        );
        assert_eq!((lines.len(), journal.verify(None).unwrap().entries), (2, 2));
    }
    // What another version wrote is not touched.
    let journal = journal(dir.path());
    tampered(&journal, "PRAGMA user_version = 2");
    let writer = Writer::begin(journal.clone(), Limits::default(), true);
    writer.note(done("container/web", "replace"));
    assert_eq!(
        writer.close(PATIENCE).unwrap(),
        "the journal was written by another version of Invigil (form 2); 1 entries are lost"
    );
    assert_eq!(aside(&state).len(), 5);
}

#[test]
fn no_journal_does_not_hold() {
    let dir = tempfile::tempdir().unwrap();
    let absent = "there is no journal: either nothing was done yet, or it was removed";
    let journal = journal(dir.path());
    assert_eq!(journal.verify(None).unwrap_err().to_string(), absent);
    written(dir.path(), 1);
    let emptied = "the journal is damaged: not even the entry with which it begins is there";
    assert_eq!(tampered(&journal, "DELETE FROM entries; DELETE FROM ends"), emptied);
    fs::write(journal.file(), "").unwrap();
    assert_eq!(journal.verify(None).unwrap_err().to_string(), absent);
}

#[test]
fn a_journal_that_goes_away_while_it_is_written_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let cut = "DELETE FROM entries WHERE seq > 1; UPDATE ends SET seq = 1, hash = (SELECT hash FROM entries)";
    let removed = |journal: &Journal| fs::remove_file(journal.file()).unwrap();
    let emptied = |journal: &Journal| fs::write(journal.file(), "").unwrap();
    let cut_off = |journal: &Journal| drop(tampered(journal, cut));
    for harm in [&removed as &dyn Fn(&Journal), &emptied, &cut_off] {
        let journal = journal(dir.path());
        let _ = fs::remove_file(journal.file());
        let writer = Writer::begin(journal.clone(), Limits::default(), true);
        let written = |count: u64| {
            writer.note(done("container/web", "replace"));
            while writer.head().is_none_or(|head| head.seq != count) {
                std::thread::yield_now();
            }
            // It has the journal to itself until it is at the end of its turn.
            drop(Store::open(&journal).unwrap());
        };
        // Another process adds to it, which is no harm.
        written(2);
        Store::open(&journal).unwrap().append(&[Line::of(done("container/web", "create"))]).unwrap();
        written(4);
        assert_eq!(writer.broken(), None);
        let head = writer.head().unwrap();
        harm(&journal);
        written(3);
        let says =
            format!("the journal whose entry 4 has the hash {} is not in this one any more", head.hash());
        assert_eq!((told(&journal)[1].clone(), writer.broken()), (format!("2 {says}"), Some(says.clone())));
        let broken = journal.verify(None).unwrap().broken.unwrap();
        assert_eq!((broken.seq, broken.says), (2, says));
        // Once.
        written(4);
        assert_eq!((told(&journal).len(), writer.close(PATIENCE)), (4, None));
    }
}

#[test]
fn what_is_written_is_written_once_where_the_oldest_cannot_be_removed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = written(dir.path(), 3000);
    let keep = "CREATE TRIGGER keep BEFORE DELETE ON entries BEGIN SELECT RAISE(FAIL, 'kept'); END";
    assert_eq!(tampered(&journal, keep), "3001 hold");
    let small = Limits { max_size: ByteSize::from_bytes(64 << 10), ..Limits::default() };
    let writer = Writer::begin(journal.clone(), small, false);
    for count in 1..=3 {
        writer.note(done("container/web", "replace"));
        while writer.head().is_none_or(|head| head.seq != 3001 + count) || writer.trouble().is_none() {
            std::thread::yield_now();
        }
    }
    let kept = "it is, but its oldest entries cannot be removed: kept";
    assert_eq!((writer.trouble().as_deref(), writer.close(PATIENCE)), (Some(kept), None));
    assert_eq!(journal.verify(None).unwrap().entries, 3004);
}

#[test]
fn damage_that_only_the_removal_of_old_entries_meets_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let journal = written(dir.path(), 3000);
    let mut bytes = fs::read(journal.file()).unwrap();
    let first = bytes.windows(15).position(|part| part == br#""event":"begun""#).unwrap() / 4096 * 4096;
    bytes[first..first + 4096].fill(b'x');
    fs::write(journal.file(), bytes).unwrap();
    let small = Limits { max_size: ByteSize::from_bytes(64 << 10), ..Limits::default() };
    let writer = Writer::begin(journal.clone(), small, false);
    writer.note(done("container/web", "replace"));
    assert_eq!((writer.close(PATIENCE), writer.trouble()), (None, None));
    assert!(writer.broken().unwrap().contains("; the one before is kept as exam.journal.damaged-"));
    assert_eq!(journal.verify(None).unwrap().entries, 1);
}

#[test]
fn the_state_directory_may_be_reached_by_a_link_and_the_journal_itself_is_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    std::os::unix::fs::symlink("data", dir.path().join("state")).unwrap();
    let journal = written(dir.path(), 2);
    assert_eq!((told(&journal).len(), journal.verify(None).unwrap().entries), (3, 3));

    let data = dir.path().join("data");
    fs::rename(data.join("exam.journal.db"), data.join("other.db")).unwrap();
    std::os::unix::fs::symlink("other.db", data.join("exam.journal.db")).unwrap();
    assert!(Store::open(&journal).is_err() && journal.verify(None).is_err());
}

#[test]
fn several_that_find_it_damaged_put_one_aside() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let journal = written(dir.path(), 1);
        fs::write(journal.file(), vec![b'x'; 5000]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let line = Line::of(done("container/web", "replace"));
                scope.spawn(|| Store::open(&journal).unwrap().append(&[line]).unwrap());
            }
        });
        assert_eq!(journal.verify(None).unwrap().entries, 9);
        let names = fs::read_dir(dir.path().join("state")).unwrap();
        let aside = names.filter(|name| {
            let name = name.as_ref().unwrap().file_name().into_string().unwrap();
            name.contains("damaged") && !name.contains(".db-")
        });
        assert_eq!(aside.count(), 1);
    }
}

#[test]
fn where_nothing_can_be_written_nobody_waits_and_what_is_lost_is_told_as_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    // As root, a file in a directory's place is what stops one.
    fs::write(dir.path().join("state"), "").unwrap();
    let writer = Writer::begin(journal.clone(), Limits::default(), false);
    let mut long = done("container/web", "replace");
    if let What::Done { detail, .. } = &mut long.what {
        *detail = "x".repeat(3000);
    }
    for _ in 0..3000 {
        writer.note(long.clone());
    }
    let lost = loop {
        match writer.trouble() {
            Some(trouble) if trouble.contains("lost") => break trouble,
            _ => std::thread::yield_now(),
        }
    };
    let (why, lost) = lost.split_once("; ").unwrap();
    assert_eq!((why, lost.ends_with(" entries are lost")), ("File exists (os error 17)", true));
    let lost: u64 = lost.split(' ').next().unwrap().parse().unwrap();
    assert!((500..2900).contains(&lost), "{lost}");
    fs::remove_file(dir.path().join("state")).unwrap();
    while writer.trouble().is_some() {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(writer.close(PATIENCE), None);
    let verified = journal.verify(None).unwrap();
    // It begins, and has one gap.
    assert_eq!(verified.entries, 3000 - lost + 2);
    let mut gaps = 0;
    journal
        .read(&Query::default(), |row| {
            let entry = row.entry().unwrap();
            gaps += u64::from(matches!(entry.what, What::Gap { lost: told, .. } if told == lost));
            // Bounded, and an end that says so.
            assert!(row.body.len() < 2600);
            true
        })
        .unwrap();
    assert_eq!(gaps, 1);
}

#[test]
fn several_write_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let writers: Vec<Writer> =
        (0..4).map(|_| Writer::begin(journal.clone(), Limits::default(), false)).collect();
    for n in 0..50 {
        for writer in &writers {
            writer.note(done(&format!("container/seat-{n:02}"), "replace"));
        }
        // Several transactions each.
        std::thread::yield_now();
    }
    assert!(writers.iter().all(|writer| writer.close(PATIENCE).is_none()));
    assert_eq!(journal.verify(None).unwrap().entries, 201);
}

#[test]
fn law_11_a_writer_that_is_killed_leaves_a_journal_that_holds() {
    const DIR: &str = "INVIGIL_TEST_JOURNAL_OF_ONE_THAT_IS_KILLED";
    // This program once more, as the one that is killed.
    if let Some(dir) = std::env::var_os(DIR) {
        let small = Limits { max_size: ByteSize::from_bytes(256 << 10), ..Limits::default() };
        let writer = Writer::begin(journal(Path::new(&dir)), small, false);
        loop {
            writer.note(done("container/web", "replace"));
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let mut before = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::law_11_a_writer_that_is_killed_leaves_a_journal_that_holds"])
            .env(DIR, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // At another moment each time: after so many more entries.
        let head = || journal.recent(1, None).ok().and_then(|rows| Some(rows.last()?.head.seq)).unwrap_or(0);
        while head() <= before + round * round * 3 {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        before = journal.verify(None).unwrap().head.seq;
    }
    let names: Vec<_> =
        fs::read_dir(dir.path().join("state")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("damaged")), "{names:?}");
    assert!(journal.verify(None).unwrap().removed > 0);
}
