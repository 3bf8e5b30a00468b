//! Successors that cannot have what they need: a port, an image. In: a container that runs, and a manifest of it that asks
//! for more. What was there goes on, or is put back.

use std::process::Command;
use std::time::{Duration, Instant};

use invigil::execute::Outcomes;

use crate::support::{BUSYBOX, Host, docker, sleeper};

/// A process that listens where the engine publishes ports: in its own network, which need not be ours.
fn listen(host: &Host, place: &str) {
    let name = host.name("listener");
    docker(&["run", "-d", "--rm", "--network", "host", "--name", &name, BUSYBOX, "httpd", "-f", "-p", place]);
    let begun = Instant::now();
    while !docker(&["exec", &name, "netstat", "-ltn"]).contains(place) {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing listens at {place}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_6_a_port_that_a_process_holds_at_another_address_than_the_old_one_is_told() {
    let host = Host::new("beside").await;
    host.container("c", &sleeper(", ports: ['127.0.0.1:28197:80']"));
    host.apply().await;
    let kept = host.inspect("c", "{{.Id}} {{.State.StartedAt}}");
    listen(&host, "127.0.0.2:28197");
    host.container("c", &sleeper(", ports: ['28197:80']"));
    assert_eq!(
        host.plan().await.lines().next(),
        Some(
            "container/@c  blocked   port 28197 is already taken on this host (by a process that is no container)"
        )
    );
    host.try_apply().await;
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.StartedAt}}"), kept);
    docker(&["kill", &host.name("listener")]);
    host.apply().await;
}

/// What the one change failed of.
fn why(host: &Host, outcomes: &Outcomes) -> String {
    assert_eq!(outcomes.failed.len(), 1, "{outcomes:?}");
    outcomes.failed.values().map(|why| host.shown(why)).collect()
}

/// Whatever is called as a container of this test is, or begins so.
fn names(host: &Host) -> String {
    docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", &format!("name={}", host.name("c"))])
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_a_predecessor_comes_back_when_the_start_of_its_successor_finds_its_port_taken() {
    let host = Host::new("late").await;
    host.container("c", &sleeper(""));
    host.apply().await;
    let id = host.inspect("c", "{{.Id}}");
    host.container("c", &sleeper(", ports: ['28196:80']"));
    let plan = host.planned().await;
    assert_eq!(plan.blocked().count(), 0, "nobody holds it yet");
    listen(&host, "127.0.0.1:28196");
    let (outcomes, told) = host.carry_out(&plan).await;
    assert_eq!(
        why(&host, &outcomes),
        "start: port 28196 is already taken on this host: end what holds it, or publish another one"
    );
    assert!(
        told.iter().any(|told| told.starts_with("rescued after start ") && told.contains(": Ok(Some(")),
        "{told:?}"
    );
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.Running}}"), format!("{id} true"));
    docker(&["kill", &host.name("listener")]);
    assert_eq!(names(&host), host.name("c"), "nothing is left behind");
    host.apply().await;
    assert_ne!(host.inspect("c", "{{.Id}}"), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_6_nothing_stops_for_a_successor_whose_image_is_missing() {
    let host = Host::new("imageless").await;
    host.container("c", &sleeper(""));
    host.apply().await;
    let kept = host.inspect("c", "{{.Id}} {{.State.StartedAt}}");
    let from = |image: &str| {
        host.container("c", &format!("{{image: '{image}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    };
    // Of a registry that is not there.
    from("127.0.0.1:9/nothing:1");
    let (outcomes, _) = host.try_apply().await;
    assert_eq!(why(&host, &outcomes), "pull 127.0.0.1:9/nothing:1: the registry cannot be reached");
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.StartedAt}}"), kept);
    // It was there when the plan was made.
    let tag = host.name("passing:1");
    from(&tag);
    docker(&["create", "--name", &host.name("seed"), BUSYBOX]);
    docker(&["commit", "--change", "ENV A=1", &host.name("seed"), &tag]);
    docker(&["rm", &host.name("seed")]);
    let plan = host.planned().await;
    docker(&["rmi", &tag]);
    let (outcomes, _) = host.carry_out(&plan).await;
    let told = why(&host, &outcomes);
    let words = told.strip_prefix("create: the image is not on this host (").expect("the sentence");
    assert!(words.to_lowercase().starts_with("no such image: ") && words.contains("@passing:1"), "{words}");
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.StartedAt}}"), kept);
    assert_eq!(names(&host), host.name("c"), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_a_container_that_is_down_is_started_as_it_was_while_it_cannot_be_replaced() {
    let host = Host::new("downgraded").await;
    let down = |spec: &str| {
        docker(&["kill", &host.name("c")]);
        host.container("c", spec);
    };
    host.container("c", &sleeper(""));
    host.apply().await;
    let id = host.inspect("c", "{{.Id}}");
    let runs = || host.inspect("c", "{{.Id}} {{.State.Running}}") == format!("{id} true");
    // A port is not free.
    listen(&host, "127.0.0.1:28191");
    down(&sleeper(", ports: ['28191:80']"));
    let told = "warning: container/@c is down: until it can be replaced it is started again as it was";
    assert!(host.plan().await.contains(told));
    host.try_apply().await;
    assert!(runs(), "its successor's port is taken");
    // An image cannot be pulled: for it alone, and as one that a manifest describes.
    down("{image: '127.0.0.1:9/nothing:1', command: [sleep, '1000'], stopSignal: SIGKILL}");
    let (outcomes, _) = host.try_apply().await;
    assert_eq!(why(&host, &outcomes), "pull 127.0.0.1:9/nothing:1: the registry cannot be reached");
    assert!(runs(), "its successor's image cannot be pulled");
    let image = "apiVersion: invigil/v1\nkind: Image\nmetadata: {name: '@i'}\nspec: {tags: ['@i:1'], ";
    host.write("i.yaml", &format!("{image}build: {{context: ./i}}}}\n"));
    host.write("i/Dockerfile", &format!("FROM {BUSYBOX}\nRUN false\n"));
    down(&format!("{{image: '{}', command: [sleep, '1000'], stopSignal: SIGKILL}}", host.name("i:1")));
    let (outcomes, _) = host.try_apply().await;
    assert_eq!(
        outcomes.failed.keys().map(ToString::to_string).collect::<Vec<_>>(),
        [format!("image/{}", host.name("i"))]
    );
    assert!(runs(), "its successor's image cannot be built");
    // It cannot be made.
    host.remove("i.yaml");
    down(&sleeper(", runtime: nothing"));
    let (outcomes, _) = host.try_apply().await;
    assert!(why(&host, &outcomes).starts_with("create: "), "{outcomes:?}");
    assert!(runs(), "its successor cannot be made");
    assert_eq!(names(&host), host.name("c"), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_a_container_that_its_own_manifest_had_stopped_stays_down_while_it_cannot_be_replaced() {
    let host = Host::new("rests").await;
    host.container("c", &sleeper(""));
    host.apply().await;
    // Its label says that it runs, and somebody stopped it before its manifest did.
    docker(&["kill", &host.name("c")]);
    host.container("c", &sleeper(", state: stopped"));
    host.apply().await;
    listen(&host, "127.0.0.1:28192");
    host.container("c", &sleeper(", ports: ['28192:80']"));
    host.try_apply().await;
    assert_eq!(host.inspect("c", "{{.State.Running}}"), "false");
    host.container("c", "{image: '127.0.0.1:9/nothing:1', command: [sleep, '1000']}");
    host.try_apply().await;
    assert_eq!(host.inspect("c", "{{.State.Running}}"), "false");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_down_and_whose_port_somebody_took_is_told_and_not_started() {
    let host = Host::new("robbed").await;
    host.container("c", &sleeper(", ports: ['28193:80']"));
    host.apply().await;
    docker(&["kill", &host.name("c")]);
    listen(&host, "0.0.0.0:28193");
    host.container("c", &sleeper(", ports: ['28193:80'], env: {A: '1'}"));
    let taken = "port 28193 is already taken on this host (by a process that is no container)";
    let plan = host.planned().await;
    assert_eq!(plan.steps_text(), "");
    assert_eq!(
        plan.warnings.iter().map(|warning| host.shown(warning)).collect::<Vec<_>>(),
        [format!("container/@c is down, and is not started again as it was: {taken}")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_a_container_that_is_down_and_whose_bind_is_gone_is_told_and_not_started() {
    let host = Host::new("unbound").await;
    let there = host.path().join("there");
    std::fs::create_dir(&there).expect("a directory");
    host.container("c", &sleeper(&format!(", binds: ['{}:/data']", there.display())));
    host.apply().await;
    docker(&["kill", &host.name("c")]);
    std::fs::remove_dir(&there).expect("an empty directory");
    host.container("c", "{image: '127.0.0.1:9/nothing:1', command: [sleep, '1000']}");
    let (outcomes, _) = host.try_apply().await;
    assert!(why(&host, &outcomes).contains("the registry cannot be reached"), "{outcomes:?}");
    assert_eq!(host.inspect("c", "{{.State.Running}}"), "false");
    assert!(!there.exists(), "the engine made an empty directory in its place");
    listen(&host, "127.0.0.1:28194");
    host.container("c", &sleeper(", ports: ['28194:80']"));
    let why = format!(
        "container/@c is down, and is not started again as it was: {} is not on this host",
        there.display()
    );
    assert_eq!(
        host.planned().await.warnings.iter().map(|warning| host.shown(warning)).collect::<Vec<_>>(),
        [why]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_stopped_and_started_though_that_cannot_be_remembered() {
    let host = Host::new("forgetful").await;
    host.container("c", &sleeper(""));
    host.apply().await;
    let owner = host.name("");
    let beside = format!(".{}.records.json.{}.new", owner.trim_end_matches('-'), std::process::id());
    let beside = host.state().join(beside);
    std::fs::create_dir_all(&beside).expect("a directory in the file's place");
    for (state, is_up) in [("stopped", "false"), ("running", "true"), ("paused", "true")] {
        host.container("c", &sleeper(&format!(", state: {state}")));
        host.apply().await;
        assert_eq!(host.inspect("c", "{{.State.Running}}"), is_up, "{state}");
    }
    let records = host.state().join(format!("{}.records.json", owner.trim_end_matches('-')));
    assert!(!records.exists());

    // Once it can be, an `apply` that has nothing else to do does it.
    std::fs::remove_dir(beside).expect("the directory");
    let apply = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["apply", "--owner", &host.prefix, "--state-dir"])
        .arg(host.state())
        .arg(host.path())
        .output()
        .expect("invigil");
    let said = String::from_utf8_lossy(&apply.stdout);
    assert!(said.contains("Nothing to do; 1 unchanged."), "{said}");
    let kept =
        std::fs::read_to_string(&records).unwrap_or_else(|error| panic!("{}: {error}", records.display()));
    assert!(kept.contains("\"state\": \"paused\""), "{kept}");
}
