//! The image that a container runs, and the one that it should. In: both sides. Out: a difference, and what is known of
//! the image's health check.

use super::super::image::Images;
use super::super::{Told, told};
use crate::assembly::on_base;
use crate::desired::{Desired, DesiredContainer, ImageOrigin};
use crate::observed::{Managed, ObservedContainer};
use crate::resource::container::ImageUpdates;
use crate::resource::health::HealthTest;
use crate::resource::image::PullPolicy;
use crate::resource::label::is_on;
use crate::resource::reference::ImageId;

/// Compares images by id: a tag says what was asked for, not what runs.
pub(super) fn image_difference(
    wanted: &DesiredContainer,
    container: &ObservedContainer,
    managed: &Managed,
    desired: &Desired,
    images: &Images<'_>,
) -> Option<Told> {
    let live = container.image.as_ref()?;
    let was = managed.created.as_ref().and_then(|created| created.image.as_ref());
    let is_named_so = was == Some(&wanted.reference);
    if is_named_so && keeps_image(wanted, desired) || keeps_base(wanted, live, desired, images) {
        return None;
    }
    let ids = wanted_ids(wanted, desired, images);
    let same = match &ids[..] {
        // Not on the engine yet: what the container was made from is all that can be compared.
        [] => was == Some(&wanted.reference),
        ids => ids.contains(live),
    };
    if same {
        return None;
    }
    let described = wanted.image.as_ref().filter(|name| images.present(name).is_none());
    let to_pull = described.and_then(|name| match &desired.images.get(name)?.source {
        ImageOrigin::Pull { reference, .. } => Some(reference),
        _ => None,
    });
    let (from, to) = match (was, to_pull, ids.first()) {
        (Some(was), ..) if *was != wanted.reference => (was.to_string(), wanted.reference.to_string()),
        (_, Some(reference), _) => (live.to_string(), reference.to_string()),
        (_, None, Some(id)) => (live.to_string(), id.to_string()),
        (_, None, None) => (live.to_string(), wanted.reference.to_string()),
    };
    Some(told("image", Some(from), Some(to)))
}

/// Whether a container goes on with its image when the tag moves: where it is a registry, or somebody's hand, that
/// moves it, and not a manifest.
fn keeps_image(wanted: &DesiredContainer, desired: &Desired) -> bool {
    let source = wanted.image.as_ref().and_then(|name| desired.images.get(name)).map(|image| &image.source);
    let moves_by_itself = match source {
        None => true,
        // Its other tags move with the manifest that says what is pulled.
        Some(ImageOrigin::Pull { reference, policy, .. }) => {
            *reference == wanted.reference || *policy == PullPolicy::Always
        }
        Some(_) => false,
    };
    moves_by_itself && wanted.spec.image_updates != Some(ImageUpdates::Follow)
}

/// Whether a container goes on with its problem set's image when another one is made of the same paper, because of the
/// image that it is on: the same holds of that one's tag.
fn keeps_base(wanted: &DesiredContainer, live: &ImageId, desired: &Desired, images: &Images<'_>) -> bool {
    let image = wanted.image.as_ref().and_then(|name| desired.images.get(name));
    let Some(ImageOrigin::OnBase(image)) = image.map(|image| &image.source) else { return false };
    let (Some(base), Some(there)) = (image.marked(), images.with(live)) else { return false };
    let paper = there.source.as_deref().and_then(on_base::made_from).map(|(paper, _)| paper);
    paper == Some(image.paper.digits())
        && there.references.iter().any(|mark| is_on(mark, base))
        && wanted.spec.image_updates != Some(ImageUpdates::Follow)
}

/// The ids that the wanted image may have, as far as they are known.
fn wanted_ids(wanted: &DesiredContainer, desired: &Desired, images: &Images<'_>) -> Vec<ImageId> {
    let described = wanted.image.as_ref().and_then(|name| Some((name, desired.images.get(name)?)));
    let Some((name, image)) = described else {
        return images.at(&wanted.reference).map(|image| image.id.clone()).into_iter().collect();
    };
    if let Some(digest) = images.moved_to(name) {
        return vec![digest.clone()];
    }
    if let Some(there) = images.settled(name).or_else(|| images.doubtful(name)) {
        return vec![there.id.clone()];
    }
    match &image.source {
        ImageOrigin::OnBase(image) => vec![ImageId::of(image.identity().as_bytes())],
        ImageOrigin::Paper(paper) => paper.ids().to_vec(),
        ImageOrigin::Load { ids, .. } => ids.clone(),
        // What is yet to be made gives an id that no container can have.
        ImageOrigin::Made(recipe) => vec![ImageId::of(recipe.digest.as_bytes())],
        ImageOrigin::Pull { reference, .. } if *reference == wanted.reference => Vec::new(),
        // Nor has one that is yet to be pulled the id of what bears its other tags now; if it is not that one, which
        // lost its own tag.
        ImageOrigin::Pull { reference, .. } => {
            let there = images.pulled(name, reference).map(|there| there.id.clone());
            vec![there.unwrap_or_else(|| ImageId::of(reference.to_string().as_bytes()))]
        }
    }
}

/// Whether a container will have a health check; `None` where only its image knows and is not there yet.
pub(super) fn is_checked(wanted: &DesiredContainer, desired: &Desired, images: &Images<'_>) -> Option<bool> {
    if let Some(test) = wanted.spec.healthcheck.as_ref().and_then(|check| check.test.as_ref()) {
        return Some(HealthTest::is_check(test.words().first().map(String::as_str)));
    }
    let there = match &wanted.image {
        None => images.at(&wanted.reference)?,
        Some(name) => {
            if matches!(desired.images.get(name)?.source, ImageOrigin::Paper(_)) {
                return Some(true);
            }
            // The tag may still point to a former generation.
            images.present(name)?
        }
    };
    let test = there.config.as_ref()?.get("healthcheck").and_then(|check| check.get("test"));
    Some(HealthTest::is_check(test.and_then(|test| test.get(0)?.as_str())))
}
