//! Foreign text for terminals and logs. In: any text. Out: the same, with nothing in it that is obeyed
//! instead of shown (law 13).

use std::borrow::Cow;
use std::fmt::Write;

/// Text that a terminal shows as it is: control characters, line breaks and marks that turn the
/// direction of writing are written as escapes.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_obeyed(c) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal or an editor acts on a character instead of showing it (Unicode's controls, line
/// and paragraph separators, and the bidirectional marks of UAX #9).
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn law_13_what_a_terminal_would_obey_is_written_as_an_escape() {
        let hostile = "\u{1b}]0;x\u{7}\n\u{202e}\u{9b}2J\u{2028}";
        assert_eq!(printable(hostile), r"\u{1b}]0;x\u{7}\n\u{202e}\u{9b}2J\u{2028}");
        assert_eq!(printable("第8题 «ok» 👍"), "第8题 «ok» 👍");
    }
}
