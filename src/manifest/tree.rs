//! YAML as a tree of nodes that know where they stand. Finds the place of a field; knows no kind and no
//! schema.

use std::borrow::Cow;

use super::diagnostic::Position;
use crate::resource::violation::{FieldPath, Segment};

/// One document of a file.
#[derive(Debug)]
pub struct Document<'t> {
    /// What it says, as far as it could be read.
    pub root: Node<'t>,
    /// What is wrong with its notation, in the order of places. With a fault the document is unusable.
    pub faults: Vec<Fault>,
    /// Whether the notation broke off: what comes after is not in [`Self::root`].
    pub broken_off: bool,
}

/// Something that is wrong with the notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub position: Position,
    /// The field, where it has a name.
    pub path: FieldPath,
    /// What.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A value and its place.
#[derive(Debug)]
pub struct Node<'t> {
    /// Where it begins.
    pub position: Position,
    /// What it is.
    pub value: Value<'t>,
    /// Whether it was refused and is to be read as if it were not there, so that what else is wrong
    /// can be found.
    pub refused: bool,
    /// Whether, being refused, it is read as the least value of its type: without one what holds it could not be read.
    pub stands_in: bool,
    /// Whether it was refused for its key: it may have been meant for any field that is not there.
    pub misnamed: bool,
}

/// What a node is.
#[derive(Debug)]
pub enum Value<'t> {
    /// Text without quotes, which may be meant as a number, a boolean or nothing.
    Plain(Cow<'t, str>),
    /// Text in quotes or in a block.
    Quoted(Cow<'t, str>),
    /// A list.
    List(Vec<Node<'t>>),
    /// A mapping, in the order of the file.
    Mapping(Vec<Entry<'t>>),
}

/// A key and its value.
#[derive(Debug)]
pub struct Entry<'t> {
    /// The key.
    pub key: Cow<'t, str>,
    /// Where the key begins.
    pub position: Position,
    /// The value.
    pub value: Node<'t>,
}

impl Entry<'_> {
    fn outline(&self) -> Entry<'static> {
        let key = Cow::Owned(self.key.clone().into_owned());
        Entry { key, position: self.position, value: self.value.outline() }
    }
}

impl<'t> Node<'t> {
    /// A node that is not refused.
    pub const fn new(position: Position, value: Value<'t>) -> Self {
        Self { position, value, refused: false, stands_in: false, misnamed: false }
    }

    /// The value of a mapping's key; `None` too if this is no mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A mapping's entry.
    pub fn entry(&self, key: &str) -> Option<&Entry<'t>> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) | Value::Quoted(text) => Some(text),
            Value::List(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether this says nothing: `~`, `null`, or no text at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Plain(text) if matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Where to point for a field: at the value if it is a scalar, else at its key. A field that is not
    /// there is placed at the nearest thing around it that is.
    pub fn place(&self, path: &FieldPath) -> Position {
        let mut node = self;
        let mut position = self.position;
        for segment in path.segments() {
            let (key, next) = match (segment, &node.value) {
                (Segment::Key(key), _) => match node.entry(key) {
                    Some(entry) => (Some(entry.position), &entry.value),
                    None => return position,
                },
                (Segment::Index(index), Value::List(items)) => match items.get(*index) {
                    Some(item) => (None, item),
                    None => return position,
                },
                (Segment::Index(_), _) => return position,
            };
            let scalar = next.text().is_some() && !next.is_null();
            position = key.filter(|_| !scalar).unwrap_or(next.position);
            node = next;
        }
        position
    }

    /// The same without what it says: where everything stands, for as long as that is wanted.
    pub fn outline(&self) -> Node<'static> {
        let value = match &self.value {
            Value::List(items) => Value::List(items.iter().map(Node::outline).collect()),
            Value::Mapping(entries) => Value::Mapping(entries.iter().map(Entry::outline).collect()),
            _ if self.is_null() => Value::Plain(Cow::Borrowed("~")),
            Value::Plain(_) | Value::Quoted(_) => Value::Quoted(Cow::Borrowed("")),
        };
        Node { refused: self.refused, ..Node::new(self.position, value) }
    }

    /// Where a field's key is, if it is there.
    pub fn place_of_key(&self, path: &FieldPath) -> Option<Position> {
        match path.segments().last()? {
            Segment::Key(key) => self.at(&path.parent()?)?.entry(key).map(|entry| entry.position),
            Segment::Index(_) => None,
        }
    }

    /// The node at a path.
    pub fn at(&self, path: &FieldPath) -> Option<&Self> {
        path.segments().iter().try_fold(self, |node, segment| match (segment, &node.value) {
            (Segment::Key(key), _) => node.get(key),
            (Segment::Index(index), Value::List(items)) => items.get(*index),
            (Segment::Index(_), _) => None,
        })
    }

    /// The node at a path, to mark it.
    pub fn at_mut(&mut self, path: &FieldPath) -> Option<&mut Self> {
        path.segments().iter().try_fold(self, |node, segment| match (segment, &mut node.value) {
            (Segment::Key(key), Value::Mapping(entries)) => {
                entries.iter_mut().find(|entry| entry.key == key.as_str()).map(|entry| &mut entry.value)
            }
            (Segment::Index(index), Value::List(items)) => items.get_mut(*index),
            _ => None,
        })
    }

    /// Refuses the node at a path. Whether it was there and not yet refused.
    pub fn refuse(&mut self, path: &FieldPath) -> bool {
        self.at_mut(path).is_some_and(|node| !std::mem::replace(&mut node.refused, true))
    }

    /// Lets the least value of its type stand for a field of the mapping at a path that was refused, or is not there.
    pub fn let_stand_in(&mut self, path: &FieldPath, field: &str) {
        let Some(mapping) = self.at_mut(path) else { return };
        let position = mapping.position;
        let Value::Mapping(entries) = &mut mapping.value else { return };
        let at = entries.iter().position(|entry| entry.key == field).unwrap_or_else(|| {
            let value = Node { refused: true, ..Node::new(position, Value::Plain(Cow::Borrowed(""))) };
            entries.push(Entry { key: Cow::Owned(field.to_owned()), position, value });
            entries.len() - 1
        });
        entries[at].value.stands_in = true;
    }
}
