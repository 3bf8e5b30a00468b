//! `.dockerignore`. In: its text and paths of a context. Out: whether a builder sees them. By the rules of
//! Docker's own matcher (moby/patternmatcher): patterns are whole paths from the context's root, a directory's
//! pattern covers what is below it, the last pattern that matches wins, `!` lets through again.

use regex_lite::Regex;

/// The file's name at the context's root.
pub const FILE: &str = ".dockerignore";

/// The patterns of a `.dockerignore`.
#[derive(Debug, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    lets_through: bool,
    whole_path: Regex,
}

impl Ignore {
    /// Reads patterns, one a line. What is named in `kept` is let through whatever they say: the builder
    /// itself reads it.
    ///
    /// # Errors
    /// The number of the first line that is no pattern (from 1; 0 for one of `kept`), and why.
    pub fn parse(text: &str, kept: &[&str]) -> Result<Self, (usize, String)> {
        let mut patterns = Vec::new();
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (lets_through, line) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let path = clean(line);
            if path.is_empty() {
                if lets_through {
                    return Err((number + 1, "`!` needs a pattern".to_owned()));
                }
                continue;
            }
            let whole_path = Regex::new(&expression(&path))
                .map_err(|_| (number + 1, format!("`{}` is no pattern", line.escape_debug())))?;
            patterns.push(Pattern { lets_through, whole_path });
        }
        if !patterns.is_empty() {
            for path in kept {
                let whole_path = Regex::new(&format!("^{}$", regex_lite::escape(path)))
                    .map_err(|error| (0, error.to_string()))?;
                patterns.push(Pattern { lets_through: true, whole_path });
            }
        }
        Ok(Self { patterns })
    }

    /// Whether a builder does not see a path. Its parts are separated by `/`.
    pub fn ignores(&self, path: &str) -> bool {
        let covers = |pattern: &Pattern| {
            let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            pattern.whole_path.is_match(path)
                || parents.into_iter().any(|parent| pattern.whole_path.is_match(parent))
        };
        self.patterns
            .iter()
            .rev()
            .find(|pattern| covers(pattern))
            .is_some_and(|pattern| !pattern.lets_through)
    }

    /// Whether something below an ignored directory may be let through.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.lets_through)
    }
}

/// A pattern without `.`, `..`, doubled and outer slashes, as Go's `filepath.Clean` leaves it.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A pattern as a regular expression: `*` and `?` stay within a part of a path, `**` crosses them.
fn expression(pattern: &str) -> String {
    let mut out = String::from("^");
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                out.push_str(if rest.peek().is_none() { ".*" } else { "(?:.*/)?" });
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '\\' => out.push_str(&regex_lite::escape(&rest.next().unwrap_or('\\').to_string())),
            '[' | ']' | '^' | '-' => out.push(c),
            other => out.push_str(&regex_lite::escape(&other.to_string())),
        }
    }
    out.push('$');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(patterns: &str, paths: &[&str]) -> Vec<String> {
        let ignore = Ignore::parse(patterns, &["Dockerfile"]).expect("patterns");
        paths.iter().filter(|path| !ignore.ignores(path)).map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn patterns_are_dockers() {
        for (patterns, paths, left) in [
            ("", &["a"][..], &["a"][..]),
            ("# a\n\n.\n", &["a"], &["a"]),
            ("a", &["a", "a/b", "b/a", "ab"], &["b/a", "ab"]),
            ("/a/", &["a", "a/b"], &[]),
            ("*.md\n!README.md", &["x.md", "README.md", "d/x.md"], &["README.md", "d/x.md"]),
            ("**/*.md", &["x.md", "d/e/x.md", "x.txt"], &["x.txt"]),
            ("d/**", &["d", "d/e/x", "e"], &["d", "e"]),
            ("d/**/x", &["d/x", "d/e/f/x", "d/y"], &["d/y"]),
            ("*\n!d/e", &["a", "d/e", "d/f", "d/e/g", "Dockerfile"], &["d/e", "d/e/g", "Dockerfile"]),
            ("!a\na", &["a"], &[]),
            ("a?c\n[x-z]\n[^a]1", &["abc", "a/c", "y", "b1", "a1"], &["a/c", "a1"]),
            ("\\*\n(a)+$", &["*", "a", "(a)+$", "aa"], &["a", "aa"]),
            ("d/../a\n./b", &["a", "b", "d"], &["d"]),
        ] {
            assert_eq!(seen(patterns, paths), left, "{patterns:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_by_its_line() {
        let refused = |text| Ignore::parse(text, &[]).map(|_| ()).unwrap_err();
        assert_eq!(refused("a\n!\n"), (2, "`!` needs a pattern".to_owned()));
        assert_eq!(refused("[a"), (1, "`[a` is no pattern".to_owned()));
    }
}
