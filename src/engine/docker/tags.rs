//! Tags of images, and the marks among them. In: images and what they are to be called. Never makes or removes an image,
//! which goes by itself with its last tag.

use std::collections::BTreeSet;

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use tokio::sync::MutexGuard;

use super::error::{failed, is_absent};
use super::perform::segment;
use super::{Session, observe, parse, podman};
use crate::engine::EngineError;
use crate::observed::ObservedImage;
use crate::plan::nothing_new;
use crate::resource::label::Mark;
use crate::resource::reference::{ImageId, ImageReference};

/// Has an image bear tags, and the tags of a mark. `image`: what it may be found by, the first that is there.
pub(super) async fn tag(
    engine: &Session,
    what: &str,
    image: &[String],
    tags: &[ImageReference],
    mark: Option<&Mark>,
) -> Result<(), EngineError> {
    let _tags = one_at_a_time(engine).await;
    let id = image_id(engine, what, image).await?;
    // The mark comes first: an image that bears the tags without it would be somebody's.
    let mark = mark.into_iter().flat_map(|mark| mark.tags(&id));
    for tag in &mark.chain(tags.iter().cloned()).collect::<Vec<_>>() {
        let options =
            TagImageOptionsBuilder::new().repo(&tag.repository()).tag(tag.tag().unwrap_or("latest")).build();
        let tagged = engine.docker.tag_image(id.as_str(), Some(options)).await;
        tagged.map_err(|error| failed(&engine.endpoint, what, error))?;
    }
    Ok(())
}

/// A pull that is to bring what the registry has now under `digest`. It has failed where what was there before is what
/// is there after it; where the registry has yet another by then, that one has come.
pub(super) async fn brings(
    engine: &Session,
    what: &str,
    reference: &ImageReference,
    digest: Option<&ImageId>,
    pulled: impl Future<Output = Result<(), EngineError>>,
) -> Result<(), EngineError> {
    let Some(digest) = digest else { return pulled.await };
    let tag = [reference.to_string()];
    let before = there(engine, what, &tag).await?;
    pulled.await?;
    let after = there(engine, what, &tag).await?;
    // Another digest may stand for the same image: of an index that was put together anew.
    let names = [reference.at_digest(digest).to_string()];
    if after == before && after.as_ref() != Some(digest) && there(engine, what, &names).await? != after {
        return Err(EngineError::refused(nothing_new(reference, digest)));
    }
    Ok(())
}

/// Marks what is pulled, unless somebody has it already.
pub(super) async fn pull_and_mark(
    engine: &Session,
    what: &str,
    reference: &ImageReference,
    mark: &Mark,
    pulled: impl Future<Output = Result<(), EngineError>>,
) -> Result<(), EngineError> {
    let somebodys = untagged(engine).await?;
    pulled.await?;
    let id = image_id(engine, what, &[reference.to_string()]).await?;
    if somebodys.contains(&id) {
        return Ok(());
    }
    tag(engine, what, &[id.as_str().to_owned()], &[], Some(mark)).await
}

/// The images without a tag: somebody keeps them by their digest or id.
async fn untagged(engine: &Session) -> Result<BTreeSet<ImageId>, EngineError> {
    let listed = observe::images(engine).await?;
    let images: Vec<ObservedImage> =
        listed.iter().map(|document| parse::image(document, None)).collect::<Result<_, _>>()?;
    Ok(images.into_iter().filter(|image| !image.has_tag()).map(|image| image.id).collect())
}

/// Takes a tag away from an image. One that points to another by now was moved by somebody, and is theirs.
pub(super) async fn untag_of(
    engine: &Session,
    what: &str,
    image: &ImageId,
    tag: &ImageReference,
) -> Result<(), EngineError> {
    match there(engine, what, &[tag.to_string()]).await? {
        Some(id) if id == *image => untag(engine, what, tag).await,
        _ => Ok(()),
    }
}

/// Takes a tag away; with its last one an image goes.
pub(super) async fn untag(engine: &Session, what: &str, tag: &ImageReference) -> Result<(), EngineError> {
    let _tags = one_at_a_time(engine).await;
    if engine.is_podman && Box::pin(podman::takes_tags_along(engine, what, tag)).await? {
        return Err(EngineError::refused(format!("{what}: Podman would take away all tags of the image")));
    }
    let options = RemoveImageOptionsBuilder::new().force(false).noprune(false).build();
    match engine.docker.remove_image(segment(&tag.to_string())?, Some(options), None).await {
        Err(error) if !is_absent(&error) => Err(failed(&engine.endpoint, what, error)),
        _ => Ok(()),
    }
}

/// Keeps other steps from changing tags at the same time, where the engine does not do that itself.
pub(super) async fn one_at_a_time(engine: &Session) -> Option<MutexGuard<'_, ()>> {
    if engine.is_podman { Some(engine.tags.lock().await) } else { None }
}

/// The id of the first of `images` that is there.
pub(super) async fn image_id(
    engine: &Session,
    what: &str,
    images: &[String],
) -> Result<ImageId, EngineError> {
    let absent = || format!("{what}: the image {} is not on this host", images.join(" or "));
    there(engine, what, images).await?.ok_or_else(|| EngineError::refused(absent()))
}

/// The same; `None` if none of them is there.
async fn there(engine: &Session, what: &str, images: &[String]) -> Result<Option<ImageId>, EngineError> {
    for image in images {
        match engine.docker.inspect_image(segment(image)?).await {
            Ok(answer) => {
                let id = answer.id.unwrap_or_default().parse();
                let what = || format!("the image of: {what}");
                return id.map(Some).map_err(|cause| EngineError::Unreadable { what: what(), cause });
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(failed(&engine.endpoint, what, error)),
        }
    }
    Ok(None)
}
