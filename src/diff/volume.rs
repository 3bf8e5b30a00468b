//! Volumes. Made if absent; one that is there is used as it is, one that differs is told. Never
//! removed, never made anew (law 5): there is no act that could.

use super::{Act, Changes};
use crate::desired::Desired;
use crate::fields::volume_differences;
use crate::observed::Observed;
use crate::resource::name::{Kind, ResourceId};

pub(super) fn diff(desired: &Desired, observed: &Observed, changes: &mut Changes) {
    for (name, spec) in &desired.volumes {
        let id = ResourceId::new(Kind::Volume, name.clone());
        let Some(there) = observed.volumes.iter().find(|volume| volume.name == name.as_str()) else {
            changes.push(id, Act::CreateVolume(Box::new(spec.clone())), Vec::new(), Vec::new());
            continue;
        };
        let reasons = volume_differences(spec, there.created.as_ref(), &there.spec);
        if reasons.is_empty() {
            changes.unchanged.push(id);
        } else {
            let why = "a volume cannot be changed, and Invigil never removes one; use another name, or remove it by hand";
            changes.push(id, Act::blocked(why), reasons, Vec::new());
        }
    }
}
