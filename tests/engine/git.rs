//! `invigil run --git` on a real engine: what is committed runs, and what may not, or cannot be fetched, changes nothing.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::daemon::{Daemon, look, running};
use crate::repository::git;
use crate::support::{Host, docker, sleeper};

/// A bare repository beside a host whose manifests' directory is somebody's clone of it.
struct Forge {
    home: tempfile::TempDir,
}

impl Forge {
    fn of(host: &Host) -> Self {
        let forge = Self { home: tempfile::tempdir().expect("a directory") };
        let bare = forge.bare();
        git(
            host.path(),
            &["init", "--quiet", "--bare", "--initial-branch=main", bare.to_str().expect("text")],
        );
        git(host.path(), &["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(host.path().join(".gitignore"), ".state\n").expect("a file");
        forge
    }

    fn bare(&self) -> PathBuf {
        self.home.path().join("exams.git")
    }

    /// Commits and pushes everything, and gives the commit's short id.
    fn commit(&self, host: &Host, message: &str) -> String {
        git(host.path(), &["add", "--all"]);
        git(host.path(), &["commit", "--quiet", "--allow-empty", "-m", message]);
        self.push(host)
    }

    fn push(&self, host: &Host) -> String {
        let bare = self.bare();
        git(host.path(), &["push", "--quiet", "--force", bare.to_str().expect("text"), "HEAD:main"]);
        git(host.path(), &["rev-parse", "--short=12", "HEAD"])
    }

    /// Makes a program of this name, and gives the path of programs on which it comes first.
    fn program(&self, name: &str, script: &str) -> String {
        let bin = self.home.path().join("bin");
        std::fs::create_dir_all(&bin).expect("a directory");
        // At one blow: it may be run at any moment.
        let beside = bin.join("new");
        std::fs::write(&beside, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        std::fs::rename(&beside, bin.join(name)).expect("a name");
        format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"))
    }

    fn daemon(&self, host: &Host, more: &[&str]) -> Daemon {
        self.daemon_on(host, more, &std::env::var("PATH").expect("a path"))
    }

    fn daemon_on(&self, host: &Host, more: &[&str], path: &str) -> Daemon {
        let (bare, state) = (self.bare(), host.state());
        let mut arguments = vec![
            OsStr::new("--git"),
            bare.as_os_str(),
            "--every".as_ref(),
            "1s".as_ref(),
            "--state-dir".as_ref(),
        ];
        arguments.push(state.as_os_str());
        arguments.extend(more.iter().map(OsStr::new));
        Daemon::start_with_path(host, &arguments, path)
    }
}

/// What the daemon says of its repository.
fn source(host: &Host) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["status", "-o", "json", "--owner", &host.prefix])
        .output()
        .expect("invigil");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    status["source"].clone()
}

/// What a command says that needs no daemon.
fn invigil(host: &Host, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(arguments)
        .args(["--owner", &host.prefix, "--state-dir"])
        .arg(host.state())
        .output()
        .expect("invigil");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What `invigil status` shows to people.
fn invigil_status(host: &Host) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["status", "--owner", &host.prefix])
        .output()
        .expect("invigil");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How often the daemon could not fetch.
fn fetches_that_failed(host: &Host) -> u64 {
    let socket = format!("/run/invigil/{}.sock", host.prefix);
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--unix-socket", &socket, "http://invigil/metrics"])
        .output()
        .expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let count =
        text.lines().find_map(|line| line.strip_prefix("invigil_source_fetches_total{result=\"failed\"} "));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no such metric in\n{text}"))
}

fn is_running(host: &Host, revision: &str) -> bool {
    source(host)["running"]["commit"].as_str().is_some_and(|commit| commit.starts_with(revision))
}

fn wanted(host: &Host) -> (String, String) {
    let source = source(host);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(&source["wanted"]["subject"]), text(&source["wanted"]["refused"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_runs_and_only_what_changed_is_touched() {
    let host = Host::new("git").await;
    let forge = Forge::of(&host);
    host.container("c", &sleeper(", env: {A: '1'}"));
    host.container("d", &sleeper(""));
    let first = forge.commit(&host, "first");
    let daemon = forge.daemon(&host, &[]);
    daemon.until("both run", || running(&host, "c") && running(&host, "d"));
    daemon.until("it says so", || is_running(&host, &first));
    let d = look(&host, "d", "{{.Id}} {{.State.StartedAt}}");
    let c = look(&host, "c", "{{.Id}}");

    // A commit that changes no manifest is no work.
    host.write("README", "more\n");
    let second = forge.commit(&host, "second");
    daemon.until("it runs", || is_running(&host, &second));
    host.container("c", &sleeper(", env: {A: '2'}"));
    let third = forge.commit(&host, "third");
    daemon.until("the change is there", || {
        is_running(&host, &third) && look(&host, "c", "{{.Id}}") != c && running(&host, "c")
    });
    assert_eq!(look(&host, "d", "{{.Id}} {{.State.StartedAt}}"), d);
    daemon.until("it has proved itself", || daemon.said("action=\"replace\"") == 1);

    // The journal is written beside everything else.
    daemon.until("the journal tells it", || {
        let log = invigil(&host, &["log", "-o", "json"]);
        let entries = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let of_third = entries
            .filter(|entry| entry["revision"].as_str().is_some_and(|revision| revision.starts_with(&third)));
        of_third.map(|entry| entry["what"]["event"].clone()).eq(["runs", "pass", "done"])
    });
    assert_eq!(daemon.said(&format!("revision=\"{third}\"")), 2, "it runs, and something is done for it");
    // Without a path it is what the daemon follows, by the configuration of both.
    let configuration = forge.home.path().join("config.yaml");
    std::fs::write(&configuration, format!("git: {{url: '{}'}}\n", forge.bare().display())).expect("a file");
    let planned = invigil(&host, &["plan", "--config", configuration.to_str().expect("text")]);
    assert!(planned.ends_with(&format!("Revision {third} of the manifests.\n")), "{planned}");

    // The repository is away: told once, and everything goes on.
    let away = forge.home.path().join("away");
    std::fs::rename(forge.bare(), &away).expect("a renamed directory");
    daemon.until("it is told", || daemon.said("cannot be fetched") == 1);
    let fetched = source(&host)["fetched"].clone();
    docker(&["rm", "-f", &host.name("d")]);
    daemon.until("it is there again", || running(&host, "d"));
    assert_eq!(daemon.said("cannot be fetched"), 1, "once, not at each poll");

    // So does a start without it.
    daemon.ends();
    docker(&["rm", "-f", &host.name("c")]);
    let daemon = forge.daemon(&host, &[]);
    daemon.until("it comes back from what ran last", || running(&host, "c") && is_running(&host, &third));
    daemon.until("it is told", || {
        source(&host)["trouble"].as_str().is_some_and(|why| why.contains("cannot be fetched"))
    });
    assert_ne!(fetched, serde_json::Value::Null);
    std::fs::rename(&away, forge.bare()).expect("a renamed directory");
    daemon.until("it is told", || daemon.said("the repository is well again") == 1);

    // A removed manifest is a removed container.
    host.remove("d.yaml");
    let fourth = forge.commit(&host, "fourth");
    daemon.until("it is gone", || is_running(&host, &fourth) && look(&host, "d", "{{.Id}}").is_empty());
    assert!(running(&host, "c"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_is_waited_for_and_holds_up_no_start() {
    let host = Host::new("git-empty").await;
    let forge = Forge::of(&host);
    let daemon = forge.daemon(&host, &[]);
    daemon.until("the service is up", || daemon.said(" ready") == 1);
    let status = invigil_status(&host);
    let why = format!("No revision runs: {} has no branch or tag main\n", forge.bare().display());
    assert!(status.contains(&why), "{status}");
    assert_eq!(daemon.said("no revision runs"), 1);
    host.container("c", &sleeper(""));
    let first = forge.commit(&host, "first");
    daemon.until("it runs", || running(&host, "c") && is_running(&host, &first));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_2_what_was_emptied_or_rewritten_is_refused_and_what_ran_goes_on() {
    let host = Host::new("git-refused").await;
    let forge = Forge::of(&host);
    host.container("c", &sleeper(""));
    forge.commit(&host, "first");
    host.container("d", &sleeper(""));
    let second = forge.commit(&host, "second");
    let daemon = forge.daemon(&host, &[]);
    daemon.until("both run", || running(&host, "c") && running(&host, "d"));
    let both = [look(&host, "c", "{{.Id}}"), look(&host, "d", "{{.Id}}")];

    host.remove("c.yaml");
    host.remove("d.yaml");
    forge.commit(&host, "emptied");
    let refused = |subject: &str, why: &str| {
        let (wanted, told) = wanted(&host);
        wanted == subject && told.starts_with(why)
    };
    daemon.until("it is refused", || refused("emptied", "there is no manifest"));
    git(host.path(), &["reset", "--quiet", "--hard", "HEAD~2"]);
    forge.push(&host);
    daemon.until("it is refused", || refused("first", "its history was rewritten or went back"));
    let told = source(&host)["wanted"]["refused"].as_str().unwrap_or_default().to_owned();
    assert!(told.contains("--allow-rewritten-history"), "{told}");
    assert!(is_running(&host, &second));
    assert_eq!(both, [look(&host, "c", "{{.Id}}"), look(&host, "d", "{{.Id}}")]);
    let status = invigil_status(&host);
    assert!(status.contains(&format!("Revision {second} (second, ")), "{status}");
    assert!(status.contains(" is refused: its history was rewritten"), "{status}");
    let current = host.state().join("git").join(&host.prefix).join("current");
    let plan = |more: &[&str]| invigil(&host, &[&["plan", current.to_str().expect("text")], more].concat());
    let planned = plan(&[]);
    let last: Vec<&str> = planned.lines().skip(planned.lines().count() - 2).collect();
    assert_eq!(last[0], format!("Revision {second} of the manifests."), "{planned}");
    assert!(last[1].contains(" (first, ") && last[1].contains(" is refused: its history was"), "{planned}");
    let planned: serde_json::Value = serde_json::from_str(&plan(&["-o", "json"])).expect("JSON");
    assert_eq!(planned["wantedRevision"]["subject"], "first", "{planned}");

    // Allowed, it is a change like any other.
    daemon.ends();
    let daemon = forge.daemon(&host, &["--allow-rewritten-history"]);
    daemon.until("d is gone", || look(&host, "d", "{{.Id}}").is_empty() && running(&host, "c"));
    assert_eq!(look(&host, "c", "{{.Id}}"), both[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_3_a_commit_with_a_wrong_manifest_runs_without_it_and_the_journal_tells_what_is_wrong() {
    let host = Host::new("git-wrong").await;
    let forge = Forge::of(&host);
    host.container("c", &sleeper(""));
    forge.commit(&host, "first");
    let daemon = forge.daemon(&host, &[]);
    daemon.until("it runs", || running(&host, "c"));
    let c = look(&host, "c", "{{.Id}} {{.State.StartedAt}}");
    host.container("c", &sleeper(", ports: ['99999:1']"));
    host.container("d", &sleeper(""));
    let second = forge.commit(&host, "second");
    daemon.until("the other one runs", || running(&host, "d"));
    let log = || invigil(&host, &["log"]);
    daemon.until("the journal tells it", || {
        let log = log();
        let told = log.lines().find(|line| line.contains("wrong in the manifests: ")).unwrap_or_default();
        told.contains(" c.yaml:4:") && told.contains("99999") && told.ends_with(&format!(" [{second}]"))
    });
    assert_eq!(look(&host, "c", "{{.Id}} {{.State.StartedAt}}"), c);
    host.container("c", &sleeper(""));
    let third = forge.commit(&host, "third");
    daemon.until("and that it is over", || log().contains(&format!("the manifests hold again [{third}]\n")));
    assert_eq!(log().matches("wrong in the manifests").count(), 1, "{}", log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_cannot_be_looked_at_lets_what_ran_run_on_and_is_told() {
    let host = Host::new("git-blind").await;
    let forge = Forge::of(&host);
    let (key, signers) = (forge.home.path().join("key"), forge.home.path().join("signers"));
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("ssh-keygen").success());
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("a key");
    std::fs::write(&signers, format!("teacher {public}")).expect("a file");
    git(host.path(), &["config", "gpg.format", "ssh"]);
    git(host.path(), &["config", "commit.gpgSign", "true"]);
    git(host.path(), &["config", "user.signingKey", key.to_str().expect("text")]);
    host.container("c", &sleeper(""));
    let first = forge.commit(&host, "first");
    let more = ["--require-signed-commits", "--allowed-signers", signers.to_str().expect("text")];
    let daemon = forge.daemon(&host, &more);
    daemon.until("it runs", || running(&host, "c") && is_running(&host, &first));
    daemon.ends();

    // As with a host out of memory, and no network.
    let path = forge.program("ssh-keygen", "exit 1");
    let away = forge.home.path().join("away");
    std::fs::rename(forge.bare(), &away).expect("another name");
    // Somebody answers, and says nothing: nobody waits for that.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x.git", silent.local_addr().expect("an address"));
    let state = host.state();
    let mut arguments: Vec<&OsStr> =
        vec!["--git".as_ref(), url.as_ref(), "--state-dir".as_ref(), state.as_os_str()];
    arguments.extend(more.iter().map(OsStr::new));
    docker(&["rm", "-f", &host.name("c")]);
    let daemon = Daemon::start_with_path(&host, &arguments, &path);
    daemon.until("it is kept", || running(&host, "c") && is_running(&host, &first));
    daemon.ends();

    let daemon = forge.daemon_on(&host, &more, &path);
    let trouble = || source(&host)["trouble"].as_str().unwrap_or_default().to_owned();
    daemon.until("it goes on", || is_running(&host, &first));
    docker(&["rm", "-f", &host.name("c")]);
    daemon.until("it is kept", || running(&host, "c"));
    daemon.until("both are told", || {
        let told = trouble();
        told.contains("its signature cannot be looked at") && told.contains(" cannot be fetched: ")
    });
    // However often it is looked again.
    let fetched = || fetches_that_failed(&host);
    let before = fetched();
    daemon.until("it was looked again", || fetched() > before + 2);
    assert_eq!(daemon.said("its signature cannot be looked at"), 1);
    // What was committed meanwhile does not run as long as nobody can say whether it may.
    std::fs::rename(&away, forge.bare()).expect("its name");
    let second = forge.commit(&host, "second");
    daemon.until("it is told", || trouble().contains("its signature cannot be looked at"));
    assert!(is_running(&host, &first));
    assert!(!invigil(&host, &["log"]).contains("refused"), "{}", invigil(&host, &["log"]));
    forge.program(
        "ssh-keygen",
        &format!("PATH={}; exec ssh-keygen \"$@\"", std::env::var("PATH").expect("a path")),
    );
    daemon.until("it runs", || is_running(&host, &second) && trouble().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_known_again_when_its_repository_is_and_may_run_no_longer_unless_it_is_signed() {
    let host = Host::new("git-anew").await;
    let forge = Forge::of(&host);
    host.container("c", &sleeper(""));
    let first = forge.commit(&host, "first");
    let daemon = forge.daemon(&host, &[]);
    daemon.until("it runs", || running(&host, "c") && is_running(&host, &first));
    daemon.ends();
    let repository = || host.state().join("git").join(&host.prefix).join("repository");
    std::fs::remove_dir_all(repository()).expect("a directory");
    let daemon = forge.daemon(&host, &[]);
    daemon.until("it is known", || is_running(&host, &first));
    daemon.ends();
    // Somebody mends a broken clone, and from now on commits have to be signed.
    std::fs::remove_dir_all(repository()).expect("a directory");
    let signers = forge.home.path().join("signers");
    std::fs::write(&signers, "").expect("a file");
    let more = ["--require-signed-commits", "--allowed-signers", signers.to_str().expect("text")];
    let daemon = forge.daemon(&host, &more);
    let why = "it is not signed, and requireSignedCommits is set".to_owned();
    daemon.until("it is refused", || wanted(&host) == ("first".to_owned(), why.clone()));
    assert!(!is_running(&host, &first) && running(&host, "c"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_behind_ssh_is_fetched_by_the_hosts_ssh_which_asks_nobody() {
    let host = Host::new("git-ssh").await;
    let forge = Forge::of(&host);
    host.container("c", &sleeper(""));
    let first = forge.commit(&host, "first");
    // In ssh's place: what it is asked for is done here.
    let asked = forge.home.path().join("asked");
    let script = format!("echo \"$*\" >>{}\nfor last; do :; done\nexec sh -c \"$last\"", asked.display());
    let path = forge.program("ssh", &script);
    let url = format!("git@forge.example:{}", forge.bare().display());
    let state = host.state();
    let arguments: [&OsStr; 6] = [
        "--git".as_ref(),
        url.as_ref(),
        "--every".as_ref(),
        "1s".as_ref(),
        "--state-dir".as_ref(),
        state.as_os_str(),
    ];
    let daemon = Daemon::start_with_path(&host, &arguments, &path);
    daemon.until("it runs", || running(&host, "c") && is_running(&host, &first));
    let asked = std::fs::read_to_string(asked).expect("a file");
    assert!(asked.contains("-o BatchMode=yes"), "{asked}");
    assert!(asked.contains("git@forge.example git-upload-pack"), "{asked}");
}
