//! Pulls from a registry, and pushes to one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{BUSYBOX, Host, docker, is_left_out, is_podman, repository, run};

const USER: &str = "exam";
pub const PASSWORD: &str = "a>>>b???";
/// The kinds of manifests that engines make.
const MANIFESTS: &str =
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";

/// A registry of this test's own.
pub struct Registry {
    process: Child,
    address: String,
    pub port: u16,
    _dir: tempfile::TempDir,
}

impl Registry {
    pub fn start() -> Self {
        Self::start_at("127.0.0.1", |_| ())
    }

    /// One that wants no password.
    pub fn open() -> Self {
        Self::started("127.0.0.1", |_| (), &["open"])
    }

    /// One at another address of this host, in a directory that is prepared for it.
    pub fn start_at(address: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::started(address, prepare, &[])
    }

    fn started(address: &str, prepare: impl FnOnce(&Path), options: &[&str]) -> Self {
        let port = TcpListener::bind((address, 0)).expect("a port").local_addr().expect("an address").port();
        let dir = tempfile::tempdir().expect("a directory");
        prepare(dir.path());
        let script = repository("scripts/registry");
        let process = Command::new(script)
            .arg(format!("{address}:{port}"))
            .arg(dir.path())
            .args(options)
            .spawn()
            .expect("scripts/registry");
        let registry = Self { process, address: address.to_owned(), port, _dir: dir };
        for _ in 0..300 {
            if TcpStream::connect((address, port)).is_ok() {
                return registry;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the registry does not listen");
    }

    /// From now on it is away.
    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// What engines call it.
    pub fn at(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.at())
    }

    /// A directory with a config file, as `docker login` with this password makes it.
    pub fn login(&self, password: &str) -> tempfile::TempDir {
        if password != PASSWORD || is_podman() {
            // Docker would not let it in; the password may have changed since. Podman asks by TLS alone.
            return login_at(&self.at(), password);
        }
        let config = tempfile::tempdir().expect("a directory");
        let at = config.path().to_str().expect("a path");
        docker(&["--config", at, "login", "-u", USER, "-p", password, &self.at()]);
        config
    }

    /// What it answers when it is asked for the tags of a repository.
    pub fn tags(&self, repository: &str) -> String {
        self.ask("GET", &format!("{repository}/tags/list"), "*/*", "").1
    }

    /// One call of its own API. The answer's head and body.
    pub fn ask(&self, method: &str, path: &str, content: &str, body: &str) -> (String, String) {
        let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let mut stream = TcpStream::connect((self.address.as_str(), self.port)).expect("the registry");
        let request = format!(
            "{method} /v2/{path} HTTP/1.0\r\nHost: registry\r\nAuthorization: Basic {auth}\r\nAccept: {content}\r\n\
             Content-Type: {content}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        (head.to_owned(), body.to_owned())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
        // What was pulled from it and pushed to it is called after it.
        let format = "{{.Repository}} {{.Tag}} {{.Digest}}";
        let listed = run(&["images", "--digests", "--format", format]).stdout;
        let prefix = format!("{}/", self.at());
        for line in String::from_utf8_lossy(&listed).lines().filter(|line| line.starts_with(&prefix)) {
            let name = match line.split(' ').collect::<Vec<_>>()[..] {
                [repository, "<none>", digest] => format!("{repository}@{digest}"),
                [repository, tag, _] => format!("{repository}:{tag}"),
                _ => continue,
            };
            run(&["rmi", &name]);
        }
    }
}

/// A directory with a config file, as `docker login` makes it, for a registry that does not have to answer.
pub fn login_at(registry: &str, password: &str) -> tempfile::TempDir {
    let config = tempfile::tempdir().expect("a directory");
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    let text = format!("{{\"auths\": {{\"{registry}\": {{\"auth\": \"{auth}\"}}}}}}");
    std::fs::write(config.path().join("config.json"), text).expect("a file");
    config
}

/// What `login --check` says with a config directory, and its exit code.
fn check(registry: &str, config: &std::path::Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["login", "--check", registry])
        .env("DOCKER_CONFIG", config)
        .output()
        .expect("invigil");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// The program, as it runs with a config directory. Exit code, and everything it said.
pub fn apply(host: &Host, config: &std::path::Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["apply", "--yes", "--owner", &host.prefix, "--state-dir"])
        .arg(host.state())
        .arg(host.path())
        .env("DOCKER_CONFIG", config)
        .env("INVIGIL_LOG", "trace")
        .output()
        .expect("invigil");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_with_the_login_of_docker_and_what_goes_wrong_is_a_sentence() {
    let (host, registry) = (Host::new("registry").await, Registry::start());
    let login = registry.login(PASSWORD);
    let image = registry.image("exam/client:1");
    docker(&["tag", BUSYBOX, &image]);
    docker(&["--config", login.path().to_str().expect("a path"), "push", &image]);
    docker(&["rmi", &image]);
    let seat = |image: &str| {
        host.container("c", &format!("{{image: '{image}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    };
    seat(BUSYBOX);
    host.apply().await;
    let before = host.inspect("c", "{{.Id}} {{.State.StartedAt}}");

    let nobody = tempfile::tempdir().expect("a directory");
    let wrong = registry.login("canary-password");
    let damaged = tempfile::tempdir().expect("a directory");
    std::fs::write(damaged.path().join("config.json"), "{").expect("a file");
    let login_wanted =
        "the registry wants a login: `docker login` as the user that Invigil runs as, or check the password";
    let absent = registry.image("exam/client:nope");
    let elsewhere = "127.0.0.1:1/exam/client:1".to_owned();
    for (image, config, why) in [
        (&image, &nobody, login_wanted.to_owned()),
        (&image, &wrong, login_wanted.to_owned()),
        (
            &image,
            &damaged,
            format!("{login_wanted} (asked without a login: Docker's config.json is damaged)"),
        ),
        (&absent, &login, "the registry has no such image".to_owned()),
        (&elsewhere, &login, "the registry cannot be reached".to_owned()),
    ] {
        seat(image);
        let (code, said) = apply(&host, config.path());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("pull {image}: {why}\n")), "{said}");
        for secret in [PASSWORD, "canary-password"] {
            assert!(!said.contains(secret), "{said}");
        }
        // The old one was not touched.
        assert_eq!(host.inspect("c", "{{.Id}} {{.State.StartedAt}}"), before);
    }

    seat(&image);
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    assert_eq!(host.inspect("c", "{{.Config.Image}}"), image);
    host.remove("c.yaml");
    host.write("v.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@v'}\n");
    host.apply().await;
    run(&["rmi", &image]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pushed_once_and_a_tag_that_moves_there_is_pulled() {
    if is_left_out("an_image_is_pushed_once_and_a_tag_that_moves_there_is_pulled") {
        return;
    }
    let (host, mut registry) = (Host::new("push").await, Registry::start());
    let login = registry.login(PASSWORD);
    let tag = registry.image("exam/app:1");
    let image = |number: u32| {
        format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{build: {{dockerfileInline: \"FROM {BUSYBOX}\\nRUN echo {number} > /number\\nCMD \
             sleep 1000\"}}, tags: ['{tag}'], push: true}}\n"
        )
    };
    host.write("app.yaml", &image(1));
    let nobody = tempfile::tempdir().expect("a directory");
    let at = format!("127.0.0.1:{}", registry.port);
    assert_eq!(check(&at, login.path()), (Some(0), format!("{at} lets Invigil in.\n")));
    let file = nobody.path().join("config.json");
    assert_eq!(
        check(&at, nobody.path()),
        (Some(1), format!("error: {at}: {} has no login for it\n", file.display()))
    );
    let (code, said) = check(&at, registry.login("canary-password").path());
    assert!(
        code == Some(1) && said.starts_with(&format!("error: {at}: the registry wants a login: ")),
        "{said}"
    );
    assert_eq!(check("127.0.0.1:1", login.path()).0, Some(1));
    let (code, said) = apply(&host, nobody.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("push {tag}: the registry wants a login: ")), "{said}");
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = apply(&host, login.path());
    assert_eq!((code, said.contains("Nothing to do; 1 unchanged.")), (Some(0), true), "{said}");

    // A seat on the same tag, kept by another Invigil of this engine that knows only the registry.
    let seat = Host::new("pushed").await;
    seat.write(
        "seat.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{pull: {{reference: '{tag}', policy: Always}}}}\n---\n\
             apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: '@keeps'}}\nspec: {{image: '{tag}', stopSignal: SIGKILL}}\n---\n\
             apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: '@follows'}}\nspec: {{image: '{tag}', imageUpdates: follow, stopSignal: SIGKILL}}\n"
        ),
    );
    let (code, said) = apply(&seat, login.path());
    assert_eq!(code, Some(0), "{said}");
    let number = |name: &str| docker(&["exec", &seat.name(name), "cat", "/number"]);
    assert_eq!((number("keeps"), number("follows")), ("1".to_owned(), "1".to_owned()));

    // The other one moves the tag in the registry; here it is taken back to the old image first.
    let old = docker(&["image", "inspect", "--format", "{{.Id}}", &tag]);
    host.write("app.yaml", &image(2));
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    docker(&["tag", &old, &tag]);
    let keeps = seat.inspect("keeps", "{{.Id}} {{.State.StartedAt}}");
    let (code, said) = apply(&seat, login.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("  digest   sha256:"), "{said}");
    assert_eq!((number("keeps"), number("follows")), ("1".to_owned(), "2".to_owned()));
    assert_eq!(seat.inspect("keeps", "{{.Id}} {{.State.StartedAt}}"), keeps);

    // A registry that is away is told, and stops nothing.
    registry.stop();
    let (code, said) = apply(&seat, login.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("whether {tag} has moved cannot be asked: the registry cannot be reached")),
        "{said}"
    );
    assert_eq!(number("follows"), "2");
    for secret in [PASSWORD, "canary-password"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_tag_means_the_image_that_it_was_wherever_it_moves() {
    if is_left_out("a_locked_tag_means_the_image_that_it_was_wherever_it_moves") {
        return;
    }
    let (host, mut registry) = (Host::new("lock").await, Registry::start());
    let login = registry.login(PASSWORD);
    let tag = registry.image("exam/app:1");
    let publish = |number: u32| {
        let changes = format!("LABEL number={number}");
        docker(&["create", "--name", &host.name("seed"), BUSYBOX]);
        docker(&["commit", "--change", &changes, &host.name("seed"), &tag]);
        docker(&["rm", &host.name("seed")]);
        docker(&["--config", login.path().to_str().expect("a path"), "push", &tag]);
        docker(&["rmi", &tag]);
    };
    let locked = || {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_invigil"))
            .arg("lock")
            .arg(host.path())
            .env("DOCKER_CONFIG", login.path())
            .output()
            .expect("invigil");
        (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
    };
    publish(1);
    host.write(
        "all.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{pull: {{reference: '{tag}', policy: Always}}}}\n---\n\
             apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: '@seat'}}\nspec: {{image: '{tag}', imageUpdates: follow, command: [sleep, '1000'], \
             stopSignal: SIGKILL}}\n"
        ),
    );
    let (code, said) = locked();
    assert!(
        code == Some(0) && said.contains(&format!("{tag}  sha256:")) && said.contains("   new\n"),
        "{said}"
    );
    assert!(
        said.ends_with(&format!("Locked 1 image in {}/invigil.lock.\n", host.path().display())),
        "{said}"
    );
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    let number = || {
        let id = host.inspect("seat", "{{.Image}}");
        docker(&["image", "inspect", "--format", "{{.Config.Labels.number}}", &id])
    };
    assert_eq!(number(), "1");

    // Elsewhere the tag moves: here it is what it was, also for a seat that is made anew.
    let id = host.inspect("seat", "{{.Image}}");
    docker(&["rm", "-f", &host.name("seat")]);
    docker(&["rmi", "-f", &id]);
    publish(2);
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(number(), "1");
    let (code, said) = apply(&host, login.path());
    assert_eq!((code, said.contains("Nothing to do; 2 unchanged.")), (Some(0), true), "{said}");

    // Until it is locked anew.
    let (code, said) = locked();
    assert!(code == Some(0) && said.contains("   was sha256:"), "{said}");
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(number(), "2");

    // A lock that cannot be read leaves everything as it is.
    host.write("invigil.lock", "formatVersion: 1\nimages: {'nginx:1': x}\n");
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("invigil.lock:2:21: images.nginx:1: expected sha256: and 64 hexadecimal digits"),
        "{said}"
    );
    assert_eq!(number(), "2");

    // What cannot be found out is told, and nothing is written.
    registry.stop();
    let before = std::fs::read(host.path().join("invigil.lock")).expect("a file");
    let (code, said) = locked();
    assert!(
        code == Some(1) && said.contains(&format!("error: {tag}: the registry cannot be reached")),
        "{said}"
    );
    assert_eq!(std::fs::read(host.path().join("invigil.lock")).expect("a file"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_8_what_was_pulled_for_a_container_goes_with_it_and_what_was_there_stays() {
    let (host, registry) = (Host::new("pulled").await, Registry::start());
    let login = registry.login(PASSWORD);
    let tag = |number: u32| registry.image(&format!("exam/app:{number}"));
    let digest = |number: u32| {
        let (tag, changes) = (tag(number), format!("LABEL number={number}"));
        docker(&["create", "--name", &host.name("seed"), BUSYBOX]);
        docker(&["commit", "--change", &changes, &host.name("seed"), &tag]);
        docker(&["rm", &host.name("seed")]);
        docker(&["--config", login.path().to_str().expect("a path"), "push", &tag]);
        docker(&["rmi", &tag]);
        let (_, manifest) = registry.ask("GET", &format!("exam/app/manifests/{number}"), MANIFESTS, "");
        let digest = invigil::resource::digest::sha256_hex(manifest.as_bytes());
        registry.image(&format!("exam/app@sha256:{digest}"))
    };
    let (first, _) = (digest(1), digest(2));
    let is_there = |image: &str| run(&["image", "inspect", image]).status.success();
    let seat = |image: &str| {
        host.container("c", "{image: IMAGE, command: [sleep, '1000'], stopSignal: SIGKILL}");
        // A digest's `@` is no test's prefix.
        let file = host.path().join("c.yaml");
        let text =
            std::fs::read_to_string(&file).expect("a manifest").replace("IMAGE", &format!("'{image}'"));
        std::fs::write(file, text).expect("a manifest");
    };
    let passes = |image: &str| {
        seat(image);
        let (code, said) = apply(&host, login.path());
        assert_eq!(code, Some(0), "{said}");
        let (code, again) = apply(&host, login.path());
        assert!(code == Some(0) && again.contains("Nothing to do; "), "law 9: {said}{again}");
        said
    };
    host.write("v.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@v'}\n");
    let removed = || {
        host.remove("c.yaml");
        let (code, said) = apply(&host, login.path());
        assert_eq!(code, Some(0), "{said}");
        said
    };

    passes(&tag(1));
    let marks = docker(&["images", "--format", "{{.Repository}}"]);
    assert!(marks.contains(&format!("io.invigil.owner/{}/pulled/for-containers", host.prefix)), "{marks}");
    let said = passes(&tag(2));
    let goes =
        format!("remove   pulled for containers as {}, and nothing names it any more, sha256:", tag(1));
    assert!(said.contains(&goes), "{said}");
    assert!(!is_there(&tag(1)) && !is_there(&first) && is_there(&tag(2)));

    // By its digest.
    passes(&first);
    assert!(is_there(&first) && !is_there(&tag(2)));
    removed();
    assert!(!is_there(&first));

    // Somebody has it, by its digest alone.
    docker(&["--config", login.path().to_str().expect("a path"), "pull", &first]);
    passes(&tag(1));
    removed();
    assert!(is_there(&first));
    run(&["rmi", &tag(1)]);

    // Also where a manifest describes what it pulls.
    docker(&["--config", login.path().to_str().expect("a path"), "pull", &first]);
    host.write(
        "image.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{pull: {{reference: '{}'}}}}\n",
            tag(1)
        ),
    );
    let stays = || {
        let (code, said) = apply(&host, login.path());
        assert_eq!((code, is_there(&first)), (Some(0), true), "{said}");
    };
    stays();
    host.remove("image.yaml");
    stays();
    run(&["rmi", &tag(1)]);
    run(&["rmi", &first]);
}
