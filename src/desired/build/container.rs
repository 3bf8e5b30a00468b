//! A container's manifest, with the files that it names, made into the container that should be there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Build, absolute};
use crate::desired::{DesiredContainer, ImageOrigin};
use crate::manifest::Manifest;
use crate::resource::bind::{Bind, BindSource};
use crate::resource::container::{Capability, ContainerSpec, PlacedFile};
use crate::resource::mount::MountSource;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::printable::printable;
use crate::resource::security::{Seccomp, SecurityOption};
use crate::resource::violation::FieldPath;
use crate::source::attachment::{Attachment, Request, Wanted};

/// The files that a container names.
pub(super) fn attachments(manifest: &Manifest, spec: &ContainerSpec) -> Vec<Request> {
    let env_files = env_files(manifest, spec).map(|path| Request::File(Wanted::Env, path));
    let profiles = profiles(manifest, spec).map(|(_, path)| Request::File(Wanted::Json, path));
    let sources = spec.files.iter().filter_map(|file| file.source.as_ref());
    let sources = sources.map(|source| Request::File(Wanted::Bytes, absolute(&manifest.base_dir, source)));
    env_files.chain(profiles).chain(sources).collect()
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

impl Build<'_> {
    /// The container; `None` if its image is one of those that are left as they are.
    pub(super) fn container(
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
        let source = spec.problem_set.as_ref().and_then(|set| Some(&self.desired.images.get(set)?.source));
        if matches!(source, Some(ImageOrigin::Paper(_))) {
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
