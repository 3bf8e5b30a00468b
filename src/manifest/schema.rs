//! The JSON Schema of manifests, for editors. Out: the text of every schema file, the same in every run.
//! Never read back: what a manifest may be is decided by the types, and the schema is made of them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::document::{ApiVersion, Metadata};
use super::kinds::ManifestKind;
use crate::problemset::spec::ProblemSetSpec;
use crate::resource::container::ContainerSpec;
use crate::resource::image::ImageSpec;
use crate::resource::network::NetworkSpec;
use crate::resource::volume::VolumeSpec;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A schema file's name and text.
pub type SchemaFile = (String, String);

/// The schema of every kind at once, and of each alone.
pub fn files() -> Vec<SchemaFile> {
    let all = ("manifest.schema.json".to_owned(), text(&any_kind()));
    let each = ManifestKind::ALL
        .into_iter()
        .map(|kind| (format!("{}.schema.json", kind.as_str().to_lowercase()), text(&one_kind(kind))));
    std::iter::once(all).chain(each).collect()
}

/// One schema for every kind.
///
/// Not `oneOf`: a validator would say of a misspelt field only that no alternative fits. Where `kind`
/// chooses the schema of `spec`, it names the field.
pub fn any_kind() -> Value {
    let mut generator = generator();
    let choices: Vec<Value> = ManifestKind::ALL
        .into_iter()
        .map(|kind| {
            let mut then = json!({"properties": {"spec": spec(kind, &mut generator)}});
            if needs_spec(kind) {
                then["required"] = json!(["spec"]);
            }
            json!({
                "if": {"properties": {"kind": {"const": kind.as_str()}}, "required": ["kind"]},
                "then": then,
            })
        })
        .collect();
    let kinds = json!({
        "description": "What the manifest describes.",
        "enum": ManifestKind::ALL.map(ManifestKind::as_str),
    });
    let mut schema =
        envelope("An Invigil manifest", &kinds, &json!({"type": ["object", "null"]}), &mut generator);
    schema["allOf"] = Value::Array(choices);
    with_definitions(schema, &mut generator)
}

/// The schema of one kind.
pub fn one_kind(kind: ManifestKind) -> Value {
    let mut generator = generator();
    let spec = spec(kind, &mut generator);
    let word = json!({"description": "What the manifest describes.", "const": kind.as_str()});
    let mut schema = envelope(&format!("An Invigil {kind}"), &word, &spec, &mut generator);
    if needs_spec(kind)
        && let Some(required) = schema["required"].as_array_mut()
    {
        required.push("spec".into());
    }
    with_definitions(schema, &mut generator)
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

/// Whether a manifest without a spec would be refused.
const fn needs_spec(kind: ManifestKind) -> bool {
    match kind {
        ManifestKind::ProblemSet | ManifestKind::Image | ManifestKind::Container => true,
        ManifestKind::Network | ManifestKind::Volume => false,
    }
}

fn spec(kind: ManifestKind, generator: &mut SchemaGenerator) -> Value {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
        generator.subschema_for::<T>().to_value()
    }
    match kind {
        ManifestKind::ProblemSet => of::<ProblemSetSpec>(generator),
        ManifestKind::Image => of::<ImageSpec>(generator),
        ManifestKind::Container => of::<ContainerSpec>(generator),
        ManifestKind::Network => json!({"anyOf": [of::<NetworkSpec>(generator), {"type": "null"}]}),
        ManifestKind::Volume => json!({"anyOf": [of::<VolumeSpec>(generator), {"type": "null"}]}),
    }
}

fn envelope(title: &str, kind: &Value, spec: &Value, generator: &mut SchemaGenerator) -> Value {
    json!({
        "$schema": DRAFT,
        "title": title,
        "type": "object",
        "properties": {
            "apiVersion": generator.subschema_for::<ApiVersion>(),
            "kind": kind,
            "metadata": generator.subschema_for::<Metadata>(),
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata"],
        "additionalProperties": false,
    })
}

fn with_definitions(mut schema: Value, generator: &mut SchemaGenerator) -> Value {
    let definitions: Map<String, Value> = generator.take_definitions(true);
    schema["$defs"] = Value::Object(definitions);
    schema
}

/// Indented, with the line break that ends a text file. `serde_json` sorts the keys.
fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{any_kind, files};

    fn errors(schema: &Value, manifest: &Value) -> Vec<String> {
        let validator = jsonschema::draft202012::new(schema).expect("a schema");
        validator.iter_errors(manifest).map(|error| error.to_string()).collect()
    }

    fn manifest(kind: &str, spec: &Value) -> Value {
        json!({"apiVersion": "invigil/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec})
    }

    #[test]
    fn a_good_manifest_of_every_kind_fits() {
        let item = json!({"id": "8", "type": "true_false", "prompt": "1+1=2", "key": {"bool": true}});
        for manifest in [
            manifest("ProblemSet", &json!({"title": "期中考试", "items": [item]})),
            manifest("Image", &json!({"pull": {"reference": "nginx:1.15"}})),
            manifest("Container", &json!({"image": "nginx", "ports": ["80:80", {"container": 81}]})),
            manifest("Network", &json!({"internal": true})),
            manifest("Volume", &Value::Null),
        ] {
            assert_eq!(errors(&any_kind(), &manifest), Vec::<String>::new(), "{manifest}");
        }
    }

    #[test]
    fn a_misspelt_field_is_named() {
        assert_eq!(
            errors(&any_kind(), &manifest("Container", &json!({"image": "nginx", "portz": []}))),
            ["Additional properties are not allowed ('portz' was unexpected)"]
        );
        assert_eq!(
            errors(&any_kind(), &manifest("Exm", &json!({}))),
            [r#""Exm" is not one of "ProblemSet", "Image" or 3 other candidates"#]
        );
    }

    #[test]
    fn every_field_has_a_description() {
        fn undescribed(value: &Value, path: &str, found: &mut Vec<String>) {
            if let Some(properties) = value.get("properties").and_then(Value::as_object) {
                for (name, property) in properties {
                    if property.get("description").is_none() {
                        found.push(format!("{path}.{name}"));
                    }
                }
            }
            for (key, inner) in value.as_object().into_iter().flatten() {
                undescribed(inner, &format!("{path}/{key}"), found);
            }
        }
        let mut found = Vec::new();
        undescribed(&any_kind()["$defs"], "", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn files_are_the_same_in_every_run() {
        assert_eq!(files(), files());
        let names: Vec<String> = files().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[..2], ["manifest.schema.json", "problemset.schema.json"]);
        assert_eq!(names.len(), 6);
    }
}
