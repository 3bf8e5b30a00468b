//! The images that are there, found without looking at all of them. In: what is wanted, what was observed.
//! Out: [`Images`], looked up once for a whole comparison.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::marks;
use crate::assembly::on_base;
use crate::desired::{Decided, Desired, DesiredImage, ImageOrigin, OnBase};
use crate::observed::{AtRegistry, Observed, ObservedContainer, ObservedImage};
use crate::resource::image::PullPolicy;
use crate::resource::label::{is_on, is_set_by};
use crate::resource::name::{Name, Owner};
use crate::resource::reference::{ImageId, ImageReference};

/// The images on an engine by id, by reference and by the resource that they are marked as, and which of them
/// are the desired ones.
pub(in crate::diff) struct Images<'a> {
    by_id: HashMap<&'a ImageId, &'a ObservedImage>,
    by_reference: HashMap<&'a ImageReference, &'a ObservedImage>,
    marked: HashMap<Name, Vec<&'a ObservedImage>>,
    present: BTreeMap<&'a Name, &'a ObservedImage>,
    /// Those whose tag points to another image in its registry, and the digest of that.
    moved: HashMap<&'a Name, &'a ImageId>,
    /// Those that containers are made from.
    used: HashSet<&'a ImageId>,
    /// Those that a registry's new image will make anew, as they are made on it.
    outdated: HashSet<&'a Name>,
    /// Those that may be made anew, as what they are made on is gone and is pulled again.
    doubtful: HashSet<&'a Name>,
}

impl<'a> Images<'a> {
    pub(in crate::diff) fn of(desired: &'a Desired, observed: &'a Observed, owner: &Owner) -> Self {
        let mut sorted: Vec<&ObservedImage> = observed.images.iter().collect();
        sorted.sort_by(|a, b| a.id.cmp(&b.id));
        let mut images = Self {
            by_id: HashMap::new(),
            by_reference: HashMap::new(),
            marked: HashMap::new(),
            present: BTreeMap::new(),
            moved: HashMap::new(),
            outdated: HashSet::new(),
            doubtful: HashSet::new(),
            used: observed.containers.iter().filter_map(|container| container.image.as_ref()).collect(),
        };
        for there in sorted {
            images.by_id.insert(&there.id, there);
            for reference in &there.references {
                images.by_reference.entry(reference).or_insert(there);
            }
            for name in marks(there, owner) {
                images.marked.entry(name).or_default().push(there);
            }
        }
        let present =
            desired.images.iter().filter_map(|(name, image)| Some((name, images.find(name, image)?)));
        images.present = present.collect();
        let moved = desired.images.iter().filter_map(|(name, image)| {
            let ImageOrigin::Pull { reference, policy: PullPolicy::Always, .. } = &image.source else {
                return None;
            };
            let AtRegistry::Has(digest) = observed.at_registries.get(reference)? else { return None };
            (!super::is_there(images.present(name)?, reference, digest)).then_some((name, digest))
        });
        images.moved = moved.collect();
        let on_pulled = |image: &DesiredImage| matches!(&image.source, ImageOrigin::OnBase(image) if image.decided == Decided::ByEngine);
        let on_one_that = |is_so: &dyn Fn(&Name) -> bool| -> HashSet<&'a Name> {
            let all = desired.images.iter().filter(|(_, image)| on_pulled(image));
            all.filter(|(_, image)| image.bases.iter().any(is_so)).map(|(name, _)| name).collect()
        };
        let outdated = on_one_that(&|base| images.moved.contains_key(base));
        let doubtful = on_one_that(&|base| images.is_pulled_again(base, desired));
        (images.outdated, images.doubtful) = (outdated, doubtful);
        images
    }

    /// Whether an image is absent and pulled.
    fn is_pulled_again(&self, name: &Name, desired: &Desired) -> bool {
        let source = desired.images.get(name).map(|image| &image.source);
        let is_pulled =
            matches!(source, Some(ImageOrigin::Pull { policy, .. }) if *policy != PullPolicy::Never);
        is_pulled && self.present(name).is_none()
    }

    /// The image that a reference points to.
    pub(in crate::diff) fn at(&self, reference: &ImageReference) -> Option<&'a ObservedImage> {
        self.by_reference.get(reference).copied()
    }

    /// The image with an id.
    pub(in crate::diff) fn with(&self, id: &ImageId) -> Option<&'a ObservedImage> {
        self.by_id.get(id).copied()
    }

    /// The image that a container was made from, as long as it is there.
    pub(in crate::diff) fn of_container(&self, container: &ObservedContainer) -> Option<&'a ObservedImage> {
        self.with(container.image.as_ref()?)
    }

    /// The image that is the desired one of this name.
    pub(in crate::diff) fn present(&self, name: &Name) -> Option<&'a ObservedImage> {
        self.present.get(name).copied()
    }

    /// What its tag points to in its registry, where that is not the image any more that is there.
    pub(in crate::diff) fn moved_to(&self, name: &Name) -> Option<&'a ImageId> {
        self.moved.get(name).copied()
    }

    /// The image that is there and need not be pulled or made again.
    pub(in crate::diff) fn settled(&self, name: &Name) -> Option<&'a ObservedImage> {
        let is_open = self.outdated.contains(name) || self.doubtful.contains(name);
        self.present(name).filter(|_| self.moved_to(name).is_none() && !is_open)
    }

    /// The image that is there and may be made again, or come out as it is: containers of it are not replaced before
    /// that is known.
    pub(in crate::diff) fn doubtful(&self, name: &Name) -> Option<&'a ObservedImage> {
        self.present(name).filter(|_| self.doubtful.contains(name))
    }

    /// The images that are desired ones.
    pub(super) fn all_present(&self) -> impl Iterator<Item = &'a ObservedImage> {
        self.present.values().copied()
    }

    /// The generations of an image that are there and made from something that Invigil knows.
    pub(super) fn generations(&self, name: &Name) -> impl Iterator<Item = &'a ObservedImage> {
        let marked = self.marked.get(name).into_iter().flatten();
        marked.copied().filter(|there| there.source.is_some())
    }

    /// The generation that is there of an image: the one with its tags, if there are several.
    pub(super) fn generation(&self, name: &Name, image: &DesiredImage) -> Option<&'a ObservedImage> {
        self.generations(name)
            .max_by_key(|there| (image.tags.is_subset(&there.references), Reverse(&there.id)))
    }

    /// The image of this name that was pulled by a reference which it does not bear any more.
    pub(in crate::diff) fn pulled(
        &self,
        name: &Name,
        reference: &ImageReference,
    ) -> Option<&'a ObservedImage> {
        let was_set =
            |there: &&&ObservedImage| there.references.iter().any(|mark| is_set_by(mark, reference));
        self.marked.get(name)?.iter().find(was_set).copied()
    }

    /// A problem set's is first of all the one that would be assembled now; but one of ours with the same
    /// paper and another exam server will do, so that an upgrade of Invigil disturbs no exam (law 9).
    fn find(&self, name: &Name, image: &DesiredImage) -> Option<&'a ObservedImage> {
        let with_one_of = |ids: &[ImageId]| ids.iter().find_map(|id| self.with(id));
        let made_from = |digest: &str| {
            let same = self.generations(name).filter(|there| there.source.as_deref() == Some(digest));
            // It may have been made twice: once by a pass that was killed, whose engine went on with it.
            same.max_by_key(|there| {
                let has_tags = image.tags.is_subset(&there.references);
                (self.used.contains(&there.id), has_tags, Reverse(&there.id))
            })
        };
        let uncertain = || {
            let has_tags = |there: &&ObservedImage| image.tags.is_subset(&there.references);
            self.generations(name).find(|there| image.uncertain && has_tags(there))
        };
        match &image.source {
            ImageOrigin::OnBase(on_base) => match on_base.source(self.at(&on_base.base).map(|base| &base.id))
            {
                Some(source) => made_from(&source),
                None => self.on_what_is_gone(name, image, on_base),
            }
            .or_else(uncertain),
            ImageOrigin::Paper(paper) => with_one_of(&paper.ids()).or_else(|| made_from(paper.source())),
            ImageOrigin::Load { ids, .. } => with_one_of(ids),
            ImageOrigin::Pull { reference, .. } => self.at(reference),
            ImageOrigin::Made(recipe) => made_from(&recipe.digest).or_else(uncertain),
        }
    }

    /// The image with this paper, on what its base stood for when it was made: that one is not on the host any more,
    /// and what is made of it does not need it.
    fn on_what_is_gone(
        &self,
        name: &Name,
        image: &DesiredImage,
        on_base: &OnBase,
    ) -> Option<&'a ObservedImage> {
        let same = self.generations(name).filter(|there| {
            let base = there.source.as_deref().and_then(on_base::made_from).map(|(_, base)| base);
            base.is_some_and(|base| there.source == Some(on_base.paper.source(base)))
                && there.references.iter().any(|mark| is_on(mark, &on_base.base))
        });
        same.max_by_key(|there| {
            (image.tags.is_subset(&there.references), self.used.contains(&there.id), Reverse(&there.id))
        })
    }
}
