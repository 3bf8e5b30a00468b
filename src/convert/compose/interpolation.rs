//! Variables in texts, as Compose fills them in. In: a text and variables. Out: the text, and which of them were
//! not set.

use std::collections::BTreeMap;

/// How deep defaults may stand in defaults.
const DEPTH_MAX: usize = 16;
/// How long an expression may be, in bytes.
const EXPRESSION_MAX: usize = 4096;

/// A variable that is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unset {
    pub name: String,
    /// What `${NAME:?WHY}` says.
    pub required: Option<String>,
}

/// Fills in `$NAME` and `${NAME}`, with `:-` and `-` (else), `:?` and `?` (needed), `:+` and `+` (instead); `$$` is
/// a dollar sign. What looks like none of these stays as it is.
///
/// `room` is how many bytes may be filled in, and is how many may still be. `None` if it is too little.
pub(super) fn interpolate(
    text: &str,
    variables: &BTreeMap<String, String>,
    unset: &mut Vec<Unset>,
    room: &mut usize,
) -> Option<String> {
    fill(text, &mut Filling { variables, unset, room }, 0)
}

/// What texts are filled in with.
struct Filling<'a> {
    variables: &'a BTreeMap<String, String>,
    unset: &'a mut Vec<Unset>,
    room: &'a mut usize,
}

fn fill(text: &str, with: &mut Filling<'_>, depth: usize) -> Option<String> {
    let braces = if depth < DEPTH_MAX && text.contains("${") { Braces::of(text) } else { Braces::default() };
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some((inside, after)) = braces.at(text, text.len() - after.len()) {
            match expression(inside, with, depth)? {
                Some(value) => filled.push_str(with.taken(&value)?),
                None => filled.extend(["${", inside, "}"]),
            }
            rest = after;
        } else {
            let end = name_end(after);
            let (name, after) = after.split_at(end);
            if name.is_empty() {
                filled.push('$');
            } else {
                let value = with.value(name);
                filled.push_str(with.taken(&value)?);
            }
            rest = after;
        }
    }
    Some(filled + rest)
}

/// Where the braces of a text are closed, found in one go: a text full of open ones is read in no time, too.
#[derive(Default)]
struct Braces {
    /// Each brace that is opened and where it is closed, if it is, in order.
    pairs: Vec<(usize, Option<usize>)>,
}

impl Braces {
    fn of(text: &str) -> Self {
        let (mut pairs, mut open) = (Vec::new(), Vec::new());
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'{' => {
                    open.push(pairs.len());
                    pairs.push((at, None));
                }
                b'}' => {
                    if let Some(pair) = open.pop().and_then(|index: usize| pairs.get_mut(index)) {
                        pair.1 = Some(at);
                    }
                }
                _ => {}
            }
        }
        Self { pairs }
    }

    /// What stands in the braces that are opened here, and what comes after them.
    fn at<'t>(&self, text: &'t str, open: usize) -> Option<(&'t str, &'t str)> {
        let index = self.pairs.binary_search_by_key(&open, |(at, _)| *at).ok()?;
        let close = self.pairs[index].1.filter(|close| close - open <= EXPRESSION_MAX)?;
        Some((&text[open + 1..close], &text[close + 1..]))
    }
}

impl Filling<'_> {
    /// A value, if there is room for it.
    fn taken<'v>(&mut self, value: &'v str) -> Option<&'v str> {
        *self.room = self.room.checked_sub(value.len())?;
        Some(value)
    }

    fn value(&mut self, name: &str) -> String {
        self.variables.get(name).cloned().unwrap_or_else(|| {
            self.unset.push(Unset { name: name.to_owned(), required: None });
            String::new()
        })
    }
}

fn name_end(text: &str) -> usize {
    let fits = |(at, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
    text.char_indices().find(|place| !fits(*place)).map_or(text.len(), |(at, _)| at)
}

/// The value of what stands in braces; nothing if it is no expression. `None` if there is no room for it.
#[expect(clippy::option_option, reason = "the outer one is about room alone")]
fn expression(inside: &str, with: &mut Filling<'_>, depth: usize) -> Option<Option<String>> {
    let (name, operation) = inside.split_at(name_end(inside));
    if name.is_empty() {
        return Some(None);
    }
    if operation.is_empty() {
        return Some(Some(with.value(name)));
    }
    let (also_empty, operation) = operation.strip_prefix(':').map_or((false, operation), |rest| (true, rest));
    let set = with.variables.get(name).filter(|value| !(also_empty && value.is_empty()));
    let operand = operation.get(1..).unwrap_or_default();
    Some(match (operation.chars().next(), set) {
        (Some('-' | '?'), Some(value)) => Some(value.clone()),
        (Some('-'), None) | (Some('+'), Some(_)) => Some(fill(operand, with, depth + 1)?),
        (Some('+'), None) => Some(String::new()),
        (Some('?'), None) => {
            with.unset.push(Unset { name: name.to_owned(), required: Some(operand.to_owned()) });
            Some(String::new())
        }
        _ => None,
    })
}

/// The variables of a `.env` file, as Compose reads it: quotes are taken away, `export` too.
pub fn env_file(text: &str) -> BTreeMap<String, String> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
        .map(|(key, value)| {
            let value = value.trim();
            let quoted = ['"', '\''].into_iter().find_map(|quote| {
                let (inside, _) = value.strip_prefix(quote)?.split_once(quote)?;
                Some(inside)
            });
            let plain = || value.split_once(" #").map_or(value, |(value, _)| value.trim_end());
            (key.trim().to_owned(), quoted.unwrap_or_else(plain).to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_filled_in_as_compose_does() {
        let variables: BTreeMap<String, String> =
            [("TAG", "1.14"), ("EMPTY", "")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        for (text, filled, missing) in [
            ("nginx:$TAG", "nginx:1.14", ""),
            ("nginx:${TAG}-x", "nginx:1.14-x", ""),
            ("$$TAG $ 5$", "$TAG $ 5$", ""),
            ("${NO:-a}${NO-b}${EMPTY:-c}${EMPTY-d}", "abc", ""),
            ("${NO:-${TAG}}", "1.14", ""),
            ("${TAG:+yes}${NO:+no}${EMPTY+set}", "yesset", ""),
            ("a${NO}b$OTHER", "ab", "NO OTHER"),
            ("${NEEDED:?say it}", "", "NEEDED!say it"),
            ("${座位} ${} ${A B} ${", "${座位} ${} ${A B} ${", ""),
        ] {
            let mut unset = Vec::new();
            assert_eq!(
                interpolate(text, &variables, &mut unset, &mut 1000).as_deref(),
                Some(filled),
                "{text}"
            );
            let told = unset.into_iter().map(|unset| match unset.required {
                Some(why) => format!("{}!{why}", unset.name),
                None => unset.name,
            });
            assert_eq!(told.collect::<Vec<_>>().join(" "), missing, "{text}");
        }
        let deep = "${A:-".repeat(2000) + &"}".repeat(2000);
        assert!(interpolate(&deep, &variables, &mut Vec::new(), &mut (1 << 20)).is_some());
    }

    #[test]
    fn a_hostile_text_takes_little_time_and_little_memory() {
        let begun = std::time::Instant::now();
        let (variables, mut unset) = (BTreeMap::from([("HOME".to_owned(), "x".repeat(1 << 17))]), Vec::new());
        let open = "${".repeat(500_000);
        assert_eq!(interpolate(&open, &variables, &mut unset, &mut 0).as_deref(), Some(open.as_str()));
        let (many, mut room) = ("$HOME".repeat(200_000), 1 << 20);
        assert_eq!(interpolate(&many, &variables, &mut unset, &mut room), None);
        // One that looked at all of it for each `$` would take hours.
        assert!(begun.elapsed() < std::time::Duration::from_mins(1), "{:?}", begun.elapsed());
    }

    #[test]
    fn an_env_file_is_read_as_compose_reads_it() {
        let read = env_file("# no\nA=1\nexport B=\"two # three\" # no\nC = x # no\nD=''\nnothing\n");
        let read: Vec<String> = read.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(read, ["A=1", "B=two # three", "C=x", "D="]);
    }
}
