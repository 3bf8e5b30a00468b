//! What a daemon keeps for the next one: for which containers a replacement failed after it had interrupted what was
//! there (law 7). In and out: a file of one owner's. Decides nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::host;
use crate::resource::name::ResourceId;
use crate::whole;

/// The version of the file's form.
const FORMAT_VERSION: u32 = 1;

/// A replacement that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Failed {
    /// What the manifests asked for.
    pub(super) fingerprint: String,
    /// How often it failed in a row.
    pub(super) failures: u32,
    pub(super) why: String,
    /// What is there is not interrupted again before.
    pub(super) disturb_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    format_version: u32,
    failed: BTreeMap<ResourceId, Failed>,
}

/// The file.
#[derive(Debug)]
pub(super) struct Memory {
    file: PathBuf,
    /// What stands in it.
    kept: BTreeMap<ResourceId, Failed>,
}

impl Memory {
    /// The memory that is kept beside an owner's records.
    pub(super) fn beside(records: &Path) -> Self {
        // `exam.records.json`
        Self { file: records.with_extension("").with_extension("failed.json"), kept: BTreeMap::new() }
    }

    /// What the daemon before kept. One that cannot be read is told: a replacement may be tried sooner then.
    pub(super) async fn read(&mut self) -> &BTreeMap<ResourceId, Failed> {
        let file = self.file.clone();
        match host::reading(move || read(&file)).await {
            Ok(kept) => self.kept = kept,
            Err(error) => {
                let file = self.file.display();
                warn!(%error, %file, "which replacements failed before cannot be read: they are tried again now");
            }
        }
        &self.kept
    }

    /// Keeps this for the next daemon.
    pub(super) async fn keep(&mut self, failed: BTreeMap<ResourceId, Failed>) {
        // The moments are read from another clock each time.
        let same = |(one, other): (&Failed, &Failed)| {
            (one.failures, &one.fingerprint) == (other.failures, &other.fingerprint)
        };
        if self.kept.keys().eq(failed.keys()) && self.kept.values().zip(failed.values()).all(same) {
            return;
        }
        self.kept.clone_from(&failed);
        let file = self.file.clone();
        if let Err(error) = host::writing(move || write(&file, failed)).await {
            let file = self.file.display();
            warn!(%error, %file, "which replacements failed cannot be kept: after a restart they are tried at once");
        }
    }
}

fn read(file: &Path) -> io::Result<BTreeMap<ResourceId, Failed>> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let form: Form = serde_json::from_slice(&bytes).map_err(io::Error::from)?;
    if form.format_version != FORMAT_VERSION {
        return Err(io::Error::other("it was written by another version of Invigil"));
    }
    Ok(form.failed)
}

fn write(file: &Path, failed: BTreeMap<ResourceId, Failed>) -> io::Result<()> {
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    let form = Form { format_version: FORMAT_VERSION, failed };
    // For nobody else: a digest of what a manifest asks for may give away what is secret in it (law 12).
    whole::write(file, &serde_json::to_vec_pretty(&form)?, Some(0o600))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn what_failed_is_kept_for_nobody_else_and_damage_is_no_reason_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let records = dir.path().join("state/exam.records.json");
        let failed = Failed {
            fingerprint: "f".to_owned(),
            failures: 2,
            why: "failed: it is unhealthy".to_owned(),
            disturb_at: Timestamp::UNIX_EPOCH,
        };
        let failed = BTreeMap::from([("container/web".parse().unwrap(), failed)]);
        let mut memory = Memory::beside(&records);
        assert_eq!(*memory.read().await, BTreeMap::new());
        memory.keep(failed.clone()).await;
        assert_eq!(*Memory::beside(&records).read().await, failed);
        let file = dir.path().join("state/exam.failed.json");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "{").unwrap();
        let mut memory = Memory::beside(&records);
        assert_eq!(*memory.read().await, BTreeMap::new());
        memory.keep(failed.clone()).await;
        assert_eq!(*Memory::beside(&records).read().await, failed);
    }
}
