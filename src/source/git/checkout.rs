//! The files of a commit. In: a repository and a commit. Out: a directory, there whole or not at all, or why the commit
//! cannot be one. Writes the blobs as they are: no attribute, filter or line ending changes them.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::thread;

use super::command::Git;
use super::place::SubDirectory;
use super::{GitError, is_id};
use crate::resource::printable::printable;

/// The most files and bytes of a commit.
const FILES_MAX: usize = 100_000;
const BYTES_MAX: u64 = 2 << 30;
/// Linux's `PATH_MAX`.
const LINK_MAX: u64 = 4096;

/// One file or link of a commit.
struct Entry {
    path: PathBuf,
    object: String,
    size: u64,
    is_link: bool,
    is_program: bool,
}

/// What a line of a listing is.
enum Listed {
    File(Entry),
    /// It is not followed.
    Submodule,
}

/// Writes a commit's files into `revisions/COMMIT`, unless they are there. Inside: why they cannot be files here.
pub(super) fn files(
    git: &Git,
    commit: &str,
    revisions: &Path,
    directory: &SubDirectory,
) -> Result<Result<(), String>, GitError> {
    let entries = match entries(git, commit)? {
        Ok(entries) => entries,
        Err(why) => return Ok(Err(why)),
    };
    if !entries.iter().any(|entry| is_manifest(entry, directory)) {
        return Ok(Err(format!("there is no manifest (*.yaml, *.yml) in {directory} of it")));
    }
    let place = revisions.join(commit);
    if place.exists() {
        return Ok(Ok(()));
    }
    let links = links(git, &entries)?;
    if let Some((path, _)) = links.iter().find(|(path, target)| !stays_inside(path, target)) {
        let path = path.to_string_lossy();
        return Ok(Err(format!("the link {} leads out of the repository", printable(&path))));
    }
    let beside = revisions.join(format!(".{commit}.new"));
    let _ = fs::remove_dir_all(&beside);
    let written = write(git, &entries, &links, &beside).and_then(|()| {
        // All of it is on the disk before it has its name: what is there after a crash is whole.
        let settled = File::open(&beside).and_then(|dir| rustix::fs::syncfs(dir).map_err(io::Error::from));
        settled.and_then(|()| fs::rename(&beside, &place)).map_err(|error| GitError::on_disk(&place, &error))
    });
    if written.is_err() {
        let _ = fs::remove_dir_all(&beside);
    }
    written.map(Ok)
}

/// Whether a file is one that the manifests' reader takes.
fn is_manifest(entry: &Entry, directory: &SubDirectory) -> bool {
    let Ok(below) = entry.path.strip_prefix(directory.as_path()) else { return false };
    let is_hidden = below.iter().any(|part| part.as_bytes().starts_with(b"."));
    !is_hidden && below.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn entries(git: &Git, commit: &str) -> Result<Result<Vec<Entry>, String>, GitError> {
    let answer = git.inside(&["ls-tree", "-r", "-z", "--long", "--full-tree", commit])?;
    if !answer.status.success() {
        return Err(GitError(format!("the files of {commit} cannot be listed")));
    }
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for line in answer.bytes.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let Some(entry) = entry(line) else {
            return Ok(Err(format!("{} is no name of a file", printable(&String::from_utf8_lossy(line)))));
        };
        let Listed::File(entry) = entry else { continue };
        bytes += entry.size;
        entries.push(entry);
        if entries.len() > FILES_MAX || bytes > BYTES_MAX {
            return Ok(Err(format!("it has more than {FILES_MAX} files, or more than 2 GiB")));
        }
    }
    Ok(Ok(entries))
}

/// One line of `git ls-tree`; `None` of what can be no file here.
fn entry(line: &[u8]) -> Option<Listed> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let head = std::str::from_utf8(&line[..tab]).ok()?;
    let mut words = head.split_ascii_whitespace();
    let (mode, _, object, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(&line[tab + 1..]));
    let is_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !is_inside || !is_id(object) {
        return None;
    }
    let file = |is_link, is_program| {
        Some(Listed::File(Entry {
            path: path.clone(),
            object: object.to_owned(),
            size: size.parse().ok()?,
            is_link,
            is_program,
        }))
    };
    match mode {
        "160000" => Some(Listed::Submodule),
        "120000" => file(true, false),
        "100755" => file(false, true),
        _ if mode.starts_with("100") => file(false, false),
        _ => None,
    }
}

/// Where the links lead, by their paths.
fn links<'e>(git: &Git, entries: &'e [Entry]) -> Result<BTreeMap<&'e Path, PathBuf>, GitError> {
    let mut links = BTreeMap::new();
    each(git, entries.iter().filter(|entry| entry.is_link).collect(), |entry, bytes| {
        let mut target = Vec::new();
        bytes.take(LINK_MAX).read_to_end(&mut target)?;
        links.insert(entry.path.as_path(), PathBuf::from(std::ffi::OsStr::from_bytes(&target)));
        Ok(())
    })?;
    Ok(links)
}

/// Writes all of them below a directory that is not there yet.
fn write(
    git: &Git,
    entries: &[Entry],
    links: &BTreeMap<&Path, PathBuf>,
    root: &Path,
) -> Result<(), GitError> {
    fs::create_dir(root).map_err(|error| GitError::on_disk(root, &error))?;
    each(git, entries.iter().filter(|entry| !entry.is_link).collect(), |entry, bytes| {
        file(bytes, entry, &root.join(&entry.path), root)
    })?;
    // Last: nothing is written through a link.
    links.iter().try_for_each(|(path, target)| {
        let place = root.join(path);
        let made = make_way(&place, root).and_then(|()| symlink(target, &place));
        made.map_err(|error| GitError::on_disk(&place, &error))
    })
}

/// Hands over what is in each of these.
fn each<'e>(
    git: &Git,
    entries: Vec<&'e Entry>,
    mut take: impl FnMut(&'e Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<(), GitError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut child = git.talking(&["cat-file", "--batch"])?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(GitError("git cannot be spoken to".to_owned()));
    };
    let objects: Vec<String> = entries.iter().map(|entry| entry.object.clone()).collect();
    let asking = thread::spawn(move || {
        let mut stdin = BufWriter::new(stdin);
        objects.iter().try_for_each(|object| writeln!(stdin, "{object}")).and_then(|()| stdin.flush())
    });
    let mut answers = BufReader::new(stdout);
    let taken = entries.into_iter().try_for_each(|entry| {
        let mut one = || {
            let mut bytes = blob(&mut answers, entry)?;
            take(entry, &mut bytes)?;
            io::copy(&mut bytes, &mut io::sink())?;
            // The line break after each.
            answers.read_exact(&mut [0])
        };
        one().map_err(|error| GitError::on_disk(&entry.path, &error))
    });
    drop(answers);
    if taken.is_err() {
        let _ = child.kill();
    }
    let _ = child.wait();
    let _ = asking.join();
    taken
}

/// The bytes of the next blob.
fn blob<'a>(
    answers: &'a mut BufReader<impl Read>,
    entry: &Entry,
) -> io::Result<io::Take<&'a mut BufReader<impl Read>>> {
    let mut head = String::new();
    answers.take(200).read_line(&mut head)?;
    if head.trim_end() != format!("{} blob {}", entry.object, entry.size) {
        return Err(io::Error::other("git has no such file, or ended"));
    }
    Ok(answers.take(entry.size))
}

fn file(mut bytes: impl Read, entry: &Entry, place: &Path, root: &Path) -> io::Result<()> {
    make_way(place, root)?;
    // Never over another: two names may be one to a file system.
    let mut file = OpenOptions::new().write(true).create_new(true).open(place)?;
    if io::copy(&mut bytes, &mut file)? != entry.size {
        return Err(io::Error::other("git ended in the middle of it"));
    }
    // Whatever the umask: what is built from a checkout is the same as from a directory.
    file.set_permissions(Permissions::from_mode(if entry.is_program { 0o755 } else { 0o644 }))
}

/// The directories on the way to a place.
fn make_way(place: &Path, root: &Path) -> io::Result<()> {
    let Some(parent) = place.parent().filter(|parent| *parent != root) else { return Ok(()) };
    if parent.is_dir() {
        return Ok(());
    }
    make_way(parent, root)?;
    fs::create_dir(parent)?;
    fs::set_permissions(parent, Permissions::from_mode(0o755))
}

/// Whether a link leads nowhere but into the same checkout: up no further than its root, and only before it goes down, so that
/// no other link on the way changes that.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count() - 1;
    let mut is_down = false;
    target.components().all(|part| match part {
        Component::ParentDir if !is_down && depth > 0 => {
            depth -= 1;
            true
        }
        Component::CurDir => true,
        Component::Normal(_) => {
            is_down = true;
            true
        }
        _ => false,
    })
}
