//! Calls `git`. In: arguments, and how long it may take. Out: what it answered. No prompt, no hook, no helper that a
//! repository names; of what the host's own configuration says, only fetching knows.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::place::{Login, Url};
use super::{GitError, LOCAL_MAX};
use crate::resource::env::without_passwords;
use crate::resource::printable::printable;

/// The most that an answer may have.
const ANSWER_MAX: u64 = 256 << 20;
/// The most of what it complains about that is read.
const TOLD_MAX: u64 = 64 << 10;
/// The most of that which is told, in characters.
const SAID_MAX: usize = 400;
/// What it says once whoever speaks to others for it has ended.
const UNREAD: &str = "fatal: Could not read from remote repository.";
/// The largest that a repository may grow.
const REPOSITORY_MAX: u64 = 4 << 30;
/// How often it is looked whether it is done, and how often how large the repository is.
const LOOK: Duration = Duration::from_millis(10);
const MEASURE: Duration = Duration::from_secs(1);
/// How long it is waited for the rest of an answer when `git` has ended: what it started may go on.
const REST: Duration = Duration::from_secs(2);

/// What holds for every call, whatever any configuration says. A signature by `OpenPGP` or X.509 is none: only ssh's are
/// looked at, whose signers are in a file.
const ALWAYS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.autoDetach=false",
    "maintenance.auto=false",
    "gpg.program=/bin/false",
    "gpg.openpgp.program=/bin/false",
    "gpg.x509.program=/bin/false",
    "gpg.ssh.program=ssh-keygen",
    "gpg.ssh.revocationFile=",
    "gpg.minTrustLevel=fully",
];

/// What holds for calls that speak to others. A server that says nothing for a minute is away.
const OUTSIDE: &[&str] = &["http.lowSpeedLimit=1", "http.lowSpeedTime=60"];
/// The same for ssh, which asks nobody for a password. Its server answers by itself, whatever `git` is at there: one that is
/// not heard of for 20 s is away.
const SSH: &str = "-o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=5 -o ServerAliveCountMax=4";
/// Says the password of the environment.
const HELPER: &str = "!f() { test \"$1\" != get || printf 'password=%s\\n' \"$INVIGIL_GIT_PASSWORD\"; }; f";

/// One repository's `git`.
#[derive(Debug)]
pub(super) struct Git {
    repository: PathBuf,
    /// Whether nobody waits for an answer any more.
    stop: Arc<AtomicBool>,
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: ExitStatus,
    pub(super) bytes: Vec<u8>,
    stderr: Vec<u8>,
}

impl Answer {
    /// What it complained about.
    pub(super) fn told(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Foreign text for people: without passwords, and nothing in it steers a terminal.
fn shown_line(text: &str) -> String {
    printable(&without_passwords(text.trim())).into_owned()
}

/// What `git` said, on one line and without passwords.
pub(super) fn said(told: &str) -> String {
    let lines: Vec<&str> = told.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let fatal = lines.iter().position(|line| line.starts_with("fatal:"));
    // That the other side said nothing is told of many reasons; why is what ssh said before.
    let why = fatal.filter(|at| lines[*at] == UNREAD).and_then(|at| at.checked_sub(1)).or(fatal);
    let Some(at) = why.or_else(|| lines.len().checked_sub(1)) else { return "it says nothing".to_owned() };
    let line = lines[at].trim_start_matches("fatal: ");
    // What it could not reach, and on the next line why.
    let more = lines.get(at + 1).filter(|_| line.ends_with(':'));
    let line = more.map_or(line.to_owned(), |more| format!("{line} {more}"));
    shown_line(&line.chars().take(SAID_MAX).collect::<String>())
}

impl Git {
    pub(super) fn at(repository: PathBuf, stop: Arc<AtomicBool>) -> Self {
        Self { repository, stop }
    }

    /// Makes an empty repository, without anything of the host's templates.
    pub(super) fn init(&self) -> Result<(), GitError> {
        let mut command = Command::new("git");
        command.args(["init", "--quiet", "--bare", "--template="]).arg(&self.repository);
        let answer = self.run(isolated(&mut command), LOCAL_MAX, None)?;
        if answer.status.success() {
            return Ok(());
        }
        let place = self.repository.display();
        Err(GitError(format!("cannot make a repository in {place}: {}", said(&answer.told()))))
    }

    /// A call that speaks to others, by the host's own configuration.
    pub(super) fn outside(&self, url: &Url, arguments: &[&str], limit: Duration) -> Result<Answer, GitError> {
        let settings = OUTSIDE.iter().flat_map(|setting| ["-c", setting]);
        let arguments: Vec<&str> = settings.chain(arguments.iter().copied()).collect();
        let mut command = self.command(&arguments);
        if let Some(login) = url.login() {
            identify(&mut command, login);
        }
        if let Some(ssh) = self.ssh()? {
            command.env("GIT_SSH_COMMAND", ssh);
        }
        self.run(&mut command, limit, Some(&self.repository))
    }

    /// The host's ssh, which asks nobody; `None` if it is another program, whose options nobody knows.
    fn ssh(&self) -> Result<Option<String>, GitError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let configured = || {
            let answer =
                self.run(&mut self.command(&["config", "--get", "core.sshCommand"]), LOCAL_MAX, None)?;
            Ok::<_, GitError>(String::from_utf8_lossy(&answer.bytes).trim().to_owned())
        };
        let given = match variable("GIT_SSH_COMMAND").map_or_else(configured, Ok)? {
            given if !given.is_empty() => given,
            _ if variable("GIT_SSH").is_some() => return Ok(None),
            _ => "ssh".to_owned(),
        };
        let program = given.split_whitespace().next().and_then(|word| word.rsplit('/').next());
        Ok((program == Some("ssh")).then(|| format!("{given} {SSH}")))
    }

    /// A call about what is there.
    pub(super) fn inside(&self, arguments: &[&str]) -> Result<Answer, GitError> {
        self.run(isolated(&mut self.command(arguments)), LOCAL_MAX, None)
    }

    /// The text that such a call answers.
    ///
    /// # Errors
    /// If it refuses.
    pub(super) fn text(&self, arguments: &[&str]) -> Result<String, GitError> {
        let answer = self.inside(arguments)?;
        if !answer.status.success() {
            let what = arguments.first().unwrap_or(&"");
            return Err(GitError(format!("git {what} fails: {}", said(&answer.told()))));
        }
        Ok(String::from_utf8_lossy(&answer.bytes).trim_end().to_owned())
    }

    /// A call that goes on while it is spoken to.
    pub(super) fn talking(&self, arguments: &[&str]) -> Result<Child, GitError> {
        let mut command = self.command(arguments);
        isolated(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map_err(|error| missing(&error))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.repository);
        for setting in ALWAYS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        // What would lead it elsewhere; how to reach others stays as it is.
        for variable in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_NAMESPACE",
            "GIT_CONFIG",
            // How the unit has the daemon's own memory managed.
            "GLIBC_TUNABLES",
        ] {
            command.env_remove(variable);
        }
        command
            .env_remove("GIT_ALTERNATE_OBJECT_DIRECTORIES")
            .env_remove("GIT_CONFIG_COUNT")
            .env_remove("GIT_CONFIG_PARAMETERS")
            .env_remove("GIT_TRACE")
            .env_remove("GIT_TRACE_CURL")
            .env_remove("GIT_CURL_VERBOSE")
            .env_remove("SSH_ASKPASS")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("LC_ALL", "C");
        command
    }
}

/// The same, without the host's configuration.
fn isolated(command: &mut Command) -> &mut Command {
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
}

fn missing(error: &io::Error) -> GitError {
    GitError(match error.kind() {
        io::ErrorKind::NotFound => "git is not installed on this host".to_owned(),
        _ => format!("git cannot be run: {error}"),
    })
}

/// Says who asks, for one host.
fn identify(command: &mut Command, login: &Login) {
    let Login { at, user, password } = login;
    let mut settings = vec![("username", user.as_str())];
    if let Some(password) = password {
        // The host's own helpers are not asked, nor told to remember it.
        settings.extend([("helper", ""), ("helper", HELPER)]);
        command.env("INVIGIL_GIT_PASSWORD", password);
    }
    command.env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (at_number, (key, value)) in settings.into_iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{at_number}"), format!("credential.{at}.{key}"));
        command.env(format!("GIT_CONFIG_VALUE_{at_number}"), value);
    }
}

impl Git {
    /// Runs it in a process group of its own, which ends with it: `git` leaves the network to others.
    fn run(&self, command: &mut Command, limit: Duration, grows: Option<&Path>) -> Result<Answer, GitError> {
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| missing(&error))?;
        let bytes = Reading::of(child.stdout.take(), ANSWER_MAX);
        let stderr = Reading::of(child.stderr.take(), TOLD_MAX);
        let ended = self.wait(&mut child, limit, grows);
        if ended.is_err() {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait();
        }
        let status = ended?;
        let bytes = bytes.end().ok_or_else(|| GitError("what git says does not end".to_owned()))?;
        if bytes.len() as u64 >= ANSWER_MAX {
            return Err(GitError("git answers more than 256 MiB".to_owned()));
        }
        Ok(Answer { status, bytes, stderr: stderr.end().unwrap_or_default() })
    }

    fn wait(&self, child: &mut Child, limit: Duration, grows: Option<&Path>) -> Result<ExitStatus, GitError> {
        let begun = Instant::now();
        let mut measured = begun;
        loop {
            let ended = child.try_wait().map_err(|error| GitError(format!("git is lost: {error}")))?;
            if let Some(status) = ended {
                return Ok(status);
            }
            if begun.elapsed() > limit {
                return Err(GitError(format!("git did not end within {} s", limit.as_secs())));
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(GitError("invigil stops".to_owned()));
            }
            if let Some(place) = grows
                && measured.elapsed() > MEASURE
            {
                measured = Instant::now();
                if size(place) > REPOSITORY_MAX {
                    return Err(GitError("the repository is larger than 4 GiB".to_owned()));
                }
            }
            thread::sleep(LOOK);
        }
    }
}

/// What is read beside everything else.
struct Reading {
    bytes: Arc<Mutex<Vec<u8>>>,
    over: mpsc::Receiver<()>,
}

impl Reading {
    fn of(stream: Option<impl Read + Send + 'static>, most: u64) -> Self {
        let (sender, over) = mpsc::channel();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        thread::spawn(move || {
            if let Some(mut stream) = stream {
                let mut part = [0; 8 << 10];
                // What came before it broke off is what there is; more than the most is read and let go.
                while let Ok(length @ 1..) = stream.read(&mut part) {
                    let mut bytes = into.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(bytes.len());
                    bytes.extend_from_slice(&part[..length.min(room)]);
                }
            }
            let _ = sender.send(());
        });
        Self { bytes, over }
    }

    /// Everything, or `None` if somebody still has it in hand to say more.
    fn end(self) -> Option<Vec<u8>> {
        self.over.recv_timeout(REST).ok()?;
        Some(std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// How large the files of a directory are.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_git_and_ssh_say_the_reason_is_told() {
        for (told, line) in [
            (
                "Warning: added\r\nHost key verification failed.\r\nfatal: Could not read from remote repository.\n\n\
                 Please make sure you have the correct access rights\nand the repository exists.\n",
                "Host key verification failed.",
            ),
            (
                "fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote repository.\n",
                "'/x' does not appear to be a git repository",
            ),
            ("fatal: Could not read from remote repository.\n", "Could not read from remote repository."),
            ("warning: one\nerror: two\n", "error: two"),
            (
                "fatal: unable to connect to forge.example:\nforge.example[0: 10.0.0.7]: errno=Connection refused\n\n",
                "unable to connect to forge.example: forge.example[0: 10.0.0.7]: errno=Connection refused",
            ),
            ("", "it says nothing"),
        ] {
            assert_eq!(said(told), line);
        }
    }
}
