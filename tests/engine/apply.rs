//! `invigil apply`, the program itself, on a real engine: what becomes of a pass when whoever started it goes away.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{BUSYBOX, Host, docker};

/// A program that takes 3 s to stop.
fn stubborn(seconds: u32) -> String {
    format!("{{image: '{BUSYBOX}', command: [sleep, '{seconds}'], stopTimeout: 3s, update: {{monitor: 1s}}}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_an_apply_whose_terminal_goes_away_ends_what_it_began() {
    let host = Host::new("hangup").await;
    host.container("c", &stubborn(1000));
    host.apply().await;
    host.container("c", &stubborn(2000));
    let mut apply = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["apply", "--yes", "--owner", &host.prefix, "--state-dir"])
        .arg(host.state())
        .arg(host.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("invigil");
    let mine = format!("name={}", host.prefix);
    let begun = Instant::now();
    while docker(&["ps", "-aq", "--filter", &mine]).lines().count() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(30), "no successor");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(500));
    // A shell and its terminal both say so.
    for _ in 0..2 {
        let sent = Command::new("kill").args(["-HUP", &apply.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(apply.wait().expect("an end").code(), Some(0));
    assert_eq!(host.inspect("c", "{{index .Config.Cmd 1}} {{.State.Status}}"), "2000 running");
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
}
