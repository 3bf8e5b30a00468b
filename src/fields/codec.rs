//! The engine's forms of fields and the common one. In and out: JSON values. What cannot be read is
//! kept as it is, so that it differs from whatever is expected instead of being overlooked.

use serde_json::{Value, json};

/// As it is.
pub(super) fn same(value: &Value) -> Value {
    value.clone()
}

/// A text; nothing is the empty one.
pub(super) fn text(value: &Value) -> Value {
    Value::String(value.as_str().unwrap_or_default().to_owned())
}

/// Yes or no; nothing is no.
pub(super) fn flag(value: &Value) -> Value {
    Value::Bool(value.as_bool().unwrap_or(false))
}

/// A count of which nothing, 0 and -1 mean "without limit".
pub(super) fn limit(value: &Value) -> Value {
    json!(value.as_i64().filter(|limit| *limit > 0).unwrap_or(0))
}

/// A list of texts in order; nothing is the empty one.
pub(super) fn list(value: &Value) -> Value {
    match value {
        Value::Array(_) => value.clone(),
        // Old engines give a lone text here.
        Value::String(text) => json!([text]),
        _ => json!([]),
    }
}

/// A sorted set of texts.
pub(super) fn set(texts: impl IntoIterator<Item = String>) -> Value {
    let mut texts: Vec<String> = texts.into_iter().collect();
    texts.sort_unstable();
    texts.dedup();
    json!(texts)
}

/// The texts of a list.
pub(super) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// A whole number; nothing is 0.
pub(super) fn number(value: &Value) -> Value {
    json!(value.as_i64().unwrap_or(0))
}

/// A list whose order has no meaning.
pub(super) fn sorted(value: &Value) -> Value {
    set(texts(value).map(str::to_owned))
}

/// Texts by key; nothing is none.
pub(super) fn map(value: &Value) -> Value {
    if value.is_object() { value.clone() } else { json!({}) }
}

/// `["a"]` to `{"a": {}}`, Go's way to write a set.
pub(super) fn encode_keys(value: &Value) -> Value {
    Value::Object(texts(value).map(|text| (text.to_owned(), json!({}))).collect())
}

/// `{"a": {}}` to `["a"]`.
pub(super) fn decode_keys(value: &Value) -> Value {
    set(value.as_object().into_iter().flatten().map(|(key, _)| key.clone()))
}
