//! What is in a container, on its page: what it uses now, and what it wrote last. Each is an element of its own, so that what did
//! not change stays where somebody reads it.

use std::fmt::Write;

use super::words::Words;
use super::{Element, Text};
use crate::daemon::glance::{Glance, Written};
use crate::engine::Usage;
use crate::html::language::Language;
use crate::resource::size::size;

/// The elements of a glance.
pub(in crate::daemon::web) fn inside(glance: &Glance, language: Language) -> [Element; 2] {
    let words = Words::of(language);
    let usage = match (&glance.usage, &glance.usage_trouble) {
        (Some(usage), _) => used(usage, words),
        (None, trouble) => said(trouble.as_ref().map_or("", |trouble| words.trouble(trouble))),
    };
    let log = match &glance.output_trouble {
        Some(trouble) => said(words.trouble(trouble)),
        None if glance.output.is_empty() => said(words.log_is_empty),
        None => written(&glance.output, words),
    };
    [section("usage", words.usage, &usage), section("log", words.log, &log)]
}

fn section(id: &str, title: &str, inner: &str) -> Element {
    let html = format!("<section id=\"{id}\" class=\"inside\"><h2>{title}</h2>\n{inner}</section>\n");
    Element { id: id.to_owned(), html }
}

fn said(text: &str) -> String {
    format!("<p class=\"faint\">{}</p>", Text(text))
}

fn used(usage: &Usage, words: &Words) -> String {
    let both = |a: u64, b: u64| format!("{} / {}", size(a), size(b));
    let facts = [
        (words.cpu, format!("{:.1}%", usage.cpu * 100.0)),
        (words.memory, both(usage.memory, usage.memory_limit)),
        (words.network, both(usage.received, usage.sent)),
        (words.disk, both(usage.read, usage.written)),
        (words.processes, usage.processes.to_string()),
    ];
    let mut html = "<dl>\n".to_owned();
    for (term, fact) in facts {
        // Writing to a String cannot fail.
        let _ = writeln!(html, "<div><dt>{term}</dt><dd>{fact}</dd></div>");
    }
    html + "</dl>"
}

/// The last line is seen first: the style turns the box round.
fn written(lines: &[Written], words: &Words) -> String {
    let mut html =
        format!("<div class=\"log\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><pre>", words.log);
    for line in lines {
        let class = if line.is_error { " class=\"error\"" } else { "" };
        let _ = writeln!(html, "<span{class}>{}</span>", Text(&line.text));
    }
    html + "</pre></div>"
}
