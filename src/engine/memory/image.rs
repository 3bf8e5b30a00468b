//! Images of the engine in memory, and the registry that they are pulled from.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::EngineError;
use super::world::World;
use crate::fields;
use crate::observed::ObservedImage;
use crate::plan::{Step, nothing_new};
use crate::resource::label::SOURCE;
use crate::resource::reference::{ImageId, ImageReference};

/// What the program in an image does once it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Program {
    /// It runs; where there is a health check, it succeeds.
    #[default]
    Runs,
    /// It runs, and its health check fails.
    Sickens,
    /// It ends at once, with an error.
    Exits,
    /// It ends at once, well.
    Completes,
    /// It cannot be started.
    Missing,
}

/// An image that is there, or that can be pulled.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub id: ImageId,
    pub references: BTreeSet<ImageReference>,
    pub config: Value,
    pub program: Program,
}

impl Image {
    fn new(id: ImageId, config: Value, program: Program) -> Self {
        Self { id, references: BTreeSet::new(), config, program }
    }

    pub(super) fn observed(&self, is_wanted: bool) -> ObservedImage {
        ObservedImage {
            id: self.id.clone(),
            references: self.references.clone(),
            source: self.config["Labels"][SOURCE].as_str().map(str::to_owned),
            size: None,
            config: is_wanted.then(|| fields::read_image(&self.config)),
        }
    }
}

impl World {
    pub(super) fn publish(&mut self, at: &ImageReference, config: Value, program: Program) -> ImageId {
        let id = ImageId::of(format!("{at} {config} {program:?}").as_bytes());
        self.registry.insert(at.clone(), Image::new(id.clone(), config, program));
        id
    }

    pub(super) fn keep_in_mirror(&mut self, at: &ImageReference) {
        self.mirror.extend(self.registry.get(at).map(|image| (at.clone(), image.clone())));
    }

    pub(super) fn image(&self, name: &str) -> Option<&Image> {
        let reference = name.parse::<ImageReference>().ok();
        let id = name.parse::<ImageId>().ok();
        self.images.iter().find(|image| {
            reference.as_ref().is_some_and(|at| image.references.contains(at))
                || id.as_ref() == Some(&image.id)
        })
    }

    /// The steps about images.
    pub(super) fn act_on_image(&mut self, step: &Step) -> Result<(), EngineError> {
        match step {
            Step::LoadPapers(images) => {
                for (image, tags) in images {
                    let paper = Image::new(image.id().clone(), image.config().clone(), Program::Runs);
                    self.store(paper, tags);
                }
                Ok(())
            }
            Step::LoadOnBase { image, mark } => {
                let base = self.image(&image.base.to_string()).cloned();
                let base =
                    base.ok_or_else(|| EngineError::refused(format!("no such image: {}", image.base)))?;
                let source = image.source(Some(&base.id)).unwrap_or_default();
                let mut config = base.config.clone();
                config["Labels"][SOURCE] = source.as_str().into();
                let made = Image::new(ImageId::of(source.as_bytes()), config, base.program);
                let tags: Vec<_> = mark.tags(&made.id).into_iter().chain(mark.set.iter().cloned()).collect();
                self.store(made, &tags);
                Ok(())
            }
            Step::LoadArchive { archive, ids, brings } => {
                let id = ids
                    .first()
                    .ok_or_else(|| EngineError::refused(format!("{} holds no image", archive.display())))?;
                self.store(
                    Image::new(id.clone(), json!({}), Program::Runs),
                    &brings.iter().cloned().collect::<Vec<_>>(),
                );
                Ok(())
            }
            Step::Pull { reference, digest, mark, .. } => {
                let image = self
                    .mirror
                    .get(reference)
                    .or_else(|| self.registry.get(reference))
                    .cloned()
                    .ok_or_else(|| EngineError::refused(format!("manifest for {reference} not found")))?;
                if let (Some(digest), Some(there)) = (digest, self.image(&reference.to_string()))
                    && there.id == image.id
                    && there.id != *digest
                {
                    return Err(EngineError::refused(nothing_new(reference, digest)));
                }
                let there = self.images.iter().find(|there| there.id == image.id);
                let is_nobodys = there.is_some_and(|there| !there.observed(false).has_tag());
                let marks = mark.iter().filter(|_| !is_nobodys).flat_map(|mark| mark.tags(&image.id));
                let tags: Vec<ImageReference> = marks.chain([reference.clone()]).collect();
                self.store(image, &tags);
                Ok(())
            }
            Step::Make { recipe, tag } => {
                let id = ImageId::of(format!("made from {}", recipe.digest).as_bytes());
                let image = Image::new(id, json!({"Labels": {SOURCE: recipe.digest}}), Program::Runs);
                self.store(image, std::slice::from_ref(tag));
                Ok(())
            }
            Step::Push(tag) => {
                let pushed = self.image(&tag.to_string()).cloned();
                let pushed = pushed.ok_or_else(|| EngineError::refused(format!("no such image: {tag}")))?;
                self.registry.insert(tag.clone(), pushed);
                Ok(())
            }
            Step::Tag { image, tags, mark } => {
                let found = image.iter().find_map(|image| self.image(image)).cloned();
                let found = found
                    .ok_or_else(|| EngineError::refused(format!("no such image: {}", image.join(" or "))))?;
                let mut tags = tags.clone();
                tags.extend(mark.iter().flat_map(|mark| mark.tags(&found.id)));
                self.store(found, &tags);
                Ok(())
            }
            Step::Untag { image, tag } if self.image(&tag.to_string()).is_some_and(|at| at.id == *image) => {
                self.untag(tag)
            }
            _ => Ok(()),
        }
    }

    /// Adds an image unless it is there, and points tags to it; images that lose their last tag stay.
    fn store(&mut self, image: Image, tags: &[ImageReference]) {
        for other in &mut self.images {
            other.references.retain(|reference| !tags.contains(reference));
        }
        let id = image.id.clone();
        if self.images.iter().all(|there| there.id != id) {
            self.images.push(Image { references: BTreeSet::new(), ..image });
        }
        if let Some(there) = self.images.iter_mut().find(|there| there.id == id) {
            there.references.extend(tags.iter().cloned());
        }
    }

    pub(super) fn untag(&mut self, tag: &ImageReference) -> Result<(), EngineError> {
        let Some(index) = self.images.iter().position(|image| image.references.contains(tag)) else {
            return Ok(());
        };
        let is_last = self.images[index].references.len() == 1;
        let id = self.images[index].id.clone();
        if let Some(user) = self.containers.iter().find(|container| is_last && container.image == id) {
            return Err(EngineError::refused(format!(
                "conflict: unable to remove repository reference \"{tag}\" (must force) - container {} is using its referenced image {}",
                user.id.short(),
                id.short(),
            )));
        }
        self.images[index].references.remove(tag);
        if is_last {
            self.images.remove(index);
        }
        Ok(())
    }
}
