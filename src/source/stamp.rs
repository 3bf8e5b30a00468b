//! Whether a file changed since it was read. In: what the file system says of it. Never reads it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// What changes when a file changes: as much as make and rsync go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of the file that `metadata` is of.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The file's size in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }
}
