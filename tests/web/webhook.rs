//! A forge says that something was pushed: what it has to know, and all that it can do.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use invigil::resource::digest::hmac_hex;

use crate::daemon::Daemon;
use crate::http::{Answer, get, request, send};
use crate::repository::git;

/// How long something may take to come true; far more than it does.
const PATIENCE: Duration = Duration::from_mins(1);
const SECRET: &str = "it is a secret of this test";
const BODY: &str = "{\"ref\": \"refs/heads/else\", \"repository\": {\"url\": \"https://evil.example\"}}";

struct Forge {
    work: tempfile::TempDir,
    daemon: Daemon,
}

impl Forge {
    /// A repository with one commit, and a daemon that looks at it once an hour.
    fn new(name: &str, more: &[&str]) -> Self {
        let (work, home) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        git(work.path(), &["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(
            work.path().join("a.yaml"),
            "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: a}\n",
        )
        .expect("a file");
        git(work.path(), &["add", "a.yaml"]);
        git(work.path(), &["commit", "--quiet", "-m", "first"]);
        let secret: PathBuf = home.path().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).expect("a file");
        let mut arguments: Vec<&OsStr> =
            ["--git".as_ref(), work.path().as_os_str(), "--every".as_ref(), "1h".as_ref()].into();
        let secret = secret.into_os_string();
        for one in more {
            arguments.push(if *one == "SECRET" { &secret } else { OsStr::new(*one) });
        }
        let daemon = Daemon::with(name, home, &arguments);
        let forge = Self { work, daemon };
        forge.until("first");
        forge
    }

    fn commit(&self, subject: &str) {
        git(self.work.path(), &["commit", "--quiet", "--allow-empty", "-m", subject]);
    }

    fn running(&self) -> String {
        let status: serde_json::Value =
            serde_json::from_str(&get(self.daemon.address, "/v1/status").body).expect("JSON");
        status["source"]["running"]["subject"].as_str().unwrap_or_default().to_owned()
    }

    fn until(&self, subject: &str) {
        let begun = Instant::now();
        while self.running() != subject {
            assert!(begun.elapsed() < PATIENCE, "{subject} does not run, but {}", self.running());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn post(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let host = self.daemon.address.to_string();
        let headers: Vec<(&str, &str)> =
            [("Host", host.as_str())].into_iter().chain(headers.iter().copied()).collect();
        send(self.daemon.address, "POST", "/v1/webhook", &headers, body)
    }
}

#[test]
fn a_forge_that_knows_the_secret_has_the_repository_fetched_and_nobody_else_has() {
    let forge = Forge::new("webhook", &["--webhook-secret-file", "SECRET"]);
    let digest = hmac_hex(SECRET.as_bytes(), BODY.as_bytes());
    let (github, wrong) =
        (format!("sha256={digest}"), hmac_hex(b"another secret of somebody", BODY.as_bytes()));
    forge.commit("second");
    for refused in [
        &[][..],
        &[("X-Hub-Signature-256", &*format!("sha256={wrong}"))],
        &[("X-Hub-Signature-256", "sha256=")],
        &[("X-Hub-Signature-256", &digest)],
        &[("X-Hub-Signature", &github)],
        &[("X-Gitea-Signature", &wrong)],
        &[("X-Gitlab-Token", "it is a secret of this tesT")],
        &[("X-Gitlab-Token", "")],
        &[("X-Forgejo-Signature", &wrong), ("X-Gitlab-Token", SECRET)],
    ] {
        let answer = forge.post(refused, BODY);
        assert_eq!(answer.code, 401, "{refused:?}");
        assert_eq!(answer.body, "this is not signed with the secret of this webhook\n");
    }
    let answer = forge.post(&[("X-Hub-Signature-256", &github)], "{}");
    assert_eq!(answer.code, 401, "another body");
    assert_eq!(forge.running(), "first");

    for (number, header) in [
        ("X-Hub-Signature-256", github.as_str()),
        ("X-Forgejo-Signature", &digest),
        ("X-Gitea-Signature", &digest.to_uppercase()),
        ("X-Gitlab-Token", SECRET),
    ]
    .into_iter()
    .enumerate()
    {
        let subject = format!("commit {number}");
        forge.commit(&subject);
        let answer = forge.post(&[header], BODY);
        assert_eq!((answer.code, answer.body.as_str()), (202, "the repository is fetched\n"), "{header:?}");
        forge.until(&subject);
    }
    let host = forge.daemon.address.to_string();
    let looked = request(forge.daemon.address, "GET", "/v1/webhook", &[("Host", &host)]);
    assert_eq!(looked.code, 405, "{}", looked.body);
    let elsewhere = send(
        forge.daemon.address,
        "POST",
        "/v1/webhook",
        &[("Host", "evil.example"), ("X-Gitlab-Token", SECRET)],
        BODY,
    );
    assert_eq!(elsewhere.code, 421, "{}", elsewhere.body);

    let metrics = get(forge.daemon.address, "/metrics").body;
    let revision = |role: &str| {
        let begins = format!("invigil_source_revision_info{{role=\"{role}\",revision=\"");
        metrics.lines().find_map(|line| line.strip_prefix(&begins)).map(str::to_owned)
    };
    assert!(revision("running").is_some() && revision("running") == revision("wanted"), "{metrics}");
    assert!(metrics.contains("\ninvigil_source_trouble 0\n"), "{metrics}");
    assert!(metrics.contains("\ninvigil_source_refused 0\n"), "{metrics}");
    assert!(!metrics.contains("invigil_source_fetches_total{result=\"good\"} 0"), "{metrics}");
}

#[test]
fn without_a_secret_there_is_no_webhook() {
    let forge = Forge::new("no-webhook", &[]);
    let answer = forge.post(&[("X-Gitlab-Token", "")], BODY);
    assert_eq!(answer.code, 404, "{}", answer.body);
}
