//! A container's manifest, with the files that it names, made into the container that should be there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Build, Fault, absolute, unless_wrong};
use crate::desired::{DesiredContainer, ImageOrigin};
use crate::manifest::Manifest;
use crate::resource::bind::{Bind, BindSource};
use crate::resource::container::{Capability, ContainerSpec, PlacedFile};
use crate::resource::mount::MountSource;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::printable::printable;
use crate::resource::reference::ImageReference;
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
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn container(
        &self,
        manifest: &Manifest,
        spec: &ContainerSpec,
    ) -> Result<Option<DesiredContainer>, Vec<Fault>> {
        let mut spec = spec.clone();
        let mut faults = Vec::new();
        let source = spec.problem_set.as_ref().and_then(|set| Some(&self.desired.images.get(set)?.source));
        if matches!(source, Some(ImageOrigin::Paper(_))) {
            guard(&mut spec);
        }
        let image = unless_wrong(self.image_of(&spec), &mut faults);
        self.read_env_files(manifest, &mut spec, &mut faults);
        self.read_profiles(manifest, &mut spec, &mut faults);
        let files = self.read_files(manifest, &spec, &mut faults);
        resolve_paths(&manifest.base_dir, manifest.checkout.as_deref(), &mut spec, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let Some((image, reference)) = image.flatten() else { return Ok(None) };
        let withheld =
            |name: &Name| self.desired.invalid.contains(&ResourceId::new(Kind::Image, name.clone()));
        if image.as_ref().is_some_and(withheld) {
            return Ok(None);
        }
        if image.is_none() {
            spec.image = Some(reference.clone());
        }
        Ok(Some(DesiredContainer { spec, files, image, reference, adopt: manifest.adopt }))
    }

    /// The image's resource, where a manifest describes one, and its reference; `None` if it is one of those that
    /// are left as they are.
    fn image_of(&self, spec: &ContainerSpec) -> Result<Option<(Option<Name>, ImageReference)>, Fault> {
        if let Some(set) = &spec.problem_set {
            let tag = self.desired.images.get(set).and_then(|described| described.tags.first());
            return Ok(tag.map(|tag| (Some(set.clone()), tag.clone())));
        }
        let Some(reference) = spec.image.clone() else { return Ok(None) };
        if let Some(image) = self.by_tag.get(&reference) {
            return Ok(Some((Some(image.clone()), reference)));
        }
        let locked = self.locked(&reference).map_err(|why| (FieldPath::root().key("image"), why))?;
        Ok(Some((None, locked.unwrap_or(reference))))
    }

    fn read_env_files(&self, manifest: &Manifest, spec: &mut ContainerSpec, faults: &mut Vec<Fault>) {
        let mut variables = BTreeMap::new();
        for (index, path) in env_files(manifest, spec).enumerate() {
            let at = FieldPath::root().key("envFiles").index(index);
            match self.attached(&Request::File(Wanted::Env, path)) {
                Ok(Attachment::Env(more)) => variables.extend(more.clone()),
                Ok(_) => faults.push((at, "this file was not read as an env file".to_owned())),
                Err(why) => faults.push((at, why)),
            }
        }
        variables.append(&mut spec.env.0);
        spec.env.0 = variables;
        spec.env_files = Vec::new();
    }

    fn read_files(
        &self,
        manifest: &Manifest,
        spec: &ContainerSpec,
        faults: &mut Vec<Fault>,
    ) -> Vec<PlacedFile> {
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
        placed.filter_map(|placed| unless_wrong(placed, faults)).collect()
    }

    fn read_profiles(&self, manifest: &Manifest, spec: &mut ContainerSpec, faults: &mut Vec<Fault>) {
        let files: Vec<(usize, PathBuf)> = profiles(manifest, spec).collect();
        for (index, path) in files {
            let at = FieldPath::root().key("securityOpt").index(index);
            match self.attached(&Request::File(Wanted::Json, path)) {
                Ok(Attachment::Json(profile)) => {
                    spec.security_opt[index] = SecurityOption::Seccomp(Seccomp::Profile(profile.clone()));
                }
                Ok(_) => faults.push((at, "this file was not read as a profile".to_owned())),
                Err(why) => faults.push((at, why)),
            }
        }
    }
}

/// What a problem set's container gets where its manifest is silent: the exam server needs no privilege.
fn guard(spec: &mut ContainerSpec) {
    spec.read_only.get_or_insert(true);
    spec.cap_drop.get_or_insert_with(|| vec![Capability::all()]);
    spec.no_new_privileges.get_or_insert(true);
}

/// Makes paths absolute. The directory of the manifest may have what a path cannot have there.
/// What is in a checkout is gone with the next commit.
fn resolve_paths(base: &Path, checkout: Option<&Path>, spec: &mut ContainerSpec, faults: &mut Vec<Fault>) {
    let resolve = |path: &mut String| {
        let resolved = absolute(base, path);
        if checkout.is_some_and(|checkout| resolved.starts_with(checkout)) {
            return Err(format!(
                "`{}` is in the checkout of the manifests' repository, which the next commit replaces: name a path of the host, \
                 or put files in with `files`",
                printable(path)
            ));
        }
        let text = resolved.to_str().map(str::to_owned);
        *path = text.ok_or_else(|| format!("`{}` is not UTF-8", printable(&resolved.to_string_lossy())))?;
        Ok(path.clone())
    };
    let unreadable = |path: &str| format!("`{}` is not a path that can be bound", printable(path));
    for (index, bind) in spec.binds.iter_mut().enumerate() {
        let BindSource::Path(path) = &mut bind.source else { continue };
        let resolved = resolve(path).and_then(|path| {
            let is_read = bind.to_string().parse().is_ok_and(|read: Bind| read.source == bind.source);
            if is_read { Ok(()) } else { Err(unreadable(&path)) }
        });
        let at = |message| (FieldPath::root().key("binds").index(index), message);
        unless_wrong(resolved.map_err(at), faults);
    }
    for (index, collect) in spec.collect.iter_mut().enumerate() {
        let at = |message| (FieldPath::root().key("collect").index(index).key("to"), message);
        unless_wrong(resolve(&mut collect.to).map_err(at), faults);
    }
    for (index, mount) in spec.mounts.iter_mut().enumerate() {
        let MountSource::Bind { path, .. } = &mut mount.source else { continue };
        let resolved = resolve(path).and_then(|path| {
            if mount.to_string().parse() == Ok(mount.clone()) { Ok(()) } else { Err(unreadable(&path)) }
        });
        let at = |message| (FieldPath::root().key("mounts").index(index), message);
        unless_wrong(resolved.map_err(at), faults);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn resolved(base: &OsStr, spec: &str) -> String {
        let mut spec: ContainerSpec = serde_json::from_str(spec).expect("a spec");
        let mut faults = Vec::new();
        resolve_paths(Path::new(base), Some(Path::new("/state/git/exam")), &mut spec, &mut faults);
        if faults.is_empty() {
            return spec.binds.iter().map(ToString::to_string).collect();
        }
        faults.iter().map(|(path, message)| format!("{path}: {message}")).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn law_5_nothing_is_bound_from_a_checkout_or_kept_in_it() {
        let why = "is in the checkout of the manifests' repository, which the next commit replaces: name a path of the host, \
                   or put files in with `files`";
        let base = OsStr::new("/state/git/exam/current/room");
        let spec = r#"{"image": "a1", "binds": ["./logs:/logs", "/srv:/srv"], "mounts": ["type=bind,source=../x,target=/x"],
                       "collect": [{"path": "/answers", "to": "answers"}]}"#;
        assert_eq!(
            resolved(base, spec),
            format!("binds[0]: `./logs` {why}; collect[0].to: `answers` {why}; mounts[0]: `../x` {why}")
        );
        let absolute = r#"{"image": "a1", "binds": ["/state/git/exam/current/logs:/logs"]}"#;
        assert_eq!(
            resolved(OsStr::new("/"), absolute),
            format!("binds[0]: `/state/git/exam/current/logs` {why}")
        );
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
        let both = r#"{"image": "a1", "binds": ["./a:/a", "./b:/b"], "mounts": ["type=bind,source=./logs,target=/logs"]}"#;
        assert_eq!(
            resolved(OsStr::new("/a:b,c"), both),
            "binds[0]: `/a:b,c/a` is not a path that can be bound; binds[1]: `/a:b,c/b` is not a path that can be bound; \
             mounts[0]: `/a:b,c/logs` is not a path that can be bound"
        );
        assert_eq!(resolved(OsStr::from_bytes(b"/a\xff"), binds), "binds[1]: `/a\u{fffd}/logs` is not UTF-8");
    }
}
