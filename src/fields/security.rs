//! What a container may do to the host.

use serde_json::{Value, json};

use super::Base::Nothing;
use super::Field;
use super::Place::Host;
use super::Shape::Set;
use super::codec::{same, set, texts};
use super::entry::field;

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("capAdd", Host("CapAdd"), Nothing, |s| {
        s.cap_add.as_deref().map(|names| set(names.iter().map(ToString::to_string)))
    })
    .shape(Set)
    .form(same, decode_capabilities),
    field("capDrop", Host("CapDrop"), Nothing, |s| {
        s.cap_drop.as_deref().map(|names| set(names.iter().map(ToString::to_string)))
    })
    .shape(Set)
    .form(same, decode_capabilities),
    field("noNewPrivileges", Host("SecurityOpt"), Nothing, |s| s.no_new_privileges.map(Value::Bool))
        .form(encode_no_new_privileges, decode_no_new_privileges),
];

/// Capabilities without the `CAP_` that some engines put before them.
pub(super) fn decode_capabilities(value: &Value) -> Value {
    set(texts(value).map(|name| name.strip_prefix("CAP_").unwrap_or(name).to_owned()))
}

/// Whether the security options hold `no-new-privileges`.
pub(super) fn decode_no_new_privileges(value: &Value) -> Value {
    let on = |option: &str| {
        matches!(option, "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true")
    };
    Value::Bool(texts(value).any(on))
}

/// The security option for `no-new-privileges`.
pub(super) fn encode_no_new_privileges(value: &Value) -> Value {
    if value == true { json!(["no-new-privileges"]) } else { json!([]) }
}
