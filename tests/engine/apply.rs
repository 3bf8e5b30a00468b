//! `invigil apply`, the program itself, on a real engine: what becomes of a pass when whoever started it goes away.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{BUSYBOX, Host, docker};

/// A program that says when it is asked to stop, and takes 4 s.
fn stubborn(version: u32) -> String {
    let program = "trap 'echo asked' TERM; while :; do sleep 1; done";
    format!(
        "{{image: '{BUSYBOX}', command: [sh, -c, \"{program}\", '{version}'], stopTimeout: 4s, update: {{monitor: 1s}}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_an_apply_whose_terminal_goes_away_ends_what_it_began() {
    let host = Host::new("hangup").await;
    host.container("c", &stubborn(1));
    host.apply().await;
    host.container("c", &stubborn(2));
    let mut apply = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["apply", "--yes", "--owner", &host.prefix, "--state-dir"])
        .arg(host.state())
        .arg(host.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("invigil");
    let begun = Instant::now();
    while docker(&["logs", &host.name("c")]) != "asked" {
        assert!(begun.elapsed() < Duration::from_mins(1), "it is not stopped");
        std::thread::sleep(Duration::from_millis(50));
    }
    // A shell and its terminal both say so.
    for _ in 0..2 {
        let sent = Command::new("kill").args(["-HUP", &apply.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(apply.wait().expect("an end").code(), Some(0));
    assert_eq!(host.inspect("c", "{{index .Config.Cmd 3}} {{.State.Status}}"), "2 running");
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
}
