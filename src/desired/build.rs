//! Manifests and the files they name, made into what should be. Pure: the files were read before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{Desired, DesiredContainer, DesiredImage, ImageOrigin, Removals};
use crate::assembly::{ExamServer, PaperImage};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Manifest, Manifests, Spec};
use crate::problemset::set::ProblemSet;
use crate::resource::bind::{Bind, BindSource};
use crate::resource::container::{Capability, ContainerSpec, PlacedFile};
use crate::resource::digest::sha256_hex;
use crate::resource::image::{ImageSource, ImageSpec, PullPolicy};
use crate::resource::mount::MountSource;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::printable::printable;
use crate::resource::reference::ImageReference;
use crate::resource::security::{Seccomp, SecurityOption};
use crate::resource::violation::{FieldPath, Severity};
use crate::source::attachment::{Attachment, Attachments, Request};

/// The files that `manifests` name beside themselves.
pub fn attachments(manifests: &Manifests) -> BTreeSet<Request> {
    manifests
        .resources
        .iter()
        .flat_map(|manifest| match &manifest.spec {
            Spec::Container(spec) => {
                let env_files = env_files(manifest, spec).map(Request::EnvFile);
                let profiles = profiles(manifest, spec).map(|(_, path)| Request::Document(path));
                let sources = spec.files.iter().filter_map(|file| file.source.as_ref());
                let sources = sources.map(|source| Request::Content(absolute(&manifest.base_dir, source)));
                env_files.chain(profiles).chain(sources).collect()
            }
            Spec::Image(spec) => archive(manifest, spec).into_iter().collect(),
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

fn archive(manifest: &Manifest, spec: &ImageSpec) -> Option<Request> {
    match spec.source()? {
        ImageSource::Pull(_) => None,
        ImageSource::Load(load) => Some(Request::SavedImage(absolute(&manifest.base_dir, &load.archive))),
        ImageSource::Import(import) => Some(Request::Archive(absolute(&manifest.base_dir, &import.archive))),
    }
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
        desired: Desired { invalid: manifests.invalid.clone(), ..Desired::default() },
        diagnostics: Vec::new(),
    };
    // Containers come last in the order of resources: their images are known by then.
    for manifest in &manifests.resources {
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
}

impl Build<'_> {
    fn manifest(&mut self, manifest: &Manifest) {
        let name = manifest.id.name.clone();
        if manifest.suspend {
            self.desired.suspended.insert(manifest.id.clone());
        }
        let built = match &manifest.spec {
            Spec::ProblemSet(set) => self.problem_set(set).map(|image| self.add_image(name, image)),
            Spec::Image(spec) => self.image(manifest, spec).map(|image| self.add_image(name, image)),
            Spec::Container(spec) => self.container(manifest, spec).map(|container| {
                if let Some(container) = container {
                    self.desired.containers.insert(name, container);
                } else {
                    self.desired.invalid.insert(manifest.id.clone());
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
            self.desired.invalid.insert(manifest.id.clone());
            self.diagnostics.push(Diagnostic {
                file: manifest.origin.file.clone(),
                position: manifest.origin.position,
                path: FieldPath::root().key("spec").join(&path),
                severity: Severity::Error,
                message,
                hint: None,
            });
        }
    }

    fn add_image(&mut self, name: Name, image: DesiredImage) {
        let pulled = match &image.source {
            ImageOrigin::Pull { reference, .. } => Some(reference),
            _ => None,
        };
        for reference in image.tags.iter().chain(pulled) {
            self.by_tag.insert(reference.clone(), name.clone());
        }
        self.desired.images.insert(name, image);
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
        let tag =
            format!("{}:{}", set.repository, set.tag).parse().map_err(|error| (root.key("image"), error))?;
        Ok(DesiredImage { source: ImageOrigin::Paper(paper), tags: [tag].into() })
    }

    fn image(&self, manifest: &Manifest, spec: &ImageSpec) -> Result<DesiredImage, (FieldPath, String)> {
        let root = FieldPath::root();
        let source = match spec.source() {
            None => return Err((root, "an image has exactly one source".to_owned())),
            Some(ImageSource::Pull(pull)) => ImageOrigin::Pull {
                reference: pull.reference.clone(),
                platform: pull.platform.clone(),
                if_absent: pull.policy == PullPolicy::IfNotPresent,
            },
            Some(ImageSource::Load(load)) => {
                let path = root.key("load").key("archive");
                let archive = absolute(&manifest.base_dir, &load.archive);
                match self.attached(&Request::SavedImage(archive.clone())) {
                    Ok(Attachment::Image(ids)) => ImageOrigin::Load { archive, ids: ids.clone() },
                    Ok(_) => return Err((path, "this file was not read as a saved image".to_owned())),
                    Err(why) => return Err((path, why)),
                }
            }
            Some(ImageSource::Import(import)) => {
                let path = root.key("import").key("archive");
                let archive = absolute(&manifest.base_dir, &import.archive);
                match self.attached(&Request::Archive(archive.clone())) {
                    Ok(Attachment::Digest(digest)) => ImageOrigin::Import {
                        archive,
                        digest: sha256_hex(format!("{digest}\n{}", import.changes.join("\n")).as_bytes()),
                        changes: import.changes.clone(),
                    },
                    Ok(_) => return Err((path, "this file was not read as an archive".to_owned())),
                    Err(why) => return Err((path, why)),
                }
            }
        };
        Ok(DesiredImage { source, tags: spec.tags.iter().cloned().collect() })
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
            (self.by_tag.get(&reference).cloned(), reference)
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
            match self.attached(&Request::EnvFile(path)) {
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
            match self.attached(&Request::Content(absolute(&manifest.base_dir, source))) {
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
            match self.attached(&Request::Document(path)) {
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
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn resolved(base: &OsStr, spec: &str) -> String {
        let mut spec: ContainerSpec = serde_json::from_str(spec).expect("a spec");
        match resolve_paths(Path::new(base), &mut spec) {
            Ok(()) => spec.binds.iter().map(ToString::to_string).collect(),
            Err((path, message)) => format!("{path}: {message}"),
        }
    }

    #[test]
    fn a_directory_whose_name_would_make_another_path_of_a_relative_one_is_told() {
        let binds = r#"{"image": "a1", "binds": ["/b:/b", "./logs:/logs"]}"#;
        let mounts = r#"{"image": "a1", "mounts": ["type=bind,source=./logs,target=/logs"]}"#;
        assert_eq!(resolved(OsStr::new("/a,readonly"), binds), "/b:/b/a,readonly/logs:/logs");
        assert_eq!(
            resolved(OsStr::new("/a:b"), binds),
            "binds[1]: `/a:b/logs` is not a path that can be bound"
        );
        assert_eq!(
            resolved(OsStr::new("/a,readonly"), mounts),
            "mounts[0]: `/a,readonly/logs` is not a path that can be bound"
        );
        assert_eq!(resolved(OsStr::from_bytes(b"/a\xff"), binds), "binds[1]: `/a\u{fffd}/logs` is not UTF-8");
    }
}
