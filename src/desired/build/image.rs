//! An image's manifest, and a problem set's, made into the image that should be there.

use std::collections::BTreeSet;
use std::io;

use super::{Build, Fault, absolute, unless_wrong};
use crate::assembly::PaperImage;
use crate::assembly::on_base::PaperLayer;
use crate::desired::{Archive, Decided, DesiredImage, ImageOrigin, KeptArchive, OnBase, Recipe, Sent};
use crate::manifest::{Manifest, Manifests, Spec};
use crate::problemset::set::ProblemSet;
use crate::resource::image::{
    Build as BuildSpec, CHECK_EVERY, Context, ImageSource, ImageSpec, Import, Pull, PullPolicy,
};
use crate::resource::label::is_mark;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::reference::ImageReference;
use crate::resource::violation::FieldPath;
use crate::source::attachment::{Attachment, Request, Wanted};
use crate::source::context::{ContextRequest, Dockerfile};

/// The files that an image names.
pub(super) fn attachments(manifest: &Manifest, spec: &ImageSpec) -> Vec<Request> {
    let file = |wanted, path: &String| Request::File(wanted, absolute(&manifest.base_dir, path));
    let source = match spec.source() {
        None | Some(ImageSource::Pull(_) | ImageSource::Commit(_)) => None,
        Some(ImageSource::Load(load)) => Some(file(Wanted::SavedImage, &load.archive)),
        Some(ImageSource::Import(import)) => {
            import.archive.as_ref().map(|archive| file(Wanted::FileSystem, archive))
        }
        Some(ImageSource::Build(build)) => {
            context(manifest, build).map(|context| Request::Context(Box::new(context)))
        }
    };
    let kept = spec.archive.as_ref().map(|archive| file(Wanted::KeptImage, archive));
    source.into_iter().chain(kept).collect()
}

/// What a builder is sent; `None` if the engine fetches it.
fn context(manifest: &Manifest, build: &BuildSpec) -> Option<ContextRequest> {
    let path = match &build.context {
        None => None,
        Some(Context::Path(path)) => Some(absolute(&manifest.base_dir, path)),
        Some(Context::Remote(_)) => return None,
    };
    let dockerfile = match &build.dockerfile_inline {
        Some(text) => Dockerfile::Inline(text.clone()),
        None => Dockerfile::Named(build.dockerfile().to_owned()),
    };
    Some(ContextRequest { path, dockerfile, args: build.args.0.clone() })
}

impl Build<'_> {
    pub(super) fn problem_set(
        &mut self,
        manifest: &Manifest,
        set: &ProblemSet,
    ) -> Result<DesiredImage, Vec<Fault>> {
        let root = FieldPath::root();
        let unwritten = |error: io::Error| vec![(root.clone(), error.to_string())];
        let tag = tag_of(set).map_err(|error| vec![(root.key("image"), error)])?;
        let called = |source| DesiredImage {
            legacy_id: set.legacy_image_id.clone(),
            ..DesiredImage::tagged(source, [tag].into())
        };
        let Some(base) = &set.base else {
            let paper = PaperImage::assemble(self.server, &set.paper).map_err(unwritten)?;
            return Ok(called(ImageOrigin::Paper(paper)));
        };
        let paper = PaperLayer::assemble(&set.paper).map_err(|error| unwritten(error.into()))?;
        self.starts_from.insert(manifest.id.name.clone(), [base.clone()].into());
        // Whether a manifest describes the base is seen when all are read.
        let image = OnBase { paper, base: base.clone(), decided: Decided::ByEngine };
        Ok(called(ImageOrigin::OnBase(Box::new(image))))
    }

    pub(super) fn image(
        &mut self,
        manifest: &Manifest,
        spec: &ImageSpec,
    ) -> Result<DesiredImage, Vec<Fault>> {
        let mut faults = Vec::new();
        let source = unless_wrong(self.source(manifest, spec), &mut faults);
        let archive = unless_wrong(self.kept(manifest, spec), &mut faults);
        let (Some(source), Some(archive)) = (source, archive) else { return Err(faults) };
        let mut tags: BTreeSet<ImageReference> = tags_of(spec).collect();
        if let (ImageOrigin::Pull { reference, .. }, Some(pull)) = (&source, &spec.pull)
            && *reference != pull.reference
        {
            // The tag goes with the lock.
            tags.insert(pull.reference.clone());
        }
        let push = spec.pushed().into_iter().collect();
        Ok(DesiredImage { archive, push, ..DesiredImage::tagged(source, tags) })
    }

    /// Where an image comes from.
    fn source(&mut self, manifest: &Manifest, spec: &ImageSpec) -> Result<ImageOrigin, Fault> {
        let root = FieldPath::root();
        match spec.source() {
            None => Err((root, "an image has exactly one source".to_owned())),
            Some(ImageSource::Pull(pull)) => self.pull(pull),
            Some(ImageSource::Build(build)) => {
                let secrets = build.secrets.iter().map(|secret| secret.below(&manifest.base_dir)).collect();
                let context = self.build_context(manifest, build)?;
                Ok(ImageOrigin::Made(Recipe::build(&BuildSpec { secrets, ..build.clone() }, context)))
            }
            Some(ImageSource::Load(load)) => {
                let path = root.key("load").key("archive");
                let archive = absolute(&manifest.base_dir, &load.archive);
                match self.attached(&Request::File(Wanted::SavedImage, archive.clone())) {
                    Ok(Attachment::Image(image)) => Ok(ImageOrigin::Load {
                        archive,
                        ids: image.ids.clone(),
                        brings: image.brings.clone(),
                        platform: image.platform.clone(),
                    }),
                    Ok(_) => Err((path, "this file was not read as a saved image".to_owned())),
                    Err(why) => Err((path, why)),
                }
            }
            Some(ImageSource::Import(import)) => self.import(manifest, import),
            Some(ImageSource::Commit(commit)) => Ok(ImageOrigin::Made(Recipe::commit(commit))),
        }
    }

    /// The file in which an image is to be kept.
    fn kept(&mut self, manifest: &Manifest, spec: &ImageSpec) -> Result<Option<KeptArchive>, Fault> {
        let Some(path) = spec.archive.as_ref().map(|path| absolute(&manifest.base_dir, path)) else {
            return Ok(None);
        };
        let refused = |why: String| (FieldPath::root().key("archive"), why);
        if let Some(other) = self.kept_in.insert(path.clone(), manifest.id.clone()) {
            return Err(refused(format!("{other} is kept in {} already", path.display())));
        }
        let holds = match self.attached(&Request::File(Wanted::KeptImage, path.clone())) {
            Ok(Attachment::Image(image)) => image.ids.clone(),
            Ok(Attachment::Nothing) => Vec::new(),
            Ok(_) => return Err(refused("this file was not read as a saved image".to_owned())),
            // Nobody said that this may be overwritten.
            Err(why) => return Err(refused(format!("{why}; take it away to have the image kept there"))),
        };
        Ok(Some(KeptArchive { path, holds }))
    }

    fn pull(&self, pull: &Pull) -> Result<ImageOrigin, Fault> {
        let path = || FieldPath::root().key("pull").key("reference");
        let locked = self.locked(&pull.reference).map_err(|why| (path(), why))?;
        // What a lock names does not move by itself.
        let policy = match pull.policy {
            PullPolicy::Always if locked.is_some() => PullPolicy::IfNotPresent,
            policy => policy,
        };
        Ok(ImageOrigin::Pull {
            reference: locked.unwrap_or_else(|| pull.reference.clone()),
            platform: pull.platform.clone(),
            policy,
            check_every: pull.check_every.unwrap_or(CHECK_EVERY),
        })
    }

    fn import(&self, manifest: &Manifest, import: &Import) -> Result<ImageOrigin, Fault> {
        let path = FieldPath::root().key("import");
        let (from, identity) = match (&import.archive, &import.url) {
            (Some(archive), None) => {
                let archive = absolute(&manifest.base_dir, archive);
                match self.attached(&Request::File(Wanted::FileSystem, archive.clone())) {
                    Ok(Attachment::Digest(digest)) => {
                        (Archive::File { path: archive, digest: digest.clone() }, digest.as_str())
                    }
                    Ok(_) => {
                        return Err((path.key("archive"), "this file was not read as an archive".to_owned()));
                    }
                    Err(why) => return Err((path.key("archive"), why)),
                }
            }
            (None, Some(url)) => (Archive::Address(url.clone()), url.as_str()),
            _ => return Err((path, "an import has exactly one of archive and url".to_owned())),
        };
        Ok(ImageOrigin::Made(Recipe::import(from, import.changes.clone(), identity)))
    }

    /// What a builder is sent. Also notes the images that the Dockerfile starts from.
    fn build_context(&mut self, manifest: &Manifest, build: &BuildSpec) -> Result<Option<Sent>, Fault> {
        let path = FieldPath::root().key("build").key("context");
        let Some(request) = context(manifest, build) else { return Ok(None) };
        let summary = match self.attached(&Request::Context(Box::new(request.clone()))) {
            Ok(Attachment::Context(summary)) => summary.clone(),
            Ok(_) => return Err((path, "this was not read as a build context".to_owned())),
            Err(why) => return Err((path, why)),
        };
        let bases: BTreeSet<ImageReference> =
            summary.bases.iter().filter_map(|base| base.parse().ok()).collect();
        self.starts_from.insert(manifest.id.name.clone(), bases.clone());
        Ok(Some(Sent { request, digest: summary.digest, files: summary.files, bases }))
    }

    /// Lets what is built on other images of the manifests follow them: it is made after them, and anew when
    /// they are made anew.
    pub(super) fn settle_bases(&mut self, manifests: &Manifests) {
        let complete = manifests.is_complete() && self.desired.invalid.is_empty();
        let mut open = std::mem::take(&mut self.starts_from);
        let mut left = Vec::new();
        let mut unlocked = Vec::new();
        loop {
            let names = |bases: &BTreeSet<ImageReference>| -> BTreeSet<Name> {
                bases.iter().filter_map(|base| self.by_tag.get(base)).cloned().collect()
            };
            let is_ready =
                |bases: &BTreeSet<ImageReference>| names(bases).iter().all(|base| !open.contains_key(base));
            let ready: Vec<Name> =
                open.iter().filter(|(_, bases)| is_ready(bases)).map(|(name, _)| name.clone()).collect();
            if ready.is_empty() {
                break;
            }
            for name in ready {
                let references = open.remove(&name).unwrap_or_default();
                let bases = names(&references);
                let id = ResourceId::new(Kind::Image, name.clone());
                // What it starts from may be what cannot be read now: made without it, it would be another.
                let uncertain = !complete && references.iter().any(|base| !self.by_tag.contains_key(base));
                let described: Option<Vec<&ImageOrigin>> =
                    bases.iter().map(|base| Some(&self.desired.images.get(base)?.source)).collect();
                let described = described.map(|described| described.into_iter().cloned().collect::<Vec<_>>());
                match (described, self.desired.images.remove(&name)) {
                    (Some(described), Some(image)) => {
                        let source = match image.source {
                            ImageOrigin::OnBase(mut image) if described.is_empty() => {
                                match self.locked(&image.base) {
                                    Ok(locked) => image.base = locked.unwrap_or(image.base),
                                    Err(why) => unlocked.push((id, why)),
                                }
                                ImageOrigin::OnBase(image)
                            }
                            source => on_described(source, &described),
                        };
                        self.desired.images.insert(name, DesiredImage { source, bases, uncertain, ..image });
                    }
                    _ => left.push(id),
                }
            }
        }
        for manifest in manifests.resources.iter().filter(|manifest| left.contains(&manifest.id)) {
            if !self.desired.invalid.contains(&manifest.id) {
                self.leave(manifest, "an image is that it is built on");
            }
        }
        for (id, why) in unlocked {
            self.desired.images.remove(&id.name);
            for manifest in manifests.resources.iter().filter(|manifest| manifest.id == id) {
                self.refuse(manifest, &base_field(), why.clone());
            }
        }
        let in_circles =
            |manifest: &&Manifest| manifest.id.kind == Kind::Image && open.contains_key(&manifest.id.name);
        for manifest in manifests.resources.iter().filter(in_circles) {
            self.desired.images.remove(&manifest.id.name);
            let message = "the images that it is built on lead in a circle".to_owned();
            let field = match manifest.spec {
                Spec::ProblemSet(_) => base_field(),
                _ => FieldPath::root().key("build"),
            };
            self.refuse(manifest, &field, message);
        }
    }
}

/// Where a problem set says what its paper is put on.
fn base_field() -> FieldPath {
    FieldPath::root().key("runtime").key("base")
}

/// What is made on images of the manifests, now that these are known.
fn on_described(source: ImageOrigin, described: &[ImageOrigin]) -> ImageOrigin {
    match (source, described) {
        (ImageOrigin::Made(recipe), _) => {
            ImageOrigin::Made(recipe.on(&described.iter().map(ImageOrigin::identity).collect::<Vec<_>>()))
        }
        // What a registry has is known by its id alone; a lock's word holds for both.
        (ImageOrigin::OnBase(mut image), [ImageOrigin::Pull { reference, .. }]) => {
            image.base.clone_from(reference);
            ImageOrigin::OnBase(image)
        }
        (ImageOrigin::OnBase(mut image), [base]) => {
            image.decided = Decided::by_manifest(&base.identity());
            ImageOrigin::OnBase(image)
        }
        (source, _) => source,
    }
}

/// The tags that stand for whatever a registry has there: what a lock file says of them holds.
pub fn pulled_tags(manifests: &Manifests) -> BTreeSet<ImageReference> {
    let specs = || manifests.resources.iter().map(|manifest| &manifest.spec);
    let described: BTreeSet<ImageReference> = specs().flat_map(references).collect();
    let pulled = specs().filter_map(|spec| match spec {
        Spec::Image(spec) => spec.pull.as_ref().map(|pull| &pull.reference),
        Spec::Container(spec) => spec.image.as_ref().filter(|image| !described.contains(image)),
        Spec::ProblemSet(set) => set.base.as_ref().filter(|base| !described.contains(base)),
        _ => None,
    });
    pulled.filter(|reference| reference.tag().is_some()).cloned().collect()
}

/// The references by which containers may name an image.
pub(super) fn references(spec: &Spec) -> Vec<ImageReference> {
    match spec {
        Spec::ProblemSet(set) => tag_of(set).into_iter().collect(),
        Spec::Image(spec) => {
            let pulled = spec.pull.as_ref().map(|pull| pull.reference.clone());
            tags_of(spec).chain(pulled).collect()
        }
        Spec::Container(_) | Spec::Network(_) | Spec::Volume(_) => Vec::new(),
    }
}

/// The tags that an image bears: what it is pushed to is a tag of its own first.
fn tags_of(spec: &ImageSpec) -> impl Iterator<Item = ImageReference> {
    spec.tags.iter().cloned().chain(spec.pushed())
}

fn tag_of(set: &ProblemSet) -> Result<ImageReference, String> {
    let tag = format!("{}:{}", set.repository, set.tag).parse()?;
    if is_mark(&tag) { Err("tags of io.invigil.owner are Invigil's own".to_owned()) } else { Ok(tag) }
}
