//! Manifests and the files they name, made into what should be. Pure: the files were read before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{
    Archive, Desired, DesiredContainer, DesiredImage, ImageOrigin, KeptArchive, Recipe, Removals, Sent,
};
use crate::assembly::{ExamServer, PaperImage};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::lock::Lock;
use crate::manifest::{Manifest, Manifests, Spec};
use crate::problemset::set::ProblemSet;
use crate::resource::bind::{Bind, BindSource};
use crate::resource::container::{Capability, ContainerSpec, PlacedFile};
use crate::resource::image::{
    Build as BuildSpec, CHECK_EVERY, Context, ImageSource, ImageSpec, Import, Pull, PullPolicy,
};
use crate::resource::label::is_mark;
use crate::resource::mount::MountSource;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::printable::printable;
use crate::resource::reference::ImageReference;
use crate::resource::security::{Seccomp, SecurityOption};
use crate::resource::violation::{FieldPath, Severity};
use crate::source::attachment::{Attachment, Attachments, Request, Wanted};
use crate::source::context::{ContextRequest, Dockerfile};

/// The files that `manifests` name beside themselves.
pub fn attachments(manifests: &Manifests) -> BTreeSet<Request> {
    manifests
        .resources
        .iter()
        .flat_map(|manifest| match &manifest.spec {
            Spec::Container(spec) => {
                let env_files = env_files(manifest, spec).map(|path| Request::File(Wanted::Env, path));
                let profiles = profiles(manifest, spec).map(|(_, path)| Request::File(Wanted::Json, path));
                let sources = spec.files.iter().filter_map(|file| file.source.as_ref());
                let sources =
                    sources.map(|source| Request::File(Wanted::Bytes, absolute(&manifest.base_dir, source)));
                env_files.chain(profiles).chain(sources).collect()
            }
            Spec::Image(spec) => of_image(manifest, spec),
            Spec::ProblemSet(_) | Spec::Network(_) | Spec::Volume(_) => Vec::new(),
        })
        .collect()
}

fn env_files<'a>(manifest: &'a Manifest, spec: &'a ContainerSpec) -> impl Iterator<Item = PathBuf> + 'a {
    spec.env_files.iter().map(|path| absolute(&manifest.base_dir, path))
}

/// The files of seccomp profiles, each with its place among the security options.
fn profiles<'a>(
    manifest: &'a Manifest,
    spec: &'a ContainerSpec,
) -> impl Iterator<Item = (usize, PathBuf)> + 'a {
    spec.security_opt.iter().enumerate().filter_map(|(index, option)| match option {
        SecurityOption::Seccomp(Seccomp::File(path)) => Some((index, absolute(&manifest.base_dir, path))),
        _ => None,
    })
}

/// The files of an image.
fn of_image(manifest: &Manifest, spec: &ImageSpec) -> Vec<Request> {
    let file = |wanted, path: &String| Request::File(wanted, absolute(&manifest.base_dir, path));
    let source = match spec.source() {
        None | Some(ImageSource::Pull(_) | ImageSource::Commit(_)) => None,
        Some(ImageSource::Load(load)) => Some(file(Wanted::SavedImage, &load.archive)),
        Some(ImageSource::Import(import)) => {
            import.archive.as_ref().map(|archive| file(Wanted::Digest, archive))
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

/// A path of a manifest, seen from the root, without `.` and `..`.
fn absolute(base: &Path, path: &str) -> PathBuf {
    base.join(path).components().fold(PathBuf::new(), |mut done, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                done.pop();
            }
            other => done.push(other),
        }
        done
    })
}

/// What should be, with what is wrong about the files that manifests name.
///
/// A manifest whose file cannot be read counts as invalid: its resource, and containers made from it,
/// are left as they are (law 3).
pub fn build(
    manifests: &Manifests,
    attachments: &Attachments,
    server: &ExamServer,
) -> (Desired, Vec<Diagnostic>) {
    let mut build = Build {
        attachments,
        server,
        by_tag: BTreeMap::new(),
        desired: Desired {
            invalid: manifests.invalid.clone(),
            opaque: manifests.opaque,
            ..Desired::default()
        },
        diagnostics: Vec::new(),
        starts_from: BTreeMap::new(),
        kept_in: BTreeMap::new(),
        lock: manifests.lock.as_ref(),
    };
    let (containers, others): (Vec<&Manifest>, Vec<&Manifest>) =
        manifests.resources.iter().partition(|manifest| manifest.id.kind == Kind::Container);
    for manifest in others {
        build.manifest(manifest);
    }
    build.settle_bases(manifests);
    // Containers come last: their images are known by then.
    for manifest in containers {
        build.manifest(manifest);
    }
    if !manifests.is_complete() || build.diagnostics.iter().any(Diagnostic::is_error) {
        build.desired.removals =
            Removals::Withheld("a manifest is invalid, so nothing is removed".to_owned());
    } else if manifests.resources.is_empty() {
        build.desired.removals =
            Removals::Withheld("there is no manifest at all, so nothing is removed".to_owned());
    }
    (build.desired, build.diagnostics)
}

struct Build<'a> {
    attachments: &'a Attachments,
    server: &'a ExamServer,
    /// The images that manifests describe, by the references that containers may use.
    by_tag: BTreeMap<ImageReference, Name>,
    desired: Desired,
    diagnostics: Vec<Diagnostic>,
    /// The files in which images are kept, and whose they are.
    kept_in: BTreeMap<PathBuf, ResourceId>,
    /// Which images tags stand for; `None` if that cannot be read.
    lock: Option<&'a Lock>,
    /// The images that built ones start from.
    starts_from: BTreeMap<Name, BTreeSet<ImageReference>>,
}

impl Build<'_> {
    fn manifest(&mut self, manifest: &Manifest) {
        let name = manifest.id.name.clone();
        if manifest.suspend {
            self.desired.suspended.insert(manifest.id.clone());
        }
        // Also of one that turns out to be wrong: what is made from it is left as it is, and is not made from
        // whatever else bears the tag.
        for reference in references(&manifest.spec) {
            self.by_tag.insert(reference, name.clone());
        }
        let built = match &manifest.spec {
            Spec::ProblemSet(set) => {
                self.problem_set(set).map(|image| _ = self.desired.images.insert(name, image))
            }
            Spec::Image(spec) => {
                self.image(manifest, spec).map(|image| _ = self.desired.images.insert(name, image))
            }
            Spec::Container(spec) => self.container(manifest, spec).map(|container| {
                if let Some(container) = container {
                    self.desired.containers.insert(name, container);
                } else {
                    self.leave(manifest, "its image is, whose manifest or files cannot be read");
                }
            }),
            Spec::Network(spec) => {
                if manifest.adopt {
                    self.desired.adopted_networks.insert(name.clone());
                }
                self.desired.networks.insert(name, spec.clone());
                Ok(())
            }
            Spec::Volume(spec) => {
                self.desired.volumes.insert(name, spec.clone());
                Ok(())
            }
        };
        if let Err((path, message)) = built {
            self.refuse(manifest, &path, message);
        }
    }

    fn refuse(&mut self, manifest: &Manifest, path: &FieldPath, message: String) {
        self.tell(manifest, FieldPath::root().key("spec").join(path), Severity::Error, message);
    }

    /// Leaves a resource as it is for another's sake (law 3).
    fn leave(&mut self, manifest: &Manifest, why: &str) {
        let message = format!("{} is left as it is, as {why}", manifest.id);
        self.tell(manifest, FieldPath::root(), Severity::Warning, message);
    }

    fn tell(&mut self, manifest: &Manifest, path: FieldPath, severity: Severity, message: String) {
        self.desired.invalid.insert(manifest.id.clone());
        self.diagnostics.push(Diagnostic {
            file: manifest.origin.file.clone(),
            position: manifest.origin.position,
            path,
            severity,
            message,
            hint: None,
        });
    }

    fn attached(&self, request: &Request) -> Result<&Attachment, String> {
        match self.attachments.get(request) {
            Some(Ok(attachment)) => Ok(attachment),
            Some(Err(why)) => Err(why.clone()),
            None => Err("this file was not read".to_owned()),
        }
    }

    fn problem_set(&self, set: &ProblemSet) -> Result<DesiredImage, (FieldPath, String)> {
        let root = FieldPath::root();
        let paper = PaperImage::assemble(self.server, &set.paper)
            .map_err(|error| (root.clone(), error.to_string()))?;
        let tag = tag_of(set).map_err(|error| (root.key("image"), error))?;
        Ok(DesiredImage::tagged(ImageOrigin::Paper(paper), [tag].into()))
    }

    fn image(&mut self, manifest: &Manifest, spec: &ImageSpec) -> Result<DesiredImage, (FieldPath, String)> {
        let root = FieldPath::root();
        let source = match spec.source() {
            None => return Err((root, "an image has exactly one source".to_owned())),
            Some(ImageSource::Pull(pull)) => self.pull(pull)?,
            Some(ImageSource::Build(build)) => {
                ImageOrigin::Made(Recipe::build(build, self.build_context(manifest, build)?))
            }
            Some(ImageSource::Load(load)) => {
                let path = root.key("load").key("archive");
                let archive = absolute(&manifest.base_dir, &load.archive);
                match self.attached(&Request::File(Wanted::SavedImage, archive.clone())) {
                    Ok(Attachment::Image(image)) => {
                        ImageOrigin::Load { archive, ids: image.ids.clone(), brings: image.brings.clone() }
                    }
                    Ok(_) => return Err((path, "this file was not read as a saved image".to_owned())),
                    Err(why) => return Err((path, why)),
                }
            }
            Some(ImageSource::Import(import)) => self.import(manifest, import)?,
            Some(ImageSource::Commit(commit)) => ImageOrigin::Made(Recipe::commit(commit)),
        };
        let mut tags: BTreeSet<ImageReference> = tags_of(spec).collect();
        if let (ImageOrigin::Pull { reference, .. }, Some(pull)) = (&source, &spec.pull)
            && *reference != pull.reference
        {
            // The tag goes with the lock.
            tags.insert(pull.reference.clone());
        }
        Ok(DesiredImage {
            archive: self.kept(manifest, spec)?,
            push: spec.pushed().into_iter().collect(),
            ..DesiredImage::tagged(source, tags)
        })
    }

    /// The file in which an image is to be kept.
    fn kept(
        &mut self,
        manifest: &Manifest,
        spec: &ImageSpec,
    ) -> Result<Option<KeptArchive>, (FieldPath, String)> {
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

    fn pull(&self, pull: &Pull) -> Result<ImageOrigin, (FieldPath, String)> {
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

    /// The image that a tag stands for, where the lock file says it.
    fn locked(&self, reference: &ImageReference) -> Result<Option<ImageReference>, String> {
        let lock = self.lock.ok_or("the lock file cannot be read, so nobody knows which image is meant")?;
        Ok(lock.resolve(reference))
    }

    fn import(&self, manifest: &Manifest, import: &Import) -> Result<ImageOrigin, (FieldPath, String)> {
        let path = FieldPath::root().key("import");
        let (from, identity) = match (&import.archive, &import.url) {
            (Some(archive), None) => {
                let archive = absolute(&manifest.base_dir, archive);
                match self.attached(&Request::File(Wanted::Digest, archive.clone())) {
                    Ok(Attachment::Digest(digest)) => (Archive::File(archive), digest.as_str()),
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
    fn build_context(
        &mut self,
        manifest: &Manifest,
        build: &BuildSpec,
    ) -> Result<Option<Sent>, (FieldPath, String)> {
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
    fn settle_bases(&mut self, manifests: &Manifests) {
        let complete = manifests.is_complete() && self.desired.invalid.is_empty();
        let mut open = std::mem::take(&mut self.starts_from);
        let mut left = Vec::new();
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
                let described: Option<Vec<String>> =
                    bases.iter().map(|base| Some(self.desired.images.get(base)?.source.identity())).collect();
                match (described, self.desired.images.remove(&name)) {
                    (Some(described), Some(image)) => {
                        let source = match image.source {
                            ImageOrigin::Made(recipe) => ImageOrigin::Made(recipe.on(&described)),
                            other => other,
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
        let in_circles =
            |manifest: &&Manifest| manifest.id.kind == Kind::Image && open.contains_key(&manifest.id.name);
        for manifest in manifests.resources.iter().filter(in_circles) {
            self.desired.images.remove(&manifest.id.name);
            let message = "the images that it is built on lead in a circle".to_owned();
            self.refuse(manifest, &FieldPath::root().key("build"), message);
        }
    }

    /// The container; `None` if its image is one of those that are left as they are.
    fn container(
        &self,
        manifest: &Manifest,
        spec: &ContainerSpec,
    ) -> Result<Option<DesiredContainer>, (FieldPath, String)> {
        let mut spec = spec.clone();
        let (image, reference) = if let Some(set) = &spec.problem_set {
            let Some(described) = self.desired.images.get(set) else { return Ok(None) };
            let Some(tag) = described.tags.first() else { return Ok(None) };
            (Some(set.clone()), tag.clone())
        } else {
            let Some(reference) = spec.image.clone() else { return Ok(None) };
            match self.by_tag.get(&reference).cloned() {
                None => {
                    let locked =
                        self.locked(&reference).map_err(|why| (FieldPath::root().key("image"), why))?;
                    let reference = locked.unwrap_or(reference);
                    spec.image = Some(reference.clone());
                    (None, reference)
                }
                image => (image, reference),
            }
        };
        if spec.problem_set.is_some() {
            guard(&mut spec);
        }
        self.read_env_files(manifest, &mut spec)?;
        self.read_profiles(manifest, &mut spec)?;
        let files = self.read_files(manifest, &spec)?;
        resolve_paths(&manifest.base_dir, &mut spec)?;
        let withheld =
            |name: &Name| self.desired.invalid.contains(&ResourceId::new(Kind::Image, name.clone()));
        if image.as_ref().is_some_and(withheld) {
            return Ok(None);
        }
        Ok(Some(DesiredContainer { spec, files, image, reference, adopt: manifest.adopt }))
    }

    fn read_env_files(
        &self,
        manifest: &Manifest,
        spec: &mut ContainerSpec,
    ) -> Result<(), (FieldPath, String)> {
        let mut variables = BTreeMap::new();
        for (index, path) in env_files(manifest, spec).enumerate() {
            let at = FieldPath::root().key("envFiles").index(index);
            match self.attached(&Request::File(Wanted::Env, path)) {
                Ok(Attachment::Env(more)) => variables.extend(more.clone()),
                Ok(_) => return Err((at, "this file was not read as an env file".to_owned())),
                Err(why) => return Err((at, why)),
            }
        }
        variables.append(&mut spec.env.0);
        spec.env.0 = variables;
        spec.env_files = Vec::new();
        Ok(())
    }

    fn read_files(
        &self,
        manifest: &Manifest,
        spec: &ContainerSpec,
    ) -> Result<Vec<PlacedFile>, (FieldPath, String)> {
        let placed = spec.files.iter().enumerate().map(|(index, file)| {
            let Some(source) = &file.source else {
                return Ok(PlacedFile::new(file, file.content.as_deref().unwrap_or_default().as_bytes()));
            };
            let at = FieldPath::root().key("files").index(index).key("source");
            match self.attached(&Request::File(Wanted::Bytes, absolute(&manifest.base_dir, source))) {
                Ok(Attachment::Bytes(bytes)) => Ok(PlacedFile::new(file, bytes)),
                Ok(_) => Err((at, "this file was not read as a container's".to_owned())),
                Err(why) => Err((at, why)),
            }
        });
        placed.collect()
    }

    fn read_profiles(
        &self,
        manifest: &Manifest,
        spec: &mut ContainerSpec,
    ) -> Result<(), (FieldPath, String)> {
        let files: Vec<(usize, PathBuf)> = profiles(manifest, spec).collect();
        for (index, path) in files {
            let at = FieldPath::root().key("securityOpt").index(index);
            match self.attached(&Request::File(Wanted::Json, path)) {
                Ok(Attachment::Json(profile)) => {
                    spec.security_opt[index] = SecurityOption::Seccomp(Seccomp::Profile(profile.clone()));
                }
                Ok(_) => return Err((at, "this file was not read as a profile".to_owned())),
                Err(why) => return Err((at, why)),
            }
        }
        Ok(())
    }
}

/// The tags that stand for whatever a registry has there: what a lock file says of them holds.
pub fn pulled_tags(manifests: &Manifests) -> BTreeSet<ImageReference> {
    let specs = || manifests.resources.iter().map(|manifest| &manifest.spec);
    let described: BTreeSet<ImageReference> = specs().flat_map(references).collect();
    let pulled = specs().filter_map(|spec| match spec {
        Spec::Image(spec) => spec.pull.as_ref().map(|pull| &pull.reference),
        Spec::Container(spec) => spec.image.as_ref().filter(|image| !described.contains(image)),
        _ => None,
    });
    pulled.filter(|reference| reference.tag().is_some()).cloned().collect()
}

/// The references by which containers may name an image.
fn references(spec: &Spec) -> Vec<ImageReference> {
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

/// What a problem set's container gets where its manifest is silent: the exam server needs no privilege.
fn guard(spec: &mut ContainerSpec) {
    spec.read_only.get_or_insert(true);
    spec.cap_drop.get_or_insert_with(|| vec![Capability::all()]);
    spec.no_new_privileges.get_or_insert(true);
}

/// Makes paths absolute. The directory of the manifest may have what a path cannot have there.
fn resolve_paths(base: &Path, spec: &mut ContainerSpec) -> Result<(), (FieldPath, String)> {
    let resolve = |path: &str| {
        let path = absolute(base, path);
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| format!("`{}` is not UTF-8", printable(&path.to_string_lossy())))
    };
    let unreadable = |path: &str| format!("`{}` is not a path that can be bound", printable(path));
    for (index, bind) in spec.binds.iter_mut().enumerate() {
        let at = |message| (FieldPath::root().key("binds").index(index), message);
        if let BindSource::Path(path) = &mut bind.source {
            *path = resolve(path).map_err(at)?;
            let path = path.clone();
            if !bind.to_string().parse().is_ok_and(|read: Bind| read.source == bind.source) {
                return Err(at(unreadable(&path)));
            }
        }
    }
    for (index, collect) in spec.collect.iter_mut().enumerate() {
        let at = |message| (FieldPath::root().key("collect").index(index).key("to"), message);
        collect.to = resolve(&collect.to).map_err(at)?;
    }
    for (index, mount) in spec.mounts.iter_mut().enumerate() {
        let at = |message| (FieldPath::root().key("mounts").index(index), message);
        if let MountSource::Bind { path, .. } = &mut mount.source {
            *path = resolve(path).map_err(at)?;
            let path = path.clone();
            if mount.to_string().parse() != Ok(mount.clone()) {
                return Err(at(unreadable(&path)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
