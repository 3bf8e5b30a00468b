//! The archive of an image load. In: images with their tags. Out: one tar file that every engine reads.
//!
//! It is two formats over the same blobs: Docker's `manifest.json`, for engines with their own image
//! store (every Docker, Podman), and an OCI layout (`oci-layout`, `index.json`), for engines with
//! containerd's. Docker 20.10, Docker 26.1 with containerd's store and Podman 4.3 were seen to give the
//! foretold ids, with tags and without.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::{Value, json};

use super::PaperImage;
use super::blob::{Blob, MediaType};
use super::tar::{Account, Tar};
use crate::resource::reference::{ImageId, ImageReference};

/// One archive for an image load, with these images and their tags.
///
/// Guarantees: a layer that several images share is in it once, and the order of `images` and of their
/// tags does not matter. Fails where a reference is no tag but a digest, which nothing can be loaded as; and where the exam
/// server's program cannot be had any more.
pub fn archive(images: &[(&PaperImage, Vec<ImageReference>)]) -> io::Result<Vec<u8>> {
    let mut tagged: BTreeMap<&ImageId, Tagged> = BTreeMap::new();
    for (image, references) in images {
        let (_, tags) = tagged.entry(image.id()).or_insert_with(|| (*image, BTreeSet::new()));
        for reference in references {
            tags.insert(Tag::of(reference)?);
        }
    }

    let mut blobs: BTreeMap<String, Blob> = tagged
        .values()
        .flat_map(|(image, _)| [&image.paper, &image.config, &image.manifest])
        .map(|blob| (blob.path(), blob.clone()))
        .collect();
    for (image, _) in tagged.values() {
        if let Entry::Vacant(place) = blobs.entry(image.server.path()?) {
            place.insert(image.server.layer()?);
        }
    }
    let directory = [
        ("index.json", oci_index(tagged.values())),
        ("manifest.json", docker_manifests(tagged.values())?),
        ("oci-layout", layout()),
    ];

    let mut tar = Tar::default();
    for (path, blob) in blobs {
        tar.file(&path, 0o444, Account::ROOT, blob.bytes());
    }
    for (path, content) in directory {
        tar.file(path, 0o444, Account::ROOT, content.to_string().as_bytes());
    }
    Ok(tar.finish())
}

/// A tag with its registry spelled out: containerd and Podman do not complete short ones as Docker does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag {
    pub(super) full: String,
    tag: String,
}

impl Tag {
    pub(super) fn of(reference: &ImageReference) -> io::Result<Self> {
        let Some(tag) = reference.tag() else {
            let why = format!("an image cannot be loaded as `{reference}`: a digest is not a tag");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        };
        let full = format!("{}/{}:{tag}", reference.domain(), reference.path());
        Ok(Self { full, tag: tag.to_owned() })
    }
}

type Tagged<'a> = (&'a PaperImage, BTreeSet<Tag>);

/// Docker's `manifest.json` (moby image specification, version 1.2, "Combined Image JSON + Filesystem
/// Changeset Format").
fn docker_manifests<'a>(images: impl Iterator<Item = &'a Tagged<'a>>) -> io::Result<Value> {
    images
        .map(|(image, tags)| {
            Ok(json!({
                "Config": image.config.path(),
                "RepoTags": tags.iter().map(|tag| &tag.full).collect::<Vec<_>>(),
                "Layers": [image.server.path()?, image.paper.path()],
            }))
        })
        .collect()
}

/// The OCI layout's index: a descriptor for each tag, as containerd's import reads names.
fn oci_index<'a>(images: impl Iterator<Item = &'a Tagged<'a>>) -> Value {
    let manifests: Vec<Value> =
        images.flat_map(|(image, tags)| named(&image.manifest.descriptor(), tags.iter())).collect();
    index_of(&manifests)
}

/// A manifest's descriptor under each of its tags; alone, if there is none.
pub(super) fn named<'t>(descriptor: &Value, tags: impl Iterator<Item = &'t Tag>) -> Vec<Value> {
    let named = tags.map(|tag| {
        let mut descriptor = descriptor.clone();
        descriptor["annotations"] = json!({
            "io.containerd.image.name": tag.full,
            "org.opencontainers.image.ref.name": tag.tag,
        });
        descriptor
    });
    let named: Vec<Value> = named.collect();
    if named.is_empty() { vec![descriptor.clone()] } else { named }
}

/// The OCI layout's `index.json` with these manifests.
pub(super) fn index_of(manifests: &[Value]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciIndex.as_str(),
        "manifests": manifests,
    })
}

/// The OCI layout's `oci-layout`.
pub(super) fn layout() -> Value {
    json!({"imageLayoutVersion": "1.0.0"})
}
