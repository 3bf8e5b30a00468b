//! Pulls from a registry that wants a password.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output};
use std::time::Duration;

use crate::support::{BUSYBOX, Host, docker, run};

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
        if password == PASSWORD {
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
