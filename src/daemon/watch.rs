//! Watches the manifests' files, and whether the host is suspended. In: the host's notifications. Out: wakes. Never reads a
//! file: what changed is found out by reading everything again.
//!
//! The root is watched with all that is under it, and so is its parent: a directory that is renamed,
//! or a link that is swapped, is silent in itself. Whenever another directory may stand behind the
//! root, watching begins anew.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::wake::Bell;

/// How often it is looked whether another directory stands behind the root, which no notification
/// tells when it happened further up, or when the root's parent is missing too.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// The manifests' directory, or one file.
    Manifests,
    /// The file that says that the host is suspended.
    Suspension,
}

impl Subject {
    fn changed(self, bell: &Bell) {
        match self {
            Self::Manifests => bell.files_changed(),
            Self::Suspension => bell.suspension_changed(),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Manifests => "the manifest files",
            Self::Suspension => "the file that suspends the host",
        }
    }
}

/// Watches one directory or file.
#[derive(Debug)]
pub struct FileWatch {
    target: Arc<Target>,
    armed: Armed,
    /// The last complaint, so that each is made once.
    complaint: Option<String>,
    look_every: Duration,
}

/// What is watched, and who is told.
#[derive(Debug)]
struct Target {
    root: PathBuf,
    subject: Subject,
    bell: Bell,
    /// Something happened to the root itself.
    disturbed: Notify,
}

/// What is behind the root: device, inode, and whether it is a directory.
type Identity = Option<(u64, u64, bool)>;

/// The watches that stand.
#[derive(Debug, Default)]
struct Armed {
    /// `None` where not all of it could be watched.
    watcher: Option<RecommendedWatcher>,
    identity: Identity,
}

impl FileWatch {
    /// Begins to watch. What happens from now on is not missed, as far as the host tells.
    ///
    /// # Errors
    /// If the path cannot be made absolute, because it is empty or there is no current directory.
    pub(super) async fn begin(root: &Path, subject: Subject, bell: Bell) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        let target = Arc::new(Target { root, subject, bell, disturbed: Notify::new() });
        let mut watch = Self { target, armed: Armed::default(), complaint: None, look_every: LOOK_EVERY };
        watch.arm().await;
        Ok(watch)
    }

    /// Keeps watching, for ever.
    pub async fn keep(mut self) -> Infallible {
        let mut looks = interval(self.look_every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let disturbed = tokio::select! {
                () = self.target.disturbed.notified() => true,
                _ = looks.tick() => false,
            };
            let before = self.armed.identity;
            let moved = self.target.identity().await != before;
            if disturbed || moved || self.armed.watcher.is_none() {
                self.arm().await;
            }
            // Not after every vain attempt: what is not there did not change.
            if disturbed || moved || self.armed.identity != before {
                self.target.changed();
            }
        }
    }

    /// Watches what stands behind the root now.
    async fn arm(&mut self) {
        let target = Arc::clone(&self.target);
        let armed = spawn_blocking(move || {
            let identity = identity(&target.root);
            let watcher = watch(&target, identity);
            (identity, watcher)
        });
        // The old watches go only after the new ones stand.
        let Ok((identity, watcher)) = armed.await else { return };
        let (watcher, complaint) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error.to_string())),
        };
        self.armed = Armed { watcher, identity };
        if complaint != self.complaint {
            if let Some(why) = &complaint {
                warn!(%why, "{} cannot be watched, and will be looked at less often", self.target.subject.as_str());
            } else {
                info!("{} can be watched again", self.target.subject.as_str());
            }
            self.complaint = complaint;
        }
    }
}

fn identity(root: &Path) -> Identity {
    let metadata = std::fs::metadata(root).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.is_dir()))
}

fn watch(target: &Arc<Target>, identity: Identity) -> notify::Result<RecommendedWatcher> {
    let told = Arc::clone(target);
    let mut watcher = notify::recommended_watcher(move |event| told.note(event))?;
    // A file's parent tells all about the file; watched itself, it is lost at the first rename.
    if let Some(parent) = target.root.parent() {
        watcher.watch(parent, RecursiveMode::NonRecursive)?;
    }
    if let Some((_, _, true)) = identity {
        watcher.watch(&target.root, RecursiveMode::Recursive)?;
    }
    Ok(watcher)
}

impl Target {
    /// What is behind the root now. A file system that hangs holds up nothing but watching.
    async fn identity(&self) -> Identity {
        let root = self.root.clone();
        spawn_blocking(move || identity(&root)).await.ok().flatten()
    }

    /// Called on the watcher's own thread.
    fn note(&self, event: notify::Result<notify::Event>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                debug!(%error, "a file notification failed");
                return self.disturb();
            }
        };
        if event.need_rescan() {
            // Notifications were lost, maybe those of directories that are to be watched.
            return self.disturb();
        }
        // Reading files makes these; a pass would wake the next one.
        if event.kind.is_access() || !event.paths.iter().any(|path| path.starts_with(&self.root)) {
            return;
        }
        let moves = matches!(
            event.kind,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        );
        if moves && event.paths.contains(&self.root) {
            self.disturb();
        } else {
            self.changed();
        }
    }

    fn changed(&self) {
        self.subject.changed(&self.bell);
    }

    /// The watches may be of something else than what is behind the root now.
    fn disturb(&self) {
        self.disturbed.notify_one();
        self.changed();
    }
}

#[cfg(test)]
mod tests;
