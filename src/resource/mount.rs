//! Binds, mounts and tmpfs. In: Docker's `-v`, `--mount` and `--tmpfs` notations or long forms.
//! Out: [`Bind`], [`Mount`], [`Tmpfs`]. Never looks whether a path exists.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::Name;
use super::notation::{NoLongForm, Notation, notation};
use super::quantity::ByteSize;

/// What is bound into a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BindSource {
    /// A path of the host; relative to the manifest's file until the manifest is resolved.
    Path(String),
    /// A volume.
    Volume(Name),
}

impl fmt::Display for BindSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Volume(name) => name.fmt(f),
        }
    }
}

/// A bind in Docker's `-v` notation. Shown as `/srv/logs:/usr/src/logs:ro`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bind {
    /// What is bound.
    pub source: BindSource,
    /// Where in the container; absolute.
    pub target: String,
    /// Docker's options, sorted; `rw`, the default, is left out.
    pub options: Vec<String>,
}

/// Docker's options of a bind (`docker run -v`).
const BIND_OPTIONS: [&str; 16] = [
    "ro",
    "rw",
    "z",
    "Z",
    "nocopy",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "private",
    "rprivate",
    "consistent",
    "cached",
    "delegated",
    "volume-nocopy",
    "volume-opt",
];

impl Bind {
    fn new(source: &str, target: &str, options: Vec<String>) -> Result<Self, String> {
        if let Some(unknown) = options.iter().find(|option| !BIND_OPTIONS.contains(&option.as_str())) {
            return Err(format!("`{}` is not an option of a bind (like ro)", unknown.escape_debug()));
        }
        let mut options: Vec<String> = options.into_iter().filter(|option| option != "rw").collect();
        options.sort_unstable();
        options.dedup();
        Ok(Self { source: bind_source(source)?, target: container_path(target)?, options })
    }
}

/// A text with a `/` in it, or that begins with `.` or `~`, is a path to Docker; everything else names a volume.
fn bind_source(text: &str) -> Result<BindSource, String> {
    if text.is_empty() {
        return Err("an anonymous volume has no place in a manifest: name it".to_owned());
    }
    if text.starts_with('~') {
        return Err(format!(
            "`{}`: there is no home directory in a manifest, write the path out",
            text.escape_debug()
        ));
    }
    if text.contains('/') || text.starts_with('.') {
        return host_path(text).map(BindSource::Path);
    }
    text.parse().map(BindSource::Volume)
}

fn host_path(text: &str) -> Result<String, String> {
    if text.contains(|c: char| c.is_control() || c == ':') {
        return Err(format!("`{}` is not a path that can be bound", text.escape_debug()));
    }
    let trimmed = text.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

fn container_path(text: &str) -> Result<String, String> {
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

/// The long form of a bind.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BindForm {
    /// A path of the host (relative to this file where it begins with `.`), or a volume's name.
    source: String,
    /// An absolute path in the container.
    target: String,
    /// Whether the container may only read it.
    #[serde(default)]
    read_only: bool,
}

impl Notation for Bind {
    type Long = BindForm;
    const EXPECTED: &'static str = "a bind like \"/srv/logs:/logs:ro\"";

    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            [source, target] => Self::new(source, target, Vec::new()),
            [source, target, options] => {
                Self::new(source, target, options.split(',').map(str::to_owned).collect())
            }
            _ => Err(format!("`{}` is not a bind (source:target[:options])", text.escape_debug())),
        }
    }

    fn from_long(long: BindForm) -> Result<Self, String> {
        let options = if long.read_only { vec!["ro".to_owned()] } else { Vec::new() };
        Self::new(&long.source, &long.target, options)
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.target)?;
        if self.options.is_empty() { Ok(()) } else { write!(f, ":{}", self.options.join(",")) }
    }
}

notation!(
    Bind, "Bind",
    "A bind in Docker's notation, `source:target[:options]`, or written out.",
    also BindForm
);

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
    Bind(String),
    /// A volume.
    Volume(Name),
    /// Memory, at most this much.
    Tmpfs(Option<ByteSize>),
}

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
    /// For tmpfs: the most it may hold.
    tmpfs_size: Option<ByteSize>,
}

impl Notation for Mount {
    type Long = MountForm;
    const EXPECTED: &'static str = "a mount like \"type=bind,source=/srv,target=/data\"";

    fn parse(text: &str) -> Result<Self, String> {
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        for part in text.split(',') {
            let (key, value) = part.split_once('=').unwrap_or((part, "true"));
            let key = match key {
                "src" => "source",
                "dst" | "destination" => "target",
                "ro" => "readonly",
                key => key,
            };
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
        let read_only = match values.remove("readonly") {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => return Err(format!("`{}` is neither true nor false", other.escape_debug())),
        };
        let form = MountForm {
            r#type,
            source: values.remove("source").map(str::to_owned),
            target: values.remove("target").ok_or("a mount needs a target")?.to_owned(),
            read_only,
            tmpfs_size: values.remove("tmpfs-size").map(ByteSize::parse).transpose()?,
        };
        match values.keys().next() {
            Some(unknown) => Err(format!("`{}` is not an option of a mount", unknown.escape_debug())),
            None => Self::from_long(form),
        }
    }

    fn from_long(long: MountForm) -> Result<Self, String> {
        let source = match (long.r#type, long.source, long.tmpfs_size) {
            (MountType::Bind, Some(source), None) => MountSource::Bind(host_path(&source)?),
            (MountType::Volume, Some(source), None) => MountSource::Volume(source.parse()?),
            (MountType::Tmpfs, None, size) => MountSource::Tmpfs(size),
            (MountType::Tmpfs, Some(_), _) => return Err("a tmpfs mount has no source".to_owned()),
            (_, None, _) => return Err("a bind or volume mount needs a source".to_owned()),
            (_, _, Some(_)) => return Err("tmpfsSize goes with a tmpfs mount only".to_owned()),
        };
        Ok(Self { source, target: container_path(&long.target)?, read_only: long.read_only })
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            MountSource::Bind(path) => write!(f, "type=bind,source={path},target={}", self.target)?,
            MountSource::Volume(name) => write!(f, "type=volume,source={name},target={}", self.target)?,
            MountSource::Tmpfs(None) => write!(f, "type=tmpfs,target={}", self.target)?,
            MountSource::Tmpfs(Some(size)) => {
                write!(f, "type=tmpfs,target={},tmpfs-size={size}", self.target)?;
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

/// Memory mounted into a container, in Docker's `--tmpfs` notation: `/run:size=64m`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tmpfs {
    /// Where in the container; absolute.
    pub target: String,
    /// The mount's options, as Docker takes them.
    pub options: String,
}

impl Notation for Tmpfs {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a tmpfs like \"/run:size=64m\"";

    fn parse(text: &str) -> Result<Self, String> {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        if !options.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '=' | ',' | '_' | '-' | '%')) {
            return Err(format!("`{}` are not options of a tmpfs", options.escape_debug()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_read_as_docker_reads_them() {
        for (text, shown) in [
            ("/home/cloud/logs:/usr/src/logs", "/home/cloud/logs:/usr/src/logs"),
            ("/etc/localtime:/etc/localtime:ro", "/etc/localtime:/etc/localtime:ro"),
            ("./logs/:/logs:rw", "./logs:/logs"),
            ("responses:/exam/responses", "responses:/exam/responses"),
        ] {
            assert_eq!(text.parse::<Bind>().map(|bind| bind.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for bad in ["", "/a", ":/a", "/a:b", "/a:/b:rx", "/a:/", "/a:/b/../c", "~/x:/y", "a:b:c:d"] {
            assert!(bad.parse::<Bind>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn mounts_read_back_what_they_show() {
        for text in [
            "type=bind,source=/srv,target=/data,readonly",
            "type=volume,source=responses,target=/r",
            "type=tmpfs,target=/run,tmpfs-size=64Mi",
        ] {
            assert_eq!(text.parse::<Mount>().map(|mount| mount.to_string()), Ok(text.to_owned()));
        }
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
