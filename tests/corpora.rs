//! What the fuzzers found and kept (`fuzz/corpus/`), read again by the functions that they call: without
//! a panic, without a hang, in bounded memory. `make fuzz` looks for more.
#![allow(dead_code, reason = "the exam server uses more of its modules")]

#[path = "../fuzz/targets/engine.rs"]
mod engine;
#[path = "../src/bin/invigil-exam/language.rs"]
mod language;
#[path = "../fuzz/targets/legacy.rs"]
mod legacy;
#[path = "../fuzz/targets/manifests.rs"]
mod manifests;
#[path = "../fuzz/targets/notations.rs"]
mod notations;
#[path = "../src/bin/invigil-exam/page.rs"]
mod page;
#[path = "../fuzz/targets/paper.rs"]
mod paper;
#[path = "../src/bin/invigil-exam/text.rs"]
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Far more than any input of a corpus takes, on however slow a machine.
const TIME_MAX: Duration = Duration::from_secs(10);
/// What all of the corpora may take together.
const MEMORY_MAX_KIB: u64 = 512 << 10;

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpora().join(target)).expect("a corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Reads every input on a thread of its own, whose stack is as small as the daemon's threads have it.
fn replay(target: &'static str, run: fn(&[u8])) {
    let files = inputs(target);
    assert!(files.len() > 10, "the corpus of {target} is not there");
    for file in files {
        let input = fs::read(&file).expect("an input");
        let (done, wait) = mpsc::channel();
        let reader = thread::spawn(move || {
            run(&input);
            // Nobody listens any more if it took too long.
            let _ = done.send(());
        });
        match wait.recv_timeout(TIME_MAX) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => panic!("{} takes too long", file.display()),
            Err(RecvTimeoutError::Disconnected) => {
                assert!(reader.join().is_ok(), "{} is not survived", file.display());
            }
        }
    }
    if let Some(peak) = peak_kib() {
        assert!(peak <= MEMORY_MAX_KIB, "{target} took {peak} KiB");
    }
}

/// The most memory that this process ever had: proc(5)'s `VmHWM`.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

macro_rules! corpora {
    ($($target:ident),* $(,)?) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), $target::run);
            }
        )*
    };
}

corpora!(engine, legacy, manifests, notations, paper);

#[test]
fn every_corpus_is_replayed() {
    let entries = fs::read_dir(corpora()).expect("the corpora");
    let found: BTreeSet<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    let run: BTreeSet<String> = TARGETS.iter().map(|target| (*target).to_owned()).collect();
    assert_eq!(found, run);
}
