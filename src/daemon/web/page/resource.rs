//! The page of one resource: how it stands and why, its difference to the manifest field by field, what its steps said, and what
//! was done to it last.

use std::fmt::Write;

use jiff::Timestamp;

use super::actions::actions;
use super::room::Shape;
use super::words::Words;
use super::{Element, Text, When};
use crate::html::Escaped;
use crate::html::language::Language;
use crate::resource::name::ResourceId;
use crate::status::Status;

/// How a resource stands, as one block.
pub(in crate::daemon::web) fn standing(
    id: &ResourceId,
    status: &Status,
    language: Language,
    now: Timestamp,
) -> Element {
    let words = Words::of(language);
    let lang = language.tag();
    let title = Escaped(id.name.as_str()).to_string();
    let mut html = String::new();
    let done = actions(status.recent.get(id).iter().flat_map(|own| own.iter()), language, now);
    let Some(standing) = status.resources.get(id) else {
        let html = format!(
            "<div id=\"head\" class=\"one\">\n<div class=\"head Kept\"><p class=\"back\"><a href=\"/?lang={lang}\">← {}</a></p>\n\
             <h1>{title}</h1>\n<p>{}</p></div>\n{done}</div>\n",
            words.back, words.gone
        );
        return Element { id: "head".to_owned(), html };
    };
    let condition = standing.condition;
    let since = When { at: standing.since, now };
    // Writing to a String cannot fail.
    let _ = write!(
        html,
        "<div id=\"head\" class=\"one\">\n<div class=\"head {class}\"><p class=\"back\"><a href=\"/?lang={lang}\">← {back}</a></p>\n\
         <h1>{shape}{title}</h1>\n<p class=\"state\">{id} · <b>{word}</b> {since_word} {since}</p></div>\n<dl>",
        class = condition.as_str(),
        back = words.back,
        shape = Shape(condition),
        word = words.condition(condition),
        since_word = words.since,
    );
    for (term, text) in [
        (words.why, (!standing.reason.is_empty()).then_some(standing.reason.as_str())),
        (words.stage, standing.stage.as_deref()),
        (words.legacy, standing.legacy_image_id.as_deref()),
    ] {
        if let Some(text) = text {
            let _ = writeln!(html, "<dt>{term}</dt><dd>{}</dd>", Text(text));
        }
    }
    if let Some(next) = standing.next_try {
        let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", words.next_try, When { at: next, now });
    }
    html += "</dl>\n";
    if !standing.difference.is_empty() {
        let _ = write!(
            html,
            "<section><h2>{}</h2>\n<div class=\"wide\"><table><thead><tr><th scope=\"col\">{}</th><th scope=\"col\">{}</th>\
             <th scope=\"col\">{}</th></tr></thead>\n<tbody>",
            words.difference, words.field, words.is, words.to_be
        );
        for told in &standing.difference {
            let side = |side: &Option<String>| side.clone().unwrap_or_else(|| words.none.to_owned());
            let (from, to) = (side(&told.from), side(&told.to));
            let _ = writeln!(
                html,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
                Text(&told.field),
                Text(&from),
                Text(&to)
            );
        }
        html += "</tbody></table></div></section>\n";
    }
    if !standing.output.is_empty() {
        let _ = write!(html, "<section><h2>{}</h2>\n<pre tabindex=\"0\">", words.output);
        for line in &standing.output {
            let _ = writeln!(html, "{}", Text(line));
        }
        html += "</pre></section>\n";
    }
    html += &done;
    html += "</div>\n";
    Element { id: "head".to_owned(), html }
}
