//! Renders how things stand once for all who look. In: the board. Out: editions of the page, which know which of their parts are
//! others than before. A few a second at most: whoever asks sooner gets the last one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hyper::body::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use super::page::{Block, Element, room};
use crate::daemon::board::Board;
use crate::daemon::mutex::lock;
use crate::daemon::shown::Shown;
use crate::html::language::Language;
use crate::status::Status;

/// How long what is shown stays the same, whatever happens.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// Where editions come from.
#[derive(Debug)]
pub(super) struct Press {
    /// What tells this daemon's editions from another's.
    mark: String,
    /// What was shown last, and when it was asked for.
    last: Mutex<Option<(Arc<Shown>, Instant)>>,
    rooms: [Mutex<Option<Arc<Edition>>>; 2],
}

/// The page of everything at a moment.
#[derive(Debug)]
pub(super) struct Edition {
    blocks: Vec<Block>,
    /// What it is rendered from.
    of: Arc<Shown>,
    number: u64,
    /// In which edition each part became what it is, by its id.
    dates: BTreeMap<String, u64>,
    /// The event for one who has the edition before: nearly everybody.
    news: OnceLock<Option<Bytes>>,
    mark: String,
}

impl Press {
    pub(super) fn new() -> Self {
        Self {
            mark: format!("{:x}", Timestamp::now().as_nanosecond()),
            last: Mutex::default(),
            rooms: [Mutex::default(), Mutex::default()],
        }
    }

    /// The number of an edition of this daemon's.
    pub(super) fn number(&self, edition: &str) -> Option<u64> {
        edition.strip_prefix(&self.mark)?.strip_prefix('-')?.parse().ok()
    }

    /// How things stood a moment ago at most, and whether nothing has happened since.
    pub(super) fn shown(&self, board: &Board) -> (Arc<Shown>, bool) {
        let mut last = lock(&self.last);
        if let Some((shown, at)) = &*last {
            let is_current = *shown.moment() == board.moment();
            if is_current || at.elapsed() < PAUSE {
                return (Arc::clone(shown), is_current);
            }
        }
        let shown = board.shown();
        *last = Some((Arc::clone(&shown), Instant::now()));
        (shown, true)
    }

    /// The last edition of the page of everything, and whether nothing has happened since.
    pub(super) fn room(&self, board: &Board, language: Language) -> (Arc<Edition>, bool) {
        let place = usize::from(language == Language::English);
        // First, so that nobody renders an older one after a newer one.
        let mut last = lock(&self.rooms[place]);
        let (shown, is_current) = self.shown(board);
        if let Some(last) = last.as_ref().filter(|last| Arc::ptr_eq(&last.of, &shown)) {
            return (Arc::clone(last), is_current);
        }
        let blocks = room(&shown.status, language, Timestamp::now());
        let edition = Edition::after(last.as_deref(), blocks, shown, &self.mark);
        (Arc::clone(last.insert(Arc::new(edition))), is_current)
    }
}

impl Edition {
    /// The edition of these blocks after another one.
    fn after(last: Option<&Self>, blocks: Vec<Block>, of: Arc<Shown>, mark: &str) -> Self {
        let number = last.map_or(1, |last| last.number + 1);
        let mut before = BTreeMap::new();
        if let Some(last) = last {
            parts(&last.blocks, |id, html| _ = before.insert(id, html));
        }
        let mut dates = BTreeMap::new();
        parts(&blocks, |id, html| {
            let date = match (last, before.get(&id)) {
                (Some(last), Some(was)) if *was == html => last.dates.get(&id).copied().unwrap_or(number),
                _ => number,
            };
            dates.insert(id, date);
        });
        Self { blocks, of, number, dates, news: OnceLock::new(), mark: mark.to_owned() }
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// What it is called.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.mark, self.number)
    }

    /// How things stood then.
    pub(super) fn status(&self) -> &Status {
        &self.of.status
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The event for one who has an earlier edition; `None` where nothing has changed.
    pub(super) fn since(&self, number: u64) -> Option<Bytes> {
        if number >= self.number {
            None
        } else if number + 1 == self.number {
            self.news.get_or_init(|| self.event(number)).clone()
        } else {
            self.event(number)
        }
    }

    fn event(&self, number: u64) -> Option<Bytes> {
        let mut news = serde_json::Map::new();
        let is_new = |id: &str| self.dates.get(id).is_some_and(|date| *date > number);
        for block in &self.blocks {
            match block {
                Block::Leaf(Element { id, html }) if is_new(id) => {
                    news.insert(id.clone(), html.clone().into());
                }
                Block::Leaf(_) => {}
                Block::Group { id, .. } if is_new(id) => {
                    news.insert(id.clone(), block.to_string().into());
                }
                Block::Group { elements, .. } => {
                    let elements = elements.iter().filter(|element| is_new(&element.id));
                    news.extend(elements.map(|Element { id, html }| (id.clone(), html.clone().into())));
                }
            }
        }
        if news.is_empty() {
            return None;
        }
        let news = serde_json::Value::Object(news);
        Some(format!("id: {}\nevent: parts\ndata: {news}\n\n", self.id()).into())
    }
}

/// The parts of blocks, each with its id. A group's own part is which elements it has.
fn parts(blocks: &[Block], mut each: impl FnMut(String, String)) {
    for block in blocks {
        match block {
            Block::Leaf(Element { id, html }) => each(id.clone(), html.clone()),
            Block::Group { id, open, elements, .. } => {
                let ids: Vec<&str> = elements.iter().map(|element| element.id.as_str()).collect();
                each(id.clone(), format!("{open}{}", ids.join(" ")));
                for Element { id, html } in elements {
                    each(id.clone(), html.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::wake::channel;

    fn board() -> Board {
        Board::new(&"exam".parse().unwrap(), &channel().1, None)
    }

    fn blocks(tiles: &[(&str, &str)], head: &str) -> Vec<Block> {
        let element = |(id, html): &(&str, &str)| Element { id: (*id).to_owned(), html: (*html).to_owned() };
        let group = Block::Group {
            id: "kind".to_owned(),
            open: "<ul>".to_owned(),
            elements: tiles.iter().map(element).collect(),
            close: "</ul>",
        };
        vec![Block::Leaf(element(&("head", head))), group]
    }

    fn told(edition: &Edition, since: u64) -> String {
        let event = edition.since(since).unwrap_or_default();
        String::from_utf8(event.to_vec()).unwrap().lines().nth(2).unwrap_or("nothing").to_owned()
    }

    #[test]
    fn an_edition_tells_what_became_different_since_any_other() {
        let shown = board().shown();
        let after = |last, tiles: &[(&str, &str)], head: &str| {
            Edition::after(last, blocks(tiles, head), Arc::clone(&shown), "m")
        };
        let first = after(None, &[("a", "1"), ("b", "1")], "x");
        let second = after(Some(&first), &[("a", "2"), ("b", "1")], "x");
        let third = after(Some(&second), &[("a", "2"), ("b", "1")], "y");
        assert_eq!(told(&second, 1), r#"data: {"a":"2"}"#);
        assert_eq!(told(&third, 2), r#"data: {"head":"y"}"#);
        // One who was slow gets the sum.
        assert_eq!(told(&third, 1), r#"data: {"a":"2","head":"y"}"#);
        assert_eq!(told(&third, 3), "nothing");
        let fourth = after(Some(&third), &[("a", "2"), ("c", "1")], "y");
        assert_eq!(told(&fourth, 3), r#"data: {"kind":"<ul>21</ul>"}"#);
        let same = after(Some(&fourth), &[("a", "2"), ("c", "1")], "y");
        assert_eq!(told(&same, 4), "nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_who_look_cost_one_copy_and_one_page_in_a_quarter_of_a_second_however_much_happens() {
        let (press, board) = (Press::new(), board());
        let mut editions = std::collections::BTreeSet::new();
        let mut copies: Vec<Arc<Shown>> = Vec::new();
        for change in 0..100 {
            board.trouble(&format!("trouble {change}"));
            for _ in 0..50 {
                let (edition, _) = press.room(&board, Language::English);
                editions.insert(edition.number());
                let (shown, _) = press.shown(&board);
                if copies.iter().all(|copy| !Arc::ptr_eq(copy, &shown)) {
                    copies.push(shown);
                }
            }
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        // A hundred changes in a second.
        assert_eq!((editions.len(), copies.len()), (4, 4));
        tokio::time::advance(PAUSE).await;
        let (edition, is_current) = press.room(&board, Language::English);
        assert!(is_current && edition.blocks().iter().any(|block| block.to_string().contains("trouble 99")));
    }

    #[test]
    fn an_edition_of_another_daemon_has_no_number() {
        let press = Press::new();
        assert_eq!(press.number(&format!("{}-7", press.mark)), Some(7));
        assert_eq!(press.number("0-7"), None);
        assert_eq!(press.number(""), None);
    }
}
