//! Anonymous volumes. In: what a container has mounted, what its manifest said and says. Out: which go over to its successor, and
//! what is told of the others. No volume is ever removed (law 5).

use super::super::{Told, told};
use crate::desired::DesiredContainer;
use crate::fields::{self, Live};
use crate::observed::Managed;
use crate::resource::mount::ContainerPath;

/// How much of a volume's name tells it from others, as in Docker's own lists.
const SHORT: usize = 12;

/// An anonymous volume and where it is mounted.
type Mounted = (String, String);

/// What goes over to a successor, and what its manifest gave up: that is told, and stays on the engine. What the image declares is
/// no manifest's to give up; `image` is what the image of both gives, where it is known and the same: from another one may come what
/// the manifest says no more.
pub(super) fn carried(
    wanted: &DesiredContainer,
    managed: &Managed,
    image: Option<&Live>,
) -> (Vec<Mounted>, Vec<Told>) {
    let asked = managed.created.iter().flat_map(|created| &created.volumes);
    let given_up: Vec<&str> = asked
        .filter(|path| !wanted.spec.volumes.contains(path))
        .map(ContainerPath::as_str)
        .filter(|path| image.is_some_and(|image| !fields::declares_volume(image, path)))
        .collect();
    let is_kept = |(_, target): &Mounted| !given_up.contains(&target.as_str());
    let (over, left): (Vec<_>, Vec<_>) = managed.anonymous_volumes.iter().cloned().partition(is_kept);
    let kept = left.into_iter().map(|(name, target)| {
        let volume = &name[..name.len().min(SHORT)];
        told("", None, Some(format!("what is at {target} stays in the volume {volume}")))
    });
    (over, kept.collect())
}
