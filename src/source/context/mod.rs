//! What a builder is sent. In: a directory or an archive. Out: its digest, and the tar archive that has it.
//! Names, modes and contents count; times and owners do not: everything belongs to root, as with `docker build`.

mod dockerfile;
mod ignore;
mod send;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, DirEntry, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use self::ignore::Ignore;
use super::archive::{Holds, look_through};
use super::stamp::Stamp;
use crate::resource::digest::hex;

/// The most entries of a context: far more than anybody sends a builder on purpose.
const ENTRIES_MAX: usize = 200_000;
/// The largest Dockerfile and `.dockerignore` that are read.
const TEXT_MAX: u64 = 1 << 20;
/// How much of a file is read at once.
const CHUNK: usize = 1 << 16;
/// The name under which a Dockerfile that stands in a manifest is sent.
pub const INLINE: &str = ".invigil.Dockerfile";

/// What a builder is to see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextRequest {
    /// The directory, or a tar archive; `None` for an empty one.
    pub path: Option<PathBuf>,
    /// The Dockerfile.
    pub dockerfile: Dockerfile,
    /// The build arguments, which may be part of what its stages start from.
    pub args: BTreeMap<String, String>,
}

/// Where a Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dockerfile {
    /// At this path of the context.
    Named(String),
    /// Here.
    Inline(String),
}

/// What a comparison needs of a context.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContextSummary {
    /// A SHA-256 of all that the builder would see, in hexadecimal.
    pub digest: String,
    /// How many files it would see; `None` of an archive.
    pub files: Option<usize>,
    /// The images that the Dockerfile starts from, as it writes them.
    pub bases: BTreeSet<String>,
}

/// The digests of files that were read before, with what changes when they change.
pub type KnownFiles = HashMap<PathBuf, (Stamp, [u8; 32])>;

/// A file, directory or link of a context.
#[derive(Debug)]
struct Piece {
    /// Its path from the context's root.
    name: PathBuf,
    mode: u32,
    /// When it was changed, in seconds since 1970.
    modified: i64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A file that stands nowhere, or otherwise than it is sent.
    Text(String),
    File {
        path: PathBuf,
        stamp: Stamp,
    },
    Directory,
    /// A link, and where it leads.
    Link(PathBuf),
}

impl ContextRequest {
    /// Looks at the context. Contents of files that did not change since they became `known` are not read again.
    ///
    /// `beat` is called for every piece of one that is.
    ///
    /// # Errors
    /// Why it cannot be sent to a builder, in a sentence.
    pub fn summary(&self, known: &mut KnownFiles, beat: &dyn Fn()) -> Result<ContextSummary, String> {
        self.summary_at(known, beat, SystemTime::now())
    }

    fn summary_at(
        &self,
        known: &mut KnownFiles,
        beat: &dyn Fn(),
        now: SystemTime,
    ) -> Result<ContextSummary, String> {
        let mut before = std::mem::take(known);
        let archive = self.archive()?;
        if let Some((path, stamp)) = &archive
            && before.get(path).is_none_or(|(known, _)| known != stamp)
        {
            let file = File::open(path).map_err(|error| sentence(path, &error))?;
            look_through(&file, Holds::Context)
                .map_err(|why| format!("{} is no build context: {why}", path.display()))?;
        }
        let mut content = |path: &Path, stamp: Stamp| {
            let digest = match before.remove(path) {
                Some((known, digest)) if known == stamp => digest,
                _ => digest_at(path, stamp, beat)?,
            };
            if stamp.is_settled(now) {
                known.insert(path.to_owned(), (stamp, digest));
            }
            Ok::<_, String>(digest)
        };
        if let Some((archive, stamp)) = archive {
            let digest = hex(&content(&archive, stamp)?);
            return Ok(ContextSummary { digest, files: None, bases: BTreeSet::new() });
        }
        let (pieces, dockerfile) = self.pieces()?;
        let digest = digest_of_pieces(&pieces, |piece| match &piece.kind {
            Kind::File { path, stamp } => content(path, *stamp),
            _ => Ok(piece.digest()),
        })?;
        let files = pieces.iter().filter(|piece| matches!(piece.kind, Kind::File { .. })).count();
        Ok(ContextSummary { digest, files: Some(files), bases: dockerfile::bases(&dockerfile, &self.args) })
    }

    /// The name under which the builder finds the Dockerfile.
    pub fn dockerfile_name(&self) -> &str {
        match &self.dockerfile {
            Dockerfile::Named(path) => path,
            Dockerfile::Inline(_) => INLINE,
        }
    }

    /// Writes the tar archive for the builder, and looks whether it is what `digest` was taken of.
    ///
    /// # Errors
    /// If something cannot be read or written, or the context has changed since.
    pub fn send(&self, digest: &str, out: &mut impl Write) -> io::Result<()> {
        let sent = if let Some((archive, _)) = self.archive().map_err(io::Error::other)? {
            hex(&digest_of(File::open(archive)?, out)?)
        } else {
            send::send(&self.pieces().map_err(io::Error::other)?.0, out)?
        };
        if sent == digest { Ok(()) } else { Err(changed()) }
    }

    /// The path and what changes when it changes, if it is a file's.
    fn archive(&self) -> Result<Option<(PathBuf, Stamp)>, String> {
        let Some(path) = &self.path else { return Ok(None) };
        let metadata = fs::metadata(path).map_err(|error| sentence(path, &error))?;
        let shown = path.display();
        match &self.dockerfile {
            _ if metadata.is_dir() => Ok(None),
            _ if !metadata.is_file() => Err(format!("{shown} is neither a directory nor an archive")),
            Dockerfile::Named(_) => Ok(Some((path.clone(), Stamp::of(&metadata)))),
            Dockerfile::Inline(_) => Err(format!("{shown} is an archive: its Dockerfile has to be in it")),
        }
    }

    /// Everything that the builder sees, in the order of its names' bytes; and the Dockerfile's text.
    fn pieces(&self) -> Result<(Vec<Piece>, String), String> {
        let patterns = match &self.path {
            Some(root) => text(&root.join(ignore::FILE))?,
            None => None,
        };
        let kept = [self.dockerfile_name(), ignore::FILE];
        let ignore = Ignore::parse(patterns.as_deref().unwrap_or_default(), &kept)
            .map_err(|(line, why)| format!("{}:{line}: {why}", self.at(ignore::FILE).display()))?;
        let mut pieces = Vec::new();
        if let Some(root) = &self.path {
            read_directory(root, Path::new(""), &ignore, &mut pieces)?;
        }
        let dockerfile = match &self.dockerfile {
            Dockerfile::Named(name) => {
                text(&self.at(name))?.ok_or_else(|| format!("{} does not exist", self.at(name).display()))?
            }
            Dockerfile::Inline(dockerfile) => {
                // Neither file is for the image: `COPY . .` would take them in.
                let patterns = patterns.unwrap_or_else(|| ignore::FILE.to_owned());
                let written =
                    [(ignore::FILE, format!("{patterns}\n{INLINE}\n")), (INLINE, dockerfile.clone())];
                pieces.retain(|piece| written.iter().all(|(name, _)| piece.name != Path::new(name)));
                pieces.extend(written.map(|(name, text)| Piece {
                    name: PathBuf::from(name),
                    mode: 0o644,
                    modified: 0,
                    kind: Kind::Text(text),
                }));
                dockerfile.clone()
            }
        };
        pieces.sort_by(|a, b| a.name.as_os_str().as_bytes().cmp(b.name.as_os_str().as_bytes()));
        Ok((pieces, dockerfile))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.as_ref().map_or_else(|| PathBuf::from(name), |root| root.join(name))
    }
}

impl Piece {
    /// The digest of what it holds beside a name and a mode. That of a file on this host takes reading.
    fn digest(&self) -> [u8; 32] {
        match &self.kind {
            Kind::Text(text) => Sha256::digest(text.as_bytes()).into(),
            Kind::Link(target) => Sha256::digest(target.as_os_str().as_bytes()).into(),
            Kind::Directory | Kind::File { .. } => [0; 32],
        }
    }
}

/// The digest of a context, in hexadecimal; `content` is asked for each piece's, in order.
fn digest_of_pieces<E>(
    pieces: &[Piece],
    mut content: impl FnMut(&Piece) -> Result<[u8; 32], E>,
) -> Result<String, E> {
    let mut hasher = Sha256::new();
    for piece in pieces {
        let name = piece.name.as_os_str().as_bytes();
        let kind = match piece.kind {
            Kind::Text(_) | Kind::File { .. } => b'f',
            Kind::Directory => b'd',
            Kind::Link(_) => b'l',
        };
        hasher.update([kind]);
        hasher.update((name.len() as u64).to_be_bytes());
        hasher.update(name);
        hasher.update(piece.mode.to_be_bytes());
        hasher.update(content(piece)?);
    }
    Ok(hex(&hasher.finalize()))
}

/// The digest of a file that had this stamp when it was listed.
fn digest_at(path: &Path, stamp: Stamp, beat: &dyn Fn()) -> Result<[u8; 32], String> {
    let told = |error: io::Error| sentence(path, &error);
    let file = File::open(path).map_err(told)?;
    let digest = digest_of(&file, &mut Beating(beat)).map_err(told)?;
    if stamp.is_still(&file).map_err(told)? {
        Ok(digest)
    } else {
        Err(format!("{} changes while it is read", path.display()))
    }
}

/// Takes everything and keeps nothing but time.
struct Beating<'a>(&'a dyn Fn());

impl Write for Beating<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The digest of what a reader yields, all of which also goes to `out`.
fn digest_of(mut reader: impl Read, out: &mut impl Write) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&buffer[..count]);
        out.write_all(&buffer[..count])?;
    }
}

fn read_directory(root: &Path, below: &Path, ignore: &Ignore, pieces: &mut Vec<Piece>) -> Result<(), String> {
    let directory = root.join(below);
    let told = |error: io::Error| sentence(&directory, &error);
    let entries: Vec<DirEntry> =
        fs::read_dir(&directory).map_err(told)?.collect::<io::Result<_>>().map_err(told)?;
    for entry in entries {
        let name = below.join(entry.file_name());
        let ignored = ignore.ignores(&name.to_string_lossy());
        let metadata = entry.metadata().map_err(|error| sentence(&entry.path(), &error))?;
        let kind = if metadata.is_dir() {
            if !ignored || ignore.has_exceptions() {
                read_directory(root, &name, ignore, pieces)?;
            }
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Link(fs::read_link(entry.path()).map_err(|error| sentence(&entry.path(), &error))?)
        } else if metadata.is_file() {
            Kind::File { path: entry.path(), stamp: Stamp::of(&metadata) }
        } else if ignored || metadata.file_type().is_socket() {
            continue;
        } else {
            return Err(format!(
                "{} is a device or a pipe, which no builder can be sent",
                entry.path().display()
            ));
        };
        if ignored {
            continue;
        }
        if pieces.len() >= ENTRIES_MAX {
            return Err(format!(
                "{} has more than {ENTRIES_MAX} files; name what is not needed in {}",
                root.display(),
                ignore::FILE
            ));
        }
        pieces.push(Piece { name, mode: metadata.mode() & 0o7777, modified: metadata.mtime(), kind });
    }
    Ok(())
}

/// The text of a small file; `None` if there is none.
fn text(path: &Path) -> Result<Option<String>, String> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(format!("{} is not a regular file", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(sentence(path, &error)),
    }
    let file = File::open(path).map_err(|error| sentence(path, &error))?;
    let mut bytes = Vec::new();
    file.take(TEXT_MAX + 1).read_to_end(&mut bytes).map_err(|error| sentence(path, &error))?;
    if bytes.len() as u64 > TEXT_MAX {
        return Err(format!("{} is larger than it may be (1Mi)", path.display()));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| format!("{} is not UTF-8", path.display()))
}

fn sentence(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
        _ => format!("{} cannot be read: {error}", path.display()),
    }
}

fn changed() -> io::Error {
    io::Error::other("the build context changed while it was read")
}

#[cfg(test)]
mod tests;
