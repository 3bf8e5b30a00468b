//! Mounts. In: Docker's `--mount` notation or long form. Out: [`Mount`], [`ContainerPath`]. Never looks whether a path exists.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::Name;
use super::notation::{NoLongForm, Notation, notation};
use super::quantity::ByteSize;

pub(super) fn host_path(text: &str) -> Result<String, String> {
    // An empty one would be taken for the host's root.
    if text.is_empty() || text.contains(|c: char| c.is_control() || c == ':') {
        return Err(format!("`{}` is not a path that can be bound", text.escape_debug()));
    }
    let trimmed = text.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

pub(super) fn container_path(text: &str) -> Result<String, String> {
    let components_ok = text.split('/').all(|component| component != ".." && component != ".");
    if !text.starts_with('/') || !components_ok || text.contains(|c: char| c.is_control() || c == ':') {
        return Err(format!("`{}` is not an absolute path in the container", text.escape_debug()));
    }
    let trimmed = text.trim_end_matches('/');
    if trimmed.is_empty() {
        Err("nothing can be mounted over the container's `/`".to_owned())
    } else {
        Ok(trimmed.to_owned())
    }
}

/// A mount in Docker's `--mount` form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Where in the container; absolute.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MountSource {
    /// A path of the host.
    Bind {
        /// The path; relative to the manifest's file until the manifest is resolved.
        path: String,
        /// How mounts below it come and go on both sides; the engine's `rprivate` by default.
        propagation: Option<Propagation>,
        /// Whether mounts below it are left out.
        non_recursive: bool,
    },
    /// A volume.
    Volume {
        /// Its name.
        name: Name,
        /// Whether it stays empty, instead of being filled with what the image has there.
        no_copy: bool,
    },
    /// Memory.
    Tmpfs {
        /// The most it may hold.
        size: Option<ByteSize>,
        /// The permissions of its root.
        mode: Option<Mode>,
    },
}

/// How mounts below a bind come and go on both sides (`mount_namespaces(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Neither way, for mounts below too.
    RPrivate,
    /// Neither way.
    Private,
    /// Both ways, for mounts below too.
    RShared,
    /// Both ways.
    Shared,
    /// From the host, for mounts below too.
    RSlave,
    /// From the host.
    Slave,
}

impl Propagation {
    const ALL: [Self; 6] =
        [Self::RPrivate, Self::Private, Self::RShared, Self::Shared, Self::RSlave, Self::Slave];

    /// Docker's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RPrivate => "rprivate",
            Self::Private => "private",
            Self::RShared => "rshared",
            Self::Shared => "shared",
            Self::RSlave => "rslave",
            Self::Slave => "slave",
        }
    }
}

/// Permissions, shown in octal: `1777`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u32);

impl Mode {
    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From the bits, of which only those for permissions count.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0o7777)
    }
}

impl Notation for Mode {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "permissions like \"0644\"";

    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(bits) if bits <= 0o7777 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(Self(bits)),
            _ => Err(format!("`{}` are not permissions (octal, like 0644)", text.escape_debug())),
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

notation!(Mode, "Mode", "Permissions in octal, in quotes: `\"0644\"`.");

/// How a mount is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum MountType {
    /// A path of the host.
    Bind,
    /// A volume.
    Volume,
    /// Memory.
    Tmpfs,
}

/// The long form of a mount.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MountForm {
    /// `bind`, `volume` or `tmpfs`.
    r#type: MountType,
    /// A path of the host, or a volume's name; not for tmpfs.
    source: Option<String>,
    /// An absolute path in the container.
    target: String,
    /// Whether the container may only read it.
    #[serde(default)]
    read_only: bool,
    /// For bind: how mounts below it come and go on both sides; `rprivate` by default.
    propagation: Option<Propagation>,
    /// For bind: whether mounts below it are left out.
    non_recursive: Option<bool>,
    /// For volume: whether it stays empty, instead of being filled with what the image has there.
    no_copy: Option<bool>,
    /// For tmpfs: the most it may hold.
    tmpfs_size: Option<ByteSize>,
    /// For tmpfs: the permissions of its root, `"1777"` by default.
    tmpfs_mode: Option<Mode>,
}

/// Docker's other words for some keys of `--mount`.
fn key_of_mount(key: &str) -> &str {
    match key {
        "src" => "source",
        "dst" | "destination" => "target",
        "ro" => "readonly",
        key => key,
    }
}

fn flag_of_mount(value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(format!("`{}` is neither true nor false", other.escape_debug())),
    }
}

impl Notation for Mount {
    type Long = MountForm;
    const EXPECTED: &'static str = "a mount like \"type=bind,source=/srv,target=/data\"";

    fn parse(text: &str) -> Result<Self, String> {
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        for part in text.split(',') {
            let (key, value) = part.split_once('=').unwrap_or((part, "true"));
            let key = key_of_mount(key);
            if values.insert(key, value).is_some() {
                return Err(format!("`{}` stands twice in the mount", key.escape_debug()));
            }
        }
        let r#type = match values.remove("type") {
            Some("bind") => MountType::Bind,
            None | Some("volume") => MountType::Volume,
            Some("tmpfs") => MountType::Tmpfs,
            Some(other) => {
                return Err(format!(
                    "`{}` is not a type of mount (bind, volume, tmpfs)",
                    other.escape_debug()
                ));
            }
        };
        let propagation = |word: &str| {
            let known = Propagation::ALL.into_iter().find(|propagation| propagation.as_str() == word);
            known.ok_or_else(|| format!("`{}` is not a propagation (like rslave)", word.escape_debug()))
        };
        let form = MountForm {
            r#type,
            source: values.remove("source").map(str::to_owned),
            target: values.remove("target").ok_or("a mount needs a target")?.to_owned(),
            read_only: values.remove("readonly").map_or(Ok(false), flag_of_mount)?,
            propagation: values.remove("bind-propagation").map(propagation).transpose()?,
            non_recursive: values.remove("bind-nonrecursive").map(flag_of_mount).transpose()?,
            no_copy: values.remove("volume-nocopy").map(flag_of_mount).transpose()?,
            tmpfs_size: values.remove("tmpfs-size").map(ByteSize::parse).transpose()?,
            tmpfs_mode: values.remove("tmpfs-mode").map(Mode::parse).transpose()?,
        };
        match values.keys().next().copied() {
            Some(key @ ("volume-driver" | "volume-opt" | "volume-label")) => {
                Err(format!("`{key}` is said once, in the volume's own manifest (kind: Volume)"))
            }
            Some(unknown) => Err(format!("`{}` is not an option of a mount", unknown.escape_debug())),
            None => Self::from_long(form),
        }
    }

    fn from_long(long: MountForm) -> Result<Self, String> {
        let only = |field: &str, kind: &str, given: bool, wanted: MountType| {
            if given && long.r#type != wanted {
                Err(format!("{field} goes with a {kind} mount only"))
            } else {
                Ok(())
            }
        };
        only("propagation", "bind", long.propagation.is_some(), MountType::Bind)?;
        only("nonRecursive", "bind", long.non_recursive.is_some(), MountType::Bind)?;
        only("noCopy", "volume", long.no_copy.is_some(), MountType::Volume)?;
        only("tmpfsSize", "tmpfs", long.tmpfs_size.is_some(), MountType::Tmpfs)?;
        only("tmpfsMode", "tmpfs", long.tmpfs_mode.is_some(), MountType::Tmpfs)?;
        // It is kept in the short form, where a comma ends a path.
        if let Some(path) = long.source.iter().chain([&long.target]).find(|path| path.contains(',')) {
            return Err(format!(
                "`{}` has a comma, which a mount cannot have; say it with `binds`",
                path.escape_debug()
            ));
        }
        let source = match (long.r#type, long.source) {
            (MountType::Bind, Some(source)) => MountSource::Bind {
                path: host_path(&source)?,
                propagation: long.propagation,
                non_recursive: long.non_recursive.unwrap_or(false),
            },
            (MountType::Volume, Some(source)) => {
                MountSource::Volume { name: source.parse()?, no_copy: long.no_copy.unwrap_or(false) }
            }
            (MountType::Tmpfs, None) => {
                // The engine takes 0 for its default: no limit, and 1777.
                if long.tmpfs_mode.is_some_and(|mode| mode.bits() == 0) {
                    return Err("a tmpfs with the mode 0000 cannot be made".to_owned());
                }
                let size = long.tmpfs_size.filter(|size| size.bytes() > 0);
                MountSource::Tmpfs { size, mode: long.tmpfs_mode }
            }
            (MountType::Tmpfs, Some(_)) => return Err("a tmpfs mount has no source".to_owned()),
            (MountType::Volume, None) => {
                return Err("a volume mount needs a source; a volume without a name is a line of `volumes`"
                    .to_owned());
            }
            (MountType::Bind, None) => return Err("a bind mount needs a source".to_owned()),
        };
        Ok(Self { source, target: container_path(&long.target)?, read_only: long.read_only })
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.target;
        match &self.source {
            MountSource::Bind { path, propagation, non_recursive } => {
                write!(f, "type=bind,source={path},target={target}")?;
                if let Some(propagation) = propagation {
                    write!(f, ",bind-propagation={}", propagation.as_str())?;
                }
                if *non_recursive {
                    f.write_str(",bind-nonrecursive")?;
                }
            }
            MountSource::Volume { name, no_copy } => {
                write!(f, "type=volume,source={name},target={target}")?;
                if *no_copy {
                    f.write_str(",volume-nocopy")?;
                }
            }
            MountSource::Tmpfs { size, mode } => {
                write!(f, "type=tmpfs,target={target}")?;
                if let Some(size) = size {
                    write!(f, ",tmpfs-size={size}")?;
                }
                if let Some(mode) = mode {
                    write!(f, ",tmpfs-mode={mode}")?;
                }
            }
        }
        if self.read_only { f.write_str(",readonly") } else { Ok(()) }
    }
}

notation!(
    Mount, "Mount",
    "A mount in Docker's notation, `type=bind,source=/srv,target=/data,readonly`, or written out.",
    also MountForm
);

/// An absolute path in a container, not its root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPath(String);

impl ContainerPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Notation for ContainerPath {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "an absolute path in the container";

    fn parse(text: &str) -> Result<Self, String> {
        // As Compose and `docker run -v` write what is a bind here.
        if text.contains(':') {
            let shown = text.escape_debug();
            return Err(format!(
                "`{shown}` is not an absolute path in the container: SOURCE:TARGET goes into `binds`"
            ));
        }
        container_path(text).map(Self)
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

notation!(ContainerPath, "ContainerPath", "An absolute path in the container.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_read_back_what_they_show() {
        for text in [
            "type=bind,source=/srv,target=/data,readonly",
            "type=volume,source=responses,target=/r",
            "type=tmpfs,target=/run,tmpfs-size=64Mi",
            "type=tmpfs,target=/run,tmpfs-mode=1777",
            "type=bind,source=/srv,target=/data,bind-propagation=rslave,bind-nonrecursive,readonly",
            "type=volume,source=responses,target=/r,volume-nocopy",
        ] {
            assert_eq!(text.parse::<Mount>().map(|mount| mount.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(
            serde_json::from_str::<Mount>(r#"{"type": "bind", "source": "/a,readonly", "target": "/b"}"#)
                .map_err(|error| error.to_string()),
            Err("`/a,readonly` has a comma, which a mount cannot have; say it with `binds` at line 1 column 57"
                .to_owned())
        );
        assert_eq!(
            "type=tmpfs,target=/y,tmpfs-size=0".parse::<Mount>().map(|mount| mount.to_string()),
            Ok("type=tmpfs,target=/y".to_owned())
        );
        assert_eq!(
            "type=tmpfs,target=/y,tmpfs-mode=0".parse::<Mount>(),
            Err("a tmpfs with the mode 0000 cannot be made".to_owned())
        );
        assert_eq!(
            "type=bind,source=,target=/y".parse::<Mount>(),
            Err("`` is not a path that can be bound".to_owned())
        );
        assert_eq!(
            "type=tmpfs,source=/x,target=/y".parse::<Mount>(),
            Err("a tmpfs mount has no source".to_owned())
        );
        assert_eq!(
            "target=/y,target=/z,source=a1".parse::<Mount>(),
            Err("`target` stands twice in the mount".to_owned())
        );
    }
}
