//! YAML text into trees. In: a file's text. Out: one [`Document`] for every document, and every fault of
//! the notation. Never resolves an alias, so that a small file cannot stand for a large value, and
//! never goes deeper than [`DEPTH_MAX`].

use std::borrow::Cow;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

use super::diagnostic::Position;
use super::tree::{Document, Entry, Fault, Node, Value};
use crate::resource::violation::{FieldPath, Segment};

/// How deep mappings and lists may stand in each other. No kind needs a tenth of it.
pub const DEPTH_MAX: usize = 64;

/// The longest key, in bytes. YAML itself takes no more characters where a key stands without a `?`.
const KEY_MAX: usize = 1024;

/// The most faults told of one document: past it, more lines do not help anybody.
pub const FAULTS_MAX: usize = 50;

/// Reads a file's documents. Documents that say nothing are left out.
pub fn read(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    for (first_line, chunk) in chunks(text) {
        Reader::new(first_line, chunk).read_into(&mut documents);
    }
    documents
}

/// Cuts a file before every line that begins with `---` and after every one that begins with `...`:
/// there a document ends, whatever stands before it (YAML 1.2.2, 9.1.2), so that a fault in one
/// document hides no other. With the number of lines before each piece.
fn chunks(text: &str) -> Vec<(usize, &str)> {
    let is_marker = |line: &str, marker: &str| {
        line.strip_prefix(marker)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let (mut chunks, mut begin, mut first_line, mut offset) = (Vec::new(), 0, 0, 0);
    // `%YAML 1.2` belongs to the marker after it.
    let mut only_directives = true;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line, "---") && !only_directives {
            chunks.push((first_line, &text[begin..offset]));
            (begin, first_line) = (offset, number);
        }
        only_directives &= line.trim().is_empty() || line.starts_with(['%', '#']);
        offset += line.len();
        if is_marker(line, "...") {
            chunks.push((first_line, &text[begin..offset]));
            (begin, first_line, only_directives) = (offset, number + 1, true);
        }
    }
    chunks.push((first_line, &text[begin..]));
    chunks
}

/// Builds the documents of one chunk from the parser's events.
struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    lines_before: usize,
    open: Vec<Open<'t>>,
    faults: Vec<Fault>,
}

/// A list or mapping whose end has not come yet.
enum Open<'t> {
    List { position: Position, items: Vec<Node<'t>> },
    Mapping { position: Position, entries: Vec<Entry<'t>>, key: Option<Key<'t>> },
}

/// A key whose value has not come yet.
struct Key<'t> {
    text: Cow<'t, str>,
    position: Position,
    refused: bool,
}

impl<'t> Open<'t> {
    fn close(self) -> Node<'t> {
        match self {
            Self::List { position, items } => Node::new(position, Value::List(items)),
            Self::Mapping { position, entries, .. } => Node::new(position, Value::Mapping(entries)),
        }
    }
}

impl<'t> Reader<'t> {
    fn new(lines_before: usize, text: &'t str) -> Self {
        let parser = Parser::new_from_str(text);
        Self { parser, text, lines_before, open: Vec::new(), faults: Vec::new() }
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
                    let (message, hint) = plain_words(error.info());
                    let unclosed = self.unclosed(position);
                    self.fault(position, message, unclosed.as_deref().or(hint));
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

    /// What is told of a bracket that is open since a line before: whoever forgot to close it finds the notation broken where
    /// the next field begins.
    fn unclosed(&self, broken: Position) -> Option<String> {
        self.open.iter().rev().find_map(|open| {
            let (Open::List { position, .. } | Open::Mapping { position, .. }) = open;
            let line = self.text.lines().nth(position.line.checked_sub(self.lines_before + 1)?)?;
            let bracket = line.chars().nth(position.column.checked_sub(1)?)?;
            let closing = match bracket {
                '[' => ']',
                '{' => '}',
                _ => return None,
            };
            let Position { line, column } = position;
            (*line < broken.line)
                .then(|| format!("the `{bracket}` in line {line}, column {column}, is still open here: is its `{closing}` missing?"))
        })
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
    ///
    /// What is at fault is refused, so that it is not called wrong a second time for what it holds.
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
        let mut node = match event {
            Event::SequenceStart(..) => {
                self.open.push(Open::List { position, items: Vec::new() });
                return None;
            }
            Event::MappingStart(..) => {
                self.open.push(Open::Mapping { position, entries: Vec::new(), key: None });
                return None;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let mut node = self.open.pop()?.close();
                self.refuse_repeated_keys(&mut node);
                node
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) => Node::new(position, Value::Plain(text)),
            Event::Scalar(text, ..) => Node::new(position, Value::Quoted(text)),
            Event::Alias(_) => {
                self.fault(position, "an alias (`*`) is not supported", Some("write the value out"));
                Node { refused: true, ..Node::new(position, Value::Plain(Cow::Borrowed(""))) }
            }
            _ => return None,
        };
        node.refused |= tagged;
        self.place(node)
    }

    /// Puts a complete node where it belongs; gives it back if it is the root.
    fn place(&mut self, mut node: Node<'t>) -> Option<Node<'t>> {
        match self.open.last_mut() {
            None => return Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => {
                if let Some(Key { text, position, refused }) = key.take() {
                    node.refused |= refused;
                    node.misnamed |= refused;
                    entries.push(Entry { key: text, position, value: node });
                    return None;
                }
                let position = node.position;
                if matches!(&node.value, Value::Plain(text) if text == "<<") {
                    *key = Some(Key { text: Cow::Borrowed("<<"), position, refused: true });
                    self.fault(position, "the merge key `<<` is not supported", Some("write the fields out"));
                } else if node.text().is_some_and(|text| text.len() > KEY_MAX) {
                    *key = Some(Key { text: Cow::Borrowed("?"), position, refused: true });
                    self.fault(position, format!("a key has at most {KEY_MAX} bytes"), None);
                } else if let Value::Plain(text) | Value::Quoted(text) = node.value {
                    *key = Some(Key { text, position, refused: node.refused });
                } else {
                    *key = Some(Key { text: Cow::Borrowed("?"), position, refused: true });
                    self.fault(position, "a key is a text, not a list or a mapping", None);
                }
            }
        }
        None
    }

    fn refuse_repeated_keys(&mut self, node: &mut Node<'t>) {
        let Value::Mapping(entries) = &mut node.value else { return };
        let mut sorted: Vec<&mut Entry> = entries.iter_mut().collect();
        // Stable: of two entries with one key, the one that stands first in the file comes first.
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        let mut first = None::<(&str, Position)>;
        // The last key that was told of past the most faults.
        let mut told = None;
        for entry in sorted {
            match first {
                Some((key, position)) if key == entry.key => {
                    entry.value.refused = true;
                    if self.faults.len() >= FAULTS_MAX {
                        // Told once, however many there are: which resource this is depends on them.
                        let identifies = self.open.is_empty() && matches!(key, "kind" | "metadata");
                        if !identifies || told.replace(key) == Some(key) {
                            continue;
                        }
                    }
                    let path = path(&self.open).key(&entry.key);
                    let message = format!("this key already stands at {position}");
                    self.faults.push(Fault { position: entry.position, path, message, hint: None });
                }
                _ => first = Some((&entry.key, entry.position)),
            }
        }
    }

    fn fault(&mut self, position: Position, message: impl Into<String>, hint: Option<&str>) {
        if self.faults.len() >= FAULTS_MAX {
            return;
        }
        let hint = hint.map(str::to_owned);
        self.faults.push(Fault { position, path: FieldPath::root(), message: message.into(), hint });
    }
}

/// The path of the node that is being read.
fn path(open: &[Open<'_>]) -> FieldPath {
    let segment = |open: &Open<'_>| match open {
        Open::List { items, .. } => Segment::Index(items.len()),
        Open::Mapping { key, .. } => {
            Segment::Key(key.as_ref().map(|key| key.text.to_string()).unwrap_or_default())
        }
    };
    open.iter().map(segment).collect()
}

/// The parser's words, in words for people who write manifests, and what to do.
fn plain_words(info: &str) -> (String, Option<&'static str>) {
    let (doing, what) = info.split_once(", ").unwrap_or(("", info));
    let known = match what {
        "found unexpected end of stream" | "found unexpected document indicator"
            if doing.ends_with("quoted scalar") =>
        {
            ("the quotes that begin here are not closed", None)
        }
        "mapping values are not allowed in this context" => (
            "`: ` cannot stand here",
            Some("look at the indentation; a text with `: ` in it is put in quotes"),
        ),
        "did not find expected key" => ("a field was expected here", Some("look at the indentation")),
        "found unknown anchor" => ("an alias (`*`) is not supported", Some("write the value out")),
        "expected ',' or ']'" => ("a `,` or the `]` of a list was expected here", None),
        "did not find expected ',' or '}'" => ("a `,` or the `}` of a mapping was expected here", None),
        _ if info.contains("tab") => {
            return (format!("this is not YAML: {what}"), Some("indent with spaces"));
        }
        _ => return (format!("this is not YAML: {what}"), None),
    };
    (known.0.to_owned(), known.1)
}

#[cfg(test)]
mod tests;
