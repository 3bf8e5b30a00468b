//! Images that nothing names any more: of removed manifests, former generations, and those that were pulled for
//! containers. In: what should be and what is. Out: changes that take our marks and tags away. One in use stays, and so
//! does a tag that somebody else set, or another owner (law 8).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Images, all_marks, marks, names};
use crate::desired::{Desired, ImageOrigin, Ingredients, Recipe, SNAPSHOT};
use crate::diff::{Act, Changes, Need, told};
use crate::observed::{Observed, ObservedContainer, ObservedImage};
use crate::resource::label::{is_mark, is_pulled_for_containers};
use crate::resource::name::{Kind, Name, Owner, ResourceId};
use crate::resource::reference::{ImageId, ImageReference};

/// Takes our marks, and the tags that they say were set, from images that nothing describes or names any more. With
/// its last tag the engine removes an image.
pub(in crate::diff) fn diff_leftovers(
    desired: &Desired,
    observed: &Observed,
    images: &Images<'_>,
    owner: &Owner,
    changes: &mut Changes,
) {
    let wanted: HashSet<&ImageId> = images.all_present().map(|there| &there.id).collect();
    let named = named(desired);
    let tagged = tagged(desired);
    let mut sorted: Vec<&ObservedImage> = observed.images.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    for there in sorted {
        let Some(name) = name(there, owner) else { continue };
        let described = Some(&name).filter(|name| !is_pulled_for_containers(name));
        let id = ResourceId::new(Kind::Image, name.clone());
        if wanted.contains(&there.id) || desired.invalid.contains(&id) {
            continue;
        }
        if is_snapshot(there) {
            continue;
        }
        let (tags, stays) = going(there, &tagged, owner);
        // No manifest describes it any more, and one still names it.
        let user = tags.iter().find_map(|tag| named.get(tag));
        let needs = free_after(there, stays, observed, changes);
        // That an image is there for the containers which name or use it is nothing to tell.
        let is_ours = |user: &&ObservedContainer| user.managed.is_some();
        if described.is_none() && (user.is_some() || needs.as_ref().is_err_and(is_ours)) {
            continue;
        }
        // What another image takes the place of is no removal: its container goes on.
        let is_former = desired.images.contains_key(&name)
            || (described.is_none() && is_used_by_described(there, desired, observed));
        if !changes.may_go(desired, &id, is_former) {
            continue;
        }
        if let Some(user) = user {
            changes.withheld.push((id, user.clone()));
            continue;
        }
        let needs = match needs {
            // An engine with the containerd image store keeps one that another is built on, without a name.
            Ok(needs) => needs.into_iter().chain(built_on(&name, desired)).collect(),
            Err(user) => {
                changes
                    .withheld
                    .push((id, format!("container/{} uses it", crate::fields::plain(&user.name))));
                continue;
            }
        };
        let why = match described {
            Some(name) if desired.images.contains_key(name) => {
                "a former generation that nothing uses".to_owned()
            }
            Some(_) => "no longer in the manifests".to_owned(),
            None => pulled_as(tags.iter().filter(|tag| !is_mark(tag))),
        };
        let but = if stays { ", but for tags that others set" } else { "" };
        let frees = there.size.filter(|_| !stays);
        let reasons = vec![told("", None, Some(format!("{why}, {}{but}", there.id)))];
        changes.push(id, Act::Untag { image: there.id.clone(), tags, frees }, reasons, needs);
    }
}

/// The resource as which an image is marked, if it is. Where it is a manifest's too, that is what it is called.
fn name(image: &ObservedImage, owner: &Owner) -> Option<Name> {
    let marked: BTreeSet<Name> = marks(image, owner).collect();
    marked.iter().find(|name| !is_pulled_for_containers(name)).or_else(|| marked.first()).cloned()
}

/// The tags that manifests want.
fn tagged(desired: &Desired) -> HashSet<&ImageReference> {
    desired.images.values().flat_map(|image| &image.tags).collect()
}

/// What is taken away of an image that nothing describes, and whether it stays all the same, as others set tags on it.
fn going(
    there: &ObservedImage,
    tagged: &HashSet<&ImageReference>,
    owner: &Owner,
) -> (Vec<ImageReference>, bool) {
    let (ours, others) = all_marks(there, owner);
    let was_set = |reference: &ImageReference| {
        names(&ours, reference) && !names(&others, reference) && !is_mark(reference)
    };
    // A tag that is wanted moves to the image that it is wanted for.
    let goes = |reference: &&ImageReference| {
        ours.contains(reference) || (was_set(reference) && !tagged.contains(reference))
    };
    let mut tags: Vec<ImageReference> = there.references.iter().filter(goes).cloned().collect();
    // The mark goes last: while it is there, an interrupted removal can be taken up again.
    tags.sort_by_key(is_mark);
    let stays = |tag: &ImageReference| tag.tag().is_some() && !tags.contains(tag) && !tagged.contains(tag);
    let stays = there.references.iter().any(stays);
    (tags, stays)
}

/// The images whose former generations go before one of this name does.
fn built_on<'a>(name: &'a Name, desired: &'a Desired) -> impl Iterator<Item = Need> + 'a {
    let built = desired.images.iter().filter(move |(_, image)| image.bases.contains(name));
    built.map(|(user, _)| Need::there(Kind::Image, user))
}

/// Why an image goes that was pulled for containers.
fn pulled_as<'a>(references: impl Iterator<Item = &'a ImageReference>) -> String {
    let references: Vec<String> = references.map(ToString::to_string).collect();
    match &references[..] {
        [] => "pulled for containers, and nothing uses it any more".to_owned(),
        references => {
            format!("pulled for containers as {}, and nothing names it any more", references.join(", "))
        }
    }
}

/// The references that manifests name without describing what they stand for, and how the plan says so.
fn named(desired: &Desired) -> HashMap<&ImageReference, String> {
    let built = desired.images.iter().flat_map(|(name, image)| {
        let bases: Vec<&ImageReference> = match &image.source {
            ImageOrigin::Made(Recipe {
                ingredients: Ingredients::Build { context: Some(context), .. },
                ..
            }) => context.bases.iter().collect(),
            ImageOrigin::OnBase(image) => image.marked().into_iter().collect(),
            _ => Vec::new(),
        };
        bases.into_iter().map(move |base| (base, format!("image/{name} is built on it")))
    });
    let made = desired.containers.iter().filter(|(_, container)| container.image.is_none());
    let made =
        made.map(|(name, container)| (&container.reference, format!("container/{name} is made from it")));
    built.chain(made).collect()
}

/// Whether a container that a manifest describes is made from an image.
fn is_used_by_described(image: &ObservedImage, desired: &Desired, observed: &Observed) -> bool {
    let described = |container: &ObservedContainer| {
        container.managed.as_ref().is_some_and(|managed| desired.containers.contains_key(&managed.resource))
    };
    observed.containers.iter().any(|one| one.image.as_ref() == Some(&image.id) && described(one))
}

/// Whether an image is a snapshot of a container, which stays: what was in the container is nowhere else (law 5).
fn is_snapshot(image: &ObservedImage) -> bool {
    image.source.as_deref().is_some_and(|source| source.starts_with(SNAPSHOT))
}

/// Whether a container that is not ours is made from an image: it goes when somebody else says so.
fn is_used_by_others(image: &ObservedImage, observed: &Observed) -> bool {
    observed.containers.iter().any(|one| one.image.as_ref() == Some(&image.id) && one.managed.is_none())
}

/// The resources as which images are marked, by the names that a plan tells of them, and whether an image of each would go
/// for good: no manifest describes or names it, or uses what was pulled; and nothing else keeps it, in this pass and in all
/// others. A snapshot that stays without a manifest is none of them.
pub(in crate::diff) fn gone(
    desired: &Desired,
    observed: &Observed,
    images: &Images<'_>,
    owner: &Owner,
) -> BTreeMap<Name, bool> {
    let wanted: HashSet<&ImageId> = images.all_present().map(|there| &there.id).collect();
    let (named, tagged) = (named(desired), tagged(desired));
    let mut all = BTreeMap::new();
    for there in &observed.images {
        let Some(name) = name(there, owner) else { continue };
        let is_wanted = wanted.contains(&there.id);
        if is_snapshot(there) && !is_wanted {
            continue;
        }
        let (tags, stays) = going(there, &tagged, owner);
        let kept = is_wanted
            || tags.iter().any(|tag| named.contains_key(tag))
            || (!stays && is_used_by_others(there, observed))
            || if is_pulled_for_containers(&name) {
                is_used_by_described(there, desired, observed)
            } else {
                desired.images.contains_key(&name)
            };
        *all.entry(name).or_insert(false) |= !kept;
    }
    all
}

/// What has to happen before nothing uses an image any more, or who goes on using it. Of one that stays only ours
/// count.
fn free_after<'a>(
    image: &ObservedImage,
    stays: bool,
    observed: &'a Observed,
    changes: &Changes,
) -> Result<Vec<Need>, &'a ObservedContainer> {
    let mut users: Vec<&ObservedContainer> = observed
        .containers
        .iter()
        .filter(|container| container.image.as_ref() == Some(&image.id))
        .filter(|container| !stays || container.managed.is_some())
        .collect();
    users.sort_by_key(|container| (&container.name, &container.id));
    users.into_iter().map(|container| changes.leaves(container).ok_or(container)).collect()
}
