//! Containers that share the network of another one: they follow it, whatever becomes of it.

use std::time::Duration;

use invigil::plan::Palette;

use crate::daemon::{Daemon, look};
use crate::support::{BUSYBOX, Host, docker, is_podman, run, sleeper};

/// Who shares the network of `app`.
fn sidecar(host: &Host, more: &str) -> String {
    sleeper(&format!(", networkMode: 'container:{}'{more}", host.name("app")))
}

/// Two containers that run, of which the second shares the network of the first.
async fn sharing(test: &str, [owner, sharer]: [&str; 2]) -> Host {
    let host = Host::new(test).await;
    host.container(owner, &sleeper(""));
    host.container(sharer, &sleeper(&format!(", networkMode: 'container:{}'", host.name(owner))));
    host.apply().await;
    host
}

/// The network devices that a container sees, nothing while it does not run; of one whose owner was started anew since, the
/// loopback alone is left.
fn devices(host: &Host, name: &str) -> String {
    let listed = run(&["exec", &host.name(name), "ls", "/sys/class/net"]);
    String::from_utf8_lossy(&listed.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_network_is_shared_gets_its_name_back_and_who_shares_it_goes_on() {
    let host = sharing("sharer", ["a", "b"]).await;
    let started = |name: &str| host.inspect(name, "{{.Id}} {{.State.StartedAt}}");
    let before = (started("a"), started("b"));
    docker(&["rename", &host.name("a"), &host.name("x")]);
    let renamed = "container/@a  update in place\n  name   @x -> @a\n\nPlan: 1 to update; 1 unchanged.\n";
    assert_eq!(host.apply().await, renamed);
    docker(&["rename", &host.name("a"), &host.name("x")]);
    docker(&["rename", &host.name("b"), &host.name("a")]);
    docker(&["rename", &host.name("x"), &host.name("b")]);
    let exchanged = "container/@a  update in place\n  name   @b -> @a\n\
                     container/@b  update in place\n  name   @a -> @b\n\nPlan: 2 to update; 0 unchanged.\n";
    assert_eq!(host.apply().await, exchanged);
    assert_eq!((started("a"), started("b")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_token_restarts_once_and_so_does_what_shares_the_network() {
    let host = Host::new("token").await;
    let sidecar = sleeper(&format!(", networkMode: 'container:{}'", host.name("app")));
    host.container("app", &sleeper(", restartToken: '1'"));
    host.container("sidecar", &sidecar);
    host.apply().await;
    let of = |name: &str| host.inspect(name, "{{.Id}} {{.State.StartedAt}}");
    let (app, side) = (of("app"), of("sidecar"));
    host.container("app", &sleeper(", restartToken: '2'"));
    let plan = host.apply().await;
    assert_eq!(
        plan,
        "container/@app  restart\n  restartToken   1 -> 2\ncontainer/@sidecar  restart\n  networkMode   \
         container:@app -> container:@app, which is restarted\n\nPlan: 2 to restart; 0 unchanged.\n"
    );
    let id = |seen: &str| seen.split(' ').next().map(str::to_owned);
    assert_eq!((id(&of("app")), id(&of("sidecar"))), (id(&app), id(&side)));
    assert!(of("app") != app && of("sidecar") != side);
    // Somebody restarts it: what shared its network is alone in the old one.
    let side = of("sidecar");
    docker(&["restart", "-t", "0", &host.name("app")]);
    assert_eq!(
        host.apply().await,
        "container/@sidecar  restart\n  networkMode   container:@app -> container:@app, which was started since\n\n\
         Plan: 1 to restart; 1 unchanged.\n"
    );
    assert_ne!(of("sidecar"), side);
    assert_eq!(
        docker(&["exec", &host.name("sidecar"), "ls", "/sys/class/net"]),
        docker(&["exec", &host.name("app"), "ls", "/sys/class/net"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_network_namespace_is_seen_as_it_is() {
    let host = sharing("share", ["a", "b"]).await;
    assert_eq!(
        host.inspect("b", "{{.HostConfig.NetworkMode}}"),
        format!("container:{}", host.inspect("a", "{{.Id}}"))
    );

    // Podman does not list whose network a container shares.
    if is_podman() {
        return;
    }
    // Nobody restarts somebody else's program, which has to be told.
    let (spy, owner) = (host.name("spy"), format!("container:{}", host.name("a")));
    docker(&["run", "-d", "--name", &spy, "--network", &owner, BUSYBOX, "sleep", "1000"]);
    host.container("a", &sleeper(", env: {A: '1'}"));
    let told = "container/@spy, which Invigil did not make, shares the network of container/@a, and is left without one";
    assert!(host.plan().await.contains(told), "{}", host.plan().await);
    docker(&["rm", "-f", &spy]);
    assert!(!host.plan().await.contains(told));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_who_shares_the_network_of_one_that_is_put_back_has_it_again() {
    let host = sharing("back", ["app", "side"]).await;
    let (app, side) = (host.inspect("app", "{{.Id}}"), host.inspect("side", "{{.Id}}"));
    assert_eq!(devices(&host, "side"), "eth0 lo");
    host.container("app", &format!("{{image: '{BUSYBOX}', command: ['false']}}"));
    let (outcomes, told) = host.try_apply().await;
    let failed: Vec<String> = outcomes.failed.keys().map(|id| host.shown(&id.to_string())).collect();
    assert_eq!(failed, ["container/@app"], "{told:?}");
    assert_eq!((host.inspect("app", "{{.Id}}"), host.inspect("side", "{{.Id}}")), (app, side));
    assert_eq!((devices(&host, "app"), devices(&host, "side")), ("eth0 lo".to_owned(), "eth0 lo".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_whichever_of_those_that_share_a_network_cannot_follow_all_are_as_they_were() {
    let host = sharing("together", ["app", "side"]).await;
    for name in ["early", "tail"] {
        host.container(name, &sidecar(&host, ""));
    }
    host.apply().await;
    let all = ["app", "early", "side", "tail"];
    let ids = || all.map(|name| look(&host, name, "{{.Id}}"));
    let before = ids();
    for name in ["early", "tail"] {
        host.container(name, &sidecar(&host, ", env: {A: '1'}"));
    }
    let cannot =
        format!("{{image: '{BUSYBOX}', networkMode: 'container:{}', command: ['false']}}", host.name("app"));
    for app in [", hostname: app", ", env: {A: '2'}, update: {order: startFirst}", ", env: {A: '1'}"] {
        host.container("app", &sleeper(app));
        host.container("side", &cannot);
        let (outcomes, told) = host.try_apply().await;
        let failed: Vec<String> = outcomes.failed.keys().map(|id| host.shown(&id.to_string())).collect();
        assert_eq!(failed, ["container/@side"], "{told:?}");
        assert_eq!(ids(), before);
        for name in all {
            assert_eq!(devices(&host, name), "eth0 lo", "{name}");
        }
    }
    host.container("side", &sidecar(&host, ", env: {A: '1'}"));
    let plan = host.apply().await;
    assert!(plan.ends_with("\n\nPlan: 4 to replace; 0 unchanged.\n"), "{plan}");
    let after = ids();
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    for name in all {
        assert_eq!(devices(&host, name), "eth0 lo", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_who_is_linked_to_one_that_is_made_anew_and_cannot_follow_is_as_it_was_with_it() {
    // It has no links.
    if is_podman() {
        return;
    }
    let host = Host::new("linked").await;
    let linked = |more: &str| sleeper(&format!(", links: ['{}:db']{more}", host.name("db")));
    host.container("db", &sleeper(""));
    host.container("app", &linked(""));
    host.apply().await;
    let state = |name: &str| look(&host, name, "{{.Id}} {{.State.Running}}");
    let before = ["app", "db"].map(state);
    host.container("db", &sleeper(", env: {A: '1'}"));
    host.container(
        "app",
        &format!("{{image: '{BUSYBOX}', links: ['{}:db'], command: ['false']}}", host.name("db")),
    );
    let (outcomes, told) = host.try_apply().await;
    let failed: Vec<String> = outcomes.failed.keys().map(|id| host.shown(&id.to_string())).collect();
    assert_eq!(failed, ["container/@app"], "{told:?}");
    assert_eq!(["app", "db"].map(state), before);
    host.container("app", &linked(", env: {A: '1'}"));
    assert!(host.apply().await.ends_with("\n\nPlan: 2 to replace; 0 unchanged.\n"));
    assert!(docker(&["exec", &host.name("app"), "cat", "/etc/hosts"]).contains("db"));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_1_who_is_in_the_pid_namespace_of_one_that_is_stopped_is_stopped_as_anybody_is() {
    let host = Host::new("pids").await;
    let kept = host.path().join(".kept");
    std::fs::create_dir(&kept).expect("a directory");
    let side = || {
        let program = "trap \"echo saved >> /kept/answers; exit 0\" TERM; while :; do sleep 0.1; done";
        let (owner, kept) = (host.name("app"), kept.display());
        format!(
            "{{image: '{BUSYBOX}', command: [sh, -c, '{program}'], pidMode: 'container:{owner}', binds: ['{kept}:/kept']}}"
        )
    };
    let saved = || std::fs::read_to_string(kept.join("answers")).unwrap_or_default();
    host.container("app", &sleeper(""));
    host.container("side", &side());
    host.apply().await;
    // In place, and where another takes its place.
    host.container("app", &sleeper(", restartToken: '1'"));
    assert!(host.apply().await.ends_with("Plan: 2 to restart; 0 unchanged.\n"));
    assert_eq!(saved(), "saved\n");
    host.container("app", &sleeper(", restartToken: '1', env: {A: '1'}"));
    assert!(host.apply().await.ends_with("Plan: 2 to replace; 0 unchanged.\n"));
    assert_eq!(saved(), "saved\nsaved\n");
    assert_eq!(look(&host, "side", "{{.State.Running}}"), "true");
    // Where that one is put back, so is this one.
    let before = ["app", "side"].map(|name| look(&host, name, "{{.Id}} {{.State.Running}}"));
    host.container("app", &format!("{{image: '{BUSYBOX}', command: ['false']}}"));
    let (outcomes, told) = host.try_apply().await;
    assert_eq!(outcomes.failed.len(), 1, "{told:?}");
    assert_eq!(saved(), "saved\nsaved\nsaved\n");
    assert_eq!(["app", "side"].map(|name| look(&host, name, "{{.Id}} {{.State.Running}}")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shares_the_network_of_one_that_cannot_be_replaced_follows_it_as_it_is() {
    let host = sharing("meanwhile", ["app", "side"]).await;
    let side = host.inspect("side", "{{.Id}}");
    host.container("app", &format!("{{image: '{BUSYBOX}', command: ['false']}}"));
    let daemon = Daemon::start(&host);
    daemon.until("a replacement that failed", || daemon.said("it ended with exit code 1") > 0);
    daemon.until("its network", || devices(&host, "side") == "eth0 lo");
    // For an hour nothing is replaced; what somebody does meanwhile is put right.
    docker(&["restart", "-t", "0", &host.name("app")]);
    daemon.until("the network of the one that was restarted", || devices(&host, "side") == "eth0 lo");
    assert_eq!(look(&host, "side", "{{.Id}}"), side);
    daemon.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn law_6_whose_network_is_shared_is_not_stopped_before_who_shares_it_can_follow() {
    let host = sharing("wait", ["app", "side"]).await;
    let started = |name: &str| host.inspect(name, "{{.Id}} {{.State.StartedAt}}");
    let before = (started("app"), started("side"));
    host.container("app", &sleeper(", env: {A: '1'}"));
    host.container("side", &sidecar(&host, ", binds: ['/nowhere/at/all:/data']"));
    let plan = host.plan().await;
    assert!(plan.starts_with("container/@app  replace   (waits for container/@side)\n"), "{plan}");
    host.try_apply().await;
    assert_eq!((started("app"), started("side")), before);
    // Nor one whose image cannot be had.
    host.container("side", &sidecar(&host, "").replace(BUSYBOX, "localhost:1/nothing:1"));
    let (outcomes, told) = host.try_apply().await;
    assert_eq!(outcomes.failed.len(), 1, "{told:?}");
    assert_eq!((started("app"), started("side")), before);
    // Nor does one that nobody can read.
    host.container("side", &sidecar(&host, ", nonsense: 1"));
    let plan = host.planned_for(&host.wanted()).await;
    let told = host.shown(&plan.to_text(&Palette::default()));
    let waits = "container/@app  replace   (waits for container/@side, which is left as it is)\n";
    assert!(told.starts_with(waits), "{told}");
    host.carry_out(&plan).await;
    assert_eq!((started("app"), started("side")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_run_is_not_run_again_because_whose_network_it_shared_is_another_one() {
    let host = Host::new("ran").await;
    host.container("app", &sleeper(""));
    let job = |command: &str| {
        let owner = host.name("app");
        format!(
            "{{image: '{BUSYBOX}', command: [sh, -c, '{command}'], state: completed, networkMode: 'container:{owner}'}}"
        )
    };
    host.container("job", &job("exit 0"));
    let over = || look(&host, "job", "{{.State.Status}}") == "exited";
    host.try_apply().await;
    while !over() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ran = host.inspect("job", "{{.Id}} {{.State.StartedAt}}");
    host.container("app", &sleeper(", env: {A: '1'}"));
    if is_podman() {
        // It removes none whose namespaces another one shares, be it one that has run.
        let (outcomes, told) = host.try_apply().await;
        let why = outcomes.failed.values().next().expect("a failure");
        assert!(outcomes.failed.len() == 1 && why.contains("has dependent containers"), "{told:?}");
        assert_eq!(host.inspect("job", "{{.Id}} {{.State.StartedAt}}"), ran);
        return;
    }
    assert_eq!(
        host.apply().await,
        "container/@app  replace\n  env.A   (none) -> 1\n\nPlan: 1 to replace; 1 unchanged.\n"
    );
    assert_eq!(host.inspect("job", "{{.Id}} {{.State.StartedAt}}"), ran);
    host.container("job", &job("true"));
    let plan = host.plan().await;
    assert!(plan.starts_with("container/@job  replace\n"), "another spec is another job: {plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_down_joins_the_network_that_was_made_in_a_gone_ones_place() {
    let host = Host::new("gone").await;
    host.write(
        "net.yaml",
        "apiVersion: invigil/v1\nkind: Network\nmetadata: {name: '@net'}\nspec: {internal: true}\n",
    );
    host.container("c", &sleeper(", networks: ['@net']"));
    host.apply().await;
    let (id, network) = (host.inspect("c", "{{.Id}}"), host.name("net"));
    docker(&["stop", &host.name("c")]);
    let removed = run(&["network", "rm", &network]);
    // Podman removes no network that a container is on, be it down.
    assert_eq!(removed.status.success(), !is_podman());
    let plan = host.apply().await;
    let told =
        "network/@net  create\ncontainer/@c  update in place\n  networks.@net   one that is gone -> @net\n";
    assert!(plan.starts_with(told) || is_podman(), "{plan}");
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.Running}}"), format!("{id} true"));
    assert!(devices(&host, "c").contains("eth0"));
}
