//! Files of this host that the engine's answers are kept in: there whole or not at all, whatever happens meanwhile.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use hyper::body::Bytes;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use crate::engine::{Progress, Stage};
use crate::resource::quantity::ByteSize;
use crate::whole;

/// A file that is being written beside the place where it is to be. What an earlier try left there is written over.
pub(super) struct Partial {
    file: File,
    size: u64,
    beside: PathBuf,
    place: PathBuf,
    is_finished: bool,
}

impl Partial {
    /// Begins to write what is to be at `place`. Its directory is there.
    pub(super) async fn begin(place: &Path) -> io::Result<Self> {
        let mut beside = OsString::from(place);
        beside.push(".partial");
        let beside = PathBuf::from(beside);
        // Not through a link that somebody has put there.
        match fs::remove_file(&beside).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&beside).await?;
        Ok(Self { file, size: 0, beside, place: place.to_owned(), is_finished: false })
    }

    /// Adds to it, and says how much there is.
    pub(super) async fn write(&mut self, bytes: &Bytes, progress: &Progress<'_>) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        let before = self.size >> 20;
        self.size += bytes.len() as u64;
        if self.size >> 20 != before {
            progress(Stage::counted("received", ByteSize::from_bytes(self.size >> 20 << 20).to_string()));
        }
        Ok(())
    }

    /// Waits until all of it is on the disk. Returns where it is until it is put in its place.
    pub(super) async fn settle(&mut self) -> io::Result<&Path> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        Ok(&self.beside)
    }

    /// Puts it in its place, once it is on the disk; that it is there is on the disk, too, when this returns.
    pub(super) async fn finish(mut self) -> io::Result<()> {
        self.settle().await?;
        fs::rename(&self.beside, &self.place).await?;
        self.is_finished = true;
        let place = self.place.clone();
        tokio::task::spawn_blocking(move || whole::settle_name(&place)).await.map_err(io::Error::other)?
    }
}

impl Drop for Partial {
    /// What did not become whole goes: it may fill the disk.
    fn drop(&mut self) {
        if !self.is_finished {
            // Nothing can be done about one that stays.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}
