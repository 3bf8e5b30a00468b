//! The rules for what a container asks of the kernel. They are the runtime's own (runc, `sysctl.go`; moby, `mount/flags.go`), said
//! before anything is stopped for a container that would not start.

use crate::resource::container::ContainerSpec;
use crate::resource::namespace::{HostMode, IpcMode};
use crate::resource::network::NetworkMode;
use crate::resource::violation::{FieldPath, Violation};

/// Parameters of the namespace of inter-process communication.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

impl ContainerSpec {
    /// Kernel parameters that a container has not for itself.
    pub(super) fn check_sysctls(&self, root: &FieldPath) -> Vec<Violation> {
        // Another runtime has rules of its own.
        if self.runtime.is_some() {
            return Vec::new();
        }
        let network = self.network_mode != Some(NetworkMode::Host);
        let ipc = self.ipc_mode != Some(IpcMode::Host);
        let refused = |key: &String| {
            let key = key.replace('/', ".");
            let of_network = key.starts_with("net.");
            let of_ipc = IPC.contains(&key.as_str()) || key.starts_with("fs.mqueue.");
            match (of_network, of_ipc) {
                (true, _) if network => None,
                (_, true) if ipc => None,
                (true, _) => Some("it cannot be set with networkMode host"),
                (_, true) => Some("it cannot be set with ipcMode host"),
                (false, false) if key == "kernel.domainname" && self.uts_mode != Some(HostMode::Host) => None,
                (false, false) if key == "kernel.hostname" => Some("`hostname` sets it"),
                (false, false) => Some(
                    "no container has this parameter for itself: those have `net.`, `fs.mqueue.` and a few of `kernel.`",
                ),
            }
        };
        let keys = self.sysctls.0.keys();
        keys.filter_map(|key| Some(Violation::error(root.key("sysctls").key(key), refused(key)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::resource::container::ContainerSpec;

    #[test]
    fn only_what_a_container_has_for_itself_is_set_in_it() {
        let told = |spec: &str| {
            let spec: ContainerSpec = serde_json::from_str(spec).expect("a spec");
            spec.check()
                .iter()
                .map(|violation| format!("{}: {}", violation.path, violation.message))
                .collect::<Vec<_>>()
        };
        let own = r#""sysctls": {"net.core.somaxconn": "1", "net/ipv4/ip_forward": "1", "kernel.sem": "1", "kernel.domainname": "x"}"#;
        assert_eq!(told(&format!(r#"{{"image": "a1", {own}}}"#)), Vec::<String>::new());
        let refused = told(&format!(
            r#"{{"image": "a1", "networkMode": "host", "ipcMode": "host", "utsMode": "host", {own}}}"#
        ));
        assert_eq!(refused.len(), 4, "{refused:?}");
        let host = told(r#"{"image": "a1", "sysctls": {"vm.overcommit_memory": "1"}}"#);
        assert!(
            host.len() == 1 && host[0].contains("no container has this parameter for itself"),
            "{host:?}"
        );
    }
}
