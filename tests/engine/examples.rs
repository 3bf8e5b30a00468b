//! Every example is validated, planned and applied, and the exam that it describes is served without its key.

#![allow(clippy::unwrap_used, reason = "a test stops where a value is not there")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{is_left_out, repository};

/// The ports of the examples, and those of their copy, which leaves a running demo alone.
const PORTS: [(&str, &str); 5] =
    [("18081", "28081"), ("18082", "28082"), ("18083", "28083"), ("18084", "28084"), ("18085", "28085")];
/// The names in the examples that become those of the copy.
const NAMES: [&str; 12] = [
    "img-test",
    "seat-01",
    "seat-02",
    "exam-room",
    "responses-02",
    "exam-base",
    "exam-web",
    "web-01",
    "web-02",
    "exam-own",
    "own-test",
    "seat-03",
];

/// The examples under names and ports of their own, removed when the test ends.
struct Examples {
    dir: tempfile::TempDir,
    prefix: String,
}

impl Examples {
    fn new() -> Self {
        let examples =
            Self { dir: tempfile::tempdir().unwrap(), prefix: format!("ive-{}", std::process::id()) };
        for path in manifests() {
            let mut text = fs::read_to_string(&path).unwrap();
            for name in NAMES {
                text = text.replace(name, &format!("{}-{name}", examples.prefix));
            }
            for (theirs, ours) in PORTS {
                text = text.replace(theirs, ours);
            }
            let copy = examples.dir.path().join(path.strip_prefix(repository("examples")).unwrap());
            fs::create_dir_all(copy.parent().unwrap().join("pages")).unwrap();
            fs::write(copy, text).unwrap();
        }
        let web = examples.dir.path().join("web");
        fs::copy(repository("examples/web/pages/index.html"), web.join("pages/index.html")).unwrap();
        let base = examples.name("exam-base:1");
        let made =
            Command::new(repository("scripts/busybox-image")).arg(web.join("base.tar")).arg(base).output();
        assert!(made.as_ref().unwrap().status.success(), "{made:?}");
        examples
    }

    fn invigil(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
        command.args(arguments).arg(self.dir.path());
        if arguments[0] != "validate" {
            command.args(["--owner", &self.prefix]);
        }
        command.output().unwrap()
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }
}

/// The examples' files, those of directories among them.
fn manifests() -> Vec<PathBuf> {
    let mut open = vec![repository("examples")];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push(path);
            }
        }
    }
    assert!(found.len() >= 3, "{found:?}");
    found
}

impl Drop for Examples {
    fn drop(&mut self) {
        let _ = fs::remove_file(format!("/run/invigil/{}.pass.lock", self.prefix));
        for container in ["seat-01", "seat-02", "seat-03", "web-01", "web-02"] {
            docker(&["rm", "-f", &self.name(container)]);
        }
        docker(&["network", "rm", &self.name("exam-room")]);
        docker(&["volume", "rm", &self.name("responses-02")]);
        let tags = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        for tag in String::from_utf8_lossy(&tags.stdout).lines().filter(|tag| tag.contains(&self.prefix)) {
            docker(&["rmi", tag]);
        }
    }
}

fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("the docker command")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn get(port: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: exam\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    text(&answer)
}

#[test]
fn every_example_is_applied_and_the_exam_is_served_without_its_key() {
    if is_left_out("every_example_is_applied_and_the_exam_is_served_without_its_key") {
        return;
    }
    let examples = Examples::new();
    let validated = examples.invigil(&["validate"]);
    assert!(validated.status.success(), "{}", text(&validated.stdout));
    let planned = text(&examples.invigil(&["plan"]).stdout);
    let paper = planned.lines().find(|line| line.contains("-img-test  load")).expect("the paper in the plan");
    let foretold = paper.split("sha256:").nth(1).expect("an id in the plan")[..12].to_owned();
    let applied = examples.invigil(&["apply", "--yes"]);
    assert!(applied.status.success(), "{}{}", text(&applied.stdout), text(&applied.stderr));
    let again = examples.invigil(&["plan", "--detailed-exitcode"]);
    assert_eq!(
        (text(&again.stdout).as_str(), again.status.code()),
        ("Nothing to do; 12 unchanged.\n", Some(0))
    );

    let seat = examples.name("seat-01");
    let id = text(&docker(&["inspect", "--format", "{{.Image}}", &seat]).stdout);
    assert!(id.starts_with(&format!("sha256:{foretold}")), "planned {foretold}, runs {id}");

    let page = get("28081", "/");
    for shown in ["第8题", "1+1=？", "HTTP/1.1 200"] {
        assert!(page.contains(shown), "{page}");
    }
    assert_eq!(page.matches("type=\"radio\"").count(), 8, "two items of four choices");
    assert!(get("28082", "/healthz").ends_with("ok"));
    for port in ["28083", "28084"] {
        assert!(get(port, "/index.html").contains("考场须知"), "{port}");
    }

    let paper = get("28085", "/paper.json");
    assert!(paper.contains("什么是容器？") && !paper.contains("隔离"), "{paper}");

    // The key of the examples is `choices: [A]`; what would give it away is the word.
    let image = examples.name("img-test");
    let archive = examples.dir.path().join("saved.tar");
    docker(&["save", "-o", archive.to_str().unwrap(), &image]);
    let saved = fs::read(&archive).unwrap();
    let config = text(&docker(&["image", "inspect", &image]).stdout)
        + &text(&docker(&["history", "--no-trunc", &image]).stdout);
    let answers: String =
        ["/", "/api/paper", "/healthz", "/nothing"].iter().map(|path| get("28081", path)).collect();
    let paper = "1+1=？".as_bytes();
    assert!(saved.windows(paper.len()).any(|window| window == paper), "the paper is in the archive");
    assert!(!saved.windows(6).any(|window| window == b"\"key\":"));
    assert!(!config.contains("\"key\"") && !answers.contains("\"key\""));
}

#[test]
fn every_example_points_editors_to_a_schema_that_it_meets() {
    let schema = fs::read_to_string(repository("schemas/manifest.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for path in manifests() {
        let example = fs::read_to_string(&path).unwrap();
        let hint = example.lines().next().unwrap();
        let named = hint.strip_prefix("# yaml-language-server: $schema=").expect(hint);
        assert!(path.parent().unwrap().join(Path::new(named)).is_file(), "{named}");
        for document in example.split("\n---\n") {
            let value: serde_json::Value = serde_yaml::from_str(document).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        }
    }
}
