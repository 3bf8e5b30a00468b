//! Every field, on the engine: set, seen by Docker's own command, changed, and nothing left to do.

use futures_util::{StreamExt, stream};

use crate::support::{BUSYBOX, Host, docker};

/// One field: how it is set, what Docker then says, how it is changed, what the plan says of that, and
/// what Docker says then.
struct Row {
    name: &'static str,
    set: &'static str,
    format: &'static str,
    seen: &'static str,
    change: &'static str,
    plan: &'static str,
    seen_then: &'static str,
}

const fn row(
    name: &'static str,
    set: &'static str,
    format: &'static str,
    seen: &'static str,
    change: &'static str,
    plan: &'static str,
    seen_then: &'static str,
) -> Row {
    Row { name, set, format, seen, change, plan, seen_then }
}

const ROWS: &[Row] = &[
    row(
        "entrypoint",
        "entrypoint: [sleep, '100']",
        "{{json .Config.Entrypoint}}",
        r#"["sleep","100"]"#,
        "entrypoint: [sleep, '200']",
        "replace\n  entrypoint   [sleep, 100] -> [sleep, 200]",
        r#"["sleep","200"]"#,
    ),
    row(
        "command",
        "command: [sleep, '100']",
        "{{json .Config.Cmd}}",
        r#"["sleep","100"]"#,
        "command: [sleep, '200']",
        "replace\n  command   [sleep, 100] -> [sleep, 200]",
        r#"["sleep","200"]"#,
    ),
    row(
        "env",
        "env: {A: '1', B: '2'}",
        "{{index .Config.Env 0}},{{index .Config.Env 1}}",
        "A=1,B=2",
        "env: {A: '1', B: '3'}",
        "replace\n  env.B   2 -> 3",
        "A=1,B=3",
    ),
    row(
        "workingDir",
        "workingDir: /tmp",
        "{{.Config.WorkingDir}}",
        "/tmp",
        "workingDir: /bin",
        "replace\n  workingDir   /tmp -> /bin",
        "/bin",
    ),
    row(
        "user",
        "user: '1000:1000'",
        "{{.Config.User}}",
        "1000:1000",
        "user: '1001'",
        "replace\n  user   1000:1000 -> 1001",
        "1001",
    ),
    row(
        "hostname",
        "hostname: seat-1",
        "{{.Config.Hostname}}",
        "seat-1",
        "hostname: seat-2",
        "replace\n  hostname   seat-1 -> seat-2",
        "seat-2",
    ),
    row(
        "labels",
        "labels: {room: '101'}",
        "{{.Config.Labels.room}}",
        "101",
        "labels: {room: '102'}",
        "replace\n  labels.room   101 -> 102",
        "102",
    ),
    row(
        "tty",
        "tty: true",
        "{{.Config.Tty}}",
        "true",
        "tty: false",
        "replace\n  tty   true -> false",
        "false",
    ),
    row(
        "stdinOpen",
        "stdinOpen: true",
        "{{.Config.OpenStdin}}",
        "true",
        "stdinOpen: false",
        "replace\n  stdinOpen   true -> false",
        "false",
    ),
    row(
        "init",
        "init: true",
        "{{.HostConfig.Init}}",
        "true",
        "init: false",
        "replace\n  init   true -> false",
        "false",
    ),
    row(
        "networkMode",
        "networkMode: none",
        "{{.HostConfig.NetworkMode}}",
        "none",
        "networkMode: host",
        "replace\n  networkMode     none -> host\n  networks.host   (none) -> joined\n  networks.none   joined -> (none)",
        "host",
    ),
    row(
        "ports",
        "ports: ['127.0.0.1:28181:80', '81']",
        "{{json .HostConfig.PortBindings}}",
        r#"{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"28181"}],"81/tcp":[{"HostIp":"","HostPort":""}]}"#,
        "ports: ['127.0.0.1:28182:80', '81']",
        "replace\n  ports   127.0.0.1:28181:80/tcp -> 127.0.0.1:28182:80/tcp",
        r#"{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"28182"}],"81/tcp":[{"HostIp":"","HostPort":""}]}"#,
    ),
    row(
        "binds",
        "binds: ['/etc/hostname:/h:ro']",
        "{{json .HostConfig.Binds}}",
        r#"["/etc/hostname:/h:ro"]"#,
        "binds: ['/etc/hostname:/h2:ro']",
        "replace\n  binds   /etc/hostname:/h:ro -> /etc/hostname:/h2:ro",
        r#"["/etc/hostname:/h2:ro"]"#,
    ),
    row(
        "mounts",
        "mounts: ['type=tmpfs,target=/m,tmpfs-size=1Mi']",
        "{{range .HostConfig.Mounts}}{{.Target}}{{end}}",
        "/m",
        "mounts: ['type=tmpfs,target=/n,tmpfs-size=1Mi']",
        "replace\n  mounts   type=tmpfs,target=/m,tmpfs-size=1Mi -> type=tmpfs,target=/n,tmpfs-size=1Mi",
        "/n",
    ),
    row(
        "tmpfs",
        "tmpfs: ['/run:size=64k']",
        "{{json .HostConfig.Tmpfs}}",
        r#"{"/run":"size=64k"}"#,
        "tmpfs: ['/run:size=128k']",
        "replace\n  tmpfs   /run:size=64k -> /run:size=128k",
        r#"{"/run":"size=128k"}"#,
    ),
    row(
        "readOnly",
        "readOnly: true",
        "{{.HostConfig.ReadonlyRootfs}}",
        "true",
        "readOnly: false",
        "replace\n  readOnly   true -> false",
        "false",
    ),
    row(
        "capAdd",
        "capAdd: [NET_ADMIN]",
        "{{len .HostConfig.CapAdd}}",
        "1",
        "capAdd: [NET_ADMIN, SYS_TIME]",
        "replace\n  capAdd   (none) -> SYS_TIME",
        "2",
    ),
    row(
        "capDrop",
        "capDrop: [CHOWN]",
        "{{len .HostConfig.CapDrop}}",
        "1",
        "capDrop: [KILL]",
        "replace\n  capDrop   CHOWN -> KILL",
        "1",
    ),
    row(
        "noNewPrivileges",
        "noNewPrivileges: true",
        "{{len .HostConfig.SecurityOpt}}",
        "1",
        "noNewPrivileges: false",
        "replace\n  noNewPrivileges   true -> false",
        "0",
    ),
    row(
        "resources.memory",
        "resources: {memory: 64Mi}",
        "{{.HostConfig.Memory}}",
        "67108864",
        "resources: {memory: 256Mi}",
        "update in place\n  resources.memory   64Mi -> 256Mi",
        "268435456",
    ),
    row(
        "resources.cpus",
        "resources: {cpus: 0.25}",
        "{{.HostConfig.NanoCpus}}",
        "250000000",
        "resources: {cpus: 0.5}",
        "update in place\n  resources.cpus   0.25 -> 0.5",
        "500000000",
    ),
    row(
        "resources.pidsLimit",
        "resources: {pidsLimit: 64}",
        "{{.HostConfig.PidsLimit}}",
        "64",
        "resources: {pidsLimit: 65}",
        "update in place\n  resources.pidsLimit   64 -> 65",
        "65",
    ),
    row(
        "restartPolicy",
        "restartPolicy: 'on-failure:3'",
        "{{.HostConfig.RestartPolicy.Name}}",
        "on-failure",
        "restartPolicy: unless-stopped",
        "update in place\n  restartPolicy   on-failure:3 -> unless-stopped",
        "unless-stopped",
    ),
    row(
        "stopSignal",
        "stopSignal: SIGINT",
        "{{.Config.StopSignal}}",
        "SIGINT",
        "stopSignal: SIGQUIT",
        "replace\n  stopSignal   SIGINT -> SIGQUIT",
        "SIGQUIT",
    ),
    row(
        "stopTimeout",
        "stopTimeout: 3s",
        "{{.Config.StopTimeout}}",
        "3",
        "stopTimeout: 4s",
        "replace\n  stopTimeout   3s -> 4s",
        "4",
    ),
    row(
        "healthcheck",
        "healthcheck: {test: [CMD, 'true'], interval: 1s}",
        "{{.Config.Healthcheck.Interval}}",
        "1s",
        "healthcheck: {test: [CMD, 'true'], interval: 2s}",
        "replace\n  healthcheck.interval   1s -> 2s",
        "2s",
    ),
];

/// Fields that other tests of this suite take through the same: `networks` in `lifecycle`.
const ELSEWHERE: [&str; 1] = ["networks"];

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
    format!("{{image: '{BUSYBOX}'{command}{signal}, {fields}}}")
}

async fn walk(row: &Row) {
    let host = Host::new("field").await;
    host.container("c", &spec(row, row.set));
    host.apply().await;
    assert_eq!(host.inspect("c", row.format), row.seen, "{}: set", row.name);
    host.container("c", &spec(row, row.change));
    let plan = host.apply().await;
    let verb = row.plan.split_once('\n').map_or(row.plan, |(verb, _)| verb);
    let counted = verb.split(' ').next().unwrap_or_default();
    assert_eq!(
        plan,
        format!("container/@c  {}\n\nPlan: 1 to {counted}; 0 unchanged.\n", row.plan),
        "{}: changed",
        row.name
    );
    assert_eq!(host.inspect("c", row.format), row.seen_then, "{}: after the change", row.name);
    assert_eq!(host.inspect("c", "{{.State.Running}}"), "true", "{}", row.name);
    host.container("c", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    host.apply().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_set_seen_changed_and_taken_away() {
    // Most of the time is waiting for successors to prove themselves.
    stream::iter(ROWS).map(walk).buffer_unordered(8).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_change_in_place_keep_the_container() {
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
