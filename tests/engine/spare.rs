//! An engine beside the first, for tests that kill one, need two, or need a disk of another sort: `scripts/engine start
//! spare`. In: nothing. Out: where it answers. It is removed with all that it holds when the test ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::support::{BUSYBOX, docker, repository};

/// An engine of one test's own, with data of its own.
pub struct Spare {
    pub socket: PathBuf,
    name: &'static str,
    /// Nobody else's test has it meanwhile.
    _turn: File,
}

impl Spare {
    /// Starts it, with busybox and nothing else.
    pub fn new() -> Self {
        Self::started("spare")
    }

    /// The same on a disk on which containers can be given a size.
    pub fn sized() -> Self {
        Self::started("sized")
    }

    /// The same, also reached by TLS.
    pub fn tls() -> Self {
        Self::started("tls")
    }

    fn started(name: &'static str) -> Self {
        let turn = File::create(std::env::temp_dir().join("invigil-spare-engine.lock")).expect("a file");
        turn.lock().expect("a lock");
        let socket = script("start", name).strip_prefix("unix://").expect("a socket").into();
        let spare = Self { socket, name, _turn: turn };
        let archive = tempfile::NamedTempFile::new().expect("a file");
        let archive = archive.path().to_str().expect("a path");
        let made = Command::new(repository("scripts/busybox-image")).args([archive, BUSYBOX]).status();
        assert!(made.expect("scripts/busybox-image").success());
        spare.docker(&["load", "-i", archive]);
        spare
    }

    /// Ends it, as its service would.
    pub fn stop(&self) {
        script("stop", self.name);
    }

    /// Starts it again.
    pub fn start(&self) {
        start_again(self.name, &self.socket);
    }

    /// Ends it, and starts a newer Docker on what it held.
    pub fn upgrade(&self) {
        script("upgrade", self.name);
    }

    /// What the docker command says of it; it must succeed.
    pub fn docker(&self, arguments: &[&str]) -> String {
        docker(&[&["--host", &self.endpoint()], arguments].concat())
    }

    /// What clients take for its address.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// What kills it, as the kernel does when memory is short.
    pub fn killer(&self) -> Arc<dyn Fn() + Send + Sync> {
        killer(&self.socket)
    }
}

/// What kills the engine that answers at a socket now.
pub fn killer(socket: &Path) -> Arc<dyn Fn() + Send + Sync> {
    let pid = std::fs::read_to_string(socket.with_file_name("pid")).expect("its process");
    Arc::new(move || {
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("kill");
        assert!(killed.success());
    })
}

/// Starts an engine again that answered at a socket.
pub fn start_again(name: &str, socket: &Path) {
    assert_eq!(script("start", name), format!("unix://{}", socket.display()));
}

impl Drop for Spare {
    fn drop(&mut self) {
        // One that was killed just now is needed once more to end its containers.
        script("start", self.name);
        script("remove", self.name);
    }
}

fn script(word: &str, name: &str) -> String {
    let output =
        Command::new(repository("scripts/engine")).args([word, name]).output().expect("scripts/engine");
    assert!(output.status.success(), "{word}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
