//! Tar archives that an engine or a builder unpacks. In: an open file. Out: why it must not be sent, if so. Reads headers and
//! names alone; contents are skipped. What is compressed is refused: how large it is shows only once it is unpacked.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use super::saved_image::{check_entry, leaves};
use crate::resource::printable::printable;

/// All that is read for one entry: its header, and names that are anybody's word to be as long as a layer.
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
    /// A whole file system. Its devices, and the links in it, mean something within it alone; it must not hold files beside
    /// it, nor link to any.
    FileSystem,
    /// What a builder sees.
    Context,
}

/// Looks at every entry of an archive.
///
/// # Errors
/// What must not be in it, or why it is none, in words.
pub(crate) fn look_through(mut file: &File, holds: Holds) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    if let Some(unpack) = compressed(file).map_err(told)? {
        return Err(format!(
            "it is compressed, so nobody sees how large it is and what is in it; unpack it with {unpack} first"
        ));
    }
    let length = file.metadata().map_err(told)?.len();
    file.seek(SeekFrom::Start(0)).map_err(told)?;
    let left = Cell::new(ENTRY_MAX);
    let damaged = |error: io::Error| match error.kind() {
        ErrorKind::FileTooLarge => "a name in it is longer than any can be".to_owned(),
        _ => format!("it is no tar archive, or damaged: {error}"),
    };
    let mut archive = tar::Archive::new(Sparing { file, left: &left });
    for entry in archive.entries_with_seek().map_err(told)? {
        let mut entry = entry.map_err(damaged)?;
        left.set(ENTRY_MAX);
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let shown = printable(&name).into_owned();
        if entry.raw_file_position().saturating_add(entry.size()) > length {
            return Err(format!("it is damaged: it ends in the middle of `{shown}`"));
        }
        // A few bytes of it may stand for as many zeros as somebody likes.
        if entry.header().entry_type().is_gnu_sparse() || is_sparse(&mut entry).map_err(damaged)? {
            return Err(format!("`{shown}` in it is sparse; pack it anew without --sparse"));
        }
        match holds {
            Holds::Context => check_entry(&entry)?,
            Holds::FileSystem => check_inside(&entry, &name)?,
        }
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

/// Whether an entry says in its extended header that it has holes.
fn is_sparse<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<bool> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(false) };
    for extension in extensions {
        if extension?.key_bytes().starts_with(b"GNU.sparse.") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an entry of a file system stays in it. Names from its root do, and so does wherever a symbolic link leads: for who
/// follows it in a container there is nothing above the root.
fn check_inside<R: Read>(entry: &tar::Entry<'_, R>, name: &str) -> Result<(), String> {
    let leaves = |path: &str| leaves(Path::new(path.trim_start_matches('/')));
    if leaves(name) {
        return Err(format!("`{}` in it leads out of it", printable(name)));
    }
    let target = entry.link_name_bytes().filter(|_| entry.header().entry_type().is_hard_link());
    if target.is_some_and(|target| leaves(&String::from_utf8_lossy(&target))) {
        return Err(format!("the link `{}` in it leads out of it", printable(name)));
    }
    Ok(())
}

/// A file of which so many bytes may be read yet. What an archive says of its own sizes is anybody's word: a name may be as
/// long as a layer.
pub(super) struct Sparing<'a> {
    pub(super) file: &'a File,
    pub(super) left: &'a Cell<u64>,
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

    use tar::EntryType;

    use super::*;

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
        for (kind, name, target, file_system, context) in [
            (EntryType::Regular, "etc/passwd", "", Ok(()), Ok(())),
            (EntryType::Regular, "./x", "", Ok(()), Ok(())),
            (EntryType::Regular, "../x", "", out("../x"), out("../x")),
            (EntryType::Regular, "a/../../x", "", out("a/../../x"), out("a/../../x")),
            (EntryType::Regular, "/../x", "", out("/../x"), out("/../x")),
            // Whoever unpacks a file system does so below its root.
            (EntryType::Regular, "/etc/x", "", Ok(()), out("/etc/x")),
            (EntryType::Symlink, "etc/mtab", "/proc/mounts", Ok(()), link("etc/mtab")),
            (EntryType::Symlink, "lib/x", "../../x", Ok(()), link("lib/x")),
            (EntryType::Symlink, "lib/x", "../x", Ok(()), Ok(())),
            (EntryType::Link, "x", "../x", link("x"), link("x")),
            (EntryType::Link, "bin/sh", "/bin/busybox", Ok(()), link("bin/sh")),
            (EntryType::Char, "dev/null", "", Ok(()), device("dev/null")),
            (EntryType::Block, "dev/sda", "", Ok(()), device("dev/sda")),
        ] {
            let bytes = header(kind, name, target, 0);
            assert_eq!(told(&bytes, 1536, Holds::FileSystem), file_system, "{name} -> {target}");
            assert_eq!(told(&bytes, 1536, Holds::Context), context, "{name} -> {target}");
        }
    }

    #[test]
    fn what_would_be_larger_once_it_is_unpacked_is_told() {
        let compressed = |unpack: &str| {
            Err(format!(
                "it is compressed, so nobody sees how large it is and what is in it; unpack it with {unpack} first"
            ))
        };
        let sparse = Err("`hole` in it is sparse; pack it anew without --sparse".to_owned());
        for holds in [Holds::FileSystem, Holds::Context] {
            assert_eq!(told(&[0x1f, 0x8b, 8], 100, holds), compressed("gunzip"));
            assert_eq!(told(b"BZh9", 100, holds), compressed("bunzip2"));
            assert_eq!(told(&[0xfd, b'7', b'z', b'X', b'Z', 0], 100, holds), compressed("unxz"));
            assert_eq!(told(&[0x28, 0xb5, 0x2f, 0xfd], 100, holds), compressed("unzstd"));
            let mut old = header(EntryType::GNUSparse, "hole", "", 0);
            // How large it really is.
            old[483..495].copy_from_slice(b"00000000000\0");
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
}
