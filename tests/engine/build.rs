//! Images that Invigil makes are made once, and again when what they are made from has changed.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{BUSYBOX, Host, docker, is_podman};

/// The image of a context.
fn image(builder: &str) -> String {
    format!(
        "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec:\n  build: {{context: ./app, builder: {builder}, args: {{GREETING: hello}}, \
         labels: {{made: here}}}}\n  tags: ['@app:v1']\n"
    )
}

/// A context that is built on `base`.
fn context(host: &Host, base: &str) {
    fs::create_dir_all(host.path().join("app/data")).expect("a directory");
    host.write(
        "app/Dockerfile",
        &format!("FROM {base}\nARG GREETING\nCOPY . /srv\nRUN echo $GREETING > /srv/greeting\nCMD [\"sleep\", \"1000\"]\n"),
    );
    host.write("app/.dockerignore", "*.md\n");
    host.write("app/notes.md", "not for the image");
    host.write("app/data/题.txt", "1+1=？");
}

fn created(image: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Id}}", image])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_is_built_once_and_anew_when_it_changed() {
    for builder in ["classic", "buildkit"] {
        built_once(builder).await;
    }
}

async fn built_once(builder: &str) {
    let host = Host::new(builder).await;
    context(&host, BUSYBOX);
    host.write("image.yaml", &image(builder));
    host.container("web", &format!("{{image: '{}', stopSignal: SIGKILL}}", host.name("app:v1")));
    let plan = host.apply().await;
    assert!(plan.starts_with("image/@app  build   "), "{plan}");
    assert!(plan.contains("app, 3 files\n"), "{plan}");
    let read = |path: &str| docker(&["exec", &host.name("web"), "cat", path]);
    assert_eq!(read("/srv/greeting"), "hello");
    assert_eq!(read("/srv/data/题.txt"), "1+1=？");
    assert_eq!(
        docker(&["exec", &host.name("web"), "ls", "-A", "/srv"]),
        ".dockerignore\nDockerfile\ndata\ngreeting"
    );
    assert_eq!(
        docker(&["image", "inspect", "--format", "{{.Config.Labels.made}}", &host.name("app:v1")]),
        "here"
    );
    let first = created(&host.name("app:v1"));

    // Times and ignored files are no reason to build.
    host.write("app/notes.md", "changed");
    let file = fs::File::options().write(true).open(host.path().join("app/data/题.txt")).expect("a file");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
    assert_eq!(host.plan().await, "Nothing to do; 2 unchanged.\n");
    assert_eq!(created(&host.name("app:v1")), first);

    // One byte is, and what runs from it follows, safely.
    host.write("app/data/题.txt", "1+2=？");
    let plan = host.plan().await;
    assert!(plan.contains("image/@app  build   ") && plan.contains("\n  source   "), "{plan}");
    assert!(plan.contains("container/@web  replace\n  image   "), "{plan}");
    let (outcomes, told) = host.try_apply().await;
    assert!(outcomes.is_success(), "{told:?}");
    assert_eq!(read("/srv/data/题.txt"), "1+2=？");
    assert_ne!(created(&host.name("app:v1")), first);
    host.try_apply().await;
    assert_eq!(host.plan().await, "Nothing to do; 2 unchanged.\n");
    // Where the builder keeps it as a cache, it stays without a name.
    let named = docker(&["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]);
    let ours = || named.lines().filter(|line| line.contains(&host.prefix));
    assert!(
        ours().count() == 2 && !ours().any(|line| line.contains(&first)),
        "the former generation went: {named}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_built_on_another_image_follows_it() {
    let host = Host::new("onbase").await;
    // The other one is made first, whatever their names.
    host.write(
        "images.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@zbase'}}\nspec: {{build: {{dockerfileInline: 'FROM {BUSYBOX}\n\n          RUN echo 1 > /version'}}, tags: ['@zbase:1']}}\n---\n\
             apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{build: {{dockerfileInline: 'FROM @zbase:1'}}, tags: ['@app:v1']}}\n"
        ),
    );
    let plan = host.apply().await;
    assert!(
        plan.contains("image/@app  build   a Dockerfile alone\nimage/@zbase  build   a Dockerfile alone\n"),
        "{plan}"
    );
    let version = || docker(&["run", "--rm", &host.name("app:v1"), "cat", "/version"]);
    assert_eq!(version(), "1");
    let text =
        fs::read_to_string(host.path().join("images.yaml")).expect("a file").replace("echo 1", "echo 2");
    host.write("images.yaml", &text);
    let plan = host.plan().await;
    assert!(plan.contains("image/@app  build"), "{plan}");
    host.try_apply().await;
    assert_eq!(version(), "2");
    host.try_apply().await;
    assert_eq!(host.plan().await, "Nothing to do; 2 unchanged.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_leaves_what_runs_and_says_what_the_builder_said() {
    let classic = format!(
        "The command '/bin/sh -c echo the cause >&2; exit 3' returned a non-zero code: 3; its last output: Step 1/4 : FROM {BUSYBOX} | Step 2/4 : RUN echo the \
         cause >&2; exit 3 | the cause"
    );
    let podman = "while running runtime: exit status 3; its last output: STEP 1/4: ";
    let why = if is_podman() { [podman, podman] } else { [&classic, "exit code: 3; its last output: "] };
    for (builder, why) in ["classic", "buildkit"].into_iter().zip(why) {
        fails(builder, why).await;
    }
}

async fn fails(builder: &str, why: &str) {
    let host = Host::new(&format!("no{builder}")).await;
    context(&host, BUSYBOX);
    host.write("image.yaml", &image(builder));
    host.container("web", &format!("{{image: '{}', stopSignal: SIGKILL}}", host.name("app:v1")));
    host.apply().await;
    let before = host.inspect("web", "{{.Id}}");
    let failure = async || {
        let (outcomes, _) = host.try_apply().await;
        let told = outcomes.failed.values().next().expect("a failure").clone();
        assert_eq!(host.inspect("web", "{{.Id}} {{.State.Status}}"), format!("{before} running"));
        told
    };
    host.write("app/Dockerfile", &format!("FROM {BUSYBOX}\nRUN echo the cause >&2; exit 3\n"));
    let told = failure().await;
    assert!(told.starts_with(&format!("build {}, 3 files: ", host.path().join("app").display())), "{told}");
    assert!(told.contains(why) && told.ends_with("| the cause"), "{told}");
    host.write("app/Dockerfile", "FROM 127.0.0.1:1/no/such:image\n");
    let told = failure().await;
    assert!(told.contains("the registry cannot be reached"), "{told}");
    host.write("app/Dockerfile", "");
    failure().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn law_5_a_snapshot_is_taken_once_before_its_container_is_replaced_and_stays() {
    let host = Host::new("commit").await;
    host.container("seat", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    host.apply().await;
    docker(&["exec", &host.name("seat"), "sh", "-c", "echo B > /answer"]);
    let image = |token: &str| {
        format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@left'}}\nspec: {{commit: {{container: '@seat', token: '{token}', author: slq, changes: ['CMD \
             [\"cat\", \"/answer\"]']}}, tags: ['@left:now']}}\n"
        )
    };
    host.write("left.yaml", &image("first"));
    host.container("seat", &format!("{{image: '{BUSYBOX}', command: [sleep, '1001'], stopSignal: SIGKILL}}"));
    let plan = host.apply().await;
    assert!(plan.starts_with("image/@left  commit   container @seat\ncontainer/@seat  replace\n"), "{plan}");
    let left = || docker(&["run", "--rm", &host.name("left:now")]);
    assert_eq!(left(), "B");
    let first = created(&host.name("left:now"));

    // Another token asks for another one; the first stays, as nothing else has what was in the container.
    docker(&["exec", &host.name("seat"), "sh", "-c", "echo C > /answer"]);
    assert_eq!(host.plan().await, "Nothing to do; 2 unchanged.\n");
    host.write("left.yaml", &image("second"));
    host.apply().await;
    assert_eq!(left(), "C");
    assert_eq!(docker(&["run", "--rm", &first]), "B");
    host.remove("left.yaml");
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");

    host.write("left.yaml", &image("third").replace("@seat", "@nobody"));
    let plan = host.plan().await;
    assert!(
        plan.starts_with("image/@left  blocked   there is no container @nobody to take it from\n"),
        "{plan}"
    );
    docker(&["rmi", "-f", &first, &host.name("left:now")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_behind_an_address_is_imported_once() {
    let host = Host::new("url").await;
    let archive = host.path().join("rootfs.tar");
    docker(&["create", "--name", &host.name("seed"), BUSYBOX]);
    docker(&["export", "-o", archive.to_str().expect("UTF-8"), &host.name("seed")]);
    docker(&["rm", &host.name("seed")]);
    let (address, asked) = serve(fs::read(archive).expect("an archive")).await;
    host.write(
        "image.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@far'}}\nspec: {{import: {{url: 'http://{address}/rootfs.tar'}}, tags: ['@far:1']}}\n"
        ),
    );
    let plan = host.apply().await;
    assert!(plan.starts_with(&format!("image/@far  import   http://{address}/rootfs.tar\n")), "{plan}");
    assert_eq!(docker(&["run", "--rm", &host.name("far:1"), "echo", "here"]), "here");
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// Answers every request with these bytes. Returns where, and how often it was asked.
pub async fn serve(bytes: Vec<u8>) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, asked) = (listener.local_addr().expect("an address"), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&bytes).await;
        }
    });
    (address, asked)
}
