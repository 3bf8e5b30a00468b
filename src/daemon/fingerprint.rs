//! What a resource is asked to be, in one short text. In: what should be. Out: a text that changes when
//! the manifests ask something else of the resource, and only then. It stays in memory, or in a file that is root's alone.

use crate::desired::{Desired, DesiredImage, ImageOrigin};
use crate::resource::digest::{canonical_json, sha256_hex};
use crate::resource::name::{Kind, ResourceId};

/// The fingerprint of a resource. A container's includes its image: a new paper is a new chance.
pub(super) fn fingerprint(desired: &Desired, id: &ResourceId) -> String {
    let name = &id.name;
    let text = match id.kind {
        Kind::Image => desired.images.get(name).map(image),
        Kind::Network => desired.networks.get(name).map(json),
        Kind::Volume => desired.volumes.get(name).map(json),
        Kind::Container => desired.containers.get(name).map(|container| {
            let image = container.image.as_ref().and_then(|name| desired.images.get(name)).map(image);
            // What is put into it may stand in other files than the manifests.
            let files: Vec<&str> = container.files.iter().map(|file| file.digest.as_str()).collect();
            let (image, spec, files) = (image.unwrap_or_default(), json(&container.spec), files.join(" "));
            format!("{}\n{image}\n{spec}\n{files}", container.reference)
        }),
    };
    // What no manifest describes is asked to go.
    text.map(|text| sha256_hex(text.as_bytes())).unwrap_or_default()
}

fn image(image: &DesiredImage) -> String {
    // An archive elsewhere, another registry to push to, and a pull that is allowed now are new chances too.
    let how = match &image.source {
        ImageOrigin::Paper(paper) => paper.id().to_string(),
        ImageOrigin::OnBase(image) => image.base.to_string(),
        ImageOrigin::Pull { policy, .. } => format!("{policy:?}"),
        ImageOrigin::Load { archive, .. } => archive.display().to_string(),
        ImageOrigin::Made(recipe) => recipe.ingredients.to_string(),
    };
    let kept = image.archive.as_ref().map(|archive| &archive.path);
    format!("{} {how} {:?} {kept:?} {:?}", image.source.identity(), image.tags, image.push)
}

fn json(spec: &impl serde::Serialize) -> String {
    // A spec that could not be written would not have been read either.
    canonical_json(spec).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::desired::{DesiredContainer, KeptArchive};
    use crate::resource::container::PlacedFile;

    #[test]
    fn another_place_for_an_image_asks_for_something_else() {
        let of = |archive: &str, push: &str| {
            let source = ImageOrigin::Load {
                archive: "in.tar".into(),
                ids: Vec::new(),
                brings: BTreeSet::new(),
                platform: None,
            };
            let image = DesiredImage {
                archive: Some(KeptArchive { path: archive.into(), holds: Vec::new() }),
                push: [push.parse().unwrap()].into(),
                ..DesiredImage::tagged(source, BTreeSet::new())
            };
            let images = [("exam".parse().unwrap(), image)].into();
            fingerprint(&Desired { images, ..Desired::default() }, &"image/exam".parse().unwrap())
        };
        assert_eq!(of("/srv/a.tar", "registry.example/a:1"), of("/srv/a.tar", "registry.example/a:1"));
        assert_ne!(of("/srv/a.tar", "registry.example/a:1"), of("/srv/b.tar", "registry.example/a:1"));
        assert_ne!(of("/srv/a.tar", "registry.example/a:1"), of("/srv/a.tar", "registry.example/b:1"));
    }

    #[test]
    fn another_content_of_a_file_asks_for_something_else() {
        let of = |content: &[u8]| {
            let spec = serde_json::from_value(json!({"image": "nginx:1.15"})).unwrap();
            let file = serde_json::from_value(json!({"path": "/etc/room.conf"})).unwrap();
            let files = vec![PlacedFile::new(&file, content)];
            let reference = "nginx:1.15".parse().unwrap();
            let web = DesiredContainer { spec, files, image: None, reference, adopt: false };
            let containers = [("web".parse().unwrap(), Box::new(web))].into();
            fingerprint(&Desired { containers, ..Desired::default() }, &"container/web".parse().unwrap())
        };
        assert_eq!(of(b"listen 8080"), of(b"listen 8080"));
        assert_ne!(of(b"listen 8080"), of(b"listen 8O80"));
    }
}
