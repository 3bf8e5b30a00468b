//! Images into archives, as `docker save` writes them. An archive counts once it was read back.

use std::path::Path;

use futures_util::StreamExt;
use tokio::fs::File;

use super::Session;
use super::error::failed;
use super::partial::Partial;
use super::perform::segment;
use super::tags::image_id;
use crate::engine::{EngineError, Progress, Stage};
use crate::resource::reference::ImageId;
use crate::source::saved_image::saved_image;

/// Keeps an image, by its names, in an archive.
pub(super) async fn save(
    engine: &Session,
    what: &str,
    image: &[String],
    archive: &Path,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let at_disk = |error: std::io::Error| EngineError::refused(format!("{what}: {error}"));
    let id = image_id(engine, what, image).await?;
    let names = image.iter().map(|name| segment(name)).collect::<Result<Vec<_>, _>>()?;
    let mut partial = Partial::begin(archive).await.map_err(at_disk)?;
    let mut chunks = std::pin::pin!(engine.docker.export_images(&names));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| failed(&engine.endpoint, what, error))?;
        partial.write(&chunk, progress).await.map_err(at_disk)?;
    }
    progress(Stage::of("reading it back"));
    let written = partial.settle().await.map_err(at_disk)?;
    let written = File::open(written).await.map_err(at_disk)?.into_std().await;
    let holds = tokio::task::spawn_blocking(move || saved_image(&written)).await;
    match holds.unwrap_or_else(|_| Err("reading it was broken off".to_owned())) {
        Ok(image) if image.ids.contains(&id) => partial.finish().await.map_err(at_disk),
        Ok(image) => {
            let held: Vec<&str> = image.ids.iter().map(ImageId::short).collect();
            Err(EngineError::refused(format!("{what}: the engine sent {} instead of {id}", held.join(", "))))
        }
        Err(why) => {
            Err(EngineError::refused(format!("{what}: what the engine sent is no saved image: {why}")))
        }
    }
}
