//! The manifest of a converted body. In: the body's text. Out: YAML text, as an author would write it.
//! Does not write the line that names the schema: where the schema is, is the caller's to know.

use serde::Serialize;

use crate::problemset::spec::ProblemSetSpec;
use crate::problemset::yaml;
use crate::resource::violation::{FieldPath, Violation};

use super::body::{Converted, Options, convert};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    spec: &'a ProblemSetSpec,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
}

/// Turns a `BuildImage` body into a `ProblemSet` manifest, keys included, and warnings.
///
/// Guarantees: the text reads back as the spec that was converted, and that spec is valid.
pub fn manifest_yaml(body: &str, options: &Options) -> Result<(String, Vec<Violation>), Vec<Violation>> {
    let Converted { name, spec, warnings } = convert(body, options)?;
    let manifest = Manifest {
        api_version: "invigil/v1",
        kind: "ProblemSet",
        metadata: Metadata { name: &name },
        spec: &spec,
    };
    let value = serde_yaml::to_value(&manifest)
        .map_err(|_| vec![Violation::error(FieldPath::root(), "cannot be written as YAML")])?;
    Ok((yaml::to_text(&value), warnings))
}
