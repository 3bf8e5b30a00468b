//! What was done last, as a list.

use std::fmt::Write;

use jiff::Timestamp;

use super::words::Words;
use super::{Link, Text, When};
use crate::html::language::Language;
use crate::status::Action;

/// The section of these actions; nothing where there are none.
pub(super) fn actions<'a>(
    actions: impl Iterator<Item = &'a Action>,
    language: Language,
    now: Timestamp,
) -> String {
    let words = Words::of(language);
    let mut lines = String::new();
    for action in actions {
        let class = if action.outcome.is_fine() { "fine" } else { "bad" };
        // Writing to a String cannot fail.
        let _ = write!(
            lines,
            "<li class=\"{class}\">{time} <a href=\"{link}\">{id}</a> <span class=\"why\">{what}: <b>{outcome}</b>",
            time = When { at: action.time, now },
            link = Link(&action.resource, language.tag()),
            id = Text(&action.resource.to_string()),
            what = Text(words.deed(&action.action)),
            outcome = words.outcome(action.outcome),
        );
        if let Some(why) = &action.why {
            let _ = write!(lines, " · {}", Text(why));
        }
        lines += "</span></li>\n";
    }
    if lines.is_empty() {
        return lines;
    }
    format!("<section class=\"actions\"><h2>{}</h2>\n<ul>{lines}</ul></section>\n", words.actions)
}
