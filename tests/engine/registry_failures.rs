//! What goes wrong between an engine and a registry: each is one clear sentence, nothing is left half done, and what
//! runs is not touched. In: a registry with a password, and what stands before it. Out: what the program says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::registry::{PASSWORD, Registry, apply, login_at};
use crate::support::{BUSYBOX, Host, docker, forget_failed_push, run};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// What stands before a registry, and dies when so many bytes have gone one way: every connection ends, and each
/// new one at once.
struct Dying {
    port: u16,
    state: Arc<State>,
}

struct State {
    registry: u16,
    way: Way,
    left: AtomicUsize,
    dead: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Dying {
    fn after(bytes: usize, way: Way, registry: &Registry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = State {
            registry: registry.port,
            way,
            left: AtomicUsize::new(bytes),
            dead: AtomicBool::new(false),
            open: Mutex::default(),
        };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.dead.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", shared.registry)) else { continue };
                shared.join(&client, &server, Way::Up);
                shared.join(&server, &client, Way::Down);
            }
        });
        Self { port, state }
    }

    fn at(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.at())
    }

    fn is_dead(&self) -> bool {
        self.state.dead.load(Ordering::SeqCst)
    }

    fn revive(&self) {
        self.state.left.store(usize::MAX, Ordering::SeqCst);
        self.state.dead.store(false, Ordering::SeqCst);
    }
}

impl State {
    /// Passes on what comes from one side, in a thread of its own.
    fn join(self: &Arc<Self>, from: &TcpStream, to: &TcpStream, way: Way) {
        let (mut from, mut to) = (from.try_clone().expect("a stream"), to.try_clone().expect("a stream"));
        self.open.lock().expect("a lock").push(from.try_clone().expect("a stream"));
        let state = Arc::clone(self);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if way == state.way && !state.may_pass(count) {
                    state.die();
                }
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    fn may_pass(&self, count: usize) -> bool {
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(count)).is_ok()
    }

    fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        for stream in self.open.lock().expect("a lock").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// An image with a layer that no compression makes smaller than this.
fn large_image(host: &Host, tag: &str, bytes: usize) {
    let seed = host.name("seed");
    let script = format!("head -c {bytes} /dev/urandom > /blob");
    docker(&["run", "--name", &seed, BUSYBOX, "sh", "-c", &script]);
    docker(&["commit", &seed, tag]);
    docker(&["rm", &seed]);
}

/// A container that nothing here is to touch. Gives what is to stay as it is.
async fn bystander(host: &Host) -> impl Fn() -> String {
    host.container("c", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    host.apply().await;
    let name = host.name("c");
    move || docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}} {{.State.Running}}", &name])
}

fn pushed(host: &Host, tag: &str) {
    host.write(
        "app.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{build: {{dockerfileInline: \"FROM {BUSYBOX}\\nRUN head -c 4000000 /dev/urandom > \
             /blob\"}}, tags: ['{tag}'], push: true}}\n"
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_dies_in_the_middle_of_a_pull_leaves_nothing_half_done() {
    let (host, registry) = (Host::new("pulldies").await, Registry::start());
    let direct = registry.image("exam/large:1");
    large_image(&host, &direct, 4_000_000);
    docker(&["--config", registry.login(PASSWORD).path().to_str().expect("a path"), "push", &direct]);
    let id = docker(&["image", "inspect", "--format", "{{.RootFS.Layers}}", &direct]);
    docker(&["rmi", &direct]);
    let facts = bystander(&host).await;
    let before = facts();

    let dying = Dying::after(1_000_000, Way::Down, &registry);
    let login = login_at(&dying.at(), PASSWORD);
    let image = dying.image("exam/large:1");
    host.container("c", &format!("{{image: '{image}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    let (code, said) = apply(&host, login.path());
    assert!(dying.is_dead(), "{said}");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("pull {image}: the connection to the registry broke off\n")), "{said}");
    assert_eq!(facts(), before);
    assert_eq!(docker(&["images", "-q", &image]), "");

    dying.revive();
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(docker(&["image", "inspect", "--format", "{{.RootFS.Layers}}", &image]), id);
    assert_eq!(host.inspect("c", "{{.Config.Image}} {{.State.Running}}"), format!("{image} true"));
    docker(&["rm", "-f", &host.name("c")]);
    run(&["rmi", &image]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_dies_in_the_middle_of_a_push_has_no_tag_of_it() {
    let (host, registry) = (Host::new("pushdies").await, Registry::start());
    let facts = bystander(&host).await;
    let before = facts();
    let dying = Dying::after(1_000_000, Way::Up, &registry);
    let login = login_at(&dying.at(), PASSWORD);
    let tag = dying.image("exam/app:1");
    pushed(&host, &tag);
    let (code, said) = apply(&host, login.path());
    assert!(dying.is_dead(), "{said}");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("push {tag}: the connection to the registry broke off\n")), "{said}");
    assert_eq!(facts(), before);
    assert!(!registry.tags("exam/app").contains("\"1\""));
    // It was built all the same, and is not built again.
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", &tag]);

    dying.revive();
    forget_failed_push(&tag);
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(registry.tags("exam/app").contains("\"1\""));
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Id}}", &tag]), id);
    assert_eq!(facts(), before);
    let (code, said) = apply(&host, login.path());
    assert_eq!((code, said.contains("Nothing to do; 2 unchanged.")), (Some(0), true), "{said}");
    run(&["rmi", &tag]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_a_registry_refuses_or_does_not_answer_is_a_sentence() {
    let (host, registry) = (Host::new("pushfails").await, Registry::start());
    let facts = bystander(&host).await;
    let before = facts();
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = (silent.local_addr().expect("an address").port(), silent);
    for (port, password, why) in [
        (registry.port, "canary-password", "the registry wants a login: "),
        (1, PASSWORD, "the registry cannot be reached\n"),
        (silent.0, PASSWORD, "the registry does not answer\n"),
    ] {
        let at = format!("127.0.0.1:{port}");
        let tag = format!("{at}/exam/app:1");
        pushed(&host, &tag);
        let (code, said) = apply(&host, login_at(&at, password).path());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("push {tag}: {why}")), "{said}");
        for secret in [PASSWORD, "canary-password"] {
            assert!(!said.contains(secret), "{said}");
        }
        assert_eq!(facts(), before);
        run(&["rmi", &tag]);
    }
    assert!(!registry.tags("exam/app").contains("\"1\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_a_registry_does_not_answer_is_a_sentence() {
    let host = Host::new("pullfails").await;
    let facts = bystander(&host).await;
    let before = facts();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let image = format!("127.0.0.1:{}/exam/app:1", silent.local_addr().expect("an address").port());
    host.container("c", &format!("{{image: '{image}', stopSignal: SIGKILL}}"));
    let nobody = tempfile::tempdir().expect("a directory");
    let (code, said) = apply(&host, nobody.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("pull {image}: the registry does not answer\n")), "{said}");
    assert_eq!(facts(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_a_registry_has_for_other_platforms_alone_is_a_sentence() {
    const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    let (host, registry) = (Host::new("platform").await, Registry::start());
    let facts = bystander(&host).await;
    let before = facts();
    let login = registry.login(PASSWORD);
    let own = registry.image("exam/app:1");
    docker(&["tag", BUSYBOX, &own]);
    docker(&["--config", login.path().to_str().expect("a path"), "push", &own]);
    docker(&["rmi", &own]);
    let (_, manifest) = registry.ask("GET", "exam/app/manifests/1", MANIFEST, "");
    let digest = invigil::resource::digest::sha256_hex(manifest.as_bytes());
    let list = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": LIST,
        "manifests": [{
            "mediaType": MANIFEST,
            "size": manifest.len(),
            "digest": format!("sha256:{digest}"),
            "platform": {"architecture": "s390x", "os": "linux"},
        }],
    });
    let (head, told) = registry.ask("PUT", "exam/app/manifests/foreign", LIST, &list.to_string());
    assert!(head.contains(" 201 "), "{head} {told}");

    let image = registry.image("exam/app:foreign");
    host.container("c", &format!("{{image: '{image}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("pull {image}: the registry has the image for other platforms only\n")),
        "{said}"
    );
    assert_eq!(facts(), before);
}
