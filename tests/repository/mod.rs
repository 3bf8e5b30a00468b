//! A repository of a test. In: what `git` is told in a directory. Out: what it says. Knows nothing of who runs the tests.

use std::path::Path;
use std::process::Command;

/// Runs `git` as nobody in particular, and gives what it said.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=slq", "-c", "user.email=slq@example.org"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .expect("git");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
