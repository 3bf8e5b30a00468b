//! What `docs/operations.md` promises and no other test shows: the calls of the old exam service, and an engine on TCP.

use std::process::Command;

use serde_json::Value;
use tokio::net::{TcpListener, UnixStream};

use crate::daemon::{Daemon, engine, look, running};
use crate::support::{BUSYBOX, Host};

/// What the program printed, with the test's prefix as `@`, and how it ended.
fn invigil(host: &Host, arguments: &[&str], endpoint: &str) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(arguments)
        .env("INVIGIL_OWNER", &host.prefix)
        .env("DOCKER_HOST", endpoint)
        .current_dir(host.path())
        .output()
        .expect("invigil");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_of_the_old_exam_service_has_what_takes_its_place() {
    let host = Host::new("oldservice").await;
    let (paper, id, seat) = (host.name("paper"), host.name("imgid"), host.name("seat"));
    let says = |arguments: &[&str]| {
        let (text, code) = invigil(&host, arguments, &engine());
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        text
    };
    let json = |arguments: &[&str]| -> Value { serde_json::from_str(&says(arguments)).expect("JSON") };

    // POST /BuildImage
    let body = include_str!("../data/buildimage.json").replace("img-test", &paper).replace("imgId-1", &id);
    std::fs::write(host.path().join("body.json"), body).expect("a body");
    std::fs::write(host.path().join("paper.yaml"), says(&["convert", "body.json"])).expect("a manifest");
    // /CreateContainer
    host.container("seat", "{problemSet: '@paper', state: created}");
    let daemon = Daemon::start(&host);
    // /BII?img_id=
    daemon.until("the image is ready", || invigil(&host, &["status", &id], &engine()).1 == Some(0));
    assert!(says(&["status", &id]).contains(&format!("image/{paper}  Ready")));
    daemon.until("the container is made", || look(&host, "seat", "{{.State.Status}}") == "created");
    // /ContainerStart
    host.container("seat", "{problemSet: '@paper'}");
    daemon.until("it runs", || running(&host, "seat"));
    // /ContainerList, /ContainerOne
    let listed = says(&["get", "containers", "-o", "name"]);
    assert!(listed.lines().any(|line| line == seat), "{listed}");
    let container = json(&["get", "container", &seat, "-o", "json"]);
    assert_eq!(container["State"]["Running"], true);
    // /ImageList, /ImageOne
    let listed = says(&["get", "images", "-o", "name"]);
    assert!(listed.lines().any(|line| line == format!("{paper}:latest")), "{listed}");
    let image = json(&["get", "image", &paper, "-o", "json"]);
    assert_eq!(image["Id"], container["Image"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_listens_on_tcp_is_used_as_one_at_its_socket() {
    let host = Host::new("tcp").await;
    host.container("web", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    let socket = engine().strip_prefix("unix://").expect("an engine at a socket").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("tcp://{}", listener.local_addr().expect("an address"));
    let passing = tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.expect("a connection");
            let mut engine = UnixStream::connect(&socket).await.expect("the engine");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut engine).await });
        }
    });
    let (told, code) = invigil(&host, &["apply", "--yes", "."], &endpoint);
    assert_eq!(code, Some(0), "{told}");
    assert!(running(&host, "web"), "{told}");
    let (told, code) = invigil(&host, &["plan", "--detailed-exitcode", "."], &endpoint);
    assert_eq!(code, Some(0), "{told}");
    let (told, code) = invigil(&host, &["ping"], &endpoint);
    assert!(code == Some(0) && told.starts_with(&format!("{endpoint} answers")), "{told}");
    passing.abort();
}
