//! A program that is run for each message. In: its path. Out: the message as JSON on its standard input, and the gist of it in its
//! environment; what it says goes into the log. It ends within a while, or is ended with all that it started.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;
use tracing::info;

use super::notice::Message;
use crate::daemon::post::Undelivered;
use crate::resource::env::without_secrets;
use crate::resource::printable::printable;

/// How long it may take.
pub const PROGRAM_MAX: Duration = Duration::from_secs(30);
/// How long it is waited for the rest of what it says when it has ended: what it started may go on.
const REST: Duration = Duration::from_secs(1);
/// The most of what it says that is kept, in bytes, and how many lines of that are told.
const SAID_MAX: usize = 16 << 10;
const LINES_MAX: usize = 20;
/// What systemd and the unit said to the daemon alone.
const NOT_ITS: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "GLIBC_TUNABLES"];

/// A program that is told.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    limit: Duration,
}

/// Ends a group of processes, unless it ended by itself.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Program {
    /// One at a path.
    pub fn new(path: PathBuf) -> Self {
        Self { path, limit: PROGRAM_MAX }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs it with a message.
    pub(super) async fn run(&self, message: &Message) -> Result<(), Undelivered> {
        let shown = self.path.display();
        let told = |error: std::io::Error| Undelivered::for_now(format!("{shown} cannot be run: {error}"));
        let mut child = self.command(message).spawn().map_err(told)?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let json = message.json();
        let speaking = async move {
            if let Some(stdin) = &mut stdin {
                // Whoever does not want to know need not read it.
                let _ = stdin.write_all(json.as_bytes()).await;
            }
            drop(stdin);
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let hearing = async { tokio::join!(read(stdout, &mut out), read(stderr, &mut err)) };
        let ending = async {
            let status = child.wait().await;
            // Its number may be another's from now on.
            group.0 = None;
            status
        };
        let all = async {
            let mut hearing = std::pin::pin!(hearing);
            let talking = async { tokio::join!(speaking, &mut hearing) };
            let mut ending = std::pin::pin!(ending);
            tokio::select! {
                status = &mut ending => {
                    let _ = timeout(REST, hearing).await;
                    status
                }
                _ = talking => ending.await,
            }
        };
        let status = timeout(self.limit, all).await;
        drop(group);
        let last = self.say(&out, &err);
        match status {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Undelivered::for_now(format!("{shown} {}{last}", ended(status)))),
            Ok(Err(error)) => Err(told(error)),
            Err(_) => Err(Undelivered::for_now(format!(
                "{shown} did not end within {} s, and was ended",
                self.limit.as_secs()
            ))),
        }
    }

    fn command(&self, message: &Message) -> Command {
        let events: Vec<&str> = message.events().into_iter().map(super::notice::Event::as_str).collect();
        let mut command = Command::new(&self.path);
        command
            .current_dir("/")
            .env("INVIGIL_NOTIFICATION_ID", &message.id)
            .env("INVIGIL_NOTIFICATION_HOST", &message.host)
            .env("INVIGIL_NOTIFICATION_OWNER", &message.owner)
            .env("INVIGIL_NOTIFICATION_TITLE", &message.title)
            .env("INVIGIL_NOTIFICATION_EVENTS", events.join(" "))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for variable in NOT_ITS {
            command.env_remove(variable);
        }
        command
    }

    /// Logs what it said. Returns the last line of it, to stand behind a sentence.
    fn say(&self, out: &[u8], err: &[u8]) -> String {
        let text = [out, err].map(String::from_utf8_lossy).join("\n");
        let lines: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| printable(&without_secrets(line)).into_owned())
            .collect();
        for line in lines.iter().take(LINES_MAX) {
            info!(program = %self.path.display(), "{line}");
        }
        if lines.len() > LINES_MAX {
            info!(program = %self.path.display(), "and {} more lines", lines.len() - LINES_MAX);
        }
        lines.last().map(|line| format!(": {line}")).unwrap_or_default()
    }
}

/// Reads to the end, and keeps as much as is kept.
async fn read(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    // On the heap: a future that is handed around is to be small.
    let mut part = vec![0; 4 << 10];
    while let Ok(length @ 1..) = stream.read(&mut part).await {
        let room = SAID_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&part[..length.min(room)]);
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ends with exit code {code}"),
        (None, Some(signal)) => format!("is ended by signal {signal}"),
        (None, None) => "does not end well".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;

    use super::*;
    use crate::daemon::notification::notice::Sender;

    fn message() -> Message {
        let sender = Sender { host: "exam-1".to_owned(), owner: "default".to_owned() };
        Message::test(&sender, Timestamp::UNIX_EPOCH)
    }

    /// A script, and where it may write.
    fn script(text: &str) -> (tempfile::TempDir, Program) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("told");
        let home = dir.path().display();
        // Written by another process: what this one has open for writing, a fork of another test has open for a moment, too.
        let made = std::process::Command::new("sh")
            .args(["-c", "printf '%s' \"$1\" > \"$0\"; chmod 755 \"$0\"", &path.display().to_string()])
            .arg(format!("#!/bin/sh\ncd '{home}'\n{text}\n"))
            .status();
        assert!(made.unwrap().success());
        (dir, Program { path, limit: Duration::from_secs(20) })
    }

    #[tokio::test]
    async fn a_program_gets_the_message_and_what_it_says_last_is_why_it_failed() {
        let (dir, program) = script("cat > got; env > env");
        assert_eq!(program.run(&message()).await, Ok(()));
        let got: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.path().join("got")).unwrap()).unwrap();
        assert_eq!(got["title"], "exam-1: a test of notifications");
        let env = fs::read_to_string(dir.path().join("env")).unwrap();
        assert!(env.lines().any(|line| line == "INVIGIL_NOTIFICATION_HOST=exam-1"), "{env}");

        let said = "PAGER_TOKEN=hunter2 no route to https://slq:hunter2@pager";
        let (_dir, program) = script(&format!("echo out; echo '{said}' >&2; exit 3"));
        let undelivered = program.run(&message()).await.unwrap_err();
        assert!(undelivered.is_transient);
        assert!(
            undelivered.why.ends_with(
                " ends with exit code 3: PAGER_TOKEN=(hidden) no route to https://slq:(hidden)@pager"
            ),
            "{undelivered}"
        );
    }

    #[tokio::test]
    async fn one_that_reads_nothing_or_leaves_something_running_is_done_when_it_ends() {
        let (_dir, program) = script("sleep 5 & exit 0");
        let mut message = message();
        message.text = "x".repeat(1 << 20);
        assert_eq!(program.run(&message).await, Ok(()));
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_all_that_it_started() {
        let (dir, mut program) = script("sleep 1000 & echo $! > child; wait");
        program.limit = Duration::from_secs(2);
        let undelivered = program.run(&message()).await.unwrap_err();
        assert!(undelivered.why.ends_with(" did not end within 2 s, and was ended"), "{undelivered}");
        let child = fs::read_to_string(dir.path().join("child")).unwrap();
        let is_over = || match fs::read_to_string(format!("/proc/{}/stat", child.trim())) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        let over = async {
            while !is_over() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(timeout(Duration::from_mins(1), over).await.is_ok(), "{child} goes on");
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_told_by_its_path() {
        let undelivered = Program::new("/nowhere/told".into()).run(&message()).await.unwrap_err();
        assert_eq!(undelivered.why, "/nowhere/told cannot be run: No such file or directory (os error 2)");
    }
}
