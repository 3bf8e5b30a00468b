//! Archives into the engine: loads and imports, streamed, with progress.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bollard::query_parameters::{CreateImageOptionsBuilder, ImportImageOptionsBuilder};
use futures_util::{Stream, StreamExt, stream};
use hyper::body::Bytes;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::time::sleep;

use super::error::failed;
use super::tags::one_at_a_time;
use super::{Session, podman};
use crate::assembly::{self, PaperImage};
use crate::desired::Archive;
use crate::engine::{EngineError, Progress};
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
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let _tags = one_at_a_time(engine).await;
    let answers = engine.docker.import_image(options, bollard::body_full(archive.into()), None);
    drain(engine, "load problem set images", answers).await
}

/// Loads an archive as `docker save` writes it.
pub(super) async fn load_archive(
    engine: &Session,
    archive: &Path,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let what = format!("load {}", archive.display());
    let file = open(archive).await?;
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let sent = Sent::of(&file).await;
    let _tags = one_at_a_time(engine).await;
    let answers = engine.docker.import_image_stream(options, sent.chunks(file), None);
    let loaded = sent.told_while(progress, drain(engine, &what, answers)).await;
    sent.read_whole(archive, loaded)
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
            Archive::File(_) => "-",
            Archive::Address(address) => address,
        };
        engine.at(&podman::import(source, tag, changes))?
    } else {
        engine.docker.clone()
    };
    match from {
        Archive::File(archive) => {
            let file = open(archive).await?;
            let sent = Sent::of(&file).await;
            let body = bollard::body_try_stream(sent.chunks(file));
            let options = options.from_src("-").build();
            let answers = docker.create_image(Some(options), Some(body), None);
            let imported = sent.told_while(progress, drain(engine, what, answers)).await;
            sent.read_whole(archive, imported)
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

/// How much of a file has been sent.
struct Sent {
    size: u64,
    count: Arc<AtomicU64>,
    /// Why it could not be read to its end.
    broken: Arc<OnceLock<String>>,
}

impl Sent {
    async fn of(file: &File) -> Self {
        let size = file.metadata().await.map_or(0, |metadata| metadata.len());
        Self { size, count: Arc::default(), broken: Arc::default() }
    }

    /// A file in pieces, so that an archive of any size takes little memory.
    fn chunks(&self, file: File) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
        let (sent, broken) = (Arc::clone(&self.count), Arc::clone(&self.broken));
        stream::try_unfold((file, sent, broken), |(mut file, sent, broken)| async move {
            let mut buffer = vec![0; CHUNK];
            let count = file.read(&mut buffer).await.inspect_err(|error| {
                broken.get_or_init(|| error.to_string());
            })?;
            buffer.truncate(count);
            sent.fetch_add(count as u64, Ordering::Relaxed);
            Ok((count > 0).then(|| (Bytes::from(buffer), (file, sent, broken))))
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
        progress(format!("sending {}", shown(self.size)));
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
                progress(format!("sent {} of {}", shown(count), shown(self.size)));
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
        let sent = Sent { size: 4096, count: Arc::default(), broken: Arc::default() };
        let count = Arc::clone(&sent.count);
        let told = Mutex::new(Vec::new());
        let progress = |text: String| told.lock().unwrap().push(text);
        let sending = async {
            count.store(1024, Ordering::Relaxed);
            sleep(TELL * 5 / 2).await;
            count.store(4096, Ordering::Relaxed);
            sleep(TELL).await;
        };
        sent.told_while(&progress, sending).await;
        assert_eq!(*told.lock().unwrap(), ["sending 4Ki", "sent 1Ki of 4Ki", "sent 4Ki of 4Ki"]);
    }
}
