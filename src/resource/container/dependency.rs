//! Dependencies between containers. In: manifests. Out: [`Dependency`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::name::Name;
use crate::resource::notation::Notation;

/// A container that has to be up first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The container.
    pub container: Name,
    /// How far it has to be.
    pub condition: Condition,
}

/// How far a container has to be before those that depend on it start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// It runs.
    #[default]
    Started,
    /// Its health check succeeds.
    Healthy,
    /// It ran to its end, without an error.
    Completed,
}

/// The long form of a dependency.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::resource) struct DependencyForm {
    /// The container's name.
    container: Name,
    /// How far it has to be.
    #[serde(default)]
    condition: Condition,
}

impl Notation for Dependency {
    type Long = DependencyForm;
    const EXPECTED: &'static str = "a container's name";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { container: text.parse()?, condition: Condition::Started })
    }

    fn from_long(long: DependencyForm) -> Result<Self, String> {
        Ok(Self { container: long.container, condition: long.condition })
    }
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::resource::notation::deserialize(deserializer)
    }
}

impl Serialize for Dependency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DependencyForm { container: self.container.clone(), condition: self.condition }.serialize(serializer)
    }
}

impl JsonSchema for Dependency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dependency".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A container that has to be up first: its name, or written out.",
            "anyOf": [generator.subschema_for::<Name>(), generator.subschema_for::<DependencyForm>()],
        })
    }
}
