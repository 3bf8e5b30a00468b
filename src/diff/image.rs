//! Images. What is ours is known by its mark; a tag that points to somebody else's image is not moved.

mod index;
mod leftovers;

pub(super) use self::index::Images;
pub(super) use self::leftovers::{diff_leftovers, gone};
use super::{Act, Changes, Need, Told};
use crate::assembly::on_base;
use crate::desired::{Desired, DesiredImage, ImageOrigin, Ingredients, OnBase, Recipe};
use crate::observed::{AtRegistry, Observed, ObservedImage};
use crate::resource::image::PullPolicy;
use crate::resource::label::{Mark, Purpose, is_mark, is_on, is_set_by, mark_owner, marked_image};
use crate::resource::name::{Kind, Name, Owner, ResourceId};
use crate::resource::reference::{ImageId, ImageReference};

pub(super) fn diff(
    desired: &Desired,
    observed: &Observed,
    images: &Images<'_>,
    owner: &Owner,
    changes: &mut Changes,
) {
    for (name, image) in &desired.images {
        let id = ResourceId::new(Kind::Image, name.clone());
        if let (
            ImageOrigin::Pull { reference, policy: PullPolicy::Always, .. },
            Some(AtRegistry::Silent(why)),
            Some(_),
        ) = (&image.source, at_registry(image, observed), images.present(name))
        {
            let why = crate::fields::plain(why);
            changes.warnings.push(format!("{id}: whether {reference} has moved cannot be asked: {why}"));
        }
        if let (ImageOrigin::Load { archive, platform: Some(its), .. }, Some(here)) =
            (&image.source, &observed.platform)
            && images.settled(name).is_none()
            && !its.is_like(here)
        {
            let archive = archive.display();
            changes.warnings.push(format!(
                "{id}: {archive} holds an image for {its}, and the engine is on {here}: its programs start only if \
                 something there emulates them"
            ));
        }
        if let (Some(source), Some(there)) = (source(image, images), images.present(name))
            && there.source.as_ref() != Some(&source)
        {
            changes
                .warnings
                .push(format!("{id} is left as it is: what cannot be read may describe what it is built on"));
        }
        match images.settled(name) {
            Some(there) => diff_tags(&id, image, there, images, owner, changes),
            None => make(id.clone(), name, image, desired, images, owner, changes),
        }
        let there = images.settled(name);
        keep(&id, image, there, changes);
        push(&id, image, there, observed, changes);
    }
}

/// What an image is to be made from that Invigil makes, as far as that is known.
fn source(image: &DesiredImage, images: &Images<'_>) -> Option<String> {
    match &image.source {
        ImageOrigin::Made(recipe) => Some(recipe.digest.clone()),
        ImageOrigin::OnBase(image) => image.source(images.at(&image.base).map(|base| &base.id)),
        _ => None,
    }
}

/// The resources as which `owner` has marked an image.
pub(super) fn marks<'a>(image: &'a ObservedImage, owner: &'a Owner) -> impl Iterator<Item = Name> + 'a {
    image.references.iter().filter_map(move |reference| marked_image(owner, reference))
}

/// The marks of an image: `owner`'s, and other owners'.
fn all_marks<'a>(
    image: &'a ObservedImage,
    owner: &Owner,
) -> (Vec<&'a ImageReference>, Vec<&'a ImageReference>) {
    let marks = image.references.iter().filter(|reference| is_mark(reference));
    marks.partition(|mark| marked_image(owner, mark).is_some())
}

/// Whether a tag that points to an image may be moved: Invigil set it, or it points to what Invigil made.
fn may_move(tag: &ImageReference, image: &ObservedImage, owner: &Owner) -> bool {
    let (ours, others) = all_marks(image, owner);
    let is_made = image.source.is_some() && !ours.is_empty();
    names(&ours, tag) || (is_made && !names(&others, tag))
}

/// Whether one of some marks says that a tag was set.
fn names(marks: &[&ImageReference], tag: &ImageReference) -> bool {
    marks.iter().any(|mark| is_set_by(mark, tag))
}

/// The first of `tags` that points to an image which is not ours: moving it would take it from somebody.
fn foreign_tag<'a>(
    tags: impl Iterator<Item = &'a ImageReference>,
    images: &Images<'_>,
    owner: &Owner,
) -> Option<&'a ImageReference> {
    let mut tags = tags;
    tags.find(|tag| images.at(tag).is_some_and(|there| !may_move(tag, there, owner)))
}

fn diff_tags(
    id: &ResourceId,
    image: &DesiredImage,
    there: &ObservedImage,
    images: &Images<'_>,
    owner: &Owner,
    changes: &mut Changes,
) {
    let missing: Vec<ImageReference> =
        image.tags.iter().filter(|tag| !there.references.contains(*tag)).cloned().collect();
    if let Some(tag) = foreign_tag(missing.iter(), images, owner) {
        return changes.block(id.clone(), taken(tag, images, owner));
    }
    let mut reasons: Vec<Told> = missing
        .iter()
        .map(|tag| {
            let from = images.at(tag).map(|image| image.id.to_string());
            super::told(&format!("tags.{tag}"), from, Some(there.id.to_string()))
        })
        .collect();
    // What Invigil assembled is its own, also where the mark was lost (another owner's, whose paper is the same, is
    // left to that owner while it has every tag); what was loaded and bears no tag is nobody's: a load was
    // interrupted.
    let (is_nobodys, set) = match &image.source {
        ImageOrigin::Paper(_) => (!there.references.iter().any(is_mark), image.tags.clone()),
        ImageOrigin::Load { .. } => (there.references.is_empty(), missing.iter().cloned().collect()),
        _ => (false, missing.iter().cloned().collect()),
    };
    let (ours, _) = all_marks(there, owner);
    let base = match &image.source {
        ImageOrigin::OnBase(image) => image.marked(),
        _ => None,
    };
    // Its mark bears another name of its base: without this one it could not be told once the base is gone.
    let renamed = base.filter(|base| images.at(base).is_some() && !ours.iter().any(|mark| is_on(mark, base)));
    let set = if renamed.is_some() { image.tags.clone() } else { set };
    let mut tags = missing;
    if let Some(base) = renamed {
        reasons.push(super::told("", None, Some(format!("its base is called {base} now"))));
    }
    if is_nobodys || renamed.is_some() || tags.iter().any(|tag| !names(&ours, tag)) {
        if tags.is_empty() && renamed.is_none() {
            reasons.push(super::told("", None, Some("the mark that makes it ours is missing".to_owned())));
        }
        // Without the mark, which comes first, the tags would be somebody's.
        let purpose = Purpose::Resource(id.name.clone());
        let mark = Mark { owner: owner.clone(), purpose, set, base: base.cloned() };
        tags.splice(0..0, mark.tags(&there.id));
    }
    if tags.is_empty() {
        return changes.unchanged.push(id.clone());
    }
    changes.push(id.clone(), Act::Tag { image: there.id.clone(), tags }, reasons, Vec::new());
}

/// What the registry has under the reference that an image is pulled by.
fn at_registry<'a>(image: &DesiredImage, observed: &'a Observed) -> Option<&'a AtRegistry> {
    match &image.source {
        ImageOrigin::Pull { reference, .. } => observed.at_registries.get(reference),
        _ => None,
    }
}

/// Whether an image is the one that a registry has under a tag: engines keep the digest that they pushed or pulled,
/// and those with the containerd image store go by it.
fn is_there(image: &ObservedImage, tag: &ImageReference, digest: &ImageId) -> bool {
    image.id == *digest || image.references.contains(&tag.at_digest(digest))
}

/// Pushes an image, once it is there, to where the registry has something else.
fn push(
    id: &ResourceId,
    image: &DesiredImage,
    there: Option<&ObservedImage>,
    observed: &Observed,
    changes: &mut Changes,
) {
    let mut tags = Vec::new();
    let mut reasons = Vec::new();
    for tag in &image.push {
        let has = match (observed.at_registries.get(tag), there) {
            (Some(AtRegistry::Has(digest)), Some(there)) if is_there(there, tag, digest) => continue,
            (Some(AtRegistry::Has(digest)), _) => Some(digest.to_string()),
            (Some(AtRegistry::Silent(why)), Some(there)) if was_pushed(there, tag) => {
                let why = crate::fields::plain(why);
                changes
                    .warnings
                    .push(format!("{id}: whether {tag} is still what was pushed cannot be asked: {why}"));
                continue;
            }
            _ => None,
        };
        reasons.push(super::told(&format!("push.{tag}"), has, Some(told_of(there))));
        tags.push(tag.clone());
    }
    if tags.is_empty() {
        return;
    }
    changes.unchanged.retain(|unchanged| unchanged != id);
    changes.push(id.clone(), Act::Push { tags }, reasons, vec![Need::there(Kind::Image, &id.name)]);
}

/// An image for people, also before it is there.
fn told_of(there: Option<&ObservedImage>) -> String {
    there.map_or_else(|| "what is made".to_owned(), |there| there.id.to_string())
}

/// Whether an image bears a digest of a tag's repository, as it does once it was pushed there.
fn was_pushed(image: &ObservedImage, tag: &ImageReference) -> bool {
    let pushed = |one: &&ImageReference| one.tag().is_none() && one.repository() == tag.repository();
    image.references.iter().any(|one| pushed(&one))
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
    let reasons = vec![super::told("archive", from, Some(told_of(there)))];
    let needs = vec![Need::there(Kind::Image, &id.name)];
    changes.unchanged.retain(|unchanged| unchanged != id);
    changes.push(id.clone(), Act::Save { image: names, archive: kept.path.clone() }, reasons, needs);
}

fn taken(tag: &ImageReference, images: &Images<'_>, owner: &Owner) -> String {
    let others = images.at(tag).into_iter().flat_map(|there| {
        let set = |mark: &&ImageReference| there.source.is_some() || is_set_by(mark, tag);
        there.references.iter().filter(set).filter_map(mark_owner)
    });
    match others.into_iter().find(|other| *other != owner.as_str()) {
        Some(other) => format!(
            "the tag {tag} belongs to an image of another Invigil's (owner {other}); choose another tag, or keep both under one \
             owner"
        ),
        None => format!("the tag {tag} {ANOTHERS}; untag that image, or choose another tag"),
    }
}

const ANOTHERS: &str = "belongs to an image that Invigil did not make";

fn make(
    id: ResourceId,
    name: &Name,
    image: &DesiredImage,
    desired: &Desired,
    images: &Images<'_>,
    owner: &Owner,
    changes: &mut Changes,
) {
    if let Some(tag) = foreign_tag(image.tags.iter(), images, owner) {
        return changes.block(id, taken(tag, images, owner));
    }
    let mut reasons = Vec::new();
    let mut tags: Vec<ImageReference> = image.tags.iter().cloned().collect();
    let purpose = || Purpose::Resource(name.clone());
    let mark = || Mark { owner: owner.clone(), purpose: purpose(), set: image.tags.clone(), base: None };
    let act = match &image.source {
        ImageOrigin::Paper(paper) => {
            let from = image.tags.iter().find_map(|tag| images.at(tag)).map(|there| there.id.to_string());
            if from.is_some() {
                reasons.push(super::told("image", from, Some(paper.id().to_string())));
            }
            tags.extend(mark().tags(paper.id()));
            Act::LoadPaper { image: Box::new(paper.clone()), tags }
        }
        ImageOrigin::OnBase(on_base) => {
            let there = images.at(&on_base.base);
            let pull = there.is_none() && image.bases.is_empty();
            if pull && desired.opaque {
                let why = "is not on this host, and what could not be read may describe it";
                return changes.block(id, format!("{} {why}", on_base.base));
            }
            let there = there.filter(|_| image.bases.iter().all(|base| images.settled(base).is_some()));
            let base = there.map(|there| there.id.clone());
            reasons = base_reasons(on_base, base.as_ref(), images.generation(name, image));
            let mark = Mark { base: on_base.marked().cloned(), ..mark() };
            Act::LoadOnBase { image: on_base.clone(), base, mark, pull }
        }
        ImageOrigin::Load { archive, ids, brings, .. } => {
            if let Some(tag) = foreign_tag(brings.iter(), images, owner) {
                let why = format!(
                    "the archive brings the tag {tag}, which {ANOTHERS}; untag that image, or save the archive without \
                     the tag"
                );
                return changes.block(id, why);
            }
            Act::LoadArchive { archive: archive.clone(), ids: ids.clone(), brings: brings.clone(), tags }
        }
        ImageOrigin::Pull { reference, policy: PullPolicy::Never, .. } => {
            return changes.block(id, format!("{reference} is not on this host, and its policy is Never"));
        }
        ImageOrigin::Pull { reference, platform, .. } => {
            if let (Some(there), Some(digest)) = (images.present(name), images.moved_to(name)) {
                reasons.push(super::told("digest", Some(there.id.to_string()), Some(digest.to_string())));
            }
            tags.retain(|tag| tag != reference);
            let digest = images.moved_to(name).cloned();
            Act::Pull { reference: reference.clone(), platform: platform.clone(), digest, tags }
        }
        ImageOrigin::Made(recipe) => {
            let before = images.generations(name).next();
            if let Some(source) = before.and_then(|there| there.source.as_deref()) {
                reasons.push(super::told("source", Some(short(source)), Some(short(&recipe.digest))));
            }
            // It comes in under a mark: were it interrupted then, the tags would belong to somebody's image.
            tags.splice(0..0, mark().tags(&ImageId::of(recipe.digest.as_bytes())));
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

/// Why a paper is put on a base: what of the two is another than before.
fn base_reasons(image: &OnBase, base: Option<&ImageId>, before: Option<&ObservedImage>) -> Vec<Told> {
    let Some(source) = before.and_then(|before| before.source.as_deref()) else { return Vec::new() };
    let to = image.base_digits(base).map_or_else(|| image.base.to_string(), short);
    let Some((paper, base)) = on_base::made_from(source) else {
        return vec![super::told("runtime.base", None, Some(image.base.to_string()))];
    };
    [("paper", short(paper), short(image.paper.digits())), ("base", short(base), to)]
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .map(|(field, from, to)| super::told(field, Some(from), Some(to)))
        .collect()
}

/// A digest as people are shown it.
fn short(digest: &str) -> String {
    digest.chars().take(SHORT).collect()
}

/// How much of a digest people are shown, as Docker does.
const SHORT: usize = 12;

/// Takes snapshots before anything happens to their containers; of one that is yet to be made, once it is.
pub(super) fn snapshots_first(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    let mut taken = Vec::new();
    for change in &mut changes.changes {
        let Act::Make { recipe, .. } = &change.act else { continue };
        let Ingredients::Commit(commit) = &recipe.ingredients else { continue };
        let container = commit.container.clone();
        if observed.containers.iter().any(|there| there.name == container.as_str()) {
            taken.push((change.id.clone(), container));
        } else if desired.containers.contains_key(&container) {
            change.needs.push(Need::there(Kind::Container, &container));
        } else {
            change.block(format!("there is no container {container} to take it from"));
        }
    }
    for (image, container) in taken {
        changes.let_follow(&ResourceId::new(Kind::Container, container), image);
    }
}
