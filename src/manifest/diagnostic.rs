//! What is wrong in which file, where, and what to do about it. In: places and sentences. Out: lines
//! for people. Nothing from a file reaches a terminal raw (law 13), and no password of a URL at all (law 12).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Origin;
use super::tree::Fault;
use crate::resource::env::without_passwords;
use crate::resource::printable::printable;
use crate::resource::violation::{FieldPath, Severity};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// Where every file begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong. Sorts by file, then by place.
///
/// Shown as `exam.yaml:11:18: spec.ports[1].container: 99999 is not a port (1-65535)`, followed by a
/// line with the hint, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The file's path from the root that was read.
    pub file: Arc<str>,
    /// The place in the file.
    pub position: Position,
    /// The field; the root where it is about the file or the document.
    pub path: FieldPath,
    /// Whether the document can still be used.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where that stands which the message ends with, if it is another document.
    pub other: Option<Origin>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// What a file's own notation has wrong.
    pub(crate) fn of_fault(file: Arc<str>, fault: Fault) -> Self {
        let Fault { position, path, message, hint } = fault;
        Self { file, position, path, severity: Severity::Error, message, other: None, hint }
    }

    /// Whether it makes its document unusable.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same, with the files' paths from where the reader stands: `root` as the reader gave it, which is
    /// the file itself where only one was read.
    #[must_use]
    pub fn seen_from(&self, root: &Path) -> Self {
        let other = self.other.as_ref().map(|other| other.seen_from(root));
        Self { file: seen_from(&self.file, root), other, ..self.clone() }
    }

    /// What is wrong, in one sentence.
    fn sentence(&self) -> String {
        let message = without_passwords(&self.message);
        match &self.other {
            Some(other) => format!("{message} ({other})"),
            None => message.into_owned(),
        }
    }
}

/// A file's path from where the reader stands, from its path below what was read.
pub(super) fn seen_from(file: &str, root: &Path) -> Arc<str> {
    let path = if root.is_file() { root.with_file_name(file) } else { root.join(file) };
    path.to_string_lossy().into()
}

impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = serializer.serialize_struct("Diagnostic", 7)?;
        form.serialize_field("file", &self.file.as_ref())?;
        form.serialize_field("line", &self.position.line)?;
        form.serialize_field("column", &self.position.column)?;
        form.serialize_field("field", &self.path.to_string())?;
        form.serialize_field("severity", if self.is_error() { "error" } else { "warning" })?;
        form.serialize_field("message", &self.sentence())?;
        form.serialize_field("hint", &self.hint)?;
        form.end()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", printable(&self.file), self.position)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.segments().is_empty() {
            write!(f, "{}: ", printable(&self.path.to_string()))?;
        }
        f.write_str(&printable(&self.sentence()))?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", printable(hint)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, FieldPath, Position, Severity};

    fn diagnostic() -> Diagnostic {
        Diagnostic {
            file: "exam.yaml".into(),
            position: Position { line: 11, column: 18 },
            path: FieldPath::root().key("spec").key("ports").index(1).key("container"),
            severity: Severity::Error,
            message: "99999 is not a port (1-65535)".to_owned(),
            other: None,
            hint: None,
        }
    }

    #[test]
    fn a_diagnostic_is_one_line_and_its_hint_a_second() {
        let plain = diagnostic();
        assert_eq!(
            plain.to_string(),
            "exam.yaml:11:18: spec.ports[1].container: 99999 is not a port (1-65535)"
        );
        let hinted = Diagnostic {
            path: FieldPath::root(),
            severity: Severity::Warning,
            message: "x".to_owned(),
            hint: Some("did you mean `ports`?".to_owned()),
            ..diagnostic()
        };
        assert_eq!(hinted.to_string(), "exam.yaml:11:18: warning: x\n  hint: did you mean `ports`?");
    }

    #[test]
    fn law_12_a_url_that_is_repeated_is_without_its_password() {
        let message = "`https://u:canary@h/x` is no build context".to_owned();
        let diagnostic = Diagnostic { message, ..diagnostic() };
        assert!(diagnostic.to_string().ends_with(": `https://u:(hidden)@h/x` is no build context"));
        assert!(!serde_json::to_string(&diagnostic).unwrap().contains("canary"));
    }

    #[test]
    fn law_13_nothing_from_a_file_reaches_a_terminal_raw() {
        let hostile = "\u{1b}]0;x\u{7}\n\u{202e}\u{9b}2J";
        let diagnostic = Diagnostic {
            file: hostile.into(),
            path: FieldPath::root().key(hostile),
            message: hostile.to_owned(),
            hint: Some(hostile.to_owned()),
            ..diagnostic()
        };
        let shown = diagnostic.to_string();
        assert_eq!(shown.matches(r"\u{1b}]0;x\u{7}\n\u{202e}\u{9b}2J").count(), 4, "{shown}");
        assert_eq!(shown.lines().count(), 2);
    }
}
