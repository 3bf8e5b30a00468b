//! Binds. In: Docker's `-v` notation or the long form. Out: [`Bind`]. Never looks whether a path exists.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::mount::{container_path, host_path};
use super::name::Name;
use super::notation::{Notation, notation};

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
    /// Whether the engine makes the path on the host if it is not there; not part of the notation.
    pub create_host_path: bool,
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
        Ok(Self {
            source: bind_source(source)?,
            target: container_path(target)?,
            options,
            create_host_path: false,
        })
    }
}

/// A text with a `/` in it, or that begins with `.` or `~`, is a path to Docker; everything else names a volume.
fn bind_source(text: &str) -> Result<BindSource, String> {
    if text.is_empty() {
        return Err("a volume without a name is a line of `volumes`".to_owned());
    }
    if text.starts_with('~') {
        return Err(format!(
            "`{}`: there is no home directory in a manifest, write the path out",
            text.escape_debug()
        ));
    }
    if text.contains('/') || text.starts_with('.') {
        let path = host_path(text)?;
        // `logs/` without its slash would name a volume.
        let is_path = path.contains('/') || path.starts_with('.');
        return Ok(BindSource::Path(if is_path { path } else { format!("./{path}") }));
    }
    text.parse().map(BindSource::Volume)
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
    /// Whether an empty directory is made on the host if nothing is there. Otherwise the container is left
    /// as it is until somebody makes it: what is missing may be a disk that is not mounted.
    #[serde(default)]
    create_host_path: bool,
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
        let bind = Self::new(&long.source, &long.target, options)?;
        Ok(Self { create_host_path: long.create_host_path, ..bind })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_read_as_docker_reads_them() {
        for (text, shown) in [
            ("/home/cloud/logs:/usr/src/logs", "/home/cloud/logs:/usr/src/logs"),
            ("/etc/localtime:/etc/localtime:ro", "/etc/localtime:/etc/localtime:ro"),
            ("./logs/:/logs:rw", "./logs:/logs"),
            ("logs/:/logs", "./logs:/logs"),
            ("responses:/exam/responses", "responses:/exam/responses"),
        ] {
            assert_eq!(text.parse::<Bind>().map(|bind| bind.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for bad in ["", "/a", ":/a", "/a:b", "/a:/b:rx", "/a:/", "/a:/b/../c", "~/x:/y", "a:b:c:d"] {
            assert!(bad.parse::<Bind>().is_err(), "{bad:?}");
        }
    }
}
