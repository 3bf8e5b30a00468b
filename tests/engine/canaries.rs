//! Law 12 on the whole program: secrets that nothing may repeat are put wherever a manifest or Docker's config can hold one.
//! In: every command that tells something, and what goes wrong with secrets at hand. Out: all that was said, written and
//! made, searched for each of them, also as base64 and as a digest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::build::serve;
use crate::registry::Registry;
use crate::support::{BUSYBOX, Host, docker, is_podman, run};

/// Each is somewhere else, so that it is known which one got out.
const CANARIES: [&str; 11] =
    [REGISTRY, CONTEXT, ARCHIVE, ENV, NEXT_ENV, ADDRESS, ENV_FILE, CONTENT, KEY, LABELLED, BUILT];
const REGISTRY: &str = "canary-of-the-registry";
const CONTEXT: &str = "canary-of-the-context";
const ARCHIVE: &str = "canary-of-the-archive";
const ENV: &str = "canary-of-the-variable";
const NEXT_ENV: &str = "canary-of-the-next-variable";
const ADDRESS: &str = "canary-of-the-address";
const ENV_FILE: &str = "canary-of-the-env-file";
const CONTENT: &str = "canary-of-the-content";
const KEY: &str = "canary-of-the-key";
const LABELLED: &str = "canary-of-the-build";
const BUILT: &str = "canary-of-the-dockerfile";

/// What would give a canary away: itself, and what base64 makes of it wherever it stands in what is encoded.
fn forms(canary: &str) -> Vec<String> {
    let mut forms = vec![canary.to_owned(), invigil::resource::digest::sha256_hex(canary.as_bytes())];
    for before in 0..3 {
        let text = "x".repeat(before) + canary;
        // Its first and its last characters depend on the neighbours.
        let own = |encoded: String| encoded[if before == 0 { 0 } else { 4 }..encoded.len() - 4].to_owned();
        forms.extend([own(STANDARD.encode(&text)), own(URL_SAFE.encode(&text))]);
    }
    forms
}

/// Everything that was said, written or made, by what it is called.
#[derive(Default)]
struct Found(BTreeMap<String, Vec<u8>>);

impl Found {
    fn add(&mut self, what: impl Into<String>, bytes: impl AsRef<[u8]>) {
        self.0.entry(what.into()).or_default().extend_from_slice(bytes.as_ref());
    }

    /// Every file below a directory.
    fn add_files(&mut self, directory: &Path) {
        for entry in
            fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                self.add_files(&entry);
            } else {
                self.add(entry.display().to_string(), fs::read(&entry).expect("a file"));
            }
        }
    }

    /// Where which canary is.
    fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        for canary in CANARIES {
            for form in forms(canary) {
                for (what, bytes) in &self.0 {
                    if let Some(at) = bytes.windows(form.len()).position(|window| window == form.as_bytes()) {
                        let near = &bytes[at.saturating_sub(80)..(at + form.len() + 20).min(bytes.len())];
                        leaks.push(format!("{canary} in {what}: ...{}...", String::from_utf8_lossy(near)));
                    }
                }
            }
        }
        leaks
    }
}

/// The program with Docker's config in a directory, as talkative as it can be.
fn program(host: &Host, config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
    command
        .args(arguments)
        .env("INVIGIL_OWNER", &host.prefix)
        .env("DOCKER_CONFIG", config)
        .env("INVIGIL_LOG", "trace")
        .env("RUST_LOG", "trace");
    command
}

/// `archive` is where one is served.
fn manifests(host: &Host, registry: &Registry, archive: &str, secret: &str) {
    let item = |kind: &str, name: &str, spec: &str| {
        let text =
            format!("apiVersion: invigil/v1\nkind: {kind}\nmetadata: {{name: '@{name}'}}\nspec: {spec}\n");
        let path = host.write(&format!("{name}.yaml"), &text);
        // An at sign that is one.
        let text = fs::read_to_string(&path).expect("a file").replace("(at)", "@");
        fs::write(path, text).expect("a file");
    };
    let stays = "stopSignal: SIGKILL, networkMode: none";
    let env = format!("env: {{DB_PASSWORD: {secret}, DATABASE: 'postgres://app:{ADDRESS}(at)db/x'}}");
    host.write("web.env", &format!("API_TOKEN={ENV_FILE}\n"));
    item(
        "ProblemSet",
        "set",
        &format!(
            "{{title: T, items: [{{id: '1', type: fill_in_blank, prompt: Q, key: {{blanks: [{KEY}]}}}}]}}"
        ),
    );
    item("Container", "seat", &format!("{{problemSet: '@set', {stays}}}"));
    item(
        "Container",
        "web",
        &format!(
            "{{image: '{BUSYBOX}', command: [sleep, '1000'], {stays}, {env}, envFiles: [./web.env], \
             files: [{{path: /etc/app.conf, content: '{CONTENT}'}}]}}"
        ),
    );
    // Says what it knows, and ends.
    item(
        "Container",
        "ends",
        &format!(
            "{{image: '{BUSYBOX}', command: [sh, -c, 'echo no login with $DB_PASSWORD at $DATABASE >&2; sleep 1; exit 3'], {stays}, {env}}}"
        ),
    );
    item("Container", "pulled", &format!("{{image: '{}', {stays}}}", registry.image("exam/none:1")));
    item(
        "Image",
        "pushed",
        &format!(
            "{{build: {{dockerfileInline: 'FROM {BUSYBOX}'}}, tags: ['{}'], push: true}}",
            registry.image("exam/app:1")
        ),
    );
    item(
        "Image",
        "imported",
        &format!("{{import: {{url: 'http://{archive}/rootfs.tar?token={ARCHIVE}'}}, tags: ['@imported:1']}}"),
    );
    item(
        "Image",
        "fetched",
        &format!(
            "{{build: {{context: 'http://127.0.0.1:1/app.tar?token={CONTEXT}'}}, tags: ['@fetched:1']}}"
        ),
    );
    item(
        "Image",
        "away",
        &format!("{{import: {{url: 'http://127.0.0.1:1/rootfs.tar?token={ARCHIVE}'}}, tags: ['@away:1']}}"),
    );
    item(
        "Image",
        "broken",
        &format!(
            "{{build: {{dockerfileInline: \"FROM {BUSYBOX}\\nARG API_TOKEN\\nENV DB_PASSWORD={BUILT}\\nRUN exit 3\", builder: classic, args: {{API_TOKEN: {LABELLED}}}}}, tags: ['@broken:1']}}"
        ),
    );
}

/// Manifests that are wrong where they hold secrets.
fn faults(host: &Host) {
    let set = |key: &str| {
        format!(
            "{{title: T, items: [{{id: '1', type: single_choice, prompt: Q, choices: [{{id: A, text: a}}, {{id: B, text: b}}], key: {key}}}]}}"
        )
    };
    for (number, kind, spec) in [
        (1, "Image", format!("{{build: {{context: 'http://exam:{CONTEXT}(at)127.0.0.1:1/app.tar'}}}}")),
        (2, "Image", format!("{{import: {{url: 'http://exam:{ARCHIVE}(at)127.0.0.1:1/rootfs.tar'}}}}")),
        (3, "Container", format!("{{image: 'http://exam:{REGISTRY}(at)127.0.0.1:1/app'}}")),
        (4, "Container", format!("{{image: x, env: {{DB_PASSWORD: [{ENV}]}}}}")),
        (5, "Container", format!("{{image: x, env: ['{ENV}']}}")),
        (6, "Container", format!("{{image: x, files: [{{path: x, content: [{CONTENT}]}}]}}")),
        (7, "ProblemSet", set(&format!("{{choices: [{KEY}]}}"))),
        (8, "ProblemSet", set(&format!("{{bool: {KEY}}}"))),
        (9, "ProblemSet", set(&format!("{{blanks: [{KEY}]}}"))),
        (10, "ProblemSet", set(KEY)),
        (11, "ProblemSet", format!("{{title: T, items: [{{id: '1', key: {{choices: [{KEY}")),
    ] {
        let name = format!("fault{number}");
        let text =
            format!("apiVersion: invigil/v1\nkind: {kind}\nmetadata: {{name: '@{name}'}}\nspec: {spec}\n");
        let path = host.write(&format!("{name}.yaml"), &text);
        fs::write(&path, fs::read_to_string(&path).expect("a file").replace("(at)", "@")).expect("a file");
    }
    host.write("fault12.env", &format!("A=1\n{ENV_FILE}\n"));
    host.write(
        "fault12.yaml",
        "apiVersion: invigil/v1\nkind: Container\nmetadata: {name: '@fault12'}\nspec: {image: x, envFiles: [./fault12.env]}\n",
    );
}

/// The daemon and what it starts, as everybody on the host sees them.
fn processes(found: &mut Found, daemon: &Child) {
    let mut all = vec![daemon.id().to_string()];
    let mut next = 0;
    while next < all.len() {
        let tasks = fs::read_dir(format!("/proc/{}/task", all[next])).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().map(str::to_owned));
        }
        next += 1;
    }
    for id in all {
        for file in ["cmdline", "environ", "comm"] {
            found.add(
                format!("the process's {file}"),
                fs::read(format!("/proc/{id}/{file}")).unwrap_or_default(),
            );
        }
    }
}

/// Runs the daemon until it has replaced something and seen containers end. Its log goes into a directory.
fn daemon_runs(host: &Host, config: &Path, into: &Path, found: &mut Found) {
    let log = into.join("log");
    let mut daemon = program(host, config, &["run", "--interval", "1s", "--log-format", "json"])
        .args(["--state-dir".as_ref(), host.state().as_os_str(), host.path().as_os_str()])
        .stdout(fs::File::create(into.join("out")).expect("a file"))
        .stderr(fs::File::create(&log).expect("a file"))
        .stdin(Stdio::null())
        .spawn()
        .expect("the daemon");
    let begun = Instant::now();
    while !fs::read_to_string(&log).expect("a log").contains("\"replace\"") {
        processes(found, &daemon);
        assert!(begun.elapsed() < Duration::from_mins(3), "{}", fs::read_to_string(&log).expect("a log"));
        std::thread::sleep(Duration::from_millis(20));
    }
    for word in ["web", "ends"] {
        run(&["restart", "-t", "0", &host.name(word)]);
    }
    let mut status = |more: &[&str]| {
        let Output { stdout, stderr, .. } =
            program(host, config, &[&["status"], more].concat()).output().expect("invigil runs");
        found.add(format!("stdout of status {more:?}"), &stdout);
        found.add(format!("stderr of status {more:?}"), &stderr);
        String::from_utf8_lossy(&stdout).into_owned()
    };
    // Its reasons and failures, and what builders said last.
    let broken = format!("image/{}", host.name("broken"));
    while !status(&[&broken]).contains("ENV DB_PASSWORD=(hidden)") {
        assert!(begun.elapsed() < Duration::from_mins(3), "{}", status(&[&broken]));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(status(&[]).contains("container/") && status(&["-o", "json"]).contains("DB_PASSWORD=(hidden)"));
    std::thread::sleep(Duration::from_secs(3));
    assert!(ends(&mut daemon), "the daemon stops");
}

/// What the engine says of everything that was made.
fn what_was_made(host: &Host, found: &mut Found) {
    let mine = format!("name={}", host.prefix);
    for id in docker(&["ps", "-aq", "--filter", &mine]).lines() {
        // A variable's value is in the container's own environment, and nowhere else.
        let text = docker(&[
            "inspect",
            "--format",
            "{{json .Config.Labels}} {{.Path}} {{json .Args}} {{json .State}} {{.Name}}",
            id,
        ]);
        found.add(format!("container {id}"), text);
    }
    for image in docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).lines() {
        if image.contains(&host.prefix) {
            found.add(format!("the image {image}"), docker(&["image", "inspect", image]));
            found.add(format!("the history of {image}"), docker(&["history", "--no-trunc", image]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_12_no_secret_is_in_anything_that_is_said_written_or_made() {
    let (host, registry) = (Host::new("canary").await, Registry::start());
    let config = registry.login(REGISTRY);
    let mut found = Found::default();
    let path = host.path().to_str().expect("a path").to_owned();
    let state = host.state().to_str().expect("a path").to_owned();
    let saved = tempfile::tempdir().expect("a directory");
    let plan = saved.path().join("plan").to_str().expect("a path").to_owned();
    let tell = |found: &mut Found, arguments: &[&str]| {
        let Output { stdout, stderr, .. } =
            program(&host, config.path(), arguments).output().expect("invigil runs");
        assert!(!stdout.is_empty() || !stderr.is_empty(), "{arguments:?}");
        found.add(format!("stdout of {arguments:?}"), &stdout);
        found.add(format!("stderr of {arguments:?}"), &stderr);
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
    };
    let both = |arguments: &[&'static str]| -> Vec<String> {
        arguments
            .iter()
            .map(|&word| word.to_owned())
            .chain(["--state-dir".into(), state.clone(), path.clone()])
            .collect()
    };
    let said = |found: &mut Found, arguments: &[&'static str]| {
        let arguments = both(arguments);
        tell(found, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };

    let rootfs = saved.path().join("rootfs.tar");
    docker(&["create", "--name", &host.name("seed"), BUSYBOX]);
    docker(&["export", "-o", rootfs.to_str().expect("a path"), &host.name("seed")]);
    docker(&["rm", &host.name("seed")]);
    let (archive, _) = serve(fs::read(&rootfs).expect("an archive")).await;
    let archive = archive.to_string();
    faults(&host);
    manifests(&host, &registry, &archive, ENV);
    tell(&mut found, &["validate", &path]);
    tell(&mut found, &["lock", &path]);
    tell(&mut found, &["login", "--check", &format!("127.0.0.1:{}", registry.port)]);
    said(&mut found, &["plan"]);
    said(&mut found, &["plan", "-o", "json"]);
    tell(&mut found, &["plan", "--out", &plan, "--state-dir", &state, &path]);
    let told = said(&mut found, &["apply", "--yes"]);
    let [exit, fetch] = if is_podman() {
        ["exit status 3", ": Podman fetches no build context"]
    } else {
        ["returned a non-zero code: 3", ": the context's address cannot be reached\n"]
    };
    for failure in [
        "the registry wants a login: ",
        ": the address cannot be reached\n",
        fetch,
        exit,
        "http://127.0.0.1:1/app.tar?token=(hidden)",
        "fault1.yaml",
        "fault5.yaml",
    ] {
        assert!(told.contains(failure), "{failure}: {told}");
    }
    manifests(&host, &registry, &archive, NEXT_ENV);
    let told = said(&mut found, &["plan"]);
    assert!(told.contains("container/") && told.contains("(hidden)"), "{told}");
    said(&mut found, &["plan", "-o", "json"]);
    tell(&mut found, &["plan", "--out", &plan, "--state-dir", &state, &path]);

    daemon_runs(&host, config.path(), saved.path(), &mut found);
    let (web, set) = (host.name("web"), host.name("set"));
    for view in [
        &["get", "containers"][..],
        &["get", "containers", "-o", "wide"],
        &["get", "container", &web],
        &["get", "images", "-o", "json"],
        &["history", &set],
        &["history", &set, "-o", "json"],
        &["info"],
        &["info", "-o", "json"],
        &["top", &web],
        &["changes", &web],
        &["events", "--since", "5m", "--until", "0s"],
        &["suspend", "--state-dir", &state],
        &["plan", "--state-dir", &state, &path],
        &["resume", "--state-dir", &state],
    ] {
        tell(&mut found, view);
    }
    found.add_files(saved.path());
    found.add_files(&host.state());
    what_was_made(&host, &mut found);
    assert!(found.0.values().any(|bytes| bytes.windows(8).any(|window| window == b"(hidden)")));
    let leaks = found.leaks();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    let pushed = registry.image("exam/app:1");
    run(&["rmi", &pushed]);
}

/// Ends the daemon as systemd does.
fn ends(daemon: &mut Child) -> bool {
    let sent = Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status().expect("kill");
    sent.success() && daemon.wait().expect("an end").success()
}
