//! Compares desired with observed. Returns changes, sorted, each with its reasons; never calls an
//! engine, never looks at a clock.

mod budget;
mod change;
mod comeback;
mod container;
mod image;
mod network;
mod port;
mod preflight;
mod removals;
mod renamed;
mod space;
mod trial;
mod volume;

use std::collections::{BTreeMap, BTreeSet};

use self::change::{proof, told};
use self::image::Images;
use crate::desired::{Desired, Removals};
pub use crate::fields::Told;
use crate::observed::{Applied, EngineId, Observed, ObservedContainer};
use crate::resource::name::{Kind, Owner, ResourceId};
pub use budget::Budget;
pub use change::{
    Act, Change, Collection, Member, Need, NewContainer, Old, Operation, Predecessor, Trial, Unwell,
};
pub use container::{ASIDE_SUFFIX, NEXT_SUFFIX, PREVIOUS_SUFFIX, is_in_replacement, taken_over};

/// Why a container is not made yet whose name is about to be free: what holds it is gone in a moment.
const STILL_REMOVING: &str = "the engine is still removing the container of this name";

/// Everything that has to happen, and what need not.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The changes, sorted by resource.
    pub changes: Vec<Change>,
    /// The resources that are as they should be.
    pub unchanged: Vec<ResourceId>,
    /// Those of them that are not well.
    pub unwell: BTreeMap<ResourceId, Unwell>,
    /// Resources that no manifest describes and that are kept for now, with why.
    pub withheld: Vec<(ResourceId, String)>,
    /// What is left as it is because somebody said so, with why: resources that differ, and others.
    pub suspended: BTreeMap<ResourceId, String>,
    /// Why nothing is changed on this host, if that is so.
    pub host_suspended: Option<String>,
    /// Whether anything is wrong with the manifests: then nothing that they do not describe is removed (law 3).
    pub wrong: bool,
    /// What is left as it is because its manifest is wrong, or one that it needs.
    pub left: BTreeSet<ResourceId>,
    /// What is no error, and worth knowing.
    pub warnings: Vec<String>,
    /// What is worth knowing of changes that are made.
    pub(crate) cut_off: Vec<(ResourceId, String)>,
    /// Changes that have to wait for something that happens by itself, with why.
    pub waiting: BTreeMap<ResourceId, String>,
    /// What cannot be made now, and likely can in a moment: an engine is about to give up its name, or a port.
    pub soon: BTreeSet<ResourceId>,
    /// What is to be remembered of containers once they do what their manifests now have them do.
    pub turned: BTreeMap<ResourceId, (EngineId, Applied)>,
    /// Kinds of which nothing is removed in this pass, with why (law 4).
    pub(crate) over_budget: BTreeMap<Kind, String>,
}

/// Compares what should be with what is. Only resources that bear `owner`'s labels are changed.
pub fn diff(desired: &Desired, observed: &Observed, owner: &Owner, budget: Budget) -> Changes {
    let observed = &*renamed::renamed(desired, observed);
    let images = Images::of(desired, observed, owner);
    let over_budget = budget::withheld(desired, observed, &images, owner, budget);
    let (wrong, left) = (desired.wrong, desired.invalid.clone());
    let mut changes = Changes { wrong, left, over_budget, ..Changes::default() };
    image::diff(desired, observed, &images, owner, &mut changes);
    network::diff(desired, observed, &mut changes);
    volume::diff(desired, observed, &mut changes);
    container::diff(desired, observed, &images, &mut changes);
    image::snapshots_first(desired, observed, &mut changes);
    network::let_members_follow(observed, &mut changes);
    container::wait_for_jobs(desired, observed, &mut changes);
    port::diff(desired, observed, &mut changes);
    preflight::diff(desired, observed, &mut changes);
    comeback::diff(desired, observed, &mut changes);
    space::diff(&observed.host, &mut changes);
    network::diff_leftovers(desired, observed, &mut changes);
    image::diff_leftovers(desired, observed, &images, owner, &mut changes);
    changes.suspend(desired, observed);
    container::unwell(observed, &mut changes);
    changes.changes.sort_by(|a, b| a.id.cmp(&b.id));
    changes.unchanged.sort();
    changes.withheld.sort();
    changes
}

impl Changes {
    /// Whether anything brings an image, which takes room.
    pub fn take_room(&self) -> bool {
        self.changes.iter().any(|change| change.act.takes_room())
    }

    /// Notes what is left as it is. A removal is never of a resource that a manifest suspends.
    fn suspend(&mut self, desired: &Desired, observed: &Observed) {
        let by_manifest = desired.suspended.iter().map(|id| (id.clone(), "suspended".to_owned()));
        self.suspended = by_manifest.collect();
        self.host_suspended = observed.host.suspended.as_deref().map(crate::fields::plain);
        if let Some(why) = &self.host_suspended {
            let why = format!("the host is suspended: {why}");
            self.warnings.push(format!("{why}; nothing is changed until `invigil resume`"));
            self.suspended.extend(self.changes.iter().map(|change| (change.id.clone(), why.clone())));
        }
        self.unchanged.retain(|id| !self.suspended.contains_key(id));
    }

    /// Whether a container gives up what it has of images and networks: it goes, or another takes its place.
    fn leaves(&self, container: &ObservedContainer) -> Option<Need> {
        let is_it = |old: &Old| old.id == container.id;
        let change = self.changes.iter().find(|change| match &change.act {
            Act::Remove(old) => old.iter().any(is_it),
            Act::Replace { old, leftovers, .. } => is_it(old) || leftovers.iter().any(is_it),
            Act::Alter { leftovers, predecessor, .. } => {
                leftovers.iter().chain(predecessor.iter().map(|before| &before.container)).any(is_it)
            }
            _ => false,
        })?;
        Some(Need::there(change.id.kind, &change.id.name))
    }

    /// Whether one change has to come after another, directly or by way of others.
    fn has_to_follow(&self, one: &ResourceId, other: &ResourceId) -> bool {
        let mut open = vec![one];
        let mut seen = BTreeSet::new();
        while let Some(next) = open.pop() {
            if next == other {
                return true;
            }
            if seen.insert(next) {
                let same = self.changes.iter().filter(|change| change.id == *next);
                open.extend(same.flat_map(|change| &change.needs).map(|need| &need.id));
            }
        }
        false
    }

    /// Lets one change come after another.
    fn let_follow(&mut self, one: &ResourceId, other: ResourceId) {
        if let Some(change) = self.changes.iter_mut().find(|change| change.id == *one) {
            change.needs.push(Need { id: other, condition: None });
        }
    }

    fn push(&mut self, id: ResourceId, act: Act, reasons: Vec<Told>, needs: Vec<Need>) {
        self.changes.push(Change { id, act, reasons, needs });
    }

    fn block(&mut self, id: ResourceId, why: impl Into<String>) {
        self.push(id, Act::blocked(why), Vec::new(), Vec::new());
    }

    /// Whether what no manifest describes may go; if not, notes it.
    fn may_remove(&mut self, desired: &Desired, id: &ResourceId) -> bool {
        self.may_go(desired, id, desired.describes(id))
    }

    /// The same of what may be a former generation, which is no removal.
    fn may_go(&mut self, desired: &Desired, id: &ResourceId, is_former: bool) -> bool {
        if desired.invalid.contains(id) {
            return false;
        }
        let why = match &desired.removals {
            Removals::Withheld(why) => Some(why),
            Removals::Allowed if is_former => None,
            Removals::Allowed => self.over_budget.get(&id.kind),
        };
        let Some(why) = why.cloned() else { return true };
        self.withheld.push((id.clone(), why));
        false
    }
}
