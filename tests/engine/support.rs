//! A host for one test: a directory of manifests, an owner and names of its own, and a real engine.
//! Everything that the test made is removed when it ends, however it ends.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use invigil::assembly::ExamServer;
use invigil::diff::Budget;
use invigil::engine::EngineError;
use invigil::engine::docker::{DockerEngine, DockerReader};
use invigil::execute::{Event, Outcomes};
use invigil::plan::{Palette, Plan};
use invigil::reconcile::{self, Setup, Wanted};
use invigil::records::Records;
use invigil::registries::Registries;
use invigil::source::attachment::AttachmentReader;
use invigil::source::directory;
use invigil::suspension::{DEFAULT_DIR, Suspension};
use tokio::sync::watch;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// How long an engine may fail to list what is changing.
const PATIENCE: Duration = Duration::from_secs(30);

/// The image that tests run: Debian's static busybox, loaded by `scripts/busybox-image`.
pub const BUSYBOX: &str = "busybox:static";

pub struct Host {
    dir: tempfile::TempDir,
    /// What every name of this test begins with.
    pub prefix: String,
    setup: Setup,
    /// The engine, for steps of a test's own.
    pub engine: DockerEngine,
}

/// Beside the manifests, where nobody looks for any.
const STATE: &str = ".state";

impl Host {
    /// A host whose names begin with `ivt-TEST-`.
    pub async fn new(test: &str) -> Self {
        busybox();
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("ivt-{test}-{}-{number:03}", std::process::id());
        let program = std::fs::read(env!("CARGO_BIN_EXE_invigil-exam")).expect("the exam server");
        let dir = tempfile::tempdir().expect("a directory");
        let setup = Setup {
            owner: prefix.parse().expect("an owner"),
            server: ExamServer::new(&program),
            parallelism: 8,
            budget: Budget { share: 100, ..Budget::default() },
            suspension: Suspension::of(&dir.path().join(STATE), &prefix.parse().expect("an owner")),
            records: Records::of(&dir.path().join(STATE), &prefix.parse().expect("an owner")),
            registries: Registries::default(),
            socket: DockerReader::from_environment().socket(),
            min_free_space: invigil::reconcile::MIN_FREE_SPACE,
        };
        let engine = DockerEngine::new(DockerReader::from_environment().connect().await.expect("an engine"));
        Self { dir, prefix, setup, engine }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where it is remembered what was done to containers.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join(STATE)
    }

    /// The host after an upgrade of Invigil that brought another exam server.
    pub fn upgrade(&mut self) {
        let mut program = std::fs::read(env!("CARGO_BIN_EXE_invigil-exam")).expect("the exam server");
        // What follows an ELF file's last section is not looked at.
        program.extend(b"another build");
        self.setup.server = ExamServer::new(&program);
    }

    /// The host whose engine is to have this much free before images are brought there.
    pub fn keep_free(&mut self, size: &str) {
        self.setup.min_free_space = size.parse().expect("a size");
    }

    /// The host with another exam server.
    pub fn serve_with(&mut self, program: &Path) {
        self.setup.server = ExamServer::new(&std::fs::read(program).expect("the exam server"));
    }

    /// A name of this test's own.
    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Writes a file, with `@` in it as the test's prefix and a dash.
    pub fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, text.replace('@', &format!("{}-", self.prefix))).expect("a written file");
        path
    }

    /// Writes one Container manifest; `spec` is YAML in braces.
    pub fn container(&self, name: &str, spec: &str) {
        self.write(
            &format!("{name}.yaml"),
            &format!(
                "apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: '@{name}'}}\nspec: {spec}\n"
            ),
        );
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.dir.path().join(file)).expect("a file");
    }

    pub fn wanted(&self) -> Wanted {
        let snapshot = directory::read(self.dir.path()).expect("a snapshot");
        Wanted::read(&snapshot, &mut AttachmentReader::default(), &self.setup.server)
    }

    /// The plan of valid manifests.
    pub async fn planned(&self) -> Plan {
        let wanted = self.wanted();
        assert!(
            !wanted.has_errors(),
            "{}",
            wanted.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join(
                "
"
            )
        );
        self.planned_for(&wanted).await
    }

    pub async fn planned_for(&self, wanted: &Wanted) -> Plan {
        reconcile::plan(wanted, &BTreeMap::new(), &self.setup, &self.engine).await.expect("a plan")
    }

    /// The plan's text, with the test's prefix as `@`.
    pub async fn plan(&self) -> String {
        self.shown(&self.planned().await.to_text(&Palette::default()))
    }

    pub fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}-", self.prefix), "@")
    }

    /// The plan's text by way of an engine of one's own choice, with the test's prefix as `@`.
    pub async fn plan_by(&self, engine: &DockerEngine) -> Result<String, EngineError> {
        let plan = reconcile::plan(&self.wanted(), &BTreeMap::new(), &self.setup, engine).await?;
        Ok(self.shown(&plan.to_text(&Palette::default())))
    }

    /// One pass as a program makes it, on an engine of one's own choice, however it ends.
    pub async fn pass(
        &self,
        engine: &DockerEngine,
        parallelism: usize,
    ) -> Result<(Plan, Outcomes), EngineError> {
        let setup = Setup { parallelism, ..self.setup.clone() };
        let plan = reconcile::plan(&self.wanted(), &BTreeMap::new(), &setup, engine).await?;
        let (_keep, stop) = watch::channel(false);
        let outcomes = reconcile::apply(&plan, &setup, engine, &stop, &|_| {}).await;
        Ok((plan, outcomes))
    }

    /// Plans and applies; gives what failed.
    pub async fn try_apply(&self) -> (Outcomes, Vec<String>) {
        self.carry_out(&self.planned().await).await
    }

    /// Carries out a plan, whatever has happened since; gives what failed.
    pub async fn carry_out(&self, plan: &Plan) -> (Outcomes, Vec<String>) {
        let (_keep, stop) = watch::channel(false);
        let told = Mutex::new(Vec::new());
        let report = |event: Event<'_>| match event {
            Event::Failed(_, node, error) => {
                told.lock().expect("a lock").push(format!("{}: {error}", node.step));
            }
            Event::Rescued(_, node, result) => {
                told.lock().expect("a lock").push(format!("rescued after {}: {result:?}", node.step));
            }
            _ => {}
        };
        let outcomes = reconcile::apply(plan, &self.setup, &self.engine, &stop, &report).await;
        (outcomes, told.into_inner().expect("a lock"))
    }

    /// Plans and applies without a failure; then nothing is left to do (law 9).
    pub async fn apply(&self) -> String {
        let text = self.plan().await;
        let (outcomes, told) = self.try_apply().await;
        assert!(outcomes.is_success(), "{told:?}");
        let again = self.plan().await;
        assert!(
            again.starts_with("Nothing to do"),
            "law 9: after this plan\n{text}\nthere is still\n{again}"
        );
        text
    }

    pub fn inspect(&self, name: &str, format: &str) -> String {
        docker(&["inspect", "--type", "container", "--format", format, &self.name(name)])
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let lines = |arguments: &[&str]| -> Vec<String> {
            let output = run(arguments);
            String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
        };
        for what in ["pass.lock", "daemon.lock", "sock"] {
            let _ = std::fs::remove_file(format!("/run/invigil/{}.{what}", self.prefix));
        }
        // The journal of programs that keep their state where they do by default.
        let own = format!("{}.", self.prefix);
        for file in std::fs::read_dir(DEFAULT_DIR).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().starts_with(&own) {
                let _ = std::fs::remove_file(file.path());
            }
        }
        let mine = format!("name={}", self.prefix);
        for id in lines(&["ps", "-aq", "--filter", &mine]) {
            run(&["rm", "-f", &id]);
        }
        for id in lines(&["network", "ls", "-q", "--filter", &mine]) {
            run(&["network", "rm", &id]);
        }
        for id in lines(&["volume", "ls", "-q", "--filter", &mine]) {
            run(&["volume", "rm", &id]);
        }
        for image in lines(&["images", "--format", "{{.Repository}}:{{.Tag}}"]) {
            if image.contains(&self.prefix) {
                run(&["rmi", &image]);
            }
        }
    }
}

/// The spec of a container that runs for as long as any test, and ends at once. `more` of it begins with a comma.
pub fn sleeper(more: &str) -> String {
    format!("{{image: '{BUSYBOX}', command: [sleep, '100000'], stopSignal: SIGKILL{more}}}")
}

pub fn run(arguments: &[&str]) -> Output {
    if let ["commit", options @ .., container, tag] = arguments
        && is_podman()
    {
        return commit(container, tag, options);
    }
    Command::new("docker").args(arguments).output().expect("the docker command")
}

/// What the docker command says; it must succeed. With containerd's store, and on Podman, a list of images fails while
/// one of them goes, another test's among them.
pub fn docker(arguments: &[&str]) -> String {
    let is_passing = |output: &Output| {
        let told = String::from_utf8_lossy(&output.stderr);
        let has = |parts: [&str; 2]| parts.iter().all(|part| told.contains(part));
        !output.status.success()
            && (has(["content digest", "not found"]) || has(["locating image with ID", "image not known"]))
    };
    let mut output = run(arguments);
    let begun = Instant::now();
    while is_passing(&output) && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
        output = run(arguments);
    }
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether the engine is Podman.
pub fn is_podman() -> bool {
    static PODMAN: OnceLock<bool> = OnceLock::new();
    *PODMAN.get_or_init(|| docker(&["version", "--format", "{{json .Server.Components}}"]).contains("Podman"))
}

/// `docker commit` for Podman, which takes no call without a body.
fn commit(container: &str, tag: &str, options: &[&str]) -> Output {
    let (repository, version) =
        tag.rsplit_once(':').filter(|(_, version)| !version.contains('/')).unwrap_or((tag, "latest"));
    let mut query =
        vec![format!("container={container}"), format!("repo={repository}"), format!("tag={version}")];
    query.extend(
        options.iter().filter(|option| **option != "--change").map(|change| format!("changes={change}")),
    );
    let mut arguments = vec!["--data", "{}", "--header", "Content-Type: application/json"];
    arguments.extend(query.iter().flat_map(|part| ["--url-query", part]));
    ask(&arguments, "commit")
}

/// Has a container's health checked, if it runs, as systemd has it on a host of Podman's that it runs; Docker does by itself.
pub fn check_health(container: &str) {
    if is_podman() {
        let _ = ask(&[], &format!("libpod/containers/{container}/healthcheck"));
    }
}

/// Has an image pushed again whose push failed: Podman tells of what it pushed as of what it did not, unless the tag is
/// gone.
pub fn forget_failed_push(tag: &str) {
    if is_podman() {
        docker(&["rmi", tag]);
    }
}

/// A call of the engine's API that the docker command does not make, with more arguments for curl.
fn ask(arguments: &[&str], path: &str) -> Output {
    let socket = DockerReader::from_environment().socket().expect("a socket");
    Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--unix-socket"])
        .arg(socket)
        .args(arguments)
        .arg(format!("http://engine/v1.41/{path}"))
        .output()
        .expect("curl")
}

/// What `docker inspect` is asked for a variable of a container, wherever it stands: `A=1`.
pub fn variable(name: &str) -> String {
    format!(
        "{{{{range .Config.Env}}}}{{{{if eq (index (split . \"=\") 0) \"{name}\"}}}}{{{{.}}}}{{{{end}}}}{{{{end}}}}"
    )
}

/// What a plan says, with what takes a new container on Podman said so.
pub fn in_place(plan: &str) -> String {
    let plan = plan.to_owned();
    if is_podman() {
        plan.replace("update in place", "replace").replace(" to update", " to replace")
    } else {
        plan
    }
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What Podman cannot do, or tells otherwise than a test looks for it: the test, and the reason as it stands in the
/// README.
const NOT_ON_PODMAN: &[(&str, &str)] = &[
    (
        "law_11_a_pass_that_is_disturbed_at_any_call_is_put_right_by_the_next",
        "no call changes limits or the restart policy",
    ),
    ("a_build_is_told_its_context_its_stage_and_its_network", "builds in the host's network"),
    ("a_driver_of_addresses_that_no_engine_has_is_told", "takes any `ipam.driver`"),
    ("a_locked_tag_means_the_image_that_it_was_wherever_it_moves", "no call asks a registry what it has"),
    (
        "a_plain_container_says_its_image_and_its_command",
        "`nofile` and `nproc` look as if they had been asked for",
    ),
    ("a_registry_is_searched", "`search` is answered in other words"),
    (
        "an_image_is_named_by_what_still_is_its_name",
        "taking an image's tag away by force takes its containers with it",
    ),
    ("an_image_is_pushed_once_and_a_tag_that_moves_there_is_pulled", "no call asks a registry what it has"),
    ("every_example_is_applied_and_the_exam_is_served_without_its_key", "that of `examples/` is one"),
    (
        "every_field_of_a_network_is_set_seen_changed_and_taken_away",
        "loses a network's `auxAddresses`, `ipam.options`",
    ),
    ("limits_that_change_in_place_keep_the_container", "no call changes limits or the restart policy"),
    ("law_12_a_build_is_given_its_secrets_and_they_are_nowhere_else", "its API gives a build no secrets"),
    ("links_and_volumes_of_another_container_are_fields_too", "`links` are refused"),
    (
        "many_flags_of_docker_run_become_a_manifest_that_changes_nothing_else",
        "the docker command refuses `run --device`",
    ),
    ("what_a_container_names_is_exported_with_it", "`links` are refused"),
    (
        "what_an_exams_image_gives_to_its_containers_is_known_without_asking_the_engine",
        "does not tell an image's health check",
    ),
    ("what_cannot_be_said_is_told", "`MaskedPaths` and `ReadonlyPaths` are not told"),
    ("what_containers_wrote_is_shown", "times of output are whole seconds"),
    (
        "what_others_do_to_a_managed_container_is_in_the_log",
        "does not tell what is run in a container, or copied",
    ),
    (
        "what_runs_in_a_container_and_what_it_has_written_is_shown",
        "`top` with arguments is not divided into columns",
    ),
    ("who_is_linked_to_a_container_that_is_made_anew_is_made_anew_with_it", "`links` are refused"),
];

/// Whether a test is left out on this engine, which is told.
pub fn is_left_out(test: &str) -> bool {
    let entry = NOT_ON_PODMAN.iter().find(|(name, _)| *name == test);
    let Some((_, reason)) = entry.filter(|_| is_podman()) else { return false };
    // Not by a macro: the test harness keeps to itself what those of a test that passes print.
    let _ = writeln!(std::io::stderr(), "left out on Podman: {test}: {reason}");
    true
}

#[test]
fn what_is_left_out_on_podman_is_in_the_readme() {
    let readme = include_str!("../../README.md");
    for (test, reason) in NOT_ON_PODMAN {
        assert!(readme.contains(reason), "{test}: {reason}");
    }
}

/// What `invigil export` prints and tells for a host's owner.
pub fn export(host: &Host, names: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .arg("export")
        .args(names)
        .args(["--owner", &host.prefix])
        .output()
        .expect("invigil runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (manifests, told) = (text(&output.stdout), host.shown(&text(&output.stderr)));
    assert_ne!(output.status.code(), Some(1), "{told}{manifests}");
    (manifests, told)
}

/// Loads busybox once.
fn busybox() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if run(&["image", "inspect", BUSYBOX]).status.success() {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let archive = dir.path().join("busybox.tar");
        let made = Command::new(repository("scripts/busybox-image"))
            .arg(&archive)
            .arg(BUSYBOX)
            .status()
            .expect("scripts/busybox-image");
        assert!(made.success(), "scripts/busybox-image failed");
        docker(&["load", "-i", archive.to_str().expect("a path")]);
    });
}
