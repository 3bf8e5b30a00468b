//! Containers made with Docker's own command: exported, taken over, and nothing else changes.

use crate::support::{BUSYBOX, Host, docker, export, is_left_out, is_podman};

/// Exports containers that were made by hand; the plan shows that they are taken over and nothing else, and
/// after `apply` there is nothing left to do.
async fn taken_over(host: &Host, names: &[&str], told: &str, expected: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| host.name(name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (manifests, said) = export(host, &names);
    assert_eq!(said, told, "{manifests}");
    std::fs::write(host.path().join("exported.yaml"), &manifests).expect("a manifest");
    let manifests = host.shown(&manifests);
    assert_eq!(host.plan().await, expected, "{manifests}");
    host.apply().await;
    manifests
}

fn run(host: &Host, name: &str, arguments: &[&str]) {
    let name = host.name(name);
    let line = ["run", "-d", "--name", &name].into_iter().chain(arguments.iter().copied());
    docker(&line.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_container_says_its_image_and_its_command() {
    if is_left_out("a_plain_container_says_its_image_and_its_command") {
        return;
    }
    let host = Host::new("exportplain").await;
    run(&host, "c", &[BUSYBOX, "sleep", "1000"]);
    let manifests = taken_over(
        &host,
        &["c"],
        "",
        "container/@c  replace   takes over a container that Invigil did not make: it is made anew, and stops for a moment\n\nPlan: 1 to replace; 0 unchanged.\n",
    )
    .await;
    assert_eq!(
        manifests,
        "apiVersion: invigil/v1\nkind: Container\nmetadata: {name: @c, adopt: true}\n\
         spec: {image: \"busybox:static\", command: [sleep, \"1000\"]}\n"
    );
    let (ours, _) = export(&host, &[&host.name("c")]);
    assert_eq!(host.shown(&ours), manifests.replace(", adopt: true", ""));
}

/// Flags of `docker run`, with `@` as the test's prefix.
const MANY: &str = "--entrypoint /bin/sh --env A=1 --env DB_PASSWORD=canary --label room=101
    --workdir /tmp --user 0:0 --hostname seat --domainname exam.example
    --network @net --network-alias web --ip 10.213.7.9
    --publish 127.0.0.1:28297:80 --publish 81/udp --expose 9000
    --dns 10.0.0.2 --dns-search example --dns-option ndots:2 --add-host db:10.0.0.5
    --volume @data:/data:ro --volume /etc/hostname:/h:ro --volume /nameless
    --mount type=tmpfs,target=/m,tmpfs-size=1048576 --mount type=volume,target=/also-nameless
    --tmpfs /run:size=64k --shm-size 32m
    --memory 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 512
    --pids-limit 50 --ulimit nofile=1024:2048 --oom-score-adj 100
    --device /dev/null:/dev/nought:r --cap-add NET_ADMIN --cap-drop CHOWN
    --security-opt no-new-privileges --security-opt seccomp=unconfined --group-add 100
    --sysctl net.core.somaxconn=512 --init --tty --interactive
    --restart on-failure:3 --stop-signal KILL --stop-timeout 3
    --health-cmd true --health-interval 1s --log-opt max-size=1m --ipc shareable";

#[tokio::test(flavor = "multi_thread")]
async fn many_flags_of_docker_run_become_a_manifest_that_changes_nothing_else() {
    if is_left_out("many_flags_of_docker_run_become_a_manifest_that_changes_nothing_else") {
        return;
    }
    let host = Host::new("exportmany").await;
    let (network, volume) = (host.name("net"), host.name("data"));
    docker(&["network", "create", "--subnet", "10.213.7.0/24", "--label", "a=b", &network]);
    docker(&["volume", "create", &volume]);
    let flags = MANY.replace('@', &format!("{}-", host.prefix));
    let script = "echo answer > /nameless/a; echo more > /also-nameless/b; exec sleep 1000";
    let arguments: Vec<&str> = flags.split_whitespace().chain([BUSYBOX, "-c", script]).collect();
    run(&host, "c", &arguments);
    let manifests = taken_over(
        &host,
        &["c"],
        "note: container/@c: the value of env.DB_PASSWORD looks secret, and is in the manifest\n",
        "container/@c  replace   takes over a container that Invigil did not make: it is made anew, and stops for a moment\n\nPlan: 1 to replace; 2 unchanged.\n",
    )
    .await;
    assert!(manifests.contains("DB_PASSWORD: canary"), "{manifests}");
    assert!(manifests.contains("kind: Network\nmetadata: {name: @net, adopt: true}"), "{manifests}");
    // What was in volumes without names is there again.
    let name = host.name("c");
    assert_eq!(docker(&["exec", &name, "cat", "/nameless/a", "/also-nameless/b"]), "answer\nmore");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_container_names_is_exported_with_it() {
    if is_left_out("what_a_container_names_is_exported_with_it") {
        return;
    }
    let host = Host::new("exportnames").await;
    let (a, b) = (host.name("a"), host.name("b"));
    run(&host, "a", &["--volume", "/shared", "--stop-signal", "KILL", BUSYBOX, "sleep", "1000"]);
    run(
        &host,
        "b",
        &[
            "--link",
            &format!("{a}:db"),
            "--volumes-from",
            &a,
            "--stop-signal",
            "KILL",
            BUSYBOX,
            "sleep",
            "1000",
        ],
    );
    run(
        &host,
        "c",
        &[
            "--network",
            &format!("container:{b}"),
            "--pid",
            &format!("container:{b}"),
            "--stop-signal",
            "KILL",
            BUSYBOX,
            "sleep",
            "1000",
        ],
    );
    let takes = "takes over a container that Invigil did not make: it is made anew, and stops for a moment";
    taken_over(
        &host,
        &["c"],
        "note: container/@b is exported too, because container/@c names it\n\
         note: container/@a is exported too, because container/@b names it\n",
        &format!(
            "container/@a  replace   {takes}\ncontainer/@b  replace   {takes}\ncontainer/@c  replace   {takes}\n\n\
             Plan: 3 to replace; 0 unchanged.\n"
        ),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_container_is_doing_and_how_it_is_started_is_kept() {
    let host = Host::new("exportstates").await;
    run(&host, "paused", &["--stop-signal", "KILL", BUSYBOX, "sleep", "1000"]);
    docker(&["pause", &host.name("paused")]);
    run(&host, "stopped", &["--stop-signal", "KILL", BUSYBOX, "sleep", "1000"]);
    docker(&["kill", &host.name("stopped")]);
    // Podman makes of it what no manifest says.
    let no_entrypoint: &[&str] = if is_podman() { &[] } else { &["--entrypoint", ""] };
    let created = host.name("created");
    docker(&[&["create", "--name", &created], no_entrypoint, &[BUSYBOX, "sleep", "1000"]].concat());
    docker(&[
        "run",
        "-d",
        "--name",
        &host.name("host"),
        "--network",
        "host",
        "--pid",
        "host",
        "--uts",
        "host",
        BUSYBOX,
        "sleep",
        "1000",
    ]);
    let (manifests, told) = export(
        &host,
        &["created", "host", "paused", "stopped"].map(|name| host.name(name)).each_ref().map(String::as_str),
    );
    assert_eq!(told, "");
    for state in ["paused", "stopped", "created"] {
        assert!(manifests.contains(&format!("state: {state}")), "{manifests}");
    }
    std::fs::write(host.path().join("exported.yaml"), &manifests).expect("a manifest");
    let plan = host.plan().await;
    let takes = "replace   takes over a container that Invigil did not make: it is made anew";
    let stops = ", and stops for a moment";
    assert_eq!(
        plan,
        format!(
            "container/@created  {takes}\ncontainer/@host  {takes}{stops}\ncontainer/@paused  {takes}{stops}\ncontainer/@stopped  {takes}\n\n\
             Plan: 4 to replace; 0 unchanged.\n"
        ),
        "{manifests}"
    );
    host.apply().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_manifest_of_ours_said_is_kept_or_told() {
    let host = Host::new("exportours").await;
    let out = host.path().join("kept").display().to_string();
    host.container("db", "{image: 'busybox:static', command: [sleep, '1000'], stopSignal: KILL}");
    host.container(
        "seat",
        &format!(
            "{{image: 'busybox:static', command: [sleep, '1000'], stopSignal: KILL, collect: [{{path: /etc/passwd, to: '{out}'}}], \
             dependsOn: [{{container: {}, condition: started}}], imageUpdates: follow, restartToken: one, \
             update: {{order: startFirst}}}}",
            host.name("db")
        ),
    );
    host.container("job", "{image: 'busybox:static', command: ['true'], state: completed}");
    host.container(
        "told",
        "{image: 'busybox:static', command: [sleep, '1000'], stopSignal: KILL, files: [{path: /etc/room, content: '101'}]}",
    );
    host.apply().await;
    let (manifests, told) =
        export(&host, &["db", "job", "seat"].map(|name| host.name(name)).each_ref().map(String::as_str));
    assert_eq!(told, "");
    for kept in [
        "imageUpdates: follow",
        "order: startFirst",
        "path: \"/etc/passwd\"",
        "condition: started",
        "state: completed",
    ] {
        assert!(manifests.contains(kept), "{kept}: {manifests}");
    }
    for name in ["db", "job", "seat"] {
        host.remove(&format!("{name}.yaml"));
    }
    std::fs::write(host.path().join("exported.yaml"), &manifests).expect("a manifest");
    assert_eq!(host.plan().await, "Nothing to do; 4 unchanged.\n", "{manifests}");
    let (_, told) = export(&host, &[&host.name("told")]);
    assert_eq!(
        told,
        "container/@told: left out: files[0] = /etc/room (its content is in the container alone: `invigil cp` takes it out)\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_said_is_told() {
    if is_left_out("what_cannot_be_said_is_told") {
        return;
    }
    let host = Host::new("exporttold").await;
    run(&host, "c", &["--rm", "--security-opt", "systempaths=unconfined", BUSYBOX, "sleep", "1000"]);
    let (manifests, told) = export(&host, &[&host.name("c")]);
    assert_eq!(
        told,
        "container/@c: left out: HostConfig.AutoRemove = true (contradicts being kept; state: completed is for what ends)\n\
         container/@c: left out: HostConfig.MaskedPaths = [] (MaskedPaths are always the engine's own)\n\
         container/@c: left out: HostConfig.ReadonlyPaths = [] (ReadonlyPaths are always the engine's own)\n"
    );
    assert!(manifests.starts_with("# left out: HostConfig.AutoRemove = true"), "{manifests}");
}

/// An image that lost its name to another one is exported by another of its names, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_named_by_what_still_is_its_name() {
    if is_left_out("an_image_is_named_by_what_still_is_its_name") {
        return;
    }
    let host = Host::new("exportimage").await;
    let (one, two) = (host.name("one"), host.name("two"));
    run(&host, "base", &["--stop-signal", "KILL", BUSYBOX, "sleep", "1000"]);
    docker(&["commit", &host.name("base"), &one]);
    run(&host, "c", &["--stop-signal", "KILL", &one, "sleep", "1000"]);
    docker(&["tag", &one, &two]);
    let (manifests, _) = export(&host, &[&host.name("c")]);
    assert!(manifests.contains(&format!("{one}:latest")), "{manifests}");
    std::fs::write(host.path().join("c.yaml"), manifests.replace(&one, &two)).expect("a manifest");
    assert_eq!(
        host.plan().await,
        "container/@c  replace   takes over a container that Invigil did not make: it is made anew, and stops for a moment\n\nPlan: 1 to replace; 0 unchanged.\n"
    );
    docker(&["tag", BUSYBOX, &one]);
    let (manifests, told) = export(&host, &[&host.name("c")]);
    assert_eq!(told, "");
    assert!(manifests.contains(&format!("{two}:latest")), "{manifests}");
    let id = host.inspect("c", "{{.Image}}");
    docker(&["rmi", "--force", &two]);
    let (_, told) = export(&host, &[&host.name("c")]);
    docker(&["rm", "-f", &host.name("c")]);
    docker(&["rmi", &id]);
    assert!(told.starts_with("container/@c: left out: image = sha256:"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_containers_are_those_that_no_invigil_made_and_a_name_that_nobody_bears_is_told() {
    let host = Host::new("exportall").await;
    run(&host, "free", &["--stop-signal", "KILL", BUSYBOX, "sleep", "1000"]);
    host.container("ours", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    host.apply().await;
    let (manifests, _) = export(&host, &["--all"]);
    assert!(manifests.contains(&host.name("free")), "{manifests}");
    assert!(!manifests.contains(&host.name("ours")), "{manifests}");
    let nobody = host.name("fre");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_invigil")).args(["export", &nobody]).output();
    let output = output.expect("invigil runs");
    assert_eq!(output.status.code(), Some(1));
    let told = host.shown(&String::from_utf8_lossy(&output.stderr));
    assert!(told.ends_with(": there is no container `@fre`\n  hint: did you mean `@free`?\n"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compose_project_runs_as_its_manifests_say() {
    let host = Host::new("compose").await;
    let compose = host.write(
        "compose.yaml",
        &format!(
            "services:\n  web:\n    image: {BUSYBOX}\n    container_name: '@web'\n    command: sleep 1000\n    \
             stop_signal: SIGKILL\n    volumes: ['data:/data', /nameless]\n    depends_on: {{db: {{condition: service_healthy}}}}\n    \
             ports: ['127.0.0.1:28296:80']\n    mem_limit: 64m\n  db:\n    image: {BUSYBOX}\n    container_name: '@db'\n    \
             command: sleep 1000\n    stop_signal: SIGKILL\n    healthcheck: {{test: 'true', interval: 1s}}\nvolumes: {{data: }}\n"
        ),
    );
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(["convert", &compose.to_string_lossy(), "--name", &host.prefix])
        .output()
        .expect("invigil runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    host.remove("compose.yaml");
    std::fs::write(host.path().join("exam.yaml"), &output.stdout).expect("a manifest");
    host.apply().await;
    assert_eq!(
        host.inspect("web", "{{range .Mounts}}{{if eq .Destination \"/data\"}}{{.Name}}{{end}}{{end}}"),
        format!("{}_data", host.prefix)
    );
    // The others know a service by its name, whatever its container is called.
    docker(&["exec", &host.name("web"), "ping", "-c", "1", "-q", "db"]);
}
