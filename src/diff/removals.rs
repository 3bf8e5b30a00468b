//! Removals alone, for who wants nothing else done. In: all changes. Out: those that take away what no manifest
//! describes, as far as they need none of the others.

use std::collections::BTreeSet;

use super::{Act, Change, Changes};
use crate::resource::name::ResourceId;

impl Changes {
    /// These without everything that is no removal. A removal that has to come after something else is kept back, with
    /// what it waits for.
    #[must_use]
    pub fn only_removals(mut self) -> Self {
        let (mut removals, others): (Vec<Change>, Vec<Change>) =
            self.changes.into_iter().partition(|change| change.act.is_removal());
        let blocked = others.iter().filter_map(|change| match &change.act {
            Act::Block { why, instead_of: Some(act) } if act.is_removal() => {
                Some((change.id.clone(), why.clone()))
            }
            _ => None,
        });
        self.withheld.extend(blocked);
        // What is only given away stays as it is.
        let others =
            others.into_iter().filter(|change| !matches!(change.act, Act::Push { .. } | Act::Save { .. }));
        let mut left_out: BTreeSet<ResourceId> = others.map(|change| change.id).collect();
        loop {
            let waits_for = |change: &Change| {
                let needed = change.needs.iter().map(|need| &need.id).chain([&change.id]);
                needed.into_iter().find(|id| left_out.contains(id)).cloned()
            };
            let (bound, free): (Vec<Change>, Vec<Change>) =
                removals.into_iter().partition(|change| waits_for(change).is_some());
            removals = free;
            if bound.is_empty() {
                break;
            }
            let told = bound.iter().filter_map(|change| {
                Some((change.id.clone(), format!("`apply` changes {} first", waits_for(change)?)))
            });
            self.withheld.extend(told);
            left_out.extend(bound.into_iter().map(|change| change.id));
        }
        self.withheld.sort();
        self.withheld.dedup();
        let is_left = |id: &ResourceId| removals.iter().any(|change| change.id == *id);
        self.suspended.retain(|id, _| is_left(id));
        self.waiting.retain(|id, _| is_left(id));
        Self { changes: removals, ..self }
    }
}

impl Act {
    /// Whether it takes away what no manifest describes.
    const fn is_removal(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::RemoveNetwork(_) | Self::Untag { .. })
    }
}
