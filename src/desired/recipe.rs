//! How Invigil makes an image that has no id before it is made. Its digest, which the image bears as a label and
//! in its mark, says what it was made from. Never opens a file.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::resource::digest::{canonical_json, sha256_hex};
use crate::resource::env::without_password;
use crate::resource::image::{Build, Builder, Commit, Context, SecretSource};
use crate::resource::reference::ImageReference;
use crate::source::context::ContextRequest;

/// What the digest of a snapshot begins with: what it was made from cannot be had again.
pub const SNAPSHOT: &str = "snapshot-";

/// An image that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// From what.
    pub ingredients: Ingredients,
    /// The digest of everything that decides what becomes of it: SHA-256, in hexadecimal.
    pub digest: String,
}

/// What an image is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ingredients {
    /// An archive of a file system.
    Import {
        /// Where it is.
        from: Archive,
        /// Dockerfile instructions for the image's config.
        changes: Vec<String>,
    },
    /// A Dockerfile and what stands beside it.
    Build {
        /// What the manifest says.
        build: Box<Build>,
        /// What the builder is sent; `None` if the engine fetches it.
        context: Option<Sent>,
    },
    /// A container.
    Commit(Box<Commit>),
}

/// Where an archive of a file system is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archive {
    /// On this host.
    File {
        /// Its path.
        path: PathBuf,
        /// What it has to be: SHA-256, in hexadecimal.
        digest: String,
    },
    /// Where the engine fetches it.
    Address(String),
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Address(address) => f.write_str(&without_password(address)),
        }
    }
}

/// What a builder is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Where it is.
    pub request: ContextRequest,
    /// What it has to be, in hexadecimal.
    pub digest: String,
    /// How many files there are; `None` of an archive.
    pub files: Option<usize>,
    /// The images that the Dockerfile starts from, as far as that can be told before it is built.
    pub bases: BTreeSet<ImageReference>,
}

impl Recipe {
    /// A file system's archive, of which this text says what it is.
    pub fn import(from: Archive, changes: Vec<String>, identity: &str) -> Self {
        let digest = sha256_hex(format!("{identity}\n{}", changes.join("\n")).as_bytes());
        Self { ingredients: Ingredients::Import { from, changes }, digest }
    }

    /// A snapshot of a container. Freezing it or not makes no other one.
    pub fn commit(commit: &Commit) -> Self {
        let decides = Commit { pause: None, ..commit.clone() };
        let text = canonical_json(&decides).unwrap_or_default();
        let digest = format!("{SNAPSHOT}{}", sha256_hex(text.as_bytes()));
        Self { ingredients: Ingredients::Commit(Box::new(commit.clone())), digest }
    }

    /// A build. What it starts from is not part of the digest yet: see [`Self::on`].
    pub fn build(build: &Build, context: Option<Sent>) -> Self {
        // None of these changes what becomes of it. A secret is no part of an image, and a digest of one would tell of it.
        let decides = Build {
            no_cache: false,
            pull_base: false,
            builder: Builder::Auto,
            secrets: Vec::new(),
            ..build.clone()
        };
        // Where the context is does not matter, what is in it does.
        let decides = Build { context: decides.context.filter(|_| context.is_none()), ..decides };
        let text = canonical_json(&decides).unwrap_or_default();
        let sent = context.as_ref().map_or("", |sent| sent.digest.as_str());
        let digest = sha256_hex(format!("{text}\n{sent}").as_bytes());
        Self { ingredients: Ingredients::Build { build: Box::new(build.clone()), context }, digest }
    }

    /// What making it is: `build /srv/exam/app, 3 files`.
    pub fn words(&self) -> String {
        let verb = match self.ingredients {
            Ingredients::Import { .. } => "import",
            Ingredients::Build { .. } => "build",
            Ingredients::Commit(_) => "commit",
        };
        format!("{verb} {}", self.ingredients)
    }

    /// The files that hold a build's secrets.
    pub fn secret_files(&self) -> impl Iterator<Item = String> {
        let build = match &self.ingredients {
            Ingredients::Build { build, .. } => Some(build),
            Ingredients::Import { .. } | Ingredients::Commit(_) => None,
        };
        build.into_iter().flat_map(|build| &build.secrets).filter_map(|secret| match &secret.from {
            SecretSource::File(path) => Some(path.to_string_lossy().into_owned()),
            SecretSource::Env(_) => None,
        })
    }

    /// The same on images of which these texts say what they are.
    #[must_use]
    pub fn on(self, bases: &[String]) -> Self {
        if bases.is_empty() {
            return self;
        }
        let digest = sha256_hex(format!("{}\n{}", self.digest, bases.join("\n")).as_bytes());
        Self { digest, ..self }
    }
}

impl fmt::Display for Ingredients {
    /// For people: where it comes from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import { from, .. } => from.fmt(f),
            Self::Commit(commit) => write!(f, "container {}", commit.container),
            Self::Build { build, context } => match (context, &build.context) {
                (Some(Sent { request: ContextRequest { path: Some(path), .. }, files, .. }), _) => {
                    write!(f, "{}", path.display())?;
                    files.map_or(Ok(()), |files| {
                        write!(f, ", {files} file{}", if files == 1 { "" } else { "s" })
                    })
                }
                (None, Some(Context::Remote(address))) => f.write_str(&without_password(address)),
                _ => f.write_str("a Dockerfile alone"),
            },
        }
    }
}
