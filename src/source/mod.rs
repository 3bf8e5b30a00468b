//! Where manifests come from. In: a place. Out: a [`Snapshot`], the bytes of all its files at one
//! moment. Never looks into the bytes, and never takes what it could not read for absent (law 1).

pub(crate) mod archive;
pub mod attachment;
pub mod context;
pub mod directory;
pub mod git;
mod members;
pub mod saved_image;
mod stamp;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use attachment::Attachments;

/// The file, beside the manifests, that says which images tags stand for.
pub const LOCK: &str = "invigil.lock";

/// All manifest files at one moment, in the order of their paths' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    root: PathBuf,
    identity: RootIdentity,
    extent: Extent,
    directories: BTreeMap<PathBuf, RootIdentity>,
    files: Vec<ManifestFile>,
    revision: Revision,
    checkout: Option<Checkout>,
}

/// The commit of a repository that Invigil keeps, of which a snapshot was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// What is replaced with the next commit, with everything in it.
    pub directory: PathBuf,
    /// The commit's full id.
    pub commit: String,
}

/// What a snapshot was taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A directory: all manifests there are.
    Directory,
    /// One file, beside which there may be others.
    OneFile,
}

impl Snapshot {
    /// Brings files into their order and computes their revision.
    pub fn new(root: PathBuf, identity: RootIdentity, extent: Extent, mut files: Vec<ManifestFile>) -> Self {
        files.sort_by(|a, b| a.bytes_of_path().cmp(b.bytes_of_path()));
        let revision = Revision::of(&files);
        Self { root, identity, extent, directories: BTreeMap::new(), files, revision, checkout: None }
    }

    /// The same, with the directories below the root.
    #[must_use]
    pub fn with_directories(self, directories: BTreeMap<PathBuf, RootIdentity>) -> Self {
        Self { directories, ..self }
    }

    /// The same, of a commit.
    #[must_use]
    pub fn in_checkout(self, checkout: Option<Checkout>) -> Self {
        Self { checkout, ..self }
    }

    /// The commit that it was taken of; `None` for a plain directory.
    pub const fn checkout(&self) -> Option<&Checkout> {
        self.checkout.as_ref()
    }

    /// The directory or file that was read, as the reader was given it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was read.
    pub const fn extent(&self) -> Extent {
        self.extent
    }

    /// Which directory on the host stood behind [`Self::root`], or around it if that is a file: another
    /// one under the same path is a mount that came or went, or a swapped link (law 2).
    pub const fn identity(&self) -> RootIdentity {
        self.identity
    }

    /// The directories below the root, by their paths from it: which stood behind each path, links followed.
    /// What was mounted on one of them may come and go, too (law 2).
    pub const fn directories(&self) -> &BTreeMap<PathBuf, RootIdentity> {
        &self.directories
    }

    /// The files, in the order of their paths' bytes.
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }

    /// Whether a file is the one that says which images tags stand for: [`LOCK`], in the directory itself or beside the
    /// one file.
    pub fn is_lock(&self, file: &ManifestFile) -> bool {
        let is_root = self.extent == Extent::OneFile && self.root.file_name() == Some(LOCK.as_ref());
        !is_root && file.path == Path::new(LOCK)
    }

    /// What tells this state of the files from every other one.
    pub const fn revision(&self) -> &Revision {
        &self.revision
    }

    /// Whether there is no manifest file at all: a lock describes nothing. Such a snapshot is valid, and never a reason to
    /// remove anything (law 2).
    pub fn is_empty(&self) -> bool {
        self.files.iter().all(|file| self.is_lock(file))
    }

    /// What is told of a snapshot in which no file is a manifest: the path may be a wrong one.
    pub fn notice(&self) -> Option<String> {
        self.is_empty()
            .then(|| format!("no manifests in {} (looked for *.yaml and *.yml)", self.root.display()))
    }
}

/// A directory's identity on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootIdentity {
    /// The device's number.
    pub device: u64,
    /// The inode's number on that device.
    pub inode: u64,
}

/// One manifest file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// The path from the root; the file's name where the root is the file.
    pub path: PathBuf,
    /// The directory that relative paths in the file start from; absolute.
    pub base_dir: PathBuf,
    /// What is in it.
    pub content: Content,
}

impl ManifestFile {
    fn bytes_of_path(&self) -> &[u8] {
        self.path.as_os_str().as_encoded_bytes()
    }
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// Something that cannot be a manifest, though its name says so.
    Refused(Refusal),
}

/// Why a file cannot be a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: &'static str,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// A digest of all files' paths and bytes. Never leaves the process as it is: the keys of exams are among the
/// bytes, and a short key could be guessed until the digest fits (law 12).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Revision([u8; 32]);

impl Revision {
    /// What tells this revision from others to whoever has the secret, and says nothing to anybody else:
    /// HMAC-SHA256, 64 hexadecimal digits.
    pub fn sealed(&self, secret: &[u8; 32]) -> String {
        crate::resource::digest::hmac_hex(secret, &self.0)
    }

    /// The same, with what the files say that the manifests name.
    #[must_use]
    pub fn with(&self, attachments: &Attachments) -> Self {
        let mut hasher = Hashed(Sha256::new());
        (&self.0, attachments).hash(&mut hasher);
        Self(hasher.0.finalize().into())
    }

    fn of(files: &[ManifestFile]) -> Self {
        let mut digest = Sha256::new();
        // Lengths go in first, so that no two different lists of files are one stream of bytes.
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        for file in files {
            part(file.bytes_of_path());
            match &file.content {
                Content::Text(text) => part(text.as_bytes()),
                // 0xff begins no text, so that a refusal is never taken for one.
                Content::Refused(refusal) => part(&[&[0xff], refusal.message.as_bytes()].concat()),
            }
        }
        Self(digest.finalize().into())
    }
}

/// Takes in values that say of themselves where each part ends.
struct Hashed(Sha256);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody's: the whole digest is taken.
    fn finish(&self) -> u64 {
        0
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revision")
    }
}

/// Why there is no snapshot. Nothing may be concluded from it about any manifest (laws 1 and 2).
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is at the root.
    #[error("there is no manifest directory {}", shown(.root))]
    Missing {
        /// What was asked for.
        root: PathBuf,
    },
    /// A file or directory is there and cannot be read.
    #[error("cannot read {}", shown(.path))]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The files changed during each of several attempts to read them.
    #[error("the manifests in {} do not stop changing", shown(.root))]
    Unstable {
        /// What was asked for.
        root: PathBuf,
    },
}

/// A path as text that a terminal does not obey.
fn shown(path: &Path) -> String {
    crate::resource::printable::printable(&path.to_string_lossy()).into_owned()
}
