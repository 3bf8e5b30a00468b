//! A host with about a dozen resources of every kind, and somebody else's among them. In: what of it changes sides. Out:
//! what is there, and whether it is all that should be. Never disturbs anything itself.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use invigil::engine::docker::{DockerEngine, DockerReader};
use invigil::execute::Outcomes;
use serde_json::Value;

use super::part::{Moved, Part, Side, Sides};
use crate::proxy::{Proxy, ask, real_engine};
use crate::support::{BUSYBOX, Host, docker, run};

/// How long a program that was started may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The volume without a name that web has from its image.
const ANONYMOUS: &str = "/anonymous of web";

/// What must stay as it is, by what it is called.
type Facts = BTreeMap<String, String>;

pub struct World {
    pub host: Host,
    pub proxy: Proxy,
    /// The engine itself, for the passes that are not disturbed.
    engine: DockerEngine,
    sides: Sides,
    port: u16,
    subnets: [String; 4],
    /// What there was when all was well, as far as the move that is made now has to leave it alone.
    facts: Facts,
    /// What the engine had when all was well.
    seen: Seen,
    /// After the host, whose containers use it.
    anonymous: Leftover,
}

/// What the engine has, as it tells it: containers whole, everything else as it is listed.
#[derive(Default)]
struct Seen {
    containers: Vec<Value>,
    networks: Vec<Value>,
    volumes: Vec<Value>,
    images: Vec<Value>,
}

/// A volume that bears no name of the test's.
#[derive(Default)]
struct Leftover(String);

impl Drop for Leftover {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["volume", "rm", &self.0]).output();
    }
}

/// Networks that nobody has: the engine's own pool is too small for the networks of many worlds at once.
fn free_subnets() -> [String; 4] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let (process, world) = (100 + std::process::id() % 90, NEXT.fetch_add(1, Ordering::Relaxed));
    [0, 16, 32, 48].map(|last| format!("10.{process}.{world}.{last}/28"))
}

/// A port that nobody has, below those that the system gives out by itself.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 5_000).expect("small");
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl World {
    /// A world on side A, made by one pass, with things of somebody else's in it.
    pub async fn new() -> Self {
        let mut host = Host::new("fault").await;
        host.serve_with(small_exam_server());
        let name = |name: &str| host.name(name);
        let subnets = loop {
            let subnets = free_subnets();
            // A run that was killed may have left networks behind.
            if run(&["network", "create", "--subnet", &subnets[3], &name("theirs")]).status.success() {
                break subnets;
            }
        };
        docker(&["volume", "create", &name("theirs")]);
        let theirs = [name("theirs"), format!("{}:/v", name("theirs"))];
        docker(&[
            "run",
            "-d",
            "--name",
            &theirs[0],
            "--network",
            &theirs[0],
            "-v",
            &theirs[1],
            BUSYBOX,
            "sleep",
            "100000",
        ]);
        archives(&host);
        let proxy = Proxy::start();
        let port = free_port();
        let engine = engine_at(&format!("unix://{}", real_engine().display()));
        let (facts, seen, anonymous) = (Facts::new(), Seen::default(), Leftover::default());
        let mut world = Self { host, proxy, engine, sides: Sides::A, port, subnets, facts, seen, anonymous };
        world.write();
        world.settle(1).await.expect("the first side is made");
        docker(&["exec", &world.host.name("web"), "sh", "-c", "echo answers > /anonymous/a"]);
        world.seen = world.look().await;
        world.facts = world.facts(&world.seen, Moved::Whole);
        world.anonymous.0 = world.facts[ANONYMOUS].trim_matches('"').to_owned();
        world
    }

    pub const fn sides(&self) -> Sides {
        self.sides
    }

    /// Writes the manifests of the other side of what is moved.
    pub async fn turn(&mut self, moved: Moved) {
        self.facts = self.facts(&self.seen, moved);
        self.sides.turn(moved);
        self.write();
        if moved.has(Part::Web) && self.sides.of(Part::Web) == Side::B {
            // Volumes are never removed: for side B to make one, somebody has to take it away.
            let volume = format!("/volumes/{}", self.host.name("more"));
            let (status, told) = ask(&real_engine(), "DELETE", &volume).await.expect("the engine answers");
            assert!(matches!(status, 204 | 404), "{told}");
        }
    }

    fn write(&self) {
        self.host.write("world.yaml", &self.sides.manifests(self.port, &self.subnets));
    }

    /// One pass in this process, through the proxy.
    pub async fn pass(&self, parallelism: usize) -> Result<Outcomes, String> {
        let engine = engine_at(&self.proxy.endpoint());
        let passed = self.host.pass(&engine, parallelism).await;
        passed.map(|(_, outcomes)| outcomes).map_err(|error| error.to_string())
    }

    /// One pass of the program itself, through the proxy. `prepare` gets what kills it
    /// before it is started.
    pub async fn killed(
        &self,
        parallelism: usize,
        prepare: impl FnOnce(Arc<dyn Fn() + Send + Sync>),
    ) -> Result<(), String> {
        let program = Program::default();
        prepare(program.killer());
        let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
        command
            .args([
                "apply",
                "--yes",
                "--parallelism",
                &parallelism.to_string(),
                "--owner",
                &self.host.prefix,
                "--exam-server",
            ])
            .arg(small_exam_server())
            .arg(self.host.path())
            .env("DOCKER_HOST", self.proxy.endpoint())
            .env("INVIGIL_STATE_DIR", self.host.state())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        *program.0.lock().expect("a lock") = Some(command.spawn().expect("the program"));
        program.ended().await
    }

    /// Undisturbed passes until nothing is left to do, and how many it took: `most` at most.
    ///
    /// # Errors
    /// If it takes more, with the plan and the failures of each.
    pub async fn settle(&self, most: usize) -> Result<usize, String> {
        let mut told = Vec::new();
        loop {
            let plan = self.host.plan().await;
            if plan.starts_with("Nothing to do") && !plan.contains("kept") {
                return Ok(told.len());
            }
            if told.len() == most {
                return Err(format!("after {most} undisturbed passes:\n{}{plan}", told.join("\n")));
            }
            let (_, outcomes) = self
                .host
                .pass(&self.engine, 8)
                .await
                .map_err(|error| format!("an undisturbed pass: {error}"))?;
            let failed: Vec<&String> = outcomes.failed.values().collect();
            told.push(format!("{}{failed:?}", self.host.shown(&plan)));
            if !outcomes.is_success() {
                // The engine may still be at what a program asked for that was killed; the daemon waits, too, and as long.
                tokio::time::sleep(Duration::from_secs(1 << (told.len() - 1))).await;
            }
        }
    }

    async fn get(&self, path: &str) -> Value {
        let mut asked = 0;
        loop {
            let (status, answer) = ask(&real_engine(), "GET", path).await.expect("the engine answers");
            if status == 200 {
                return answer;
            }
            asked += 1;
            // containerd's store fails a list of images while another world's image is being deleted.
            assert!(status == 404 && asked < 20, "{path}: {status} {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The documents of all containers whose name is of this world.
    async fn containers(&self) -> Vec<Value> {
        let filter = format!("%7B%22name%22%3A%5B%22{}-%22%5D%7D", self.host.prefix);
        let listed = self.get(&format!("/containers/json?all=1&filters={filter}")).await;
        let mut documents = Vec::new();
        for one in listed.as_array().into_iter().flatten() {
            let path = format!("/containers/{}/json", one["Id"].as_str().expect("an id"));
            let (status, answer) = ask(&real_engine(), "GET", &path).await.expect("the engine answers");
            // The engine finishes what it was told by a program that was killed since.
            if status != 404 {
                documents.push(answer);
            }
        }
        documents
    }

    /// A container's own name, without the world's prefix.
    fn own<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.trim_start_matches('/').strip_prefix(&self.host.prefix)?.strip_prefix('-')
    }

    async fn look(&self) -> Seen {
        let list = |listed: Value| listed.as_array().cloned().unwrap_or_default();
        Seen {
            containers: self.containers().await,
            networks: list(self.get("/networks").await),
            volumes: list(self.get("/volumes").await["Volumes"].take()),
            images: list(self.get("/images/json").await),
        }
    }

    /// What a pass that moves only this may not change: who runs and for how long, where data is, and everything
    /// of the parts that stay.
    fn facts(&self, seen: &Seen, moved: Moved) -> Facts {
        let mut facts = Facts::new();
        for document in &seen.containers {
            let name = self.own(document["Name"].as_str().unwrap_or_default()).unwrap_or_default();
            if Part::of_container(name).is_none_or(|part| !moved.has(part)) {
                facts.insert(
                    format!("container {name}"),
                    format!("{} {}", document["Id"], document["State"]["StartedAt"]),
                );
            }
            for mount in document["Mounts"].as_array().into_iter().flatten().filter(|_| name == "web") {
                facts.insert(
                    format!("{} of {name}", mount["Destination"].as_str().unwrap_or_default()),
                    mount["Name"].to_string(),
                );
            }
        }
        // A successor that is not there yet has no mounts.
        let anonymous = self.facts.get(ANONYMOUS).or(facts.get(ANONYMOUS)).cloned();
        for volume in &seen.volumes {
            let name = self.own(volume["Name"].as_str().unwrap_or_default());
            if matches!(name, Some("theirs" | "data")) || Some(volume["Name"].to_string()) == anonymous {
                facts.insert(format!("volume {}", volume["Name"]), volume["CreatedAt"].to_string());
            }
        }
        for network in &seen.networks {
            let stays = match self.own(network["Name"].as_str().unwrap_or_default()) {
                Some("theirs" | "keep") => true,
                Some("net") => !moved.has(Part::Network),
                Some("more") => !moved.has(Part::Web),
                _ => false,
            };
            if stays {
                facts.insert(format!("network {}", network["Name"]), network["Id"].to_string());
            }
        }
        for image in &seen.images {
            for tag in image["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let own = self.own(tag);
                if own.is_some_and(|own| own.starts_with("withvolume") || !moved.has(Part::Images)) {
                    facts.insert(format!("image {tag}"), image["Id"].to_string());
                }
            }
        }
        facts
    }

    /// What is wrong just after a pass was disturbed, whatever is yet to be done. `alive` says that the pass
    /// could go on after the disturbance.
    ///
    /// Nothing that nobody asked to change was touched. Of web and its predecessor never both run, and one
    /// of them does where the pass could put right what it had begun (law 7). Of swift, whose successor
    /// starts first, one runs whatever happens.
    pub async fn wrongs_after(&self, moved: Moved, alive: bool) -> Vec<String> {
        let seen = self.look().await;
        let mut wrongs = self.changed_facts(&self.facts(&seen, moved), false);
        let containers = seen.containers;
        let up = |wanted: &str| {
            let is_it = |document: &&Value| {
                let name = self.own(document["Name"].as_str().unwrap_or_default()).unwrap_or_default();
                name.split('.').next() == Some(wanted) && document["State"]["Running"] == true
            };
            containers.iter().filter(is_it).count()
        };
        for (name, fits) in
            [("web", up("web") <= 1 && !(alive && up("web") == 0)), ("swift", up("swift") > 0)]
        {
            if !fits {
                wrongs.push(format!("{} of {name} are up: {}", up(name), self.names(&containers).join(", ")));
            }
        }
        wrongs
    }

    fn names(&self, containers: &[Value]) -> Vec<String> {
        let mut names: Vec<String> = containers
            .iter()
            .map(|document| {
                let name = document["Name"].as_str().unwrap_or_default();
                let own = self.own(name).unwrap_or(name);
                format!("{own} {}", document["State"]["Status"].as_str().unwrap_or_default())
            })
            .collect();
        names.sort();
        names
    }

    fn changed_facts(&self, now: &Facts, all: bool) -> Vec<String> {
        let is_about_web = |fact: &str| fact.ends_with(" of web");
        self.facts
            .iter()
            .filter(|(fact, value)| now.get(*fact) != Some(value) && (all || !is_about_web(fact)))
            .map(|(fact, was)| format!("{fact}: {was} -> {:?}", now.get(fact)))
            .collect()
    }

    /// What is wrong once the passes have nothing left to do.
    pub async fn wrongs(&mut self, moved: Moved) -> Vec<String> {
        let seen = self.look().await;
        let mut wrongs = self.changed_facts(&self.facts(&seen, moved), true);
        let mut differ = |what: &str, found: Vec<String>, expected: &[&str]| {
            if found != expected {
                wrongs.push(format!("{what}: {found:?} and not {expected:?}"));
            }
        };
        differ("containers", self.names(&seen.containers), &self.sides.containers());
        let mut environments = Vec::new();
        for document in &seen.containers {
            let name = self.own(document["Name"].as_str().unwrap_or_default()).unwrap_or_default();
            let values = document["Config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let sides = values.filter(|value| value.starts_with("SIDE="));
            environments.extend(sides.map(|side| format!("{name} {side}")));
        }
        environments.sort();
        let expected = self.sides.environments();
        differ("environments", environments, &expected.iter().map(String::as_str).collect::<Vec<_>>());
        if moved.has(Part::Again) {
            let inside = docker(&["exec", &self.host.name("again"), "cat", "/etc/side"]);
            differ("the file", vec![inside], &[self.sides.file()]);
        }
        if moved.has(Part::Swift) {
            let network = |name: &str| docker(&["exec", &self.host.name(name), "readlink", "/proc/1/ns/net"]);
            differ("the network beside", vec![network("beside")], &[&network("steady")]);
        }
        let names = seen.networks.iter().filter_map(|network| network["Name"].as_str());
        let mut networks: Vec<String> = names.filter_map(|name| self.own(name)).map(str::to_owned).collect();
        networks.sort();
        differ("networks", networks, &self.sides.networks());
        differ("tags", self.tags(&seen.images), &self.sides.tags());
        let of = format!("{}-", self.host.prefix);
        let imported: Vec<&Value> = seen.images.iter().filter(|image| image["Labels"]["of"] == of).collect();
        if imported.len() != 1 {
            wrongs.push(format!("there is not one imported image: {imported:#?}"));
        }
        self.seen = seen;
        wrongs
    }

    /// The tags of this world's images, the marks' ids left out.
    fn tags(&self, images: &[Value]) -> Vec<String> {
        let mut tags: Vec<String> = images
            .iter()
            .flat_map(|image| image["RepoTags"].as_array().into_iter().flatten())
            .filter_map(|tag| tag.as_str().filter(|tag| tag.contains(&self.host.prefix)))
            .map(|tag| match tag.strip_prefix("io.invigil.owner/") {
                Some(mark) => {
                    format!("mark of {}", self.host.shown(mark.split(['/', ':']).nth(1).unwrap_or(mark)))
                }
                None => self.host.shown(tag),
            })
            .collect();
        tags.sort();
        // An image that was being marked when the program died may bear the mark of that attempt, too.
        tags.dedup();
        tags
    }
}

/// A program that was started, and that may be killed at any moment.
#[derive(Default)]
struct Program(Arc<Mutex<Option<Child>>>);

impl Program {
    /// What kills it.
    fn killer(&self) -> Arc<dyn Fn() + Send + Sync> {
        let child = Arc::clone(&self.0);
        Arc::new(move || {
            if let Some(child) = child.lock().expect("a lock").as_mut() {
                let _ = child.kill();
                let _ = child.wait();
            }
        })
    }

    /// Waits until it has ended.
    async fn ended(&self) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let runs = || {
            let mut child = self.0.lock().expect("a lock");
            child.as_mut().is_some_and(|child| child.try_wait().expect("it can be waited for").is_none())
        };
        while runs() {
            if tokio::time::Instant::now() >= deadline {
                return Err(format!("the program did not end in {PATIENCE:?}"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.killer()();
    }
}

/// An engine at an address, not spoken to yet.
pub fn engine_at(endpoint: &str) -> DockerEngine {
    DockerEngine::new(DockerReader::at(endpoint))
}

/// The exam server without what is only for debuggers, which is most of it and goes into every load.
fn small_exam_server() -> &'static Path {
    static PROGRAM: LazyLock<tempfile::TempPath> = LazyLock::new(|| {
        let small = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        let program = env!("CARGO_BIN_EXE_invigil-exam");
        let made = Command::new("strip").arg("-o").arg(&small).arg(program).status().expect("strip");
        assert!(made.success(), "strip failed");
        small
    });
    &PROGRAM
}

/// The archives and the image that the manifests name.
fn archives(host: &Host) {
    let path = |file: &str| host.path().join(file).to_str().expect("a path").to_owned();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(host.prefix.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "name", host.prefix.as_bytes()).expect("a tar");
    std::fs::write(path("rootfs.tar"), tar.into_inner().expect("a tar")).expect("a file");
    // Without a tag: one that an archive brings along cannot be told from somebody's own.
    let saved = docker(&["import", &path("rootfs.tar")]);
    // Podman tells its id twice.
    let saved = saved.rsplit(' ').next().expect("an id").to_owned();
    docker(&["save", "-o", &path("saved.tar"), &saved]);
    docker(&["rmi", &saved]);
    docker(&["create", "--name", &host.name("seed"), BUSYBOX, "true"]);
    docker(&["commit", "--change", "VOLUME /anonymous", &host.name("seed"), &host.name("withvolume")]);
    docker(&["rm", &host.name("seed")]);
}
