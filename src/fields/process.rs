//! The program: what is run, as whom, and with what around it.

use serde_json::{Value, json};

use super::Base::{Engine, Image, ImageUnlessEntrypoint, Nothing};
use super::Place::{Config, Host};
use super::Shape::Map;
use super::codec::{flag, list, same, text, texts};
use super::entry::{field, shown, text_map};
use super::{Around, Field, show};

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("entrypoint", "--entrypoint", Config("Entrypoint"), Image, |s| {
        s.entrypoint.as_ref().map(|words| json!(without_nothing(words)))
    })
    .form(same, list)
    .shown(show::words),
    field("command", "COMMAND ARG...", Config("Cmd"), ImageUnlessEntrypoint, |s| {
        s.command.as_ref().map(|words| json!(words))
    })
    .form(same, list)
    .shown(show::words),
    field("env", "--env, --env-file", Config("Env"), Image, |s| text_map(&s.env))
        .shape(Map)
        .form(encode_env, decode_env),
    field("workingDir", "--workdir", Config("WorkingDir"), Image, |s| {
        s.working_dir.as_deref().map(|dir| json!(clean(dir)))
    })
    .form(same, text),
    field("user", "--user", Config("User"), Image, |s| shown(s.user.as_ref())).form(same, text),
    field("hostname", "--hostname", Config("Hostname"), Engine(is_engines_hostname), |s| {
        shown(s.hostname.as_ref())
    })
    .form(same, text),
    field("domainname", "--domainname", Config("Domainname"), Nothing, |s| shown(s.domainname.as_ref()))
        .form(same, text),
    field("labels", "--label, --label-file", Config("Labels"), Image, |s| text_map(&s.labels))
        .shape(Map)
        .form(same, decode_labels),
    field("tty", "--tty", Config("Tty"), Nothing, |s| s.tty.map(Value::Bool)).form(same, flag),
    field("stdinOpen", "--interactive", Config("OpenStdin"), Nothing, |s| s.stdin_open.map(Value::Bool))
        .form(same, flag),
    field("init", "--init", Host("Init"), Engine(|value, _| *value == false), |s| s.init.map(Value::Bool))
        .form(same, flag),
];

/// An engine takes one empty word for none at all, as `docker run --entrypoint ''` gives it.
fn without_nothing(words: &[String]) -> &[String] {
    match words {
        [word] if word.is_empty() => &[],
        words => words,
    }
}

/// An absolute path as an engine keeps it: by Go's rules for `path.Clean`.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The short id; the host's own name on its network; another container's in that one's.
fn is_engines_hostname(value: &Value, around: &Around<'_>) -> bool {
    let name = value.as_str().unwrap_or_default();
    let id = around.inspection["Id"].as_str().and_then(|id| id.get(..12));
    let mode = around.inspection["HostConfig"]["NetworkMode"].as_str().unwrap_or_default();
    name.is_empty()
        || id == Some(name)
        || (mode == "host" && around.info["Name"] == name)
        || mode.starts_with("container:")
}

/// `["A=1"]` to `{"A": "1"}`.
fn decode_env(value: &Value) -> Value {
    let entries = texts(value).map(|entry| entry.split_once('=').unwrap_or((entry, "")));
    Value::Object(entries.map(|(key, value)| (key.to_owned(), json!(value))).collect())
}

/// `{"A": "1"}` to `["A=1"]`.
fn encode_env(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| json!(format!("{key}={}", value.as_str().unwrap_or_default()))).collect()
}

/// Labels without ours.
fn decode_labels(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    Value::Object(
        entries
            .filter(|(key, _)| !key.starts_with(crate::resource::label::PREFIX))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
}
