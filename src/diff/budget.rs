//! How much may be removed in one pass (law 4). In: what should be and what is. Out: for each kind
//! whether its removals fit, or why they are withheld. Replacements and former generations do not count.

use std::collections::{BTreeMap, BTreeSet};

use super::image::{self, Images};
use crate::desired::{Desired, Removals};
use crate::observed::Observed;
use crate::resource::name::{Kind, Name, Owner, ResourceId};

/// How much of what no manifest describes any more may be removed in one pass.
///
/// One resource of a kind always may, unless one of the two is 0: then none may. More may as long as they are neither more than `count` nor more
/// than `share` per cent of all of their kind: an exam can be taken down, a whole host cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The most resources of one kind.
    pub count: usize,
    /// The most per cent of all resources of one kind that are there.
    pub share: u8,
    /// How many removals of all kinds somebody approved for this pass, whatever the rest says.
    pub approved: Option<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { count: 50, share: 50, approved: None }
    }
}

impl Budget {
    fn allowed(&self, there: usize) -> usize {
        match (self.count, self.share) {
            (0, _) | (_, 0) => 0,
            (count, share) => (there * usize::from(share) / 100).min(count).max(1),
        }
    }
}

/// The kinds of which nothing is removed in this pass, with why.
pub(super) fn withheld(
    desired: &Desired,
    observed: &Observed,
    images: &Images<'_>,
    owner: &Owner,
    budget: Budget,
) -> BTreeMap<Kind, String> {
    if desired.removals != Removals::Allowed {
        return BTreeMap::new();
    }
    let managed = observed.containers.iter().filter_map(|container| container.managed.as_ref());
    let containers: BTreeSet<&Name> = managed.map(|managed| &managed.resource).collect();
    let networks: BTreeSet<&Name> =
        observed.networks.iter().filter_map(|network| network.resource.as_ref()).collect();
    let images = image::gone(desired, observed, images, owner);
    let is_gone = |kind, name: &Name| !desired.describes(&ResourceId::new(kind, name.clone()));
    let gone = |kind, names: BTreeSet<&Name>| {
        names.into_iter().filter(|name| is_gone(kind, name)).cloned().collect()
    };
    let kinds: [(Kind, usize, BTreeSet<Name>); 3] = [
        (Kind::Container, containers.len(), gone(Kind::Container, containers)),
        (Kind::Network, networks.len(), gone(Kind::Network, networks)),
        (
            Kind::Image,
            images.len(),
            images.into_iter().filter(|(_, gone)| *gone).map(|(name, _)| name).collect(),
        ),
    ];
    let counted = kinds.map(|(kind, there, gone)| {
        let ids = gone.into_iter().map(|name| ResourceId::new(kind, name));
        (kind, there, ids.filter(|id| !desired.invalid.contains(id)).count())
    });
    let all: usize = counted.iter().map(|(_, _, gone)| gone).sum();
    if budget.approved.is_some_and(|approved| all <= approved) {
        return BTreeMap::new();
    }
    counted
        .into_iter()
        .filter_map(|(kind, there, gone)| {
            let allowed = budget.allowed(there);
            (gone > allowed).then(|| {
                let why = format!(
                    "{gone} of {there} {kind}s would be removed, and at most {allowed} may be in one pass; \
                     `invigil apply --allow-removals {all}` approves it"
                );
                (kind, why)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_4_one_always_may_go_and_half_of_a_kind() {
        let budget = Budget::default();
        let allowed = [0, 1, 2, 3, 4, 60, 1000].map(|there| budget.allowed(there));
        assert_eq!(allowed, [1, 1, 1, 1, 2, 30, 50]);
    }

    #[test]
    fn law_4_who_allows_none_loses_none() {
        for budget in [Budget { count: 0, ..Budget::default() }, Budget { share: 0, ..Budget::default() }] {
            assert_eq!([0, 1, 60].map(|there| budget.allowed(there)), [0, 0, 0]);
        }
    }
}
