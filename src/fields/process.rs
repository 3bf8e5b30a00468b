//! The program: what is run, as whom, and with what around it.

use serde_json::{Value, json};

use super::Base::{Engine, Image, ImageUnlessEntrypoint, Nothing};
use super::Field;
use super::Place::{Config, Host};
use super::Shape::Map;
use super::codec::{flag, list, same, text, texts};
use super::entry::field;

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("entrypoint", Config("Entrypoint"), Image, |s| s.entrypoint.as_ref().map(|words| json!(words)))
        .form(same, list),
    field("command", Config("Cmd"), ImageUnlessEntrypoint, |s| s.command.as_ref().map(|words| json!(words)))
        .form(same, list),
    field("env", Config("Env"), Image, |s| (!s.env.is_empty()).then(|| json!(s.env)))
        .shape(Map)
        .form(encode_env, decode_env),
    field("workingDir", Config("WorkingDir"), Image, |s| s.working_dir.as_ref().map(|dir| json!(dir)))
        .form(same, text),
    field("user", Config("User"), Image, |s| s.user.as_ref().map(|user| json!(user))).form(same, text),
    field("hostname", Config("Hostname"), Engine, |s| s.hostname.as_ref().map(|name| json!(name)))
        .form(same, text),
    field("labels", Config("Labels"), Image, |s| (!s.labels.is_empty()).then(|| json!(s.labels)))
        .shape(Map)
        .form(same, decode_labels),
    field("tty", Config("Tty"), Nothing, |s| s.tty.map(Value::Bool)).form(same, flag),
    field("stdinOpen", Config("OpenStdin"), Nothing, |s| s.stdin_open.map(Value::Bool)).form(same, flag),
    field("init", Host("Init"), Engine, |s| s.init.map(Value::Bool)).form(same, flag),
];

/// `["A=1"]` to `{"A": "1"}`.
pub(super) fn decode_env(value: &Value) -> Value {
    let entries = texts(value).map(|entry| entry.split_once('=').unwrap_or((entry, "")));
    Value::Object(entries.map(|(key, value)| (key.to_owned(), json!(value))).collect())
}

/// `{"A": "1"}` to `["A=1"]`.
pub(super) fn encode_env(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| json!(format!("{key}={}", value.as_str().unwrap_or_default()))).collect()
}

/// Labels without ours.
pub(super) fn decode_labels(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    Value::Object(
        entries
            .filter(|(key, _)| !key.starts_with(crate::resource::label::PREFIX))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
}
