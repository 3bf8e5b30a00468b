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
        while let Some(entry) = list.next_element::<String>()? {
            // The value is not repeated: it may be a secret.
            let (key, value) = entry.split_once('=').ok_or_else(|| A::Error::custom("expected KEY=value"))?;
            if texts.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(A::Error::custom(format!("`{}` is set twice", key.escape_debug())));
            }
        }
        Ok(TextMap(texts))
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

/// A value with the password of a URL in it hidden: `postgres://exam:(hidden)@db/answers`.
pub fn without_password(value: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = value.split_once("://") else { return value.into() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return value.into() };
    let Some((name, _)) = user.split_once(':') else { return value.into() };
    format!("{scheme}://{name}:(hidden){}", &rest[user.len()..]).into()
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
            ("http://exam@host/", "http://exam@host/"),
            ("http://host/a:b@c", "http://host/a:b@c"),
            ("plain:text@x", "plain:text@x"),
        ] {
            assert_eq!(without_password(value), shown);
        }
    }
}
