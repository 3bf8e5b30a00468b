//! Whether an owner's host is suspended: nothing is changed until it is resumed. In: the directory that
//! remembers it, across restarts. Out: why, if it is.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::resource::name::Owner;

/// Where it is remembered if nothing else is said; systemd's `StateDirectory=invigil`.
pub const DEFAULT_DIR: &str = "/var/lib/invigil";

/// The longest reason that is kept.
const REASON_MAX: usize = 500;

/// The memory of one owner's suspension.
#[derive(Debug, Clone)]
pub struct Suspension {
    file: PathBuf,
}

impl Suspension {
    /// The suspension of `owner`, remembered under `dir`.
    pub fn of(dir: &Path, owner: &Owner) -> Self {
        Self { file: dir.join(format!("{owner}.suspended")) }
    }

    /// Where it is remembered.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Why the host is suspended; `None` if it is not.
    ///
    /// # Errors
    /// If that cannot be read: it is never taken for "not".
    pub fn read(&self) -> io::Result<Option<String>> {
        match fs::read(&self.file) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                Ok(Some(text.trim().chars().take(REASON_MAX).collect()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Suspends the host, or changes the reason.
    ///
    /// # Errors
    /// If it cannot be remembered.
    pub fn set(&self, reason: &str) -> io::Result<()> {
        if let Some(dir) = self.file.parent() {
            fs::create_dir_all(dir)?;
        }
        // Renamed into place: half a reason would be a suspension too, but none would not.
        let beside = self.file.with_extension("suspended.new");
        let mut file = File::create(&beside)?;
        file.write_all(format!("{reason}\n").as_bytes())?;
        // Whoever may plan may see it.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.sync_all()?;
        fs::rename(beside, &self.file)
    }

    /// Resumes the host. Returns whether it was suspended.
    ///
    /// # Errors
    /// If that cannot be remembered.
    pub fn clear(&self) -> io::Result<bool> {
        match fs::remove_file(&self.file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_is_remembered_for_one_owner_until_it_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let exam = Suspension::of(&state, &"exam".parse().unwrap());
        let other = Suspension::of(&state, &"other".parse().unwrap());
        assert_eq!((exam.read().unwrap(), exam.clear().unwrap()), (None, false));
        exam.set("maintenance").unwrap();
        assert_eq!((exam.read().unwrap().as_deref(), other.read().unwrap()), (Some("maintenance"), None));
        assert!(exam.clear().unwrap());
        assert_eq!(exam.read().unwrap(), None);
        // A file where a directory should be: what cannot be read is not "no".
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(Suspension::of(&dir.path().join("file"), &"exam".parse().unwrap()).read().is_err());
    }
}
