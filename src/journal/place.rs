//! Where the database is. In: its file. Out: the same with no link on the way to it, this process's alone to write for
//! now; or another name for it. Never looks into it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::OFlags;

/// The file of a database that nobody else opens to write, or puts aside, as long as this is there.
#[derive(Debug)]
pub(super) struct Place {
    file: PathBuf,
    /// Released when it is closed, by whatever end.
    _lock: File,
}

impl Place {
    /// Makes the file, for its owner alone, before `SQLite` does; those beside it get the same permissions. Waits until
    /// no other process is at it.
    pub(super) fn taken(file: &Path) -> io::Result<Self> {
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir)?;
        }
        let file = resolved(file)?;
        let lock = private(&file.with_extension("lock"))?;
        lock.lock()?;
        let made = private(&file)?;
        if made.metadata()?.permissions().mode() & 0o077 != 0 {
            made.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        Ok(Self { file, _lock: lock })
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Gives the database, with what belongs to it, another name, and says which.
    pub(super) fn put_aside(&self, now: Timestamp) -> io::Result<String> {
        let file = &self.file;
        let stamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let aside = (1..1000)
            .map(|again| {
                let again = if again == 1 { String::new() } else { format!("-{again}") };
                // `exam.journal.db`
                file.with_extension(format!("damaged-{stamp}{again}.db"))
            })
            .find(|aside| fs::symlink_metadata(aside).is_err())
            .unwrap_or_else(|| file.with_extension("damaged.db"));
        let beside = |path: &Path, suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        fs::rename(file, &aside)?;
        for suffix in ["-wal", "-shm"] {
            match fs::rename(beside(file, suffix), beside(&aside, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // Another one in its place, as private.
        private(file)?;
        Ok(aside.file_name().unwrap_or_default().to_string_lossy().into_owned())
    }
}

/// The same file with every link on the way to it followed, since `SQLite` refuses them all. The file itself may be none.
pub(super) fn resolved(file: &Path) -> io::Result<PathBuf> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(fs::canonicalize(dir)?.join(name))
}

/// A file that is its owner's alone, made if it is not there.
fn private(file: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(file)
}
