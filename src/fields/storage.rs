//! What is mounted, and where may be written.

use serde_json::{Value, json};

use super::Base::Nothing;
use super::Field;
use super::Place::Host;
use super::Shape::Set;
use super::codec::{flag, same, set, texts};
use super::entry::{field, set_of};
use crate::resource::mount::{Bind, Mount, MountSource};

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("binds", Host("Binds"), Nothing, |s| set_of(&s.binds)).shape(Set).form(same, decode_binds),
    field("mounts", Host("Mounts"), Nothing, |s| set_of(&s.mounts))
        .shape(Set)
        .form(encode_mounts, decode_mounts),
    field("tmpfs", Host("Tmpfs"), Nothing, |s| set_of(&s.tmpfs)).shape(Set).form(encode_tmpfs, decode_tmpfs),
    field("readOnly", Host("ReadonlyRootfs"), Nothing, |s| s.read_only.map(Value::Bool)).form(same, flag),
];

/// Binds in the form in which a manifest shows them.
pub(super) fn decode_binds(value: &Value) -> Value {
    set(texts(value)
        .map(|bind| bind.parse::<Bind>().map_or_else(|_| bind.to_owned(), |bind| bind.to_string())))
}

/// The engine's mounts to Docker's `--mount` notation; anonymous volumes are left out, they are
/// carried over from container to container.
pub(super) fn decode_mounts(value: &Value) -> Value {
    let mounts = value.as_array().into_iter().flatten();
    set(mounts.filter(|mount| !is_anonymous(mount)).map(|mount| {
        let part = |key: &str| mount[key].as_str().unwrap_or_default();
        let mut notation = format!("type={},target={}", part("Type"), part("Target"));
        if let Some(source) = mount["Source"].as_str().filter(|source| !source.is_empty()) {
            notation.push_str(",source=");
            notation.push_str(source);
        }
        if let Some(size) = mount["TmpfsOptions"]["SizeBytes"].as_u64().filter(|size| *size > 0) {
            notation = format!("{notation},tmpfs-size={size}");
        }
        if mount["ReadOnly"] == true {
            notation.push_str(",readonly");
        }
        notation.parse::<Mount>().map_or(notation, |mount| mount.to_string())
    }))
}

fn is_anonymous(mount: &Value) -> bool {
    mount["Type"] == "volume" && mount["Source"].as_str().is_some_and(is_anonymous_volume)
}

/// Whether a volume's name is one that the engine made up: 64 hexadecimal digits.
pub(crate) fn is_anonymous_volume(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Docker's `--mount` notation to the engine's mounts.
pub(super) fn encode_mounts(value: &Value) -> Value {
    texts(value)
        .filter_map(|mount| mount.parse::<Mount>().ok())
        .map(|mount| {
            let mut encoded = match &mount.source {
                MountSource::Bind(path) => json!({"Type": "bind", "Source": path}),
                MountSource::Volume(name) => json!({"Type": "volume", "Source": name.as_str()}),
                MountSource::Tmpfs(None) => json!({"Type": "tmpfs"}),
                MountSource::Tmpfs(Some(size)) => {
                    json!({"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": size.bytes()}})
                }
            };
            encoded["Target"] = json!(mount.target);
            encoded["ReadOnly"] = json!(mount.read_only);
            encoded
        })
        .collect()
}

/// `{"/run": "size=64m"}` to `["/run:size=64m"]`.
pub(super) fn decode_tmpfs(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    set(entries.map(|(target, options)| match options.as_str().unwrap_or_default() {
        "" => target.clone(),
        options => format!("{target}:{options}"),
    }))
}

/// `["/run:size=64m"]` to `{"/run": "size=64m"}`.
pub(super) fn encode_tmpfs(value: &Value) -> Value {
    let entries = texts(value).map(|entry| entry.split_once(':').unwrap_or((entry, "")));
    Value::Object(entries.map(|(target, options)| (target.to_owned(), json!(options))).collect())
}
