//! The members of one JSON object of the old service. In: a tree and the names that are known. Out: the
//! members by name, and a violation for each that is unknown, there twice or of the wrong type. Knows no
//! field's meaning.

use std::collections::BTreeMap;

use crate::problemset::text::{closest, quoted};
use crate::resource::violation::{FieldPath, Violation};

use super::json::Json;

/// An object's members, each name once.
pub(super) struct Fields<'a> {
    path: FieldPath,
    members: BTreeMap<&'a str, &'a Json>,
}

/// The members of `json`, the first of each name. `None` when it is no object, which is reported.
pub(super) fn members<'a>(
    path: &FieldPath,
    json: &'a Json,
    violations: &mut Vec<Violation>,
) -> Option<BTreeMap<&'a str, &'a Json>> {
    let Json::Object(written) = json else {
        let message = format!("expected an object, found {}", json.described());
        violations.push(Violation::error(path.clone(), message));
        return None;
    };
    let mut members = BTreeMap::new();
    for (name, value) in written {
        if members.contains_key(name.as_str()) {
            violations.push(Violation::error(path.clone(), format!("{} is there twice", quoted(name))));
        } else {
            members.insert(name.as_str(), value);
        }
    }
    Some(members)
}

impl<'a> Fields<'a> {
    /// The members of `json`, of which only `known` may be there.
    pub(super) fn read(
        path: &FieldPath,
        json: &'a Json,
        known: &[&str],
        violations: &mut Vec<Violation>,
    ) -> Option<Self> {
        let members = members(path, json, violations)?;
        for name in members.keys().filter(|name| !known.contains(name)) {
            let violation = Violation::error(path.clone(), format!("unknown field {}", quoted(name)));
            violations.push(violation.with_hint(match closest(name, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the fields are {}", known.join(", ")),
            }));
        }
        Some(Self { path: path.clone(), members })
    }

    /// The way to the field `name`.
    pub(super) fn path(&self, name: &str) -> FieldPath {
        self.path.key(name)
    }

    /// The value of `name`, whatever it is; `None` when it is not there.
    pub(super) fn get(&self, name: &str) -> Option<&'a Json> {
        self.members.get(name).copied()
    }

    /// The text of `name`, with line ends as `\n`; `None` when it is not there, null, blank or no text,
    /// the last of which is reported.
    pub(super) fn text(&self, name: &str, violations: &mut Vec<Violation>) -> Option<String> {
        match self.get(name)? {
            Json::Null => None,
            Json::Text(text) if text.trim().is_empty() => None,
            Json::Text(text) => Some(text.replace("\r\n", "\n")),
            other => {
                let message = format!("expected a text, found {}", other.described());
                violations.push(Violation::error(self.path(name), message));
                None
            }
        }
    }

    /// As [`Self::text`], and reported as missing when it is not there or blank.
    pub(super) fn required(&self, name: &str, violations: &mut Vec<Violation>) -> Option<String> {
        let before = violations.len();
        let text = self.text(name, violations);
        if text.is_none() && violations.len() == before {
            violations.push(Violation::error(self.path(name), "is missing or empty"));
        }
        text
    }
}
