//! The table of fields for readers, in Markdown. Out: text, the same in every run.

use std::fmt::Write;

use super::{Class, EXCLUDED, Field, Place, all};

/// Every field with the flag of `docker run` that says the same and what changing it takes, and every
/// flag that is no field with the reason.
pub fn document() -> String {
    let mut text = "# The fields of a container\n\n\
        Made from the code by `invigil schema --write`. What each field means stands in\n\
        `container.schema.json`.\n\n\
        | field | `docker run` | engine | a change |\n|---|---|---|---|\n"
        .to_owned();
    for field in all() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {} |",
            field.name,
            field.flag,
            engine_key(field),
            change(field.class)
        );
    }
    text.push_str("\n## Flags of `docker run` that are no field\n\n| flag | why |\n|---|---|\n");
    for (flag, why) in EXCLUDED {
        let _ = writeln!(text, "| `{flag}` | {why} |");
    }
    text
}

fn engine_key(field: &Field) -> String {
    match field.place {
        Place::Config(key) => format!("`Config.{key}`"),
        Place::Host(key) => format!("`HostConfig.{key}`"),
        Place::Inspection | Place::Attached(_) => "`NetworkSettings.Networks`".to_owned(),
        Place::Asked => "the create call's query".to_owned(),
    }
}

const fn change(class: Class) -> &'static str {
    match class {
        Class::Update => "in place",
        Class::UpdateIfSet => "in place; taking it away replaces the container",
        Class::Connect => "in place: connect and disconnect",
        Class::Replace => "replaces the container",
    }
}
