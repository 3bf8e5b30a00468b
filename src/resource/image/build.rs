//! Images that a builder makes. In: manifests. Out: [`Build`]. Never opens a file.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::BuildSecret;
use crate::resource::env::TextMap;
use crate::resource::label;
use crate::resource::notation::{NoLongForm, Notation, notation};
use crate::resource::platform::Platform;
use crate::resource::printable::printable;
use crate::resource::violation::{FieldPath, Violation};

/// The Dockerfile's name where a manifest gives none.
pub const DEFAULT_DOCKERFILE: &str = "Dockerfile";

/// An image that a builder makes from a Dockerfile and what stands beside it.
///
/// It is built when what the builder would see is not what the image on the host was built from: names, modes
/// and contents of the files that `.dockerignore` lets through, and the fields below. Times do not count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Build {
    /// What the builder sees: a directory or a tar archive that is not compressed (relative to this file), or an address
    /// that the engine fetches: a tar archive, a Dockerfile or a Git repository. What lies behind an address is built once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// The Dockerfile's path within the context; `Dockerfile` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The Dockerfile itself, instead of a file of the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_inline: Option<String>,
    /// Build arguments. They stay readable in the image's history: no place for secrets, which have their own field.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub args: TextMap,
    /// Secrets for the build's steps, by `BuildKit` alone: `RUN --mount=type=secret,id=npm`. They are in files or variables
    /// of this host, and read when the image is built. As with Docker, they do not decide whether it is built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<BuildSecret>,
    /// Labels of the image.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub labels: TextMap,
    /// The build stage that becomes the image; the last one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The platform, where it is not the engine's: `linux/arm64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Whether each step is run anew, whatever the builder remembers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_cache: bool,
    /// Whether the base images are pulled anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pull_base: bool,
    /// The network of the build's own containers: `bridge`, `host`, `none` or a network's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Which builder of the engine.
    #[serde(default)]
    pub builder: Builder,
}

/// A builder of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Builder {
    /// `BuildKit` on Docker 23.0 and later and for a build with secrets, else the classic one.
    #[default]
    Auto,
    /// The classic one.
    Classic,
    /// `BuildKit`.
    BuildKit,
}

/// Where a builder's context is. Shown as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// A directory or an archive on this host.
    Path(String),
    /// An address that the engine fetches.
    Remote(String),
}

/// What addresses begin with, by which Docker tells them from paths.
const REMOTE: [&str; 5] = ["http://", "https://", "git://", "git@", "github.com/"];

impl Notation for Context {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a path or an address like \"https://example.org/exam.git#main\"";

    fn parse(text: &str) -> Result<Self, String> {
        let refused = |why: &str| Err(format!("`{}` is no build context: {why}", text.escape_debug()));
        if text.is_empty() {
            return refused("it is empty");
        }
        if text.contains('\0') {
            return refused("no path has a NUL");
        }
        if !REMOTE.iter().any(|start| text.starts_with(start)) {
            return Ok(Self::Path(text.to_owned()));
        }
        match check_address(text) {
            Ok(()) => Ok(Self::Remote(text.to_owned())),
            Err(why) => refused(&why),
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(text) | Self::Remote(text) => f.write_str(text),
        }
    }
}

notation!(
    Context,
    "BuildContext",
    "A directory or a tar archive, or an address that the engine fetches (`https://`, `git://`, `git@`)."
);

/// What is wrong with an address that the engine is to fetch.
pub(super) fn check_address(text: &str) -> Result<(), String> {
    if !REMOTE.iter().any(|start| text.starts_with(start)) {
        return Err("an address begins with https://, http://, git:// or git@".to_owned());
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("an address has no blanks".to_owned());
    }
    // It would stand in the engine's logs and in every plan.
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err("a user and a password do not belong into an address".to_owned());
    }
    Ok(())
}

impl Build {
    /// The Dockerfile's path within the context.
    pub fn dockerfile(&self) -> &str {
        self.dockerfile.as_deref().unwrap_or(DEFAULT_DOCKERFILE)
    }

    /// Every rule that the fields break, with paths from `at`.
    pub(super) fn check(&self, at: &FieldPath) -> Vec<Violation> {
        let mut violations = label::check(&at.key("labels"), &self.labels);
        if self.context.is_none() && self.dockerfile_inline.is_none() {
            violations.push(
                Violation::error(at.key("context"), "a build needs a context or a dockerfileInline")
                    .concluded_from(["context", "dockerfileInline"].map(|field| at.key(field))),
            );
        }
        let mut refuse = |key: &str, message: &str| violations.push(Violation::error(at.key(key), message));
        if self.dockerfile.is_some() && self.dockerfile_inline.is_some() {
            refuse("dockerfileInline", "the Dockerfile is in the context or here, not both");
        }
        if self.dockerfile_inline.is_some() && matches!(self.context, Some(Context::Remote(_))) {
            refuse("dockerfileInline", "the Dockerfile of an address is at that address");
        }
        let leaves =
            |path: &str| path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..");
        if self.dockerfile.as_deref().is_some_and(leaves) {
            refuse(
                "dockerfile",
                "a Dockerfile is within its context; one from elsewhere goes into dockerfileInline",
            );
        }
        let is_name = |text: &String| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        };
        if self.target.as_ref().is_some_and(|target| !is_name(target)) {
            refuse("target", "a stage's name has letters, digits, `_`, `.` and `-`");
        }
        if self.network.as_ref().is_some_and(|network| !is_name(network)) {
            refuse("network", "expected bridge, host, none or a network's name");
        }
        if self.builder == Builder::Classic && !self.secrets.is_empty() {
            let message = "the classic builder knows no secrets";
            violations.push(
                Violation::error(at.key("secrets"), message)
                    .with_hint("leave `builder` out, or write `builder: buildkit`"),
            );
        }
        let mut ids = BTreeSet::new();
        for (index, _) in self.secrets.iter().enumerate().filter(|(_, secret)| !ids.insert(&secret.id)) {
            let path = at.key("secrets").index(index);
            violations.push(Violation::error(path, "another secret has this id"));
        }
        for key in self.args.0.keys().filter(|key| key.is_empty() || key.contains(['=', '\0', '\n'])) {
            let path = at.key("args").key(&printable(key));
            violations.push(Violation::error(path, "an argument needs a name"));
        }
        violations
    }
}
