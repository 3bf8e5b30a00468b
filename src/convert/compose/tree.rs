//! A Compose file as a tree whose texts are filled in. In: nodes and variables. Out: [`Item`]s that know their
//! place. Knows no key.

use std::collections::BTreeMap;

use super::interpolation::{Unset, interpolate};
use crate::convert::{Note, Refusal};
use crate::fields::{Lost, plain};
use crate::manifest::diagnostic::Position;
use crate::manifest::tree::{Node, Value};
use crate::resource::env::looks_secret;
use crate::resource::violation::{FieldPath, Segment};

/// The most bytes of variables' values in one file: eight times as many as it may have itself.
const FILLED_MAX: usize = 8 << 20;

/// A value, where it stands and what it is called.
#[derive(Debug)]
pub(super) struct Item {
    pub position: Position,
    pub path: FieldPath,
    pub content: Content,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Content {
    Nothing,
    Text(String),
    List(Vec<Item>),
    Mapping(Vec<(String, Item)>),
}

/// What is found on the way.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub notes: Vec<Note>,
    pub refusals: Vec<Refusal>,
    /// How many bytes of variables' values were filled in.
    filled: usize,
}

impl Item {
    /// Reads a node; every variable in it is replaced.
    pub fn read(
        node: &Node<'_>,
        path: FieldPath,
        position: Position,
        variables: &BTreeMap<String, String>,
        findings: &mut Findings,
    ) -> Self {
        let content = match &node.value {
            _ if node.is_null() => Content::Nothing,
            Value::Plain(text) | Value::Quoted(text) => {
                Content::Text(filled_in(text, &path, position, variables, findings))
            }
            Value::List(items) => Content::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        Self::read(item, path.index(index), item.position, variables, findings)
                    })
                    .collect(),
            ),
            Value::Mapping(entries) => Content::Mapping(
                entries
                    .iter()
                    .map(|entry| {
                        let scalar = entry.value.text().is_some() && !entry.value.is_null();
                        let position = if scalar { entry.value.position } else { entry.position };
                        let item =
                            Self::read(&entry.value, path.key(&entry.key), position, variables, findings);
                        (entry.key.to_string(), item)
                    })
                    .collect(),
            ),
        };
        Self { position, path, content }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self.content, Content::Nothing)
    }

    /// A mapping's entries; none of anything else.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries = match &self.content {
            Content::Mapping(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(key, item)| (key.as_str(), item))
    }

    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().find(|(own, _)| *own == key).map(|(_, item)| item)
    }

    /// The text under a key.
    pub fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// A list's elements; a lone value is its own list.
    pub fn elements(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            Content::Nothing => &[],
            _ => std::slice::from_ref(self),
        }
    }

    pub fn is_true(&self) -> bool {
        self.text() == Some("true")
    }

    /// That this is left out.
    pub fn note(&self, why: Option<&str>) -> Note {
        let key = self.path.to_string();
        let last = match self.path.segments().last() {
            Some(Segment::Key(key)) => key.as_str(),
            _ => "",
        };
        let value = match &self.content {
            Content::Text(_) if looks_secret(last) => "(hidden)".to_owned(),
            Content::Text(text) => plain(text),
            _ => String::new(),
        };
        let lost = Lost { path: plain(&key), value, why: why.map(str::to_owned) };
        Note { position: Some(self.position), lost }
    }
}

fn filled_in(
    text: &str,
    path: &FieldPath,
    position: Position,
    variables: &BTreeMap<String, String>,
    findings: &mut Findings,
) -> String {
    let mut unset = Vec::new();
    let mut room = FILLED_MAX.saturating_sub(findings.filled);
    let Some(filled) = interpolate(text, variables, &mut unset, &mut room) else {
        // Once: everything after it would not fit either.
        if findings.filled < FILLED_MAX {
            findings.filled = FILLED_MAX;
            findings.refusals.push(Refusal {
                position: Some(position),
                message: format!(
                    "{path}: with the values of its variables the file is larger than it may be (8Mi)"
                ),
                hint: Some("is one of them set to a whole file?".to_owned()),
            });
        }
        return String::new();
    };
    findings.filled = FILLED_MAX - room;
    for Unset { name, required } in unset {
        let name = plain(&name);
        match required {
            Some(why) => findings.refusals.push(Refusal {
                position: Some(position),
                message: match plain(&why).as_str() {
                    "" => format!("{path}: ${{{name}}} is not set, and has to be"),
                    why => format!("{path}: ${{{name}}} is not set, and has to be: {why}"),
                },
                hint: Some("set it in the environment, or in .env beside the file".to_owned()),
            }),
            None => findings.notes.push(Note {
                position: Some(position),
                lost: Lost {
                    path: plain(&path.to_string()),
                    value: format!("${{{name}}}"),
                    why: Some("it is not set, and taken as empty, as Compose does".to_owned()),
                },
            }),
        }
    }
    filled
}
