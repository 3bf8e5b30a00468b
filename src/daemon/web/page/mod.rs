//! Pages for people. In: a status, and a language. Out: HTML, in blocks that a browser can exchange one by one. Everything that
//! comes from outside is text in it (law 13). Asks nobody, and decides nothing.

mod actions;
mod frame;
mod inside;
mod resource;
mod room;
mod words;

use std::fmt::{self, Display, Formatter};

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(super) use self::frame::Frame;
pub(super) use self::inside::inside;
pub(super) use self::resource::standing;
pub(super) use self::room::room;
use crate::html::Escaped;
use crate::resource::name::ResourceId;
use crate::resource::printable::printable;

/// One block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// An element with an id.
    Leaf(Element),
    /// An element with an id, and elements in it that are exchanged one by one as long as there are the same ones.
    Group {
        /// Its id.
        id: String,
        /// Before its elements.
        open: String,
        /// What is in it.
        elements: Vec<Element>,
        /// After its elements.
        close: &'static str,
    },
}

/// An element that bears its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    /// The id.
    pub(super) id: String,
    /// All of it.
    pub(super) html: String,
}

impl Display for Block {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(element) => f.write_str(&element.html),
            Self::Group { open, elements, close, .. } => {
                f.write_str(open)?;
                elements.iter().try_for_each(|element| f.write_str(&element.html))?;
                f.write_str(close)
            }
        }
    }
}

/// Text from outside, as text: what a terminal or a browser would obey is shown instead.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for line in self.0.split_inclusive(['\n', '\t']) {
            let text = line.trim_end_matches(['\n', '\t']);
            write!(f, "{}{}", Escaped(&printable(text)), &line[text.len()..])?;
        }
        Ok(())
    }
}

/// A time for people on this host: the hour, with the day unless it is today.
struct When {
    at: Timestamp,
    now: Timestamp,
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let zone = TimeZone::system();
        let (at, now) = (self.at.to_zoned(zone.clone()), self.now.to_zoned(zone));
        let form = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
        write!(f, "<time datetime=\"{}\">{}</time>", self.at, at.strftime(form))
    }
}

/// Where a resource has its page.
struct Link<'a>(&'a ResourceId, &'a str);

impl Display for Link<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // A resource's id holds nothing that an address would not.
        write!(f, "/resource/{}?lang={}", Escaped(&self.0.to_string()), self.1)
    }
}

#[cfg(test)]
pub(super) mod tests;
