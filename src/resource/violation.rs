//! What is wrong with one field of a value that parsed. Knows no file and no line: whoever read the
//! value places it.

use std::fmt;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A mapping's key.
    Key(String),
    /// A sequence's index, from 0.
    Index(usize),
}

/// The way from a document's root to a field. Shown as `spec.ports[1].container`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// This path, one mapping key deeper.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    /// This path, one sequence element deeper.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// `self` followed by `rest`.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this leads to `other`, or into it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The path without its last step; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl FromIterator<Segment> for FieldPath {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => write!(f, "{key}")?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a violation makes its document unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document is refused.
    Error,
    /// The document is used, and the reader is told.
    Warning,
}

/// A rule that a field breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where, from the root of the value that was checked.
    pub path: FieldPath,
    /// Whether the value can still be used.
    pub severity: Severity,
    /// What is wrong, without the path: `99999 is not a port (1-65535)`.
    pub message: String,
    /// What to do about it, where something better than the message can be said.
    pub hint: Option<String>,
    /// The fields from which it is concluded because they are not there, or as they are. Where one of them could not be
    /// read, nothing is concluded.
    pub concluded_from: Vec<FieldPath>,
}

impl Violation {
    /// A violation that refuses the document.
    pub fn error(path: FieldPath, message: impl Into<String>) -> Self {
        Self {
            path,
            severity: Severity::Error,
            message: message.into(),
            hint: None,
            concluded_from: Vec::new(),
        }
    }

    /// A violation that is only told.
    pub fn warning(path: FieldPath, message: impl Into<String>) -> Self {
        Self {
            path,
            severity: Severity::Warning,
            message: message.into(),
            hint: None,
            concluded_from: Vec::new(),
        }
    }

    /// The same, where it follows from other fields than its own, or from one that is not there.
    #[must_use]
    pub fn concluded_from(mut self, fields: impl IntoIterator<Item = FieldPath>) -> Self {
        self.concluded_from.extend(fields);
        self
    }

    /// The same, with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
