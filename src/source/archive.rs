//! Tar archives that an engine or a builder unpacks. In: an open file. Out: its entries, or why it must not be sent. Reads
//! headers and names alone; contents are skipped. What is compressed is refused: how large it is shows only once it is
//! unpacked; and so is what this reader and the engine's could understand differently.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use crate::resource::printable::printable;

/// The largest metadata document of a saved image.
pub(crate) const DOCUMENT_MAX: u64 = 8 << 20;
/// All that is read of a saved image: headers, long names and documents. A layer of any size is skipped.
const IMAGE_MAX: u64 = 4 * DOCUMENT_MAX;
/// All that is read for one entry of another archive: its header, and names that are anybody's word to be as long as a layer.
const ENTRY_MAX: u64 = 1 << 20;

/// What compressed files begin with, and what unpacks them.
const COMPRESSED: [(&[u8], &str); 4] = [
    (&[0x1f, 0x8b], "gunzip"),
    (b"BZh", "bunzip2"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "unxz"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "unzstd"),
];

/// What an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Saved images. The engine unpacks each entry as root, and reads layers by the names that the archive gives them.
    Images,
    /// A whole file system. Its devices, and the links in it, mean something within it alone; it must not hold files beside
    /// it, nor be linked to any.
    FileSystem,
    /// What a builder sees, which follows symbolic links within it alone.
    Context,
}

/// An entry of an archive, whose content can be read as far as it is one's own to read.
pub(super) type Entry<'a, 'f> = tar::Entry<'a, Sparing<'f>>;

/// Looks at every entry of an archive.
///
/// # Errors
/// What must not be in it, or why it is none, in words.
pub(crate) fn look_through(file: &File, holds: Holds) -> Result<(), String> {
    walk(file, holds, |_, _| Ok(()))
}

/// Looks at every entry of an archive, and gives it to `each` with its name.
///
/// # Errors
/// What must not be in it, or why it is none, in words.
pub(super) fn walk(
    mut file: &File,
    holds: Holds,
    mut each: impl FnMut(String, &mut Entry<'_, '_>) -> io::Result<()>,
) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    let length = file.metadata().map_err(told)?.len();
    if length == 0 {
        return Err("it is empty".to_owned());
    }
    if let Some(unpack) = compressed(file).map_err(told)? {
        return Err(format!("it is compressed; unpack it with {unpack} first"));
    }
    file.seek(SeekFrom::Start(0)).map_err(told)?;
    let left = Cell::new(if holds == Holds::Images { IMAGE_MAX } else { ENTRY_MAX });
    let damaged = |error: io::Error| match error.kind() {
        ErrorKind::FileTooLarge if holds == Holds::Images => {
            "its metadata is larger than an image's can be".to_owned()
        }
        ErrorKind::FileTooLarge => "a name in it is longer than any can be".to_owned(),
        _ => format!("it is no tar archive, or damaged: {error}"),
    };
    let mut archive = tar::Archive::new(Sparing { file, left: &left });
    let mut gate = Gate::of(holds);
    for entry in archive.entries_with_seek().map_err(told)? {
        let mut entry = entry.map_err(damaged)?;
        if holds != Holds::Images {
            left.set(ENTRY_MAX);
        }
        let name = gate.pass(&mut entry)?;
        if entry.raw_file_position().saturating_add(entry.size()) > length {
            return Err(format!("it is damaged: it ends in the middle of `{}`", printable(&name)));
        }
        each(name, &mut entry).map_err(damaged)?;
    }
    Ok(())
}

/// What unpacks a compressed file; `None` of one that is not.
fn compressed(mut file: &File) -> io::Result<Option<&'static str>> {
    let mut start = Vec::new();
    file.rewind()?;
    file.take(6).read_to_end(&mut start)?;
    Ok(COMPRESSED.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, unpack)| *unpack))
}

/// What lets an archive's entries through, one after the other.
pub(crate) struct Gate {
    holds: Holds,
    /// The symbolic links that there were so far.
    links: BTreeSet<PathBuf>,
}

impl Gate {
    /// At the beginning of an archive.
    pub(crate) fn of(holds: Holds) -> Self {
        Self { holds, links: BTreeSet::new() }
    }

    /// The name of an entry that may be in the archive.
    ///
    /// # Errors
    /// Why it may not, in words.
    pub(crate) fn pass<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<String, String> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let shown = printable(&name);
        let ambiguous = || format!("what it says of `{shown}` can be understood in two ways; pack it anew");
        if is_ambiguous(entry, &name) {
            return Err(ambiguous());
        }
        let records = Records::of(entry).map_err(|error| format!("it is damaged: {error}"))?;
        // A few bytes of it may stand for as many zeros as somebody likes.
        if entry.header().entry_type().is_gnu_sparse() || records.is_sparse {
            return Err(format!("`{shown}` in it is sparse; pack it anew without --sparse"));
        }
        if records.is_ambiguous {
            return Err(ambiguous());
        }
        self.place(entry, &name)?;
        Ok(name)
    }

    /// Looks at where an entry stands and leads.
    fn place<R: Read>(&mut self, entry: &tar::Entry<'_, R>, name: &str) -> Result<(), String> {
        let shown = printable(name);
        let kind = entry.header().entry_type();
        let is_special = kind.is_block_special() || kind.is_character_special() || kind.is_fifo();
        if is_special && self.holds != Holds::FileSystem {
            return Err(format!("`{shown}` in it is a device or a pipe"));
        }
        // Whoever unpacks a file system does so below its root.
        let from_root = |path: &str| match self.holds {
            Holds::FileSystem => PathBuf::from(path.trim_start_matches('/')),
            Holds::Images | Holds::Context => PathBuf::from(path),
        };
        let path = from_root(name);
        if leaves(&path) {
            return Err(format!("`{shown}` in it leads out of it"));
        }
        let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
        let target = target.unwrap_or_default();
        let out = || format!("the link `{shown}` in it leads out of it");
        if kind.is_hard_link() && leaves(&from_root(&target)) {
            return Err(out());
        }
        if self.holds == Holds::Images {
            // Where no path goes by way of a link, what is written of a link is where it leads.
            let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
            if path.ancestors().skip(1).any(|above| self.links.contains(above)) {
                return Err(format!("`{shown}` in it stands behind a link"));
            }
            if kind.is_symlink() {
                let target = Path::new(&target);
                let from = path.parent().unwrap_or(Path::new(""));
                if target.is_absolute() || goes_back(target) || leaves(&from.join(target)) {
                    return Err(out());
                }
                self.links.insert(path);
            }
        }
        Ok(())
    }
}

/// What an entry's extended header says, beside its name and size.
#[derive(Default)]
struct Records {
    /// That it has holes.
    is_sparse: bool,
    /// One thing twice, or another name than the rest says: whoever reads it may believe either.
    is_ambiguous: bool,
}

impl Records {
    fn of<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Self> {
        let path = entry.path_bytes().into_owned();
        let target = entry.link_name_bytes().map(Cow::into_owned);
        let mut records = Self::default();
        let mut keys = BTreeSet::new();
        for record in entry.pax_extensions()?.into_iter().flatten() {
            let record = record?;
            let (key, value) = (record.key_bytes(), record.value_bytes());
            records.is_sparse |= key.starts_with(b"GNU.sparse.");
            records.is_ambiguous |= !keys.insert(key.to_vec())
                || key == b"path" && value != path
                || key == b"linkpath" && Some(value) != target.as_deref();
        }
        Ok(records)
    }
}

/// Whether this reader and an engine's may take different bytes for the next entry: a size of what has no content, and
/// headers about another entry that are not marked as such.
fn is_ambiguous<R: Read>(entry: &tar::Entry<'_, R>, name: &str) -> bool {
    let kind = entry.header().entry_type();
    let is_about_another =
        matches!(kind, EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink);
    let has_content = entry.size() > 0 || entry.header().entry_size().is_ok_and(|size| size > 0);
    let is_header_alone = name.ends_with('/')
        || matches!(
            kind,
            EntryType::Directory
                | EntryType::Symlink
                | EntryType::Link
                | EntryType::Char
                | EntryType::Block
                | EntryType::Fifo
        );
    is_about_another || (is_header_alone && has_content)
}

/// Whether a path leads out of the archive in which it stands.
fn leaves(path: &Path) -> bool {
    let mut depth = 0_i32;
    path.components().any(|part| {
        depth += match part {
            Component::Normal(_) => 1,
            Component::CurDir => 0,
            Component::ParentDir => -1,
            Component::RootDir | Component::Prefix(_) => i32::MIN,
        };
        depth < 0
    })
}

/// Whether a path goes up after it has gone down: from a link that is somewhere else.
fn goes_back(path: &Path) -> bool {
    let down = path.components().skip_while(|part| !matches!(part, Component::Normal(_)));
    down.into_iter().any(|part| part == Component::ParentDir)
}

/// A file of which so many bytes may be read yet. What an archive says of its own sizes is anybody's word: a name may be as
/// long as a layer.
pub(super) struct Sparing<'a> {
    file: &'a File,
    left: &'a Cell<u64>,
}

impl Read for Sparing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.left.set(self.left.get().checked_sub(count as u64).ok_or(ErrorKind::FileTooLarge)?);
        Ok(count)
    }
}

impl Seek for Sparing<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const ALL: [Holds; 3] = [Holds::Images, Holds::FileSystem, Holds::Context];

    /// What is told of a file that has these bytes at its beginning and is this long.
    fn told(bytes: &[u8], length: u64, holds: Holds) -> Result<(), String> {
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(bytes).unwrap();
        file.set_len(length).unwrap();
        look_through(&file, holds)
    }

    /// An entry's header, past the crate's own checks, as somebody hostile would write it.
    fn header(kind: EntryType, name: &str, link: &str, size: u64) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn law_13_what_leads_out_of_an_archive_is_told() {
        let out = |name: &str| Err(format!("`{name}` in it leads out of it"));
        let link = |name: &str| Err(format!("the link `{name}` in it leads out of it"));
        let device = |name: &str| Err(format!("`{name}` in it is a device or a pipe"));
        for (kind, name, target, file_system, context, images) in [
            (EntryType::Regular, "etc/passwd", "", Ok(()), Ok(()), Ok(())),
            (EntryType::Regular, "./x", "", Ok(()), Ok(()), Ok(())),
            (EntryType::Regular, "../x", "", out("../x"), out("../x"), out("../x")),
            (EntryType::Regular, "a/../../x", "", out("a/../../x"), out("a/../../x"), out("a/../../x")),
            (EntryType::Regular, "/../x", "", out("/../x"), out("/../x"), out("/../x")),
            (EntryType::Regular, "/etc/x", "", Ok(()), out("/etc/x"), out("/etc/x")),
            (EntryType::Symlink, "etc/mtab", "/proc/mounts", Ok(()), Ok(()), link("etc/mtab")),
            (EntryType::Symlink, "lib/x", "../../x", Ok(()), Ok(()), link("lib/x")),
            (EntryType::Symlink, "lib/x", "../x", Ok(()), Ok(()), Ok(())),
            (EntryType::Symlink, "lib/x", "y/../z", Ok(()), Ok(()), link("lib/x")),
            (EntryType::Link, "x", "../x", link("x"), link("x"), link("x")),
            (EntryType::Link, "bin/sh", "/bin/busybox", Ok(()), link("bin/sh"), link("bin/sh")),
            (EntryType::Char, "dev/null", "", Ok(()), device("dev/null"), device("dev/null")),
            (EntryType::Block, "dev/sda", "", Ok(()), device("dev/sda"), device("dev/sda")),
            (EntryType::Fifo, "run/x", "", Ok(()), device("run/x"), device("run/x")),
        ] {
            let bytes = header(kind, name, target, 0);
            for (holds, expected) in
                [(Holds::FileSystem, file_system), (Holds::Context, context), (Holds::Images, images)]
            {
                assert_eq!(told(&bytes, 1536, holds), expected, "{holds:?} {name} -> {target}");
            }
        }
        for name in ["d/x", "./d/x", "d/e/x"] {
            let behind =
                [header(EntryType::Symlink, "./d", "e", 0), header(EntryType::Regular, name, "", 0)].concat();
            let why = Err(format!("`{name}` in it stands behind a link"));
            assert_eq!(told(&behind, 2048, Holds::Images), why);
            assert_eq!(told(&behind, 2048, Holds::Context), Ok(()));
        }
    }

    #[test]
    fn what_would_be_larger_once_it_is_unpacked_is_told() {
        let compressed = |unpack: &str| Err(format!("it is compressed; unpack it with {unpack} first"));
        let sparse = Err("`hole` in it is sparse; pack it anew without --sparse".to_owned());
        for holds in ALL {
            assert_eq!(told(&[0x1f, 0x8b, 8], 100, holds), compressed("gunzip"));
            assert_eq!(told(b"BZh9", 100, holds), compressed("bunzip2"));
            assert_eq!(told(&[0xfd, b'7', b'z', b'X', b'Z', 0], 100, holds), compressed("unxz"));
            assert_eq!(told(&[0x28, 0xb5, 0x2f, 0xfd], 100, holds), compressed("unzstd"));
            let mut old = header(EntryType::GNUSparse, "hole", "", 0);
            // How large it really is: 4 GiB, all of it a hole.
            old[386..398].copy_from_slice(b"40000000000\0");
            old[398..410].copy_from_slice(b"00000000000\0");
            old[483..495].copy_from_slice(b"40000000000\0");
            old[148..156].copy_from_slice(b"        ");
            let sum: u32 = old.iter().map(|byte| u32::from(*byte)).sum();
            old[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            assert_eq!(told(&old, 1536, holds), sparse);
            let record = b"30 GNU.sparse.realsize=999999\n";
            assert_eq!(record.len(), 30);
            let mut block = record.to_vec();
            block.resize(512, 0);
            let new =
                [header(EntryType::XHeader, "pax", "", 30), block, header(EntryType::Regular, "hole", "", 0)]
                    .concat();
            assert_eq!(told(&new, 2560, holds), sparse);
        }
    }

    #[test]
    fn what_an_archive_says_of_its_own_sizes_costs_no_memory() {
        let large: u64 = 10 << 30;
        for holds in [Holds::FileSystem, Holds::Context] {
            for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
                let bytes = header(kind, "././@LongLink", "", large);
                let long = Err("a name in it is longer than any can be".to_owned());
                assert_eq!(told(&bytes, 512 + large, holds), long, "{kind:?}");
            }
            let bytes = header(EntryType::Regular, "data", "", large);
            assert_eq!(told(&bytes, 512 + large + 1024, holds), Ok(()));
            let half = Err("it is damaged: it ends in the middle of `data`".to_owned());
            assert_eq!(told(&bytes, 512 + large / 2, holds), half);
            let none = told(&b"my notes".repeat(100), 800, holds).unwrap_err();
            assert!(none.starts_with("it is no tar archive, or damaged: "), "{none}");
        }
    }
    /// An extended header and the entry that it is about.
    fn extended(records: &[&str], kind: EntryType, name: &str) -> Vec<u8> {
        let records = records.concat();
        let mut block = records.clone().into_bytes();
        block.resize(512, 0);
        let size = records.len() as u64;
        [header(EntryType::XHeader, "pax", "", size), block, header(kind, name, "", 0)].concat()
    }

    #[test]
    fn law_13_what_two_readers_could_understand_differently_is_refused() {
        let two_ways =
            |name: &str| Err(format!("what it says of `{name}` can be understood in two ways; pack it anew"));
        let mut unmarked = header(EntryType::XHeader, "pax", "", 0);
        unmarked[257..265].fill(0);
        unmarked[148..156].fill(b' ');
        let sum: u32 = unmarked.iter().map(|byte| u32::from(*byte)).sum();
        unmarked[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        for holds in ALL {
            for kind in [EntryType::Directory, EntryType::Symlink, EntryType::Link, EntryType::Fifo] {
                // The next header stands where the content would.
                let bytes = header(kind, "d", "x", 512);
                assert_eq!(told(&bytes, 2048, holds), two_ways("d"), "{kind:?}");
            }
            assert_eq!(told(&header(EntryType::Regular, "d/", "", 512), 2048, holds), two_ways("d/"));
            assert_eq!(told(&unmarked, 1536, holds), two_ways("pax"));
            let twice = extended(&["10 path=a\n", "10 path=b\n"], EntryType::Regular, "x");
            assert!(
                told(&twice, 2560, holds)
                    .unwrap_err()
                    .ends_with("can be understood in two ways; pack it anew")
            );
            let once = extended(&["10 path=a\n"], EntryType::Regular, "x");
            assert_eq!(told(&once, 2560, holds), Ok(()));
        }
    }
}
