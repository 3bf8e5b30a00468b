//! Whether a file changed since it was read. In: what the file system says of it. Never reads it.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long ago a file has to have changed, so that its next change shows: file systems note times by ticks,
/// some by seconds.
const TICK: Duration = Duration::from_secs(2);

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

    /// Whether the open file is still as it was when this was taken.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn is_still(&self, file: &File) -> io::Result<bool> {
        Ok(Self::of(&file.metadata()?) == *self)
    }

    /// Whether another change after `now` would give another stamp. One that is too young for that is no
    /// reason not to read the file again.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let changed = u64::try_from(seconds).unwrap_or(0);
        let changed = UNIX_EPOCH + Duration::new(changed, u32::try_from(nanoseconds).unwrap_or(0));
        now.duration_since(changed).is_ok_and(|age| age >= TICK)
    }

    /// The file's size in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }
}
