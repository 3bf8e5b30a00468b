//! Full-width forms. In: a character. Out: its ASCII twin. Used on delimiters, labels and dates; never
//! on text that examinees see.

/// The ASCII form of a full-width character or of an ideographic space; any other
/// character as it is.
pub(super) fn folded(c: char) -> char {
    match c {
        // The block "Halfwidth and Fullwidth Forms" repeats ASCII's 0x21-0x7E from U+FF01 on.
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{3000}' => ' ',
        other => other,
    }
}

/// Every character of `text`, folded.
pub(super) fn folded_text(text: &str) -> String {
    text.chars().map(folded).collect()
}
