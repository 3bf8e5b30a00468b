//! Pulls from a registry that wants a password.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output};
use std::time::Duration;

use crate::support::{BUSYBOX, Host, docker, is_left_out, is_podman, run};

const USER: &str = "exam";
const PASSWORD: &str = "a>>>b???";

/// A registry of this test's own.
struct Registry {
    process: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let dir = tempfile::tempdir().expect("a directory");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/registry");
        let process =
            Command::new(script).arg(port.to_string()).arg(dir.path()).spawn().expect("scripts/registry");
        let registry = Self { process, port, dir };
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return registry;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the registry does not listen");
    }

    fn image(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// A directory with a config file, as `docker login` with this password makes it.
    fn login(&self, password: &str) -> tempfile::TempDir {
        let config = tempfile::tempdir().expect("a directory");
        let at = config.path().to_str().expect("a path");
        let registry = format!("127.0.0.1:{}", self.port);
        // Podman's login asks by TLS alone.
        if password == PASSWORD && !is_podman() {
            docker(&["--config", at, "login", "-u", USER, "-p", password, &registry]);
        } else {
            // Docker would not let it in; the password may have changed since.
            let auth = Command::new("base64").arg(self.write("auth", &format!("{USER}:{password}"))).output();
            let auth = String::from_utf8(auth.expect("base64").stdout).expect("a text");
            let text = format!("{{\"auths\": {{\"{registry}\": {{\"auth\": \"{}\"}}}}}}", auth.trim());
            std::fs::write(config.path().join("config.json"), text).expect("a file");
        }
        config
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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
fn apply(host: &Host, config: &std::path::Path) -> (Option<i32>, String) {
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
    let (host, registry) = (Host::new("push").await, Registry::start());
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
    drop(registry);
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
    let (host, registry) = (Host::new("lock").await, Registry::start());
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
    docker(&["rm", "-f", &host.name("seat")]);
    let id = docker(&["images", "-q", "--filter", "label=number=1"]);
    docker(&["rmi", "-f", id.lines().next().expect("an image")]);
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
    drop(registry);
    let before = std::fs::read(host.path().join("invigil.lock")).expect("a file");
    let (code, said) = locked();
    assert!(
        code == Some(1) && said.contains(&format!("error: {tag}: the registry cannot be reached")),
        "{said}"
    );
    assert_eq!(std::fs::read(host.path().join("invigil.lock")).expect("a file"), before);
}
