//! The manifests, read for every pass. In: the path. Out: what is wanted. Never blocks the daemon's
//! loop, and parses again only what changed.

use std::path::PathBuf;

use tokio::task::spawn_blocking;

use crate::assembly::ExamServer;
use crate::reconcile::Wanted;
use crate::source::attachment::AttachmentReader;
use crate::source::{SourceError, directory};

/// Why nothing is removed after the manifest directory turned out to be on another file system.
const MOUNT_CHANGED: &str =
    "the manifest directory is on another mount than before; reload or restart Invigil to accept it";

/// Reads the manifests under one path, pass after pass.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    server: ExamServer,
    memory: Memory,
}

/// What is remembered from one pass for the next.
#[derive(Debug, Default)]
struct Memory {
    attachments: AttachmentReader,
    /// The device on which the manifests were at first, or when they were last accepted (law 2).
    device: Option<u64>,
    /// What was wanted last, and whether from another device.
    last: Option<(Wanted, bool)>,
}

impl Files {
    pub(super) fn new(path: PathBuf, server: ExamServer) -> Self {
        Self { path, server, memory: Memory::default() }
    }

    /// Reads everything. The same files give the same value without being parsed again.
    ///
    /// # Errors
    /// [`SourceError`]; nothing can be said about any manifest then.
    pub(super) async fn read(&mut self) -> Result<&Wanted, SourceError> {
        let (path, server) = (self.path.clone(), self.server.clone());
        let memory = std::mem::take(&mut self.memory);
        let reading = spawn_blocking(move || memory.read(&path, &server)).await;
        let (memory, wanted) = match reading.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(read) => read,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(Err(_)) => std::future::pending().await,
        };
        self.memory = memory;
        let (wanted, _) = self.memory.last.insert(wanted?);
        Ok(wanted)
    }

    /// What was read last; `None` after an error.
    pub(super) fn last(&self) -> Option<&Wanted> {
        self.memory.last.as_ref().map(|(wanted, _)| wanted)
    }

    /// Takes the manifests as they are now for what is meant, also on another mount.
    pub(super) fn accept(&mut self) {
        self.memory.device = None;
    }
}

impl Memory {
    fn read(
        mut self,
        path: &std::path::Path,
        server: &ExamServer,
    ) -> (Self, Result<(Wanted, bool), SourceError>) {
        let last = self.last.take();
        let snapshot = match directory::read(path) {
            Ok(snapshot) => snapshot,
            // What was known is let go: the files may be away for long.
            Err(error) => return (self, Err(error)),
        };
        let device = snapshot.identity().device;
        let moved = *self.device.get_or_insert(device) != device;
        let current = last.filter(|(wanted, was_moved)| {
            *was_moved == moved && wanted.is_current(&snapshot, &mut self.attachments)
        });
        let wanted = current.unwrap_or_else(|| {
            let mut wanted = Wanted::read(&snapshot, &mut self.attachments, server);
            if moved {
                wanted.withhold_removals(MOUNT_CHANGED);
            }
            (wanted, moved)
        });
        (self, Ok(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::{ExamServer, Files, MOUNT_CHANGED};
    use crate::desired::Removals;

    fn files(dir: &tempfile::TempDir) -> Files {
        std::fs::write(dir.path().join("a.yaml"), MANIFEST).unwrap();
        Files::new(dir.path().to_owned(), ExamServer::new(b"server"))
    }

    const MANIFEST: &str = "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: data}\nspec: {}\n";

    #[tokio::test]
    async fn law_2_a_changed_mount_withholds_removals_until_it_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(&dir);
        assert_eq!(files.read().await.unwrap().desired.removals, Removals::Allowed);
        // As if the first pass had seen another device.
        *files.memory.device.as_mut().unwrap() += 1;
        let withheld = Removals::Withheld(MOUNT_CHANGED.to_owned());
        assert_eq!(files.read().await.unwrap().desired.removals, withheld);
        assert_eq!(files.read().await.unwrap().desired.removals, withheld);
        files.accept();
        assert_eq!(files.read().await.unwrap().desired.removals, Removals::Allowed);
        *files.memory.device.as_mut().unwrap() += 1;
        files.read().await.unwrap();
        // The mount is back: nothing needs to be accepted.
        *files.memory.device.as_mut().unwrap() -= 1;
        assert_eq!(files.read().await.unwrap().desired.removals, Removals::Allowed);
    }

    #[tokio::test]
    async fn unchanged_files_are_not_parsed_again_and_changed_ones_are() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(&dir);
        files.read().await.unwrap();
        files.memory.last.as_mut().unwrap().0.withhold_removals("remembered");
        let remembered = Removals::Withheld("remembered".to_owned());
        assert_eq!(files.read().await.unwrap().desired.removals, remembered);
        std::fs::write(dir.path().join("b.yaml"), MANIFEST.replace("name: data", "name: more")).unwrap();
        let wanted = files.read().await.unwrap();
        assert_eq!((wanted.desired.volumes.len(), &wanted.desired.removals), (2, &Removals::Allowed));
    }

    #[tokio::test]
    async fn a_missing_directory_is_an_error_and_no_empty_wish() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::new(dir.path().join("gone"), ExamServer::new(b"server"));
        let shown = dir.path().join("gone").display().to_string();
        let error = files.read().await.unwrap_err().to_string();
        assert_eq!(error, format!("there is no manifest directory {shown}"));
    }
}
