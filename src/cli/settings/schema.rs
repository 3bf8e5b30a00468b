//! The JSON Schema of the configuration file, for editors. Made of the settings themselves.

use clap::Command;
use serde_json::{Value, json};

use super::Setting;

/// The schema file's name and text.
pub(in crate::cli) fn file(command: &Command) -> (String, String) {
    let mut schema =
        section("What Invigil is to know of its host: settings that flags and variables override.");
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Invigil's configuration".into();
    for setting in Setting::all(command) {
        let (sections, name) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        let mut inner = &mut schema;
        for name in sections.split('.').filter(|name| !name.is_empty()) {
            let next = &mut inner["properties"][name];
            if next.is_null() {
                *next = section(&format!("Settings of `{name}`."));
            }
            inner = next;
        }
        inner["properties"][name] = setting.schema();
    }
    ("config.schema.json".to_owned(), format!("{schema:#}\n"))
}

fn section(description: &str) -> Value {
    json!({"type": "object", "description": description, "properties": {}, "additionalProperties": false})
}
