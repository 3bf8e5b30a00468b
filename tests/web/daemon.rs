//! A daemon of a test's own, which answers at an address of its own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

pub struct Daemon {
    child: Child,
    _home: tempfile::TempDir,
    pub owner: String,
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    /// One whose engine is not there.
    pub fn without_engine(name: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let manifests = home.path().join("manifests");
        std::fs::create_dir_all(&manifests).expect("a directory");
        Self::with(name, home, &[manifests.as_os_str()])
    }

    /// One whose engine is not there either, with manifests from elsewhere.
    pub fn with(name: &str, home: tempfile::TempDir, more: &[&OsStr]) -> Self {
        let owner = format!("web-{name}-{}", std::process::id());
        let engine = format!("unix://{}", home.path().join("none.sock").display());
        let mut child = Command::new(env!("CARGO_BIN_EXE_invigil"))
            .args([
                "run",
                "--listen",
                "127.0.0.1:0",
                "--owner",
                &owner,
                "--log-format",
                "json",
                "--state-dir",
            ])
            .arg(home.path().join("state"))
            .args(more)
            .env("DOCKER_HOST", engine)
            .env_remove("INVIGIL_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        let keep = move |line: &str| {
            let mut kept = kept.lock().expect("a lock");
            kept.push_str(line);
            kept.push('\n');
        };
        let address = loop {
            let line =
                lines.next().unwrap_or_else(|| panic!("the daemon ended\n{}", log.lock().expect("a lock")));
            let line = line.expect("a line");
            keep(&line);
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            if line["message"] == "the status page is served" {
                break line["address"].as_str().expect("an address").parse().expect("an address");
            }
        };
        // It goes on writing.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| keep(&line)));
        Self { child, _home: home, owner, address, log }
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("a lock").clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
