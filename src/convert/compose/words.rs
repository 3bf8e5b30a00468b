//! A shell's line into words, as Compose splits a `command` that is a text.

/// The words of a line: separated by blanks, held together by quotes and backslashes. `None` if a quote is not
/// closed.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') => {
                let next = chars.next()?;
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    word.get_or_insert_default().push('\\');
                }
                word.get_or_insert_default().push(next);
            }
            (None, '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_line_is_split_as_a_shell_does() {
        for (line, expected) in [
            ("nginx -g 'daemon off;'", vec!["nginx", "-g", "daemon off;"]),
            (r#"sh -c "echo \"a b\" \n""#, vec!["sh", "-c", r#"echo "a b" \n"#]),
            (r"a\ b  '' c", vec!["a b", "", "c"]),
            ("", vec![]),
        ] {
            assert_eq!(words(line), Some(expected.into_iter().map(str::to_owned).collect()), "{line}");
        }
        assert_eq!(words("a 'b"), None);
        assert_eq!(words("a \\"), None);
    }
}
