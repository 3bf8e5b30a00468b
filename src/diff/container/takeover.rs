//! Containers that somebody else made, and that a manifest takes over (`metadata.adopt`). In: one that bears the name, or
//! that an interrupted takeover put aside. Out: a replacement, or why there is none. Never about another Invigil's.

use std::collections::BTreeMap;

use super::files::collected;
use super::standing::Standing;
use super::{Act, Changes, Old, PREVIOUS_SUFFIX, needs, told};
use crate::desired::{Desired, DesiredContainer};
use crate::diff::NewContainer;
use crate::diff::image::Images;
use crate::fields::{self, Difference};
use crate::observed::{Managed, Observed, ObservedContainer};
use crate::resource::name::{Name, ResourceId};

/// What a container is called that may be taken over, and by which resource. One that was put aside for its successor bears
/// no label by which it could be told: it is the name that Invigil gave it.
pub fn taken_over(desired: &Desired) -> BTreeMap<String, Name> {
    let adopted = desired.containers.iter().filter(|(_, container)| container.adopt);
    let named = |name: &Name| ["", PREVIOUS_SUFFIX].map(|suffix| (format!("{name}{suffix}"), name.clone()));
    adopted.flat_map(|(name, _)| named(name)).collect()
}

/// The container that an interrupted takeover put aside.
pub(super) fn put_aside<'a>(
    name: &Name,
    wanted: &DesiredContainer,
    standing: &Standing<'a>,
) -> Option<&'a ObservedContainer> {
    let there = standing.called(&format!("{name}{PREVIOUS_SUFFIX}")).filter(|_| wanted.adopt)?;
    (there.stranger.is_some() && there.other_owner.is_none()).then_some(there)
}

/// Takes over a container, if that is what the manifest says. `leftovers`: what an interrupted takeover left beside it.
pub(super) fn take_over(
    id: ResourceId,
    wanted: &DesiredContainer,
    there: &ObservedContainer,
    leftovers: Vec<Old>,
    (desired, observed, images): (&Desired, &Observed, &Images<'_>),
    changes: &mut Changes,
) {
    match (&there.stranger, &there.other_owner) {
        (Some(stranger), None) => {
            adopt(id, wanted, there, stranger, leftovers, (desired, observed, images), changes);
        }
        _ => changes.block(id, whose(there)),
    }
}

/// Whose a container is that bears a wanted name, and is not the wanted one.
fn whose(there: &ObservedContainer) -> String {
    match (&there.managed, &there.other_owner) {
        (Some(ours), _) => {
            format!("the container of this name is container/{}'s, which somebody renamed", ours.resource)
        }
        (None, Some(owner)) => format!("a container of this name belongs to another Invigil (owner {owner})"),
        (None, None) => "a container of this name is there that Invigil did not make; remove or rename it, or take it over \
                         with metadata.adopt: true"
            .to_owned(),
    }
}

/// Puts our container in the place of one that somebody else made. Labels cannot be added to a container
/// that is there, so that taking it over costs a replacement, like any other.
fn adopt(
    id: ResourceId,
    wanted: &DesiredContainer,
    there: &ObservedContainer,
    stranger: &Managed,
    leftovers: Vec<Old>,
    (desired, observed, images): (&Desired, &Observed, &Images<'_>),
    changes: &mut Changes,
) {
    if stranger.removes_itself {
        let why = "the container of this name was started with --rm: as soon as it stops it is gone with its volumes, and \
                   could not be put back; start it again without --rm";
        return changes.block(id, why);
    }
    let image = images.of_container(there);
    let config = image.and_then(|image| image.config.as_ref());
    let old = Old::new(&id.name, there, Some(wanted), observed);
    let new = NewContainer::new(wanted, stranger.anonymous_volumes.clone(), desired, images);
    let price = match old.up {
        true if new.starts_first(true) => "it is made anew, and ends once the new one has proved itself",
        true if new.state.starts() => "it is made anew, and stops for a moment",
        true => "it is made anew, and stops",
        false => "it is made anew",
    };
    let takes_over = format!("takes over a container that Invigil did not make: {price}");
    let mut reasons = vec![told("", None, Some(takes_over))];
    let was = image.and_then(|image| image.references.first()).map(ToString::to_string);
    if image.is_none_or(|image| !image.references.contains(&wanted.reference)) {
        reasons.push(told("image", was, Some(wanted.reference.to_string())));
    }
    let differences = fields::all_differences(&wanted.spec, &stranger.live, config);
    reasons.extend(differences.iter().flat_map(Difference::told));
    reasons.extend(collected(&old.collect));
    let act = Act::Replace { old, container: Box::new(new), leftovers };
    changes.push(id, act, reasons, needs(wanted));
}
