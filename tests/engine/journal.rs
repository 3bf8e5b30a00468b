//! The journal, by the program itself on a real engine: what was done stands in it, no secret does, and nothing waits for it.

use std::path::Path;
use std::process::{Command, Output};

use crate::daemon::Daemon;
use crate::support::{BUSYBOX, Host, docker, is_podman};

/// Not in the journal, whatever is done.
const CANARY: &str = "canary-7f3a";

fn invigil(host: &Host, state: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(arguments)
        .args(["--owner", &host.prefix, "--state-dir"])
        .arg(state)
        .output()
        .expect("invigil");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    output
}

fn apply(host: &Host, state: &Path) -> Output {
    invigil(host, state, &["apply", "--yes", &host.path().display().to_string()])
}

/// The journal without its times and durations, and with the test's prefix as `@`.
fn log(host: &Host, arguments: &[&str]) -> Vec<String> {
    let output = invigil(host, &host.state(), &[&["log"], arguments].concat());
    let text = host.shown(&String::from_utf8_lossy(&output.stdout));
    let without_time = |line: &str| line.split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    let is_duration = |word: &str| word.strip_suffix('s').is_some_and(|number| number.parse::<f64>().is_ok());
    text.lines()
        .map(|line| {
            let words = without_time(line);
            let words = words.split(' ').map(|word| if is_duration(word) { "TIME" } else { word });
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn web(host: &Host, memory: &str) {
    host.container(
        "web",
        &format!(
            "{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL, \
             env: {{DB_PASSWORD: {CANARY}, CLOUD_PORT: '4000'}}, resources: {{memory: {memory}}}}}"
        ),
    );
}

#[tokio::test]
async fn law_12_what_was_done_stands_in_the_journal_with_its_reasons_and_no_secret() {
    let host = Host::new("journal").await;
    web(&host, "64Mi");
    apply(&host, &host.state());
    // Nothing to do is no entry.
    apply(&host, &host.state());
    web(&host, "96Mi");
    apply(&host, &host.state());
    host.container("bad", &format!("{{image: '{BUSYBOX}', command: [/no/such/program]}}"));
    let failed = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["apply", "--yes", "--owner", &host.prefix, "--state-dir"])
        .args([&host.state(), host.path()])
        .status()
        .expect("invigil");
    assert!(!failed.success());
    host.remove("bad.yaml");
    invigil(&host, &host.state(), &["prune", "--yes", &host.path().display().to_string()]);

    let lines = log(&host, &[]);
    // On Podman another limit takes a new container.
    let verb = if is_podman() { "replace" } else { "update" };
    assert_eq!(
        lines[..5],
        [
            "journal journal begun",
            "apply   Plan: 1 to create; 0 unchanged.",
            &format!("apply   container/@web create done in TIME ({BUSYBOX})"),
            &format!("apply   Plan: 1 to {verb}; 0 unchanged."),
            &format!(
                "apply   container/@web {verb} done in TIME (resources.memory: 64Mi -> 96Mi; resources.memorySwap: 128Mi -> 192Mi)"
            ),
        ],
        "{lines:#?}"
    );
    assert!(
        lines[6].starts_with("apply   container/@bad create failed after TIME at `start @bad`: "),
        "{lines:#?}"
    );
    assert_eq!(
        lines[lines.len() - 2..],
        [
            "prune   Plan: 1 to remove; 1 unchanged.",
            "prune   container/@bad remove done in TIME (no longer in the manifests)"
        ]
    );
    assert_eq!(log(&host, &["--resource", &format!("container/{}", host.name("web"))]).len(), 2);
    assert_eq!(log(&host, &["--resource", &host.name("web")]).len(), 2);
    assert_eq!(log(&host, &["--resource", "elsewhere"]).len(), 0);
    assert_eq!((log(&host, &["-n", "1"]).len(), log(&host, &["--until", "1h"]).len()), (1, 0));

    let verified = invigil(&host, &host.state(), &["log", "--verify"]);
    let verified = String::from_utf8_lossy(&verified.stdout).into_owned();
    let head =
        verified.lines().last().and_then(|line| line.strip_prefix("head ")).expect("a head").to_owned();
    assert!(verified.starts_with(&format!("{} entries hold", lines.len())), "{verified}");
    invigil(&host, &host.state(), &["log", "--verify", "--head", &head]);

    for file in std::fs::read_dir(host.state()).expect("a directory") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("its bytes");
        assert!(!bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()));
    }
    // One changed byte.
    let file = host.state().join(format!("{}.journal.db", host.prefix));
    let mut bytes = std::fs::read(&file).expect("the journal");
    let at = bytes.windows(4).position(|part| part == b"96Mi").expect("an entry");
    bytes[at] = b'8';
    std::fs::write(&file, bytes).expect("a written file");
    let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["log", "--verify", "--owner", &host.prefix, "--state-dir"])
        .arg(host.state())
        .output()
        .expect("invigil");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("entry 5 is not what was written, or not where it was written"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

/// A file system of 1 MiB that is full.
struct Full(tempfile::TempDir);

impl Full {
    fn new() -> Self {
        let full = Self(tempfile::tempdir().expect("a directory"));
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(full.0.path());
        assert!(mount.status().expect("mount").success());
        // As much as there is room for.
        let _ = std::fs::write(full.fill(), vec![0; 2 << 20]);
        full
    }

    fn fill(&self) -> std::path::PathBuf {
        self.0.path().join("fill")
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_holds_up_neither_apply_nor_the_daemon() {
    let host = Host::new("journalfull").await;
    let full = Full::new();
    web(&host, "64Mi");
    let told = apply(&host, full.0.path());
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("warning: the journal is not written: "), "{told}");
    assert_eq!(host.inspect("web", "{{.State.Running}}"), "true");

    let daemon = Daemon::start_with_state(&host, full.0.path());
    docker(&["rm", "-f", &host.name("web")]);
    daemon.until("it runs again", || crate::daemon::running(&host, "web"));
    let status = || {
        let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
            .args(["status", "--owner", &host.prefix])
            .output()
            .expect("invigil");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    daemon.until("the status says so", || status().contains("the journal is not written: "));
    std::fs::remove_file(full.fill()).expect("room");
    daemon.until("it is written again", || !status().contains("the journal is not written"));
    assert!(daemon.said("the journal cannot be written; everything else goes on") > 0);
    let output = invigil(&host, full.0.path(), &["log"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("create done"), "{output:?}");
}
