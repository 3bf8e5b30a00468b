//! What a resource is asked to be, in one short text. In: what should be. Out: a text that changes when
//! the manifests ask something else of the resource, and only then. It stays in memory, or in a file that is root's alone.

use crate::desired::{Desired, DesiredContainer, DesiredImage, ImageOrigin};
use crate::resource::digest::{canonical_json, sha256_hex};
use crate::resource::name::{Kind, ResourceId};

/// The fingerprint of a resource. A container's includes its image, and the containers that it is made for: a new paper is a new
/// chance, and who follows another one does not change by itself.
pub(super) fn fingerprint(desired: &Desired, id: &ResourceId) -> String {
    let name = &id.name;
    let text = match id.kind {
        Kind::Image => desired.images.get(name).map(image),
        Kind::Network => desired.networks.get(name).map(json),
        Kind::Volume => desired.volumes.get(name).map(json),
        Kind::Container => desired.containers.get(name).map(|wanted| {
            let owners = wanted.spec.made_for().filter_map(|(_, owner, _)| desired.containers.get(owner));
            let all = std::iter::once(wanted).chain(owners);
            all.map(|wanted| container(desired, wanted)).collect::<Vec<_>>().join("\n")
        }),
    };
    // What no manifest describes is asked to go.
    text.map(|text| sha256_hex(text.as_bytes())).unwrap_or_default()
}

fn container(desired: &Desired, container: &DesiredContainer) -> String {
    let image = container.image.as_ref().and_then(|name| desired.images.get(name)).map(image);
    // What is put into it may stand in other files than the manifests.
    let files: Vec<&str> = container.files.iter().map(|file| file.digest.as_str()).collect();
    let (image, spec, files) = (image.unwrap_or_default(), json(&container.spec), files.join(" "));
    format!("{}\n{image}\n{spec}\n{files}", container.reference)
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
    use crate::desired::KeptArchive;
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
    fn another_wish_for_a_container_is_another_one_for_who_shares_its_network() {
        let of = |image: &str| {
            let container = |spec: serde_json::Value| {
                let spec: crate::resource::container::ContainerSpec = serde_json::from_value(spec).unwrap();
                let reference = spec.image.clone().unwrap();
                let files = Vec::new();
                Box::new(DesiredContainer { spec, files, image: None, reference, adopt: false })
            };
            let side = json!({"image": "nginx:1.15", "networkMode": "container:web"});
            let containers = [
                ("web".parse().unwrap(), container(json!({"image": image}))),
                ("side".parse().unwrap(), container(side)),
            ];
            let desired = Desired { containers: containers.into(), ..Desired::default() };
            fingerprint(&desired, &"container/side".parse().unwrap())
        };
        assert_eq!(of("nginx:1.14"), of("nginx:1.14"));
        assert_ne!(of("nginx:1.14"), of("nginx:1.15"));
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
