//! A secret of one owner's on this host: what is digested with it tells nobody else anything. In: the directory
//! that keeps it. Out: its bytes. Never leaves the host, and nothing is lost with it but saved plans.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::resource::name::Owner;
use crate::whole;

/// The length of a secret in bytes.
const LENGTH: usize = 32;

/// The secret of one owner.
#[derive(Debug, Clone)]
pub struct Secret {
    file: PathBuf,
}

impl Secret {
    /// The secret of `owner`, kept under `dir`.
    pub fn of(dir: &Path, owner: &Owner) -> Self {
        Self { file: dir.join(format!("{owner}.secret")) }
    }

    /// Where it is kept.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The secret.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn read(&self) -> io::Result<[u8; LENGTH]> {
        fs::read(&self.file)?.try_into().map_err(|_| io::Error::other("it is damaged"))
    }

    /// The secret, which is made if there is none yet.
    ///
    /// # Errors
    /// If it can be neither read nor made.
    pub fn read_or_make(&self) -> io::Result<[u8; LENGTH]> {
        match self.read() {
            Err(error) if error.kind() == ErrorKind::NotFound => self.make(),
            known => known,
        }
    }

    fn make(&self) -> io::Result<[u8; LENGTH]> {
        let mut bytes = [0; LENGTH];
        fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        if let Some(dir) = self.file.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
        }
        // Linked into place: two that make it at once have the same one afterwards.
        let beside = self.file.with_extension(format!("secret.{}", std::process::id()));
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| match fs::hard_link(&beside, &self.file) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            });
        let _ = fs::remove_file(&beside);
        made.and_then(|()| whole::settle_name(&self.file)).and_then(|()| self.read())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_maker_alone_and_damage_is_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let secret = Secret::of(&dir.path().join("state"), &"exam".parse().unwrap());
        assert_eq!(secret.read().unwrap_err().kind(), ErrorKind::NotFound);
        let first = secret.read_or_make().unwrap();
        assert_eq!((secret.read_or_make().unwrap(), secret.read().unwrap()), (first, first));
        assert_ne!(first, [0; LENGTH]);
        assert_eq!(fs::metadata(secret.file()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("state")).unwrap().count(), 1);
        fs::write(secret.file(), "short").unwrap();
        assert!(secret.read_or_make().is_err());
    }
}
