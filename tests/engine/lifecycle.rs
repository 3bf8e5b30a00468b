//! Containers come, go, and are put right; networks and volumes with them.

use crate::faults::engine_at;
use crate::proxy::Proxy;
use crate::support::{BUSYBOX, Host, docker, is_podman, sleeper};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_made_and_goes_with_its_manifest() {
    let host = Host::new("life").await;
    host.container("a", &sleeper(""));
    host.container("b", &sleeper(""));
    assert_eq!(
        host.apply().await,
        "container/@a  create   busybox:static\ncontainer/@b  create   busybox:static\n\nPlan: 2 to create; 0 unchanged.\n"
    );
    host.remove("a.yaml");
    assert_eq!(
        host.apply().await,
        "container/@a  remove   no longer in the manifests\n\nPlan: 1 to remove; 1 unchanged.\n"
    );
    assert_eq!(
        docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", &format!("name={}", host.prefix)]),
        host.name("b")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_did_by_hand_is_put_right() {
    let host = Host::new("drift").await;
    host.container("c", &sleeper(""));
    host.apply().await;
    let name = host.name("c");

    docker(&["stop", &name]);
    assert_eq!(
        host.apply().await,
        "container/@c  start\n  state   stopped -> running\n\nPlan: 1 to start; 0 unchanged.\n"
    );

    docker(&["kill", &name]);
    assert_eq!(
        host.apply().await,
        "container/@c  start\n  state   stopped -> running\n\nPlan: 1 to start; 0 unchanged.\n"
    );

    docker(&["pause", &name]);
    assert_eq!(
        host.apply().await,
        "container/@c  start\n  state   paused -> running\n\nPlan: 1 to start; 0 unchanged.\n"
    );

    docker(&["rename", &name, &host.name("other")]);
    assert_eq!(
        host.apply().await,
        "container/@c  update in place\n  name   @other -> @c\n\nPlan: 1 to update; 0 unchanged.\n"
    );

    docker(&["network", "disconnect", "bridge", &name]);
    assert_eq!(
        host.apply().await,
        "container/@c  update in place\n  networks.bridge   (none) -> joined\n\nPlan: 1 to update; 0 unchanged.\n"
    );

    docker(&["rm", "-f", &name]);
    assert_eq!(
        host.apply().await,
        "container/@c  create   busybox:static\n\nPlan: 1 to create; 0 unchanged.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_were_exchanged_are_given_back_and_nothing_restarts() {
    let host = Host::new("names").await;
    host.container("a", &sleeper(""));
    host.container("b", &sleeper(""));
    host.apply().await;
    let started = |name: &str| host.inspect(name, "{{.Id}} {{.State.StartedAt}}");
    let before = (started("a"), started("b"));
    docker(&["rename", &host.name("a"), &host.name("x")]);
    docker(&["rename", &host.name("b"), &host.name("a")]);
    docker(&["rename", &host.name("x"), &host.name("b")]);
    assert_eq!(
        host.apply().await,
        "container/@a  update in place\n  name   @b -> @a\n\
         container/@b  update in place\n  name   @a -> @b\n\nPlan: 2 to update; 0 unchanged.\n"
    );
    assert_eq!((started("a"), started("b")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_kept() {
    let host = Host::new("state").await;
    host.container("r", &sleeper(""));
    host.container("s", &sleeper(", state: stopped"));
    host.container("c", &sleeper(", state: created"));
    host.apply().await;
    assert_eq!(host.inspect("r", "{{.State.Status}}"), "running");
    assert_eq!(host.inspect("s", "{{.State.Status}}"), "created");
    docker(&["start", &host.name("s"), &host.name("c")]);
    assert_eq!(
        host.apply().await,
        "container/@c  stop\n  state   running -> created\ncontainer/@s  stop\n  state   running -> stopped\n\n\
         Plan: 2 to stop; 1 unchanged.\n"
    );
    assert_eq!(host.inspect("s", "{{.State.Status}}"), "exited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_container_is_kept_paused() {
    let host = Host::new("paused").await;
    host.container("p", &sleeper(", state: paused"));
    host.apply().await;
    assert_eq!(host.inspect("p", "{{.State.Status}}"), "paused");
    let started = host.inspect("p", "{{.Id}} {{.State.StartedAt}}");
    docker(&["unpause", &host.name("p")]);
    assert_eq!(
        host.apply().await,
        "container/@p  pause\n  state   running -> paused\n\nPlan: 1 to pause; 0 unchanged.\n"
    );
    host.container("p", &sleeper(""));
    assert_eq!(
        host.apply().await,
        "container/@p  start\n  state   paused -> running\n\nPlan: 1 to start; 0 unchanged.\n"
    );
    assert_eq!(host.inspect("p", "{{.Id}} {{.State.StartedAt}}"), started);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_once_for_each_spec_and_is_waited_for() {
    let host = Host::new("job").await;
    let job = |exit: u8| {
        let command = format!("[sh, -c, 'sleep 1; echo migrated; exit {exit}']");
        host.container("job", &format!("{{image: '{BUSYBOX}', command: {command}, state: completed}}"));
    };
    job(0);
    let name = host.name("job");
    host.container("app", &sleeper(&format!(", dependsOn: [{{container: {name}, condition: completed}}]")));
    host.apply().await;
    let seen = "{{.Id}} {{.State.StartedAt}} {{.State.ExitCode}} {{.RestartCount}}";
    let ran = host.inspect("job", seen);
    assert!(ran.ends_with(" 0 0"), "{ran}");
    let ended = host.inspect("job", "{{.State.FinishedAt}}");
    assert!(host.inspect("app", "{{.State.StartedAt}}") > ended, "the app started after the job ended");
    host.apply().await;
    assert_eq!(host.inspect("job", seen), ran, "it ran once");

    job(3);
    host.try_apply().await;
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(
        host.plan().await,
        "container/@job  blocked   it ended with exit code 3; a changed manifest, another restartToken or removing it by hand runs it again\n\n\
         Plan: 1 blocked; 1 unchanged.\n"
    );
    job(0);
    host.apply().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_starts_first_leaves_no_gap() {
    let host = Host::new("first").await;
    let update = ", update: {order: startFirst, monitor: 2s}";
    host.container("c", &sleeper(update));
    host.apply().await;
    let old = host.inspect("c", "{{.Id}}");
    let mine = format!("label=io.invigil.owner={}", host.prefix);
    let mut listener = std::process::Command::new("docker")
        .args(["events", "--filter", &mine, "--format", "{{.Action}} {{.ID}} {{.TimeNano}}"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("docker events");
    std::thread::sleep(std::time::Duration::from_millis(500));
    host.container("c", &sleeper(&format!("{update}, env: {{A: '1'}}")));
    host.apply().await;
    assert_ne!(host.inspect("c", "{{.Id}}"), old);
    listener.kill().expect("the listener ends");
    let events = listener.wait_with_output().expect("events").stdout;
    let events = String::from_utf8(events).expect("text");
    let when = |action: &str, of_old: bool| -> i64 {
        let mut words = events.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let event = words.find(|words| words[0] == action && (words[1] == old) == of_old);
        event.unwrap_or_else(|| panic!("no {action} in {events}"))[2].parse().expect("a time")
    };
    let gap = when("die", true) - when("start", false);
    assert!(gap >= 2_000_000_000, "the old one ran on for {gap} ns");

    let kept = host.inspect("c", "{{.Id}} {{.State.StartedAt}}");
    host.container(
        "c",
        &format!(
            "{{image: '{BUSYBOX}', env: {{DB_PASSWORD: opensesame}}, \
             command: [sh, -c, 'echo no such exam, said $DB_PASSWORD; exit 7']{update}}}"
        ),
    );
    let (outcomes, _) = host.try_apply().await;
    let why = outcomes.failed.values().next().expect("a failure");
    assert!(
        why.ends_with("it ended with exit code 7; its last output: no such exam, said (hidden)"),
        "{why}"
    );
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.StartedAt}}"), kept, "and was never touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependent_starts_after_the_one_it_needs_is_healthy() {
    let host = Host::new("deps").await;
    host.container(
        "db",
        &sleeper(", healthcheck: {test: [CMD-SHELL, 'test $(($(date +%s) - $(stat -c %Y /proc/1))) -ge 1'], interval: 1s, retries: 30}"),
    );
    host.container(
        "web",
        &sleeper(&format!(", dependsOn: [{{container: {}, condition: healthy}}]", host.name("db"))),
    );
    host.apply().await;
    assert_eq!(host.inspect("db", "{{.State.Health.Status}}"), "healthy");
    let (db, web) = (host.inspect("db", "{{.State.StartedAt}}"), host.inspect("web", "{{.State.StartedAt}}"));
    assert!(db < web, "{db} {web}");
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_are_made_joined_left_and_removed() {
    let host = Host::new("net").await;
    let network = |name: &str| {
        host.write(
            &format!("{name}.yaml"),
            &format!("apiVersion: invigil/v1\nkind: Network\nmetadata: {{name: '@{name}'}}\nspec: {{internal: true}}\n"),
        )
    };
    network("n1");
    network("n2");
    let (n1, n2) = (host.name("n1"), host.name("n2"));
    host.container(
        "c",
        &sleeper(&format!(", hostname: seat, networks: [{n1}, {{name: {n2}, aliases: [db, seat]}}]")),
    );
    host.apply().await;
    assert_eq!(
        host.inspect("c", "{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{end}}"),
        format!("{n1} {n2}")
    );
    let id = host.inspect("c", "{{.Id}}");
    docker(&["network", "disconnect", &n2, &host.name("c")]);
    assert_eq!(
        host.apply().await,
        "container/@c  update in place\n  networks.@n2   (none) -> joined as [db]\n\nPlan: 1 to update; 2 unchanged.\n"
    );
    host.container("c", &sleeper(&format!(", hostname: seat, networks: [{n1}]")));
    host.remove("n2.yaml");
    assert_eq!(
        host.apply().await,
        "network/@n2  remove   no longer in the manifests\ncontainer/@c  update in place\n  networks.@n2   joined as [db] -> (none)\n\n\
         Plan: 1 to update, 1 to remove; 1 unchanged.\n"
    );
    assert_eq!(host.inspect("c", "{{.Id}}"), id, "joining and leaving replaces nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_network_takes_its_containers_with_it() {
    let host = Host::new("remade").await;
    let network = |spec: &str| {
        host.write(
            "n.yaml",
            &format!("apiVersion: invigil/v1\nkind: Network\nmetadata: {{name: '@net'}}\nspec: {spec}\n"),
        );
    };
    network("{options: {com.docker.network.driver.mtu: '1400'}, labels: {room: '101'}}");
    let net = host.name("net");
    host.container("up", &sleeper(&format!(", networks: [{{name: {net}, aliases: [seat]}}]")));
    host.container("down", &sleeper(&format!(", networks: [{net}], state: stopped")));
    host.container("two", &sleeper(", networkMode: none"));
    host.apply().await;
    let started = host.inspect("up", "{{.Id}} {{.State.StartedAt}}");
    let first = docker(&["network", "inspect", &net, "--format", "{{.Id}}"]);

    network("{internal: true, attachable: true}");
    assert_eq!(
        host.apply().await,
        "network/@net  replace   reconnects @down, @up\n  \
           attachable                              false -> true\n  \
           internal                                false -> true\n  \
           labels.room                             101 -> (none)\n  \
           options.com.docker.network.driver.mtu   1400 -> (none)\n\n\
         Plan: 1 to replace; 3 unchanged.\n"
    );
    assert_eq!(host.inspect("up", "{{.Id}} {{.State.StartedAt}}"), started);
    assert_ne!(docker(&["network", "inspect", &net, "--format", "{{.Id}}"]), first);
    assert_eq!(docker(&["exec", &host.name("up"), "hostname", "-i"]).split('.').count(), 4);
    host.container("down", &sleeper(&format!(", networks: [{net}]")));
    host.apply().await;
    assert_eq!(host.inspect("down", "{{.State.Running}}"), "true");
    // Podman knows no names on an internal network.
    if !is_podman() {
        docker(&["exec", &host.name("down"), "ping", "-c", "1", "seat"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_cannot_be_made_anew_comes_back_with_everybody_on_it() {
    let host = Host::new("refused").await;
    let net = host.name("net");
    host.write("n.yaml", "apiVersion: invigil/v1\nkind: Network\nmetadata: {name: '@net'}\n");
    host.container("c", &sleeper(&format!(", networks: [{{name: {net}, aliases: [seat]}}]")));
    host.apply().await;
    let seen = "{{.Id}} {{.State.StartedAt}} {{range .NetworkSettings.Networks}}{{.Aliases}}{{end}}";
    let before = host.inspect("c", seen);
    let endpoint = "{{range .NetworkSettings.Networks}}{{.EndpointID}} {{.IPAddress}}{{end}}";
    let untouched = host.inspect("c", endpoint);
    let spec = |spec: &str| {
        let head = "apiVersion: invigil/v1\nkind: Network\nmetadata: {name: '@net'}\nspec: ";
        host.write("n.yaml", &format!("{head}{spec}\n"));
    };
    // What an engine does not make is found out beside what there is.
    for refused in
        ["{driver: nosuch}", "{ipam: {driver: nosuch}}", "{driver: macvlan, options: {parent: nosuch0.x}}"]
    {
        spec(refused);
        let (outcomes, told) = host.try_apply().await;
        assert!(!outcomes.is_success(), "{refused}");
        let step = format!("create network {net}.invigil-next: ");
        assert!(told.len() == 1 && told[0].starts_with(&step), "{told:?}");
        let now = (host.inspect("c", seen), host.inspect("c", endpoint));
        assert_eq!(now, (before.clone(), untouched.clone()), "{refused}");
    }
    // What is left of a trial that was cut off goes, and is in nobody's way.
    let left = [
        "network".to_owned(),
        "create".to_owned(),
        "--label".to_owned(),
        format!("io.invigil.owner={}", host.prefix),
        "--label".to_owned(),
        format!("io.invigil.resource=network/{net}.invigil-next"),
        format!("{net}.invigil-next"),
    ];
    docker(&left.each_ref().map(String::as_str));
    spec("{driver: nosuch}");
    let plan = host.plan().await;
    assert!(plan.ends_with("Plan: 1 to replace, 1 to remove; 1 unchanged.\n"), "{plan}");
    let (_, told) = host.try_apply().await;
    assert!(told[0].starts_with(&format!("create network {net}.invigil-next2: ")), "{told:?}");
    spec("{}");
    assert!(host.plan().await.starts_with("Nothing to do"), "{}", host.plan().await);
    // For what can be refused only in its place it is put back.
    spec("{subnets: [{subnet: 10.213.77.0/24, gateway: 10.213.77.255}]}");
    let (outcomes, told) = host.try_apply().await;
    assert!(!outcomes.is_success());
    assert!(told.last().is_some_and(|last| last.contains("Ok(None)")), "{told:?}");
    assert_eq!(host.inspect("c", seen), before);
    host.write("n.yaml", "apiVersion: invigil/v1\nkind: Network\nmetadata: {name: '@net'}\n");
    assert!(host.plan().await.starts_with("Nothing to do"), "{}", host.plan().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_volume_is_told_and_never_touched() {
    let host = Host::new("volume").await;
    let volume = |spec: &str| {
        host.write(
            "v.yaml",
            &format!("apiVersion: invigil/v1\nkind: Volume\nmetadata: {{name: '@data'}}\nspec: {spec}\n"),
        );
    };
    volume("{labels: {room: '101'}, options: {type: tmpfs, device: tmpfs}}");
    host.container("seat", &sleeper(&format!(", binds: ['{}:/data']", host.name("data"))));
    host.apply().await;
    // Not when it was made: an engine takes that from what is mounted.
    let facts = "{{json .Labels}} {{json .Options}} {{.Driver}} {{.Mountpoint}}";
    let made = docker(&["volume", "inspect", "--format", facts, &host.name("data")]);
    for changed in [
        "{labels: {room: '102'}, options: {type: tmpfs, device: tmpfs}}",
        "{labels: {room: '101'}}",
        "{driver: nosuch}",
    ] {
        volume(changed);
        let plan = host.plan().await;
        assert!(plan.starts_with("volume/@data  blocked   a volume cannot be changed"), "{plan}");
        // Who has it is kept running all the same.
        docker(&["kill", &host.name("seat")]);
        host.try_apply().await;
        assert_eq!(host.inspect("seat", "{{.State.Running}}"), "true");
        assert_eq!(docker(&["volume", "inspect", "--format", facts, &host.name("data")]), made);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_5_volumes_outlive_their_manifests_and_their_containers() {
    let host = Host::new("law5").await;
    host.write("v.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@v'}\n");
    let data = host.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let volume = host.name("v");
    host.container("c", &sleeper(&format!(", binds: ['{volume}:/v', './data:/d']")));
    host.apply().await;
    docker(&["exec", &host.name("c"), "sh", "-c", "echo answers > /v/a && echo answers > /d/a"]);
    host.container("c", &sleeper(&format!(", env: {{A: '2'}}, binds: ['{volume}:/v', './data:/d']")));
    host.apply().await;
    assert_eq!(docker(&["exec", &host.name("c"), "cat", "/v/a", "/d/a"]), "answers\nanswers");
    host.remove("v.yaml");
    host.remove("c.yaml");
    // Something must be left, or nothing may be removed (law 2).
    host.container("other", &sleeper(""));
    host.apply().await;
    assert_eq!(docker(&["volume", "ls", "-q", "--filter", &format!("name={volume}")]), volume);
    assert_eq!(std::fs::read_to_string(data.join("a")).unwrap(), "answers\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_5_a_replaced_containers_anonymous_volumes_go_over() {
    let host = Host::new("anon").await;
    let tag = host.name("withvolume");
    docker(&["create", "--name", &host.name("seed"), BUSYBOX, "true"]);
    docker(&["commit", "--change", "VOLUME /data", &host.name("seed"), &tag]);
    docker(&["rm", &host.name("seed")]);
    let spec = |value: &str| {
        format!("{{image: '{tag}', command: [sleep, '1000'], stopSignal: SIGKILL, env: {{A: '{value}'}}}}")
    };
    host.container("c", &spec("1"));
    host.apply().await;
    docker(&["exec", &host.name("c"), "sh", "-c", "echo answers > /data/a"]);
    for value in ["2", "3"] {
        host.container("c", &spec(value));
        assert_eq!(host.apply().await.lines().next(), Some("container/@c  replace"),);
        assert_eq!(docker(&["exec", &host.name("c"), "cat", "/data/a"]), "answers");
    }
    // What the image declares is no manifest's to give up; what the manifest gives up is not mounted any more, and stays.
    host.container("c", &spec("3").replace("env:", "volumes: [/data, /own], env:"));
    host.apply().await;
    docker(&["exec", &host.name("c"), "sh", "-c", "echo notes > /own/n"]);
    let own = host.inspect("c", "{{range .Mounts}}{{if eq .Destination \"/own\"}}{{.Name}}{{end}}{{end}}");
    host.container("c", &spec("3"));
    assert_eq!(
        host.apply().await,
        format!(
            "container/@c  replace   what is at /own stays in the volume {}\n  volumes   /own -> (none)\n\n\
             Plan: 1 to replace; 0 unchanged.\n",
            &own[..12]
        )
    );
    assert_eq!(host.inspect("c", "{{range .Mounts}}{{.Destination}}{{end}}"), "/data");
    // Not with --rm, by which Podman takes a volume along that was made without a name.
    let (reader, mount) = (host.name("reader"), format!("{own}:/own"));
    assert_eq!(docker(&["run", "--name", &reader, "-v", &mount, BUSYBOX, "cat", "/own/n"]), "notes");
    docker(&["rm", &reader]);
    docker(&["volume", "rm", &own]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_5_no_call_takes_a_volume_away() {
    let (host, proxy) = (Host::new("delete").await, Proxy::start());
    let engine = engine_at(&proxy.endpoint());
    let data = |env: &str| sleeper(&format!(", volumes: [/data], binds: ['@v:/v'], env: {{A: '{env}'}}"));
    host.write("v.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@v'}\n");
    host.container("changes", &data("1"));
    host.container("goes", &data("1"));
    host.apply().await;
    host.container("changes", &data("2"));
    host.remove("goes.yaml");
    host.remove("v.yaml");
    let before = ["changes", "goes"].map(|name| host.inspect(name, "{{.Id}}"));
    let (plan, outcomes) = host.pass(&engine, 8).await.expect("a pass");
    assert!(outcomes.is_success(), "{outcomes:?}");
    // One that fails is taken back.
    host.container("changes", &format!("{{image: '{BUSYBOX}', volumes: [/data], command: [/nope]}}"));
    let (_, outcomes) = host.pass(&engine, 8).await.expect("a pass");
    assert!(!outcomes.is_success());
    let deletions: Vec<_> = proxy.writes().into_iter().filter(|call| call.method == "DELETE").collect();
    for id in &before {
        assert!(deletions.iter().any(|call| call.path.contains(id)), "{deletions:?}");
    }
    for call in &deletions {
        let is_kept = call.path.starts_with("/containers/") && call.path.contains("?v=false&");
        assert!(is_kept, "{call}, of {}", plan.steps_text());
    }
    assert_eq!(deletions.len(), 3, "{deletions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_a_predecessor_comes_back_when_its_successor_cannot_start() {
    let host = Host::new("law7").await;
    host.container("c", &sleeper(""));
    host.apply().await;
    let id = host.inspect("c", "{{.Id}}");
    for (bad, told) in [
        ("command: [/nope]", "start: "),
        ("command: ['false']", "it ended with exit code 1"),
        (
            "command: [sleep, '1000'], healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 1}",
            "it is unhealthy",
        ),
    ] {
        host.container("c", &format!("{{image: '{BUSYBOX}', stopSignal: SIGKILL, {bad}}}"));
        let (outcomes, events) = host.try_apply().await;
        let failure: Vec<String> = outcomes.failed.values().map(|why| host.shown(why)).collect();
        assert!(failure.len() == 1 && failure[0].contains(told), "{failure:?}");
        assert!(events.iter().any(|event| event.contains(": Ok(Some(")), "{events:?}");
        assert_eq!(host.inspect("c", "{{.Id}} {{.State.Running}}"), format!("{id} true"), "{bad}");
        let all =
            docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", &format!("name={}", host.prefix)]);
        assert_eq!(all, host.name("c"), "nothing is left behind");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn env_files_and_relative_paths_are_relative_to_their_manifest() {
    let host = Host::new("files").await;
    host.write("deep/seat.env", "# seats\nSEAT=1\nROOM=101\n");
    host.write(
        "deep/c.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: '@c'}}\nspec: {}\n",
            sleeper(", env: {ROOM: '102'}, envFiles: [seat.env], binds: ['./seat.env:/seat:ro']")
        ),
    );
    host.apply().await;
    assert_eq!(docker(&["exec", &host.name("c"), "sh", "-c", "echo $SEAT $ROOM"]), "1 102");
    host.write("deep/seat.env", "SEAT=2\n");
    assert_eq!(
        host.apply().await,
        "container/@c  replace\n  env.SEAT   1 -> 2\n\nPlan: 1 to replace; 0 unchanged.\n"
    );
}
