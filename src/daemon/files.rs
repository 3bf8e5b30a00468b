//! The manifests, read for every pass. In: the path. Out: what is wanted. Never blocks the daemon's
//! loop, and parses again only what changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::pulse::Pulse;
use crate::assembly::ExamServer;
use crate::reconcile::Wanted;
use crate::source::attachment::AttachmentReader;
use crate::source::{Revision, RootIdentity, Snapshot, SourceError, directory};

/// Why nothing is removed after the manifest directory turned out to be on another file system.
const MOUNT_CHANGED: &str = "the manifest directory, or one in it, is on another mount than before; reload or restart Invigil to accept it";

/// Why nothing is removed while the manifests change.
pub(super) const UNSETTLED: &str = "the manifests have just changed; removals wait until they stay the same";
/// How long the manifests have to stay the same before something is removed: a file may be written in
/// several goes, a checkout takes its time.
const SETTLED: Duration = Duration::from_secs(2);
/// The same after there was no directory, nothing in it, or another one in its place: it may come back
/// piece by piece (law 2).
const SETTLED_AFTER_DOUBT: Duration = Duration::from_secs(30);

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
    /// The devices on which the root (`""`) and the directories below it were at first, or when they were
    /// last accepted (law 2).
    devices: BTreeMap<PathBuf, u64>,
    /// The directories that were read last.
    directories: BTreeMap<PathBuf, RootIdentity>,
    /// Since when the manifests are the same.
    since: Option<(Revision, Instant)>,
    /// Whether the directory was away, empty or exchanged since they were.
    doubt: bool,
    /// What was wanted last, and why nothing was to be removed.
    last: Option<(Wanted, Option<&'static str>)>,
}

impl Files {
    pub(super) fn new(path: PathBuf, server: ExamServer) -> Self {
        Self { path, server, memory: Memory::default() }
    }

    /// The same, with a pulse that beats while large files are read.
    pub(super) fn heard_by(mut self, pulse: &Arc<Pulse>) -> Self {
        let pulse = Arc::clone(pulse);
        self.memory.attachments = AttachmentReader::heard_by(move || pulse.beat());
        self
    }

    /// Reads everything. The same files give the same value without being parsed again.
    ///
    /// # Errors
    /// [`SourceError`]; nothing can be said about any manifest then.
    pub(super) async fn read(&mut self) -> Result<&Wanted, SourceError> {
        let (path, server) = (self.path.clone(), self.server.clone());
        let memory = std::mem::take(&mut self.memory);
        let now = Instant::now();
        let reading = spawn_blocking(move || memory.read(&path, &server, now)).await;
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

    /// From when on what was read last has settled, if it has not.
    pub(super) fn settles_at(&self) -> Option<Instant> {
        let (wanted, why) = self.memory.last.as_ref()?;
        let (revision, since) = self.memory.since.as_ref()?;
        (*why == Some(UNSETTLED) && wanted.revision == *revision).then(|| *since + self.memory.patience())
    }

    /// Another revision took the place of the one before, whole and on purpose: that is no doubt.
    pub(super) fn switched(&mut self) {
        self.memory.directories.clear();
    }

    /// Takes the manifests as they are now for what is meant, also on another mount.
    pub(super) fn accept(&mut self) {
        self.memory.devices.clear();
        self.memory.doubt = false;
    }
}

impl Memory {
    fn read(
        mut self,
        path: &Path,
        server: &ExamServer,
        now: Instant,
    ) -> (Self, Result<(Wanted, Option<&'static str>), SourceError>) {
        let last = self.last.take();
        let snapshot = match directory::read(path) {
            Ok(snapshot) => snapshot,
            // What was known is let go: the files may be away for long.
            Err(error) => {
                self.doubt = true;
                return (self, Err(error));
            }
        };
        let why = self.why_nothing_is_removed(&snapshot, now);
        let current =
            last.filter(|(wanted, was)| *was == why && wanted.is_current(&snapshot, &mut self.attachments));
        let mut wanted = current.unwrap_or_else(|| {
            let mut wanted = Wanted::read(&snapshot, &mut self.attachments, server);
            if let Some(why) = why {
                wanted.withhold_removals(why);
            }
            (wanted, why)
        });
        // The same manifests may be another commit's.
        wanted.0.commit = snapshot.checkout().map(|checkout| checkout.commit.clone());
        (self, Ok(wanted))
    }

    /// Learns what a snapshot says about itself, beside its manifests.
    fn why_nothing_is_removed(&mut self, snapshot: &Snapshot, now: Instant) -> Option<&'static str> {
        let mut directories = snapshot.directories().clone();
        directories.insert(PathBuf::new(), snapshot.identity());
        let moved = self.is_on_another_mount(&directories);
        let exchanged = directories
            .iter()
            .any(|(path, identity)| self.directories.get(path).is_some_and(|before| before != identity));
        self.directories = directories;
        self.doubt |= exchanged || snapshot.is_empty();
        if self.since.as_ref().is_none_or(|(revision, _)| revision != snapshot.revision()) {
            self.since = Some((snapshot.revision().clone(), now));
        }
        if moved {
            return Some(MOUNT_CHANGED);
        }
        let since = self.since.as_ref().map_or(now, |(_, since)| *since);
        if now < since + self.patience() {
            return Some(UNSETTLED);
        }
        self.doubt = snapshot.is_empty();
        None
    }

    /// Whether any directory is on another device than it was, or is gone though a device began at it. What
    /// is seen for the first time is remembered, and what was removed from its device is forgotten.
    fn is_on_another_mount(&mut self, directories: &BTreeMap<PathBuf, RootIdentity>) -> bool {
        let known = self.devices.clone();
        let begins_at = |path: &Path, device: u64| {
            path.parent().is_some_and(|above| known.get(above).is_some_and(|above| *above != device))
        };
        self.devices.retain(|path, device| directories.contains_key(path) || begins_at(path, *device));
        for (path, identity) in directories {
            self.devices.entry(path.clone()).or_insert(identity.device);
        }
        let now = |path: &PathBuf| directories.get(path).map(|identity| identity.device);
        self.devices.iter().any(|(path, device)| now(path) != Some(*device))
    }

    const fn patience(&self) -> Duration {
        if self.doubt { SETTLED_AFTER_DOUBT } else { SETTLED }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{ExamServer, Files, MOUNT_CHANGED, SETTLED, UNSETTLED};
    use crate::desired::Removals;
    use crate::source::LOCK;

    fn files(dir: &tempfile::TempDir) -> Files {
        std::fs::write(dir.path().join("a.yaml"), MANIFEST).unwrap();
        Files::new(dir.path().to_owned(), ExamServer::new(b"server"))
    }

    const MANIFEST: &str = "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: data}\nspec: {}\n";

    /// What is said of removals, once and again after so many seconds.
    async fn removals_after(files: &mut Files, seconds: u64) -> Removals {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        files.read().await.unwrap().desired.removals.clone()
    }

    fn withheld(why: &str) -> Removals {
        Removals::Withheld(why.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn removals_wait_until_the_manifests_stay_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(&dir);
        assert_eq!(removals_after(&mut files, 0).await, withheld(UNSETTLED));
        let left = files.settles_at().unwrap() - tokio::time::Instant::now();
        assert_eq!(left, SETTLED);
        assert_eq!(removals_after(&mut files, 1).await, withheld(UNSETTLED));
        assert_eq!(removals_after(&mut files, 1).await, Removals::Allowed);
        assert_eq!(files.settles_at(), None);
        std::fs::write(dir.path().join("b.yaml"), MANIFEST.replace("name: data", "name: more")).unwrap();
        assert_eq!(removals_after(&mut files, 9).await, withheld(UNSETTLED));
        assert_eq!(removals_after(&mut files, 2).await, Removals::Allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn law_2_a_directory_that_comes_back_piece_by_piece_removes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("a.yaml"), MANIFEST).unwrap();
        std::fs::write(path.join("b.yaml"), MANIFEST.replace("name: data", "name: more")).unwrap();
        let mut files = Files::new(path.clone(), ExamServer::new(b"server"));
        files.read().await.unwrap();
        assert_eq!(removals_after(&mut files, 2).await, Removals::Allowed);

        std::fs::rename(&path, dir.path().join("away")).unwrap();
        assert!(files.read().await.is_err());
        std::fs::create_dir(&path).unwrap();
        std::fs::copy(dir.path().join("away/a.yaml"), path.join("a.yaml")).unwrap();
        assert_eq!(removals_after(&mut files, 5).await, withheld(UNSETTLED));
        assert_eq!(removals_after(&mut files, 29).await, withheld(UNSETTLED));
        assert_eq!(removals_after(&mut files, 1).await, Removals::Allowed);

        // Exchanged between two looks.
        std::fs::rename(&path, dir.path().join("other")).unwrap();
        std::fs::rename(dir.path().join("away"), &path).unwrap();
        assert_eq!(removals_after(&mut files, 0).await, withheld(UNSETTLED));
        assert_eq!(removals_after(&mut files, 29).await, withheld(UNSETTLED));
        files.accept();
        assert_eq!(removals_after(&mut files, 0).await, Removals::Allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn law_2_a_directory_in_which_only_its_lock_is_left_is_as_doubtful_as_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(&dir);
        std::fs::write(dir.path().join(LOCK), "formatVersion: 1\nimages: {}\n").unwrap();
        files.read().await.unwrap();
        assert_eq!(removals_after(&mut files, 2).await, Removals::Allowed);
        std::fs::remove_file(dir.path().join("a.yaml")).unwrap();
        assert!(matches!(removals_after(&mut files, 2).await, Removals::Withheld(_)));
        std::fs::write(dir.path().join("b.yaml"), MANIFEST.replace("name: data", "name: more")).unwrap();
        assert_eq!(removals_after(&mut files, 9).await, withheld(UNSETTLED));
        assert_eq!(removals_after(&mut files, 9).await, withheld(UNSETTLED), "2 s are not enough here");
        assert_eq!(removals_after(&mut files, 30).await, Removals::Allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn law_2_a_changed_mount_withholds_removals_until_it_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(&dir);
        files.read().await.unwrap();
        assert_eq!(removals_after(&mut files, 2).await, Removals::Allowed);
        // As if the first pass had seen another device.
        *files.memory.devices.get_mut(Path::new("")).unwrap() += 1;
        assert_eq!(removals_after(&mut files, 0).await, withheld(MOUNT_CHANGED));
        assert_eq!(removals_after(&mut files, 100).await, withheld(MOUNT_CHANGED));
        files.accept();
        assert_eq!(removals_after(&mut files, 0).await, Removals::Allowed);
        *files.memory.devices.get_mut(Path::new("")).unwrap() += 1;
        files.read().await.unwrap();
        // The mount is back: nothing needs to be accepted.
        *files.memory.devices.get_mut(Path::new("")).unwrap() -= 1;
        assert_eq!(removals_after(&mut files, 0).await, Removals::Allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn law_2_a_mount_below_the_directory_that_lost_its_file_system_removes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(&dir);
        let share = dir.path().join("share");
        std::fs::create_dir_all(share.join("room")).unwrap();
        std::fs::write(share.join("room/b.yaml"), MANIFEST.replace("name: data", "name: more")).unwrap();
        files.read().await.unwrap();
        // As if the share had been seen on a device of its own.
        for path in ["share", "share/room"] {
            *files.memory.devices.get_mut(Path::new(path)).unwrap() += 1;
        }
        std::fs::remove_dir_all(share.join("room")).unwrap();
        assert_eq!(removals_after(&mut files, 100).await, withheld(MOUNT_CHANGED));
        assert_eq!(removals_after(&mut files, 100).await, withheld(MOUNT_CHANGED));
        std::fs::remove_dir(&share).unwrap();
        assert_eq!(removals_after(&mut files, 100).await, withheld(MOUNT_CHANGED));
        files.accept();
        assert_eq!(removals_after(&mut files, 100).await, Removals::Allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_is_removed_or_made_anew_below_is_no_mount() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(&dir);
        let room = dir.path().join("room");
        for _ in 0..2 {
            std::fs::create_dir(&room).unwrap();
            std::fs::write(room.join("b.yaml"), MANIFEST.replace("name: data", "name: more")).unwrap();
            files.read().await.unwrap();
            assert_eq!(removals_after(&mut files, 2).await, Removals::Allowed);
            std::fs::remove_dir_all(&room).unwrap();
            files.read().await.unwrap();
            assert_eq!(removals_after(&mut files, 2).await, Removals::Allowed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unchanged_files_are_not_parsed_again_and_changed_ones_are() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(&dir);
        files.read().await.unwrap();
        files.memory.last.as_mut().unwrap().0.desired.removals = withheld("remembered");
        assert_eq!(removals_after(&mut files, 1).await, withheld("remembered"));
        std::fs::write(dir.path().join("b.yaml"), MANIFEST.replace("name: data", "name: more")).unwrap();
        assert_eq!(files.read().await.unwrap().desired.volumes.len(), 2);
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
