//! What a resource is asked to be, in one short text. In: what should be. Out: a text that changes when
//! the manifests ask something else of the resource, and only then. It stays in memory.

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
            format!("{}\n{}\n{}", container.reference, image.unwrap_or_default(), json(&container.spec))
        }),
    };
    // What no manifest describes is asked to go.
    text.map(|text| sha256_hex(text.as_bytes())).unwrap_or_default()
}

fn image(image: &DesiredImage) -> String {
    // An archive elsewhere and a pull that is allowed now are new chances too.
    let how = match &image.source {
        ImageOrigin::Paper(paper) => paper.id().to_string(),
        ImageOrigin::Pull { policy, .. } => format!("{policy:?}"),
        ImageOrigin::Load { archive, .. } => archive.display().to_string(),
        ImageOrigin::Made(recipe) => recipe.ingredients.to_string(),
    };
    format!("{} {how} {:?}", image.source.identity(), image.tags)
}

fn json(spec: &impl serde::Serialize) -> String {
    // A spec that could not be written would not have been read either.
    canonical_json(spec).unwrap_or_default()
}
