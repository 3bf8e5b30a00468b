//! What views print. JSON stays JSON: what a terminal would obey stands in it as an escape, which is the same
//! text to a program.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use anyhow::Result;
use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::Value;

use crate::resource::printable::{is_obeyed, printable};

/// The form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListForm {
    /// For people
    Table,
    /// The table with more columns, and long texts whole
    Wide,
    /// For programs: the engine's own documents
    Json,
    /// The same as YAML
    Yaml,
    /// Names only, one a line
    Name,
}

/// The form of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RowForm {
    /// For people
    Table,
    /// For programs: the engine's own document
    Json,
}

/// The form of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LineForm {
    /// For people
    Text,
    /// For programs: one object a line
    Json,
}

/// The form of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DocumentForm {
    /// For people
    Text,
    /// For programs
    Json,
    /// The same as YAML
    Yaml,
}

/// Writes text to stdout at once, for whoever only shows.
///
/// # Errors
/// Also if the reader has gone away ([`is_gone`]): the caller then ends, and that is no failure.
pub(in crate::cli) fn print_or_end(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes bytes to stdout as they are.
///
/// # Errors
/// As [`print_or_end`]'s.
pub(super) fn print_raw(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Whether nobody reads stdout any more (`| head`).
pub(in crate::cli) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Whether somebody looks at stdout.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// A document as JSON, on several lines.
pub(in crate::cli) fn json(value: &Value) -> String {
    escaped(&format!("{value:#}\n"))
}

/// A document as JSON, on one line.
pub(super) fn json_line(value: &Value) -> String {
    escaped(&format!("{value}\n"))
}

/// A document as YAML. One that holds what YAML would write raw is written in JSON, which is YAML too.
pub(in crate::cli) fn yaml(value: &Value) -> Result<String> {
    let text = serde_yaml::to_string(value)?;
    let is_plain = !text.contains(|c| c != '\n' && is_obeyed(c));
    Ok(if is_plain { text } else { json(value) })
}

/// JSON in which nothing is obeyed: such characters stand only in strings.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_obeyed(c) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

/// A line that a program wrote, for a terminal: its colours are left out, its tabs stay, and the rest of what a
/// terminal would obey is shown.
pub(super) fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    for (at, part) in text.split("\u{1b}[").enumerate() {
        let colour = part.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'));
        let rest = match colour {
            Some(end) if at > 0 && part[end..].starts_with('m') => &part[end + 1..],
            _ if at > 0 => {
                shown.push_str("\\u{1b}[");
                part
            }
            _ => part,
        };
        for (at, part) in rest.split('\t').enumerate() {
            shown.push_str(if at > 0 { "\t" } else { "" });
            shown.push_str(&printable(part));
        }
    }
    shown
}

/// How long ago something was, for people; nothing of what has no time (images of problem sets have 1970).
pub(super) fn ago(then: i64, now: Timestamp) -> String {
    const UNITS: [(i64, &str); 5] =
        [(86_400 * 365, "year"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    if then <= 0 {
        return String::new();
    }
    let seconds = now.as_second() - then;
    if seconds < 0 {
        return "in the future".to_owned();
    }
    match UNITS.iter().find(|(length, _)| seconds >= *length) {
        Some((length, unit)) => {
            let count = seconds / length;
            format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
        }
        None => "now".to_owned(),
    }
}

/// The time in a document's text, in seconds since 1970; 0 of none.
pub(super) fn seconds(text: &str) -> i64 {
    text.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn law_13_documents_stay_the_same_and_steer_no_terminal() {
        let hostile = json!({"a": "\u{1b}[2J\u{9b}2J\u{202e}x\u{7f}\n第", "b": "\u{feff}"});
        for text in [json(&hostile), json_line(&hostile), yaml(&hostile).expect("YAML")] {
            assert!(!text.contains(|c| c != '\n' && is_obeyed(c)), "{text:?}");
            let read: Value = serde_yaml::from_str(&text).expect("YAML");
            assert_eq!(read, hostile);
        }
        assert_eq!(serde_json::from_str::<Value>(&json(&hostile)).expect("JSON"), hostile);
        assert_eq!(yaml(&json!({"a": [1, "第"]})).expect("YAML"), "a:\n- 1\n- 第\n");
    }

    #[test]
    fn law_13_a_line_of_output_loses_its_colours_and_shows_what_else_is_obeyed() {
        assert_eq!(line(b"\x1b[1;31mred\x1b[0m\tplain\x1b[m"), "red\tplain");
        assert_eq!(line(b"\x1b[2Ja\x1b]0;x\x07\rb\xff"), "\\u{1b}[2Ja\\u{1b}]0;x\\u{7}\\rb\u{fffd}");
        assert_eq!(line(b"\x1b[31"), "\\u{1b}[31");
    }

    #[test]
    fn times_are_short() {
        let now = Timestamp::from_second(1_000_000_000).expect("a time");
        for (before, told) in [
            (0, "now"),
            (1, "1 second ago"),
            (7200, "2 hours ago"),
            (86_400 * 800, "2 years ago"),
            (-5, "in the future"),
        ] {
            assert_eq!(ago(1_000_000_000 - before, now), told);
        }
        assert_eq!(ago(0, now), "");
        assert_eq!(seconds("0001-01-01T00:00:00Z"), -62_135_596_800);
    }
}
