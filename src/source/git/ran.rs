//! Which commit was let run last, and where it came from: what the next one has to descend from, whether or not it still runs.
//! In and out: one small file, which is there whole or not at all.

use std::fs;
use std::io;
use std::path::Path;

use super::{GitError, is_id};

const FILE: &str = "ran";

/// A commit that was let run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ran {
    /// What tells the repository and branch that it came from.
    pub(super) origin: String,
    /// Its id.
    pub(super) commit: String,
}

impl Ran {
    /// The last one; `None` if none ever was.
    ///
    /// # Errors
    /// If that cannot be read: then nobody knows what the next one has to descend from.
    pub(super) fn read(place: &Path) -> Result<Option<Self>, GitError> {
        let file = place.join(FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(GitError::on_disk(&file, &error)),
        };
        let ran = text.trim_end().split_once(' ').filter(|(commit, _)| is_id(commit));
        let damaged = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it does not name the commit that ran last; --allow-rewritten-history lets any run",
            )
        };
        let (commit, origin) = ran.ok_or_else(|| GitError::on_disk(&file, &damaged()))?;
        Ok(Some(Self { origin: origin.to_owned(), commit: commit.to_owned() }))
    }

    /// Keeps it, whatever happens next.
    pub(super) fn keep(&self, place: &Path) -> Result<(), GitError> {
        let (file, beside) = (place.join(FILE), place.join(".ran.new"));
        let Self { origin, commit } = self;
        fs::write(&beside, format!("{commit} {origin}\n"))
            .and_then(|()| fs::File::open(&beside)?.sync_all())
            .and_then(|()| fs::rename(&beside, &file))
            .and_then(|()| fs::File::open(place)?.sync_all())
            .map_err(|error| GitError::on_disk(&file, &error))
    }
}
