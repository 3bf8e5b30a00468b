//! Files into containers and out of them, as tar archives. Nothing that comes out is ever unpacked: its
//! names, links and devices are those of whoever was in the container (law 13).

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use futures_util::StreamExt;
use tokio::fs::DirBuilder;

use super::Session;
use super::error::{failed, is_absent, is_no_file};
use super::partial::Partial;
use crate::engine::{EngineError, Progress};
use crate::resource::container::{FileOwner, PlacedFile};
use crate::resource::mount::Mode;

/// What archives are made of.
const BLOCK: usize = 512;
/// More than the largest file that is put into a container, packed.
const PUT_MAX: usize = 9 << 20;

/// Puts files into a container's file system; directories on the way are made.
pub(super) async fn put(
    engine: &Session,
    what: &str,
    container: &str,
    files: &[PlacedFile],
) -> Result<(), EngineError> {
    let archive = archive(files)
        .map_err(|error| EngineError::refused(format!("the files cannot be packed: {error}")))?;
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let body = bollard::body_full(archive.into());
    engine
        .docker
        .upload_to_container(container, Some(options), body)
        .await
        .map_err(|error| failed(&engine.endpoint, what, error))
}

fn archive(files: &[PlacedFile]) -> std::io::Result<Vec<u8>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(file.bytes.len() as u64);
        header.set_mode(file.mode.bits());
        header.set_uid(file.owner.uid.into());
        header.set_gid(file.owner.gid.into());
        header.set_mtime(now);
        archive.append_data(&mut header, file.path.as_str().trim_start_matches('/'), &*file.bytes)?;
    }
    archive.into_inner()
}

/// The digest of a file in a container; `None` if it is not there.
pub(super) async fn digest(
    engine: &Session,
    what: &str,
    container: &str,
    path: &str,
) -> Result<Option<String>, EngineError> {
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let mut chunks = std::pin::pin!(engine.docker.download_from_container(container, Some(options)));
    let mut archive = Vec::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => archive.extend_from_slice(&chunk),
            Err(error) if is_no_file(&error) => return Ok(None),
            Err(error) => return Err(failed(&engine.endpoint, what, error)),
        }
        if archive.len() > PUT_MAX {
            return Ok(None);
        }
    }
    let unreadable = |error: std::io::Error| EngineError::Unreadable {
        what: format!("{what}, its file {path}"),
        cause: error.to_string(),
    };
    let mut archive = tar::Archive::new(&*archive);
    let Some(entry) = archive.entries().map_err(unreadable)?.next() else { return Ok(None) };
    let mut entry = entry.map_err(unreadable)?;
    let number = |number: std::io::Result<u64>| u32::try_from(number.unwrap_or_default()).unwrap_or_default();
    let header = entry.header();
    let mode = Mode::from_bits(header.mode().map_err(unreadable)?);
    let owner = FileOwner { uid: number(header.uid()), gid: number(header.gid()) };
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Some(PlacedFile::digest(mode, owner, &bytes)))
}

/// Keeps what is at a path of a container in an archive, which is there whole or not at all.
pub(super) async fn collect(
    engine: &Session,
    what: &str,
    container: &str,
    path: &str,
    archive: &Path,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let at_disk = |error: std::io::Error| EngineError::refused(format!("{what}: {error}"));
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let mut chunks = std::pin::pin!(engine.docker.download_from_container(container, Some(options)));
    let mut next = match chunks.next().await {
        // There is no such path, or no such container any more.
        Some(Err(error)) if is_absent(&error) => return Ok(()),
        next => next,
    };
    // For nobody else, whoever collects: these are somebody's answers.
    if let Some(directory) = archive.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).await.map_err(at_disk)?;
    }
    let mut partial = Partial::begin(archive).await.map_err(at_disk)?;
    while let Some(chunk) = next {
        let chunk = chunk.map_err(|error| failed(&engine.endpoint, what, error))?;
        partial.write(&chunk, progress).await.map_err(at_disk)?;
        next = chunks.next().await;
    }
    let beside = partial.settle().await.map_err(at_disk)?.to_owned();
    let is_whole = tokio::task::spawn_blocking(move || is_whole(&beside)).await;
    if !is_whole.map_err(std::io::Error::other).and_then(|looked| looked).map_err(at_disk)? {
        return Err(EngineError::refused(format!(
            "{what}: the engine broke the archive off: a file in it changes, or cannot be read"
        )));
    }
    partial.finish().await.map_err(at_disk)
}

/// Whether an archive is there to its end, which is two empty blocks. An engine that could not read a file as it had
/// announced it leaves out all that follows, and the end, and says that all went well.
fn is_whole(archive: &Path) -> std::io::Result<bool> {
    let file = File::open(archive)?;
    let mut end = 0_u64;
    for entry in tar::Archive::new(&file).entries_with_seek()? {
        let Ok(entry) = entry else { return Ok(false) };
        end = entry.raw_file_position().saturating_add(entry.size()).next_multiple_of(BLOCK as u64);
    }
    let mut blocks = [1; 2 * BLOCK];
    match file.read_exact_at(&mut blocks, end) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| blocks.iter().all(|byte| *byte == 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_5_an_archive_that_was_broken_off_is_not_what_was_collected() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("responses.tar");
        let file = |path: &str, bytes: &[u8]| {
            let written = serde_json::json!({"path": path, "content": ""});
            PlacedFile::new(&serde_json::from_value(written).unwrap(), bytes)
        };
        let long = format!("/{}", "a".repeat(300));
        let whole = archive(&[file("/exam/1", &[7; 700]), file(&long, &[0; 2000])]).unwrap();
        let is_whole = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            is_whole(&path).unwrap()
        };
        assert!(is_whole(&whole));
        assert!(is_whole(&archive(&[]).unwrap()));
        assert!(is_whole(&[whole.clone(), vec![0; 9 * 1024]].concat()), "an engine may fill its last record");
        // Everywhere else: in a header, in a file, between files, and in the end itself.
        for length in
            [0, 1, 511, 512, 1000, 1536, 2048, 3000, whole.len() - 1024, whole.len() - 512, whole.len() - 1]
        {
            assert!(!is_whole(&whole[..length]), "{length} of {}", whole.len());
        }
        assert!(!is_whole(&[&whole[..whole.len() - 512], &[1; 512]].concat()), "half an end");
        let mut damaged = whole.clone();
        damaged.truncate(whole.len() - 1024);
        damaged.extend(br#"{"message":"unexpected EOF"}"#);
        assert!(!is_whole(&damaged));
    }
}
