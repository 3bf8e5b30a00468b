//! What the exam server reads: a paper's JSON becomes its pages, and nothing in it becomes markup that
//! acts.

use invigil::problemset::paper::Paper;

use crate::language::Language;
use crate::page::Page;

/// Reads a paper and renders its pages.
///
/// # Panics
/// If a page has more than one script's or link's worth of what it should not have, or a paper changes
/// by being written.
pub fn run(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = (Language::from_tag(text), Language::from_query(text), Language::from_accept_language(text));
    }
    let Ok(paper) = serde_json::from_slice::<Paper>(input) else { return };
    let written = paper.to_json().expect("a paper can be written");
    assert_eq!(serde_json::from_slice::<Paper>(&written).expect("it reads back"), paper);
    for language in [Language::Chinese, Language::English] {
        let page = Page { paper: &paper, language }.to_string();
        let inert = !page.contains("<script") && !page.contains("<img") && !page.contains("javascript:\"");
        // The style, the icon, and the other language.
        let links = page.matches("<a href=\"").count() - page.matches("<a href=\"#item-").count();
        assert!(inert && page.matches("<link ").count() == 2 && links <= 1, "{page}");
    }
}
