//! Archives from containers into a directory. In: a tar archive that somebody in a container has made up. Out:
//! files, directories and links in a directory of their own, and what was left out. Nothing leaves that
//! directory: not while it is unpacked, and not by following a link in it later.
//!
//! Links to names are made last, so nothing is ever written through one. Such a link may lead up only at its
//! beginning, and not further than the directory; from there on down. So wherever links lead to links, they
//! stay within.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::{Archive, Entry, EntryType};

use crate::fields::plain;

/// What the owner of a copy may always do: read it and take it away.
const OWN_FILE: u32 = 0o600;
const OWN_DIRECTORY: u32 = 0o700;

/// Unpacks an archive into a directory, which it makes. Returns what was left out, and why.
///
/// # Errors
/// If the directory is there already, or something cannot be read or written.
pub(super) fn unpack(archive: &mut impl Read, to: &Path) -> io::Result<Vec<String>> {
    DirBuilder::new().mode(OWN_DIRECTORY).create(to)?;
    let mut unpacking =
        Unpacking { root: to, left_out: Vec::new(), directories: Vec::new(), links: Vec::new() };
    for entry in Archive::new(archive).entries()? {
        unpacking.entry(&mut entry?)?;
    }
    unpacking.finish()
}

struct Unpacking<'a> {
    root: &'a Path,
    left_out: Vec<String>,
    /// Directories and what they may be: set last, for one may forbid that anything is put into it.
    directories: Vec<(PathBuf, u32)>,
    /// Links and where they lead to.
    links: Vec<(PathBuf, PathBuf)>,
}

impl Unpacking<'_> {
    fn entry(&mut self, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
        let shown = plain(&String::from_utf8_lossy(&entry.path_bytes()));
        match self.put(entry)? {
            Ok(()) => Ok(()),
            Err(why) => {
                self.left_out.push(format!("{shown}: {why}"));
                Ok(())
            }
        }
    }

    /// Puts one thing there, or says why not.
    fn put(&mut self, entry: &mut Entry<'_, impl Read>) -> io::Result<Result<(), String>> {
        let kind = entry.header().entry_type();
        let what = match kind {
            EntryType::Regular
            | EntryType::Continuous
            | EntryType::GNUSparse
            | EntryType::Directory
            | EntryType::Symlink
            | EntryType::Link => "",
            EntryType::Char | EntryType::Block => "a device",
            EntryType::Fifo => "a pipe",
            // What is said about the whole archive.
            EntryType::XGlobalHeader => return Ok(Ok(())),
            _ => "nothing that can be unpacked",
        };
        if !what.is_empty() {
            return Ok(Err(what.to_owned()));
        }
        let name = entry.path()?.into_owned();
        let Some(name) = inside(&name) else {
            return Ok(Err("its name leads out of the directory".to_owned()));
        };
        let place = self.root.join(&name);
        let mode = entry.header().mode().unwrap_or_default() & 0o777;
        if name.as_os_str().is_empty() {
            return Ok(if kind == EntryType::Directory { Ok(()) } else { Err("it has no name".to_owned()) });
        }
        if let Some(parent) = name.parent()
            && !self.directory(parent)?
        {
            return Ok(Err("what it lies in is no directory".to_owned()));
        }
        match kind {
            EntryType::Directory => {
                if !self.directory(&name)? {
                    return Ok(Err("it is there twice".to_owned()));
                }
                self.directories.push((place, mode | OWN_DIRECTORY));
            }
            EntryType::Symlink => {
                let Some(target) = entry.link_name()? else { return Ok(Err("it leads nowhere".to_owned())) };
                if !stays_inside(&name, &target) {
                    return Ok(Err(format!("a link to {}", plain(&target.to_string_lossy()))));
                }
                self.links.push((place, target.into_owned()));
            }
            EntryType::Link => {
                let target = entry.link_name()?.and_then(|target| inside(&target));
                let Some(target) = target.map(|target| self.root.join(target)) else {
                    return Ok(Err("a link that leads out of the directory".to_owned()));
                };
                // No link to a name is there yet that could lead elsewhere.
                if !fs::symlink_metadata(&target).is_ok_and(|meta| meta.is_file()) {
                    return Ok(Err("a link to what was not copied".to_owned()));
                }
                return once(fs::hard_link(target, place));
            }
            _ => return file(entry, &place, mode),
        }
        Ok(Ok(()))
    }

    /// Makes a directory and those above it. Says whether it is one.
    fn directory(&self, name: &Path) -> io::Result<bool> {
        let mut place = self.root.to_owned();
        for part in name.components() {
            place.push(part);
            match DirBuilder::new().mode(OWN_DIRECTORY).create(&place) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !fs::symlink_metadata(&place)?.is_dir() {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn finish(mut self) -> io::Result<Vec<String>> {
        for (place, target) in &self.links {
            if let Err(why) = once(symlink(target, place))? {
                let shown = place.strip_prefix(self.root).unwrap_or(place);
                // Docker's archives never say anything twice; the first one stays.
                self.left_out.push(format!("{}: {why}", plain(&shown.to_string_lossy())));
            }
        }
        for (place, mode) in self.directories.iter().rev() {
            fs::set_permissions(place, Permissions::from_mode(*mode))?;
        }
        Ok(self.left_out)
    }
}

/// Makes a file of its own: what is there already is neither written over nor followed.
fn file(entry: &mut Entry<'_, impl Read>, place: &Path, mode: u32) -> io::Result<Result<(), String>> {
    let made = File::options().write(true).create_new(true).mode(OWN_FILE).open(place);
    let mut file = match made {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Ok(Err("it is there twice".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let modified = entry.header().mtime().unwrap_or_default();
    io::copy(entry, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode | OWN_FILE))?;
    if let Some(modified) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(modified)) {
        // A time that the file system cannot keep is no reason to have no file.
        let _ = file.set_modified(modified);
    }
    Ok(Ok(()))
}

/// What could not be made because something is there already is left out.
fn once(made: io::Result<()>) -> io::Result<Result<(), String>> {
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Err("it is there twice".to_owned())),
        made => made.map(Ok),
    }
}

/// A name without what means nothing (`./`); `None` if it leads anywhere but down.
fn inside(name: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

/// Whether a link of this name stays in the directory, wherever other links lead.
fn stays_inside(name: &Path, target: &Path) -> bool {
    let mut above = name.components().count() - 1;
    let mut goes_down = false;
    for part in target.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => goes_down = true,
            // Up again from where another link may have led.
            Component::ParentDir if goes_down || above == 0 => return false,
            Component::ParentDir => above -= 1,
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    !target.as_os_str().is_empty()
}

#[cfg(test)]
mod tests;
