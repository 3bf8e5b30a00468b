//! Tar archives that an engine or a builder unpacks. In: an open file. Out: its members, or why it must not be sent. What is
//! compressed is refused: how large it is shows only once it is unpacked.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::members::{Member, Members};
use crate::resource::printable::printable;

/// The largest metadata document of a saved image.
pub(crate) const DOCUMENT_MAX: u64 = 8 << 20;
/// All that is read of a saved image: headers, long names and documents. A layer of any size is skipped.
pub(super) const IMAGE_MAX: u64 = 4 * DOCUMENT_MAX;

/// What compressed files begin with, and what unpacks them.
const COMPRESSED: [(&[u8], &str); 4] = [
    (&[0x1f, 0x8b], "gunzip"),
    (b"BZh", "bunzip2"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "unxz"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "unzstd"),
];
/// What a part of a zstd file begins with that is passed over, but for the lowest four bits of the first byte.
const ZSTD_SKIPPED: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// What an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Saved images. The engine unpacks each member as root, and reads layers by the names that the archive gives them.
    Images,
    /// A whole file system. Its devices, and the links in it, mean something within it alone; it must not hold files beside
    /// it, nor be linked to any.
    FileSystem,
    /// What a builder sees, which follows symbolic links within it alone.
    Context,
}

/// Looks at every member of an archive.
///
/// # Errors
/// What must not be in it, or why it is none, in words.
pub(crate) fn look_through(file: &File, holds: Holds) -> Result<(), String> {
    walk(file, holds, |_, _| Ok(()))
}

/// Looks at every member of an archive, and gives it to `each`.
///
/// # Errors
/// What must not be in it, or why it is none, in words.
pub(super) fn walk(
    file: &File,
    holds: Holds,
    mut each: impl FnMut(&Members<'_>, Member) -> Result<(), String>,
) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    if file.metadata().map_err(told)?.len() == 0 {
        return Err("it is empty".to_owned());
    }
    if let Some(unpack) = compressed(file).map_err(told)? {
        return Err(format!("it is compressed; unpack it with {unpack} first"));
    }
    let mut members = Members::of(file, if holds == Holds::Images { IMAGE_MAX } else { u64::MAX })?;
    let mut gate = Gate::of(holds);
    while let Some(member) = members.next()? {
        gate.pass(&member.name, member.kind, &member.target)?;
        each(&members, member)?;
    }
    Ok(())
}

/// What unpacks a compressed file; `None` of one that is not.
fn compressed(mut file: &File) -> io::Result<Option<&'static str>> {
    let mut start = Vec::new();
    file.rewind()?;
    file.take(6).read_to_end(&mut start)?;
    if let [first, rest @ ..] = &start[..]
        && first & 0xf0 == ZSTD_SKIPPED[0]
        && rest.starts_with(&ZSTD_SKIPPED[1..])
    {
        return Ok(Some("unzstd"));
    }
    Ok(COMPRESSED.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, unpack)| *unpack))
}

/// What lets an archive's members through, one after the other.
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

    /// Looks at where a member stands, and where it leads if it is a link.
    ///
    /// # Errors
    /// Why it may not be in the archive, in words.
    pub(crate) fn pass(&mut self, name: &str, kind: EntryType, target: &str) -> Result<(), String> {
        let shown = printable(name);
        let is_special = kind.is_block_special() || kind.is_character_special() || kind.is_fifo();
        if is_special && self.holds != Holds::FileSystem {
            return Err(format!("`{shown}` in it is a device or a pipe"));
        }
        let path = self.inside(name).ok_or_else(|| format!("`{shown}` in it leads out of it"))?;
        let out = || format!("the link `{shown}` in it leads out of it");
        let linked = if kind.is_hard_link() { Some(self.inside(target).ok_or_else(out)?) } else { None };
        if self.holds == Holds::FileSystem {
            // Whoever unpacks one does so below its root, wherever its links lead.
            return Ok(());
        }
        // Where no path goes by way of a link, what is written of a link is where it leads.
        let goes_by_link = |path: &Path| path.ancestors().skip(1).any(|above| self.links.contains(above));
        if goes_by_link(&path) {
            return Err(format!("`{shown}` in it stands behind a link"));
        }
        if linked.is_some_and(|linked| goes_by_link(&linked) || self.links.contains(&linked)) {
            return Err(format!("the link `{shown}` in it is one to another link"));
        }
        if kind.is_symlink() {
            let from = path.parent().unwrap_or(Path::new(""));
            let target = Path::new(target);
            let leads_out = target.is_absolute() || goes_back(target) || leaves(&from.join(target));
            if self.holds == Holds::Images && leads_out {
                return Err(out());
            }
            self.links.insert(path);
        }
        Ok(())
    }

    /// A path within the archive, without what means nothing in it; `None` if it may lead out.
    fn inside(&self, path: &str) -> Option<PathBuf> {
        // A file system's names are below its root, with a slash or without.
        let path = if self.holds == Holds::FileSystem { path.trim_start_matches('/') } else { path };
        let path = Path::new(path);
        if leaves(path) || goes_back(path) {
            return None;
        }
        Some(path.components().filter(|part| *part != Component::CurDir).collect())
    }
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
    let mut down = path.components().skip_while(|part| !matches!(part, Component::Normal(_)));
    down.any(|part| part == Component::ParentDir)
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
            (EntryType::Regular, "a/../x", "", out("a/../x"), out("a/../x"), out("a/../x")),
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
        // A link to a link is one in another place.
        let (first, second) =
            (header(EntryType::Symlink, "d", "e", 0), header(EntryType::Link, "h", "./d", 0));
        let both = [first, second].concat();
        let another = Err("the link `h` in it is one to another link".to_owned());
        assert_eq!(told(&both, 2048, Holds::Images), another);
        assert_eq!(told(&both, 2048, Holds::Context), another);
        assert_eq!(told(&both, 2048, Holds::FileSystem), Ok(()));
        for name in ["d/x", "./d/x", "d/e/x"] {
            let behind =
                [header(EntryType::Symlink, "./d", "e", 0), header(EntryType::Regular, name, "", 0)].concat();
            let why = Err(format!("`{name}` in it stands behind a link"));
            assert_eq!(told(&behind, 2048, Holds::Images), why.clone());
            assert_eq!(told(&behind, 2048, Holds::Context), why);
            assert_eq!(told(&behind, 2048, Holds::FileSystem), Ok(()));
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
            assert_eq!(told(&[0x5a, 0x2a, 0x4d, 0x18, 0xf8, 1], 1536, holds), compressed("unzstd"));
            let mut old = header(EntryType::GNUSparse, "hole", "", 0);
            // How large it really is: 4 GiB, all of it a hole.
            old[386..398].copy_from_slice(b"40000000000\0");
            old[398..410].copy_from_slice(b"00000000000\0");
            old[483..495].copy_from_slice(b"40000000000\0");
            old[148..156].copy_from_slice(b"        ");
            let sum: u32 = old.iter().map(|byte| u32::from(*byte)).sum();
            old[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            assert_eq!(told(&old, 1536, holds), sparse);
            let record = record("GNU.sparse.realsize", "999999");
            let new =
                [about(EntryType::XHeader, record.as_bytes()), header(EntryType::Regular, "hole", "", 0)];
            assert_eq!(told(&new.concat(), 2560, holds), sparse);
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
            assert_eq!(none, "it is no tar archive, or damaged: a header's checksum is wrong");
        }
    }
    /// The same header with other bytes, and the checksum that they have.
    fn with(mut header: Vec<u8>, place: usize, bytes: &[u8]) -> Vec<u8> {
        header[place..place + bytes.len()].copy_from_slice(bytes);
        header[148..156].fill(b' ');
        let sum: u32 = header[..512].iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header
    }

    /// A header about the member after it, with what it says.
    fn about(kind: EntryType, said: &[u8]) -> Vec<u8> {
        let mut block = said.to_vec();
        block.resize(said.len().next_multiple_of(512), 0);
        [header(kind, "about", "", said.len() as u64), block].concat()
    }

    fn record(key: &str, value: &str) -> String {
        let rest = key.len() + value.len() + 3;
        let length = (rest..rest + 9).find(|length| *length == rest + length.to_string().len()).unwrap();
        format!("{length} {key}={value}\n")
    }

    #[test]
    fn law_13_what_two_readers_could_understand_differently_is_refused() {
        let file = |name: &str| header(EntryType::Regular, name, "", 0);
        let pax = |records: &[(&str, &str)]| {
            let said: String = records.iter().map(|(key, value)| record(key, value)).collect();
            about(EntryType::XHeader, said.as_bytes())
        };
        let long = |name: &[u8]| about(EntryType::GNULongName, name);
        let ustar = |version: &[u8]| with(file("x"), 257, &[b"ustar\0", version].concat());
        let refused = [
            // The next header stands where the content would.
            header(EntryType::Directory, "x", "", 512),
            header(EntryType::Symlink, "x", "y", 512),
            header(EntryType::Link, "x", "y", 512),
            header(EntryType::Fifo, "x", "", 512),
            header(EntryType::Char, "x", "", 512),
            header(EntryType::Regular, "x/", "", 512),
            [pax(&[("size", "512")]), header(EntryType::Directory, "x", "", 0)].concat(),
            // What is said twice, or not at all.
            [pax(&[("path", "a"), ("path", "b")]), file("x")].concat(),
            [pax(&[("path", "")]), file("../x")].concat(),
            [pax(&[("linkpath", "")]), header(EntryType::Symlink, "x", "/etc", 0)].concat(),
            [pax(&[("size", "+0")]), file("x")].concat(),
            [pax(&[("path", "a")]), pax(&[("path", "b")]), file("x")].concat(),
            [pax(&[("path", "a")]), long(b"b\0"), file("x")].concat(),
            [long(b"a\0"), long(b"b\0"), file("x")].concat(),
            [long(b"\0"), file("../x")].concat(),
            [long(b""), file("../x")].concat(),
            [long(b"a\0../x\0"), file("x")].concat(),
            [about(EntryType::GNULongLink, b"a\0b"), header(EntryType::Symlink, "x", "y", 0)].concat(),
            [about(EntryType::XHeader, b"8 path=a\n"), file("x")].concat(),
            [pax(&[("path", "a")]), about(EntryType::XGlobalHeader, b""), file("x")].concat(),
            // What stands before a name, for whom the form says so.
            with(ustar(b"  "), 345, b"../../etc"),
            with(ustar(b"00"), 508, b"tar\0"),
            with(file("x"), 345, b"../../etc"),
            with(about(EntryType::XHeader, b""), 257, &[0; 8]),
            // Numbers.
            with(file("x"), 124, b"0000000000x\0"),
            with(file("x"), 124, b"\x00001\0\0\0\0\0\0\0\0"),
            with(file("x"), 124, &[0xff; 12]),
            header(EntryType::Symlink, "x", "", 0),
            file(""),
        ];
        for (number, bytes) in refused.iter().enumerate() {
            for holds in ALL {
                let why = told(bytes, bytes.len() as u64 + 2048, holds).expect_err(&format!("{number}"));
                assert!(why.ends_with(" can be understood in two ways; pack it anew"), "{number}: {why}");
            }
        }
    }

    #[test]
    fn what_usual_programs_write_passes() {
        let file = |name: &str| header(EntryType::Regular, name, "", 0);
        let attribute = record("SCHILY.xattr.user.note", "one\ntwo\n");
        let long = [vec![b'n'; 200], b"\0".to_vec()].concat();
        for bytes in [
            // GNU tar's and Python's pax headers, with a line break in a value.
            [about(EntryType::XHeader, (attribute + &record("path", "试卷")).as_bytes()), file("x")].concat(),
            [about(EntryType::XGlobalHeader, record("comment", "0f").as_bytes()), file("x")].concat(),
            [about(EntryType::GNULongName, &long), file("x")].concat(),
            [about(EntryType::GNULongName, &long[..200]), file("x")].concat(),
            with(with(file("x"), 257, b"ustar\x0000"), 345, b"a/b"),
            with(file("x"), 257, &[0; 8]),
            with(file("x"), 345, b"14742312345\0"),
            with(file("x"), 124, b"          0 "),
            with(file("x"), 124, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            header(EntryType::Directory, "d/", "", 0),
        ] {
            for holds in ALL {
                assert_eq!(told(&bytes, bytes.len() as u64 + 1024, holds), Ok(()));
            }
        }
    }
}
