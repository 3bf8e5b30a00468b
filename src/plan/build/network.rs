//! The steps that make a network anew under the containers on it.

use serde_json::Value;

use super::Builder;
use crate::diff::{Act, Change, Member, Trial};
use crate::plan::Step;
use crate::resource::name::{Kind, ResourceId};

impl Builder<'_> {
    /// Makes a network beside another one and removes it again, after the nodes `before`: for what an engine does not make
    /// nothing is taken apart. The nodes after which that is known.
    fn try_network(&mut self, id: &ResourceId, trial: &Trial, before: Vec<usize>) -> Vec<usize> {
        let Trial { name, spec } = trial;
        // Were it left, it would be one that no manifest describes.
        let make = self.create_network(&ResourceId::new(Kind::Network, name.clone()), spec);
        let made = self.push(id, make, before);
        vec![self.push(id, Step::RemoveTrial(name.as_str().to_owned()), vec![made])]
    }

    /// Takes the members off a network, makes it anew and joins them again. Until it is there, every failure brings the old one
    /// back with everybody on it. The nodes after which all are joined.
    pub(super) fn replace_network(&mut self, change: &Change) -> Vec<usize> {
        let Change { id, act: Act::ReplaceNetwork { old, was, spec, members, trial }, needs, .. } = change
        else {
            return Vec::new();
        };
        let (old, mut needs) = (old.as_str(), self.ready_nodes(needs));
        if let Some(trial) = trial {
            needs = self.try_network(id, trial, needs);
        }
        let join = |member: &Member, network: &str, endpoint: &Value| Step::Connect {
            container: member.container.as_str().to_owned(),
            network: network.to_owned(),
            endpoint: endpoint.clone(),
        };
        let back_on = |network: &str| -> Vec<Step> {
            members.iter().map(|member| join(member, network, &member.back)).collect()
        };
        // By its id as long as it is there: an engine may have two networks of one name.
        let (name, all_back) = (id.name.as_str(), back_on(old));
        // One after the other, so that whoever failed knows who is off by then.
        for (index, member) in members.iter().enumerate() {
            let step =
                Step::Disconnect { container: member.container.as_str().to_owned(), network: old.to_owned() };
            let back = all_back.get(..=index).unwrap_or_default().to_vec();
            needs = vec![self.push_with_rescue(id, step, needs, back)];
        }
        let remove = Step::RemoveNetwork(old.to_owned());
        let removed = self.push_with_rescue(id, remove, needs, all_back);
        let again = std::iter::once(self.create_network(id, was)).chain(back_on(name)).collect();
        let create = self.create_network(id, spec);
        let made = self.push_with_rescue(id, create, vec![removed], again);
        if members.is_empty() {
            return vec![made];
        }
        members.iter().map(|member| self.push(id, join(member, name, &member.endpoint), vec![made])).collect()
    }
}
