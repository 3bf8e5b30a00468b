//! Every field, on the engine: set, seen by Docker's own command, changed, and nothing left to do.

use futures_util::{StreamExt, stream};

use crate::support::{BUSYBOX, Host, docker, export, in_place, is_left_out, is_podman};

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
    row(
        "domainname",
        "domainname: exam.example",
        "{{.Config.Domainname}}",
        "exam.example",
        "domainname: lab.example",
        "replace\n  domainname   exam.example -> lab.example",
        "lab.example",
    ),
    row(
        "publishAll",
        "publishAll: true, expose: [80]",
        "{{.HostConfig.PublishAllPorts}}",
        "true",
        "publishAll: false, expose: [80]",
        "replace\n  publishAll   true -> false",
        "false",
    ),
    row(
        "expose",
        "expose: [80, 90/udp]",
        "{{json .Config.ExposedPorts}}",
        r#"{"80/tcp":{},"90/udp":{}}"#,
        "expose: [80, 91/udp]",
        "replace\n  expose   90/udp -> 91/udp",
        r#"{"80/tcp":{},"91/udp":{}}"#,
    ),
    row(
        "dns",
        "dns: [10.0.0.1, 10.0.0.2]",
        "{{.HostConfig.Dns}}",
        "[10.0.0.1 10.0.0.2]",
        "dns: [10.0.0.2, 10.0.0.1]",
        "replace\n  dns   [10.0.0.1, 10.0.0.2] -> [10.0.0.2, 10.0.0.1]",
        "[10.0.0.2 10.0.0.1]",
    ),
    row(
        "dnsSearch",
        "dnsSearch: [a.example]",
        "{{.HostConfig.DnsSearch}}",
        "[a.example]",
        "dnsSearch: [b.example]",
        "replace\n  dnsSearch   [a.example] -> [b.example]",
        "[b.example]",
    ),
    row(
        "dnsOptions",
        "dnsOptions: ['ndots:1']",
        "{{.HostConfig.DnsOptions}}",
        "[ndots:1]",
        "dnsOptions: ['ndots:2']",
        "replace\n  dnsOptions   [ndots:1] -> [ndots:2]",
        "[ndots:2]",
    ),
    row(
        "extraHosts",
        "extraHosts: ['db:10.0.0.5', 'up:host-gateway']",
        "{{len .HostConfig.ExtraHosts}}",
        "2",
        "extraHosts: ['db:10.0.0.6', 'up:host-gateway']",
        "replace\n  extraHosts   db:10.0.0.5 -> db:10.0.0.6",
        "2",
    ),
    row(
        "macAddress",
        "macAddress: '02:42:ac:11:aa:01'",
        "{{.Config.MacAddress}}",
        "02:42:ac:11:aa:01",
        "macAddress: '02:42:ac:11:aa:02'",
        "replace\n  macAddress   02:42:ac:11:aa:01 -> 02:42:ac:11:aa:02",
        "02:42:ac:11:aa:02",
    ),
    row(
        "volumes",
        "volumes: [/data]",
        "{{json .Config.Volumes}}",
        r#"{"/data":{}}"#,
        "volumes: [/data2]",
        "replace\n  volumes   /data -> /data2",
        r#"{"/data2":{}}"#,
    ),
    row(
        "volumeDriver",
        "volumeDriver: local",
        "{{.HostConfig.VolumeDriver}}",
        "local",
        "tty: true",
        "replace\n  tty            false -> true\n  volumeDriver   local -> (none)",
        "",
    ),
    row(
        "shmSize",
        "shmSize: 16Mi",
        "{{.HostConfig.ShmSize}}",
        "16777216",
        "shmSize: 32Mi",
        "replace\n  shmSize   16Mi -> 32Mi",
        "33554432",
    ),
    row(
        "resources.memoryReservation",
        "resources: {memoryReservation: 16Mi}",
        "{{.HostConfig.MemoryReservation}}",
        "16777216",
        "resources: {memoryReservation: 32Mi}",
        "update in place\n  resources.memoryReservation   16Mi -> 32Mi",
        "33554432",
    ),
    row(
        "resources.memorySwap",
        "resources: {memory: 64Mi, memorySwap: 64Mi}",
        "{{.HostConfig.MemorySwap}}",
        "67108864",
        "resources: {memory: 64Mi, memorySwap: 96Mi}",
        "update in place\n  resources.memorySwap   64Mi -> 96Mi",
        "100663296",
    ),
    row(
        "resources.memorySwappiness",
        "resources: {memorySwappiness: 10}",
        "{{.HostConfig.MemorySwappiness}}",
        "10",
        "resources: {memorySwappiness: 20}",
        "replace\n  resources.memorySwappiness   10 -> 20",
        "20",
    ),
    row(
        "resources.cpuShares",
        "resources: {cpuShares: 512}",
        "{{.HostConfig.CpuShares}}",
        "512",
        "resources: {cpuShares: 256}",
        "update in place\n  resources.cpuShares   512 -> 256",
        "256",
    ),
    row(
        "resources.cpuPeriod",
        "resources: {cpuPeriod: 50000, cpuQuota: 25000}",
        "{{.HostConfig.CpuPeriod}}",
        "50000",
        "resources: {cpuPeriod: 60000, cpuQuota: 25000}",
        "update in place\n  resources.cpuPeriod   50000 -> 60000",
        "60000",
    ),
    row(
        "resources.cpuQuota",
        "resources: {cpuQuota: 50000}",
        "{{.HostConfig.CpuQuota}}",
        "50000",
        "resources: {cpuQuota: 60000}",
        "update in place\n  resources.cpuQuota   50000 -> 60000",
        "60000",
    ),
    row(
        "resources.cpusetCpus",
        "resources: {cpusetCpus: '0'}",
        "{{.HostConfig.CpusetCpus}}",
        "0",
        "resources: {cpusetCpus: '0-1'}",
        "update in place\n  resources.cpusetCpus   0 -> 0-1",
        "0-1",
    ),
    row(
        "resources.cpusetMems",
        "resources: {cpusetMems: '0'}",
        "{{.HostConfig.CpusetMems}}",
        "0",
        "tty: true",
        "replace\n  tty                    false -> true\n  resources.cpusetMems   0 -> (none)",
        "",
    ),
    row(
        "resources.ulimits",
        "resources: {ulimits: ['nofile=1024:2048']}",
        "{{json .HostConfig.Ulimits}}",
        r#"[{"Name":"nofile","Hard":2048,"Soft":1024}]"#,
        "resources: {ulimits: ['nofile=1024']}",
        "replace\n  resources.ulimits   nofile=1024:2048 -> nofile=1024:1024",
        r#"[{"Name":"nofile","Hard":1024,"Soft":1024}]"#,
    ),
    row(
        "resources.oomScoreAdj",
        "resources: {oomScoreAdj: 100}",
        "{{.HostConfig.OomScoreAdj}}",
        "100",
        "resources: {oomScoreAdj: 200}",
        "replace\n  resources.oomScoreAdj   100 -> 200",
        "200",
    ),
    row(
        "resources.devices",
        "resources: {devices: ['/dev/null:/dev/nought:r']}",
        "{{range .HostConfig.Devices}}{{.PathInContainer}} {{.CgroupPermissions}}{{end}}",
        "/dev/nought r",
        "resources: {devices: ['/dev/null:/dev/nought:rw']}",
        "replace\n  resources.devices   /dev/null:/dev/nought:r -> /dev/null:/dev/nought:rw",
        "/dev/nought rw",
    ),
    row(
        "resources.deviceCgroupRules",
        "resources: {deviceCgroupRules: ['c 1:3 mr']}",
        "{{.HostConfig.DeviceCgroupRules}}",
        "[c 1:3 mr]",
        "resources: {deviceCgroupRules: ['c 1:3 mrw']}",
        "replace\n  resources.deviceCgroupRules   c 1:3 mr -> c 1:3 mrw",
        "[c 1:3 mrw]",
    ),
    row(
        "securityOpt",
        "securityOpt: [apparmor=unconfined, seccomp=unconfined]",
        "{{len .HostConfig.SecurityOpt}}",
        "2",
        "securityOpt: [apparmor=unconfined]",
        "replace\n  securityOpt   seccomp=unconfined -> (none)",
        "1",
    ),
    row(
        "groupAdd",
        "groupAdd: ['1000']",
        "{{.HostConfig.GroupAdd}}",
        "[1000]",
        "groupAdd: ['1001']",
        "replace\n  groupAdd   1000 -> 1001",
        "[1001]",
    ),
    row(
        "usernsMode",
        "usernsMode: host",
        "{{.HostConfig.UsernsMode}}",
        "host",
        "tty: true",
        "replace\n  tty          false -> true\n  usernsMode   host -> (none)",
        "",
    ),
    row(
        "ipcMode",
        "ipcMode: none",
        "{{.HostConfig.IpcMode}}",
        "none",
        "ipcMode: shareable",
        "replace\n  ipcMode   none -> shareable",
        "shareable",
    ),
    row(
        "pidMode",
        "pidMode: host",
        "{{.HostConfig.PidMode}}",
        "host",
        "tty: true",
        "replace\n  tty       false -> true\n  pidMode   host -> (none)",
        "",
    ),
    row(
        "utsMode",
        "utsMode: host",
        "{{.HostConfig.UTSMode}}",
        "host",
        "tty: true",
        "replace\n  tty       false -> true\n  utsMode   host -> (none)",
        "",
    ),
    row(
        "cgroupnsMode",
        "cgroupnsMode: private",
        "{{.HostConfig.CgroupnsMode}}",
        "private",
        "cgroupnsMode: host",
        "replace\n  cgroupnsMode   private -> host",
        "host",
    ),
    row(
        "cgroupParent",
        "cgroupParent: /invigil-a",
        "{{.HostConfig.CgroupParent}}",
        "/invigil-a",
        "cgroupParent: /invigil-b",
        "replace\n  cgroupParent   /invigil-a -> /invigil-b",
        "/invigil-b",
    ),
    row(
        "sysctls",
        "sysctls: {net.ipv4.ip_forward: '1', net.ipv4.ip_default_ttl: '60'}",
        "{{json .HostConfig.Sysctls}}",
        r#"{"net.ipv4.ip_default_ttl":"60","net.ipv4.ip_forward":"1"}"#,
        "sysctls: {net.ipv4.ip_forward: '1', net.ipv4.ip_default_ttl: '61'}",
        "replace\n  sysctls.net.ipv4.ip_default_ttl   60 -> 61",
        r#"{"net.ipv4.ip_default_ttl":"61","net.ipv4.ip_forward":"1"}"#,
    ),
    row(
        "runtime",
        "runtime: io.containerd.runc.v2",
        "{{.HostConfig.Runtime}}",
        "io.containerd.runc.v2",
        "runtime: runc",
        "replace\n  runtime   io.containerd.runc.v2 -> runc",
        "runc",
    ),
    row(
        "logging",
        "logging: {driver: json-file, options: {max-size: 1m}}",
        "{{json .HostConfig.LogConfig}}",
        r#"{"Type":"json-file","Config":{"max-size":"1m"}}"#,
        "logging: {driver: json-file, options: {max-size: 2m}}",
        "replace\n  logging.options.max-size   1m -> 2m",
        r#"{"Type":"json-file","Config":{"max-size":"2m"}}"#,
    ),
    row(
        "platform",
        "platform: linux/amd64",
        "{{.Platform}}",
        "linux",
        "tty: true",
        "replace\n  tty        false -> true\n  platform   linux/amd64 -> (none)",
        "linux",
    ),
    row(
        "privileged",
        "privileged: true",
        "{{.HostConfig.Privileged}}",
        "true",
        "privileged: false",
        "replace\n  privileged   true -> false",
        "false",
    ),
    row(
        "resources.deviceReadBps",
        "resources: {deviceReadBps: ['/dev/loop0:1mb']}",
        "{{(index .HostConfig.BlkioDeviceReadBps 0).Rate}}",
        "1048576",
        "resources: {deviceReadBps: ['/dev/loop0:2mb']}",
        "replace\n  resources.deviceReadBps   /dev/loop0:1Mi -> /dev/loop0:2Mi",
        "2097152",
    ),
    row(
        "resources.deviceWriteBps",
        "resources: {deviceWriteBps: ['/dev/loop0:1mb']}",
        "{{(index .HostConfig.BlkioDeviceWriteBps 0).Rate}}",
        "1048576",
        "resources: {deviceWriteBps: ['/dev/loop0:2mb']}",
        "replace\n  resources.deviceWriteBps   /dev/loop0:1Mi -> /dev/loop0:2Mi",
        "2097152",
    ),
    row(
        "resources.deviceReadIops",
        "resources: {deviceReadIops: ['/dev/loop0:100']}",
        "{{(index .HostConfig.BlkioDeviceReadIOps 0).Rate}}",
        "100",
        "resources: {deviceReadIops: ['/dev/loop0:200']}",
        "replace\n  resources.deviceReadIops   /dev/loop0:100 -> /dev/loop0:200",
        "200",
    ),
    row(
        "resources.deviceWriteIops",
        "resources: {deviceWriteIops: ['/dev/loop0:100']}",
        "{{(index .HostConfig.BlkioDeviceWriteIOps 0).Rate}}",
        "100",
        "resources: {deviceWriteIops: ['/dev/loop0:200']}",
        "replace\n  resources.deviceWriteIops   /dev/loop0:100 -> /dev/loop0:200",
        "200",
    ),
    row(
        "resources.deviceRequests",
        "resources: {deviceRequests: [{count: 1, capabilities: [[gpu]]}]}",
        "{{(index .HostConfig.DeviceRequests 0).Count}}",
        "1",
        "resources: {deviceRequests: [{count: -1, capabilities: [[gpu]]}]}",
        "replace\n  resources.deviceRequests   [{\"capabilities\":[[\"gpu\"]],\"count\":1}] -> [{\"capabilities\":[[\"gpu\"]],\"count\":-1}]",
        "-1",
    ),
];

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
    let plan = host.apply().await;
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

/// What a kernel has no means for, the engine leaves out with a warning. That is no difference: a new
/// container would be no other.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_kernel_cannot_do_is_no_difference() {
    let host = Host::new("kernel").await;
    let one = format!("image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL, state: created");
    host.container(
        "c",
        &format!("{{{one}, resources: {{memory: 64Mi, blkioWeight: 300, oomKillDisable: true, blkioWeightDevice: ['/dev/loop0:200']}}}}"),
    );
    host.apply().await;
    host.container("c", &format!("{{{one}}}"));
    host.apply().await;
    assert_eq!(host.inspect("c", "{{.HostConfig.BlkioWeight}} {{.HostConfig.Memory}}"), "0 0");
}

/// No engine here has a storage driver with quotas. That it is asked for one is seen by its refusal, or,
/// with containerd's image store, which takes any option, by what it says of the container.
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
