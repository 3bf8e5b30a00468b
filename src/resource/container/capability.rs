//! Linux capabilities. In: their names, with or without `CAP_`. Out: [`Capability`].

use crate::resource::notation::{NoLongForm, Notation, notation};

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
    type Long = NoLongForm;
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
