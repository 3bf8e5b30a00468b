//! One at a time: who may change an owner's resources now. In: an owner. Out: a turn, which ends when it
//! is dropped or its process dies. Never looks at the engine.
//!
//! Two passes of one owner at once would each take the other's half-made replacements for leftovers. The
//! turns are advisory locks on files of this host: an Invigil on another host that works on the same
//! engine is not held back.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, OFlags};
use rustix::process::geteuid;

use crate::resource::name::Owner;

/// Where all users of a host take their turns.
const SHARED: &str = "/run/invigil";
/// How often it is looked whether another's turn is over.
const LOOK: Duration = Duration::from_millis(50);

/// The turns of one owner on this host.
#[derive(Debug, Clone)]
pub struct Turns {
    dir: PathBuf,
    owner: Owner,
}

/// What somebody has, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    /// The lock goes with the open file.
    file: File,
    /// Where it is, until then.
    path: PathBuf,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // While it is still locked: who takes it from now on sees that it is no longer there. One that stays harms nobody.
        if is_at(&self.file, &self.path).unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a file is the one at a path: who waited for a lock may have been given that of a file that is gone.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        there => there?,
    };
    let file = file.metadata()?;
    Ok((file.dev(), file.ino()) == (there.dev(), there.ino()))
}

/// Who has it instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process, where it could be read.
    pub process: Option<u32>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.process {
            Some(process) => write!(f, "process {process}"),
            None => f.write_str("another process"),
        }
    }
}

/// Why turns cannot be taken with the others.
#[derive(Debug, thiserror::Error)]
#[error("cannot take turns with the other Invigils of this host: {} cannot be used", .dir.display())]
pub struct Unusable {
    dir: PathBuf,
    source: io::Error,
}

impl Turns {
    /// The turns of `owner`, kept in `/run/invigil`. Where that is not there and cannot be made, nobody has
    /// it: they are kept in the user's own runtime directory then, or in one of the user's among the temporary files.
    ///
    /// # Errors
    /// If `/run/invigil` is there and may not be used: others take their turns there.
    pub fn of(owner: &Owner) -> Result<Self, Unusable> {
        Self::in_first(owner, Path::new(SHARED), own())
    }

    /// Where the daemon of `owner` may answer. Makes nothing, and takes no turn.
    pub fn sockets(owner: &Owner) -> impl Iterator<Item = PathBuf> {
        let own = own().filter(|dir| check_own(dir).is_ok());
        std::iter::once(PathBuf::from(SHARED)).chain(own).map(move |dir| socket(&dir, owner))
    }

    fn in_first(owner: &Owner, shared: &Path, own: impl Iterator<Item = PathBuf>) -> Result<Self, Unusable> {
        let mut refusal = match Self::at(owner, shared) {
            Err(refusal) if !is_there(shared) => refusal,
            decided => return decided,
        };
        for dir in own {
            let made = make_own(&dir).map_err(|source| Unusable { dir: dir.clone(), source });
            match made.and_then(|()| Self::at(owner, &dir)) {
                Ok(turns) => return Ok(turns),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn at(owner: &Owner, dir: &Path) -> Result<Self, Unusable> {
        let turns = Self { dir: dir.to_owned(), owner: owner.clone() };
        // Looks only: a file that nobody has is left nowhere.
        let usable = || {
            rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK)?;
            match options().open(turns.file("pass")) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                there => there.map(drop),
            }
        };
        match fs::create_dir_all(dir).and_then(|()| usable()) {
            Ok(()) => Ok(turns),
            Err(source) => Err(Unusable { dir: dir.to_owned(), source }),
        }
    }

    /// The right to be the one daemon of the owner.
    ///
    /// # Errors
    /// If the file cannot be used. Inside: who is it already.
    pub fn daemon(&self) -> io::Result<Result<Turn, Holder>> {
        self.try_take("daemon")
    }

    /// Whether the owner has a daemon on this host.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn has_daemon(&self) -> io::Result<bool> {
        let file = match options().open(self.file("daemon")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Who else makes a pass now, as far as can be told without taking a turn: nobody waits for who only asks.
    pub fn others(&self) -> Option<Holder> {
        let mut file = options().open(self.file("pass")).ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let process = text.trim().parse().ok()?;
        if process == std::process::id() {
            return None;
        }
        // One that was killed leaves its file, and somebody else may bear its number by now. Its lock went with it.
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
            .then_some(Holder { process: Some(process) })
    }

    /// The right to make a pass; waits until it is free, and says once who has it.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub async fn pass(&self, waiting: impl FnOnce(&Holder)) -> io::Result<Turn> {
        let mut waiting = Some(waiting);
        loop {
            match self.try_take("pass")? {
                Ok(turn) => return Ok(turn),
                Err(holder) => {
                    if let Some(say) = waiting.take() {
                        say(&holder);
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Where the daemon of the owner answers.
    pub fn socket(&self) -> PathBuf {
        socket(&self.dir, &self.owner)
    }

    fn file(&self, what: &str) -> PathBuf {
        self.dir.join(format!("{}.{what}.lock", self.owner))
    }

    fn open(&self, what: &str) -> io::Result<File> {
        options().create(true).truncate(false).open(self.file(what))
    }

    fn try_take(&self, what: &str) -> io::Result<Result<Turn, Holder>> {
        let path = self.file(what);
        loop {
            let mut file = self.open(what)?;
            match file.try_lock() {
                // Whoever had it took it away meanwhile.
                Ok(()) if !is_at(&file, &path)? => {}
                Ok(()) => {
                    file.set_len(0)?;
                    write!(file, "{}", std::process::id())?;
                    return Ok(Ok(Turn { file, path }));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    file.rewind()?;
                    // Who has just taken it may not have written yet.
                    let _ = file.read_to_string(&mut text);
                    return Ok(Err(Holder { process: text.trim().parse().ok() }));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn socket(dir: &Path, owner: &Owner) -> PathBuf {
    dir.join(format!("{owner}.sock"))
}

/// The directories that a user has alone.
fn own() -> impl Iterator<Item = PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("invigil"));
    let temporary = std::env::temp_dir().join(format!("invigil-{}", geteuid().as_raw()));
    runtime.into_iter().chain([temporary])
}

fn make_own(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    check_own(dir)
}

/// Whether nobody else can put something there: everybody may make a directory among the temporary files.
fn check_own(dir: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(dir)?;
    if metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(io::Error::other("it is not this user's alone"))
    }
}

/// What cannot be looked at is there, for all that anybody knows.
fn is_there(dir: &Path) -> bool {
    !matches!(fs::symlink_metadata(dir), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn where_others_take_turns_nobody_takes_his_own_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, own) = (dir.path().join("shared"), dir.path().join("own"));
        let owner: Owner = "exam".parse().unwrap();
        let kept = |shared: &Path| Turns::in_first(&owner, shared, [own.clone()].into_iter());
        assert_eq!(kept(&shared).unwrap().dir, shared);

        // As if the directory were somebody else's; root may write everywhere.
        fs::create_dir(shared.join("exam.pass.lock")).unwrap();
        assert_eq!(
            kept(&shared).unwrap_err().to_string(),
            format!(
                "cannot take turns with the other Invigils of this host: {} cannot be used",
                shared.display()
            )
        );
        assert!(!own.exists());

        // It is not there, and cannot be made.
        assert_eq!(kept(Path::new("/proc/invigil")).unwrap().dir, own);
    }

    #[test]
    fn turns_are_taken_nowhere_where_somebody_else_can_put_something() {
        let home = tempfile::tempdir().unwrap();
        let owner: Owner = "exam".parse().unwrap();
        let kept =
            |own: &Path| Turns::in_first(&owner, Path::new("/proc/invigil"), [own.to_owned()].into_iter());
        let own = home.path().join("own");
        kept(&own).unwrap();
        assert_eq!(fs::metadata(&own).unwrap().mode() & 0o777, 0o700);
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert!(kept(&link).is_err());
        fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(kept(&own).is_err());
        // Nor is a file written that somebody put a link to.
        fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
        let victim = home.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, own.join("other.daemon.lock")).unwrap();
        let turns = Turns { dir: own, owner: "other".parse().unwrap() };
        assert!(turns.daemon().is_err());
        assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_turn_is_had_by_one_and_ends_when_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let turns = Turns { dir: dir.path().to_owned(), owner: "exam".parse().unwrap() };
        let other = Turns { owner: "other".parse().unwrap(), ..turns.clone() };
        let first = turns.pass(|_| panic!("nobody has it")).await.unwrap();
        assert!(other.try_take("pass").unwrap().is_ok());
        assert!(!turns.has_daemon().unwrap());
        let daemon = turns.daemon().unwrap().unwrap();
        assert!(turns.has_daemon().unwrap() && !other.has_daemon().unwrap());
        drop(daemon);
        let holder = turns.try_take("pass").unwrap().unwrap_err();
        assert_eq!(holder.to_string(), format!("process {}", std::process::id()));
        let mut said = 0;
        tokio::select! {
            _ = turns.pass(|_| said += 1) => panic!("it is not free"),
            () = tokio::time::sleep(LOOK * 3) => {}
        }
        assert_eq!(said, 1);
        drop(first);
        turns.pass(|_| panic!("it is free")).await.unwrap();
    }

    #[test]
    fn what_nobody_has_leaves_no_file_and_one_that_was_taken_away_is_nobodys_turn() {
        let dir = tempfile::tempdir().unwrap();
        let turns = Turns::at(&"exam".parse().unwrap(), dir.path()).unwrap();
        let left = || fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left(), 0);
        let first = turns.try_take("pass").unwrap().unwrap();
        // As who waits does: it opened the file before it went, and gets its lock.
        let waited = turns.open("pass").unwrap();
        drop(first);
        assert_eq!((left(), turns.has_daemon().unwrap(), left()), (0, false, 0));
        waited.try_lock().unwrap();
        let second = turns.try_take("pass").unwrap().unwrap();
        assert!(!is_at(&waited, &second.path).unwrap());
        assert!(turns.try_take("pass").unwrap().is_err());
        drop(second);
        assert_eq!(left(), 0);
    }

    #[test]
    fn who_else_makes_a_pass_is_who_holds_the_lock_and_not_who_left_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let turns = Turns { dir: dir.path().to_owned(), owner: "exam".parse().unwrap() };
        assert_eq!(turns.others(), None);
        // Killed in a pass; another process, which is there, bears its number by now.
        let there = std::os::unix::process::parent_id();
        fs::write(turns.file("pass"), there.to_string()).unwrap();
        assert_eq!(turns.others(), None);
        let held = turns.try_take("pass").unwrap().unwrap();
        assert_eq!(turns.others(), None, "it is this one's own");
        fs::write(&held.path, there.to_string()).unwrap();
        assert_eq!(turns.others(), Some(Holder { process: Some(there) }));
        drop(held);
        assert_eq!(turns.others(), None);
    }

    #[test]
    fn many_at_once_have_their_turns_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let turns = Turns { dir: dir.path().to_owned(), owner: "exam".parse().unwrap() };
        let had = std::sync::atomic::AtomicUsize::new(0);
        let alone = std::sync::Mutex::new(());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while had.load(std::sync::atomic::Ordering::Relaxed) < 2000 {
                        if let Ok(_turn) = turns.try_take("pass").unwrap() {
                            let _alone = alone.try_lock().expect("nobody else has it");
                            had.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
