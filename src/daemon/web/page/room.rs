//! The page of everything: first a sentence that is read from across the room, then what needs attention and why, then every
//! resource at a place that it keeps, and last what is under way and what was done.

use std::cmp::Ordering;
use std::fmt::Write;

use jiff::Timestamp;

use super::actions::actions;
use super::words::Words;
use super::{Block, Element, Link, Text, When};
use crate::html::language::Language;
use crate::resource::name::{Kind, ResourceId};
use crate::source::git::Commit;
use crate::status::{Condition, Source, Standing, Status};

/// How many resources are listed with why: the tiles, which show all of them, are not to be pushed out of sight.
const LISTED_MAX: usize = 8;
/// How many errors of manifests are shown.
const ERRORS_MAX: usize = 10;
/// How many of the last actions are shown.
const ACTIONS_MAX: usize = 10;

/// The blocks of the page.
pub(in crate::daemon::web) fn room(status: &Status, language: Language, now: Timestamp) -> Vec<Block> {
    let room = Room { status, words: Words::of(language), language, now };
    let mut blocks = vec![room.head(), room.listed("attention", room.words.attention, Condition::Stalled)];
    // Seats first: they are what the room is about.
    for kind in [Kind::Container, Kind::Image, Kind::Network, Kind::Volume] {
        blocks.push(room.tiles(kind));
    }
    blocks.push(room.listed("under-way", room.words.under_way, Condition::Progressing));
    let done = actions(status.actions.iter().take(ACTIONS_MAX), language, now);
    blocks.push(leaf("actions", format!("<div id=\"actions\">\n{done}</div>\n")));
    blocks
}

struct Room<'a> {
    status: &'a Status,
    words: &'static Words,
    language: Language,
    now: Timestamp,
}

impl Room<'_> {
    fn count(&self, condition: Condition) -> usize {
        self.status.resources.values().filter(|standing| standing.condition == condition).count()
    }

    /// The sentence, and the shape and colour that it has.
    fn sentence(&self) -> (String, Condition) {
        let (words, all) = (self.words, self.status.resources.len());
        let (stalled, progressing) = (self.count(Condition::Stalled), self.count(Condition::Progressing));
        let suspended = self.count(Condition::Suspended);
        if self.status.trouble.is_some() {
            (words.blind.to_owned(), Condition::Stalled)
        } else if self.status.looked.is_none() {
            (words.unknown.to_owned(), Condition::Progressing)
        } else if stalled > 0 {
            (words.stalled(stalled, all), Condition::Stalled)
        } else if !self.status.errors.is_empty() {
            (words.errors.to_owned(), Condition::Stalled)
        } else if self.status.source.as_ref().is_some_and(Source::is_refused) {
            (words.committed.to_owned(), Condition::Stalled)
        } else if progressing > 0 {
            (words.progressing(progressing, all), Condition::Progressing)
        } else if suspended > 0 {
            (words.suspended(suspended, all), Condition::Suspended)
        } else if all == 0 {
            (words.nothing.to_owned(), Condition::Kept)
        } else {
            (words.all_ready(all), Condition::Ready)
        }
    }

    fn head(&self) -> Block {
        let Self { status, words, .. } = self;
        let (sentence, condition) = self.sentence();
        let mut html = format!(
            "<div id=\"head\" class=\"head {}\">\n<h1>{}{sentence}</h1>\n<ul class=\"counts\">",
            condition.as_str(),
            Shape(condition)
        );
        for condition in Condition::ALL {
            let count = self.count(condition);
            if count > 0 {
                put(
                    &mut html,
                    format_args!(
                        "<li class=\"{}\">{}<b>{count}</b> {}</li>",
                        condition.as_str(),
                        Shape(condition),
                        words.condition(condition)
                    ),
                );
            }
        }
        html += "</ul>\n";
        if let Some(looked) = status.looked {
            let outdated = if status.outdated { format!(" · {}", words.outdated) } else { String::new() };
            let looked = When { at: looked, now: self.now };
            put(&mut html, format_args!("<p class=\"facts\">{} {looked}{outdated}</p>\n", words.looked));
        }
        if let Some(trouble) = &status.trouble {
            let stood = if status.looked.is_some() { words.as_of } else { "" };
            put(&mut html, format_args!("<p class=\"trouble\">{}</p>\n<p>{stood}</p>\n", Text(trouble)));
        }
        if let Some(source) = &status.source {
            self.source(&mut html, source);
        }
        for (what, why) in [(words.journal, &status.journal), (words.journal_broken, &status.journal_broken)]
        {
            if let Some(why) = why {
                put(&mut html, format_args!("<p class=\"note\">{what} {}</p>\n", Text(why)));
            }
        }
        if !status.errors.is_empty() {
            let count = status.errors.len();
            put(&mut html, format_args!("<div class=\"errors\"><h2>{} ({count})</h2>\n<ul>", words.errors));
            for error in status.errors.iter().take(ERRORS_MAX) {
                put(&mut html, format_args!("<li>{}</li>", Text(error)));
            }
            html += if count > ERRORS_MAX { "<li>…</li></ul></div>\n" } else { "</ul></div>\n" };
        }
        leaf("head", html + "</div>\n")
    }

    /// Which revision runs, which is wanted, and why that does not run.
    fn source(&self, html: &mut String, source: &Source) {
        let words = self.words;
        if let Some(running) = &source.running {
            let running = Revision(running);
            put(html, format_args!("<p class=\"facts revision\">{} {running}</p>\n", words.running));
        }
        if let Some(wanted) = &source.wanted {
            let why = match &wanted.refused {
                Some(why) => format!("{} {}", words.refused, Text(why)),
                None => words.soon.to_owned(),
            };
            let wanted = Revision(&wanted.commit);
            put(html, format_args!("<p class=\"note revision\">{} {wanted} {why}</p>\n", words.wanted));
        }
        if let Some(trouble) = &source.trouble {
            put(html, format_args!("<p class=\"note\">{} {}</p>\n", words.unfetched, Text(trouble)));
        }
    }

    /// The resources in a condition, each with why.
    fn listed(&self, id: &str, title: &str, condition: Condition) -> Block {
        let resources = self.status.resources.iter();
        let mut these: Vec<_> = resources.filter(|(_, standing)| standing.condition == condition).collect();
        these.sort_by(|(a, _), (b, _)| in_order(a, b));
        let mut html = format!("<div id=\"{id}\" class=\"listed\">\n");
        if !these.is_empty() {
            put(&mut html, format_args!("<section class=\"{}\"><h2>{title}</h2>\n<ul>", condition.as_str()));
            for (id, standing) in these.iter().take(LISTED_MAX) {
                self.line(&mut html, id, standing);
            }
            if these.len() > LISTED_MAX {
                put(&mut html, format_args!("<li class=\"more\">+ {}</li>", these.len() - LISTED_MAX));
            }
            html += "</ul></section>\n";
        }
        leaf(id, html + "</div>\n")
    }

    fn line(&self, html: &mut String, id: &ResourceId, standing: &Standing) {
        let why = standing.stage.as_ref().filter(|_| standing.condition == Condition::Progressing);
        let why = why.unwrap_or(&standing.reason);
        let since = When { at: standing.since, now: self.now };
        put(
            html,
            format_args!(
                "<li><a href=\"{}\">{}</a> <span class=\"why\">{}</span> <span class=\"times\">{} {since}",
                Link(id, self.language.tag()),
                Text(&id.to_string()),
                Text(why),
                self.words.since
            ),
        );
        if let Some(next) = standing.next_try {
            let next = When { at: next, now: self.now };
            put(html, format_args!(" · {} {next}", self.words.next_try));
        }
        *html += "</span></li>";
    }

    /// Every resource of a kind, at a place that does not depend on how it stands.
    fn tiles(&self, kind: Kind) -> Block {
        let mut these: Vec<_> = self.status.resources.iter().filter(|(id, _)| id.kind == kind).collect();
        these.sort_by(|(a, _), (b, _)| in_order(a, b));
        let group = format!("kind-{kind}");
        let open = if these.is_empty() {
            format!("<section id=\"{group}\" hidden><ul>")
        } else {
            let size = match these.len() {
                _ if kind != Kind::Container => "small",
                0..=12 => "few",
                13..=40 => "some",
                41..=160 => "many",
                _ => "crowd",
            };
            let title = self.words.kind(kind);
            format!(
                "<section id=\"{group}\" class=\"room {size}\"><h2>{title} <span>{}</span></h2>\n<ul class=\"tiles\">\n",
                these.len()
            )
        };
        let elements = these.iter().map(|(id, standing)| self.tile(id, standing)).collect();
        Block::Group { id: group, open, elements, close: "</ul></section>\n" }
    }

    fn tile(&self, id: &ResourceId, standing: &Standing) -> Element {
        let condition = standing.condition;
        let name = id.name.as_str();
        let element = format!("tile-{}-{name}", id.kind);
        let html = format!(
            "<li id=\"{element}\" class=\"{class}\"><a href=\"{link}\" title=\"{name}\">{shape}<span class=\"name\">{name}</span>\
             <span class=\"word\">{word}</span></a></li>\n",
            class = condition.as_str(),
            link = Link(id, self.language.tag()),
            name = Text(name),
            shape = Shape(condition),
            word = self.words.condition(condition),
        );
        Element { id: element, html }
    }
}

/// A commit, for people.
struct Revision<'a>(&'a Commit);

impl std::fmt::Display for Revision<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let commit = self.0;
        write!(f, "<code>{}</code> {}", Text(commit.short()), Text(&commit.subject))
    }
}

/// The shape of a condition.
pub(super) struct Shape(pub(super) Condition);

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<svg class=\"shape\" aria-hidden=\"true\"><use href=\"#{}\"/></svg>", self.0.as_str())
    }
}

fn leaf(id: &str, html: String) -> Block {
    Block::Leaf(Element { id: id.to_owned(), html })
}

/// Writing to a String cannot fail.
fn put(html: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = html.write_fmt(text);
}

/// As people count: seat-2 before seat-10.
fn in_order(a: &ResourceId, b: &ResourceId) -> Ordering {
    let parts = |id: &ResourceId| -> Vec<(String, u64)> {
        let mut parts = vec![(String::new(), 0_u64)];
        let mut was_digit = false;
        for c in id.name.as_str().chars() {
            match (c.to_digit(10), parts.last_mut()) {
                (Some(digit), Some((_, number))) => {
                    *number = number.saturating_mul(10).saturating_add(u64::from(digit));
                    was_digit = true;
                }
                (None, Some((text, _))) if !was_digit => text.push(c),
                _ => {
                    parts.push((c.to_string(), 0));
                    was_digit = false;
                }
            }
        }
        parts
    };
    a.kind.cmp(&b.kind).then_with(|| parts(a).cmp(&parts(b))).then_with(|| a.name.cmp(&b.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_stand_in_the_order_in_which_people_count() {
        let mut ids: Vec<ResourceId> = ["seat-10", "seat-9", "seat-2a", "seat-2", "seat-02", "beamer"]
            .map(|name| format!("container/{name}").parse().unwrap())
            .into();
        ids.sort_by(in_order);
        let names: Vec<&str> = ids.iter().map(|id| id.name.as_str()).collect();
        assert_eq!(names, ["beamer", "seat-02", "seat-2", "seat-2a", "seat-9", "seat-10"]);
    }
}
