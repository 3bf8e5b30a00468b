//! YAML as a person writes it. In: a value. Out: text that reads back as the same value: short things on
//! one line, quotes only where a reader might take a text for something else, long texts as blocks.
//! Writes no tags and no anchors.

use std::fmt::Write;

use serde_yaml::{Mapping, Value};

/// Lines of short collections end before this column, a full-width character counting as two.
const WIDTH: usize = 100;
/// A mapping with more entries than this is not put on one line.
const MAX_FLOW_ENTRIES: usize = 3;

/// `value` as a document.
pub(crate) fn to_text(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Mapping(mapping) if !mapping.is_empty() => block_mapping(mapping, 0, true, &mut out),
        other => after_indicator(other, 0, &mut out),
    }
    out
}

/// The entries of `mapping`, each on its line. The first one is not indented when it stands behind a `- `.
fn block_mapping(mapping: &Mapping, indent: usize, indent_first: bool, out: &mut String) {
    for (position, (key, value)) in mapping.iter().enumerate() {
        if position > 0 || indent_first {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&flow(key));
        out.push(':');
        match value {
            Value::Mapping(mapping) if !fits(value, last_line_width(out)) => {
                out.push('\n');
                block_mapping(mapping, indent + 2, true, out);
            }
            Value::Sequence(items) if !fits(value, last_line_width(out)) => {
                out.push('\n');
                block_sequence(items, indent + 2, out);
            }
            other => {
                out.push(' ');
                after_indicator(other, indent, out);
            }
        }
    }
}

fn block_sequence(items: &[Value], indent: usize, out: &mut String) {
    for item in items {
        out.push_str(&" ".repeat(indent));
        out.push_str("- ");
        match item {
            Value::Mapping(mapping) if !fits(item, indent + 2) => {
                block_mapping(mapping, indent + 2, false, out);
            }
            // A list in a list is always short or on one long line; both read back.
            other => after_indicator(other, indent, out),
        }
    }
}

/// A value on the rest of the line; a text of several lines as a block below it.
fn after_indicator(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::String(text) if is_block_text(text) => literal(text, indent + 2, out),
        Value::String(text) => out.push_str(&scalar(text, false)),
        other => out.push_str(&flow(other)),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

/// Whether a collection goes on one line that is `used` columns long so far.
fn fits(value: &Value, used: usize) -> bool {
    let leaf = |value: &Value| match value {
        Value::String(text) => !text.contains('\n'),
        Value::Mapping(_) | Value::Sequence(_) | Value::Tagged(_) => false,
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    };
    let short_mapping = |mapping: &Mapping, nested: &dyn Fn(&Value) -> bool| {
        mapping.len() <= MAX_FLOW_ENTRIES && mapping.values().all(nested)
    };
    let leaves = |value: &Value| match value {
        Value::Sequence(items) => items.iter().all(leaf),
        other => leaf(other),
    };
    let shallow = match value {
        Value::Mapping(mapping) => short_mapping(mapping, &leaves),
        Value::Sequence(items) => items.iter().all(|item| match item {
            Value::Mapping(mapping) => short_mapping(mapping, &leaf),
            other => leaf(other),
        }),
        _ => true,
    };
    shallow && used + 1 + width(&flow(value)) <= WIDTH
}

/// `value` on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => scalar(text, true),
        Value::Sequence(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Mapping(mapping) => {
            let entry = |(key, value): (&Value, &Value)| format!("{}: {}", flow(key), flow(value));
            format!("{{{}}}", mapping.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Tagged(tagged) => flow(&tagged.value),
    }
}

fn scalar(text: &str, in_flow: bool) -> String {
    if is_plain(text, in_flow) { text.to_owned() } else { double_quoted(text) }
}

/// Whether `text` means itself without quotes, to readers of YAML 1.1 as well as 1.2.
fn is_plain(text: &str, in_flow: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let allowed = |c: char| {
        c.is_alphanumeric()
            || matches!(
                c,
                ' ' | '_' | '-' | '.' | '/' | '+' | '=' | '(' | ')' | '*' | '<' | '>' | '?' | '!' | ';'
            )
            || (!c.is_ascii() && !c.is_whitespace() && !needs_escape(c))
            || (!in_flow && matches!(c, ',' | ':'))
    };
    let time_of_day = is_moment(text);
    let number_like = first.is_ascii_digit()
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, 'x' | 'o' | '_' | '.' | '+' | '-' | ':'));
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    (first.is_alphanumeric() || (!first.is_ascii() && allowed(first)))
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && (time_of_day || text.chars().all(allowed))
        && !number_like
        && !word
}

/// A moment such as 2018-07-06T16:34:00+08:00: a text to every reader of YAML 1.2, and its colons
/// separate nothing.
fn is_moment(text: &str) -> bool {
    crate::problemset::moment::parse_rfc3339(text).is_ok()
}

/// Control and format characters, and the line ends that only some readers know.
fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}')
        || matches!(c, '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // All of these are in the basic plane. Writing to a String does not fail.
            c if needs_escape(c) => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether `text` can be a block: several lines, none of which a reader could take for indentation or trim.
fn is_block_text(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let blank_line = |line: &str| !line.is_empty() && line.trim().is_empty();
    body.contains('\n')
        && !body.starts_with(char::is_whitespace)
        && !body.ends_with('\n')
        && !text.chars().any(|c| needs_escape(c) && !matches!(c, '\n' | '\t'))
        && !body.lines().any(blank_line)
}

fn literal(text: &str, indent: usize, out: &mut String) {
    out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
    for line in text.lines() {
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn last_line_width(out: &str) -> usize {
    width(out.rsplit('\n').next().unwrap_or_default())
}

fn width(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}
