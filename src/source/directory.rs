//! Reads the manifests of a directory. In: its path. Out: a [`Snapshot`]. Never blocks on a pipe,
//! never follows a circle of links, and never skips what it cannot read.

use std::collections::BTreeMap;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{self, Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::git::checkout_around;
use super::stamp::Stamp;
use super::{Content, Extent, LOCK, ManifestFile, Refusal, RootIdentity, Snapshot, SourceError};

/// The most bytes of one file. Far above any exam; a bound on the time one file can take.
pub const FILE_SIZE_MAX: u64 = 1 << 20;

/// How often changing files are read before giving up.
const ATTEMPTS: usize = 3;
/// The rest between two attempts: an editor's rename or a link's swap is over by then.
const REST: Duration = Duration::from_millis(20);

/// Linux's `O_NONBLOCK`: opening a pipe that took a file's place returns at once.
const O_NONBLOCK: i32 = 0o4000;
/// Linux's `ELOOP`: a symbolic link leads to itself.
const ELOOP: i32 = 40;

/// Reads every `*.yaml` and `*.yml` under a directory and the directory's own [`LOCK`], or one file of any name and the
/// lock beside it.
///
/// Names that begin with a dot are skipped, directories too; symbolic links are followed. The
/// snapshot is of one moment: if a file or a listing changed in between, everything is read again.
///
/// # Errors
/// [`SourceError`]; a file that is readable but cannot be a manifest (too large, not UTF-8, a pipe,
/// a link that leads nowhere) is no error here but [`Content::Refused`], so that the others are read.
pub fn read(root: &Path) -> Result<Snapshot, SourceError> {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            thread::sleep(REST);
        }
        match read_once(root) {
            Ok(snapshot) => return Ok(snapshot),
            Err(Disturbance::Changed) => {}
            Err(Disturbance::Failed(error)) => return Err(error),
        }
    }
    Err(SourceError::Unstable { root: root.to_owned() })
}

/// Why one attempt gave no snapshot.
#[derive(Debug)]
enum Disturbance {
    /// Something changed meanwhile.
    Changed,
    /// Something cannot be read.
    Failed(SourceError),
}

impl Disturbance {
    /// What vanished after it was listed has changed; everything else is unreadable.
    fn from_io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Changed,
            _ => Self::Failed(SourceError::Unreadable { path: path.to_owned(), source }),
        }
    }
}

fn read_once(given: &Path) -> Result<Snapshot, Disturbance> {
    let before = Listing::of(given)?;
    // What a manifest names beside itself is handed to an engine, which knows no working directory.
    let root = path::absolute(given)
        .map_err(|source| Disturbance::Failed(SourceError::Unreadable { path: given.to_owned(), source }))?;
    let place = |entry: &Entry| {
        if before.is_directory { root.join(&entry.path) } else { root.with_file_name(&entry.path) }
    };
    let files = before.entries.iter().map(|entry| entry.read(&place(entry))).collect::<Result<_, _>>()?;
    if Listing::of(given)? != before {
        return Err(Disturbance::Changed);
    }
    let extent = if before.is_directory { Extent::Directory } else { Extent::OneFile };
    Ok(Snapshot::new(given.to_owned(), before.identity, extent, files)
        .with_directories(before.directories)
        .in_checkout(checkout_around(&root)))
}

/// What is under a root, without the bytes. Two equal listings mean that nothing changed in between.
#[derive(PartialEq, Eq)]
struct Listing {
    identity: RootIdentity,
    is_directory: bool,
    directories: BTreeMap<PathBuf, RootIdentity>,
    entries: Vec<Entry>,
}

#[derive(PartialEq, Eq)]
struct Entry {
    /// The path from the root; the root's own name where the root is the file.
    path: PathBuf,
    found: Found,
}

#[derive(PartialEq, Eq)]
enum Found {
    File(Stamp),
    Refused(Refusal),
}

impl Found {
    /// What a name that says "manifest" stands for.
    fn of(metadata: &Metadata) -> Self {
        if metadata.is_file() {
            Self::File(Stamp::of(metadata))
        } else {
            Self::Refused(refused("this is a pipe, a socket or a device, not a file"))
        }
    }
}

impl Listing {
    fn of(root: &Path) -> Result<Self, Disturbance> {
        let metadata = root_metadata(root)?;
        if metadata.is_dir() {
            let identity = identity(&metadata);
            let mut listing =
                Self { identity, is_directory: true, directories: BTreeMap::new(), entries: Vec::new() };
            listing.walk(root, Path::new(""), &mut vec![identity])?;
            listing.entries.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
            return Ok(listing);
        }
        // An editor replaces a file when it saves: what stays, and comes and goes with a mount, is the
        // directory around it.
        let around = root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let path = root.file_name().map_or_else(|| root.to_owned(), PathBuf::from);
        let mut entries = vec![Entry { path, found: Found::of(&metadata) }];
        if entries[0].path != Path::new(LOCK) {
            entries.extend(lock_in(around)?);
        }
        Ok(Self {
            identity: identity(&root_metadata(around)?),
            is_directory: false,
            directories: BTreeMap::new(),
            entries,
        })
    }

    /// Lists a directory. `above` are the directories that led here, so that a link back ends the way.
    fn walk(
        &mut self,
        directory: &Path,
        relative: &Path,
        above: &mut Vec<RootIdentity>,
    ) -> Result<(), Disturbance> {
        let unreadable = |source| Disturbance::from_io(directory, source);
        let listed = match fs::read_dir(directory) {
            // Of one below the root it is known where it is, and the others are told of at least.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !relative.as_os_str().is_empty() => {
                let found = Found::Refused(refused("this directory cannot be read: permission denied"));
                self.entries.push(Entry { path: relative.to_owned(), found });
                return Ok(());
            }
            listed => listed.map_err(unreadable)?,
        };
        for entry in listed {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let (path, relative) = (entry.path(), relative.join(&name));
            let file_type = entry.file_type().map_err(|source| Disturbance::from_io(&path, source))?;
            let says_manifest = relative == Path::new(LOCK)
                || relative.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
            if !says_manifest && !file_type.is_dir() && !file_type.is_symlink() {
                continue;
            }
            match follow(&path, file_type)? {
                // Of any name: it may lead to a directory whose file system is not mounted (law 2).
                Target::Refused(refusal) => {
                    self.entries.push(Entry { path: relative, found: Found::Refused(refusal) });
                }
                Target::Found(metadata) if metadata.is_dir() => {
                    let identity = identity(&metadata);
                    // A link to a directory above would list the same files again, without end.
                    if !above.contains(&identity) {
                        self.directories.insert(relative.clone(), identity);
                        above.push(identity);
                        self.walk(&path, &relative, above)?;
                        above.pop();
                    }
                }
                Target::Found(metadata) if says_manifest => {
                    self.entries.push(Entry { path: relative, found: Found::of(&metadata) });
                }
                Target::Found(_) => {}
            }
        }
        Ok(())
    }
}

/// The lock in a directory, if there is one.
fn lock_in(directory: &Path) -> Result<Option<Entry>, Disturbance> {
    let path = directory.join(LOCK);
    let found = match fs::symlink_metadata(&path) {
        Ok(metadata) => follow(&path, metadata.file_type())?,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Disturbance::from_io(&path, source)),
    };
    let found = match found {
        Target::Refused(refusal) => Found::Refused(refusal),
        Target::Found(metadata) if metadata.is_dir() => return Ok(None),
        Target::Found(metadata) => Found::of(&metadata),
    };
    Ok(Some(Entry { path: LOCK.into(), found }))
}

fn root_metadata(root: &Path) -> Result<Metadata, Disturbance> {
    fs::metadata(root).map_err(|source| {
        Disturbance::Failed(match source.kind() {
            ErrorKind::NotFound => SourceError::Missing { root: root.to_owned() },
            _ => SourceError::Unreadable { path: root.to_owned(), source },
        })
    })
}

/// What stands behind a name once links are followed.
enum Target {
    Found(Metadata),
    Refused(Refusal),
}

fn follow(path: &Path, file_type: FileType) -> Result<Target, Disturbance> {
    let nowhere = || Target::Refused(refused("this symbolic link leads nowhere"));
    match fs::metadata(path) {
        Ok(metadata) => Ok(Target::Found(metadata)),
        // The directory around it may be listed, and no more.
        Err(source) if source.kind() == ErrorKind::PermissionDenied => {
            Ok(Target::Refused(refused("what this name stands for cannot be seen: permission denied")))
        }
        Err(source) if file_type.is_symlink() => match source.kind() {
            // The link itself may be what vanished.
            ErrorKind::NotFound | ErrorKind::NotADirectory => match fs::symlink_metadata(path) {
                Ok(_) => Ok(nowhere()),
                Err(source) => Err(Disturbance::from_io(path, source)),
            },
            _ if source.raw_os_error() == Some(ELOOP) => Ok(nowhere()),
            _ => Err(Disturbance::from_io(path, source)),
        },
        Err(source) => Err(Disturbance::from_io(path, source)),
    }
}

impl Entry {
    fn read(&self, path: &Path) -> Result<ManifestFile, Disturbance> {
        let content = match &self.found {
            Found::Refused(refusal) => Content::Refused(refusal.clone()),
            Found::File(stamp) => read_file(path, stamp)?,
        };
        let base_dir = path.parent().map(PathBuf::from).unwrap_or_default();
        Ok(ManifestFile { path: self.path.clone(), base_dir, content })
    }
}

fn read_file(path: &Path, listed: &Stamp) -> Result<Content, Disturbance> {
    let unreadable = |source| Disturbance::from_io(path, source);
    let file: File = match OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path) {
        // It stays unreadable: the others are told of at least, and nothing is removed meanwhile.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Ok(Content::Refused(refused("this file cannot be read: permission denied")));
        }
        opened => opened.map_err(unreadable)?,
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || Stamp::of(&metadata) != *listed {
        return Err(Disturbance::Changed);
    }
    if metadata.size() > FILE_SIZE_MAX {
        let hint = Some("split it: manifests may stand in any number of files");
        return Ok(Content::Refused(Refusal { hint, ..refused("the file is larger than 1 MiB") }));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.size()).unwrap_or_default() + 1);
    // One byte more than listed is enough to see that the file grew.
    (&file).take(metadata.size() + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 != metadata.size() || Stamp::of(&file.metadata().map_err(unreadable)?) != *listed {
        return Err(Disturbance::Changed);
    }
    if bytes.is_empty() {
        let hint = Some("remove the file if it is to describe nothing; an empty one may be half written");
        return Ok(Content::Refused(Refusal { hint, ..refused("the file is empty") }));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Content::Text(text),
        Err(error) => Content::Refused(not_utf8(error.as_bytes(), error.utf8_error().valid_up_to())),
    })
}

fn identity(metadata: &Metadata) -> RootIdentity {
    RootIdentity { device: metadata.dev(), inode: metadata.ino() }
}

const fn refused(message: &'static str) -> Refusal {
    Refusal { line: 1, column: 1, message, hint: None }
}

/// Places the first byte that is not UTF-8.
fn not_utf8(bytes: &[u8], at: usize) -> Refusal {
    let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default());
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    Refusal {
        line: before.matches('\n').count() + 1,
        column: last_line.trim_start_matches('\u{feff}').chars().count() + 1,
        message: "this is not UTF-8",
        hint: Some("save the file as UTF-8"),
    }
}

#[cfg(test)]
mod tests;
