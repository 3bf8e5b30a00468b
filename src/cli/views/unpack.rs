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
mod tests {
    use proptest::prelude::*;
    use tar::{Builder, Header};

    use super::*;

    /// An archive with names as they are, which the library would refuse to write.
    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        for (kind, name, content) in entries {
            let mut header = Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o4_555);
            header.set_mtime(1_530_866_040);
            let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
            if is_link {
                header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
            }
            let content = if is_link { "" } else { content };
            header.set_size(content.len() as u64);
            header.set_cksum();
            archive.append(&header, content.as_bytes()).expect("an entry");
        }
        archive.into_inner().expect("an archive")
    }

    /// What is in a directory, sorted: `name content`, `name/`, `name -> target`.
    fn tree(directory: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut queue = vec![directory.to_owned()];
        while let Some(next) = queue.pop() {
            for entry in fs::read_dir(&next).expect("a directory") {
                let path = entry.expect("an entry").path();
                let name = path.strip_prefix(directory).expect("inside").display().to_string();
                let meta = fs::symlink_metadata(&path).expect("there");
                if meta.is_symlink() {
                    found.push(format!("{name} -> {}", fs::read_link(&path).expect("a link").display()));
                } else if meta.is_dir() {
                    found.push(format!("{name}/"));
                    queue.push(path);
                } else {
                    found.push(format!("{name} {}", fs::read_to_string(&path).expect("text")));
                }
            }
        }
        found.sort();
        found
    }

    fn unpacked(entries: &[(EntryType, &str, &str)]) -> (Vec<String>, Vec<String>, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a directory");
        let to = dir.path().join("to");
        let left_out = unpack(&mut &*archive(entries), &to).expect("unpacked");
        // Nothing was put beside it.
        assert_eq!(tree(dir.path()).iter().filter(|name| !name.starts_with("to/")).count(), 0);
        (tree(&to), left_out, dir)
    }

    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;

    #[test]
    fn what_is_copied_keeps_its_names_modes_and_times() {
        let (tree, left_out, dir) = unpacked(&[
            (EntryType::Directory, "answers/", ""),
            (FILE, "answers/第8题.txt", "B"),
            (LINK, "answers/latest", "第8题.txt"),
            (EntryType::Link, "answers/same", "answers/第8题.txt"),
            (FILE, "./deep/er/x", "y"),
            (LINK, "deep/er/up", "../../answers/latest"),
        ]);
        assert_eq!(left_out, Vec::<String>::new());
        assert_eq!(
            tree,
            [
                "answers/",
                "answers/latest -> 第8题.txt",
                "answers/same B",
                "answers/第8题.txt B",
                "deep/",
                "deep/er/",
                "deep/er/up -> ../../answers/latest",
                "deep/er/x y",
            ]
        );
        let meta = fs::metadata(dir.path().join("to/answers/第8题.txt")).expect("a file");
        // Neither for whoever the container's user was, nor with more rights than anybody has.
        assert_eq!(meta.permissions().mode() & 0o7777, 0o755);
        let modified = meta.modified().expect("a time").duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(modified.expect("a time").as_secs(), 1_530_866_040);
        assert_eq!(fs::read_to_string(dir.path().join("to/deep/er/up")).expect("text"), "B");
    }

    #[test]
    fn law_13_names_that_lead_out_are_left_out() {
        let (tree, left_out, _dir) = unpacked(&[
            (FILE, "/etc/passwd", "x"),
            (FILE, "../beside", "x"),
            (FILE, "a/../../beside", "x"),
            (FILE, "a\u{1b}[2J/..", "x"),
            (FILE, "ok", "1"),
        ]);
        assert_eq!(tree, ["ok 1"]);
        assert_eq!(
            left_out,
            [
                "/etc/passwd: its name leads out of the directory",
                "../beside: its name leads out of the directory",
                "a/../../beside: its name leads out of the directory",
                "a\\u{1b}[2J/..: its name leads out of the directory",
            ]
        );
    }

    #[test]
    fn law_13_nothing_is_written_through_a_link_and_no_link_leads_out() {
        let (tree, left_out, _dir) = unpacked(&[
            (LINK, "etc", "/etc"),
            (FILE, "etc/passwd", "x"),
            (LINK, "up", ".."),
            (LINK, "d/up", "../.."),
            (LINK, "d/root", ".."),
            (FILE, "d/root/file", "x"),
            // Up again from where a link led to.
            (LINK, "escape", "d/root/.."),
            (LINK, "loop", "loop"),
            (EntryType::Link, "hard", "/etc/passwd"),
            (EntryType::Link, "hard2", "../beside"),
            (EntryType::Link, "hard3", "d/root"),
            (LINK, "empty", ""),
        ]);
        assert_eq!(
            tree,
            ["d/", "d/root/", "d/root/file x", "etc/", "etc/passwd x", "loop -> loop"],
            "{left_out:?}"
        );
        assert_eq!(
            left_out,
            [
                "etc: a link to /etc",
                "up: a link to ..",
                "d/up: a link to ../..",
                "escape: a link to d/root/..",
                "hard: a link that leads out of the directory",
                "hard2: a link that leads out of the directory",
                "hard3: a link to what was not copied",
                "empty: it leads nowhere",
                "d/root: it is there twice",
            ]
        );
    }

    #[test]
    fn law_13_devices_and_pipes_are_left_out_and_nothing_is_written_twice() {
        let (tree, left_out, _dir) = unpacked(&[
            (EntryType::Char, "null", ""),
            (EntryType::Block, "sda", ""),
            (EntryType::Fifo, "pipe", ""),
            (EntryType::new(b'Z'), "odd", ""),
            (FILE, "a", "first"),
            (FILE, "a", "second"),
            (FILE, "a/b", "below a file"),
            (EntryType::Directory, "a", ""),
            (FILE, ".", "nameless"),
        ]);
        assert_eq!(tree, ["a first"]);
        assert_eq!(
            left_out,
            [
                "null: a device",
                "sda: a device",
                "pipe: a pipe",
                "odd: nothing that can be unpacked",
                "a: it is there twice",
                "a/b: what it lies in is no directory",
                "a: it is there twice",
                ".: it has no name",
            ]
        );
    }

    #[test]
    fn a_directory_that_is_there_and_an_archive_that_breaks_off_are_errors() {
        let dir = tempfile::tempdir().expect("a directory");
        let bytes = archive(&[(FILE, "a", "content")]);
        assert_eq!(unpack(&mut &*bytes, dir.path()).expect_err("there").kind(), io::ErrorKind::AlreadyExists);
        assert!(unpack(&mut &bytes[..515], &dir.path().join("new")).is_err());
    }

    /// Names that wander about in a small tree, so that links often meet links.
    fn wandering(parts: Vec<&'static str>) -> impl Strategy<Value = String> {
        let parts = prop::collection::vec(prop::sample::select(parts), 1..4);
        (parts, prop::bool::weighted(0.02)).prop_map(|(parts, is_absolute)| {
            format!("{}{}", if is_absolute { "/" } else { "" }, parts.join("/"))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn law_13_no_archive_leads_out_of_its_directory(
            entries in prop::collection::vec(
                (0_usize..12, wandering(vec!["a", "b", "c"]), wandering(vec!["a", "b", "..", ".."])),
                0..20,
            )
        ) {
            let dir = tempfile::tempdir().expect("a directory");
            let root = dir.path().canonicalize().expect("a path").join("to");
            let kinds = [FILE, EntryType::Directory, EntryType::Link, LINK];
            let entries: Vec<(EntryType, &str, &str)> = entries
                .iter()
                .map(|(kind, name, target)| (*kinds.get(*kind).unwrap_or(&LINK), &**name, &**target))
                .collect();
            unpack(&mut &*archive(&entries), &root).expect("unpacked");
            let beside: Vec<_> = fs::read_dir(dir.path()).expect("a directory").collect();
            prop_assert_eq!(beside.len(), 1);
            let mut queue = vec![root.clone()];
            while let Some(next) = queue.pop() {
                for entry in fs::read_dir(&next).expect("a directory") {
                    let path = entry.expect("an entry").path();
                    if let Ok(leads_to) = path.canonicalize() {
                        prop_assert!(leads_to.starts_with(&root), "{path:?} leads to {leads_to:?}");
                    }
                    if path.symlink_metadata().expect("there").is_dir() {
                        queue.push(path);
                    }
                }
            }
        }
    }
}
