//! What networks and volumes have in common: fields that are plain texts, none of which changes in place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Told;
use crate::resource::env::{TextMap, looks_secret};
use crate::resource::label;

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

pub(super) fn texts(value: &Value) -> TextMap {
    let entries = value.as_object().into_iter().flatten();
    TextMap(
        entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect(),
    )
}

/// Labels without ours.
pub(super) fn own_labels(value: &Value) -> TextMap {
    let mut labels = texts(value);
    labels.0.retain(|key, _| !key.starts_with(label::PREFIX));
    labels
}

pub(super) fn put_texts(fields: &mut BTreeMap<String, String>, field: &str, texts: &TextMap) {
    fields.extend(texts.0.iter().map(|(key, value)| (format!("{field}.{key}"), value.clone())));
}

/// Three-way: a field counts where the manifest says it, or said it at the creation; in the second case
/// the engine's default is expected.
pub(super) fn differences(
    wanted: &BTreeMap<String, String>,
    created: Option<&BTreeMap<String, String>>,
    live: &BTreeMap<String, String>,
    default: impl Fn(&str) -> Option<String>,
) -> Vec<Told> {
    let said: BTreeSet<&String> = wanted.keys().chain(created.into_iter().flat_map(BTreeMap::keys)).collect();
    said.into_iter()
        .filter_map(|field| {
            let expected = wanted.get(field).cloned().or_else(|| default(field));
            let there = live.get(field).cloned();
            // The options of a volume may be a share's password.
            let shown = |value: Option<String>| match value {
                Some(_) if looks_secret(field) || field == "options.o" => Some("(hidden)".to_owned()),
                value => value,
            };
            (expected != there).then(|| Told {
                field: field.clone(),
                from: shown(there),
                to: shown(expected),
            })
        })
        .collect()
}
