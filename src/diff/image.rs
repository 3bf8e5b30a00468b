//! Images. What is ours is known by its mark; a tag that points to somebody else's image is not moved.

use std::collections::BTreeSet;

use super::{Act, Changes, Need, Told};
use crate::desired::{Desired, DesiredImage, ImageOrigin, Ingredients, Recipe, SNAPSHOT};
use crate::observed::{Observed, ObservedImage};
use crate::resource::label::{image_mark, is_mark, marked_image};
use crate::resource::name::{Kind, Name, Owner, ResourceId};
use crate::resource::reference::{ImageId, ImageReference};

pub(super) fn diff(desired: &Desired, observed: &Observed, owner: &Owner, changes: &mut Changes) {
    for (name, image) in &desired.images {
        let id = ResourceId::new(Kind::Image, name.clone());
        match present(image, name, observed, owner) {
            Some(there) => diff_tags(&id, image, there, observed, owner, changes),
            None => make(id.clone(), name, image, desired, observed, owner, changes),
        }
        keep(&id, image, present(image, name, observed, owner), changes);
    }
}

/// The image on the engine that is the desired one.
///
/// A problem set's is first of all the one that would be assembled now; but one of ours with the same
/// paper and another exam server will do, so that an upgrade of Invigil disturbs no exam (law 9).
pub(super) fn present<'a>(
    image: &DesiredImage,
    name: &Name,
    observed: &'a Observed,
    owner: &Owner,
) -> Option<&'a ObservedImage> {
    let made_from = |digest: &str| {
        let made = |there: &&ObservedImage| there.source.as_deref() == Some(digest);
        observed.images.iter().filter(made).find(|there| marks(there, owner).any(|marked| marked == *name))
    };
    match &image.source {
        ImageOrigin::Paper(paper) => {
            paper.ids().iter().find_map(|id| observed.image(id)).or_else(|| made_from(paper.source()))
        }
        ImageOrigin::Load { ids, .. } => ids.iter().find_map(|id| observed.image(id)),
        ImageOrigin::Pull { reference, .. } => observed.image_at(reference),
        ImageOrigin::Made(recipe) => made_from(&recipe.digest),
    }
}

/// The resources as which `owner` has marked an image.
pub(super) fn marks<'a>(image: &'a ObservedImage, owner: &'a Owner) -> impl Iterator<Item = Name> + 'a {
    image.references.iter().filter_map(move |reference| marked_image(owner, reference))
}

/// The first of `tags` that points to an image which is not ours: moving it would take it from somebody.
fn foreign_tag<'a>(
    tags: impl Iterator<Item = &'a ImageReference>,
    observed: &Observed,
    owner: &Owner,
) -> Option<&'a ImageReference> {
    let mut tags = tags;
    tags.find(|tag| observed.image_at(tag).is_some_and(|there| marks(there, owner).next().is_none()))
}

fn diff_tags(
    id: &ResourceId,
    image: &DesiredImage,
    there: &ObservedImage,
    observed: &Observed,
    owner: &Owner,
    changes: &mut Changes,
) {
    let missing: Vec<ImageReference> =
        image.tags.iter().filter(|tag| !there.references.contains(*tag)).cloned().collect();
    if let Some(tag) = foreign_tag(missing.iter(), observed, owner) {
        return changes.block(id.clone(), taken(tag));
    }
    let mut reasons: Vec<Told> = missing
        .iter()
        .map(|tag| {
            let from = observed.image_at(tag).map(|image| image.id.to_string());
            super::told(&format!("tags.{tag}"), from, Some(there.id.to_string()))
        })
        .collect();
    // What Invigil assembled is its own, also where the mark was lost; what was loaded and bears no tag is
    // nobody's: a load was interrupted. The mark comes first, as without it the rest would be somebody's.
    let is_ours = match &image.source {
        // Another owner's, whose paper is the same, is left to that owner while it has every tag.
        ImageOrigin::Paper(_) => !missing.is_empty() || !there.references.iter().any(is_mark),
        ImageOrigin::Load { .. } => there.references.is_empty(),
        _ => false,
    };
    let mut tags = missing;
    if is_ours && marks(there, owner).next().is_none() {
        if tags.is_empty() {
            reasons.push(super::told("", None, Some("the mark that makes it ours is missing".to_owned())));
        }
        tags.insert(0, image_mark(owner, &id.name, &there.id));
    }
    if tags.is_empty() {
        return changes.unchanged.push(id.clone());
    }
    changes.push(id.clone(), Act::Tag { image: there.id.clone(), tags }, reasons, Vec::new());
}

/// Keeps an image in the file that it is to be kept in, once it is there.
fn keep(id: &ResourceId, image: &DesiredImage, there: Option<&ObservedImage>, changes: &mut Changes) {
    let Some(kept) = &image.archive else { return };
    if there.is_some_and(|there| kept.holds.contains(&there.id)) {
        return;
    }
    let pulled = match &image.source {
        ImageOrigin::Pull { reference, .. } => Some(reference),
        _ => None,
    };
    let mut names: Vec<String> = image.tags.iter().chain(pulled).map(ToString::to_string).collect();
    if names.is_empty() {
        names.extend(there.map(|there| there.id.as_str().to_owned()));
    }
    if names.is_empty()
        && let ImageOrigin::Load { ids, .. } = &image.source
    {
        names.extend(ids.iter().map(|id| id.as_str().to_owned()));
    }
    let from = kept.holds.first().map(ToString::to_string);
    let reasons = vec![super::told("archive", from, there.map(|there| there.id.to_string()))];
    let needs = vec![Need::there(Kind::Image, &id.name)];
    changes.unchanged.retain(|unchanged| unchanged != id);
    changes.push(id.clone(), Act::Save { image: names, archive: kept.path.clone() }, reasons, needs);
}

fn taken(tag: &ImageReference) -> String {
    format!(
        "the tag {tag} belongs to an image that Invigil did not make; untag that image, or choose another tag"
    )
}

fn make(
    id: ResourceId,
    name: &Name,
    image: &DesiredImage,
    desired: &Desired,
    observed: &Observed,
    owner: &Owner,
    changes: &mut Changes,
) {
    if let Some(tag) = foreign_tag(image.tags.iter(), observed, owner) {
        return changes.block(id, taken(tag));
    }
    let mut reasons = Vec::new();
    let mut tags: Vec<ImageReference> = image.tags.iter().cloned().collect();
    let act = match &image.source {
        ImageOrigin::Paper(paper) => {
            let from =
                image.tags.iter().find_map(|tag| observed.image_at(tag)).map(|there| there.id.to_string());
            if from.is_some() {
                reasons.push(super::told("image", from, Some(paper.id().to_string())));
            }
            tags.push(image_mark(owner, name, paper.id()));
            Act::LoadPaper { image: Box::new(paper.clone()), tags }
        }
        ImageOrigin::Load { archive, ids } => {
            Act::LoadArchive { archive: archive.clone(), ids: ids.clone(), tags }
        }
        ImageOrigin::Pull { reference, if_absent: false, .. } => {
            return changes.block(id, format!("{reference} is not on this host, and its policy is Never"));
        }
        ImageOrigin::Pull { reference, platform, .. } => {
            tags.retain(|tag| tag != reference);
            Act::Pull { reference: reference.clone(), platform: platform.clone(), tags }
        }
        ImageOrigin::Made(recipe) => {
            let before = observed
                .images
                .iter()
                .find(|there| there.source.is_some() && marks(there, owner).any(|marked| marked == *name));
            if let Ingredients::Commit(commit) = &recipe.ingredients
                && observed.containers.iter().all(|container| container.name != commit.container.as_str())
            {
                return changes
                    .block(id, format!("there is no container {} to take it from", commit.container));
            }
            if let Some(source) = before.and_then(|there| there.source.as_deref()) {
                reasons.push(super::told("source", Some(short(source)), Some(short(&recipe.digest))));
            }
            // It comes in under a mark: were it interrupted then, the tags would belong to somebody's image.
            tags.insert(0, image_mark(owner, name, &ImageId::of(recipe.digest.as_bytes())));
            Act::Make { recipe: Box::new(recipe.clone()), tags }
        }
    };
    let network = match &image.source {
        ImageOrigin::Made(Recipe { ingredients: Ingredients::Build { build, .. }, .. }) => {
            build.network.as_deref()
        }
        _ => None,
    };
    let network =
        network.and_then(|network| network.parse().ok()).filter(|name| desired.networks.contains_key(name));
    let mut needs: Vec<Need> = image.bases.iter().map(|base| Need::there(Kind::Image, base)).collect();
    needs.extend(network.map(|name| Need::there(Kind::Network, &name)));
    changes.push(id, act, reasons, needs);
}

/// A digest as people are shown it.
fn short(digest: &str) -> String {
    digest.chars().take(SHORT).collect()
}

/// How much of a digest people are shown, as Docker does.
const SHORT: usize = 12;

/// Takes our marks, and the tags beside them, from images that nothing describes any more: of removed
/// manifests, and former generations of those that are there. An image in use stays.
pub(super) fn diff_leftovers(desired: &Desired, observed: &Observed, owner: &Owner, changes: &mut Changes) {
    let mut images: Vec<&ObservedImage> = observed.images.iter().collect();
    images.sort_by(|a, b| a.id.cmp(&b.id));
    for there in images {
        let marked: BTreeSet<Name> = marks(there, owner).collect();
        let Some(name) = marked.first() else { continue };
        let wanted = desired.images.iter().any(|(name, image)| {
            present(image, name, observed, owner).is_some_and(|wanted| wanted.id == there.id)
        });
        let id = ResourceId::new(Kind::Image, name.clone());
        if wanted || desired.invalid.contains(&id) {
            continue;
        }
        // What was in the container is nowhere else (law 5).
        if there.source.as_deref().is_some_and(|source| source.starts_with(SNAPSHOT)) {
            continue;
        }
        if !changes.may_remove(desired, &id) {
            continue;
        }
        let needs = match free_after(there, observed, changes) {
            Ok(needs) => needs,
            Err(user) => {
                changes.withheld.push((id, user));
                continue;
            }
        };
        let generation = desired.images.contains_key(name);
        let kept = |tag: &&ImageReference| {
            tag.tag().is_some()
                && !(generation && desired.images.values().any(|image| image.tags.contains(*tag)))
        };
        let mut tags: Vec<ImageReference> = there.references.iter().filter(kept).cloned().collect();
        // The mark goes last: while it is there, an interrupted removal can be taken up again.
        tags.sort_by_key(is_mark);
        let why =
            if generation { "a former generation that nothing uses" } else { "no longer in the manifests" };
        let reasons = vec![super::told("", None, Some(format!("{why}, {}", there.id)))];
        changes.push(id, Act::Untag { tags }, reasons, needs);
    }
}

/// What has to happen before nothing uses an image any more, or who goes on using it.
fn free_after(image: &ObservedImage, observed: &Observed, changes: &Changes) -> Result<Vec<Need>, String> {
    observed
        .containers
        .iter()
        .filter(|container| container.image.as_ref() == Some(&image.id))
        .map(|container| {
            changes
                .leaves(container)
                .ok_or_else(|| format!("container/{} uses it", crate::fields::plain(&container.name)))
        })
        .collect()
}

/// Lets what happens to a container come after the snapshots that are taken of it.
pub(super) fn let_containers_follow(changes: &mut Changes) {
    let snapshots: Vec<(ResourceId, Name)> = changes
        .changes
        .iter()
        .filter_map(|change| match &change.act {
            Act::Make { recipe, .. } => match &recipe.ingredients {
                Ingredients::Commit(commit) => Some((change.id.clone(), commit.container.clone())),
                _ => None,
            },
            _ => None,
        })
        .collect();
    for (image, container) in snapshots {
        changes.let_follow(&ResourceId::new(Kind::Container, container), image);
    }
}
