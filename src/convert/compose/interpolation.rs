//! Variables in texts, as Compose fills them in. In: a text and variables. Out: the text, and which of them were
//! not set.

use std::collections::BTreeMap;

/// How deep defaults may stand in defaults.
const DEPTH_MAX: usize = 16;
/// How long an expression may be: a text full of open braces is read in no time, too.
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
pub(super) fn interpolate(
    text: &str,
    variables: &BTreeMap<String, String>,
    unset: &mut Vec<Unset>,
) -> String {
    fill(text, variables, unset, 0)
}

fn fill(text: &str, variables: &BTreeMap<String, String>, unset: &mut Vec<Unset>, depth: usize) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some((inside, after)) = braces(after).filter(|_| depth < DEPTH_MAX) {
            let value = expression(inside, variables, unset, depth);
            filled.push_str(&value.unwrap_or_else(|| format!("${{{inside}}}")));
            rest = after;
        } else {
            let end = name_end(after);
            let (name, after) = after.split_at(end);
            if name.is_empty() {
                filled.push('$');
            } else {
                filled.push_str(&value(name, variables, unset));
            }
            rest = after;
        }
    }
    filled + rest
}

/// What stands in the braces that a text begins with, and what comes after them.
fn braces(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{')?;
    let mut open = 1;
    for (at, c) in inside.char_indices().take(EXPRESSION_MAX) {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((&inside[..at], &inside[at + 1..]));
        }
    }
    None
}

fn name_end(text: &str) -> usize {
    let fits = |(at, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
    text.char_indices().find(|place| !fits(*place)).map_or(text.len(), |(at, _)| at)
}

fn value(name: &str, variables: &BTreeMap<String, String>, unset: &mut Vec<Unset>) -> String {
    variables.get(name).cloned().unwrap_or_else(|| {
        unset.push(Unset { name: name.to_owned(), required: None });
        String::new()
    })
}

/// The value of what stands in braces; `None` if it is no expression.
fn expression(
    inside: &str,
    variables: &BTreeMap<String, String>,
    unset: &mut Vec<Unset>,
    depth: usize,
) -> Option<String> {
    let (name, operation) = inside.split_at(name_end(inside));
    if name.is_empty() {
        return None;
    }
    if operation.is_empty() {
        return Some(value(name, variables, unset));
    }
    let (also_empty, operation) = operation.strip_prefix(':').map_or((false, operation), |rest| (true, rest));
    let set = variables.get(name).filter(|value| !(also_empty && value.is_empty()));
    let operand = operation.get(1..).unwrap_or_default();
    match (operation.chars().next()?, set) {
        ('-' | '?', Some(value)) => Some(value.clone()),
        ('-', None) | ('+', Some(_)) => Some(fill(operand, variables, unset, depth + 1)),
        ('+', None) => Some(String::new()),
        ('?', None) => {
            unset.push(Unset { name: name.to_owned(), required: Some(operand.to_owned()) });
            Some(String::new())
        }
        _ => None,
    }
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
            assert_eq!(interpolate(text, &variables, &mut unset), filled, "{text}");
            let told = unset.into_iter().map(|unset| match unset.required {
                Some(why) => format!("{}!{why}", unset.name),
                None => unset.name,
            });
            assert_eq!(told.collect::<Vec<_>>().join(" "), missing, "{text}");
        }
        let deep = "${A:-".repeat(2000) + &"}".repeat(2000);
        interpolate(&deep, &variables, &mut Vec::new());
    }

    #[test]
    fn an_env_file_is_read_as_compose_reads_it() {
        let read = env_file("# no\nA=1\nexport B=\"two # three\" # no\nC = x # no\nD=''\nnothing\n");
        let read: Vec<String> = read.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(read, ["A=1", "B=two # three", "C=x", "D="]);
    }
}
