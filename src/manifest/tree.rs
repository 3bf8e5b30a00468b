//! YAML text as trees of nodes that know where they stand. In: a file's text. Out: one [`Document`]
//! for every document, and every fault of the notation. Never resolves an alias, so that a small file
//! cannot stand for a large value, and never goes deeper than [`DEPTH_MAX`].

use std::borrow::Cow;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::diagnostic::Position;
use crate::resource::violation::{FieldPath, Segment};

/// How deep mappings and lists may stand in each other. No kind needs a tenth of it.
pub const DEPTH_MAX: usize = 64;

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

impl<'t> Node<'t> {
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

    /// Where a field's key is, if it is there.
    pub fn place_of_key(&self, path: &FieldPath) -> Option<Position> {
        match path.segments().last()? {
            Segment::Key(key) => self.at(&path.parent()?)?.entry(key).map(|entry| entry.position),
            Segment::Index(_) => None,
        }
    }

    fn at(&self, path: &FieldPath) -> Option<&Self> {
        path.segments().iter().try_fold(self, |node, segment| match (segment, &node.value) {
            (Segment::Key(key), _) => node.get(key),
            (Segment::Index(index), Value::List(items)) => items.get(*index),
            (Segment::Index(_), _) => None,
        })
    }

    /// Refuses the node at a path. Whether it was there and not yet refused.
    pub fn refuse(&mut self, path: &FieldPath) -> bool {
        let mut node = self;
        for segment in path.segments() {
            let next = match (segment, &mut node.value) {
                (Segment::Key(key), Value::Mapping(entries)) => {
                    entries.iter_mut().find(|entry| entry.key == key.as_str()).map(|entry| &mut entry.value)
                }
                (Segment::Index(index), Value::List(items)) => items.get_mut(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return false,
            }
        }
        !std::mem::replace(&mut node.refused, true)
    }
}

/// Reads a file's documents. Documents that say nothing are left out.
pub fn read(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    for (first_line, chunk) in chunks(text) {
        Reader::new(first_line, chunk).read_into(&mut documents);
    }
    documents
}

/// Cuts a file before every line that begins with `---`: such a line always begins a document,
/// whatever stands before it (YAML 1.2.2, 9.1.2), so that a fault in one document does not hide the
/// next one. With the number of lines before each piece.
fn chunks(text: &str) -> Vec<(usize, &str)> {
    let is_marker = |line: &str| {
        line.strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let (mut chunks, mut begin, mut first_line, mut offset) = (Vec::new(), 0, 0, 0);
    let mut only_directives = true;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line) && !only_directives {
            chunks.push((first_line, &text[begin..offset]));
            (begin, first_line) = (offset, number);
        }
        // `%YAML 1.2` belongs to the marker after it.
        only_directives &= line.trim().is_empty() || line.starts_with(['%', '#']);
        offset += line.len();
    }
    chunks.push((first_line, &text[begin..]));
    chunks
}

/// Builds the documents of one chunk from the parser's events.
struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    lines_before: usize,
    open: Vec<Open<'t>>,
    faults: Vec<Fault>,
}

/// A list or mapping whose end has not come yet.
enum Open<'t> {
    List { position: Position, items: Vec<Node<'t>> },
    Mapping { position: Position, entries: Vec<Entry<'t>>, key: Option<(Cow<'t, str>, Position)> },
}

impl<'t> Open<'t> {
    fn close(self) -> Node<'t> {
        match self {
            Self::List { position, items } => Node::new(position, Value::List(items)),
            Self::Mapping { position, entries, .. } => Node::new(position, Value::Mapping(entries)),
        }
    }
}

impl<'t> Node<'t> {
    const fn new(position: Position, value: Value<'t>) -> Self {
        Self { position, value, refused: false }
    }
}

impl<'t> Reader<'t> {
    fn new(lines_before: usize, text: &'t str) -> Self {
        Self { parser: Parser::new_from_str(text), lines_before, open: Vec::new(), faults: Vec::new() }
    }

    fn position(&self, marker: Marker) -> Position {
        Position { line: self.lines_before + marker.line(), column: marker.col() + 1 }
    }

    fn read_into(mut self, documents: &mut Vec<Document<'t>>) {
        let mut root = None;
        while let Some(next) = self.parser.next() {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    let position = self.position(*error.marker());
                    let hint = error.info().contains("tab").then_some("indent with spaces");
                    self.fault(position, plain_words(error.info()), hint);
                    return self.break_off(position, documents);
                }
            };
            let complete = match event {
                Event::DocumentEnd => {
                    let faults = std::mem::take(&mut self.faults);
                    match root.take() {
                        Some(root) if !(Node::is_null(&root) && faults.is_empty()) => {
                            documents.push(Document { root, faults, broken_off: false });
                        }
                        _ => {}
                    }
                    None
                }
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => None,
                event => self.take(event, span),
            };
            if complete.is_some() {
                root = complete;
            }
            if self.open.len() > DEPTH_MAX {
                let position = self.position(span.start);
                self.fault(
                    position,
                    format!("this stands in more than {DEPTH_MAX} lists and mappings"),
                    None,
                );
                return self.break_off(position, documents);
            }
        }
    }

    /// Keeps what was read before the notation broke off: it may say which resource this is about.
    fn break_off(mut self, position: Position, documents: &mut Vec<Document<'t>>) {
        let mut root = None;
        while let Some(open) = self.open.pop() {
            let node = open.close();
            root = match self.open.last_mut() {
                Some(_) => self.place(node),
                None => Some(node),
            };
        }
        let root = root.unwrap_or_else(|| Node::new(position, Value::Plain(Cow::Borrowed(""))));
        documents.push(Document { root, faults: self.faults, broken_off: true });
    }

    /// Takes one event of a document's content; the root once it is complete.
    fn take(&mut self, event: Event<'t>, span: Span) -> Option<Node<'t>> {
        let position = self.position(span.start);
        let tagged = match &event {
            Event::Scalar(.., tag) | Event::SequenceStart(_, tag) | Event::MappingStart(_, tag) => {
                tag.is_some()
            }
            _ => false,
        };
        if tagged {
            let hint = "a text that looks like something else is put in quotes";
            self.fault(position, "a tag (`!`) has no meaning in a manifest", Some(hint));
        }
        match event {
            Event::SequenceStart(..) => {
                self.open.push(Open::List { position, items: Vec::new() });
                None
            }
            Event::MappingStart(..) => {
                self.open.push(Open::Mapping { position, entries: Vec::new(), key: None });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = self.open.pop()?.close();
                self.report_repeated_keys(&node);
                self.place(node)
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) => {
                self.place(Node::new(position, Value::Plain(text)))
            }
            Event::Scalar(text, ..) => self.place(Node::new(position, Value::Quoted(text))),
            Event::Alias(_) => {
                self.fault(position, "an alias (`*`) is not supported", Some("write the value out"));
                self.place(Node::new(position, Value::Plain(Cow::Borrowed(""))))
            }
            _ => None,
        }
    }

    /// Puts a complete node where it belongs; gives it back if it is the root.
    fn place(&mut self, node: Node<'t>) -> Option<Node<'t>> {
        match self.open.last_mut() {
            None => return Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => {
                if let Some((key, position)) = key.take() {
                    entries.push(Entry { key, position, value: node });
                    return None;
                }
                let position = node.position;
                if matches!(&node.value, Value::Plain(text) if text == "<<") {
                    *key = Some((Cow::Borrowed("<<"), position));
                    self.fault(position, "the merge key `<<` is not supported", Some("write the fields out"));
                } else if let Value::Plain(text) | Value::Quoted(text) = node.value {
                    *key = Some((text, position));
                } else {
                    *key = Some((Cow::Borrowed("?"), position));
                    self.fault(position, "a key is a text, not a list or a mapping", None);
                }
            }
        }
        None
    }

    fn report_repeated_keys(&mut self, node: &Node<'t>) {
        let Value::Mapping(entries) = &node.value else { return };
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        // Stable: of two entries with one key, the one that stands first in the file comes first.
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        let mut first = None::<&Entry>;
        for entry in sorted {
            match first {
                Some(before) if before.key == entry.key => {
                    let path = self.path().key(&entry.key);
                    let message = format!("this key already stands at {}", before.position);
                    self.faults.push(Fault { position: entry.position, path, message, hint: None });
                }
                _ => first = Some(entry),
            }
        }
    }

    /// The path of the node that is being read.
    fn path(&self) -> FieldPath {
        let segment = |open: &Open<'t>| match open {
            Open::List { items, .. } => Segment::Index(items.len()),
            Open::Mapping { key, .. } => {
                Segment::Key(key.as_ref().map(|(key, _)| key.to_string()).unwrap_or_default())
            }
        };
        self.open.iter().map(segment).collect()
    }

    fn fault(&mut self, position: Position, message: impl Into<String>, hint: Option<&str>) {
        let hint = hint.map(str::to_owned);
        self.faults.push(Fault { position, path: FieldPath::root(), message: message.into(), hint });
    }
}

/// The parser's words for the commonest faults, in words for people who write manifests.
fn plain_words(info: &str) -> String {
    let info =
        info.strip_prefix("while ").and_then(|info| info.split_once(", ")).map_or(info, |(_, what)| what);
    format!("this is not YAML: {info}")
}

#[cfg(test)]
mod tests;
