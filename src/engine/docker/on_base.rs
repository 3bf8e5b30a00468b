//! A paper on an image that is there: what the engine saves of the image goes back to it as it comes, with one layer
//! more. Nothing of it is kept, on disk or in memory, but for the documents that say what the image is: with them, the
//! next paper on the same base is sent alone.

use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::StreamExt;

use super::error::{failed, is_absent};
use super::perform::segment;
use super::pieces::{self, Inlet};
use super::tags::{image_id, tag};
use super::{Session, transfer};
use crate::assembly::on_base::{Documents, Order};
use crate::desired::OnBase;
use crate::engine::{EngineError, Progress, Stage};
use crate::resource::label::Mark;
use crate::resource::quantity::ByteSize;
use crate::resource::reference::{ImageId, ImageReference};

/// What is known of a base that a paper was put on.
#[derive(Debug)]
pub(super) struct KnownBase {
    id: ImageId,
    documents: Documents,
}

/// Puts a paper on its base, under a mark, and lets the tags follow that the mark names. `what` says it in an error.
///
/// One at a time: meanwhile an engine may keep two copies of the base on its disk.
pub(super) async fn load(
    engine: &Session,
    what: &str,
    image: &OnBase,
    mark: &Mark,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let mut known = engine.last_base.lock().await;
    let (id, layers) = base(engine, what, &image.base).await?;
    // By then nobody else says which base it is.
    let source = image.source(Some(&id)).unwrap_or_default();
    let order = Order { paper: image.paper.clone(), source, base: layers, mark: mark.clone() };

    let mut made = None;
    if let Some(base) = known.as_ref().filter(|base| base.id == id) {
        made = load_alone(engine, what, &order, base).await?;
    }
    let ids = if let Some(ids) = made {
        ids
    } else {
        let (ids, documents) = load_with_base(engine, what, order, &id, progress).await?;
        *known = Some(KnownBase { id, documents });
        ids
    };
    let tags: Vec<ImageReference> = mark.set.iter().cloned().collect();
    tag(engine, what, &ids, &tags, None).await
}

/// Sends the paper's layer alone; `None` if the engine does not take it so. Returns the ids that the image may have.
async fn load_alone(
    engine: &Session,
    what: &str,
    order: &Order,
    base: &KnownBase,
) -> Result<Option<Vec<String>>, EngineError> {
    let mut archive = Vec::new();
    let Ok(ids) = order.fill_without_base(&base.documents, &mut archive) else { return Ok(None) };
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let answers = engine.docker.import_image(options, bollard::body_full(archive.into()), None);
    match transfer::drain(engine, what, answers).await {
        Err(error) if error.is_unreachable() => return Err(error),
        Err(_) => return Ok(None),
        Ok(()) => {}
    }
    let ids = texts(&ids);
    // Were the base gone by now, what was loaded may lack what only that one had.
    image_id(engine, what, &[base.id.as_str().to_owned()]).await?;
    Ok(image_id(engine, what, &ids).await.is_ok().then_some(ids))
}

/// Sends the base back with the paper's layer. Returns the ids that the image may have, and what the base is.
async fn load_with_base(
    engine: &Session,
    what: &str,
    order: Order,
    base: &ImageId,
    progress: &Progress<'_>,
) -> Result<(Vec<String>, Documents), EngineError> {
    let (inlet, saved) = pieces::reader();
    let (body, filling) = pieces::written_by(move |out| order.fill(saved, out));
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let loading = transfer::drain(engine, what, engine.docker.import_image_stream(options, body, None));
    let (fetched, loaded) = tokio::join!(fetch(engine, what, base, inlet, progress), loading);
    let filled = filling.await.unwrap_or_else(|_| Err(std::io::Error::other("it was broken off")));
    // The first of them that failed broke the others off.
    fetched?;
    let (ids, documents) = match filled {
        // The engine did not want all of it: its own words say why.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            loaded?;
            return Err(EngineError::refused(format!("{what}: the engine broke it off")));
        }
        Err(error) => return Err(EngineError::refused(format!("{what}: {error}"))),
        Ok(filled) => filled,
    };
    loaded?;
    Ok((texts(&ids), documents))
}

fn texts(ids: &[ImageId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
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
                    progress(Stage::counted("passed on", ByteSize::from_bytes(size >> 20 << 20).to_string()));
                }
                if inlet.send(Ok(chunk)).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => {
                // Whoever reads it may be gone.
                let _ = inlet.send(Err(std::io::Error::other("the engine broke it off"))).await;
                return Err(failed(&engine.endpoint, what, error));
            }
        }
    }
    Ok(())
}
