//! Archives into the engine: loads and imports, streamed, with progress.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bollard::query_parameters::{CreateImageOptionsBuilder, ImportImageOptionsBuilder};
use futures_util::{Stream, StreamExt, stream};
use hyper::body::Bytes;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::time::sleep;

use super::error::failed;
use super::overtaken::again;
use super::tags::one_at_a_time;
use super::{Session, podman};
use crate::assembly::{self, PaperImage};
use crate::desired::Archive;
use crate::engine::{EngineError, Progress, Stage};
use crate::resource::digest::hex;
use crate::resource::env::without_password;
use crate::resource::quantity::ByteSize;
use crate::resource::reference::ImageReference;

/// How much of a file is sent at once.
const CHUNK: usize = 256 << 10;
/// How often it is told how much has been sent.
const TELL: Duration = Duration::from_secs(1);

/// Loads problem set images in one archive.
pub(super) async fn load_papers(
    engine: &Session,
    images: &[(PaperImage, Vec<ImageReference>)],
) -> Result<(), EngineError> {
    let tagged: Vec<(&PaperImage, Vec<ImageReference>)> =
        images.iter().map(|(image, tags)| (image, tags.clone())).collect();
    let archive = assembly::archive(&tagged)
        .map_err(|error| EngineError::refused(format!("the images cannot be packed: {error}")))?;
    let archive = Bytes::from(archive);
    let _tags = one_at_a_time(engine).await;
    again(|| async {
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let answers = engine.docker.import_image(options, bollard::body_full(archive.clone()), None);
        drain(engine, "load problem set images", answers).await
    })
    .await
}

/// Loads an archive as `docker save` writes it.
pub(super) async fn load_archive(
    engine: &Session,
    archive: &Path,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let what = format!("load {}", archive.display());
    let _tags = one_at_a_time(engine).await;
    again(|| async {
        let file = open(archive).await?;
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let sent = Sent::of(&file).await;
        let answers = engine.docker.import_image_stream(options, sent.chunks(file), None);
        let loaded = sent.told_while(progress, drain(engine, &what, answers)).await;
        sent.read_whole(archive, loaded)
    })
    .await
}

/// Imports a file system's archive under a tag. `what` says it in an error.
pub(super) async fn import(
    engine: &Session,
    what: &str,
    from: &Archive,
    changes: &[String],
    tag: &ImageReference,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let options = CreateImageOptionsBuilder::new()
        .repo(&tag.repository())
        .tag(tag.tag().unwrap_or("latest"))
        .changes(changes.to_vec());
    let docker = if engine.is_podman {
        let source = match from {
            Archive::File { .. } => "-",
            Archive::Address(address) => address,
        };
        engine.at(&podman::import(source, tag, changes))?
    } else {
        engine.docker.clone()
    };
    match from {
        Archive::File { path, digest } => {
            let file = open(path).await?;
            let sent = Sent { is_to_be: Some(digest.clone()), ..Sent::of(&file).await };
            let body = bollard::body_try_stream(sent.chunks(file));
            let options = options.from_src("-").build();
            let answers = docker.create_image(Some(options), Some(body), None);
            let imported = sent.told_while(progress, drain(engine, what, answers)).await;
            sent.read_whole(path, imported)
        }
        Archive::Address(address) => {
            // By itself the engine notes in the image's history where it came from, password and all (law 12).
            let note = format!("Imported from {}", without_password(address));
            let options = options.from_src(address).message(&note).build();
            let fetched = drain(engine, what, docker.create_image(Some(options), None, None)).await;
            fetched.map_err(|error| match error {
                EngineError::Refused { sentence } => {
                    EngineError::refused(sentence.replace(": the registry ", ": the address "))
                }
                error => error,
            })
        }
    }
}

/// Reads a stream of answers to its end: errors come inside it.
pub(super) async fn drain<T>(
    engine: &Session,
    what: &str,
    answers: impl Stream<Item = Result<T, bollard::errors::Error>>,
) -> Result<(), EngineError> {
    let mut answers = std::pin::pin!(answers);
    while let Some(answer) = answers.next().await {
        answer.map_err(|error| failed(&engine.endpoint, what, error))?;
    }
    Ok(())
}

async fn open(path: &Path) -> Result<File, EngineError> {
    File::open(path).await.map_err(|error| unread(path, &error.to_string()))
}

fn unread(path: &Path, why: &str) -> EngineError {
    EngineError::refused(format!("{} cannot be read: {why}", path.display()))
}

/// A file that is being sent.
struct Reading {
    file: File,
    count: Arc<AtomicU64>,
    is_to_be: Option<String>,
    hash: Sha256,
    /// What was read last, while it is not known whether the file is what it has to be: an engine that has an archive's end
    /// goes on with it, whatever comes of the sending.
    held: VecDeque<Bytes>,
}

impl Reading {
    /// The next piece; `None` at the end.
    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        let Some(is_to_be) = self.is_to_be.clone() else { return self.read().await };
        // The last piece may be a small one.
        while self.held.len() < 3 {
            let Some(piece) = self.read().await? else {
                if hex(&self.hash.clone().finalize()) != is_to_be {
                    return Err(std::io::Error::other("it has changed since it was looked at"));
                }
                return Ok(self.held.pop_front());
            };
            self.hash.update(&piece);
            self.held.push_back(piece);
        }
        Ok(self.held.pop_front())
    }

    async fn read(&mut self) -> std::io::Result<Option<Bytes>> {
        let mut buffer = vec![0; CHUNK];
        let count = self.file.read(&mut buffer).await?;
        buffer.truncate(count);
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok((count > 0).then(|| Bytes::from(buffer)))
    }
}

/// How much of a file has been sent.
struct Sent {
    size: u64,
    count: Arc<AtomicU64>,
    /// Why it could not be read to its end.
    broken: Arc<OnceLock<String>>,
    /// What it has to be: SHA-256, in hexadecimal.
    is_to_be: Option<String>,
}

impl Sent {
    async fn of(file: &File) -> Self {
        let size = file.metadata().await.map_or(0, |metadata| metadata.len());
        Self { size, count: Arc::default(), broken: Arc::default(), is_to_be: None }
    }

    /// A file in pieces, so that an archive of any size takes little memory. Broken off before its end where it is not what
    /// it has to be.
    fn chunks(&self, file: File) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
        let reading = Reading {
            file,
            count: Arc::clone(&self.count),
            is_to_be: self.is_to_be.clone(),
            hash: Sha256::new(),
            held: VecDeque::new(),
        };
        stream::try_unfold((reading, Arc::clone(&self.broken)), |(mut reading, broken)| async move {
            let piece = reading.next().await.inspect_err(|error| {
                broken.get_or_init(|| error.to_string());
            })?;
            Ok(piece.map(|piece| (piece, (reading, broken))))
        })
    }

    /// What came of the sending. Where the file broke it off, the engine is not lost.
    fn read_whole(&self, path: &Path, result: Result<(), EngineError>) -> Result<(), EngineError> {
        match self.broken.get() {
            Some(why) => Err(unread(path, why)),
            None => result,
        }
    }

    /// Does the sending, and tells every second how far it is, unless it stands still.
    async fn told_while<T>(&self, progress: &Progress<'_>, sending: impl Future<Output = T>) -> T {
        let shown = |bytes: u64| ByteSize::from_bytes(bytes >> 10 << 10);
        progress(Stage::of(format!("sending {}", shown(self.size))));
        let mut sending = std::pin::pin!(sending);
        let mut told = 0;
        loop {
            tokio::select! {
                biased;
                done = &mut sending => return done,
                () = sleep(TELL) => {}
            }
            let count = self.count.load(Ordering::Relaxed);
            if count != told {
                told = count;
                progress(Stage::counted("sent", format!("{} of {}", shown(count), shown(self.size))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_is_told_as_long_as_it_gets_on() {
        let sent = Sent { size: 4096, count: Arc::default(), broken: Arc::default(), is_to_be: None };
        let count = Arc::clone(&sent.count);
        let told = Mutex::new(Vec::new());
        let progress = |stage: Stage| told.lock().unwrap().push(stage.to_string());
        let sending = async {
            count.store(1024, Ordering::Relaxed);
            sleep(TELL * 5 / 2).await;
            count.store(4096, Ordering::Relaxed);
            sleep(TELL).await;
        };
        sent.told_while(&progress, sending).await;
        assert_eq!(*told.lock().unwrap(), ["sending 4Ki", "sent 1Ki of 4Ki", "sent 4Ki of 4Ki"]);
    }

    #[tokio::test]
    async fn law_2_what_is_another_file_by_now_is_not_sent_to_its_end() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        // An archive's end, with what is written after it, is in the last of these.
        let content = b"a file system".repeat(CHUNK);
        std::fs::write(&path, &content).unwrap();
        for (is_to_be, is_whole) in [(&content[..], true), (b"another", false)] {
            let file = open(&path).await.unwrap();
            let is_to_be = Some(hex(&Sha256::digest(is_to_be)));
            let sent = Sent { is_to_be, ..Sent::of(&file).await };
            let pieces: Vec<std::io::Result<Bytes>> = sent.chunks(file).collect().await;
            assert_eq!(pieces.iter().all(Result::is_ok), is_whole);
            let through: usize = pieces.iter().flatten().map(Bytes::len).sum();
            assert_eq!(content.len() - through, if is_whole { 0 } else { 2 * CHUNK });
            let told = sent.read_whole(&path, Ok(())).map_err(|error| error.to_string());
            let changed = format!("{} cannot be read: it has changed since it was looked at", path.display());
            assert_eq!(told, if is_whole { Ok(()) } else { Err(changed) });
        }
    }
}
