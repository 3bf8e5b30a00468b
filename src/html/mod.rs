//! What the pages of both programs share: text as HTML, and the language of a reader. In: any text, a request's words. Out: text
//! that a browser shows and never obeys. Knows no page.

pub mod language;

use std::fmt::{self, Display, Formatter, Write};

/// A text as HTML, for element content and for quoted attribute values.
///
/// Control characters, which HTML does not allow, become U+FFFD; tabs and line breaks stay.
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' | '\r' => f.write_char(character)?,
                control if control.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_13_what_a_browser_would_obey_is_text() {
        assert_eq!(
            Escaped("<b a='1' c=\"2\">&\u{0}\u{1b}[2J\td\n").to_string(),
            "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\u{fffd}\u{fffd}[2J\td\n"
        );
    }
}
