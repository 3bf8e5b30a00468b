//! Images. In: manifests. Out: [`ImageSpec`]. Never opens an archive.

mod build;
mod push;
mod secret;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::build::{Build, Builder, Context, DEFAULT_DOCKERFILE};
pub use self::push::Push;
pub use self::secret::{BuildSecret, SecretSource};
use super::duration::Duration;
use super::label::is_mark;
use super::name::Name;
use super::platform::Platform;
use super::reference::ImageReference;
use super::violation::{FieldPath, Violation};

/// An image, as its manifest describes it: exactly one source, and the tags it is to bear.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageSpec {
    /// Source: a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
    /// Source: a builder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Box<Build>>,
    /// Source: an archive as `docker save` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Source: an archive of a file system, as `docker import` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Import>,
    /// Source: a container that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The tags that point to the image. A pulled image also keeps its reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<ImageReference>,
    /// The file, relative to this one, in which the image is kept saved with its tags: for a server without a
    /// network, where `load` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// Where it is pushed, whenever the registry has something else there.
    #[serde(default, skip_serializing_if = "Push::is_no")]
    pub push: Push,
}

/// An image from a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pull {
    /// What to pull.
    pub reference: ImageReference,
    /// When to pull it.
    #[serde(default)]
    pub policy: PullPolicy,
    /// The platform, where it is not the engine's: `linux/arm64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// With `policy: Always`, how often the registry is asked whether its tag has moved; 1h if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_every: Option<Duration>,
}

/// How often a registry is asked where a manifest is silent.
pub const CHECK_EVERY: Duration = Duration::from_nanos(3_600_000_000_000);

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// If the engine does not have it.
    #[default]
    IfNotPresent,
    /// If the engine does not have it, and when the registry's tag points to another one. Only what has moved is
    /// pulled; a registry that does not answer is a warning while the image is there.
    Always,
    /// Never: it has to be there.
    Never,
}

/// An image from an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Load {
    /// The archive's path, relative to this file. It holds exactly one image.
    pub archive: String,
}

/// An image from a file system's archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Import {
    /// The path of the tar archive, relative to this file; not compressed, so that what is in it can be looked at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// Where the engine fetches the archive, instead: `https://example.org/rootfs.tar`. It is fetched once, and unpacked by the
    /// engine itself, whatever is in it: only an `archive` is looked through before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Dockerfile instructions for the image's config: `CMD ["/bin/sh"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// An image of what is in a container: for keeping what an examinee left behind.
///
/// It is taken once, and once more whenever one of these fields changes. It is never removed, also not with its
/// manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Commit {
    /// The container's name.
    pub container: Name,
    /// Any text; another one asks for another snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether the container is frozen meanwhile; true if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<bool>,
    /// Dockerfile instructions for the image's config.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// Who takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An image's source, once it is known that there is exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSource<'a> {
    /// A registry.
    Pull(&'a Pull),
    /// A builder.
    Build(&'a Build),
    /// An archive as `docker save` writes it.
    Load(&'a Load),
    /// An archive of a file system.
    Import(&'a Import),
    /// A container.
    Commit(&'a Commit),
}

impl ImageSpec {
    /// The source; `None` unless there is exactly one, which [`Self::check`] reports.
    pub fn source(&self) -> Option<ImageSource<'_>> {
        let sources = [
            self.pull.as_ref().map(ImageSource::Pull),
            self.build.as_deref().map(ImageSource::Build),
            self.load.as_ref().map(ImageSource::Load),
            self.import.as_ref().map(ImageSource::Import),
            self.commit.as_ref().map(ImageSource::Commit),
        ];
        let mut given = sources.into_iter().flatten();
        let first = given.next()?;
        given.next().is_none().then_some(first)
    }

    /// The references that it is pushed to.
    pub fn pushed(&self) -> Vec<ImageReference> {
        match &self.push {
            Push::No => Vec::new(),
            Push::Tags => self.tags.iter().filter(|tag| !tag.is_on_the_hub()).cloned().collect(),
            Push::To(references) => references.clone(),
        }
    }

    /// Every rule that the spec breaks, with paths from the spec.
    pub fn check(&self) -> Vec<Violation> {
        let root = FieldPath::root();
        let mut violations = Vec::new();
        if self.source().is_none() {
            let sources = ["pull", "build", "load", "import", "commit"].map(|source| root.key(source));
            violations.push(
                Violation::error(
                    root.clone(),
                    "an image has exactly one of pull, build, load, import and commit",
                )
                .concluded_from(sources),
            );
        }
        let made = [
            ("a built image", self.build.is_some()),
            ("an imported image", self.import.is_some()),
            ("a snapshot", self.commit.is_some()),
        ];
        for (made, _) in made.into_iter().filter(|(_, is_made)| *is_made && self.tags.is_empty()) {
            let message = format!("{made} needs a tag to be found by");
            let tags = root.key("tags");
            violations.push(Violation::error(tags.clone(), message).concluded_from([tags]));
        }
        violations.extend(self.build.iter().flat_map(|build| build.check(&root.key("build"))));
        violations.extend(self.import.iter().flat_map(|import| import.check(&root.key("import"))));
        violations.extend(
            self.commit.iter().flat_map(|commit| check_changes(&commit.changes, &root.key("commit"))),
        );
        if let Some(pull) = &self.pull {
            if pull.check_every.is_some() && pull.policy != PullPolicy::Always {
                let message = "only an image whose policy is Always is asked for again";
                let pull = root.key("pull");
                violations.push(
                    Violation::error(pull.key("checkEvery"), message).concluded_from([pull.key("policy")]),
                );
            }
            if pull.policy == PullPolicy::Always && pull.reference.tag().is_none() {
                let message = "what a digest names never moves";
                violations.push(Violation::error(root.key("pull").key("policy"), message));
            }
        }
        match &self.push {
            Push::Tags if self.pushed().is_empty() => {
                let message = "none of the tags names a registry";
                violations.push(
                    Violation::error(root.key("push"), message)
                        .concluded_from(["tags", "pull"].map(|field| root.key(field)))
                        .with_hint("write `push: {to: [registry.example/exam:1]}`"),
                );
            }
            Push::No | Push::Tags => {}
            Push::To(to) => {
                let path = root.key("push").key("to");
                if to.is_empty() {
                    violations.push(
                        Violation::error(path.clone(), "expected at least one reference")
                            .concluded_from([path.clone()]),
                    );
                }
                for (index, _) in to.iter().enumerate().filter(|(_, one)| one.tag().is_none()) {
                    violations.push(Violation::error(
                        path.index(index),
                        "an image is pushed to a tag, not to a digest",
                    ));
                }
            }
        }
        if let (Some(to), Some(Load { archive: from })) = (&self.archive, &self.load)
            && to == from
        {
            violations.push(Violation::error(root.key("archive"), "the image is loaded from this very file"));
        }
        for (index, _) in self.tags.iter().enumerate().filter(|(_, tag)| is_mark(tag)) {
            let message = "tags of io.invigil.owner are Invigil's own";
            violations.push(Violation::error(root.key("tags").index(index), message));
        }
        if self.pushed().iter().any(is_mark) {
            violations.push(Violation::error(root.key("push"), "nothing can be pushed to io.invigil.owner"));
        }
        for (index, tag) in self.tags.iter().enumerate() {
            if tag.tag().is_none() {
                violations.push(Violation::error(
                    root.key("tags").index(index),
                    format!("{tag} is a digest, not a tag"),
                ));
            }
        }
        violations
    }
}

impl Import {
    fn check(&self, at: &FieldPath) -> Vec<Violation> {
        let mut violations = check_changes(&self.changes, at);
        match (&self.archive, &self.url) {
            (Some(_), Some(_)) => {
                violations.push(Violation::error(
                    at.key("url"),
                    "an archive is on this host or behind an address, not both",
                ));
            }
            (None, None) => {
                violations.push(
                    Violation::error(at.key("archive"), "an import needs an archive or a url")
                        .concluded_from([at.key("archive"), at.key("url")]),
                );
            }
            (None, Some(url)) => {
                if let Err(why) = build::check_address(url) {
                    violations.push(Violation::error(at.key("url"), why));
                }
            }
            (Some(_), None) => {}
        }
        violations
    }
}

/// What is wrong with Dockerfile instructions, with paths from `at`.
fn check_changes(changes: &[String], at: &FieldPath) -> Vec<Violation> {
    let is_wrong = |change: &str| change.contains(['\n', '\r']) || change.contains(super::label::PREFIX);
    let wrong = changes.iter().enumerate().filter(|(_, change)| is_wrong(change));
    let told = |(index, _)| {
        let path = at.key("changes").index(index);
        Violation::error(path, "a change is one line and sets no io.invigil label")
    };
    wrong.map(told).collect()
}
