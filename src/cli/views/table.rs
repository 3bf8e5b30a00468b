//! Tables for people. In: cells as the engine has them. Out: columns that stand under each other on a terminal,
//! where a Chinese character is two columns wide; nothing in them is obeyed (law 13).

use unicode_width::UnicodeWidthStr;

use crate::resource::printable::printable;

/// What stands between two columns.
const GAP: usize = 2;
/// What stands where there is nothing.
const NOTHING: &str = "-";

/// Rows under titles.
#[derive(Debug)]
pub(in crate::cli) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(in crate::cli) fn new<'a>(titles: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(titles);
        table
    }

    /// Adds a row.
    pub(in crate::cli) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cell = |cell: S| match cell.as_ref().trim() {
            "" => NOTHING.to_owned(),
            text => printable(text).into_owned(),
        };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// The table as text.
    pub(in crate::cli) fn to_text(&self) -> String {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
        let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or_default()).collect();
        let mut text = String::new();
        for row in &self.rows {
            for (at, cell) in row.iter().enumerate() {
                text.push_str(cell);
                if at + 1 < row.len() {
                    text.extend(std::iter::repeat_n(' ', widths[at] - cell.width() + GAP));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// Names and values under each other: `Engine   20.10.24`.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let mut table = Table { rows: Vec::new() };
    for (name, value) in pairs {
        table.row([*name, value]);
    }
    table.to_text()
}

/// At most this many columns of a text; what was cut off is told by `…`.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if short.width() >= columns {
            short.pop();
            break;
        }
    }
    short + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_whatever_is_in_them() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["第8题", "running"]);
        table.row(["a", ""]);
        table.row(["seat-01", "exited"]);
        assert_eq!(table.to_text(), "NAME     STATE\n第8题    running\na        -\nseat-01  exited\n");
    }

    #[test]
    fn law_13_a_cell_cannot_steer_the_terminal_or_begin_a_line() {
        let mut table = Table::new(["NAME", "STATUS"]);
        table.row(["a\nb", "\u{1b}[2J\u{202e}up"]);
        assert_eq!(table.to_text(), "NAME  STATUS\na\\nb  \\u{1b}[2J\\u{202e}up\n");
    }

    #[test]
    fn a_text_is_cut_where_it_would_be_too_wide() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "ab…");
        assert_eq!(shortened("第第第", 5), "第第…");
        assert_eq!(shortened("第第第", 4), "第…");
    }
}
