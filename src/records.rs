//! What was done to containers that no engine remembers: for which token each was restarted, and the like. In
//! and out: a file of one owner's, across restarts of the daemon.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::engine::{EngineError, Observe, Perform, Progress, Scope};
use crate::host;
use crate::observed::{Applied, EngineId, Observed};
use crate::plan::Step;
use crate::resource::name::Owner;
use crate::whole;

/// The version of the file's form.
const FORMAT_VERSION: u32 = 1;

/// The records of one owner.
#[derive(Debug, Clone)]
pub struct Records {
    file: PathBuf,
    /// Steps beside each other write one after the other.
    writing: Arc<Mutex<()>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    format_version: u32,
    containers: BTreeMap<String, Applied>,
}

impl Records {
    /// The records of `owner`, kept under `dir`.
    pub fn of(dir: &Path, owner: &Owner) -> Self {
        Self { file: dir.join(format!("{owner}.records.json")), writing: Arc::default() }
    }

    /// Where they are kept.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What was done to each container; nothing is known of the others.
    ///
    /// # Errors
    /// If that cannot be read: it is never taken for nothing, or every container would be restarted again.
    pub fn read(&self) -> io::Result<BTreeMap<EngineId, Applied>> {
        let bytes = match fs::read(&self.file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        };
        let form: Form = serde_json::from_slice(&bytes).map_err(io::Error::from)?;
        if form.format_version != FORMAT_VERSION {
            return Err(io::Error::other("it was written by another version of Invigil"));
        }
        let parsed = form.containers.into_iter().map(|(id, applied)| Ok((id.parse()?, applied)));
        parsed.collect::<Result<_, String>>().map_err(io::Error::other)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<EngineId, Applied>) -> bool) -> io::Result<()> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut containers = self.read()?;
        if !change(&mut containers) {
            return Ok(());
        }
        let containers = containers.into_iter().map(|(id, applied)| (id.as_str().to_owned(), applied));
        let form = Form { format_version: FORMAT_VERSION, containers: containers.collect() };
        if let Some(dir) = self.file.parent() {
            fs::create_dir_all(dir)?;
        }
        // Whoever may plan may see it.
        whole::write(&self.file, &serde_json::to_vec_pretty(&form)?, Some(0o644))
    }

    async fn put(&self, container: &str, applied: &Applied) -> Result<(), EngineError> {
        let id: EngineId = container.parse().map_err(EngineError::refused)?;
        let (records, applied) = (self.clone(), applied.clone());
        host::writing(move || {
            records.change(|containers| containers.insert(id, applied.clone()).as_ref() != Some(&applied))
        })
        .await
        .map_err(|error| self.failed(&error))
    }

    /// Remembers what manifests last had containers do, beside what is remembered of them otherwise.
    ///
    /// # Errors
    /// If that cannot be written.
    pub async fn turn(&self, turned: Vec<(EngineId, Applied)>) -> io::Result<()> {
        let records = self.clone();
        let turn = move |containers: &mut BTreeMap<EngineId, Applied>| {
            let before = containers.clone();
            for (id, applied) in turned {
                let Applied { state, followed, followed_at, .. } = applied.clone();
                let record = containers.entry(id).or_insert(applied);
                (record.state, record.followed, record.followed_at) = (state, followed, followed_at);
            }
            *containers != before
        };
        host::writing(move || records.change(turn)).await
    }

    async fn forget(&self, container: &str) -> Result<(), EngineError> {
        let Ok(id) = container.parse::<EngineId>() else { return Ok(()) };
        let records = self.clone();
        host::writing(move || records.change(|containers| containers.remove(&id).is_some()))
            .await
            .map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> EngineError {
        EngineError::refused(format!(
            "what is done to it cannot be remembered in {}: {error}",
            self.file.display()
        ))
    }
}

/// An engine, and the records that go with it.
#[derive(Debug)]
pub struct Recorded<'a, E> {
    engine: &'a E,
    records: &'a Records,
}

impl<'a, E> Recorded<'a, E> {
    /// The engine with its records.
    pub const fn new(engine: &'a E, records: &'a Records) -> Self {
        Self { engine, records }
    }
}

impl<E: Observe> Observe for Recorded<'_, E> {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        let observed = self.engine.observe(scope).await?;
        let records = self.records.clone();
        let applied =
            host::reading(move || records.read()).await.map_err(|error| EngineError::Unreadable {
                what: format!("what was done to containers ({})", self.records.file().display()),
                cause: error.to_string(),
            })?;
        Ok(Observed { applied, ..observed })
    }

    async fn data_directory(&self) -> Result<Option<String>, EngineError> {
        self.engine.data_directory().await
    }
}

impl<E: Perform> Perform for Recorded<'_, E> {
    async fn perform(&self, step: &Step, progress: &Progress<'_>) -> Result<(), EngineError> {
        match step {
            Step::Record { container, applied } => self.records.put(container, applied).await,
            Step::RemoveContainer(container) => {
                self.engine.perform(step, progress).await?;
                self.records.forget(container).await
            }
            step => self.engine.perform(step, progress).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_written_through_a_link_that_somebody_put_beside_the_records() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::of(dir.path(), &"exam".parse().unwrap());
        let theirs = dir.path().join("theirs");
        fs::write(&theirs, "theirs").unwrap();
        std::os::unix::fs::symlink(&theirs, dir.path().join("exam.records.json.new")).unwrap();
        records.put(&"a".repeat(64), &Applied::default()).await.unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        assert_eq!(records.read().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_was_done_is_remembered_until_its_container_goes_and_damage_is_never_taken_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::of(&dir.path().join("state"), &"exam".parse().unwrap());
        let (one, other) = ("a".repeat(64), "b".repeat(64));
        let applied = Applied { restart_token: Some("第二次".to_owned()), ..Applied::default() };
        assert_eq!(records.read().unwrap(), BTreeMap::new());
        records.put(&one, &applied).await.unwrap();
        records.put(&other, &Applied::default()).await.unwrap();
        records.forget(&other).await.unwrap();
        records.forget("seat-01.invigil-next").await.unwrap();
        assert_eq!(records.read().unwrap(), [(one.parse().unwrap(), applied)].into());
        fs::write(records.file(), "{").unwrap();
        assert!(records.read().is_err() && records.forget(&one).await.is_err());
        assert_eq!(fs::read_to_string(records.file()).unwrap(), "{");
    }
}
