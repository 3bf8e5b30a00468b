//! Names and identities. In: text. Out: [`Name`], [`ResourceId`], [`Owner`], which need no checking again.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The longest name: leaves room for the suffixes of a replacement within a DNS-like 128.
const NAME_MAX: usize = 100;

/// A resource's name: what Docker accepts as a container's name, 2 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name can be a component of an image repository, which Docker wants in lower case.
    pub fn is_repository_component(&self) -> bool {
        is_path_component(&self.0)
    }
}

/// Whether `text` is one component of an image repository's path (the distribution grammar's
/// `path-component`: lower-case alphanumerics, separated by `.`, one or two `_`, or any number of `-`).
pub(super) fn is_path_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separator = String::new();
    if !text.starts_with(alphanumeric) || !text.ends_with(alphanumeric) {
        return false;
    }
    for c in text.chars() {
        if alphanumeric(c) {
            let fits = matches!(separator.as_str(), "" | "." | "_" | "__")
                || (!separator.is_empty() && separator.chars().all(|c| c == '-'));
            if !fits {
                return false;
            }
            separator.clear();
        } else {
            separator.push(c);
        }
    }
    true
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut characters = text.chars();
        let starts_well = characters.next().is_some_and(|c| c.is_ascii_alphanumeric());
        let goes_on_well = characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if !starts_well || !goes_on_well {
            return Err(format!(
                "`{}` is not a name (letters, digits, `_`, `.` and `-`, beginning with a letter or digit)",
                text.escape_debug()
            ));
        }
        if !(2..=NAME_MAX).contains(&text.len()) {
            return Err(format!("a name has 2 to {NAME_MAX} characters, this one has {}", text.len()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 2,
            "maxLength": NAME_MAX,
            "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]+$",
            "description": "Letters, digits, `_`, `.` and `-`, beginning with a letter or digit.",
        })
    }
}

/// What a resource is on the engine. In the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An image; problem sets become these.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// A container.
    Container,
}

impl Kind {
    /// Every kind, in the order in which they are made.
    pub const ALL: [Self; 4] = [Self::Image, Self::Network, Self::Volume, Self::Container];

    /// The word used in ids: `container`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Container => "container",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A resource's identity, shown as `container/web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// What it is.
    pub kind: Kind,
    /// What it is called.
    pub name: Name,
}

impl ResourceId {
    /// The id of `kind` called `name`.
    pub const fn new(kind: Kind, name: Name) -> Self {
        Self { kind, name }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl FromStr for ResourceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text
            .split_once('/')
            .ok_or_else(|| format!("`{}` is not a resource (kind/name)", text.escape_debug()))?;
        let kind = Kind::ALL
            .into_iter()
            .find(|candidate| candidate.as_str() == kind)
            .ok_or_else(|| format!("`{}` is not a kind of resource", kind.escape_debug()))?;
        Ok(Self::new(kind, name.parse()?))
    }
}

impl Serialize for ResourceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for ResourceId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ResourceId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = Kind::ALL.map(Kind::as_str).join("|");
        json_schema!({
            "type": "string",
            "pattern": format!("^({kinds})/[a-zA-Z0-9][a-zA-Z0-9_.-]+$"),
            "description": "A resource: `container/web`.",
        })
    }
}

/// The name of this Invigil instance on the host. Only what bears it is ever touched.
///
/// Lower case like an image repository's component, because it is part of the tags that mark images.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

impl Owner {
    /// The owner as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() <= 63 && is_path_component(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{}` is not an owner (lower-case letters and digits, separated by `.`, `_` or `-`, at most 63)",
                text.escape_debug()
            ))
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_docker_takes_for_a_container() {
        for good in ["seat-01", "a1", "Web_1.x"] {
            assert_eq!(good.parse::<Name>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a", "-a", "../info?x=", "座位", "a b", "a\u{1b}[31m"] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_resource_id_reads_back_what_it_shows() {
        let id: ResourceId = "container/seat-01".parse().expect("an id");
        assert_eq!(id.to_string(), "container/seat-01");
        assert_eq!("pod/x1".parse::<ResourceId>(), Err("`pod` is not a kind of resource".to_owned()));
    }

    #[test]
    fn repository_components_follow_the_distribution_grammar() {
        for good in ["a", "img-test", "a__b", "a---b", "a.b_c"] {
            assert!(is_path_component(good), "{good}");
        }
        for bad in ["", "A", "a..b", "a___b", "-a", "a-", "a._b"] {
            assert!(!is_path_component(bad), "{bad}");
        }
    }
}
