//! Environment variables and other maps of text. In: a mapping, or Docker's list of `KEY=value`.
//! Out: sorted maps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Texts by key. Whole numbers are taken as their digits; anything whose text YAML may have changed
/// (`yes`, `1.10`, `0x1F`) has to be quoted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct TextMap(pub BTreeMap<String, String>);

impl TextMap {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for TextMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextMapVisitor)
    }
}

struct TextMapVisitor;

impl<'de> Visitor<'de> for TextMapVisitor {
    type Value = TextMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of texts or a list of \"KEY=value\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextMap, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Text>()? {
            texts.insert(key, value.0);
        }
        Ok(TextMap(texts))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TextMap, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some(Pair(key, value)) = list.next_element()? {
            if texts.contains_key(&key) {
                return Err(A::Error::custom(format!("`{}` is set twice", key.escape_debug())));
            }
            texts.insert(key, value);
        }
        Ok(TextMap(texts))
    }
}

/// An entry of Docker's list. What is wrong with it stands at it.
struct Pair(String, String);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = String::deserialize(deserializer)?;
        // The value is not repeated: it may be a secret. A name alone is: it has none.
        let Some((key, value)) = entry.split_once('=') else {
            let why = "expected KEY=value (what a manifest means does not depend on whose environment it is read in)";
            return Err(D::Error::custom(why));
        };
        if key.is_empty() {
            return Err(D::Error::custom("expected KEY=value"));
        }
        Ok(Self(key.to_owned(), value.to_owned()))
    }
}

struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text (in quotes)")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }

        deserializer.deserialize_any(TextVisitor)
    }
}

impl JsonSchema for TextMap {
    fn schema_name() -> Cow<'static, str> {
        "TextMap".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Texts by key, or Docker's list of `KEY=value`.",
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
                {"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}},
            ],
        })
    }
}

/// What is shown in the place of a secret.
pub const HIDDEN: &str = "(hidden)";

/// Whether a variable's name looks as if its value were a secret: its value is then never shown.
///
/// Substrings rather than words: `DBPASSWORD` and `MY_API_KEY_FILE` are meant too. Showing one
/// secret costs more than masking one harmless value.
pub fn looks_secret(key: &str) -> bool {
    const MARKS: [&str; 19] = [
        "PASS",
        "PWD",
        "SECRET",
        "TOKEN",
        "KEY",
        "CREDENTIAL",
        "AUTH",
        "PRIVATE",
        "DSN",
        "COOKIE",
        "SESSION",
        "SALT",
        "JWT",
        "BEARER",
        "_PAT",
        "密码",
        "口令",
        "密钥",
        "令牌",
    ];
    let key = key.to_ascii_uppercase();
    MARKS.iter().any(|mark| key.contains(mark))
}

/// A value with the password of a URL in it hidden: `postgres://exam:(hidden)@db/answers`. What a URL's query says under a
/// name that looks secret is hidden, too, and so is a web address's user without a password, which may be a token.
pub fn without_password(value: &str) -> Cow<'_, str> {
    hide(value, &[])
}

/// The same for a sentence, in which a URL ends with its word.
pub fn without_passwords(sentence: &str) -> Cow<'_, str> {
    hide(sentence, &[' ', '\t', '\n', '"', '`'])
}

/// What a program said, with nothing in it that opens something: neither in URLs nor under a name that looks secret.
pub fn without_secrets(line: &str) -> String {
    let line = without_passwords(line);
    let mut shown = String::with_capacity(line.len());
    let (line, is_old_form) = match old_form(&line) {
        Some(value) => (&line[..value], true),
        None => (&*line, false),
    };
    let mut rest = line;
    while let Some((before, value)) = rest.split_once('=') {
        shown.extend([before, "="]);
        rest = value;
        let is_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let key = before.rsplit(|c| !is_name(c)).next().unwrap_or_default();
        if looks_secret(key) && !value.starts_with(HIDDEN) {
            let opened = before[..before.len() - key.len()].chars().next_back();
            let end = end_of_value(value, opened.filter(|c| matches!(c, '"' | '\'')));
            shown.push_str(if end == 0 { "" } else { HIDDEN });
            rest = &value[end..];
        }
    }
    shown.push_str(rest);
    shown + if is_old_form { HIDDEN } else { "" }
}

/// Where the value begins in `ENV KEY value`, if the key looks secret.
fn old_form(line: &str) -> Option<usize> {
    let (before, after) = line.split_once("ENV ")?;
    let (key, value) = after.trim_start().split_once(' ')?;
    let is_it = before.is_empty() || before.ends_with(' ');
    let value = value.trim_start();
    (is_it && !key.contains('=') && looks_secret(key) && !value.is_empty()).then(|| line.len() - value.len())
}

/// Where a value ends, as a shell and a Dockerfile read it: at a space outside of quotes, or with the quote that was
/// opened before its name.
pub(super) fn end_of_value(value: &str, opened: Option<char>) -> usize {
    let mut quote = opened;
    let mut chars = value.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            _ if c == '\\' => {
                chars.next();
            }
            Some(open) if c == open && opened.is_some() => return at,
            Some(open) if c == open => quote = None,
            None if c.is_whitespace() => return at,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            _ => {}
        }
    }
    value.len()
}

/// Hides what opens something in URLs, which end at one of `ends`.
fn hide<'a>(text: &'a str, ends: &[char]) -> Cow<'a, str> {
    if !text.contains("://") {
        return text.into();
    }
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        // No further than another URL: who writes a million of them gets no answer later than who writes one.
        let another = after.find("://");
        let until = &after[..another.unwrap_or(after.len())];
        let word = match until.find(ends) {
            Some(end) => &until[..end],
            None if another.is_some() => {
                until.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "+.-".contains(c))
            }
            None => until,
        };
        // In a sentence: what follows it belongs to the sentence.
        let (address, next) = after.split_at(word.trim_end_matches([':', ',', ';', ')']).len());
        let (authority, path) = address.split_at(address.find(['/', '?', '#']).unwrap_or(address.len()));
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let (name, password) =
                    user.split_once(':').map_or((user, None), |(name, is)| (name, Some(is)));
                let is_token = is_web(before) && stands_alone(name, password);
                shown.push_str(if is_token { "(hidden)" } else { name });
                shown.extend([if password.is_some() { ":(hidden)@" } else { "@" }, host]);
            }
            None => shown.push_str(authority),
        }
        push_query(&mut shown, path);
        rest = next;
    }
    shown.push_str(rest);
    shown.into()
}

/// Whether text that ends before `://` ends with the scheme of a web address.
fn is_web(before: &str) -> bool {
    let scheme = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
}

/// Whether it is the name that opens something: a token is written in its place, with nothing behind it or with what GitHub
/// wants there. `git` is everybody's name.
fn stands_alone(name: &str, password: Option<&str>) -> bool {
    !matches!(name, "" | "git") && matches!(password, None | Some("" | "x-oauth-basic"))
}

/// Whether a part of a URL's query signs or opens something.
fn opens(key: &str) -> bool {
    looks_secret(key) || key.to_ascii_lowercase().contains("sig")
}

/// Adds a URL's path and its query, with what looks secret in the query hidden.
fn push_query(shown: &mut String, path: &str) {
    for part in path.split_inclusive(['?', '&', '#']) {
        match part.split_once('=') {
            // What is hidden already; what closes it was taken for the sentence's.
            Some((_, "(hidden")) => shown.push_str(part),
            Some((key, value)) if opens(key) && !key.contains('/') => {
                shown.extend([key, "=(hidden)", &value[value.trim_end_matches(['&', '#', '?']).len()..]]);
            }
            _ => shown.push_str(part),
        }
    }
}

/// Parses a file of `KEY=value` lines as `docker run --env-file` does: blank lines and lines that
/// begin with `#` are skipped, nothing is unquoted.
///
/// A line without `=` takes the variable from the caller's environment in Docker; here it is an
/// error, because what a manifest means must not depend on who reads it.
///
/// # Errors
/// The line number, from 1, and what is wrong with it (never the value).
pub fn parse_env_file(text: &str) -> Result<BTreeMap<String, String>, (usize, String)> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').ok_or((index + 1, "expected KEY=value".to_owned()))?;
        check_key(key).map_err(|error| (index + 1, error))?;
        variables.insert(key.to_owned(), value.to_owned());
    }
    Ok(variables)
}

/// Whether `key` can name an environment variable.
///
/// # Errors
/// A sentence that says why not.
pub fn check_key(key: &str) -> Result<(), String> {
    if key.is_empty() || key.contains(|c: char| c == '=' || c.is_whitespace() || c.is_control()) {
        return Err(format!("`{}` is not a variable's name", key.escape_debug()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_one_environment() {
        let mapping: TextMap = serde_json::from_str(r#"{"PORT": 4000, "NAME": "a=b"}"#).expect("a map");
        let list: TextMap = serde_json::from_str(r#"["NAME=a=b", "PORT=4000"]"#).expect("a list");
        assert_eq!(mapping, list);
        let error = serde_json::from_str::<TextMap>(r#"{"A": true}"#).expect_err("a boolean");
        assert!(error.to_string().contains("expected a text (in quotes)"), "{error}");
    }

    #[test]
    fn an_env_file_is_read_as_docker_reads_it() {
        let read = parse_env_file("# comment\nA=1\n\nB=\"quoted\" \r\nC=\n").expect("a file");
        let entries: Vec<(&str, &str)> =
            read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(entries, [("A", "1"), ("B", "\"quoted\" "), ("C", "")]);
        assert_eq!(parse_env_file("A=1\nB"), Err((2, "expected KEY=value".to_owned())));
        assert_eq!(parse_env_file("A B=1"), Err((1, "`A B` is not a variable's name".to_owned())));
    }

    #[test]
    fn secret_looking_names_are_known() {
        assert!(looks_secret("DB_PASSWORD") && looks_secret("api_key") && looks_secret("GITHUB_TOKEN"));
        assert!(looks_secret("JWT") && looks_secret("GITHUB_PAT") && looks_secret("数据库密码"));
        assert!(!looks_secret("CLOUD_PORT") && !looks_secret("TZ") && !looks_secret("PATH"));
        for (value, shown) in [
            ("postgres://exam:p@ss@db:5432/a?b=c@d", "postgres://exam:(hidden)@db:5432/a?b=c@d"),
            ("redis://:canary@cache", "redis://:(hidden)@cache"),
            ("http://exam@host/", "http://(hidden)@host/"),
            ("https://ghp_canary@github.com/a/b.git#main", "https://(hidden)@github.com/a/b.git#main"),
            ("HTTPS://ghp_canary:@github.com/a", "HTTPS://(hidden):(hidden)@github.com/a"),
            ("https://ghp_canary:x-oauth-basic@github.com/a", "https://(hidden):(hidden)@github.com/a"),
            ("https://git@host/a ssh://git@host/a", "https://git@host/a ssh://git@host/a"),
            ("ssh://exam@host/a", "ssh://exam@host/a"),
            ("http://host/a:b@c", "http://host/a:b@c"),
            ("plain:text@x", "plain:text@x"),
            ("http://exam:a \"b` c@host/", "http://exam:(hidden)@host/"),
            ("to=http://a:b@h,https://c:d@i/", "to=http://a:(hidden)@h,https://c:(hidden)@i/"),
            ("https://h/token=x", "https://h/token=x"),
            (
                "https://h/a.tar?token=x&n=1&X-Amz-Signature=y#top",
                "https://h/a.tar?token=(hidden)&n=1&X-Amz-Signature=(hidden)#top",
            ),
        ] {
            assert_eq!(without_password(value), shown);
        }
        for (sentence, shown) in [
            (
                "Get \"http://a:b@h/x\": not http://a:c@h: and git://d:e@f",
                "Get \"http://a:(hidden)@h/x\": not http://a:(hidden)@h: and git://d:(hidden)@f",
            ),
            ("import https://h/a?key=x: it is away", "import https://h/a?key=(hidden): it is away"),
            // It is hidden once, however many look after it.
            ("import https://h/a?key=(hidden): it is away", "import https://h/a?key=(hidden): it is away"),
            ("port of http://h:80 for a@b", "port of http://h:80 for a@b"),
        ] {
            assert_eq!(without_passwords(sentence), shown);
        }
    }

    #[test]
    fn law_12_what_a_line_sets_under_a_name_that_looks_secret_is_hidden() {
        for (line, shown) in [
            ("step 3/5: RUN git clone https://u:pw@h/x", "step 3/5: RUN git clone https://u:(hidden)@h/x"),
            ("step 1/2: ENV A=1 DB_PASSWORD=x B=2", "step 1/2: ENV A=1 DB_PASSWORD=(hidden) B=2"),
            ("ENV DB_PASSWORD=\"a b\\\" c\" B=2", "ENV DB_PASSWORD=(hidden) B=2"),
            ("ENV DB_PASSWORD=a\\ b'c d'e B=2", "ENV DB_PASSWORD=(hidden) B=2"),
            ("ENV DB_PASSWORD a b", "ENV DB_PASSWORD (hidden)"),
            ("[2/3] ARG token=x", "[2/3] ARG token=(hidden)"),
            ("RUN curl -H 'X-Api-Key=x y' --token=z", "RUN curl -H 'X-Api-Key=(hidden)' --token=(hidden)"),
            ("ARG TOKEN", "ARG TOKEN"),
            ("ENV PATH /bin", "ENV PATH /bin"),
            ("step 2/2: RUN make A=1 == b", "step 2/2: RUN make A=1 == b"),
        ] {
            assert_eq!(without_secrets(line), shown);
        }
    }
}
