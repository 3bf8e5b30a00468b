//! A paper on an image that is there: what the engine saves of the image goes back to it as it comes, with one layer
//! more. Nothing of it is kept, on disk or in memory.

use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::StreamExt;

use super::error::{failed, is_absent};
use super::perform::{image_id, segment, tag};
use super::pieces::{self, Inlet};
use super::{Session, transfer};
use crate::assembly::on_base::Order;
use crate::desired::OnBase;
use crate::engine::{EngineError, Progress};
use crate::resource::label::Mark;
use crate::resource::quantity::ByteSize;
use crate::resource::reference::{ImageId, ImageReference};

/// Puts a paper on its base, under a mark, and lets the tags follow that the mark names. `what` says it in an error.
pub(super) async fn load(
    engine: &Session,
    what: &str,
    image: &OnBase,
    mark: &Mark,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let (id, layers) = base(engine, what, &image.base).await?;
    // By then nobody else says which base it is.
    let source = image.source(Some(&id)).unwrap_or_default();
    let order = Order { paper: image.paper.clone(), source, base: layers, mark: mark.clone() };

    let (inlet, saved) = pieces::reader();
    let (body, filling) = pieces::written_by(move |out| order.fill(saved, out));
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let loading = transfer::drain(engine, what, engine.docker.import_image_stream(options, body, None));
    let (fetched, loaded) = tokio::join!(fetch(engine, what, &id, inlet, progress), loading);
    let filled = filling.await.unwrap_or_else(|_| Err(std::io::Error::other("it was broken off")));
    // The first of them that failed broke the others off.
    fetched?;
    let ids = match filled {
        // The engine did not want all of it: its own words say why.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            loaded?;
            return Err(EngineError::refused(format!("{what}: the engine broke it off")));
        }
        Err(error) => return Err(EngineError::refused(format!("{what}: {error}"))),
        Ok(ids) => ids,
    };
    loaded?;
    let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
    let tags: Vec<ImageReference> = mark.set.iter().cloned().collect();
    tag(engine, what, &ids, &tags, None).await?;
    image_id(engine, what, &ids).await.map(|_| ())
}

/// The id and the layers of a base.
async fn base(
    engine: &Session,
    what: &str,
    base: &ImageReference,
) -> Result<(ImageId, Vec<String>), EngineError> {
    let answer = match engine.docker.inspect_image(segment(&base.to_string())?).await {
        Ok(answer) => answer,
        Err(error) if is_absent(&error) => {
            return Err(EngineError::refused(format!("{what}: the image is not on this host")));
        }
        Err(error) => return Err(failed(&engine.endpoint, what, error)),
    };
    let id = answer
        .id
        .unwrap_or_default()
        .parse()
        .map_err(|cause| EngineError::Unreadable { what: format!("the image of: {what}"), cause })?;
    Ok((id, answer.root_fs.and_then(|root| root.layers).unwrap_or_default()))
}

/// Hands on what the engine saves of an image, as far as it is taken.
async fn fetch(
    engine: &Session,
    what: &str,
    id: &ImageId,
    inlet: Inlet,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let mut chunks = std::pin::pin!(engine.docker.export_image(segment(id.as_str())?));
    let mut size = 0_u64;
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => {
                let before = size >> 20;
                size += chunk.len() as u64;
                if size >> 20 != before {
                    progress(ByteSize::from_bytes(size >> 20 << 20).to_string());
                }
                if inlet.send(Ok(chunk)).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => {
                let told = std::io::Error::other("the engine broke it off");
                // Whoever reads it may be gone.
                let _ = inlet.send(Err(told)).await;
                return Err(failed(&engine.endpoint, what, error));
            }
        }
    }
    Ok(())
}
