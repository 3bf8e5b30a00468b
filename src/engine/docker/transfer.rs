//! Images into the engine: loads, imports and pulls, streamed, with progress.

use std::path::Path;

use bollard::query_parameters::{CreateImageOptionsBuilder, ImportImageOptionsBuilder};
use futures_util::{Stream, StreamExt, stream};
use hyper::body::Bytes;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::Session;
use super::credentials::{self, Credentials};
use super::error::failed;
use crate::assembly::{self, PaperImage};
use crate::desired::Archive;
use crate::engine::{EngineError, Progress};
use crate::resource::platform::Platform;
use crate::resource::quantity::ByteSize;
use crate::resource::reference::ImageReference;

/// How much of a file is sent at once.
const CHUNK: usize = 256 << 10;

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
    progress(size_of(&file).await);
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let answers = engine.docker.import_image_stream(options, chunks(file), None);
    drain(engine, &what, answers).await
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
    let (options, body) = match from {
        Archive::File(archive) => {
            let file = open(archive).await?;
            progress(size_of(&file).await);
            (options.from_src("-"), Some(bollard::body_try_stream(chunks(file))))
        }
        Archive::Address(address) => (options.from_src(address), None),
    };
    drain(engine, what, engine.docker.create_image(Some(options.build()), body, None)).await
}

/// Pulls an image. A tag is always sent: without one the engine pulls every tag.
pub(super) async fn pull(
    engine: &Session,
    reference: &ImageReference,
    platform: Option<&Platform>,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let what = format!("pull {reference}");
    let mut options = CreateImageOptionsBuilder::new();
    options = match reference.tag() {
        Some(tag) => options.from_image(&reference.repository()).tag(tag),
        None => options.from_image(&reference.to_string()),
    };
    if let Some(platform) = platform {
        options = options.platform(platform.as_str());
    }
    let Credentials { sent, trouble } = credentials::of(reference).await;
    let mut answers = std::pin::pin!(engine.docker.create_image(Some(options.build()), None, sent));
    while let Some(answer) = answers.next().await {
        let info = answer.map_err(|error| match (failed(&engine.endpoint, &what, error), &trouble) {
            (EngineError::Refused { sentence }, Some(trouble)) => {
                EngineError::refused(format!("{sentence} (asked without a login: {trouble})"))
            }
            (error, _) => error,
        })?;
        let total = info.progress_detail.as_ref().and_then(|detail| Some((detail.current?, detail.total?)));
        if let (Some(status), Some((current, total))) = (&info.status, total) {
            let size = |bytes: i64| ByteSize::from_bytes(u64::try_from(bytes).unwrap_or(0) >> 10 << 10);
            progress(format!("{} {} of {}", crate::fields::plain(status), size(current), size(total)));
        }
    }
    Ok(())
}

/// Reads a stream of answers to its end: errors come inside it.
async fn drain<T>(
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
    File::open(path)
        .await
        .map_err(|error| EngineError::refused(format!("{} cannot be read: {error}", path.display())))
}

async fn size_of(file: &File) -> String {
    let size = file.metadata().await.map_or(0, |metadata| metadata.len());
    format!("sending {}", ByteSize::from_bytes(size >> 10 << 10))
}

/// A file in pieces, so that an archive of any size takes little memory.
fn chunks(file: File) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(file, |mut file| async move {
        let mut buffer = vec![0; CHUNK];
        let count = file.read(&mut buffer).await?;
        buffer.truncate(count);
        Ok((count > 0).then(|| (Bytes::from(buffer), file)))
    })
}
