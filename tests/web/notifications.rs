//! A daemon tells what happens, to a server that takes it, not at once, or not at all.

use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

use invigil::resource::digest::hmac_hex;

use crate::daemon::Daemon;
use crate::http::get;
use crate::receiver::Receiver;
use crate::repository::git;

/// How long something may take to come true; far more than it does.
const PATIENCE: Duration = Duration::from_mins(1);
const SECRET: &str = "canary: a secret of this test";

/// A daemon without an engine, which is worth a notice, and with these arguments. `HOME` in them is a directory in which
/// `secret` is a file.
fn daemon(name: &str, arguments: &[&str]) -> Daemon {
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().display().to_string();
    std::fs::create_dir(home.path().join("manifests")).expect("a directory");
    std::fs::write(home.path().join("secret"), format!("{SECRET}\n")).expect("a file");
    let of_all = ["HOME/manifests", "--notify-gather", "300ms"];
    let arguments: Vec<OsString> =
        of_all.iter().chain(arguments).map(|argument| argument.replace("HOME", &directory).into()).collect();
    let arguments: Vec<_> = arguments.iter().map(OsString::as_os_str).collect();
    Daemon::with(name, home, &arguments)
}

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a daemon counts of a target's notifications, once it is not nothing.
fn counted(daemon: &Daemon, target: &str, result: &str) -> String {
    let begins = format!("invigil_notifications_total{{target=\"{target}\",result=\"{result}\"}} ");
    let count = || {
        let metrics = get(daemon.address, "/metrics").body;
        metrics.lines().find_map(|line| line.strip_prefix(&begins)).expect("a count").to_owned()
    };
    until(&begins, || count() != "0");
    count()
}

#[test]
fn a_webhook_is_posted_what_happens_signed_as_the_large_forges_sign() {
    // Not taken at first: it comes again, the same.
    let receiver = Receiver::refusing(1);
    let url = format!("http://{}/canary-of-the-path?room=2", receiver.address);
    let arguments = ["--notify-webhook", &url, "--notify-webhook-secret-file", "HOME/secret"];
    let daemon = daemon("posted", &[&arguments[..], &["--log-level", "trace"]].concat());
    let posted = receiver.until("not everything can be looked at");
    assert!(posted.head.starts_with("POST /canary-of-the-path?room=2 HTTP/1.1\n"), "{}", posted.head);
    assert_eq!(posted.header("content-type"), Some("application/json"));
    assert_eq!(posted.header("host"), Some(&*receiver.address.to_string()));
    let digest = hmac_hex(SECRET.as_bytes(), posted.body.as_bytes());
    assert_eq!(posted.header("x-hub-signature-256"), Some(&*format!("sha256={digest}")));
    let message = posted.json();
    assert_eq!(posted.header("x-invigil-delivery"), message["id"].as_str());
    assert_eq!(message["owner"], daemon.owner);
    assert_eq!(message["test"], false);
    assert_eq!(message["notices"][0]["event"], "failure");
    assert_eq!(message["notices"][0]["subject"], "passes");
    let what = message["notices"][0]["what"].as_str().expect("why");
    assert!(what.starts_with("no engine answers at "), "{what}");
    assert_eq!(message["text"], format!("not everything can be looked at: {what}"));
    assert!(!posted.body.contains("canary"), "{}", posted.body);
    assert_eq!(counted(&daemon, "webhook", "sent"), "1");
    assert_eq!(receiver.asked(), 2);
    until("the log", || daemon.log().contains("notifications arrive again"));
    let log = daemon.log();
    let told = format!("http://{} answers 503 Service Unavailable", receiver.address);
    assert!(
        log.contains("a notification does not arrive, and is sent again") && log.contains(&told),
        "{log}"
    );
    assert!(!log.contains("canary"), "law 12: {log}");
}

#[test]
fn a_collector_is_told_each_pass_as_a_trace_and_waited_for_by_nobody() {
    let receiver = Receiver::refusing(1);
    let url = format!("http://{}/canary", receiver.address);
    let daemon = daemon("traced", &["--opentelemetry-endpoint", &url]);
    let posted = receiver.until("resourceSpans");
    assert!(posted.head.starts_with("POST /canary/v1/traces HTTP/1.1\n"), "{}", posted.head);
    assert_eq!(posted.header("content-type"), Some("application/json"));
    let told = &posted.json()["resourceSpans"][0];
    let owner = &told["resource"]["attributes"][2];
    assert_eq!(
        (&owner["key"], &owner["value"]["stringValue"]),
        (&"invigil.owner".into(), &daemon.owner.clone().into())
    );
    let spans = &told["scopeSpans"][0]["spans"];
    assert_eq!((&spans[0]["name"], &spans[1]["name"]), (&"look".into(), &"pass".into()));
    assert_eq!(spans[1]["status"]["message"], "blind");
    until("the log", || daemon.log().contains("traces arrive again"));
    let log = daemon.log();
    assert!(log.contains("traces do not arrive") && !log.contains("canary"), "{log}");
}

#[test]
fn a_revision_that_is_refused_and_a_repository_that_is_away_are_told_and_that_it_is_over() {
    let receiver = Receiver::refusing(0);
    let (work, home) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let repository = work.path().join("exams");
    std::fs::create_dir(&repository).expect("a directory");
    let volume = "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: answers}\n";
    std::fs::write(repository.join("a.yaml"), volume).expect("a file");
    git(&repository, &["init", "--quiet", "--initial-branch=main"]);
    git(&repository, &["add", "a.yaml"]);
    git(&repository, &["commit", "--quiet", "-m", "first"]);
    let url = format!("http://{}/", receiver.address);
    let arguments = ["--every", "200ms", "--notify-gather", "300ms", "--notify-webhook", &url, "--git"];
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).chain([repository.as_os_str()]).collect();
    let _daemon = Daemon::with("refused", home, &arguments);
    receiver.until("no engine answers");

    git(&repository, &["rm", "--quiet", "a.yaml"]);
    git(&repository, &["commit", "--quiet", "-m", "second"]);
    let revision = git(&repository, &["rev-parse", "HEAD"]);
    let refused = receiver.until(&format!("revision {} is refused: ", &revision[..12]));
    let notice = &refused.json()["notices"][0];
    assert_eq!((&notice["event"], &notice["subject"]), (&"source".into(), &"git".into()), "{notice}");

    std::fs::write(repository.join("a.yaml"), volume).expect("a file");
    git(&repository, &["add", "a.yaml"]);
    git(&repository, &["commit", "--quiet", "-m", "third"]);
    receiver.until("the manifests' repository is well again");

    std::fs::rename(&repository, work.path().join("away")).expect("a rename");
    receiver.until_again("the manifests' repository is not followed: ", 2);
    std::fs::rename(work.path().join("away"), &repository).expect("a rename");
    receiver.until_again("the manifests' repository is well again", 2);
    let git: Vec<String> = receiver.posted().iter().map(|one| one.json()["text"].to_string()).collect();
    let told = git.iter().filter(|text| text.contains("is not followed") || text.contains("well again"));
    assert_eq!(told.count(), 4, "each once: {git:#?}");
}

#[test]
fn a_repository_that_takes_long_to_answer_is_told() {
    // The kernel takes the connection, and nobody reads from it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("git://{}/exams.git", silent.local_addr().expect("an address"));
    let home = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::with("slow", home, &["--git", &url].map(OsStr::new));
    let told = format!("{url} has been fetched for 20 s, and that is not over");
    until(&told, || daemon.log().contains(&told));
    assert!(get(daemon.address, "/metrics").body.contains("\ninvigil_source_trouble 1\n"));
    assert!(get(daemon.address, "/v1/status").body.contains(&told));
}

#[test]
fn a_server_that_never_answers_keeps_nobody() {
    let receiver = Receiver::silent();
    let url = format!("http://{}/", receiver.address);
    let daemon = daemon("silent", &["--notify-webhook", &url, "--interval", "100ms"]);
    until("it is asked", || receiver.asked() > 0);
    // It has the message in hand; passes go on.
    let passes = || {
        let metrics = get(daemon.address, "/metrics").body;
        let blind =
            metrics.lines().find_map(|line| line.strip_prefix("invigil_passes_total{result=\"blind\"} "));
        blind.expect("a count").parse::<u64>().expect("a number")
    };
    let before = passes();
    until("passes go on", || passes() >= before + 3);
    assert_eq!(receiver.asked(), 1);
}
