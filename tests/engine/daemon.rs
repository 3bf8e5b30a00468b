//! `invigil run`, the program itself, on a real engine: what it puts right, what it leaves alone, and that
//! it may die at any moment.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::faults::engine_at;
use crate::spare::Spare;
use crate::support::{BUSYBOX, Host, check_health, docker, is_podman, sleeper, variable};

/// How long something may take to come true; far more than it does.
const PATIENCE: Duration = Duration::from_secs(90);

/// Within which time of being saved a change has begun to run.
const SOON: Duration = Duration::from_secs(10);

/// A running daemon, and what it said.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// Starts the daemon with a timer that never comes, so that only wakes make passes.
    pub fn start(host: &Host) -> Self {
        Self::start_on(host, &engine())
    }

    /// The same, with the engine at `endpoint`.
    pub fn start_on(host: &Host, endpoint: &str) -> Self {
        Self::started(host, endpoint, "1h", &[])
    }

    /// One whose timer makes passes, too.
    pub fn start_often(host: &Host, interval: &str) -> Self {
        Self::started(host, &engine(), interval, &[])
    }

    /// One that keeps its state elsewhere.
    pub fn start_with_state(host: &Host, state: &Path) -> Self {
        Self::started(host, &engine(), "1h", &[OsStr::new("--state-dir"), state.as_os_str()])
    }

    fn started(host: &Host, endpoint: &str, interval: &str, more: &[&OsStr]) -> Self {
        Self::spawned(Self::command(host, endpoint, interval).args(more).arg(host.path()))
    }

    /// One whose manifests are elsewhere.
    pub fn start_without_manifests(host: &Host, more: &[&OsStr]) -> Self {
        Self::spawned(Self::command(host, &engine(), "1h").args(more))
    }

    /// The same, with programs in other places.
    pub fn start_with_path(host: &Host, more: &[&OsStr], path: &str) -> Self {
        Self::spawned(Self::command(host, &engine(), "1h").args(more).env("PATH", path))
    }

    fn command(host: &Host, endpoint: &str, interval: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
        command
            .args(["run", "--interval", interval, "--owner", &host.prefix])
            .env("DOCKER_HOST", endpoint)
            .env("INVIGIL_LOG", "trace");
        command
    }

    /// One whose log is not heard here, and goes elsewhere.
    pub fn start_unheard(host: &Host, log: Stdio) -> Self {
        let child =
            Self::command(host, &engine(), "1h").arg(host.path()).stderr(log).spawn().expect("the daemon");
        Self { child, log: Arc::default() }
    }

    fn spawned(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the daemon");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().expect("a pipe")), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                kept.lock().expect("a lock").push(line);
            }
        });
        Self { child, log }
    }

    /// Where it answers, once it does.
    pub fn address(&self) -> SocketAddr {
        const SERVED: &str = "the status page is served address=";
        let found = || {
            let log = self.log.lock().expect("a lock");
            log.iter().find_map(|line| line.split_once(SERVED)?.1.trim().parse().ok())
        };
        self.until("it listens", || found().is_some());
        found().expect("an address")
    }

    /// How many lines from `info` on hold a text.
    pub fn said(&self, part: &str) -> usize {
        let log = self.log.lock().expect("a lock");
        let loud = log.iter().filter(|line| !line.contains(" DEBUG ") && !line.contains(" TRACE "));
        loud.filter(|line| line.contains(part)).count()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// Asks it to end, and waits until it has: one that is killed while it starts a program leaves its lock with that
    /// program for a moment.
    pub fn ends(mut self) {
        self.signal("-TERM");
        let begun = Instant::now();
        while self.child.try_wait().expect("it can be waited for").is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end in {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until `holds`.
    pub fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: not in {PATIENCE:?}\n{}",
                self.log.lock().expect("a lock").join("\n")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the engine is.
pub fn engine() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned())
}

/// What Docker says of a container; nothing while it is not there.
pub fn look(host: &Host, name: &str, format: &str) -> String {
    let output = Command::new("docker")
        .args(["inspect", "--format", format, &host.name(name)])
        .output()
        .expect("docker");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn running(host: &Host, name: &str) -> bool {
    look(host, name, "{{.State.Running}}") == "true"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_follows_manifests_and_the_engine() {
    let host = Host::new("follow").await;
    docker(&["run", "-d", "--name", &host.name("byhand"), BUSYBOX, "sleep", "1000"]);
    let byhand = look(&host, "byhand", "{{.Id}} {{.State.StartedAt}}");
    host.container("c", &sleeper(", env: {A: '1'}"));
    host.container("d", &sleeper(""));
    let daemon = Daemon::start(&host);
    daemon.until("both run", || running(&host, "c") && running(&host, "d"));
    let d = look(&host, "d", "{{.Id}} {{.State.StartedAt}}");

    host.container("c", &sleeper(", env: {A: '2'}, ports: ['127.0.0.1::80'], restartPolicy: always"));
    daemon.until("the change is there", || {
        look(&host, "c", &format!("{} {{{{.HostConfig.RestartPolicy.Name}}}}", variable("A"))) == "A=2 always"
            && running(&host, "c")
    });
    daemon.until("it has proved itself", || daemon.said("action=\"replace\"") == 1);

    // From a saved manifest to the start of what it says: far from what it takes, and nobody has to wait for a timer.
    let other = host.name("other:1");
    docker(&["tag", BUSYBOX, &other]);
    let another = |more: &str| sleeper(more).replace(BUSYBOX, &other);
    host.write("data/answers", "");
    for (proved, changed, spec, format, now) in [
        (2, "image", another(""), "{{.Config.Image}}", other.as_str()),
        (
            3,
            "bind",
            another(", binds: ['./data:/data']"),
            "{{range .Mounts}}{{.Destination}}{{end}}",
            "/data",
        ),
    ] {
        let saved = Instant::now();
        host.container("c", &spec);
        // Podman says an image's name with the registry that it leaves out.
        daemon.until(changed, || look(&host, "c", format).ends_with(now) && running(&host, "c"));
        assert!(saved.elapsed() < SOON, "{changed}: {:?}", saved.elapsed());
        daemon.until("it has proved itself", || daemon.said("action=\"replace\"") == proved);
    }
    docker(&["rm", "-f", &host.name("c")]);
    daemon.until("what was removed by hand is back", || running(&host, "c"));
    host.remove("c.yaml");
    daemon.until("what has no manifest goes", || look(&host, "c", "{{.Id}}").is_empty());

    assert_eq!(look(&host, "d", "{{.Id}} {{.State.StartedAt}}"), d, "nobody asked for a change of d");
    assert_eq!(look(&host, "byhand", "{{.Id}} {{.State.StartedAt}}"), byhand);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_3_a_syntax_error_is_told_once_and_holds_back_nothing_else() {
    let host = Host::new("typo").await;
    for name in ["a", "b", "c"] {
        host.container(name, &sleeper(""));
    }
    let daemon = Daemon::start(&host);
    daemon.until("all run", || ["a", "b", "c"].iter().all(|name| running(&host, name)));
    let a = look(&host, "a", "{{.Id}} {{.State.StartedAt}}");

    host.write("a.yaml", "apiVersion: invigil/v1\nkind: Container\nmetadata: {name: '@a'\n");
    daemon.until("the error is told", || daemon.said("a.yaml:") == 1);
    for limit in [30, 31, 32] {
        host.container("b", &sleeper(&format!(", resources: {{pidsLimit: {limit}}}")));
        daemon.until("b goes on", || look(&host, "b", "{{.HostConfig.PidsLimit}}") == limit.to_string());
    }
    assert_eq!(daemon.said("a.yaml:"), 1, "once, not with every pass");
    assert_eq!(look(&host, "a", "{{.Id}} {{.State.StartedAt}}"), a);

    // Law 2: a directory that is gone, then empty, then back.
    let all = ["a", "b", "c"].map(|name| look(&host, name, "{{.Id}} {{.State.StartedAt}}"));
    let aside = host.path().with_extension("aside");
    std::fs::rename(host.path(), &aside).unwrap();
    daemon.signal("-HUP");
    daemon.until("the missing directory is told", || daemon.said("there is no manifest directory") == 1);
    std::fs::create_dir(host.path()).unwrap();
    daemon.signal("-HUP");
    daemon.until("the empty directory is told", || daemon.said("no manifest at all") >= 1);
    std::fs::remove_dir(host.path()).unwrap();
    std::fs::rename(&aside, host.path()).unwrap();
    host.container("a", &sleeper(", resources: {pidsLimit: 40}"));
    daemon.until("it goes on", || look(&host, "a", "{{.HostConfig.PidsLimit}}") == "40");
    let now = ["a", "b", "c"].map(|name| look(&host, name, "{{.Id}} {{.State.StartedAt}}"));
    // On Podman another limit takes a new container.
    let changed = usize::from(is_podman());
    assert_eq!(now[changed..], all[changed..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_killed_in_the_middle_of_50_it_makes_50() {
    let host = Host::new("kill").await;
    for number in 0..50 {
        host.container(&format!("n{number:02}"), &sleeper(", networkMode: none"));
    }
    let count = || {
        let listed = docker(&["ps", "-aq", "--filter", &format!("name={}-", host.prefix)]);
        listed.lines().filter(|line| !line.is_empty()).count()
    };
    for moment in [1, 15, 35] {
        let mut daemon = Daemon::start(&host);
        daemon.until("some are there", || count() >= moment);
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
    }
    let daemon = Daemon::start(&host);
    let up = || docker(&["ps", "-q", "--filter", &format!("name={}-", host.prefix)]).lines().count();
    daemon.until("all run", || up() == 50);
    assert_eq!(count(), 50, "none doubled, nothing left over");
    drop(daemon);
    assert_eq!(host.plan().await, "Nothing to do; 50 unchanged.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_an_engine_that_is_killed_while_it_starts_30_ends_with_30() {
    let spare = Spare::new();
    let host = Host::new("enginekill").await;
    for number in 0..30 {
        host.container(&format!("n{number:02}"), &sleeper(", networkMode: none"));
    }
    let daemon = Daemon::start_on(&host, &spare.endpoint());
    let listed = |all: &[&str]| spare.docker(&[&["ps", "-q"], all].concat()).lines().count();
    daemon.until("some are there", || listed(&[]) >= 8);
    // What was just being started is there afterwards, and is nobody's.
    spare.killer()();
    spare.start();
    daemon.until("all run", || listed(&[]) == 30 && listed(&["-a"]) == 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_9_an_engine_that_was_stopped_and_started_without_a_daemon_leaves_nothing_to_do() {
    let spare = Spare::new();
    let engine = engine_at(&spare.endpoint());
    let host = Host::new("restart").await;
    host.write("net.yaml", "apiVersion: invigil/v1\nkind: Network\nmetadata: {name: '@net'}\nspec: {}\n");
    host.write("data.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@data'}\nspec: {}\n");
    host.write(
        "set.yaml",
        "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {name: '@midterm'}\nspec:\n  title: T\n  items:\n  - id: '1'\n    \
         type: true_false\n    prompt: Q\n    key: {bool: true}\n",
    );
    let prefix = &host.prefix;
    host.container("seat", &format!("{{problemSet: '{prefix}-midterm', restartPolicy: unless-stopped}}"));
    host.container(
        "web",
        &sleeper(", restartPolicy: always, binds: ['./:/srv:ro'], ports: ['127.0.0.1::80']"),
    );
    host.container(
        "room",
        &sleeper(&format!(
            ", restartPolicy: {{name: unless-stopped}}, networks: [{{name: '{prefix}-net', aliases: [seat]}}], \
             mounts: [{{type: volume, source: '{prefix}-data', target: /data}}]"
        )),
    );
    host.container("host", &sleeper(", restartPolicy: unless-stopped, networkMode: host"));
    host.container("stopped", &sleeper(", restartPolicy: unless-stopped, state: stopped"));
    // Two that ran before: their engine knows which networks they were on, and makes its own anew when it starts.
    let off = [("off", String::new()), ("away", format!(", networks: ['{prefix}-net']"))];
    for state in ["running", "stopped"] {
        for (name, more) in &off {
            host.container(name, &sleeper(&format!(", state: {state}{more}")));
        }
        let (_, outcomes) = host.pass(&engine, 8).await.expect("a pass");
        assert!(outcomes.is_success(), "{:?}", outcomes.failed);
    }
    let ids = || spare.docker(&["ps", "-aq", "--no-trunc"]);
    let before = ids();
    let quiet = "Nothing to do; 10 unchanged.\n";
    assert_eq!(host.plan_by(&engine).await.expect("a plan"), quiet);

    spare.stop();
    spare.start();
    let begun = Instant::now();
    // An engine answers before it has started them all.
    while host.plan_by(&engine).await.ok().as_deref() != Some(quiet) {
        let plan = host.plan_by(&engine).await;
        assert!(begun.elapsed() < PATIENCE, "{plan:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(ids(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_killed_in_the_middle_of_a_replacement_it_ends_with_one() {
    let host = Host::new("killrep").await;
    host.container("c", &sleeper(", env: {A: '0'}"));
    host.apply().await;
    for round in 1..=8_u64 {
        host.container("c", &sleeper(&format!(", env: {{A: '{round}'}}")));
        let mut daemon = Daemon::start(&host);
        std::thread::sleep(Duration::from_millis(150 * round));
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
    }
    let daemon = Daemon::start(&host);
    daemon.until("the last spec runs", || look(&host, "c", &variable("A")) == "A=8" && running(&host, "c"));
    let names =
        || docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", &format!("name={}-", host.prefix)]);
    daemon.until("nothing is left over", || names() == host.name("c"));
    drop(daemon);
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_sigterm_stops_the_daemon_and_no_container() {
    let host = Host::new("term").await;
    host.container("c", &sleeper(""));
    let mut daemon = Daemon::start(&host);
    daemon.until("it runs", || running(&host, "c"));
    let before = look(&host, "c", "{{.Id}} {{.State.StartedAt}}");
    daemon.signal("-TERM");
    assert!(daemon.child.wait().unwrap().success());
    assert_eq!(look(&host, "c", "{{.Id}} {{.State.StartedAt}}"), before);
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_health_check_holds_up_nothing_else_and_a_stop_ends_the_wait() {
    let host = Host::new("slow").await;
    let check = "healthcheck: {test: [CMD, test, '-e', /well], interval: 1s, startPeriod: 10m}";
    let slow = |value: u32| sleeper(&format!(", env: {{A: '{value}'}}, {check}"));
    let is =
        |value: u32| look(&host, "slow", &variable("A")) == format!("A={value}") && running(&host, "slow");
    let is_proved = || look(&host, "slow.invigil-prev", "{{.Id}}").is_empty();
    let becomes_well = || docker(&["exec", &host.name("slow"), "touch", "/well"]);
    host.container("slow", &slow(1));
    let mut daemon = Daemon::start(&host);
    daemon.until("it runs", || is(1));
    host.container("slow", &slow(2));
    daemon.until("its successor runs", || is(2));
    host.container("other", &sleeper(""));
    // A pass waits for half a minute.
    std::thread::sleep(Duration::from_secs(15));
    daemon.until("the other one runs", || running(&host, "other"));
    assert!(!is_proved());
    becomes_well();
    daemon.until("it has proved itself", is_proved);
    assert!(is(2));

    host.container("slow", &slow(3));
    daemon.until("another successor runs", || is(3));
    daemon.signal("-TERM");
    let begun = Instant::now();
    assert!(daemon.child.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(is(3) && !is_proved());
    let daemon = Daemon::start(&host);
    becomes_well();
    daemon.until("the next daemon has seen it proved", is_proved);
    assert_eq!(daemon.said("failed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_comes_late_or_goes_for_a_while_is_waited_for() {
    let host = Host::new("gone").await;
    host.container("c", &sleeper(""));
    let engine = engine();
    let real = engine.strip_prefix("unix://").expect("a socket");
    let sockets = tempfile::tempdir().unwrap();
    let socket = sockets.path().join("engine.sock");
    let daemon = Daemon::start_on(&host, &format!("unix://{}", socket.display()));
    daemon.until("it says that there is none", || daemon.said("no engine answers") == 1);
    // A link to the real socket is as good as an engine that came.
    std::os::unix::fs::symlink(real, &socket).unwrap();
    daemon.until("it goes on", || running(&host, "c"));
    std::fs::remove_file(&socket).unwrap();
    docker(&["rm", "-f", &host.name("c")]);
    daemon.until("it says that it is gone", || daemon.said("no engine answers") >= 2);
    std::os::unix::fs::symlink(real, &socket).unwrap();
    daemon.until("it goes on again", || running(&host, "c"));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_12_no_variables_value_is_in_a_log_or_a_label() {
    let host = Host::new("secret").await;
    host.write("c.env", "FROM_FILE=canary-file\n");
    host.container("c", &sleeper(", env: {DB: canary-1, DB_PASSWORD: canary-secret-1}, envFiles: [./c.env]"));
    let daemon = Daemon::start(&host);
    daemon.until("the first pass", || daemon.said("ready") > 0);
    daemon.until("it runs", || look(&host, "c", "{{.State.Running}}") == "true");
    docker(&["restart", "-t", "0", &host.name("c")]);
    host.container("c", &sleeper(", env: {DB: canary-2, DB_PASSWORD: canary-secret-2}, envFiles: [./c.env]"));
    daemon.until("it was replaced", || look(&host, "c", "{{.Config.Env}}").contains("canary-2"));
    daemon.until("that is told", || daemon.said("(hidden)") > 0);
    daemon.signal("-TERM");
    daemon.until("it has stopped", || daemon.said("invigil stops") > 0);
    // What a variable is set to is no secret to whoever reads the plan's line about it, unless its name says so.
    let told = daemon.log.lock().expect("a lock").join("\n");
    assert!(told.contains("(hidden)") && !told.contains("canary-secret"), "{told}");
    assert!(!told.contains("canary-file"), "{told}");
    assert!(!look(&host, "c", "{{json .Config.Labels}}").contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_take_turns_and_only_one_is_the_daemon() {
    let host = Host::new("turns").await;
    let apply = |command: &str| {
        for number in 0..12 {
            host.container(
                &format!("c{number}"),
                &format!("{{image: '{BUSYBOX}', command: [sleep, '{command}'], stopSignal: SIGKILL}}"),
            );
        }
        let start = || {
            Command::new(env!("CARGO_BIN_EXE_invigil"))
                .args(["apply", "--yes", "--owner", &host.prefix])
                .arg(host.path())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("invigil")
        };
        let both = [start(), start()].map(|child| child.wait_with_output().expect("an end"));
        let told =
            both.iter().map(|one| String::from_utf8_lossy(&one.stderr).into_owned()).collect::<String>();
        assert!(both.iter().all(|one| one.status.success()), "{told}");
        assert_eq!(told.matches("Waiting for ").count(), 1, "{told}");
    };
    apply("1000");
    // Every one of them is replaced, by one of the two.
    apply("2000");
    let names = docker(&[
        "ps",
        "-a",
        "--format",
        "{{.Names}} {{.State}}",
        "--filter",
        &format!("name={}", host.prefix),
    ]);
    assert_eq!(names.lines().filter(|line| line.ends_with(" running")).count(), 12, "{names}");
    assert_eq!(names.lines().count(), 12, "{names}");

    let first = Daemon::start(&host);
    first.until("it is ready", || first.said("ready") > 0);
    let second = Daemon::start(&host);
    let refusal = format!(
        "error: process {} is the daemon of owner {} on this host already",
        first.child.id(),
        host.prefix
    );
    second.until("it was refused", || second.said(&refusal) == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_is_suspended_and_resumed_at_once() {
    let host = Host::new("brake").await;
    host.container("web", &sleeper(""));
    // Not among the manifests, which are watched, too; and it is not there yet.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let state = elsewhere.path().join("state");
    let state = state.to_str().expect("UTF-8");
    let invigil = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
            .args(arguments)
            .args(["--owner", &host.prefix])
            .output()
            .expect("invigil");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let daemon = Daemon::start_with_state(&host, Path::new(state));
    daemon.until("it runs", || running(&host, "web") && daemon.said("ready") == 1);
    invigil(&["suspend", "--reason", "the exam runs", "--state-dir", state]);
    daemon.until("it is told", || daemon.said("the host is suspended: the exam runs") == 1);
    docker(&["rm", "-f", &host.name("web")]);
    daemon.until("its absence is seen", || invigil(&["status"]).contains("Suspended"));
    assert!(!running(&host, "web"));
    invigil(&["resume", "--state-dir", state]);
    daemon.until("it runs again", || running(&host, "web"));
    assert_eq!(daemon.said("the host is resumed"), 1);
    let log = invigil(&["log", "--state-dir", state]);
    let told: Vec<&str> =
        log.lines().filter_map(|line| line.split_once(" the host is ")).map(|(_, told)| told).collect();
    assert_eq!(told, ["suspended: the exam runs", "resumed"], "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_says_how_everything_stands() {
    let host = Host::new("status").await;
    let status = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
            .args(["status", "--owner", &host.prefix])
            .args(arguments)
            .output()
            .expect("invigil");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), host.shown(&text))
    };
    let (code, told) = status(&[]);
    assert_eq!(code, Some(1));
    assert!(told.starts_with("error: no daemon of owner "), "{told}");

    host.container("web", &sleeper(""));
    host.container("sick", &sleeper(", healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 1}"));
    let build = "{build: {dockerfileInline: \"FROM busybox:static\\nRUN echo told by the builder && false\", builder: classic}, tags: ['@built:1']}";
    host.write(
        "built.yaml",
        &format!("apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@built'}}\nspec: {build}\n"),
    );
    let daemon = Daemon::start(&host);
    let web = format!("container/{}", host.name("web"));
    let (code, told) = status(&["--wait", "--timeout", "30s", &web]);
    // It may be asked before it listens.
    let (code, told) = if code == Some(1) {
        daemon.until("it answers", || status(&[]).0 != Some(1));
        status(&["--wait", "--timeout", "30s", &web])
    } else {
        (code, told)
    };
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("RESOURCE ") && told.contains("\ncontainer/@web  Ready  "), "{told}");
    // By its name alone, too.
    assert_eq!(status(&[&host.name("web")]).1, status(&[&web]).1);

    let built = format!("image/{}", host.name("built"));
    daemon.until("the build has failed", || {
        let (code, told) = status(&[&built]);
        code == Some(2)
            && told.contains("\nimage/@built said:\n")
            && told.contains("  step 2/3: RUN echo told by the builder")
            && told.contains("next try in ")
    });
    let sick = format!("container/{}", host.name("sick"));
    daemon.until("it is sick", || {
        check_health(&host.name("sick"));
        status(&[&sick]).1.contains("\ncontainer/@sick  Stalled  ")
    });
    let (code, told) = status(&["--wait", "--timeout", "1s", &sick]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("its health check fails") && told.ends_with("not ready after 1s\n"), "{told}");

    let (_, told) = status(&["-o", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["resources"]["container/@web"]["condition"], "Ready");
}
