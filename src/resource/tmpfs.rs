//! Memory mounted into containers. In: Docker's `--tmpfs` notation. Out: [`Tmpfs`].

use std::fmt;

use super::mount::container_path;
use super::notation::{NoLongForm, Notation, notation};

/// Memory mounted into a container, in Docker's `--tmpfs` notation: `/run:size=64m`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tmpfs {
    /// Where in the container; absolute.
    pub target: String,
    /// The mount's options, as Docker takes them.
    pub options: String,
}

/// What engines take as options of a tmpfs (moby, `pkg/mount` and `volume/mounts`; Podman, `pkg/util`): they refuse others at the start.
const TMPFS_SETTINGS: [&str; 7] = ["gid", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"];
const TMPFS_FLAGS: [&str; 35] = [
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "notmpcopyup",
    "private",
    "rbind",
    "relatime",
    "remount",
    "ro",
    "rprivate",
    "rshared",
    "rslave",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "sync",
    "tmpcopyup",
    "unbindable",
];

impl Notation for Tmpfs {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a tmpfs like \"/run:size=64m\"";

    fn parse(text: &str) -> Result<Self, String> {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        if !options.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '=' | ',' | '_' | '-' | '%')) {
            return Err(format!("`{}` are not options of a tmpfs", options.escape_debug()));
        }
        let unknown = options.split(',').filter(|option| !option.is_empty()).find(|option| {
            match option.split_once('=') {
                Some((key, _)) => !TMPFS_SETTINGS.contains(&key),
                None => !TMPFS_FLAGS.contains(option),
            }
        });
        if let Some(option) = unknown {
            return Err(format!("`{option}` is not an option of a tmpfs (like size=64m, mode=1777, noexec)"));
        }
        Ok(Self { target: container_path(target)?, options: options.to_owned() })
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for Tmpfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target)?;
        if self.options.is_empty() { Ok(()) } else { write!(f, ":{}", self.options) }
    }
}

notation!(Tmpfs, "Tmpfs", "Memory mounted into the container: `/run` or `/run:size=64m,mode=1777`.");
