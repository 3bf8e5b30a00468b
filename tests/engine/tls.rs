//! An engine that is reached by TCP and TLS, as Docker's own client reaches it. In: a real engine that wants certificates.
//! Out: what the program does and says there.

use std::path::Path;
use std::process::{Command, Output};

use crate::spare::Spare;
use crate::support::{BUSYBOX, Host};

/// Where `scripts/engine start tls` has the engine listen, and what it has made for its users.
const ADDRESS: &str = "tcp://127.0.0.1:23760";
const CERTIFICATES: &str = "/run/invigil-engines/tls";

/// The program at that address. Exit code, and everything it said.
fn invigil(arguments: &[&str], verify: &str, certificates: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(arguments)
        .env("DOCKER_HOST", ADDRESS)
        .env("DOCKER_TLS_VERIFY", verify)
        .env("DOCKER_CERT_PATH", certificates)
        .output()
        .expect("invigil");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_behind_tls_is_used_as_another_and_only_the_right_one_by_who_may() {
    let engine = Spare::tls();
    let host = Host::new("tls").await;
    host.write("app/text", "1+1=？");
    host.write(
        "all.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{build: {{builder: buildkit, context: ./app, \
             dockerfileInline: \"FROM {BUSYBOX}\\nCOPY text /text\"}}, tags: ['@app:v1']}}\n---\n\
             apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: '@c'}}\n\
             spec: {{image: '@app:v1', command: [sleep, '1000'], stopSignal: SIGKILL, networkMode: none}}\n"
        ),
    );
    let certificates = Path::new(CERTIFICATES);
    let (state, path) = (host.state(), host.path());
    let with = |command: &'static str| {
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let own = ["--owner", &host.prefix, "--state-dir"].map(str::to_owned);
        [command.split(' ').map(str::to_owned).collect(), own.to_vec(), vec![text(&state), text(path)]]
            .concat()
    };
    let run = |command: &'static str| {
        let arguments = with(command);
        invigil(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "1", certificates)
    };
    let (code, said) = run("apply --yes");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run("plan --detailed-exitcode");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(engine.docker(&["exec", &host.name("c"), "cat", "/text"]), "1+1=？");

    let strangers = tempfile::tempdir().expect("a directory");
    let copied = |names: &[(&str, &str)]| {
        for (from, to) in names {
            std::fs::copy(certificates.join(from), strangers.path().join(to)).expect("a copy");
        }
    };
    let ping = |verify: &str, directory: &Path| {
        let (code, said) = invigil(&["ping"], verify, directory);
        assert_eq!(code, Some(1), "{said}");
        said
    };
    let said = ping("1", strangers.path());
    assert!(said.contains("ca.pem cannot be read: No such file or directory"), "{said}");
    copied(&[("ca.pem", "ca.pem")]);
    let said = ping("1", strangers.path());
    assert!(
        said.contains("it does not accept cert.pem and key.pem in DOCKER_CERT_PATH, or there are none"),
        "{said}"
    );
    copied(&[("cert.pem", "ca.pem"), ("cert.pem", "cert.pem"), ("key.pem", "key.pem")]);
    let said = ping("1", strangers.path());
    assert!(said.contains("its certificate is not signed by the ca.pem in DOCKER_CERT_PATH"), "{said}");
    let said = ping("", certificates);
    assert!(said.contains("the engine speaks TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"), "{said}");
}
