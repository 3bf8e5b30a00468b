//! What the daemon tells, on a real engine: a container that fails, its recovery, removals that are withheld, manifests that are
//! wrong; and that no pass waits for who is told.

use std::ffi::OsStr;
use std::path::Path;

use crate::daemon::{Daemon, running};
use crate::receiver::Receiver;
use crate::support::{Host, sleeper};

/// A daemon that notifies, with these arguments more.
fn daemon(host: &Host, more: &[&str]) -> Daemon {
    let state = host.state();
    let path: &Path = host.path();
    let arguments = ["--notify-gather", "300ms", "--max-removals", "0", "--state-dir"];
    let arguments = arguments.iter().map(OsStr::new).chain([state.as_os_str()]);
    let arguments: Vec<&OsStr> =
        arguments.chain(more.iter().map(OsStr::new)).chain([path.as_os_str()]).collect();
    Daemon::start_without_manifests(host, &arguments)
}

/// A container whose program is not there.
fn failing() -> String {
    sleeper("").replace("sleep", "nonesuch")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_fails_its_recovery_and_a_removal_that_is_withheld_are_told() {
    let host = Host::new("told").await;
    // What is not taken at first comes again.
    let receiver = Receiver::refusing(1);
    host.container("web", &failing());
    host.container("old", &sleeper(""));
    let daemon = daemon(&host, &["--notify-webhook", &format!("http://{}/", receiver.address)]);
    let (web, old) = (host.name("web"), host.name("old"));

    let failed = receiver.until(&format!("container/{web} failed"));
    assert!(failed.body.contains("nonesuch"), "why: {}", failed.body);
    let notice = &failed.json()["notices"][0];
    assert_eq!(
        (&notice["event"], &notice["subject"]),
        (&"failure".into(), &format!("container/{web}").into())
    );

    host.container("web", &sleeper(""));
    receiver.until(&format!("container/{web} is well again"));
    daemon.until("it runs", || running(&host, "web"));

    host.remove("old.yaml");
    let kept = receiver.until(&format!("container/{old} is kept"));
    assert!(
        kept.body.contains("no manifest describes it: 1 of 2 containers would be removed"),
        "{}",
        kept.body
    );
    assert!(running(&host, "old"), "law 4");

    host.write("typo.yaml", "apiVersion: invigil/v1\nkind: Contaner\nmetadata: {name: '@typo'}\n");
    receiver.until("the manifests are wrong: typo.yaml:2:7: kind: unknown kind");
    host.remove("typo.yaml");
    receiver.until("the manifests hold again");

    // Each once, though many passes saw it.
    let all: Vec<String> = receiver.posted().iter().map(|posted| posted.json()["text"].to_string()).collect();
    for told in [format!("{web} failed"), format!("{web} is well"), format!("{old} is kept")] {
        assert_eq!(all.iter().filter(|text| text.contains(&told)).count(), 1, "{told}: {all:#?}");
    }
    daemon.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pass_waits_for_a_server_that_never_answers_or_a_program_that_hangs() {
    let host = Host::new("deaf").await;
    let receiver = Receiver::silent();
    host.container("bad", &failing());
    let begun = host.path().join(".begun");
    let program = host.write("hangs", &format!("#!/bin/sh\n: > {}\nexec sleep 1000\n", begun.display()));
    std::process::Command::new("chmod").arg("755").arg(&program).status().expect("chmod");
    let url = format!("http://{}/", receiver.address);
    let program = program.display().to_string();
    let daemon = daemon(&host, &["--notify-webhook", &url, "--notify-program", &program]);
    daemon.until("both are told", || receiver.asked() == 1 && begun.exists());
    for name in ["aa", "bb", "cc"] {
        host.container(name, &sleeper(""));
        daemon.until(name, || running(&host, name));
    }
    assert_eq!(receiver.asked(), 1, "it still has the first in hand");
    daemon.ends();
}
