//! An engine's answers, as JSON that no engine may ever give: each is read or refused, and what is read
//! can be compared, planned and shown.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use invigil::desired::{Desired, DesiredContainer};
use invigil::diff::{Budget, diff};
use invigil::engine::docker::answers;
use invigil::plan::{Palette, Plan};
use invigil::resource::container::ContainerSpec;
use invigil::resource::name::Owner;
use invigil::resource::printable::printable;
use serde_json::Value;

/// Reads the input as an engine's answers and plans against them.
///
/// # Panics
/// If a text for people would steer a terminal (law 13).
pub fn run(input: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return };
    let owner: Owner = "default".parse().expect("an owner");
    let observed = match answers::read(&document, &owner) {
        Ok(observed) => observed,
        Err(error) => return assert_plain(&error.to_string()),
    };
    let changes = diff(desired(), &observed, &owner, Budget::default());
    let plan = Plan::new(changes, &owner, &BTreeMap::new());
    assert_plain(&plan.to_text(&Palette::default()));
    assert_plain(&plan.steps_text());
    plan.to_json().expect("a plan has a JSON form");
}

fn assert_plain(text: &str) {
    assert!(text.lines().all(|line| printable(line) == line), "{text:?}");
}

/// A container with every field, one with none, and a network and a volume.
fn desired() -> &'static Desired {
    static DESIRED: OnceLock<Desired> = OnceLock::new();
    DESIRED.get_or_init(|| {
        let mut every: Value =
            serde_json::from_str(include_str!("../../src/fields/every_field.json")).expect("JSON");
        every["image"] = "nginx:1.14".into();
        let none = serde_json::json!({"image": "nginx:1.14"});
        let mut desired = Desired::default();
        for (name, spec) in [("every", every), ("none", none)] {
            let spec: ContainerSpec = serde_json::from_value(spec).expect("a spec");
            let reference = spec.image.clone().expect("an image");
            let container =
                DesiredContainer { spec, files: Vec::new(), image: None, reference, adopt: name == "none" };
            desired.containers.insert(name.parse().expect("a name"), Box::new(container));
        }
        let network = serde_json::json!({"subnets": [{"subnet": "172.30.0.0/16", "gateway": "172.30.0.1"}]});
        desired
            .networks
            .insert("exam".parse().expect("a name"), serde_json::from_value(network).expect("a network"));
        let volume = serde_json::json!({"driver": "local", "options": {"type": "nfs", "o": "addr=10.0.0.1"}});
        desired
            .volumes
            .insert("responses".parse().expect("a name"), serde_json::from_value(volume).expect("a volume"));
        desired
    })
}
