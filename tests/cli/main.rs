//! The program from outside: what it prints where, and how it exits.

#![allow(clippy::unwrap_used, reason = "a test stops where a value is not there")]

mod config;
mod large;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// One run of the program, in a directory of its own and a clean environment.
struct Test {
    dir: tempfile::TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    input: String,
}

impl Test {
    fn new(arguments: &[&str]) -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
            input: String::new(),
        }
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
        self
    }

    /// A file of the revision that runs of a repository, as an owner's daemon keeps it in `state`.
    fn running(self, owner: &str, path: &str, text: &str) -> Self {
        let revision = format!("revisions/{}", "8f3a".repeat(10));
        let place = format!("state/git/{owner}");
        let test = self.file(&format!("{place}/{revision}/{path}"), text);
        symlink(revision, test.dir.path().join(place).join("current")).expect("a link");
        test
    }

    fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    fn input(mut self, text: &str) -> Self {
        text.clone_into(&mut self.input);
        self
    }

    fn run(&self) -> Output {
        self.run_by(Command::new(env!("CARGO_BIN_EXE_invigil")))
    }

    /// As whoever may not read what its mode forbids, also where the tests are root's.
    fn run_bound_by_modes(&self) -> Output {
        if fs::metadata("/proc/self").expect("this process").uid() != 0 {
            return self.run();
        }
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", env!("CARGO_BIN_EXE_invigil")]);
        self.run_by(command)
    }

    fn run_by(&self, mut command: Command) -> Output {
        let mut child = command
            .args(&self.arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("invigil");
        // The program may not read it.
        let _ = child.stdin.take().expect("a pipe").write_all(self.input.as_bytes());
        child.wait_with_output().expect("an exit")
    }

    /// Checks everything that a user sees.
    fn says(&self, code: i32, stdout: &str, stderr: &str) {
        let output = self.run();
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).replace(&self.dir.path().display().to_string(), "DIR")
        };
        assert_eq!(text(&output.stderr), stderr, "stderr of {:?}", self.arguments);
        assert_eq!(text(&output.stdout), stdout, "stdout of {:?}", self.arguments);
        assert_eq!(output.status.code(), Some(code), "exit code of {:?}", self.arguments);
    }
}

#[test]
fn a_journal_without_an_entry_is_no_silence() {
    Test::new(&["log", "--state-dir", "state"]).says(
        0,
        "",
        "warning: the journal state/default.journal.db is not there yet\n",
    );
}

#[test]
fn the_lock_holds_for_one_file_beside_it_too() {
    let web = "apiVersion: invigil/v1\nkind: Container\nmetadata: {name: web}\nspec: {image: nginx}\n";
    Test::new(&["validate", "exam/web.yaml"])
        .file("exam/web.yaml", web)
        .file("exam/invigil.lock", "formatVersion: 2\n")
        .says(
            1,
            "exam/invigil.lock:1:16: formatVersion: this is version 2, expected 1\n  hint: `invigil lock` writes it anew\n\
             exam/web.yaml:4:15: spec.image: the lock file cannot be read, so nobody knows which image is meant\n\
             0 valid manifests, 2 errors, 0 warnings\n",
            "",
        );
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn law_3_what_may_not_be_read_is_told_where_it_is_and_the_others_are_told_of_too() {
    let test = Test::new(&["validate", "m"])
        .file("m/v.yaml", GOOD)
        .file("m/w.yaml", "kind: Volume\n")
        .file("m/closed/v.yaml", GOOD)
        .file("m/listed/v.yaml", GOOD)
        .file("m/x.yaml", GOOD);
    for (path, mode) in [("m/closed", 0o000), ("m/listed", 0o400), ("m/x.yaml", 0o000)] {
        fs::set_permissions(test.dir.path().join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let output = test.run_bound_by_modes();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "m/closed:1:1: this directory cannot be read: permission denied\n\
         m/listed/v.yaml:1:1: what this name stands for cannot be seen: permission denied\n\
         m/w.yaml:1:1: the field `apiVersion` is missing\n\
         m/w.yaml:1:1: the field `metadata` is missing\n\
         m/x.yaml:1:1: this file cannot be read: permission denied\n\
         1 valid manifest, 5 errors, 0 warnings\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

const GOOD: &str = "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: responses}\n";

#[test]
fn validate_tells_every_error_and_counts() {
    Test::new(&["validate", "m"]).file("m/v.yaml", GOOD).says(
        0,
        "1 valid manifest, 0 errors, 0 warnings\n",
        "",
    );
    Test::new(&["validate", "m"])
        .file("m/v.yaml", GOOD)
        .file(
            "m/web.yaml",
            "apiVersion: invigil/v1\nkind: Container\nmetadata: {name: web}\nspec:\n  image: nginx\n  portz: []\n  ports: ['80:99999']\n",
        )
        .says(
            1,
            "m/web.yaml:6:3: spec.portz: unknown field `portz`\n  hint: did you mean `ports`?\n\
             m/web.yaml:7:11: spec.ports[0]: 99999 is not a port (1-65535)\n1 valid manifest, 2 errors, 0 warnings\n",
            "",
        );
    Test::new(&["validate", "m/w.yaml"]).file("m/w.yaml", "{").says(
        1,
        "m/w.yaml:2:1: this is not YAML: did not find expected node content\n  hint: the `{` in line 1, column 1, is still open here: is its `}` missing?\n0 valid manifests, 1 error, 0 warnings\n",
        "",
    );
    Test::new(&["validate", "m/v.yaml"]).file("m/v.yaml", GOOD).says(
        0,
        "1 valid manifest, 0 errors, 0 warnings\n",
        "",
    );
}

#[test]
fn a_file_that_a_manifest_names_and_that_is_not_there_is_an_error_of_the_manifest() {
    Test::new(&["validate", "m"])
        .file(
            "m/web.yaml",
            "apiVersion: invigil/v1\nkind: Container\nmetadata: {name: web}\nspec: {image: nginx, envFiles: [web.env]}\n",
        )
        .says(1, "m/web.yaml:4:33: spec.envFiles[0]: DIR/m/web.env does not exist\n0 valid manifests, 1 error, 0 warnings\n", "");
}

#[test]
fn a_directory_without_manifests_is_told_and_is_no_error() {
    let told = "warning: no manifests in DIR/m (looked for *.yaml and *.yml)\n";
    let nothing = "0 valid manifests, 0 errors, 0 warnings\n";
    Test::new(&["validate", "m"]).file("m/notes.txt", "").says(0, nothing, told);
    Test::new(&["validate", "m"])
        .file("m/invigil.lock", "formatVersion: 1\nimages: {}\n")
        .says(0, nothing, told);
    let silent = "error: no engine answers at unix:///nowhere.sock: there is no socket /nowhere.sock\n\
                  hint: is the engine running, and may you use it? DOCKER_HOST says where it is looked for\n";
    for command in ["plan", "apply"] {
        Test::new(&[command, "m"]).file("m/notes.txt", "").env("DOCKER_HOST", "unix:///nowhere.sock").says(
            1,
            "",
            &format!("{told}{silent}"),
        );
    }
}

#[test]
fn colours_are_for_a_terminal_that_wants_them() {
    let program = env!("CARGO_BIN_EXE_invigil");
    let told = |shell: &str, more: &[(&str, &str)]| {
        // It gives what it runs a terminal.
        let mut script = Command::new("script");
        script
            .args(["-qec", shell, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm");
        let output = script.envs(more.iter().copied()).stdin(Stdio::null()).output().expect("script");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let wrong = format!("{program} validate /nowhere");
    assert!(told(&wrong, &[]).starts_with("\u{1b}[31merror:\u{1b}[0m there is no"), "{}", told(&wrong, &[]));
    assert!(told(&wrong, &[("NO_COLOR", "1")]).starts_with("error: there is no"));
    let piped = format!("{program} validate /nowhere 2>&1 | cat; exit 1");
    assert!(told(&piped, &[]).starts_with("error: there is no"));
}

#[test]
fn a_missing_directory_is_told_with_what_to_do() {
    Test::new(&["validate", "nowhere"]).says(
        1,
        "",
        "error: there is no manifest directory DIR/nowhere\n\
         hint: give the directory of manifests as PATH, or in INVIGIL_MANIFESTS\n",
    );
}

#[test]
fn without_an_engine_a_plan_says_so() {
    for command in ["plan", "apply"] {
        Test::new(&[command, "m"]).file("m/v.yaml", GOOD).env("DOCKER_HOST", "unix:///nowhere.sock").says(
            1,
            "",
            "error: no engine answers at unix:///nowhere.sock: there is no socket /nowhere.sock\n\
             hint: is the engine running, and may you use it? DOCKER_HOST says where it is looked for\n",
        );
    }
}

#[test]
fn without_an_engine_an_export_says_so() {
    Test::new(&["export", "--all"]).env("DOCKER_HOST", "unix:///nowhere.sock").says(
        1,
        "",
        "error: no engine answers at unix:///nowhere.sock: there is no socket /nowhere.sock\n\
         hint: is the engine running, and may you use it? DOCKER_HOST says where it is looked for\n",
    );
}

#[test]
fn without_an_engine_a_view_says_so_and_a_version_tells_its_own() {
    let told = "error: no engine answers at unix:///nowhere.sock: there is no socket /nowhere.sock\n\
                hint: is the engine running, and may you use it? DOCKER_HOST says where it is looked for\n";
    for arguments in
        [&["get", "containers"][..], &["ping"], &["info"], &["logs", "web"], &["cp", "web:/a", "b"]]
    {
        Test::new(arguments).env("DOCKER_HOST", "unix:///nowhere.sock").says(1, "", told);
    }
    let version = env!("CARGO_PKG_VERSION");
    Test::new(&["version"]).env("DOCKER_HOST", "unix:///nowhere.sock").says(
        1,
        &format!("Invigil   {version}\nEndpoint  unix:///nowhere.sock\n"),
        told,
    );
}

#[test]
fn a_kind_that_is_none_is_told_with_the_nearest() {
    Test::new(&["get", "contaners"]).says(
        1,
        "",
        "error: invalid value 'contaners' for '<KIND>': did you mean `containers`?\n\nFor more information, try '--help'.\n",
    );
}

#[test]
fn an_exam_server_that_is_none_is_refused() {
    Test::new(&["plan", "m", "--exam-server", "m/v.yaml"]).file("m/v.yaml", GOOD).says(
        1,
        "",
        "error: m/v.yaml is not a program for Linux\n\
         hint: --exam-server takes the invigil-exam that was built with this invigil\n",
    );
}

#[test]
fn a_body_of_the_old_service_becomes_the_manifest_that_a_person_would_write() {
    let body = fs::read_to_string(repository("tests/data/buildimage.json")).unwrap();
    let manifest = fs::read_to_string(repository("tests/data/buildimage.yaml")).unwrap();
    let test = Test::new(&["convert", "-"]).input(&body);
    let output = test.run();
    assert_eq!(String::from_utf8_lossy(&output.stdout), manifest);
    assert!(output.status.success());
    let with_schema = Test::new(&["convert", "body.json", "--schema", "../schemas/manifest.schema.json"])
        .file("body.json", &body)
        .run();
    let expected = format!("# yaml-language-server: $schema=../schemas/manifest.schema.json\n{manifest}");
    assert_eq!(String::from_utf8_lossy(&with_schema.stdout), expected);
    // What stands in the examples is this, with a title of its own.
    let example = fs::read_to_string(repository("examples/exam.yaml")).unwrap();
    let exam = example.split("---\n").next().unwrap().lines().filter(|line| !line.starts_with('#'));
    let exam = exam.collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!(exam, manifest.replace("  title: img-test\n", "  title: 期中考试\n"));
    Test::new(&["convert", "-"]).input("{}x").says(
        1,
        "",
        "-: is not JSON: trailing characters at line 1 column 3\n",
    );
    Test::new(&["convert", "none.json"]).says(
        1,
        "",
        "error: while reading none.json\n  caused by: No such file or directory (os error 2)\n",
    );
}

#[test]
fn law_13_a_file_s_name_steers_no_terminal() {
    Test::new(&["convert", "a\u{9b}2J.json"]).file("a\u{9b}2J.json", "{}x").says(
        1,
        "",
        "a\\u{9b}2J.json: is not JSON: trailing characters at line 1 column 3\n",
    );
}

#[test]
fn the_schemas_in_the_repository_are_those_of_this_version() {
    let dir = repository("schemas");
    Test::new(&["schema", "--check", "--dir", dir.to_str().unwrap()]).says(0, "", "");
    let test = Test::new(&["schema", "--check", "--dir", "s"]).file("s/manifest.schema.json", "{}");
    let output = test.run();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.starts_with("error: not the schemas of this version: s/"), "{told}");
    assert!(told.ends_with("hint: `invigil schema --write` writes them anew\n"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = Test::new(&["completions", shell]).run();
        assert!(
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains("validate"),
            "{shell}"
        );
    }
}

#[test]
fn every_command_has_a_manual_page_that_says_what_its_help_says() {
    let test = Test::new(&["man", "pages"]);
    test.says(0, "", "");
    let listed = fs::read_dir(repository("tests/cli/help")).unwrap();
    for name in listed.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()) {
        let page = if name == "invigil" { name } else { format!("invigil-{name}") };
        let text = fs::read_to_string(test.dir.path().join(format!("pages/{page}.1"))).unwrap();
        assert!(text.contains("Examples:"), "{page}");
    }
}

/// Every command's help is a file in `tests/cli/help`; with `INVIGIL_ACCEPT` set, they are written anew.
#[test]
fn help_says_word_for_word_what_it_is_to_say() {
    let directory = repository("tests/cli/help");
    let helped = |command: Option<&str>| {
        let arguments: Vec<&str> = command.into_iter().chain(["--help"]).collect();
        let output = Test::new(&arguments).run();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let all = helped(None);
    let listed = all.split_once("Commands:\n").expect("commands").1.split("\n\n").next().unwrap_or_default();
    let names: Vec<&str> = listed
        .lines()
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        // It tells what the others' `--help` does.
        .filter(|name| *name != "help")
        .collect();
    assert_eq!(
        String::from_utf8(Test::new(&["help", "plan"]).run().stdout).expect("text"),
        helped(Some("plan"))
    );
    let texts = names.iter().map(|name| (format!("{name}.txt"), helped(Some(name))));
    let texts: BTreeMap<String, String> = texts.chain([("invigil.txt".to_owned(), all.clone())]).collect();
    if std::env::var_os("INVIGIL_ACCEPT").is_some() {
        for (file, text) in &texts {
            fs::write(directory.join(file), text).expect("a file");
        }
    }
    for (file, text) in &texts {
        let expected = fs::read_to_string(directory.join(file)).unwrap_or_default();
        assert_eq!(*text, expected, "{file}");
        assert!(text.contains("\nExamples:\n  invigil "), "{file} has no example");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{file} is too wide");
        assert!(!text.contains('\u{1b}'), "colour is for terminals");
    }
    let files = fs::read_dir(&directory).expect("a directory");
    let files = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    assert_eq!(files.collect::<BTreeSet<_>>(), texts.into_keys().collect::<BTreeSet<_>>());
}

#[test]
fn wrong_usage_is_an_error_and_never_2_which_means_changes() {
    for arguments in [
        &["plam"][..],
        &["plan", "--owner", "Not A Name"],
        &["run", "--interval", "1ns"],
        &["apply", "--parallelism", "0"],
        &["export"],
        &["export", "--all", "web"],
        &["get", "pods"],
        &["get", "containers", "-f", "status"],
        &["get", "containers", "web", "-f", "status=running"],
        &["logs"],
        &["logs", "web", "--since", "yesterday"],
        &["logs", "web", "--stdout", "--stderr"],
        &["search", "nginx", "--limit", "0"],
        &["wait"],
        &["cp", "web", "here"],
        &["cp", "web:relative", "here"],
    ] {
        assert_eq!(Test::new(arguments).run().status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn a_saved_plan_wins_over_the_environment_and_not_over_a_path() {
    let told = "error: while reading none.plan\n  caused by: No such file or directory (os error 2)\n";
    Test::new(&["apply", "--plan", "none.plan"]).env("INVIGIL_MANIFESTS", "m").says(1, "", told);
    let output = Test::new(&["apply", "m", "--plan", "none.plan"]).run();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.starts_with("error: the argument '--plan <FILE>' cannot be used with '[PATH]'\n"), "{told}");
}

/// An engine that says one thing, once.
fn answering(socket: &Path, body: &'static str) {
    let listener = std::os::unix::net::UnixListener::bind(socket).expect("a socket");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut asked = [0; 1024];
        let _ = std::io::Read::read(&mut stream, &mut asked).expect("a request");
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).expect("an answer");
    });
}

#[test]
fn engines_that_cannot_be_worked_with_are_refused() {
    let podman = r#"{"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine", "Version": "5.4.2"}]}"#;
    let old = r#"{"ApiVersion": "1.40", "Components": [{"Name": "Engine", "Version": "19.03.15"}]}"#;
    for (body, why) in [
        (podman, "is Podman 5.4.2; of Podman, Invigil knows the answers of 4.3.x alone"),
        (old, "speaks API 1.40; Invigil needs 1.41 (Docker 20.10) or later"),
    ] {
        let test = Test::new(&["plan", "m"]).file("m/v.yaml", GOOD);
        let socket = test.dir.path().join("engine.sock");
        answering(&socket, body);
        let host = format!("unix://{}", socket.display());
        test.env("DOCKER_HOST", &host).says(
            1,
            "",
            &format!("error: the engine at unix://DIR/engine.sock {why}\n"),
        );
    }
}
