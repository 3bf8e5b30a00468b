//! `invigil apply`, the program itself, on a real engine: what becomes of a pass when whoever started it goes away, of
//! a saved plan when what it is about does, and of a container whose name changes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{BUSYBOX, Host, docker};

/// A program that says when it is asked to stop, and takes 4 s.
fn stubborn(version: u32) -> String {
    let program = "trap 'echo asked' TERM; while :; do sleep 1; done";
    format!(
        "{{image: '{BUSYBOX}', command: [sh, -c, \"{program}\", '{version}'], stopTimeout: 4s, update: {{monitor: 1s}}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_an_apply_whose_terminal_goes_away_ends_what_it_began() {
    let host = Host::new("hangup").await;
    host.container("c", &stubborn(1));
    host.apply().await;
    // It is stopped under another name.
    let before = host.inspect("c", "{{.Id}}");
    host.container("c", &stubborn(2));
    let mut apply = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["apply", "--yes", "--owner", &host.prefix, "--state-dir"])
        .arg(host.state())
        .arg(host.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("invigil");
    let begun = Instant::now();
    while docker(&["logs", &before]) != "asked" {
        assert!(begun.elapsed() < Duration::from_mins(1), "it is not stopped");
        std::thread::sleep(Duration::from_millis(50));
    }
    // A shell and its terminal both say so.
    for _ in 0..2 {
        let sent = Command::new("kill").args(["-HUP", &apply.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(apply.wait().expect("an end").code(), Some(0));
    assert_eq!(host.inspect("c", "{{index .Config.Cmd 3}} {{.State.Status}}"), "2 running");
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_to_be_called_otherwise_is_renamed_and_goes_on_running() {
    let host = Host::new("renamed").await;
    let called = |metadata: &str| {
        host.write(
            "c.yaml",
            &format!(
                "apiVersion: invigil/v1\nkind: Container\nmetadata: {{{metadata}}}\n\
                 spec: {{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}\n"
            ),
        );
    };
    called("name: '@www'");
    host.apply().await;
    let before = host.inspect("www", "{{.Id}} {{.State.StartedAt}}");
    called("name: '@web', previousName: '@www'");
    let plan = host.apply().await;
    assert!(plan.starts_with("container/@web  update in place\n  name   @www -> @web\n"), "{plan}");
    assert_eq!(host.inspect("web", "{{.Id}} {{.State.StartedAt}}"), before);
    called("name: '@web'");
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
    // From then on it is as any other.
    host.remove("c.yaml");
    host.write("v.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@v'}\n");
    let plan = host.apply().await;
    assert!(plan.contains("  remove   no longer in the manifests\n"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_whose_container_is_another_one_by_now_is_refused_with_both_shown() {
    let host = Host::new("moved").await;
    let web = |value: &str| {
        let env = format!("env: {{A: '{value}'}}");
        host.container(
            "web",
            &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL, {env}}}"),
        );
    };
    web("1");
    host.apply().await;
    let id = || host.inspect("web", "{{.Id}}")[..12].to_owned();
    let before = id();
    web("2");
    let saved = host.state().join("web.plan");
    let of_owner = |owner: &str, arguments: &[&str]| {
        let state = host.state();
        let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
            .args(arguments)
            .arg(&saved)
            .args(["--owner", owner, "--state-dir"])
            .arg(state)
            .env("INVIGIL_MANIFESTS", host.path())
            .output()
            .expect("invigil");
        (output.status.code(), host.shown(&String::from_utf8_lossy(&output.stderr)))
    };
    let invigil = |arguments: &[&str]| of_owner(&host.prefix, arguments);
    assert_eq!(invigil(&["plan", "--out"]), (Some(0), String::new()));
    let owner = host.shown(&host.prefix);
    let others = format!(
        "error: the plan is owner {owner}'s, and this is owner else\n\
         hint: `--owner` says which one is meant; nothing was changed\n"
    );
    assert_eq!(of_owner("else", &["apply", "--plan"]), (Some(1), others));
    docker(&["rm", "-f", &host.name("web")]);
    web("1");
    host.apply().await;
    web("2");
    let (code, told) = invigil(&["apply", "--plan"]);
    let of = |sign: &str, id: &str| {
        ["rename ID to @web.invigil-prev", "stop ID", "remove container ID"]
            .map(|step| format!("{sign} container/@web: {}\n", step.replace("ID", id)))
            .concat()
    };
    let moved = "error: what is there, or wanted, has changed since the plan was made\n\
                 hint: make the plan anew and read it; nothing was changed\n";
    assert_eq!((code, told), (Some(1), of("-", &before) + &of("+", &id()) + moved));
}
