//! What others do to managed containers, by the docker command on a real engine: it stands in the journal, and nothing else
//! does as theirs.

use std::process::Command;
use std::time::Duration;

use crate::daemon::{Daemon, look, running};
use crate::support::{BUSYBOX, Host, check_health, docker, is_left_out, is_podman, run, sleeper};

/// As long as the daemon gathers what was done, and the engine may still tell of it.
const SETTLED: Duration = Duration::from_secs(16);

/// What others did, as `invigil log` has it, without its times and with the test's prefix as `@`.
fn outside(host: &Host) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["log", "--owner", &host.prefix, "--state-dir"])
        .arg(host.state())
        .output()
        .expect("invigil");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = host.shown(&String::from_utf8_lossy(&output.stdout));
    let lines = text.lines().filter_map(|line| line.split_once(" outside "));
    lines.map(|(_, told)| told.to_owned()).collect()
}

/// A container whose health is checked all the time, and that its engine starts again.
fn web(host: &Host, memory: &str) {
    let more = format!(
        ", restartPolicy: unless-stopped, resources: {{memory: {memory}}}, \
         healthcheck: {{test: [CMD-SHELL, 'true; true'], interval: 1s}}, \
         files: [{{path: /note, content: seat}}]"
    );
    host.container("web", &sleeper(&more));
}

fn is_well(host: &Host) -> bool {
    check_health(&host.name("web"));
    running(host, "web") && look(host, "web", "{{.State.Health.Status}} {{.State.Paused}}") == "healthy false"
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_do_to_a_managed_container_is_in_the_log() {
    if is_left_out("what_others_do_to_a_managed_container_is_in_the_log") {
        return;
    }
    let host = Host::new("outside").await;
    web(&host, "64Mi");
    let daemon = Daemon::start_with_state(&host, &host.state());
    daemon.until("it is well", || is_well(&host));
    let (name, other) = (host.name("web"), host.name("other"));
    let file = host.write("file.txt", "answers");
    let (file, copied) = (file.display().to_string(), host.state().join("copied").display().to_string());
    let (into, from) = (format!("{name}:/file"), format!("{name}:/note"));
    for (by_hand, told) in [
        (vec!["exec", &name, "echo", "--password=canary-7f3a"], "exec from outside: echo"),
        (vec!["cp", &file, &into], "copy in from outside"),
        (vec!["cp", &from, &copied], "copy out from outside"),
        (vec!["pause", &name], "pause from outside"),
        (vec!["rename", &name, &other], "rename from outside: @web -> @other"),
        (vec!["kill", &name], "kill from outside: SIGKILL"),
        (vec!["stop", &name], "stop from outside"),
        (vec!["restart", &name], "restart from outside"),
        (vec!["update", "--memory", "32m", "--memory-swap", "64m", &name], "update from outside"),
        (vec!["rm", "-f", &name], "remove from outside"),
    ] {
        docker(&by_hand);
        let told = format!("container/@web {told}");
        daemon.until(&told, || outside(&host).contains(&told));
        daemon.until("it is well again", || is_well(&host));
    }
    assert_eq!(outside(&host).len(), 10, "{:#?}", outside(&host));
    // The same again is counted, and told later, or when the daemon ends.
    for _ in 0..3 {
        docker(&["exec", &name, "echo"]);
    }
    std::thread::sleep(SETTLED);
    daemon.ends();
    let told = outside(&host);
    assert_eq!(told[10..], ["container/@web exec from outside: echo, 3 times"], "{told:#?}");
    for file in std::fs::read_dir(host.state()).expect("a directory") {
        let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
        assert!(!bytes.windows(6).any(|part| part == b"canary"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_do_to_networks_volumes_and_images_is_in_the_log() {
    let host = Host::new("around").await;
    for (kind, name, spec) in [
        ("Network", "exam", ""),
        ("Network", "spare", ""),
        ("Volume", "answers", ""),
        ("Image", "paper", "spec: {import: {archive: rootfs.tar}, tags: ['@paper:1']}"),
    ] {
        let text = format!("apiVersion: invigil/v1\nkind: {kind}\nmetadata: {{name: '@{name}'}}\n{spec}\n");
        host.write(&format!("{name}.yaml"), &text.replace('@', &host.name("")));
    }
    // Two blocks of zeros end a tar archive (POSIX, pax); this one holds nothing before.
    std::fs::write(host.path().join("rootfs.tar"), [0; 1024]).expect("a file");
    host.container("web", &sleeper(&format!(", networks: [{}]", host.name("exam"))));
    let daemon = Daemon::start_with_state(&host, &host.state());
    let joined = || look(&host, "web", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}");
    daemon.until("it is well", || running(&host, "web") && joined() == host.name("exam"));
    // Docker tells of who joins and leaves at each start, too: it is not told whose doing that is.
    std::thread::sleep(Duration::from_secs(14));
    let (web, exam, spare) = (host.name("web"), host.name("exam"), host.name("spare"));
    let (answers, paper) = (host.name("answers"), host.name("paper:1"));
    let told: Vec<&str> = [
        (vec!["network", "disconnect", &exam, &web], "container/@web disconnect from outside: @exam"),
        (vec!["network", "connect", &spare, &web], "container/@web connect from outside: @spare"),
        (vec!["network", "rm", &spare], "network/@spare remove from outside"),
        (vec!["volume", "rm", &answers], "volume/@answers remove from outside"),
        (vec!["rmi", &paper], "image/@paper untag from outside"),
    ]
    .into_iter()
    .filter_map(|(by_hand, told)| {
        docker(&by_hand);
        // Podman says neither which network that was, nor that one is gone.
        let told = if is_podman() { told.split(": ").next().unwrap_or(told) } else { told };
        let is_told = !(is_podman() && told.starts_with("network/"));
        if is_told {
            daemon.until(told, || outside(&host).iter().any(|one| one == told));
        }
        daemon.until("all is as it was", || {
            let others = [
                ["network", "inspect", &spare],
                ["volume", "inspect", &answers],
                ["image", "inspect", &paper],
            ];
            joined() == exam && others.iter().all(|words| run(words).status.success())
        });
        is_told.then_some(told)
    })
    .collect();
    daemon.ends();
    assert_eq!(outside(&host), told);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_invigil_does_and_what_the_engine_does_by_itself_is_nobodys_from_outside() {
    let host = Host::new("ownsteps").await;
    web(&host, "64Mi");
    host.container(
        "fails",
        &format!("{{image: '{BUSYBOX}', command: [sh, -c, 'sleep 1; exit 1'], restartPolicy: always}}"),
    );
    let daemon = Daemon::start_with_state(&host, &host.state());
    daemon.until("it is well", || is_well(&host));
    let made = || look(&host, "web", "{{.Id}} {{.HostConfig.Memory}} {{.State.Status}}");
    let first = made();

    // In place; another one in its place; another state; and by `apply` beside the daemon.
    web(&host, "96Mi");
    daemon.until("it is updated", || made().contains(&(96 << 20).to_string()));
    web(&host, "96Mi, memorySwappiness: 10");
    daemon.until("it is replaced", || made().split(' ').next() != first.split(' ').next() && is_well(&host));
    let text = std::fs::read_to_string(host.path().join("web.yaml")).expect("a manifest");
    host.write("web.yaml", &text.replace("spec: {", "spec: {state: paused, "));
    daemon.until("it is paused", || made().ends_with("paused"));
    host.write("web.yaml", &text);
    daemon.until("it goes on", || is_well(&host));
    docker(&["run", "-d", "--name", &host.name("foreign"), BUSYBOX, "sleep", "100000"]);
    docker(&["exec", &host.name("foreign"), "true"]);
    docker(&["rm", "-f", &host.name("foreign")]);
    host.remove("web.yaml");
    let applied = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["apply", "--yes", "--owner", &host.prefix, "--state-dir"])
        .args([&host.state(), host.path()])
        .output()
        .expect("invigil");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    daemon.until("it is removed", || made().is_empty());
    daemon.until("the engine starts one again", || {
        look(&host, "fails", "{{.RestartCount}}").parse().unwrap_or(0) > 3
    });
    std::thread::sleep(SETTLED);
    assert_eq!(outside(&host), [""; 0]);
}
