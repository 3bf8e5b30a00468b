//! What a build asks for beside its context: secrets and logins, by `BuildKit`'s session. Neither is found anywhere after.

use std::process::{Command, Output};

use crate::registry::{PASSWORD, Registry};
use crate::support::{BUSYBOX, Host, docker, is_left_out};

/// What must not be found.
const CANARY: &str = "canary-of-a-token";

/// The program with these arguments and a secret among its variables. Exit code, and everything it said.
fn invigil(host: &Host, arguments: &[&str], config: Option<&tempfile::TempDir>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
    command.args(arguments).args(["--owner", &host.prefix, "--state-dir"]).arg(host.state()).arg(host.path());
    if let Some(config) = config {
        command.env("DOCKER_CONFIG", config.path());
    }
    let Output { status, stdout, stderr } = command
        .env("APP_VALUE", format!("{CANARY}-2"))
        .env("INVIGIL_LOG", "trace")
        .output()
        .expect("invigil");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

fn image(host: &Host, dockerfile: &str) {
    host.write("app/Dockerfile", dockerfile);
    host.write(
        "image.yaml",
        "apiVersion: invigil/v1\nkind: Image\nmetadata: {name: '@app'}\nspec:\n  build:\n    context: ./app\n    \
         secrets: ['id=file,src=./token', {id: variable, env: APP_VALUE}]\n  tags: ['@app:v1']\n",
    );
}

/// Steps that see both secrets and keep their lengths alone.
fn using(end: &str) -> String {
    format!(
        "FROM {BUSYBOX}\nRUN --mount=type=secret,id=file --mount=type=secret,id=variable \
         cat /run/secrets/file /run/secrets/variable | tee /dev/stderr | wc -c > /length; {end}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn law_12_a_build_is_given_its_secrets_and_they_are_nowhere_else() {
    if is_left_out("law_12_a_build_is_given_its_secrets_and_they_are_nowhere_else") {
        return;
    }
    let host = Host::new("secrets").await;
    image(&host, &using("exit 3"));
    let (_, said) = invigil(&host, &["plan"], None);
    assert!(
        said.contains("app  blocked   ") && said.contains("token of the build's secrets is not on this host"),
        "{said}"
    );

    // What a step says of them is hidden.
    host.write("token", &format!("{CANARY}-1\n"));
    let (code, said) = invigil(&host, &["apply", "--yes"], None);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("exit code: 3; its last output: ") && said.contains("(hidden)"), "{said}");
    assert!(!said.contains(CANARY), "{said}");

    image(&host, &using("true"));
    let (code, said) = invigil(&host, &["apply", "--yes"], None);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(CANARY), "{said}");
    let name = host.name("app:v1");
    let length = format!("{CANARY}-1\n{CANARY}-2").len().to_string();
    assert_eq!(docker(&["run", "--rm", &name, "cat", "/length"]), length);
    let kept = docker(&["history", "--no-trunc", &name]) + &docker(&["image", "inspect", &name]);
    assert!(!kept.contains(CANARY), "{kept}");
    let files = docker(&[
        "run",
        "--rm",
        &name,
        "sh",
        "-c",
        &format!("grep -r {CANARY} /etc /run /tmp /root || echo none"),
    ]);
    assert_eq!(files, "none");

    // Another secret makes no other image; nothing that could be compared is kept of one.
    host.write("token", "another\n");
    let (code, said) = invigil(&host, &["plan", "--detailed-exitcode"], None);
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_needs_a_login_is_built_on_by_either_builder() {
    let registry = Registry::start();
    let login = registry.login(PASSWORD);
    for builder in ["classic", "buildkit"] {
        let host = Host::new(&format!("login{builder}")).await;
        let base = registry.image(&format!("exam/{builder}:1"));
        docker(&["tag", BUSYBOX, &base]);
        docker(&["--config", login.path().to_str().expect("a path"), "push", &base]);
        docker(&["rmi", &base]);
        let manifest = |more: &str| {
            format!(
                "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{build: {{builder: {builder}{more}, \
                 dockerfileInline: \"FROM {base}\\nRUN echo {builder} > /by\"}}, tags: ['@app:v1']}}\n"
            )
        };
        host.write("image.yaml", &manifest(""));
        let nobody = tempfile::tempdir().expect("a directory");
        let (code, said) = invigil(&host, &["apply", "--yes"], Some(&nobody));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("the registry wants a login"), "{said}");
        assert!(!said.contains("asked "), "{said}");
        let damaged = tempfile::tempdir().expect("a directory");
        std::fs::write(damaged.path().join("config.json"), "{").expect("a file");
        let (code, said) = invigil(&host, &["apply", "--yes"], Some(&damaged));
        assert_eq!(code, Some(1), "{said}");
        let trouble = format!(" (asked {} without a login: Docker's config.json is damaged)", registry.at());
        assert!(said.contains("the registry wants a login") && said.contains(&trouble), "{said}");
        let (code, said) = invigil(&host, &["apply", "--yes"], Some(&login));
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
        assert_eq!(docker(&["run", "--rm", &host.name("app:v1"), "cat", "/by"]), builder);

        // With the same login a base that moved is brought where that is asked for.
        let config = login.path().to_str().expect("a path");
        docker(&["create", "--name", &host.name("seed"), BUSYBOX]);
        docker(&["commit", "--change", "LABEL base=moved", &host.name("seed"), &base]);
        docker(&["--config", config, "push", &base]);
        docker(&["tag", BUSYBOX, &base]);
        // BuildKit with containerd's store asks the registry anyway.
        let unasked = (builder == "classic").then_some(("false", "<no value>"));
        for (pull, label) in unasked.into_iter().chain([("true", "moved")]) {
            host.write("image.yaml", &manifest(&format!(", pullBase: {pull}, args: {{PULL: '{pull}'}}")));
            let (code, said) = invigil(&host, &["apply", "--yes"], Some(&login));
            assert_eq!(code, Some(0), "{said}");
            let format = "{{.Config.Labels.base}}";
            assert_eq!(
                docker(&["image", "inspect", "--format", format, &host.name("app:v1")]),
                label,
                "{builder}"
            );
        }
    }
}
