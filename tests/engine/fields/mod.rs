//! Every field, on the engine: set, seen by Docker's own command, changed, and nothing left to do.

mod networks;
mod rows;

use futures_util::{StreamExt, stream};

use rows::{ROWS, Row};
use serde_json::Value;

use crate::faults::engine_at;
use crate::proxy::Proxy;
use crate::spare::Spare;
use crate::support::{BUSYBOX, Host, docker, export, in_place, is_left_out, is_podman};

/// Fields that other tests of this suite take through the same: `networks` in `lifecycle`, the others
/// below.
const ELSEWHERE: [&str; 7] = [
    "networks",
    "links",
    "volumesFrom",
    "storageOpt",
    "resources.blkioWeight",
    "resources.blkioWeightDevice",
    "resources.oomKillDisable",
];

/// Fields whose containers this machine may have no means to start: they are made, and not started.
const ONLY_MADE: [&str; 6] = [
    "privileged",
    "resources.deviceReadBps",
    "resources.deviceWriteBps",
    "resources.deviceReadIops",
    "resources.deviceWriteIops",
    "resources.deviceRequests",
];

/// Beside the limits that it is asked for Podman sets one for processes, which this machine may forbid.
fn is_only_made(row: &Row) -> bool {
    ONLY_MADE.contains(&row.name) || (is_podman() && row.name == "resources.ulimits")
}

/// Fields that Podman's API takes and loses: a container that asks for one is refused.
const PODMAN_LOSES: [&str; 7] = [
    "domainname",
    "macAddress",
    "volumeDriver",
    "runtime",
    "cgroupnsMode",
    "resources.deviceCgroupRules",
    "resources.deviceRequests",
];

#[test]
fn every_field_has_a_row() {
    for field in invigil::fields::all() {
        let tested = ROWS.iter().any(|row| row.name == field.name) || ELSEWHERE.contains(&field.name);
        assert!(tested, "{} has no row here", field.name);
    }
}

/// Sleeps with what the row sets, and dies at once when it is to stop.
fn spec(row: &Row, fields: &str) -> String {
    let command =
        if ["entrypoint", "command"].contains(&row.name) { "" } else { ", command: [sleep, '1000']" };
    let signal = if row.name == "stopSignal" { "" } else { ", stopSignal: SIGKILL" };
    let state = if is_only_made(row) { ", state: created" } else { "" };
    format!("{{image: '{BUSYBOX}'{command}{signal}{state}, {fields}}}")
}

/// The volume that a plan names, by another name in each run.
fn without_id(plan: &str) -> String {
    match plan.split_once("in the volume ") {
        Some((before, after)) => format!("{before}in the volume ID{}", &after[12..]),
        None => plan.to_owned(),
    }
}

async fn walk(row: &'static Row) {
    let host = Host::new("field").await;
    host.container("c", &spec(row, row.set));
    if is_podman() && PODMAN_LOSES.contains(&row.name) {
        let (_, told) = host.try_apply().await;
        let refusal = format!("create: Podman has no {}", row.name);
        assert!(told.len() == 1 && told[0].ends_with(&refusal), "{told:?}");
        return;
    }
    host.apply().await;
    // What Podman tells of it stands elsewhere and in other words: that is what the plans are about.
    if !is_podman() {
        assert_eq!(host.inspect("c", row.format), row.seen, "{}: set", row.name);
    }
    exported(&host, row).await;
    host.container("c", &spec(row, row.change));
    let plan = without_id(&host.apply().await);
    let verb = row.plan.split_once('\n').map_or(row.plan, |(verb, _)| verb);
    let counted = verb.split(' ').next().unwrap_or_default();
    assert_eq!(
        plan,
        in_place(&format!("container/@c  {}\n\nPlan: 1 to {counted}; 0 unchanged.\n", row.plan)),
        "{}: changed",
        row.name
    );
    if !is_podman() {
        assert_eq!(host.inspect("c", row.format), row.seen_then, "{}: after the change", row.name);
    }
    let runs = (!is_only_made(row)).to_string();
    assert_eq!(host.inspect("c", "{{.State.Running}}"), runs, "{}", row.name);
    host.container("c", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    host.apply().await;
}

/// What `invigil export` writes of the row's container says the field, and leaves nothing to do.
async fn exported(host: &Host, row: &Row) {
    let (manifests, told) = export(host, &[&host.name("c")]);
    assert_eq!(told, "", "{}: {manifests}", row.name);
    let there = std::fs::read_to_string(host.path().join("c.yaml")).expect("a manifest");
    std::fs::write(host.path().join("c.yaml"), &manifests).expect("a manifest");
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n", "{}: exported\n{manifests}", row.name);
    let last = row.name.rsplit('.').next().unwrap_or_default();
    assert!(manifests.contains(&format!("{last}:")) || says_no(row), "{}: {manifests}", row.name);
    std::fs::write(host.path().join("c.yaml"), there).expect("a manifest");
}

/// Rows whose field says what another field is written for.
fn says_no(row: &Row) -> bool {
    row.name == "networkMode"
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_set_seen_changed_and_taken_away() {
    // Most of the time is waiting for successors to prove themselves.
    let walks = stream::iter(ROWS).map(|row| async move { (row.name, tokio::spawn(walk(row)).await) });
    let ended: Vec<_> = walks.buffer_unordered(8).collect().await;
    let failed: Vec<&str> = ended.iter().filter(|(_, end)| end.is_err()).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// What `docker run --help` tells is a field, or is left out with a reason.
#[test]
fn every_flag_of_docker_run_is_a_field_or_has_a_reason() {
    let help = docker(&["run", "--help"]);
    let flags = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line
            .strip_prefix('-')
            .filter(|rest| rest.get(1..3) == Some(", "))
            .map_or(line, |rest| &rest[3..]);
        line.starts_with("--").then(|| line.split_whitespace().next().unwrap_or_default())
    });
    let flags: Vec<&str> = flags.collect();
    assert!(flags.len() > 80, "{help}");
    // The docker command shows Podman flags of Windows too.
    let windows = ["--cpu-count", "--cpu-percent", "--io-maxbandwidth", "--io-maxiops"];
    for flag in flags.into_iter().filter(|flag| !is_podman() || !windows.contains(flag)) {
        let mut named = invigil::fields::all().flat_map(|field| field.flag.split([',', ' ']));
        let excluded = invigil::fields::EXCLUDED.iter().any(|(excluded, _)| *excluded == flag);
        assert!(
            excluded != named.any(|named| named == flag),
            "{flag}: {}",
            if excluded { "both" } else { "neither" }
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_says_in_other_words_is_no_difference() {
    let host = Host::new("words").await;
    let fields = "entrypoint: [''], workingDir: '/tmp//a/../', shmSize: 0";
    host.container(
        "c",
        &format!("{{image: '{BUSYBOX}', command: [sleep, '100000'], stopSignal: SIGKILL, {fields}}}"),
    );
    host.apply().await;
    // Podman's 64 MiB have 1000 KiB each.
    let shm = if is_podman() { 65_536_000 } else { 67_108_864 };
    assert_eq!(host.inspect("c", "{{.Config.WorkingDir}} {{.HostConfig.ShmSize}}"), format!("/tmp {shm}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_volumes_of_another_container_are_fields_too() {
    if is_left_out("links_and_volumes_of_another_container_are_fields_too") {
        return;
    }
    let host = Host::new("others").await;
    let one = format!("image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL");
    let other = host.name("other");
    host.container("other", &format!("{{{one}, volumes: [/data]}}"));
    host.container("c", &format!("{{{one}, links: ['{other}:db'], volumesFrom: ['{other}:ro']}}"));
    host.apply().await;
    assert_eq!(host.inspect("c", "{{.HostConfig.VolumesFrom}}"), format!("[{other}:ro]"));
    assert_eq!(host.inspect("c", "{{len .HostConfig.Links}}"), "1");
    host.container("c", &format!("{{{one}, links: ['{other}:base'], volumesFrom: ['{other}']}}"));
    assert_eq!(
        host.apply().await,
        "container/@c  replace\n  links         @other:db -> @other:base\n  volumesFrom   @other:ro -> @other\n\n\
         Plan: 1 to replace; 1 unchanged.\n"
    );
    host.container("c", &format!("{{{one}}}"));
    host.apply().await;
    assert_eq!(host.inspect("c", "{{json .HostConfig.Links}}"), "null");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_linked_to_a_container_that_is_made_anew_is_made_anew_with_it() {
    if is_left_out("who_is_linked_to_a_container_that_is_made_anew_is_made_anew_with_it") {
        return;
    }
    let host = Host::new("linked").await;
    let one = format!("image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL");
    let other = host.name("other");
    host.container("other", &format!("{{{one}, env: {{A: '1'}}}}"));
    host.container("c", &format!("{{{one}, links: ['{other}:db']}}"));
    host.apply().await;
    host.container("other", &format!("{{{one}, env: {{A: '2'}}}}"));
    assert_eq!(
        host.apply().await,
        "container/@c  replace\n  links   @other:db -> @other:db, which is made anew\n\
         container/@other  replace\n  env.A   1 -> 2\n\nPlan: 2 to replace; 0 unchanged.\n"
    );
    let address = host.inspect("other", "{{.NetworkSettings.Networks.bridge.IPAddress}}");
    let hosts = docker(&["exec", &host.name("c"), "cat", "/etc/hosts"]);
    let known = hosts.lines().find(|line| line.split_whitespace().any(|word| word == "db"));
    assert_eq!(known.and_then(|line| line.split_whitespace().next()), Some(address.as_str()), "{hosts}");
    docker(&["rm", "-f", &other]);
    let plan = host.apply().await;
    assert!(plan.ends_with("\n\nPlan: 1 to create, 1 to replace; 0 unchanged.\n"), "{plan}");
    assert_eq!(plan.matches("  links   ").count(), 1, "{plan}");
}

/// What a kernel has no means for, the engine leaves out with a warning. That is no difference: a new
/// container would be no other.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_kernel_cannot_do_is_asked_for_and_is_no_difference() {
    let (host, proxy) = (Host::new("kernel").await, Proxy::start());
    let engine = engine_at(&proxy.endpoint());
    let one = format!("image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL, state: created");
    let of = |resources: &str| host.container("c", &format!("{{{one}, resources: {{{resources}}}}}"));
    let asked = |body: &Value| {
        let limits = if body["HostConfig"].is_object() { &body["HostConfig"] } else { body };
        format!("{} {} {}", limits["BlkioWeight"], limits["BlkioWeightDevice"], limits["OomKillDisable"])
    };
    // What was asked of the engine, by the last part of each call's path.
    let pass = async || {
        proxy.reset();
        let (_, outcomes) = host.pass(&engine, 8).await.expect("a pass");
        assert!(outcomes.is_success(), "{outcomes:?}");
        assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
        let call =
            |path: String| path.split('?').next().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        let bodies = proxy.bodies().into_iter();
        bodies.map(|(path, body)| (call(path).expect("a call"), asked(&body))).collect::<Vec<_>>()
    };
    let made = |limits: &str| vec![("create".to_owned(), limits.to_owned())];
    of("memory: 64Mi, blkioWeight: 300, oomKillDisable: true, blkioWeightDevice: ['/dev/loop0:200']");
    assert_eq!(pass().await, made(r#"300 [{"Path":"/dev/loop0","Weight":200}] true"#));
    of(
        "memoryReservation: 32Mi, blkioWeight: 400, oomKillDisable: false, blkioWeightDevice: ['/dev/loop0:100']",
    );
    assert_eq!(pass().await, made(r#"400 [{"Path":"/dev/loop0","Weight":100}] false"#));
    of("cpus: 0.5");
    assert_eq!(pass().await, made("null null null"));
    assert_eq!(host.inspect("c", "{{.HostConfig.BlkioWeight}} {{.HostConfig.Memory}}"), "0 0");
    // Asked for once, in place where the engine can; where that comes to nothing, so would asking again.
    of("cpus: 0.5, blkioWeight: 300");
    let call = if is_podman() { "create" } else { "update" };
    assert_eq!(pass().await, [(call.to_owned(), "300 null null".to_owned())]);
    of("cpus: 0.5, blkioWeight: 500");
    assert_eq!(pass().await.len(), usize::from(host.inspect("c", "{{.HostConfig.BlkioWeight}}") != "0"));
    of("cpus: 0.5");
    pass().await;
    assert_eq!(host.inspect("c", "{{.HostConfig.BlkioWeight}}"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_containers_size_is_a_field_where_its_disk_has_quotas() {
    let (spare, host) = (Spare::sized(), Host::new("size").await);
    let engine = engine_at(&spare.endpoint());
    let of = |size: &str| {
        let option = if size.is_empty() { String::new() } else { format!(", storageOpt: {{size: {size}}}") };
        host.container(
            "c",
            &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL{option}}}"),
        );
    };
    let seen = || spare.docker(&["inspect", "--format", "{{.HostConfig.StorageOpt}}", &host.name("c")]);
    let mut plans = Vec::new();
    for (size, expected) in [("64M", "map[size:64M]"), ("128M", "map[size:128M]"), ("", "map[]")] {
        of(size);
        plans.push(host.plan_by(&engine).await.expect("a plan"));
        let (_, outcomes) = host.pass(&engine, 8).await.expect("a pass");
        assert!(outcomes.is_success(), "{outcomes:?}");
        assert_eq!(seen(), expected);
        assert_eq!(host.plan_by(&engine).await.expect("a plan"), "Nothing to do; 1 unchanged.\n");
    }
    assert_eq!(
        plans[1],
        "container/@c  replace\n  storageOpt.size   64M -> 128M\n\nPlan: 1 to replace; 0 unchanged.\n"
    );
    assert_eq!(
        plans[2],
        "container/@c  replace\n  storageOpt.size   128M -> (none)\n\nPlan: 1 to replace; 0 unchanged.\n"
    );
}

/// The engines that the tests run on have no disk with quotas. That they are asked for one is seen by their refusal, or,
/// with containerd's image store, which takes any option, by what the engine says of the container.
#[tokio::test(flavor = "multi_thread")]
async fn storage_options_are_passed_on() {
    let host = Host::new("storage").await;
    host.container("c", &format!("{{image: '{BUSYBOX}', state: created, storageOpt: {{nosuch: '1'}}}}"));
    let (outcomes, _) = host.try_apply().await;
    match outcomes.failed.values().next() {
        Some(why) => assert!(why.contains("nosuch") || why.contains("storage"), "{why}"),
        None => assert_eq!(host.inspect("c", "{{.HostConfig.StorageOpt}}"), "map[nosuch:1]"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_change_in_place_keep_the_container() {
    if is_left_out("limits_that_change_in_place_keep_the_container") {
        return;
    }
    let host = Host::new("inplace").await;
    host.container("c", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    host.apply().await;
    let before = host.inspect("c", "{{.Id}} {{.State.StartedAt}}");
    let limits = "resources: {memory: 64Mi, cpus: 0.5, pidsLimit: 20}, restartPolicy: always";
    host.container(
        "c",
        &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL, {limits}}}"),
    );
    let plan = host.apply().await;
    assert!(plan.starts_with("container/@c  update in place\n"), "{plan}");
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.StartedAt}}"), before);
    docker(&["update", "--pids-limit", "99", "--restart", "no", &host.name("c")]);
    assert_eq!(
        host.apply().await,
        "container/@c  update in place\n  resources.pidsLimit   99 -> 20\n  restartPolicy         no -> always\n\n\
         Plan: 1 to update; 0 unchanged.\n"
    );
}

/// A limit of swap that was set in place, or by hand, is seen as one that was set at the creation is.
#[tokio::test(flavor = "multi_thread")]
async fn swap_that_was_changed_in_place_or_by_hand_goes_back() {
    let host = Host::new("swap").await;
    let limited = |limits: &str| {
        let spec = "command: [sleep, '1000'], stopSignal: SIGKILL";
        host.container("c", &format!("{{image: '{BUSYBOX}', {spec}, resources: {{{limits}}}}}"));
    };
    let swap = || host.inspect("c", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}");
    let changed = |from: &str, to: &str| {
        let told = format!("resources.memorySwap   {from} -> {to}");
        in_place(&format!("container/@c  update in place\n  {told}\n\nPlan: 1 to update; 0 unchanged.\n"))
    };
    limited("memory: 64Mi");
    host.apply().await;
    let id = host.inspect("c", "{{.Id}}");
    // As much swap as memory is what silence says.
    assert_eq!(swap(), "67108864 134217728");
    limited("memory: 64Mi, memorySwap: 96Mi");
    assert_eq!(host.apply().await, changed("128Mi", "96Mi"));
    limited("memory: 64Mi");
    assert_eq!(host.apply().await, changed("96Mi", "128Mi"));
    assert_eq!(swap(), "67108864 134217728");
    if is_podman() {
        return;
    }
    for by_hand in ["160m", "-1"] {
        docker(&["update", "--memory-swap", by_hand, &host.name("c")]);
        let there = if by_hand == "-1" { "-1" } else { "160Mi" };
        assert_eq!(host.apply().await, changed(there, "128Mi"));
    }
    assert_eq!((swap(), host.inspect("c", "{{.Id}}")), ("67108864 134217728".to_owned(), id));
}
