//! Values as a manifest would write them. In: the common form. Out: text that is safe on a terminal;
//! never the value of a variable that looks secret.

use std::collections::BTreeSet;

use serde_json::Value;

use super::codec::texts;
use crate::resource::duration::Duration;
use crate::resource::env::{HIDDEN, looks_secret, without_password};
use crate::resource::printable::printable;
use crate::resource::quantity::{ByteSize, Cpus};
use crate::resource::words::{without_secret_arguments, without_secret_words};

/// Text without characters that could steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    printable(text).into_owned()
}

/// Whether there is nothing to show.
pub(super) fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Null) || *value == "" || *value == 0 || value.as_array().is_some_and(Vec::is_empty)
}

/// Any value.
pub(super) fn value(_: &str, value: &Value) -> String {
    match value {
        Value::String(text) => plain(&without_password(text)),
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(|element| self::value("", element)).collect();
            format!("[{}]", elements.join(", "))
        }
        other => plain(&other.to_string()),
    }
}

/// A program's words, without what looks secret in them.
pub(super) fn words(key: &str, value: &Value) -> String {
    match value {
        Value::String(word) => plain(&without_secret_arguments(word)),
        Value::Array(_) => {
            let words: Vec<&str> = texts(value).collect();
            self::value(key, &Value::from(without_secret_words(&words)))
        }
        other => self::value(key, other),
    }
}

/// A number of bytes.
pub(super) fn size(key: &str, value: &Value) -> String {
    value.as_u64().map_or_else(|| self::value(key, value), |bytes| ByteSize::from_bytes(bytes).to_string())
}

/// A number of CPUs.
pub(super) fn cpus(key: &str, value: &Value) -> String {
    value.as_u64().map_or_else(|| self::value(key, value), |nanos| Cpus::from_nanos(nanos).to_string())
}

/// A number of seconds.
pub(super) fn seconds(key: &str, value: &Value) -> String {
    value.as_i64().map_or_else(|| self::value(key, value), |seconds| format!("{seconds}s"))
}

/// A key of a health check: durations are nanoseconds, the test is a program.
pub(super) fn health(key: &str, value: &Value) -> String {
    match (key, value.as_u64()) {
        ("test", _) => words(key, value),
        ("interval" | "timeout" | "startPeriod", Some(nanos)) => Duration::from_nanos(nanos).to_string(),
        _ => self::value(key, value),
    }
}

/// A security option; a profile by the beginning of its digest.
pub(super) fn security_option(key: &str, value: &Value) -> String {
    match value.as_str().and_then(|option| option.strip_prefix("seccomp={")) {
        Some(rest) => {
            let digest = crate::resource::digest::sha256_hex(format!("{{{rest}").as_bytes());
            format!("seccomp=profile {}", &digest[..12])
        }
        None => self::value(key, value),
    }
}

/// A network that a container is on.
pub(super) fn network(_: &str, value: &Value) -> String {
    let mut parts = vec!["joined".to_owned()];
    for (key, word) in [("aliases", "as"), ("ipv4Address", "at"), ("ipv6Address", "at")] {
        if let Some(part) = value.get(key) {
            parts.push(format!("{word} {}", self::value(key, part)));
        }
    }
    parts.join(" ")
}

/// Both sides of one key of a map, hidden where the key looks secret.
pub(super) fn pair(
    key: &str,
    from: Option<&Value>,
    to: Option<&Value>,
    show: fn(&str, &Value) -> String,
) -> (Option<String>, Option<String>) {
    if looks_secret(key) {
        let hidden = |value: Option<&Value>| value.map(|_| HIDDEN.to_owned());
        return apart(hidden(from), hidden(to));
    }
    apart(from.map(|value| show(key, value)), to.map(|value| show(key, value)))
}

/// Both sides of what differs, also where the difference is hidden.
pub(super) fn apart(from: Option<String>, to: Option<String>) -> (Option<String>, Option<String>) {
    let is_hidden = to.is_some() && from == to;
    (from, to.map(|text| if is_hidden { format!("{text}, changed") } else { text }))
}

/// The elements of one set that another does not have; `None` if there are none.
pub(super) fn elements(of: &Value, without: &Value, show: fn(&str, &Value) -> String) -> Option<String> {
    let other: BTreeSet<&str> = texts(without).collect();
    let own = of.as_array().into_iter().flatten();
    let own = own.filter(|element| element.as_str().is_none_or(|text| !other.contains(text)));
    let shown: Vec<String> = own.map(|element| show("", element)).collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}
