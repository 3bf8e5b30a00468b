//! What a host takes: Invigil's own programs against what a user would take instead, both sides in one
//! run, in turn. Prints medians and ratios beside the goals; judges nothing by its exit code, because
//! machines are noisy. Run by `make bench`; takes a few minutes.

#![allow(clippy::print_stdout, reason = "a table on stdout is what this program is for")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use futures_util::{StreamExt, stream};
use invigil::assembly::ExamServer;
use invigil::diff::Budget;
use invigil::engine::memory::{MemoryEngine, Program};
use invigil::reconcile::{self, Setup, Wanted};
use invigil::records::Records;
use invigil::registries::Registries;
use invigil::source::attachment::AttachmentReader;
use invigil::source::directory;
use invigil::suspension::Suspension;

/// What every name of this benchmark begins with; also its owner.
const PREFIX: &str = "ivbench";
const IMAGE: &str = "busybox:static";
const ROUNDS: usize = 5;
const CONTAINERS: usize = 50;
const PAPERS: usize = 100;
/// `docker build` is measured on this many papers and scaled.
const BUILDS: usize = 20;
const MANIFESTS: usize = 10_000;
/// The files of a build context.
const FILES: usize = 10_000;
/// A host of 1,000 resources.
const SEATS: usize = 320;
const NETWORKS: usize = 40;
/// How many containers a daemon rests with.
const RESTING: [usize; 2] = [100, 1000];
/// How long the bench waits for a page, at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// As many calls in flight as an engine on two cores is fastest with.
const IN_FLIGHT: usize = 8;

/// A part of the benchmark, which `scripts/bench` may name.
type Part = fn(&Bench);

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let docker = Docker::connect_with_defaults().expect("an engine's address");
    let bench = Bench {
        docker,
        runtime,
        invigil: program("INVIGIL").expect("INVIGIL names no program: run `make bench`"),
        compose: program("COMPOSE"),
    };
    busybox();
    bench.clean();
    println!("{:<44} {:>9} {:>9} {:>9} {:>7}  goal", "", "median", "min", "max", "ratio");
    let parts: [(&str, Part); 7] = [
        ("containers", Bench::containers),
        ("downtime", Bench::downtime),
        ("papers", Bench::papers),
        ("contexts", Bench::contexts),
        ("manifests", Bench::manifests),
        ("plan", Bench::plan),
        ("rest", Bench::at_rest),
    ];
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            part(&bench);
        }
    }
    bench.clean();
    if bench.compose.is_none() {
        println!("Compose is not installed here: `make bench-peers` fetches it and measures it too");
    }
}

/// A program that `scripts/bench` names.
fn program(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

struct Bench {
    docker: Docker,
    runtime: tokio::runtime::Runtime,
    invigil: PathBuf,
    /// Where it is installed, or was fetched.
    compose: Option<PathBuf>,
}

/// The times of one side.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort();
    }

    /// Nothing of a side that is not there.
    fn median(&self) -> Option<Duration> {
        self.0.get(self.0.len() / 2).copied()
    }
}

/// Prints a side; nothing of one that was not measured.
fn line(what: &str, times: &Times, against: Option<(&Times, &str)>) {
    let shown = |time: Duration| format!("{:.3} s", time.as_secs_f64());
    let Some(median) = times.median() else { return };
    let (ratio, goal) = match against {
        Some((other, goal)) => {
            let ratio = other.median().map(|other| median.as_secs_f64() / other.as_secs_f64());
            (ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")), goal)
        }
        None => (String::new(), ""),
    };
    let (first, last) = (times.0[0], times.0[times.0.len() - 1]);
    println!("{what:<44} {:>9} {:>9} {:>9} {ratio:>7}  {goal}", shown(median), shown(first), shown(last));
}

impl Bench {
    fn containers(&self) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut manifests = String::new();
        let mut services = String::from("services:\n");
        for number in 0..CONTAINERS {
            let spec = format!(
                "{{image: '{IMAGE}', command: [sleep, '1000'], stopSignal: SIGKILL, networkMode: none}}"
            );
            let _ = writeln!(
                manifests,
                "---\napiVersion: invigil/v1\nkind: Container\nmetadata: {{name: {PREFIX}-{number}}}\nspec: {spec}"
            );
            let _ = writeln!(
                services,
                "  s{number}: {{image: '{IMAGE}', command: [sleep, '1000'], network_mode: none, container_name: {PREFIX}-{number}}}"
            );
        }
        fs::write(dir.path().join("all.yaml"), manifests).expect("a file");
        let composed = tempfile::tempdir().expect("a directory");
        let file = composed.path().join("compose.yaml");
        fs::write(&file, services).expect("a file");
        let (mut raw, mut ours, mut theirs) = (Times::default(), Times::default(), Times::default());
        let (mut ours_again, mut theirs_again) = (Times::default(), Times::default());
        for _ in 0..ROUNDS {
            raw.add(timed(|| self.runtime.block_on(self.raw())));
            self.clean();
            ours.add(timed(|| self.apply(dir.path())));
            ours_again.add(timed(|| self.apply(dir.path())));
            self.clean();
            if let Some(compose) = &self.compose {
                theirs.add(timed(|| up(compose, &file)));
                theirs_again.add(timed(|| up(compose, &file)));
                self.clean();
            }
        }
        line("50 containers from nothing: raw calls, 8", &raw, None);
        line("  Compose up -d", &theirs, Some((&raw, "")));
        line("  invigil apply", &ours, Some((&raw, "<= 1.15 of raw")));
        line("nothing to do: Compose up -d", &theirs_again, None);
        line("  invigil apply", &ours_again, Some((&theirs_again, "<= 0.5 of Compose")));
    }

    /// The engine's own best: create and start, nothing else.
    async fn raw(&self) {
        let made = stream::iter(0..CONTAINERS).map(|number| async move {
            let name = format!("{PREFIX}-{number}");
            let body = ContainerCreateBody {
                image: Some(IMAGE.to_owned()),
                cmd: Some(vec!["sleep".to_owned(), "1000".to_owned()]),
                host_config: Some(HostConfig {
                    network_mode: Some("none".to_owned()),
                    ..HostConfig::default()
                }),
                ..ContainerCreateBody::default()
            };
            let options = CreateContainerOptionsBuilder::new().name(&name).build();
            self.docker.create_container(Some(options), body).await.expect("a container");
            self.docker.start_container(&name, None::<StartContainerOptions>).await.expect("a start");
        });
        made.buffer_unordered(IN_FLIGHT).collect::<()>().await;
    }

    fn apply(&self, dir: &Path) {
        quiet(Command::new(&self.invigil).args(["apply", "--yes", "--owner", PREFIX]).arg(dir));
    }

    /// One changed environment value: how long nobody answers on the container's port. On the host's network that is
    /// what is done between the end of one program and the beginning of the next. Behind a published port most of it is
    /// the engine's: its proxy takes whoever asks before the new address is known, and looks for that once a second.
    fn downtime(&self) {
        for (network, goal) in [("host's network", "< 1"), ("published port", "")] {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = free.local_addr().expect("an address").port();
            drop(free);
            let on_host = network == "host's network";
            let inside = if on_host { port } else { 8080 };
            let more = |host: &str| {
                if on_host { format!("{host}: host") } else { format!("ports: ['127.0.0.1:{port}:8080']") }
            };
            let command =
                format!("[sh, -c, 'echo it answers > /tmp/index.html; exec httpd -f -p {inside} -h /tmp']");
            let manifest = |round: usize| {
                format!(
                    "apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: {PREFIX}-web}}\nspec: {{image: '{IMAGE}', \
                     command: {command}, stopSignal: SIGKILL, env: {{ROUND: '{round}'}}, {}}}\n",
                    more("networkMode")
                )
            };
            let ours = replaced(port, manifest, |file| self.apply(file.parent().expect("a directory")));
            self.clean();
            let service = |round: usize| {
                format!(
                    "services:\n  web: {{image: '{IMAGE}', container_name: {PREFIX}-web, command: {command}, \
                     stop_signal: SIGKILL, environment: {{ROUND: '{round}'}}, {}}}\n",
                    more("network_mode")
                )
            };
            let theirs = self
                .compose
                .as_ref()
                .map_or_else(Times::default, |compose| replaced(port, service, |file| up(compose, file)));
            self.clean();
            line(&format!("replaced, away, {network}: Compose up -d"), &theirs, None);
            line("  invigil apply", &ours, Some((&theirs, goal)));
        }
    }

    fn papers(&self) {
        let (mut ours, mut theirs) = (Times::default(), Times::default());
        let server = fs::read(self.invigil.with_file_name("invigil-exam")).expect("the exam server");
        for round in 0..3 {
            let dir = tempfile::tempdir().expect("a directory");
            let mut manifests = String::new();
            for number in 0..PAPERS {
                let _ = writeln!(
                    manifests,
                    "---\napiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {{name: {PREFIX}-{number}}}\nspec:\n  title: 期中考试\n  \
                     items:\n  - {{id: '8', type: single_choice, prompt: '{round}+{number}=？', \
                     choices: [{{id: A, text: '1'}}, {{id: B, text: '2'}}], key: {{choices: [B]}}}}"
                );
            }
            fs::write(dir.path().join("all.yaml"), manifests).expect("a file");
            ours.add(timed(|| self.apply(dir.path())));
            let context = tempfile::tempdir().expect("a directory");
            fs::write(context.path().join("invigil-exam"), &server).expect("a file");
            let dockerfile = "FROM scratch\nCOPY invigil-exam /invigil-exam\nCOPY paper.json /exam/paper.json\nUSER 65532:65532\n\
                              EXPOSE 8080\nENTRYPOINT [\"/invigil-exam\"]\n";
            fs::write(context.path().join("Dockerfile"), dockerfile).expect("a file");
            let all = timed(|| {
                for number in 0..BUILDS {
                    let paper = format!("{{\"formatVersion\":1,\"round\":{round},\"number\":{number}}}");
                    fs::write(context.path().join("paper.json"), paper).expect("a file");
                    let tag = format!("{PREFIX}-{number}:built");
                    let mut build = Command::new("docker");
                    quiet(
                        build
                            .args(["build", "-q", "-t", &tag])
                            .arg(context.path())
                            .env("DOCKER_BUILDKIT", "0"),
                    );
                }
            });
            theirs.add(all * u32::try_from(PAPERS / BUILDS).expect("a factor"));
            self.clean();
        }
        line("100 exam images: docker build (20, scaled)", &theirs, None);
        line("  invigil apply", &ours, Some((&theirs, "<= 0.25 of docker build")));
    }

    /// A build context in which nothing has changed.
    fn contexts(&self) {
        let dir = tempfile::tempdir().expect("a directory");
        let app = dir.path().join("app");
        for number in 0..FILES {
            let folder = app.join(format!("part-{}", number / 100));
            fs::create_dir_all(&folder).expect("a directory");
            fs::write(folder.join(format!("{number}.txt")), format!("file {number}\n").repeat(100))
                .expect("a file");
        }
        fs::write(app.join("Dockerfile"), "FROM scratch\nCOPY . /srv\n").expect("a file");
        let manifest = format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: {PREFIX}-app}}\n\
             spec: {{build: {{context: ./app}}, tags: ['{PREFIX}-app:1']}}\n"
        );
        fs::write(dir.path().join("app.yaml"), manifest).expect("a file");
        let build = || {
            let mut build = Command::new("docker");
            let tag = format!("{PREFIX}-app:built");
            quiet(build.args(["build", "-q", "-t", &tag]).arg(&app).env("DOCKER_BUILDKIT", "0"));
        };
        let plan = || quiet(Command::new(&self.invigil).args(["plan", "--owner", PREFIX]).arg(dir.path()));
        self.apply(dir.path());
        build();
        let (mut ours, mut theirs) = (Times::default(), Times::default());
        for _ in 0..ROUNDS {
            theirs.add(timed(build));
            ours.add(timed(plan));
        }
        self.clean();
        line("10,000 unchanged files: docker build, cached", &theirs, None);
        line("  invigil plan; goal <= 0.3 s", &ours, Some((&theirs, "< 1 of docker build")));
    }

    fn manifests(&self) {
        let dir = tempfile::tempdir().expect("a directory");
        for number in 0..MANIFESTS {
            let manifest = format!(
                "apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: {PREFIX}-{number}}}\nspec:\n  image: {IMAGE}\n  \
                 command: [sleep, '1000']\n  env: {{SEAT: '{number}', ROOM: '101'}}\n  networkMode: none\n  \
                 binds: ['/srv/{number}:/data']\n  restartPolicy: unless-stopped\n  resources: {{memory: 64Mi, cpus: 0.25}}\n"
            );
            let folder = dir.path().join(format!("room-{}", number / 100));
            fs::create_dir_all(&folder).expect("a directory");
            fs::write(folder.join(format!("seat-{number}.yaml")), manifest).expect("a file");
        }
        let mut times = Times::default();
        let mut peak = 0;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let mut child = Command::new(&self.invigil)
                .arg("validate")
                .arg(dir.path())
                .stdout(Stdio::null())
                .spawn()
                .expect("invigil");
            while child.try_wait().expect("a child").is_none() {
                peak = peak.max(memory(&child, "status", "VmHWM:"));
                std::thread::sleep(Duration::from_millis(2));
            }
            times.add(begun.elapsed());
        }
        line(&format!("10,000 manifests checked, {} MB at most", peak / 1024), &times, None);
        let mut times = Times::default();
        let engine = MemoryEngine::default();
        let setup = Setup {
            owner: PREFIX.parse().expect("an owner"),
            server: ExamServer::new(b"not a real server"),
            parallelism: IN_FLIGHT,
            budget: Budget::default(),
            suspension: Suspension::of(Path::new("/nonexistent"), &PREFIX.parse().expect("an owner")),
            records: Records::of(Path::new("/nonexistent"), &PREFIX.parse().expect("an owner")),
            registries: Registries::default(),
            socket: None,
            min_free_space: invigil::reconcile::MIN_FREE_SPACE,
        };
        engine.publish(&IMAGE.parse().expect("a reference"), serde_json::json!({}), Program::Runs);
        for round in 0..=ROUNDS {
            let begun = Instant::now();
            let snapshot = directory::read(dir.path()).expect("a snapshot");
            let wanted = Wanted::read(&snapshot, &mut AttachmentReader::default(), &setup.server);
            let held = BTreeMap::new();
            let plan = reconcile::plan(&wanted, &held, &setup, &engine);
            let plan = self.runtime.block_on(plan).expect("a plan");
            if round > 0 {
                times.add(begun.elapsed());
            } else {
                let (_stop, watched) = tokio::sync::watch::channel(false);
                let outcomes = reconcile::apply(&plan, &setup, &engine, &watched, &|_| {});
                assert!(self.runtime.block_on(outcomes).is_success());
            }
        }
        line("  and compared, engine in memory; goal <= 2 s", &times, None);
    }

    /// A look at a whole host, on which nothing is to be done: seats of one container, one volume and one problem set each,
    /// and networks. What Docker's own client takes to say the same of the containers alone stands beside it.
    fn plan(&self) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut manifests = String::new();
        let mut add = |kind: &str, name: &str, spec: &str| {
            let _ = writeln!(
                manifests,
                "---\napiVersion: invigil/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}"
            );
        };
        for seat in 0..SEATS {
            let name = format!("{PREFIX}-{seat}");
            add("Volume", &name, "{}");
            let items =
                format!("[{{id: '1', type: short_answer, prompt: 'seat {seat}', key: {{reference: r}}}}]");
            add("ProblemSet", &name, &format!("{{title: T, items: {items}}}"));
            let spec = format!(
                "{{problemSet: {name}, networkMode: none, state: created, binds: ['{name}:/answers']}}"
            );
            add("Container", &name, &spec);
        }
        for number in 0..NETWORKS {
            let spec = format!("{{internal: true, subnets: [{{subnet: 10.213.{number}.0/28}}]}}");
            add("Network", &format!("{PREFIX}-{number}"), &spec);
        }
        fs::write(dir.path().join("all.yaml"), manifests).expect("a file");
        self.apply(dir.path());
        let names: Vec<String> = (0..SEATS).map(|seat| format!("{PREFIX}-{seat}")).collect();
        let (mut ours, mut theirs) = (Times::default(), Times::default());
        for _ in 0..ROUNDS {
            theirs.add(timed(|| quiet(Command::new("docker").args(["container", "inspect"]).args(&names))));
            ours.add(timed(|| {
                quiet(Command::new(&self.invigil).args(["plan", "--owner", PREFIX]).arg(dir.path()));
            }));
        }
        self.clean();
        line(&format!("{SEATS} containers: docker inspect"), &theirs, None);
        let what = format!("  plan, {} resources; goal <= 0.15 s", 3 * SEATS + NETWORKS);
        line(&what, &ours, Some((&theirs, "")));
    }

    fn at_rest(&self) {
        for count in RESTING {
            self.at_rest_with(count);
        }
    }

    fn at_rest_with(&self, count: usize) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut manifests = String::new();
        for number in 0..count {
            let _ = writeln!(
                manifests,
                "---\napiVersion: invigil/v1\nkind: Container\nmetadata: {{name: {PREFIX}-{number}}}\n\
                 spec: {{image: '{IMAGE}', command: [sleep, '1000'], networkMode: none, state: created}}"
            );
        }
        fs::write(dir.path().join("all.yaml"), manifests).expect("a file");
        self.apply(dir.path());
        if count >= 1000 {
            let mut times = Times::default();
            for _ in 0..ROUNDS {
                times.add(timed(|| {
                    quiet(Command::new(&self.invigil).args(["plan", "--owner", PREFIX]).arg(dir.path()));
                }));
            }
            line(&format!("plan, {count} containers and nothing else"), &times, None);
        }
        let mut daemon = Command::new(&self.invigil);
        // As its unit has it.
        let unit = include_str!("../systemd/invigil.service").lines();
        let variables = unit.filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
        let mut tunables = variables.filter(|(name, _)| *name == "GLIBC_TUNABLES");
        daemon.envs([tunables.next().expect("the unit's tunables")]);
        daemon.args(["run", "--interval", "5s", "--owner", PREFIX]).arg(dir.path()).stderr(Stdio::null());
        let mut daemon = daemon.spawn().expect("the daemon");
        std::thread::sleep(Duration::from_secs(16));
        let (resident, own) =
            (memory(&daemon, "status", "VmRSS:"), memory(&daemon, "smaps_rollup", "Pss_Anon:"));
        daemon.kill().expect("the daemon's end");
        daemon.wait().expect("the daemon's end");
        println!(
            "daemon at rest, {count} containers: {:.1} MB resident, {:.1} MB of it its own; goal < 25 MB",
            f64::from(resident) / 1024.0,
            f64::from(own) / 1024.0
        );
    }

    /// Removes what this benchmark made.
    fn clean(&self) {
        self.runtime.block_on(async {
            let filters = HashMap::from([("name", vec![format!("^/{PREFIX}-")])]);
            let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
            let found = self.docker.list_containers(Some(options)).await.expect("a list");
            let removed =
                stream::iter(found.into_iter().filter_map(|container| container.id)).map(|id| async move {
                    let options = RemoveContainerOptionsBuilder::new().force(true).build();
                    self.docker.remove_container(&id, Some(options)).await.expect("a removal");
                });
            removed.buffer_unordered(IN_FLIGHT).collect::<()>().await;
        });
        let listed = Command::new("docker")
            .args(["images", "--format", "{{.Repository}}:{{.Tag}}"])
            .output()
            .expect("docker");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mine: Vec<&str> = listed.lines().filter(|tag| tag.contains(&format!("{PREFIX}-"))).collect();
        if !mine.is_empty() {
            quiet(Command::new("docker").arg("rmi").args(mine));
        }
        for kind in ["network", "volume"] {
            let list = [kind, "ls", "--filter", &format!("name={PREFIX}-"), "--format", "{{.Name}}"];
            let listed = Command::new("docker").args(list).output().expect("docker");
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            if !listed.is_empty() {
                quiet(Command::new("docker").args([kind, "rm"]).args(listed.lines()));
            }
        }
    }
}

/// How long a page was away in each round but the first, which only makes the container.
fn replaced(port: u16, text: impl Fn(usize) -> String, work: impl Fn(&Path)) -> Times {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("web.yaml");
    let mut times = Times::default();
    for round in 0..=ROUNDS {
        fs::write(&file, text(round)).expect("a file");
        let gap = gap(port, || work(&file));
        if round > 0 {
            times.add(gap);
        }
    }
    times
}

/// How long a page was away while `work` was done: from the last answer of before to the first of after.
fn gap(port: u16, work: impl FnOnce()) -> Duration {
    let is_over = Arc::new(AtomicBool::new(false));
    let watcher = {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE {
                let over = is_over.load(Ordering::Relaxed);
                if answers(port) {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    if over {
                        return longest;
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            panic!("nobody answers on port {port}");
        })
    };
    work();
    is_over.store(true, Ordering::Relaxed);
    watcher.join().expect("a watcher")
}

/// Whether a page is served: a proxy may accept where nobody is behind it.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page.contains("it answers"))
    };
    ask().unwrap_or(false)
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn up(compose: &Path, file: &Path) {
    quiet(Command::new(compose).args(["-p", PREFIX, "-f"]).arg(file).args(["up", "-d"]));
}

/// Runs a command that has to succeed, and shows what it said if it does not.
fn quiet(command: &mut Command) {
    let output = command.output().expect("a program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A figure of a process, in KiB.
fn memory(child: &Child, file: &str, key: &str) -> u32 {
    let text = fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Loads the image unless it is there.
fn busybox() {
    let found = Command::new("docker")
        .args(["image", "inspect", IMAGE])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !found.expect("the docker command").success() {
        let dir = tempfile::tempdir().expect("a directory");
        let archive = dir.path().join("busybox.tar");
        quiet(
            Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/busybox-image"))
                .arg(&archive)
                .arg(IMAGE),
        );
        quiet(Command::new("docker").arg("load").arg("-i").arg(&archive));
    }
}
