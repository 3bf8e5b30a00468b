//! The rules for an image's repository and tag, as the distribution reference grammar has them. In: a text.
//! Out: whether it is one, or what is wrong with it. Never repairs anything.

/// The longest repository that a registry takes.
const MAX_REPOSITORY: usize = 255;
/// The longest tag that a registry takes.
const MAX_TAG: usize = 128;

/// Whether `text` is a lower-case repository, optionally with a registry: `exams/algebra`,
/// `10.20.29.45:5000/algebra`.
///
/// Errors: a sentence without the text itself.
pub(super) fn check_repository(text: &str) -> Result<(), String> {
    if text.len() > MAX_REPOSITORY {
        return Err(format!("longer than {MAX_REPOSITORY} characters"));
    }
    let mut components = text.split('/').peekable();
    let several = text.contains('/');
    if several && components.peek().is_some_and(|first| is_registry(first)) {
        components.next();
    }
    for component in components {
        check_component(component)?;
    }
    Ok(())
}

/// Whether `text` is a tag.
pub(super) fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= MAX_TAG && text.starts_with(word) && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

/// A first component is a registry when it has a dot or a port, or is `localhost`: Docker's own rule.
fn is_registry(component: &str) -> bool {
    let (host, port) = component.split_once(':').unwrap_or((component, ""));
    let label = |label: &str| {
        label.starts_with(|c: char| c.is_ascii_alphanumeric())
            && label.ends_with(|c: char| c.is_ascii_alphanumeric())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let port_fits = if component.contains(':') { port.parse::<u16>().is_ok() } else { true };
    let marked = component.contains(['.', ':']) || component == "localhost";
    marked && port_fits && host.split('.').all(label)
}

fn check_component(component: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if component.is_empty() {
        return Err("a part of it is empty".to_owned());
    }
    if component.contains(|c: char| c.is_ascii_uppercase()) {
        return Err("Docker repository names are lower case".to_owned());
    }
    if component.contains(':') {
        return Err("it contains `:`".to_owned());
    }
    if !component.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-')) {
        return Err("only a-z, 0-9, `.`, `_`, `-` and `/` may stand in it".to_owned());
    }
    if !component.starts_with(plain) || !component.ends_with(plain) {
        return Err("each part begins and ends with a-z or 0-9".to_owned());
    }
    let separators = component.split(plain).filter(|run| !run.is_empty());
    for run in separators {
        // The grammar's separators: one dot, one or two underscores, any number of hyphens.
        if !(matches!(run, "." | "_" | "__") || run.chars().all(|c| c == '-')) {
            return Err(format!("`{run}` may not stand between letters"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_follow_the_reference_grammar() {
        for good in ["img-test", "a/b", "a__b", "a--b", "10.20.29.45:5000/exam", "localhost/exam", "Reg.io/x"]
        {
            assert_eq!(check_repository(good), Ok(()), "{good}");
        }
        for (bad, message) in [
            ("", "a part of it is empty"),
            ("a//b", "a part of it is empty"),
            ("Exam", "Docker repository names are lower case"),
            ("exam:v1", "it contains `:`"),
            ("host:99999/exam", "it contains `:`"),
            ("期中", "only a-z, 0-9, `.`, `_`, `-` and `/` may stand in it"),
            ("-a", "each part begins and ends with a-z or 0-9"),
            ("a..b", "`..` may not stand between letters"),
            ("a___b", "`___` may not stand between letters"),
        ] {
            assert_eq!(check_repository(bad), Err(message.to_owned()), "{bad}");
        }
        assert!(check_repository(&"a".repeat(256)).is_err());
    }

    #[test]
    fn tags_follow_the_reference_grammar() {
        for good in ["latest", "v1.0", "_x", "A-1"] {
            assert!(is_tag(good), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "a:b", "中"] {
            assert!(!is_tag(bad), "{bad}");
        }
        assert!(!is_tag(&"a".repeat(129)));
    }
}
