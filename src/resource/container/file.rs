//! Files that go into a container before it starts, and what is taken out of it before it goes. In:
//! manifests. Out: [`File`], [`PlacedFile`], [`Collect`]. Never reads or writes a file.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::digest::sha256_hex;
use crate::resource::mount::{ContainerPath, Mode};
use crate::resource::notation::{NoLongForm, Notation, notation};
use crate::resource::signal::is_signal;

/// A file that is put into a container's own file system before it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// Where it stands in the container. Directories on the way are made.
    pub path: ContainerPath,
    /// Its text; or else `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The file that it is a copy of, relative to this one; at most 8Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its permissions; `"0644"` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whose it is, by number; `"0:0"` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<FileOwner>,
    /// What happens to a running container when the file changes.
    #[serde(default, skip_serializing_if = "OnChange::is_replace")]
    pub on_change: OnChange,
}

/// Whose a file is. Shown as `1000:1000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileOwner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Notation for FileOwner {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a user and a group by number, like \"1000:1000\"";

    fn parse(text: &str) -> Result<Self, String> {
        let (uid, gid) = text.split_once(':').unwrap_or((text, text));
        match (uid.parse(), gid.parse()) {
            (Ok(uid), Ok(gid)) => Ok(Self { uid, gid }),
            _ => {
                Err(format!("`{}` is not a user and a group by number (like 1000:1000)", text.escape_debug()))
            }
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for FileOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

notation!(FileOwner, "FileOwner", "A user and a group by number: `\"1000:1000\"`; `\"1000\"` is both.");

/// What happens to a running container when a file in it changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum OnChange {
    /// A new container takes its place.
    #[default]
    Replace,
    /// The file is put in, and the container restarted.
    Restart,
    /// The file is put in, and the program gets this signal.
    Signal(String),
}

impl OnChange {
    fn is_replace(&self) -> bool {
        *self == Self::Replace
    }
}

impl Notation for OnChange {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "replace, restart or a signal like SIGHUP";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "replace" => Ok(Self::Replace),
            "restart" => Ok(Self::Restart),
            signal if is_signal(signal) => Ok(Self::Signal(signal.to_owned())),
            other => Err(format!(
                "`{}` is neither replace nor restart nor a signal (like SIGHUP)",
                other.escape_debug()
            )),
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for OnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replace => "replace",
            Self::Restart => "restart",
            Self::Signal(signal) => signal,
        })
    }
}

notation!(
    OnChange,
    "OnChange",
    "What happens to a running container when the file changes: `replace` (a new container takes its place, the default), \
     `restart`, or a signal for its program, like `SIGHUP`."
);

/// A file with its bytes, ready to be put into a container.
#[derive(Clone, PartialEq, Eq)]
pub struct PlacedFile {
    /// Where it stands in the container.
    pub path: ContainerPath,
    /// Its content.
    pub bytes: Arc<[u8]>,
    /// Its permissions.
    pub mode: Mode,
    /// Whose it is.
    pub owner: FileOwner,
    /// What happens to a running container when it changes.
    pub on_change: OnChange,
    /// The SHA-256 of content, permissions and owner, in hexadecimal.
    pub digest: String,
}

impl PlacedFile {
    /// A file of a manifest, with its content.
    pub fn new(file: &File, bytes: &[u8]) -> Self {
        let mode = file.mode.unwrap_or(Mode::from_bits(0o644));
        let owner = file.owner.unwrap_or_default();
        let digest = Self::digest(mode, owner, bytes);
        let (path, on_change) = (file.path.clone(), file.on_change.clone());
        Self { path, bytes: bytes.into(), mode, owner, on_change, digest }
    }

    /// The digest of a file that is there.
    pub fn digest(mode: Mode, owner: FileOwner, bytes: &[u8]) -> String {
        sha256_hex(&[format!("{mode} {owner}\n").as_bytes(), bytes].concat())
    }
}

/// Without the content, which may be a secret.
impl fmt::Debug for PlacedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.bytes.len())
    }
}

/// What is taken out of a container before it is removed or replaced, and when a job has run to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Collect {
    /// The file or directory in the container. If it is not there, nothing is taken.
    pub path: ContainerPath,
    /// The directory of the host, relative to this file, under which it is kept as a tar archive:
    /// `TO/NAME/CONTAINER-ID/PATH.tar`.
    pub to: String,
}
