//! Containers. In: manifests, and the specs kept in labels. Out: [`ContainerSpec`]. What each field
//! is to the engine stands in `fields`, not here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::Duration;
use super::env::{TextMap, check_key};
use super::health::Healthcheck;
use super::mount::{Bind, Mount, Tmpfs};
use super::name::Name;
use super::network::{NetworkAttachment, NetworkMode};
use super::notation::{Notation, notation};
use super::port::PortMapping;
use super::quantity::{ByteSize, Cpus};
use super::reference::ImageReference;
use super::restart::RestartPolicy;
use super::violation::{FieldPath, Violation};

/// A container, as its manifest describes it. What is left out comes from the image, then from the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerSpec {
    /// The image it runs. Pulled if it is absent and no Image manifest bears this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageReference>,
    /// The problem set it serves, instead of `image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem_set: Option<Name>,
    /// The program, instead of the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The program's arguments, instead of the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Environment variables, on top of the image's.
    #[serde(skip_serializing_if = "TextMap::is_empty")]
    pub env: TextMap,
    /// Files of `KEY=value` lines, relative to this file; `env` has precedence, later files over earlier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_files: Vec<String>,
    /// The directory in which the program starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// The user, `name`, `uid` or `uid:gid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The host name inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Labels, on top of the image's.
    #[serde(skip_serializing_if = "TextMap::is_empty")]
    pub labels: TextMap,
    /// Ports published on the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortMapping>,
    /// Paths of the host and volumes, in Docker's `-v` notation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<Bind>,
    /// Mounts, in Docker's `--mount` notation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Memory mounted into the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<Tmpfs>,
    /// When the engine restarts it by itself; `no` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Its network namespace; the first of `networks`, else `bridge`, by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// The networks it joins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkAttachment>,
    /// Whether a small init process reaps its children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Whether it gets a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    /// Whether its standard input stays open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin_open: Option<bool>,
    /// What it may use of the host.
    #[serde(skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// Whether its root file system is read-only; `true` by default for a problem set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Capabilities added to the engine's default ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_add: Option<Vec<Capability>>,
    /// Capabilities taken from the engine's default ones; `[ALL]` by default for a problem set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_drop: Option<Vec<Capability>>,
    /// Whether its processes can never gain privileges; `true` by default for a problem set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,
    /// How the engine finds out whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The signal that asks it to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How long it may take to stop before it is killed; whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<Duration>,
    /// What it should be doing.
    #[serde(skip_serializing_if = "State::is_running")]
    pub state: State,
    /// The containers that have to be up before this one starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
}

/// What a container should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Its program runs.
    #[default]
    Running,
    /// It exists, its program does not run.
    Stopped,
    /// It exists; nobody but an operator starts it.
    Created,
}

impl State {
    /// The manifest's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Created => "created",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
    fn is_running(&self) -> bool {
        *self == Self::Running
    }
}

/// What a container may use of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// The most memory it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// How many CPUs' time it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// How many processes it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<u32>,
}

impl Resources {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A Linux capability, as the engine names it: `NET_ADMIN`, or `ALL`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(String);

impl Capability {
    /// The name without `CAP_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every capability at once.
    pub fn all() -> Self {
        Self("ALL".to_owned())
    }
}

impl Notation for Capability {
    type Long = super::notation::NoLongForm;
    const EXPECTED: &'static str = "a capability like NET_ADMIN";

    fn parse(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if name == "ALL" || CAPABILITIES.contains(&name) {
            return Ok(Self(name.to_owned()));
        }
        Err(format!("`{}` is not a capability (like NET_ADMIN, or ALL)", text.escape_debug()))
    }

    fn from_long(long: Self::Long) -> Result<Self, String> {
        match long {}
    }
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

notation!(Capability, "Capability", "A Linux capability, like `NET_ADMIN`, or `ALL`.");

/// capabilities(7), as of Linux 6.1.
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];

/// A container that has to be up first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The container.
    pub container: Name,
    /// How far it has to be.
    pub condition: Condition,
}

/// How far a container has to be before those that depend on it start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// It runs.
    #[default]
    Started,
    /// Its health check succeeds.
    Healthy,
}

/// The long form of a dependency.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DependencyForm {
    /// The container's name.
    container: Name,
    /// How far it has to be.
    #[serde(default)]
    condition: Condition,
}

impl Notation for Dependency {
    type Long = DependencyForm;
    const EXPECTED: &'static str = "a container's name";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { container: text.parse()?, condition: Condition::Started })
    }

    fn from_long(long: DependencyForm) -> Result<Self, String> {
        Ok(Self { container: long.container, condition: long.condition })
    }
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::notation::deserialize(deserializer)
    }
}

impl Serialize for Dependency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DependencyForm { container: self.container.clone(), condition: self.condition }.serialize(serializer)
    }
}

impl JsonSchema for Dependency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dependency".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A container that has to be up first: its name, or written out.",
            "anyOf": [generator.subschema_for::<Name>(), generator.subschema_for::<DependencyForm>()],
        })
    }
}

impl ContainerSpec {
    /// Every rule that the spec breaks by itself, with paths from the spec.
    pub fn check(&self) -> Vec<Violation> {
        let root = FieldPath::root();
        let mut violations = super::label::check(&root.key("labels"), &self.labels);
        match (&self.image, &self.problem_set) {
            (None, None) => {
                violations.push(Violation::error(root.clone(), "a container needs an image or a problemSet"));
            }
            (Some(_), Some(_)) => {
                violations.push(Violation::error(
                    root.key("problemSet"),
                    "image and problemSet exclude each other",
                ));
            }
            _ => {}
        }
        for key in self.env.0.keys() {
            if let Err(message) = check_key(key) {
                violations.push(Violation::error(root.key("env").key(key), message));
            }
        }
        violations.extend(self.check_texts(&root));
        violations.extend(self.check_targets(&root));
        violations.extend(self.check_network(&root));
        violations.extend(self.check_limits(&root));
        violations
    }

    fn check_texts(&self, root: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        let nul = |text: &String| text.contains('\0');
        if self.entrypoint.iter().chain(&self.command).flatten().chain(self.env.0.values()).any(nul) {
            violations.push(Violation::error(root.clone(), "a NUL character cannot be passed to a program"));
        }
        if let Some(dir) = self.working_dir.as_ref().filter(|dir| !dir.starts_with('/')) {
            violations.push(Violation::error(
                root.key("workingDir"),
                format!("`{}` is not an absolute path in the container", dir.escape_debug()),
            ));
        }
        // RFC 1123, and what the kernel takes.
        let hostname_ok = |name: &String| {
            (1..=64).contains(&name.len())
                && name.split('.').all(|label| {
                    !label.is_empty()
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                })
        };
        if let Some(name) = self.hostname.as_ref().filter(|name| !hostname_ok(name)) {
            violations.push(Violation::error(
                root.key("hostname"),
                format!("`{}` is not a host name", name.escape_debug()),
            ));
        }
        if let Some(signal) = self.stop_signal.as_ref().filter(|signal| !is_signal(signal)) {
            violations.push(Violation::error(
                root.key("stopSignal"),
                format!("`{}` is not a signal (like SIGTERM)", signal.escape_debug()),
            ));
        }
        violations
    }

    fn check_targets(&self, root: &FieldPath) -> Vec<Violation> {
        let mut seen = std::collections::BTreeMap::new();
        let targets = (self.binds.iter().map(|bind| &bind.target).enumerate().map(|(i, t)| ("binds", i, t)))
            .chain(self.mounts.iter().map(|mount| &mount.target).enumerate().map(|(i, t)| ("mounts", i, t)))
            .chain(self.tmpfs.iter().map(|tmpfs| &tmpfs.target).enumerate().map(|(i, t)| ("tmpfs", i, t)));
        targets
            .filter_map(|(field, index, target)| {
                let first = seen.insert(target, (field, index))?;
                Some(Violation::error(
                    root.key(field).index(index),
                    format!("`{}` is already the target of {}[{}]", target.escape_debug(), first.0, first.1),
                ))
            })
            .collect()
    }

    fn check_network(&self, root: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        let own_namespace = match &self.network_mode {
            Some(mode @ (NetworkMode::Host | NetworkMode::None | NetworkMode::Container(_))) => Some(mode),
            _ => None,
        };
        if let Some(mode) = own_namespace {
            if !self.ports.is_empty() {
                violations.push(
                    Violation::error(
                        root.key("ports"),
                        format!("ports cannot be published with networkMode {mode}"),
                    )
                    .with_hint("take the ports away: the program's own ports are what others reach"),
                );
            }
            if !self.networks.is_empty() {
                violations.push(Violation::error(
                    root.key("networks"),
                    format!("no network can be joined with networkMode {mode}"),
                ));
            }
            if self.hostname.is_some() && matches!(mode, NetworkMode::Container(_)) {
                violations.push(Violation::error(
                    root.key("hostname"),
                    format!("the host name is the other container's with networkMode {mode}"),
                ));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for (index, attachment) in self.networks.iter().enumerate() {
            if !seen.insert(&attachment.name) {
                violations.push(Violation::error(
                    root.key("networks").index(index),
                    format!("the network {} is joined twice", attachment.name),
                ));
            }
        }
        let published: Vec<(usize, super::port::PublishedPort)> = self
            .ports
            .iter()
            .enumerate()
            .flat_map(|(index, mapping)| mapping.published().map(move |port| (index, port)))
            .collect();
        let mut by_port: std::collections::HashMap<u16, Vec<&(usize, super::port::PublishedPort)>> =
            std::collections::HashMap::new();
        for entry in &published {
            let Some(host) = entry.1.host else { continue };
            let same = by_port.entry(host).or_default();
            if same.iter().any(|other| other.1.collides_with(&entry.1)) {
                violations.push(Violation::error(
                    root.key("ports").index(entry.0),
                    format!("port {host} of the host is published twice"),
                ));
            }
            same.push(entry);
        }
        violations
    }

    fn check_limits(&self, root: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        let resources = root.key("resources");
        if let Some(memory) = self.resources.memory.filter(|memory| memory.bytes() < MEMORY_MIN) {
            violations.push(Violation::error(
                resources.key("memory"),
                format!("{memory} is less than the engine's least, 6Mi"),
            ));
        }
        if self.resources.cpus.is_some_and(|cpus| cpus.nanos() < 10_000_000) {
            violations.push(Violation::error(resources.key("cpus"), "the engine's least is 0.01"));
        }
        if self.resources.pids_limit == Some(0) {
            violations.push(
                Violation::error(resources.key("pidsLimit"), "0 processes cannot run a program")
                    .with_hint("leave pidsLimit out for no limit"),
            );
        }
        if self.stop_timeout.is_some_and(|timeout| timeout.nanos() % 1_000_000_000 != 0) {
            violations
                .push(Violation::error(root.key("stopTimeout"), "the engine counts whole seconds here"));
        }
        // The engine's rule for every duration of a health check.
        if let Some(check) = &self.healthcheck {
            let durations = [
                ("interval", check.interval),
                ("timeout", check.timeout),
                ("startPeriod", check.start_period),
            ];
            for (key, duration) in durations {
                if duration.is_some_and(|duration| duration.nanos() != 0 && duration.nanos() < 1_000_000) {
                    violations.push(Violation::error(
                        root.key("healthcheck").key(key),
                        "the engine's least is 1ms",
                    ));
                }
            }
        }
        violations
    }
}

/// The engine's least memory for a container (6 MiB since 20.10).
const MEMORY_MIN: u64 = 6 << 20;

/// A signal's number (1 to 64) or its name with or without `SIG` (signal(7), without the real-time range).
fn is_signal(text: &str) -> bool {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let name = text.strip_prefix("SIG").unwrap_or(text);
    NAMES.contains(&name)
        || name.starts_with("RTMIN")
        || name.starts_with("RTMAX")
        || text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_reads_back_its_canonical_form() {
        let text = r#"{
            "image": "nginx:1.14", "env": ["A=1"], "ports": ["80:80", {"container": 81}],
            "binds": ["/a:/b:ro"], "restartPolicy": {"name": "on-failure", "maximumRetryCount": 3},
            "networks": ["exam", {"name": "lab", "aliases": ["b", "a"]}], "dependsOn": ["db"],
            "resources": {"memory": "64Mi", "cpus": 0.25}, "capDrop": ["cap_net_raw"], "stopTimeout": "5s",
            "healthcheck": {"test": "true", "interval": "2s"}
        }"#;
        let spec: ContainerSpec = serde_json::from_str(text).expect("a spec");
        let canonical = crate::resource::digest::canonical_json(&spec).expect("JSON");
        assert_eq!(serde_json::from_str::<ContainerSpec>(&canonical).expect("a spec"), spec);
        assert_eq!(spec.check(), []);
    }

    #[test]
    fn every_broken_rule_is_told_at_once() {
        let text = r#"{
            "env": {"A B": "1"}, "workingDir": "x", "hostname": "a_b", "stopSignal": "SIGFOO",
            "binds": ["/a:/t"], "tmpfs": ["/t"], "networkMode": "host", "ports": ["80:80"],
            "resources": {"memory": "1k", "pidsLimit": 0}, "labels": {"io.invigil.owner": "x"}
        }"#;
        let spec: ContainerSpec = serde_json::from_str(text).expect("a spec");
        let told: Vec<String> = spec
            .check()
            .into_iter()
            .map(|violation| format!("{}: {}", violation.path, violation.message))
            .collect();
        assert_eq!(
            told,
            [
                "labels.io.invigil.owner: labels that begin with io.invigil. are Invigil's own",
                ": a container needs an image or a problemSet",
                "env.A B: `A B` is not a variable's name",
                "workingDir: `x` is not an absolute path in the container",
                "hostname: `a_b` is not a host name",
                "stopSignal: `SIGFOO` is not a signal (like SIGTERM)",
                "tmpfs[0]: `/t` is already the target of binds[0]",
                "ports: ports cannot be published with networkMode host",
                "resources.memory: 1Ki is less than the engine's least, 6Mi",
                "resources.pidsLimit: 0 processes cannot run a program",
            ]
        );
    }
}
