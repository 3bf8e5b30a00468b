//! The daemon's log, where nobody takes it.

use std::io::{PipeReader, PipeWriter, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::daemon::{Daemon, running};
use crate::support::{Host, docker, sleeper};

/// What a pipe holds (pipe(7)).
const PIPE: usize = 1 << 16;

/// A pipe that takes nothing more until somebody reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (read, write) = std::io::pipe().expect("a pipe");
    let full = Command::new("head")
        .args(["-c", &PIPE.to_string(), "/dev/zero"])
        .stdout(write.try_clone().expect("the same pipe"))
        .status();
    assert!(full.expect("head").success());
    (read, write)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_up_nothing_and_is_there_for_who_reads_it_late() {
    let host = Host::new("log").await;
    host.container("c", &sleeper(""));
    let (mut read, write) = full_pipe();
    let daemon = Daemon::start_unheard(&host, Stdio::from(write));
    daemon.until("it runs", || running(&host, "c"));
    docker(&["rm", "-f", &host.name("c")]);
    daemon.until("it runs again", || running(&host, "c"));
    let status = || {
        let status =
            Command::new(env!("CARGO_BIN_EXE_invigil")).args(["status", "--owner", &host.prefix]).output();
        status.expect("invigil").status.code()
    };
    daemon.until("all is well", || status() == Some(0));

    let (text, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = read.read_to_end(&mut bytes);
        let _ = text.send(bytes);
    });
    daemon.ends();
    let bytes = heard.recv_timeout(Duration::from_mins(1)).expect("the log");
    let text = String::from_utf8_lossy(&bytes[PIPE..]);
    // What others did may be told before its end or right after.
    assert!(text.contains("interfered with from outside"), "{text}");
    let heads = ["invigil starts", "ready", "invigil stops"];
    let mut rest: &str = &text;
    for head in heads {
        let at = rest.find(head).unwrap_or_else(|| panic!("no {head} in its place in\n{text}"));
        rest = &rest[at..];
    }
}

#[tokio::test]
async fn who_ends_does_not_wait_for_who_reads_no_log() {
    let host = Host::new("log-end").await;
    let (_read, write) = full_pipe();
    let daemon = Daemon::start_unheard(&host, Stdio::from(write));
    host.container("c", &sleeper(""));
    daemon.until("it runs", || running(&host, "c"));
    let begun = std::time::Instant::now();
    daemon.ends();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
