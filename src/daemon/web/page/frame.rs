//! What stands round every page: head, header, the shapes of the conditions, footer.

use std::fmt::{self, Display, Formatter};

use super::words::Words;
use super::{Block, Text};
use crate::daemon::web::assets;
use crate::html::Escaped;
use crate::html::language::Language;

/// A page's frame.
pub(in crate::daemon::web) struct Frame<'a> {
    /// The language of its words.
    pub(in crate::daemon::web) language: Language,
    /// Whose resources are shown.
    pub(in crate::daemon::web) owner: &'a str,
    /// The daemon's version.
    pub(in crate::daemon::web) version: &'a str,
    /// What is shown: a resource, or everything.
    pub(in crate::daemon::web) resource: Option<&'a str>,
    /// The edition that is shown.
    pub(in crate::daemon::web) edition: &'a str,
}

/// The shapes by which conditions are told apart without their colours: a disc, dots in a ring, a triangle, bars in a square,
/// a diamond.
const SHAPES: &str = "<svg class=\"shapes\" aria-hidden=\"true\" focusable=\"false\">\
<symbol id=\"Ready\" viewBox=\"0 0 24 24\"><circle class=\"body\" cx=\"12\" cy=\"12\" r=\"11\"/><path class=\"cut\" d=\"M6.5 12.5l3.8 3.8 7.2-8\"/></symbol>\
<symbol id=\"Progressing\" viewBox=\"0 0 24 24\"><circle class=\"ring\" cx=\"12\" cy=\"12\" r=\"9.5\"/><circle class=\"body\" cx=\"7.2\" cy=\"12\" r=\"1.7\"/><circle class=\"body\" cx=\"12\" cy=\"12\" r=\"1.7\"/><circle class=\"body\" cx=\"16.8\" cy=\"12\" r=\"1.7\"/></symbol>\
<symbol id=\"Stalled\" viewBox=\"0 0 24 24\"><path class=\"body\" d=\"M12 1.5 23.5 22H.5z\"/><path class=\"cut\" d=\"M12 8.5v6.2M12 18v.6\"/></symbol>\
<symbol id=\"Suspended\" viewBox=\"0 0 24 24\"><rect class=\"body\" x=\"2\" y=\"2\" width=\"20\" height=\"20\" rx=\"3\"/><path class=\"cut\" d=\"M9 8v8M15 8v8\"/></symbol>\
<symbol id=\"Kept\" viewBox=\"0 0 24 24\"><path class=\"ring\" d=\"M12 2.5 21.5 12 12 21.5 2.5 12z\"/></symbol></svg>\n";

impl Display for Frame<'_> {
    /// The page up to what it is about.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { language, owner, resource, edition, .. } = self;
        let (words, other) = (Words::of(*language), language.other());
        let (lang, other_lang) = (language.tag(), other.tag());
        let title = resource.unwrap_or(owner);
        write!(
            f,
            "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title} · Invigil</title>\n\
             <link rel=\"icon\" href=\"{icon}\" type=\"image/svg+xml\">\n\
             <link rel=\"stylesheet\" href=\"{css}\">\n\
             <noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>\n\
             <script src=\"{js}\" defer></script>\n</head>\n\
             <body data-live=\"/live?lang={lang}{of}\" data-edition=\"{edition}\">\n{SHAPES}\
             <a class=\"skip\" href=\"#main\">{skip}</a>\n\
             <header>\n<div class=\"bar\">\n<p class=\"brand\"><a href=\"/?lang={lang}\">Invigil</a> · {owner}</p>\n\
             <p class=\"switch\"><a href=\"?lang={other_lang}\" hreflang=\"{other_lang}\" lang=\"{other_lang}\">\
             {other_name}</a></p>\n</div>\n</header>\n\
             <p id=\"lost\" class=\"lost\" role=\"alert\" hidden>{lost} <span></span></p>\n\
             <p id=\"said\" class=\"said\" role=\"status\"></p>\n\
             <main id=\"main\" tabindex=\"-1\">\n",
            title = Text(title),
            icon = assets::ICON.path(),
            css = assets::STYLE.path(),
            js = assets::SCRIPT.path(),
            of = resource.map(|id| format!("&amp;resource={}", Escaped(id))).unwrap_or_default(),
            edition = Escaped(edition),
            skip = words.skip,
            owner = Text(owner),
            other_name = Words::of(other).name,
            lost = words.lost,
        )
    }
}

impl Frame<'_> {
    /// The page with these blocks in it.
    pub(in crate::daemon::web) fn around(&self, blocks: &[Block]) -> String {
        self.begun(blocks) + &self.end()
    }

    /// The page as far as these blocks.
    pub(in crate::daemon::web) fn begun(&self, blocks: &[Block]) -> String {
        let blocks: String = blocks.iter().map(ToString::to_string).collect();
        format!("{self}{blocks}")
    }

    /// What stands after the last block.
    pub(in crate::daemon::web) fn end(&self) -> String {
        let (read_only, version) = (Words::of(self.language).read_only, Escaped(self.version));
        format!("</main>\n<footer><p>{read_only} · Invigil {version}</p></footer>\n</body>\n</html>\n")
    }
}
