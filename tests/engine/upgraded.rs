//! An engine of another version in the place of the one before, on what that one held, while the daemon runs. In: Docker 20.10,
//! and then 26.1. Out: the same containers with the same data, and a daemon that goes on.

use crate::daemon::Daemon;
use crate::spare::Spare;
use crate::support::{Host, run, sleeper};

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_upgraded_under_the_daemon_keeps_what_it_has_and_is_spoken_to_as_before() {
    let spare = Spare::new();
    let host = Host::new("upgraded").await;
    let (web, data) = (host.name("web"), host.name("data"));
    let wanted = |more: &str| {
        host.container(
            "web",
            &sleeper(&format!(", restartPolicy: unless-stopped, binds: ['{data}:/data']{more}")),
        );
    };
    host.write("data.yaml", &format!("apiVersion: invigil/v1\nkind: Volume\nmetadata: {{name: '{data}'}}\n"));
    wanted("");
    let daemon = Daemon::start_on(&host, &spare.endpoint());
    let look = |format: &str| {
        let inspected =
            ["--host", &spare.endpoint(), "inspect", "--type", "container", "--format", format, &web];
        String::from_utf8_lossy(&run(&inspected).stdout).trim().to_owned()
    };
    daemon.until("it runs", || look("{{.State.Running}}") == "true");
    spare.docker(&["exec", &web, "sh", "-c", "echo answers > /data/a"]);
    let (id, version) = (look("{{.Id}}"), || spare.docker(&["version", "--format", "{{.Server.Version}}"]));
    let old = version();

    spare.upgrade();
    assert_ne!(version(), old);
    daemon.until("it is back", || look("{{.Id}} {{.State.Running}}") == format!("{id} true"));
    // What is asked for from now on is done, and nothing else.
    assert_eq!(daemon.said("action=\"replace\""), 0);
    wanted(", env: {A: b}");
    daemon.until("another is in its place", || {
        look("{{.State.Running}} {{.Config.Env}}").starts_with("true [A=b") && look("{{.Id}}") != id
    });
    assert_eq!(spare.docker(&["exec", &web, "cat", "/data/a"]), "answers");
    daemon.until("nothing is left over", || spare.docker(&["ps", "-aq"]).lines().count() == 1);
    daemon.ends();
}
