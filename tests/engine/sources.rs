//! The ways to an image that no other test goes, and a registry that wants no password.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::build::serve;
use crate::daemon::Daemon;
use crate::registry::{Registry, apply};
use crate::support::{BUSYBOX, Host, docker, is_left_out, is_podman, run};

/// A tar archive of these files.
fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes()).expect("an entry");
    }
    archive.into_inner().expect("an archive")
}

fn image(host: &Host, name: &str, spec: &str) {
    host.write(
        &format!("{name}.yaml"),
        &format!("apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@{name}'}}\nspec: {spec}\n"),
    );
}

fn printed(image: &str) -> String {
    docker(&["run", "--rm", image])
}

/// Brings an image that says `number` into a registry, and takes it away from the engine.
fn publish(host: &Host, tag: &str, number: u32) {
    docker(&["create", "--name", &host.name("seed"), BUSYBOX]);
    docker(&["commit", "--change", &format!("CMD [\"echo\", \"{number}\"]"), &host.name("seed"), tag]);
    docker(&["rm", &host.name("seed")]);
    docker(&["push", tag]);
    docker(&["rmi", tag]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_pulled_has_to_be_there() {
    let (host, registry) = (Host::new("never").await, Registry::open());
    let tag = registry.image("exam/app:1");
    publish(&host, &tag, 1);
    image(&host, "app", &format!("{{pull: {{reference: '{tag}', policy: Never}}}}"));
    let blocked = format!("image/@app  blocked   {tag} is not on this host, and its policy is Never\n");
    let plan = host.plan().await;
    assert!(plan.starts_with(&blocked), "{plan}");
    assert!(!run(&["image", "inspect", &tag]).status.success());
    docker(&["pull", &tag]);
    let plan = host.plan().await;
    assert!(!plan.contains("pull") && !plan.contains("blocked"), "{plan}");
    host.apply().await;
    host.remove("app.yaml");
    run(&["rmi", &tag]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_for_its_platform_without_a_login_where_none_is_wanted() {
    let (host, registry) = (Host::new("platform").await, Registry::open());
    let tag = registry.image("exam/app:1");
    publish(&host, &tag, 7);
    let machine = docker(&["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"]);
    image(&host, "app", &format!("{{pull: {{reference: '{tag}', platform: {machine}}}}}"));
    let nobody = tempfile::tempdir().expect("a directory");
    let (code, said) = apply(&host, nobody.path());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(printed(&tag), "7");
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");

    // Neither the repository nor the tag is there: one sentence each, and what is there stays.
    for absent in ["exam/nobody:1", "exam/app:2"] {
        let absent = registry.image(absent);
        image(&host, "other", &format!("{{pull: {{reference: '{absent}'}}}}"));
        let (code, said) = apply(&host, nobody.path());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("pull {absent}: the registry has no such image\n")), "{said}");
        assert_eq!(printed(&tag), "7");
    }
    run(&["rmi", &tag]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pushed_to_where_it_is_said_and_not_to_its_tags() {
    let (host, registry) = (Host::new("pushto").await, Registry::open());
    let (there, tag) = (registry.image("kept/app:2"), registry.image("exam/app:1"));
    image(
        &host,
        "app",
        &format!(
            "{{build: {{dockerfileInline: 'FROM {BUSYBOX}'}}, tags: ['{tag}'], push: {{to: ['{there}']}}}}"
        ),
    );
    let nobody = tempfile::tempdir().expect("a directory");
    let (code, said) = apply(&host, nobody.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(registry.tags("kept/app").contains("\"2\""), "{}", registry.tags("kept/app"));
    assert!(registry.tags("exam/app").contains("NAME_UNKNOWN"), "{}", registry.tags("exam/app"));
    let (code, said) = apply(&host, nobody.path());
    assert_eq!(code, Some(0), "{said}");
    if !is_podman() {
        assert!(said.contains("Nothing to do; 1 unchanged."), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_told_its_context_its_stage_and_its_network() {
    if is_left_out("a_build_is_told_its_context_its_stage_and_its_network") {
        return;
    }
    let host = Host::new("ways").await;
    let dockerfile = format!(
        "FROM {BUSYBOX} AS first\nCOPY said /said\nRUN ls /sys/class/net | tr '\\n' ' ' > /nets\n\
         CMD cat /said /nets\nFROM first\nCMD echo the last stage\n"
    );
    let archive = |said: &str| packed(&[("Dockerfile", &dockerfile), ("said", said)]);
    fs::write(host.path().join("app.tar"), archive("one ")).expect("a file");
    let of = |builder: &str, more: &str| {
        image(
            &host,
            "app",
            &format!(
                "{{build: {{context: app.tar, builder: {builder}, target: first, network: none{more}}}, tags: ['@app:1']}}"
            ),
        );
    };
    of("classic", "");
    let plan = host.apply().await;
    assert!(plan.starts_with("image/@app  build   ") && plan.contains("/app.tar\n"), "{plan}");
    assert_eq!(printed(&host.name("app:1")), "one lo");
    let id = || docker(&["image", "inspect", "--format", "{{.Id}}", &host.name("app:1")]);
    let first = id();
    // How it is built is no reason to build it.
    of("classic", ", noCache: true");
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
    fs::write(host.path().join("app.tar"), archive("two ")).expect("a file");
    host.apply().await;
    assert_eq!(printed(&host.name("app:1")), "two lo");
    // With the same context as before, a step that was remembered would give the same image again.
    fs::write(host.path().join("app.tar"), archive("one ")).expect("a file");
    host.apply().await;
    assert_eq!(printed(&host.name("app:1")), "one lo");
    assert_ne!(id(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_fetched_from_where_it_is_said_and_once() {
    if is_podman() {
        return;
    }
    let host = Host::new("fetched").await;
    let dockerfile = format!("FROM {BUSYBOX}\nCMD echo fetched\n");
    let repository = host.path().join(".git-of-the-test");
    let (archive, asked) = serve(packed(&[("Dockerfile", &dockerfile)])).await;
    let (text, _) = serve(dockerfile.clone().into_bytes()).await;
    let git = serve_directory(bare(&repository, &dockerfile)).await;
    for (name, address) in [
        ("tar", format!("http://{archive}/app.tar")),
        ("text", format!("http://{text}/Dockerfile")),
        ("git", format!("http://{git}/exam.git#main")),
    ] {
        image(
            &host,
            name,
            &format!("{{build: {{context: '{address}', builder: classic}}, tags: ['@{name}:1']}}"),
        );
        let plan = host.apply().await;
        assert!(plan.starts_with(&format!("image/@{name}  build   {address}\n")), "{plan}");
        assert_eq!(printed(&host.name(&format!("{name}:1"))), "fetched", "{name}");
    }
    let before = asked.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(host.plan().await, "Nothing to do; 3 unchanged.\n");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), before);
}

/// A directory with a bare repository `exam.git` in it, whose branch `main` has a Dockerfile.
fn bare(directory: &Path, dockerfile: &str) -> PathBuf {
    let work = directory.join("work");
    fs::create_dir_all(&work).expect("a directory");
    fs::write(work.join("Dockerfile"), dockerfile).expect("a file");
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(&work)
            .output()
            .expect("git");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "exam"]);
    git(&["clone", "-q", "--bare", ".", "../exam.git"]);
    git(&["--git-dir", "../exam.git", "update-server-info"]);
    directory.to_owned()
}

/// Answers requests with the files of a directory.
async fn serve_directory(root: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let count = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let path = request.split([' ', '?']).nth(1).unwrap_or_default().trim_start_matches('/');
            let (code, bytes) = match fs::read(root.join(path)) {
                Ok(bytes) => ("200 OK", bytes),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {code}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            if !request.starts_with("HEAD ") {
                let _ = stream.write_all(&bytes).await;
            }
        }
    });
    address
}

/// What engines push.
const KINDS: &str = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, \
                     application/vnd.oci.image.index.v1+json";

/// Copies an image within a registry: its manifest or its index, whichever the engine has pushed.
fn copy(registry: &Registry, from: &str, to: &str, reference: &str) {
    let (head, manifest) = registry.ask("GET", &format!("{from}/manifests/{reference}"), KINDS, "");
    let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).expect("a kind").trim();
    let parts: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let digests = |parts: &serde_json::Value| -> Vec<String> {
        let parts = parts.as_array().into_iter().flatten();
        parts.filter_map(|part| part["digest"].as_str().map(str::to_owned)).collect()
    };
    for child in digests(&parts["manifests"]) {
        copy(registry, from, to, &child);
    }
    let config = parts["config"]["digest"].as_str().map(str::to_owned);
    for blob in digests(&parts["layers"]).into_iter().chain(config) {
        registry.ask("POST", &format!("{to}/blobs/uploads/?mount={blob}&from={from}"), "*/*", "");
    }
    let (head, told) = registry.ask("PUT", &format!("{to}/manifests/{reference}"), kind, &manifest);
    assert!(head.contains(" 201 "), "{head}\n{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_sees_by_itself_that_a_tag_has_moved_in_its_registry() {
    if is_podman() {
        return;
    }
    let (host, registry) = (Host::new("moves").await, Registry::open());
    let tag = registry.image("exam/app:1");
    publish(&host, &tag, 1);
    image(&host, "app", &format!("{{pull: {{reference: '{tag}', policy: Always, checkEvery: 2s}}}}"));
    let daemon = Daemon::start_often(&host, "1s");
    let says = |number: &str| {
        let told = run(&["image", "inspect", "--format", "{{.Config.Cmd}}", &tag]);
        String::from_utf8_lossy(&told.stdout).trim() == format!("[echo {number}]")
    };
    daemon.until("it is pulled", || says("1"));
    // Somebody else's server moves it: from here it is pushed under another name.
    docker(&["create", "--name", &host.name("seed"), BUSYBOX]);
    let other = registry.image("exam/other:1");
    docker(&["commit", "--change", "CMD [\"echo\", \"2\"]", &host.name("seed"), &other]);
    docker(&["rm", &host.name("seed")]);
    docker(&["push", &other]);
    docker(&["rmi", &other]);
    copy(&registry, "exam/other", "exam/app", "1");
    daemon.until("it is followed", || says("2"));
    drop(daemon);
    run(&["rmi", &tag]);
}
