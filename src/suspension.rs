//! Whether an owner's host is suspended: nothing is changed until it is resumed. In: the directory that
//! remembers it, across restarts. Out: why, if it is.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::resource::name::Owner;
use crate::whole;

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

    /// Makes the directory that it is remembered in, where there is none.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_room(&self) -> io::Result<()> {
        self.file.parent().map_or(Ok(()), fs::create_dir_all)
    }

    /// Suspends the host, or changes the reason.
    ///
    /// # Errors
    /// If it cannot be remembered.
    pub fn set(&self, reason: &str) -> io::Result<()> {
        self.make_room()?;
        // Whoever may plan may see it.
        whole::write(&self.file, format!("{reason}\n").as_bytes(), Some(0o644))
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
        // Nothing is written through a link that somebody has put there.
        let theirs = dir.path().join("theirs");
        fs::write(&theirs, "theirs").unwrap();
        std::os::unix::fs::symlink(&theirs, state.join("exam.suspended.new")).unwrap();
        exam.set("more of it").unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        assert!(exam.clear().unwrap());
        assert_eq!(exam.read().unwrap(), None);
        // A file where a directory should be: what cannot be read is not "no".
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(Suspension::of(&dir.path().join("file"), &"exam".parse().unwrap()).read().is_err());
    }
}
