//! The rules that a container's spec can break by itself. In: a spec. Out: violations with paths from it.
//! Never looks at other manifests or at the host.

mod files;
mod kernel;
mod limits;
mod network;

use std::collections::BTreeMap;

use super::{ContainerSpec, State};
use crate::resource::env::check_key;
use crate::resource::label;
use crate::resource::port::PortMapping;
use crate::resource::restart::RestartPolicy;
use crate::resource::signal::is_signal;
use crate::resource::violation::{FieldPath, Violation};

/// The longest that a container may take to stop, in seconds. One call of the engine stops, and after the timeout
/// kills: it is waited for for an hour (`engine::PATIENCE_MAX`).
const STOP_TIMEOUT_MAX: u64 = 55 * 60;

impl ContainerSpec {
    /// Every rule that the spec breaks by itself, with paths from the spec.
    pub fn check(&self) -> Vec<Violation> {
        let root = FieldPath::root();
        let mut violations = label::check(&root.key("labels"), &self.labels);
        match (&self.image, &self.problem_set) {
            (None, None) => {
                violations.push(
                    Violation::error(root.clone(), "a container needs an image or a problemSet")
                        .concluded_from([root.key("image"), root.key("problemSet")]),
                );
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
        violations.extend(self.check_files(&root));
        violations.extend(self.check_sysctls(&root));
        violations.extend(self.check_network(&root));
        violations.extend(self.resources.check(&root.key("resources")));
        violations.extend(self.check_times(&root));
        violations.extend(self.check_lifecycle(&root));
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
        // Which users there are, the image says.
        if self.user.as_ref().is_some_and(|user| user.contains(char::is_control)) {
            violations.push(Violation::error(root.key("user"), "it is not printable"));
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
        if let Some(name) = self.domainname.as_ref().filter(|name| !hostname_ok(name)) {
            violations.push(Violation::error(
                root.key("domainname"),
                format!("`{}` is not a domain name", name.escape_debug()),
            ));
        }
        let words = [
            ("volumeDriver", &self.volume_driver),
            ("cgroupParent", &self.cgroup_parent),
            ("runtime", &self.runtime),
            ("restartToken", &self.restart_token),
        ];
        for (field, word) in words {
            if word.as_ref().is_some_and(|word| word.is_empty() || word.contains(char::is_control)) {
                violations.push(Violation::error(root.key(field), "it is empty, or not printable"));
            }
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
        let mut seen = BTreeMap::new();
        let targets = (self.binds.iter().map(|bind| &bind.target).enumerate().map(|(i, t)| ("binds", i, t)))
            .chain(self.mounts.iter().map(|mount| &mount.target).enumerate().map(|(i, t)| ("mounts", i, t)))
            .chain(self.tmpfs.iter().map(|tmpfs| &tmpfs.target).enumerate().map(|(i, t)| ("tmpfs", i, t)))
            .chain(
                self.resources
                    .devices
                    .iter()
                    .map(|device| &device.container)
                    .enumerate()
                    .map(|(i, t)| ("resources.devices", i, t)),
            );
        targets
            .filter_map(|(field, index, target)| {
                let first = seen.insert(target, (field, index))?;
                let list = |field: &str| field.split('.').fold(root.clone(), |path, key| path.key(key));
                Some(
                    Violation::error(
                        list(field).index(index),
                        format!(
                            "`{}` is already the target of {}[{}]",
                            target.escape_debug(),
                            first.0,
                            first.1
                        ),
                    )
                    .concluded_from([list(first.0)]),
                )
            })
            .collect()
    }

    fn check_lifecycle(&self, root: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        let again = matches!(self.restart_policy, Some(RestartPolicy::Always | RestartPolicy::UnlessStopped));
        if self.state == State::Completed && again {
            violations.push(
                Violation::error(root.key("restartPolicy"), "a container whose state is completed runs once")
                    .with_hint("on-failure:N tries again when it fails"),
            );
        }
        if self.update.starts_first() {
            let order = root.key("update").key("order");
            let fixed_port = self.ports.iter().any(PortMapping::is_fixed);
            let fixed_address = self.mac_address.is_some()
                || self.networks.iter().any(|one| one.ipv4_address.is_some() || one.ipv6_address.is_some());
            let held = [(fixed_port, "ports of the host"), (fixed_address, "addresses")];
            for (_, what) in held.into_iter().filter(|(fixed, _)| *fixed) {
                violations.push(Violation::error(
                    order.clone(),
                    format!(
                        "startFirst is not for containers with fixed {what}: two cannot hold them at once"
                    ),
                ));
            }
        }
        violations
    }

    fn check_times(&self, root: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        if self.stop_timeout.is_some_and(|timeout| timeout.nanos() % 1_000_000_000 != 0) {
            violations
                .push(Violation::error(root.key("stopTimeout"), "the engine counts whole seconds here"));
        }
        if self.stop_timeout.is_some_and(|timeout| timeout.seconds() > STOP_TIMEOUT_MAX) {
            let message = "longer than 55m: one call of the engine is not waited for that long";
            violations.push(Violation::error(root.key("stopTimeout"), message));
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
