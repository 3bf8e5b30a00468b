//! Tar files that say nothing of when, where or by whom they were made. In: names, modes and bytes.
//! Out: a ustar file; equal entries give equal bytes. Never reads a file, a clock or a user's name.

use tar::{EntryType, Header};

/// Tar's unit: a header is one block, content is padded to whole ones.
const BLOCK: usize = 512;

/// The user and group of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account(pub(super) u32);

impl Account {
    pub(super) const ROOT: Self = Self(0);
}

/// What stands before and after the content of a file of so many bytes that is alone in a tar file.
pub(super) fn around(name: &str, mode: u32, account: Account, size: usize) -> (Vec<u8>, Vec<u8>) {
    let mut before = Tar::default();
    before.header(name, EntryType::Regular, mode, account, size);
    (before.bytes, vec![0; size.next_multiple_of(BLOCK) - size + 2 * BLOCK])
}

/// A tar file being written, in memory: nothing here can fail.
#[derive(Debug, Default)]
pub(super) struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    /// Appends a directory; `name` ends in `/`.
    pub(super) fn directory(&mut self, name: &str, mode: u32, account: Account) {
        self.header(name, EntryType::Directory, mode, account, 0);
    }

    /// Appends a file.
    pub(super) fn file(&mut self, name: &str, mode: u32, account: Account, content: &[u8]) {
        self.header(name, EntryType::Regular, mode, account, content.len());
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }

    /// The whole file, with the two empty blocks that end it.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    fn header(&mut self, name: &str, kind: EntryType, mode: u32, account: Account, size: usize) {
        let mut header = Header::new_ustar();
        if let Some(ustar) = header.as_ustar_mut() {
            // All names are ours: constants and digests, under ustar's 100 bytes.
            debug_assert!(name.len() <= ustar.name.len(), "{name}");
            ustar.name.iter_mut().zip(name.bytes()).for_each(|(slot, byte)| *slot = byte);
        }
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(account.0.into());
        header.set_gid(account.0.into());
        header.set_mtime(0);
        header.set_size(size as u64);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::{Account, Tar};

    #[test]
    fn what_is_written_reads_back_with_its_mode_and_owner_and_no_time() {
        let mut tar = Tar::default();
        tar.directory("d/", 0o700, Account(65532));
        tar.file("d/exact", 0o444, Account::ROOT, &[b'x'; 512]);
        tar.file("d/odd", 0o755, Account::ROOT, b"odd");
        let bytes = tar.finish();
        // Three headers, two blocks of content, two that end the file.
        assert_eq!(bytes.len(), (3 + 2 + 2) * 512);

        let mut read = Vec::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().expect("a tar file") {
            let mut entry = entry.expect("an entry");
            let mut content = String::new();
            entry.read_to_string(&mut content).expect("content");
            let header = entry.header();
            assert_eq!(header.mtime().expect("a time"), 0);
            assert_eq!((header.username(), header.groupname()), (Ok(Some("")), Ok(Some(""))));
            read.push(format!(
                "{} {:o} {}:{} {}",
                entry.path().expect("a path").display(),
                header.mode().expect("a mode"),
                header.uid().expect("a user"),
                header.gid().expect("a group"),
                content.len()
            ));
        }
        assert_eq!(read, ["d/ 700 65532:65532 0", "d/exact 444 0:0 512", "d/odd 755 0:0 3"]);
    }
}
