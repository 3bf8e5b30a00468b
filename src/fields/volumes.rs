//! Volumes and the engine's documents about them. In: specs and plain JSON. Out: create bodies, specs,
//! differences. The one place that knows where the engine keeps what of a volume.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Told;
use super::kept::{differences, own_labels, put_texts, text, texts};
use crate::resource::name::Name;
use crate::resource::volume::VolumeSpec;

/// What the engine takes where nothing is said.
const DRIVER: &str = "local";

/// The body that creates a volume; `labels` are ours.
pub fn volume_body(name: &Name, spec: &VolumeSpec, labels: &Value) -> Value {
    let mut body = json!({
        "Name": name.as_str(),
        "Driver": spec.driver.as_deref().unwrap_or(DRIVER),
        "DriverOpts": spec.options,
        "Labels": spec.labels,
    });
    if let (Some(own), Some(ours)) = (body["Labels"].as_object_mut(), labels.as_object()) {
        own.extend(ours.clone());
    }
    body
}

/// A volume from the engine's list.
pub fn read_volume(document: &Value) -> VolumeSpec {
    VolumeSpec {
        driver: text(&document["Driver"]),
        options: texts(&document["Options"]),
        labels: own_labels(&document["Labels"]),
    }
}

/// A volume as a manifest would write it: without what the engine takes where nothing is said.
pub fn volume_written(live: &VolumeSpec) -> VolumeSpec {
    VolumeSpec { driver: live.driver.clone().filter(|driver| driver != DRIVER), ..live.clone() }
}

/// What the manifest says, or said when the volume was made, and the volume is not.
pub fn volume_differences(wanted: &VolumeSpec, created: Option<&VolumeSpec>, live: &VolumeSpec) -> Vec<Told> {
    let defaults = |field: &str| (field == "driver").then(|| DRIVER.to_owned());
    differences(&fields(wanted), created.map(fields).as_ref(), &fields(live), defaults)
}

fn fields(spec: &VolumeSpec) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    fields.extend(spec.driver.clone().map(|driver| ("driver".to_owned(), driver)));
    put_texts(&mut fields, "options", &spec.options);
    put_texts(&mut fields, "labels", &spec.labels);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_compared_with_what_it_was_made_from() {
        let spec = |value: Value| -> VolumeSpec { serde_json::from_value(value).expect("a spec") };
        let all = spec(json!({"driver": "local", "options": {"type": "tmpfs"}, "labels": {"a": "b"}}));
        let told = |wanted: &VolumeSpec, created: Option<&VolumeSpec>| -> Vec<String> {
            let told = volume_differences(wanted, created, &all).into_iter();
            told.map(|told| format!("{} {:?} {:?}", told.field, told.from, told.to)).collect()
        };
        assert!(told(&all, Some(&all)).is_empty());
        assert!(told(&VolumeSpec::default(), None).is_empty());
        assert_eq!(
            told(&VolumeSpec::default(), Some(&all)),
            [r#"labels.a Some("b") None"#, r#"options.type Some("tmpfs") None"#]
        );
    }
}
