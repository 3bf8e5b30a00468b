//! The read-only views: what a person sees of containers, images, networks and volumes, and of the engine. Each
//! test runs the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::proxy::Proxy;
use crate::support::{BUSYBOX, Host, docker, is_left_out, is_podman};

/// What the program printed and told, with the test's prefix as `@`, and how it ended.
struct Seen {
    out: String,
    told: String,
    code: Option<i32>,
}

fn program(host: &Host, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
    let own = |argument: &&str| argument.replace('@', &format!("{}-", host.prefix));
    command.args(arguments.iter().map(own)).env("INVIGIL_OWNER", &host.prefix).current_dir(host.path());
    command
}

/// One run; `@` in an argument is the test's prefix and a dash.
fn view(host: &Host, arguments: &[&str]) -> Seen {
    let output = program(host, arguments).output().expect("invigil runs");
    let text = |bytes: &[u8]| host.shown(&String::from_utf8_lossy(bytes));
    Seen { out: text(&output.stdout), told: text(&output.stderr), code: output.status.code() }
}

/// What a run prints that succeeds and tells nothing.
fn shown(host: &Host, arguments: &[&str]) -> String {
    let seen = view(host, arguments);
    assert_eq!((seen.told.as_str(), seen.code), ("", Some(0)), "{arguments:?}");
    seen.out
}

/// A table's cells, whatever their widths are.
fn cells(table: &str) -> String {
    let row = |line: &str| {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.collect::<Vec<_>>().join(" | ")
    };
    table.lines().map(row).collect::<Vec<_>>().join("\n")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// What an engine says of something, by Docker's own command, in the version that Invigil speaks.
fn inspection(host: &Host, kind: &str, name: &str) -> Value {
    let mut command = Command::new("docker");
    let output = command.args([kind, "inspect", &host.name(name)]).env("DOCKER_API_VERSION", "1.41").output();
    json(&host.shown(&String::from_utf8_lossy(&output.expect("the docker command").stdout)))[0].clone()
}

/// A container that somebody made by hand.
fn by_hand(host: &Host, name: &str, arguments: &[&str]) {
    let name = host.name(name);
    let line = ["run", "-d", "--name", &name, "--stop-signal", "KILL"].into_iter();
    docker(&line.chain(arguments.iter().copied()).collect::<Vec<_>>());
}

const SLEEP: [&str; 3] = [BUSYBOX, "sleep", "1000"];

#[tokio::test(flavor = "multi_thread")]
async fn containers_are_shown_with_what_they_are_in_the_manifests() {
    let host = Host::new("viewget").await;
    host.container(
        "web",
        &format!(
            "{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL, ports: ['127.0.0.1:28320:80']}}"
        ),
    );
    host.apply().await;
    let label = format!("room={}", host.prefix);
    by_hand(&host, "theirs", &["--label", &label, BUSYBOX, "sh", "-c", "exit 3"]);
    docker(&["wait", &host.name("theirs")]);

    let table = shown(&host, &["get", "containers", "@web", "@theirs"]);
    let cells = cells(&table);
    let rows: Vec<Vec<&str>> = cells.lines().map(|row| row.split(" | ").collect()).collect();
    assert_eq!(rows[0], ["NAME", "RESOURCE", "STATE", "STATUS", "IMAGE", "PORTS"]);
    assert_eq!(rows[1][..3], ["@web", "container/@web", "running"]);
    assert_eq!(rows[1][4..], ["busybox:static", "127.0.0.1:28320:80/tcp"]);
    assert_eq!(rows[2][..3], ["@theirs", "-", "exited"]);
    assert!(rows[1][3].starts_with("Up ") && rows[2][3].starts_with("Exited (3) "), "{table}");
    let wide = shown(&host, &["get", "container/@web", "-o", "wide", "--size"]);
    assert!(wide.contains("SIZE") && wide.contains("NETWORKS") && wide.contains("sleep 1000"), "{wide}");
    assert_eq!(
        shown(&host, &["get", "container", "container/@web", "@theirs", "-o", "name"]),
        "@web\n@theirs\n"
    );
    let filter = format!("label={label}");
    assert_eq!(shown(&host, &["get", "containers", "-f", &filter, "-o", "name"]), "@theirs\n");
    let listed =
        json(&shown(&host, &["get", "containers", "-f", &filter, "-f", "status=exited", "-o", "json"]));
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(listed[0]["State"], "exited");

    // The whole document is the engine's own, not what a library made of it.
    let whole = inspection(&host, "container", "web");
    assert_eq!(json(&shown(&host, &["get", "container", "@web", "-o", "json"])), whole);
    let yaml = program(&host, &["get", "containers", "@web", "-o", "yaml"]).output().expect("invigil runs");
    let yaml: Value = serde_yaml::from_slice(&yaml.stdout).expect("YAML");
    assert_eq!(json(&host.shown(&yaml.to_string())), whole);
    let both = json(&shown(&host, &["get", "containers", "@web", "@theirs", "-o", "json"]));
    assert_eq!(both[1]["State"]["ExitCode"], 3);

    let seen = view(&host, &["get", "container", "@wed"]);
    assert_eq!(
        (seen.out.as_str(), seen.told.as_str(), seen.code),
        ("", "error: there is no container `@wed`\nhint: did you mean `@web`?\n", Some(1))
    );
    let seen = view(&host, &["get", "containers", "-f", "nonsense=1"]);
    let why = if is_podman() {
        "nonsense is an invalid filter"
    } else {
        "invalid filter 'nonsense' (the engine takes this for invalid: correct what it names)"
    };
    assert_eq!((seen.told.to_lowercase(), seen.code), (format!("error: the containers: {why}\n"), Some(1)));
    // What begins like several ids, and what a path would be made of.
    for hostile in ["../info", "a?b", "\u{1b}[2J"] {
        let seen = view(&host, &["get", "container", hostile]);
        assert!(seen.told.starts_with("error: there is no container `"), "{}", seen.told);
        assert!(!seen.told.contains('\u{1b}'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_described_with_its_manifest_what_is_live_the_difference_and_its_events() {
    let host = Host::new("viewdescribe").await;
    let spec = |room: &str| {
        format!(
            "{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL, env: {{ROOM: '{room}'}}}}"
        )
    };
    host.container("web", &spec("1"));
    // Whose name only begins so is another.
    docker(&["create", "--name", &host.name("web-2"), BUSYBOX, "true"]);
    let seen = shown(&host, &["describe", "container/@web", "."]);
    assert!(seen.contains("LIVE      nothing\n\ncontainer/@web  create   busybox:static\n"), "{seen}");
    host.apply().await;
    host.container("web", &spec("2"));
    let seen = shown(&host, &["describe", "@web", "."]);
    let lines: Vec<&str> = seen.lines().map(str::trim_end).collect();
    assert_eq!(lines[0], "container/@web");
    assert!(cells(&seen).contains("MANIFEST | ./web.yaml:1:1\nNAME | @web\n"), "{seen}");
    assert!(cells(&seen).contains("\nSTATE | running\n"), "{seen}");
    assert!(
        seen.contains("\ncontainer/@web  replace\n  env.ROOM   1 -> 2\n\nPlan: 1 to replace; 0 unchanged.\n"),
        "{seen}"
    );
    assert!(lines.last().is_some_and(|line| line.contains("container @web: start")), "{seen}");
    assert!(!seen.contains("@web-2"), "{seen}");

    let document = json(&shown(&host, &["describe", "@web", ".", "-o", "json"]));
    assert_eq!(document["resource"], "container/@web");
    assert_eq!(document["manifest"]["line"], 1);
    assert_eq!(document["live"], inspection(&host, "container", "web"));
    assert_eq!(document["plan"]["changes"][0]["reasons"][0]["field"], "env.ROOM");
    let actions: Vec<&str> = document["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|event| event["Action"].as_str())
        .collect();
    assert!(actions.starts_with(&["create"]) && actions.ends_with(&["start"]), "{actions:?}");

    // What the journal has of it.
    assert_eq!(document["journal"], serde_json::json!([]));
    assert_eq!(view(&host, &["apply", "--yes", "."]).code, Some(0));
    let seen = shown(&host, &["describe", "@web", "."]);
    assert!(seen.contains(" apply   container/@web replace done in "), "{seen}");
    let document = json(&shown(&host, &["describe", "@web", ".", "-o", "json"]));
    assert_eq!(document["journal"][0]["what"]["event"], "done");

    by_hand(&host, "theirs", &SLEEP);
    let seen = shown(&host, &["describe", "@theirs", "."]);
    assert!(cells(&seen).contains("MANIFEST | none describes it\n"), "{seen}");
    assert!(seen.contains("\nNothing to do; 0 unchanged.\n"), "{seen}");
    let seen = view(&host, &["describe", "@wed", "."]);
    assert_eq!(
        (seen.told.as_str(), seen.code),
        ("error: there is no container `@wed`\nhint: did you mean `@web`?\n", Some(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_shown_by_their_names_and_found_by_their_resources() {
    let host = Host::new("viewimage").await;
    host.write(
        "set.yaml",
        "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {name: '@midterm'}\nspec:\n  title: 期中考试\n  image: {repository: '@paper'}\n  \
         items:\n  - {id: '8', label: 第8题, type: single_choice, prompt: 1+1=？, choices: [{id: A, text: '1'}, {id: B, text: '2'}], key: {choices: [B]}}\n",
    );
    host.container("seat", &format!("{{problemSet: '{}', stopSignal: SIGKILL}}", host.name("midterm")));
    host.apply().await;
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", &host.name("paper")]);
    let table = cells(&shown(&host, &["get", "image", "@midterm"]));
    let (first, size) = table.rsplit_once(" | ").unwrap_or_default().0.rsplit_once(" | ").expect("columns");
    assert_eq!(
        first,
        format!(
            "REFERENCE | ID | RESOURCE | SIZE | CREATED\n@paper:latest | {} | image/@midterm",
            &id["sha256:".len()..][..12]
        )
    );
    assert!(size.ends_with("MiB"), "{size}");
    for name in ["@midterm", "image/@midterm", "@paper", "@paper:latest", &id, &id["sha256:".len()..][..12]] {
        assert_eq!(shown(&host, &["get", "image", name, "-o", "name"]), "@paper:latest\n", "{name}");
    }
    assert!(shown(&host, &["get", "images", "@paper", "-o", "wide"]).contains("@seat"));
    let whole = json(&shown(&host, &["get", "image", "@midterm", "-o", "json"]));
    assert_eq!(whole, inspection(&host, "image", "paper"));
    assert_eq!(
        cells(&shown(&host, &["history", "@midterm"]))
            .lines()
            .map(|line| line.splitn(4, " | ").nth(3).unwrap())
            .collect::<Vec<_>>(),
        ["CREATED BY | COMMENT", "invigil: the paper | -", "invigil: the exam server | -"]
    );
    let layers = json(&shown(&host, &["history", "@midterm", "-o", "json"]));
    assert_eq!(layers[0]["CreatedBy"], "invigil: the paper");
    let seen = view(&host, &["history", "@paper:latst"]);
    assert_eq!(
        (seen.told.as_str(), seen.code),
        ("error: there is no image `@paper:latst`\nhint: did you mean `@paper:latest`?\n", Some(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_and_volumes_are_shown_with_who_uses_them() {
    let host = Host::new("viewnets").await;
    host.write("net.yaml", "apiVersion: invigil/v1\nkind: Network\nmetadata: {name: '@net'}\nspec: {subnets: [{subnet: 10.213.19.0/24}]}\n");
    host.write("vol.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@vol'}\n");
    host.container(
        "web",
        &format!(
            "{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL, networks: ['@net'], binds: ['@vol:/data']}}"
        ),
    );
    host.apply().await;
    by_hand(&host, "guest", &[&["--network", &host.name("net")], &SLEEP[..]].concat());
    assert_eq!(
        cells(&shown(&host, &["get", "network", "@net"])),
        "NAME | RESOURCE | DRIVER | SCOPE | CONTAINERS\n@net | network/@net | bridge | local | @guest, @web"
    );
    assert!(shown(&host, &["get", "network", "@net", "-o", "wide"]).contains("10.213.19.0/24"));
    assert_eq!(
        cells(&shown(&host, &["get", "volume/@vol"])),
        "NAME | RESOURCE | DRIVER | USED BY\n@vol | volume/@vol | local | @web"
    );
    let network = json(&shown(&host, &["get", "network", "@net", "-o", "json"]));
    assert_eq!(network, inspection(&host, "network", "net"));
    let volume = json(&shown(&host, &["get", "volume", "@vol", "-o", "json"]));
    assert_eq!(volume, inspection(&host, "volume", "vol"));
    let filter = format!("name={}", host.prefix);
    for (kind, name) in [("networks", "@net\n"), ("volumes", "@vol\n")] {
        assert_eq!(shown(&host, &["get", kind, "-f", &filter, "-o", "name"]), name);
    }
}

/// A registry that knows how to be searched, as Docker's own is; one answer for each connection.
fn searchable() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let count = stream.read(&mut request).unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..count]);
            let body = if request.contains("/v1/search") {
                r#"{"num_results": 1, "query": "exam", "results": [{"name": "exam/client", "description": "考试 \u001b[2J", "star_count": 7, "is_official": true, "is_automated": false}]}"#
            } else {
                "{}"
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nX-Docker-Registry-Version: 0.6\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_searched() {
    if is_left_out("a_registry_is_searched") {
        return;
    }
    let host = Host::new("viewsearch").await;
    let address = searchable();
    let term = format!("{address}/exam");
    let table = shown(&host, &["search", &term, "--limit", "5"]);
    let name = cells(&table);
    assert!(name.starts_with("NAME | STARS | OFFICIAL | DESCRIPTION\n"), "{name}");
    assert!(name.contains("exam/client") && name.ends_with("| 7 | yes | 考试 \\u{1b}[2J"), "{name}");
    let found = json(&shown(&host, &["search", &term, "-o", "json"]));
    assert_eq!(found[0]["description"], "考试 \u{1b}[2J");
    let with_stars = |stars: &str| shown(&host, &["search", &term, "-f", stars, "-o", "name"]);
    assert!(with_stars("stars=7").ends_with("exam/client\n"));
    assert_eq!(with_stars("stars=8"), "");
    let seen = view(&host, &["search", "127.0.0.1:1/exam"]);
    assert_eq!(seen.code, Some(1));
    assert!(seen.told.starts_with("error: search 127.0.0.1:1/exam: "), "{}", seen.told);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_itself_is_shown() {
    let host = Host::new("viewhost").await;
    let ping = shown(&host, &["ping"]);
    assert!(ping.starts_with("unix:///") && ping.contains(" answers, after "), "{ping}");
    assert!(json(&shown(&host, &["ping", "-o", "json"]))["milliseconds"].is_f64());
    let server = docker(&["version", "--format", "{{.Server.Version}}"]);
    let version = cells(&shown(&host, &["version"]));
    assert!(version.starts_with(&format!("Invigil | {}\n", env!("CARGO_PKG_VERSION"))), "{version}");
    assert!(version.contains(&format!("\nEngine | {server}\n")), "{version}");
    assert_eq!(json(&shown(&host, &["version", "-o", "json"]))["engine"]["Version"], *server);
    let info = cells(&shown(&host, &["info"]));
    assert!(info.contains(&format!("\nEngine | {server}\n")), "{info}");
    let whole: Value = serde_yaml::from_str(&shown(&host, &["info", "-o", "yaml"])).unwrap();
    assert_eq!(whole["ServerVersion"], *server);
}

/// Two streams, and bytes that no terminal should get.
const TALK: &str =
    "echo one; sleep 0.1; echo 出错 >&2; sleep 0.1; printf '\\033[31mtwo\\033[0m\\n'; sleep 1000";

fn until_it_wrote(host: &Host, name: &str, text: &str) {
    for _ in 0..200 {
        let output = crate::support::run(&["logs", &host.name(name)]);
        if String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).contains(text) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{name} does not write {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_containers_wrote_is_shown() {
    if is_left_out("what_containers_wrote_is_shown") {
        return;
    }
    let host = Host::new("viewlogs").await;
    by_hand(&host, "a", &[BUSYBOX, "sh", "-c", TALK]);
    until_it_wrote(&host, "a", "two");
    by_hand(&host, "tty", &["-t", BUSYBOX, "sh", "-c", "echo terminal; sleep 1000"]);
    until_it_wrote(&host, "tty", "terminal");
    assert_eq!(shown(&host, &["logs", "@a"]), "one\n出错\n\u{1b}[31mtwo\u{1b}[0m\n");
    assert_eq!(shown(&host, &["logs", "container/@a", "--stderr"]), "出错\n");
    assert_eq!(shown(&host, &["logs", "@a", "--stdout", "--tail", "1"]), "\u{1b}[31mtwo\u{1b}[0m\n");
    assert_eq!(
        shown(&host, &["logs", "@tty", "@a"]),
        "@a   | one\n@a   | 出错\n@a   | \u{1b}[31mtwo\u{1b}[0m\n@tty | terminal\n"
    );
    let stamped = shown(&host, &["logs", "@a", "-t", "-n", "1"]);
    let (time, _) = stamped.split_once(' ').expect("a time");
    assert!(time.ends_with('Z') && time.len() == 30, "{stamped}");
    assert_eq!(shown(&host, &["logs", "@tty", "--until", time]), "");
    assert_eq!(
        shown(&host, &["logs", "@a", "@tty", "--since", time]),
        "@a   | \u{1b}[31mtwo\u{1b}[0m\n@tty | terminal\n"
    );
    assert_eq!(shown(&host, &["logs", "@a", "--since", "0s"]), "");
    let lines = shown(&host, &["logs", "@a", "-o", "json"]);
    let second = json(lines.lines().nth(1).expect("a line"));
    assert_eq!(
        (&second["text"], &second["stream"], &second["container"]),
        (&"出错".into(), &"stderr".into(), &"@a".into())
    );
    assert!(!lines.contains('\u{1b}'), "{lines}");
    let seen = view(&host, &["logs", "@tti"]);
    assert_eq!(
        (seen.told.as_str(), seen.code),
        ("error: there is no container `@tti`\nhint: did you mean `@tty`?\n", Some(1))
    );
    by_hand(&host, "mute", &["--log-driver", "none", BUSYBOX, "sleep", "1000"]);
    let seen = view(&host, &["logs", "@mute"]);
    assert!(seen.told.starts_with("error: the output of container @mute: "), "{}", seen.told);
}

/// A run that goes on, line by line.
struct Running {
    child: Child,
    /// Nothing once nobody reads any more.
    lines: Option<std::io::Lines<BufReader<std::process::ChildStdout>>>,
}

impl Running {
    fn start(host: &Host, arguments: &[&str]) -> Self {
        let mut child = program(host, arguments).stdout(Stdio::piped()).spawn().expect("invigil runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines: Some(lines) }
    }

    fn line(&mut self, host: &Host) -> String {
        host.shown(&self.next().expect("a line"))
    }

    fn next(&mut self) -> Option<String> {
        self.lines.as_mut()?.next().map(|line| line.expect("text"))
    }

    /// Nothing more comes, and all was well.
    fn ends(mut self) {
        assert_eq!(self.next(), None);
        assert!(self.child.wait().expect("an end").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_container_writes_from_now_on_is_shown_until_it_ends() {
    let host = Host::new("viewfollow").await;
    let script = "echo before; while [ ! -e /go ]; do sleep 0.05; done; echo after; while [ ! -e /end ]; do sleep 0.05; done";
    by_hand(&host, "a", &[BUSYBOX, "sh", "-c", script]);
    by_hand(&host, "b", &[BUSYBOX, "sh", "-c", script]);
    // Nothing tells when a program that follows listens.
    let ticks = "echo before; while [ ! -e /go ]; do sleep 0.05; done; while [ ! -e /end ]; do echo tick; sleep 0.05; done";
    by_hand(&host, "c", &[BUSYBOX, "sh", "-c", ticks]);
    for name in ["b", "c"] {
        until_it_wrote(&host, name, "before");
    }
    let mut logs = Running::start(&host, &["logs", "-f", "@a", "@b"]);
    let mut heard = [logs.line(&host), logs.line(&host)];
    heard.sort();
    assert_eq!(heard, ["@a | before", "@b | before"]);
    docker(&["exec", &host.name("a"), "touch", "/go"]);
    assert_eq!(logs.line(&host), "@a | after");
    docker(&["exec", &host.name("b"), "touch", "/go"]);
    assert_eq!(logs.line(&host), "@b | after");

    let mut attached = Running::start(&host, &["attach", "@c"]);
    let mut documents = Running::start(&host, &["attach", "@c", "-o", "json"]);
    docker(&["exec", &host.name("c"), "touch", "/go"]);
    assert_eq!(attached.line(&host), "tick");
    assert_eq!(json(&documents.line(&host))["text"], "tick");
    for name in ["a", "b", "c"] {
        docker(&["exec", &host.name(name), "touch", "/end"]);
    }
    logs.ends();
    while let Some(line) = attached.next() {
        assert_eq!(line, "tick");
    }
    attached.ends();
    while let Some(line) = documents.next() {
        assert_eq!(json(&line)["text"], "tick");
    }
    documents.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_in_a_container_and_what_it_has_written_is_shown() {
    if is_left_out("what_runs_in_a_container_and_what_it_has_written_is_shown") {
        return;
    }
    let host = Host::new("viewinside").await;
    by_hand(&host, "a", &[BUSYBOX, "sh", "-c", "echo B > /answer; sleep 1000"]);
    let table = cells(&shown(&host, &["top", "@a", "-eo", "pid,args"]));
    assert!(table.starts_with("PID | COMMAND\n") && table.ends_with(" | sleep 1000"), "{table}");
    assert_eq!(json(&shown(&host, &["top", "-o", "json", "@a"]))["Titles"][0], "UID");
    assert_eq!(shown(&host, &["changes", "container/@a"]), "added    /answer\n");
    assert_eq!(json(&shown(&host, &["changes", "@a", "-o", "json"]))[0]["Path"], "/answer");

    by_hand(&host, "job", &[BUSYBOX, "sh", "-c", "exit 7"]);
    assert_eq!(shown(&host, &["wait", "@job"]), "7\n");
    let seen = view(&host, &["top", "@job"]);
    assert_eq!(
        (seen.told.as_str(), seen.code),
        ("error: container @job: is not running (start it first)\n", Some(1))
    );
    assert_eq!(shown(&host, &["changes", "@job"]), "");
    assert_eq!(json(&shown(&host, &["changes", "@job", "-o", "json"])), Value::Array(Vec::new()));

    let table = cells(&shown(&host, &["stats", "@a", "@job"]));
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows[0], "NAME | CPU % | MEMORY | LIMIT | MEM % | NET IN / OUT | DISK READ / WRITTEN | PIDS");
    assert!(rows[1].starts_with("@a | 0.") && rows[1].ends_with(" | 1"), "{table}");
    assert_eq!(rows[2], "@job | - | - | - | - | - | - | -");
    let usage = json(&shown(&host, &["stats", "@a", "--once", "-o", "json"]));
    assert_eq!((&usage[0]["name"], &usage[0]["pids_stats"]["current"]), (&"@a".into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_containers_is_waited_for() {
    let host = Host::new("viewwait").await;
    // Who said so has to have ended before.
    let script = |code: u8| format!("while [ ! -e /end ]; do sleep 0.05; done; sleep 0.5; exit {code}");
    by_hand(&host, "a", &[BUSYBOX, "sh", "-c", &script(0)]);
    by_hand(&host, "b", &[BUSYBOX, "sh", "-c", &script(9)]);
    let mut waiting = Running::start(&host, &["wait", "@b", "container/@a"]);
    docker(&["exec", &host.name("a"), "touch", "/end"]);
    docker(&["exec", &host.name("b"), "touch", "/end"]);
    assert_eq!([waiting.line(&host), waiting.line(&host)], ["9", "0"]);
    waiting.ends();
    assert_eq!(
        shown(&host, &["wait", "@a", "@b", "-o", "json"]),
        "{\"container\":\"@a\",\"exitCode\":0}\n{\"container\":\"@b\",\"exitCode\":9}\n"
    );
    assert_eq!(view(&host, &["wait", "@c"]).code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_on_the_engine_is_shown() {
    let host = Host::new("viewevents").await;
    let name = host.name("a");
    let filter = format!("container={name}");
    // Podman tells of more.
    let filters = ["-f", &filter, "-f", "event=create", "-f", "event=start", "-f", "event=die"];
    let live = [&["events", "--since", "1m"][..], &filters].concat();
    let mut live = Running::start(&host, &live);
    by_hand(&host, "a", &[BUSYBOX, "sh", "-c", "exit 3"]);
    docker(&["wait", &name]);
    let without_time =
        |line: String| line.split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    let expected = [
        "container @a: create (image busybox:static)",
        "container @a: start (image busybox:static)",
        "container @a: die (image busybox:static, exitCode 3)",
    ];
    for line in expected {
        assert_eq!(without_time(live.line(&host)), line);
    }
    drop(live);
    let past = shown(&host, &["events", "--since", "5m", "--until", "0s", "-f", &filter, "-f", "event=die"]);
    assert_eq!(without_time(past.trim_end().to_owned()), expected[2]);
    let past = [&["events", "--since", "5m", "--until", "0s", "-o", "json"][..], &filters].concat();
    let past = shown(&host, &past);
    assert_eq!(
        past.lines().map(|line| json(line)["Action"].clone()).collect::<Vec<_>>(),
        ["create", "start", "die"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_copied_out_and_nothing_of_them_leads_elsewhere() {
    let host = Host::new("viewcp").await;
    let script = "mkdir -p /answers/deep; echo B > /answers/第8题; ln -s ../第8题 /answers/deep/ok; ln -s /etc/passwd /answers/out; \
                  mkfifo /answers/pipe; chmod 4755 /answers/第8题";
    by_hand(&host, "a", &[BUSYBOX, "sh", "-c", script]);
    docker(&["wait", &host.name("a")]);
    let seen = view(&host, &["cp", "@a:/answers", "copy"]);
    assert_eq!(
        (seen.out.as_str(), seen.told.as_str(), seen.code),
        ("", "left out: answers/out: a link to /etc/passwd\nleft out: answers/pipe: a pipe\n", Some(2))
    );
    let copy = host.path().join("copy/answers");
    assert_eq!(std::fs::read_to_string(copy.join("deep/ok")).expect("a file"), "B\n");
    assert!(copy.join("out").symlink_metadata().is_err());
    assert_eq!(shown(&host, &["cp", "container/@a:/answers/第8题", "one"]), "");
    assert_eq!(std::fs::read_to_string(host.path().join("one/第8题")).expect("a file"), "B\n");

    let copied: Value =
        serde_json::from_str(&shown(&host, &["cp", "@a:/answers/deep", "deep", "-o", "json"])).expect("JSON");
    let to = serde_json::json!({"container": "@a", "path": "/answers/deep", "to": "deep", "leftOut": []});
    assert_eq!(copied, to);
    let seen = view(&host, &["cp", "@a:/answers", "-", "-o", "json"]);
    assert!(seen.told.starts_with("error: stdout cannot have an archive and JSON\n"), "{}", seen.told);

    let seen = view(&host, &["cp", "@a:/answers", "copy"]);
    assert_eq!(
        (seen.told.as_str(), seen.code),
        ("error: copy is there already\nhint: name a directory that is not there yet; it is made\n", Some(1))
    );
    let seen = view(&host, &["cp", "@a:/nowhere", "none"]);
    let why = if is_podman() {
        "no such file or directory"
    } else {
        "Could not find the file /nowhere in container @a"
    };
    assert_eq!((seen.told, seen.code), (format!("error: container @a, /nowhere: {why}\n"), Some(1)));
    assert!(!host.path().join("none").exists());

    let archive = program(&host, &["cp", "@a:/answers", "-"]).output().expect("invigil runs").stdout;
    let mut names: Vec<String> = tar::Archive::new(&*archive)
        .entries()
        .expect("an archive")
        .map(|entry| entry.expect("an entry").path().expect("a name").display().to_string())
        .collect();
    if is_podman() {
        // Its archives write directories without it.
        for name in ["answers", "answers/deep"] {
            let at = names.iter().position(|one| one == name).expect("a directory");
            names[at].push('/');
        }
    }
    names.sort();
    assert_eq!(
        names,
        ["answers/", "answers/deep/", "answers/deep/ok", "answers/out", "answers/pipe", "answers/第8题"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn law_10_views_only_ask() {
    let host = Host::new("viewasks").await;
    by_hand(&host, "a", &[BUSYBOX, "sh", "-c", "exit 0"]);
    docker(&["wait", &host.name("a")]);
    let proxy = Proxy::start();
    for arguments in [
        &["get", "containers", "-o", "wide", "--size"][..],
        &["get", "container", "@a", "-o", "json"],
        &["get", "images", "--all", "-o", "wide"],
        &["get", "networks"],
        &["get", "volumes", "-o", "yaml"],
        &["history", BUSYBOX],
        &["search", "127.0.0.1:1/x"],
        &["ping"],
        &["version"],
        &["info"],
        &["logs", "-f", "@a"],
        &["attach", "@a"],
        &["top", "@a"],
        &["changes", "@a"],
        &["stats", "@a"],
        &["events", "--until", "0s"],
        &["wait", "@a"],
        &["cp", "@a:/bin", "bin"],
    ] {
        let output = program(&host, arguments).env("DOCKER_HOST", proxy.endpoint()).output();
        assert!(output.expect("invigil runs").status.code().is_some());
    }
    let writes: Vec<String> = proxy.writes().iter().map(ToString::to_string).collect();
    let id = host.inspect("a", "{{.Id}}");
    // The only one, and it changes nothing.
    assert_eq!(writes, [format!("POST /containers/{id}/wait")]);
    assert!(proxy.calls().len() > 30, "{}", proxy.calls().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_a_view() {
    let host = Host::new("viewpipe").await;
    by_hand(&host, "a", &[BUSYBOX, "sh", "-c", "while :; do echo tick; sleep 0.05; done"]);
    let mut logs = Running::start(&host, &["logs", "-f", "@a"]);
    assert_eq!(logs.line(&host), "tick");
    logs.lines = None;
    assert!(logs.child.wait().expect("an end").success());
}
