//! What is mounted, and where may be written.

use serde_json::{Value, json};

use super::Base::{Engine, Image, Nothing};
use super::Place::{Config, Host};
use super::Shape::{Added, Map, Set};
use super::codec::{decode_keys, encode_keys, flag, map, number, same, set, text, texts};
use super::entry::{field, set_of, shown, text_map};
use super::{Around, Field, Live, notation, show};
use crate::resource::bind::Bind;
use crate::resource::mount::{Mode, Mount, MountSource};
use crate::resource::quantity::ByteSize;
use crate::resource::tmpfs::Tmpfs;

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("binds", "--volume", Host("Binds"), Nothing, |s| set_of(&s.binds))
        .shape(Set)
        .form(same, decode_binds),
    field("mounts", "--mount", Host("Mounts"), Nothing, |s| set_of(&s.mounts))
        .shape(Set)
        .form(encode_mounts, decode_mounts),
    field("tmpfs", "--tmpfs", Host("Tmpfs"), Nothing, |s| set_of(&s.tmpfs))
        .shape(Set)
        .form(encode_tmpfs, decode_tmpfs),
    field("volumes", "--volume PATH", Config("Volumes"), Image, |s| set_of(&s.volumes))
        .shape(Added)
        .form(encode_keys, decode_keys)
        .given(mounted),
    field("volumesFrom", "--volumes-from", Host("VolumesFrom"), Nothing, |s| set_of(&s.volumes_from))
        .shape(Set)
        .form(same, decode_volumes_from),
    field("volumeDriver", "--volume-driver", Host("VolumeDriver"), Nothing, |s| {
        shown(s.volume_driver.as_ref())
    })
    .form(same, text),
    field("readOnly", "--read-only", Host("ReadonlyRootfs"), Nothing, |s| s.read_only.map(Value::Bool))
        .form(same, flag),
    field("shmSize", "--shm-size", Host("ShmSize"), Engine(is_engines_shm_size), |s| {
        // An engine takes 0 for its own size.
        s.shm_size.map(ByteSize::bytes).filter(|size| *size > 0).map(|size| json!(size))
    })
    .form(same, number)
    .notation(notation::size)
    .shown(show::size),
    field("storageOpt", "--storage-opt", Host("StorageOpt"), Nothing, |s| text_map(&s.storage_opt))
        .shape(Map)
        .form(same, map),
];

/// The engine's own size is 64 MiB.
fn is_engines_shm_size(value: &Value, _: &Around<'_>) -> bool {
    *value == 0 || *value == 64 << 20
}

/// What something is mounted on keeps no data in a volume without a name, whatever was asked for: of a live container
/// what [`ContainerSpec::mounted`](crate::resource::container::ContainerSpec::mounted) says of a spec.
fn mounted(live: &Live) -> Value {
    let elements = |field: &str| live.get(field).into_iter().flat_map(texts);
    let binds = elements("binds").filter_map(|bind| bind.parse().ok()).map(|bind: Bind| bind.target);
    let mounts = elements("mounts").filter_map(|mount| mount.parse().ok()).map(|mount: Mount| mount.target);
    let tmpfs = elements("tmpfs").filter_map(|tmpfs| tmpfs.parse().ok()).map(|tmpfs: Tmpfs| tmpfs.target);
    set(binds.chain(mounts).chain(tmpfs))
}

/// Whether an image gives an anonymous volume at this path to its containers.
pub fn declares_volume(image: &Live, path: &str) -> bool {
    image
        .get("volumes")
        .is_some_and(|volumes| texts(volumes).any(|declared| declared.trim_end_matches('/') == path))
}

/// Containers in the notation of manifests, without the `rw` that is the default.
fn decode_volumes_from(value: &Value) -> Value {
    set(texts(value).map(|from| from.strip_suffix(":rw").unwrap_or(from).to_owned()))
}

/// Binds in the form in which a manifest shows them.
pub(super) fn decode_binds(value: &Value) -> Value {
    set(texts(value)
        .map(|bind| bind.parse::<Bind>().map_or_else(|_| bind.to_owned(), |bind| bind.to_string())))
}

/// The engine's mounts to Docker's `--mount` notation; anonymous volumes are left out, they are
/// carried over from container to container.
fn decode_mounts(value: &Value) -> Value {
    let mounts = value.as_array().into_iter().flatten();
    set(mounts.filter(|mount| !is_anonymous(mount)).map(|mount| {
        let part = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let on = |value: &Value| (*value == true).then_some(String::new());
        let bind = &mount["BindOptions"];
        let tmpfs = &mount["TmpfsOptions"];
        let size = tmpfs["SizeBytes"].as_u64().filter(|size| *size > 0);
        let mode = tmpfs["Mode"].as_u64().and_then(|mode| u32::try_from(mode).ok()).filter(|mode| *mode > 0);
        let options = [
            ("source", part(&mount["Source"])),
            ("bind-propagation", part(&bind["Propagation"])),
            ("bind-nonrecursive", on(&bind["NonRecursive"])),
            ("volume-nocopy", on(&mount["VolumeOptions"]["NoCopy"])),
            ("tmpfs-size", size.map(|size| size.to_string())),
            ("tmpfs-mode", mode.map(|mode| Mode::from_bits(mode).to_string())),
            ("readonly", on(&mount["ReadOnly"])),
        ];
        let mut notation = format!("type={},target={}", text_of(&mount["Type"]), text_of(&mount["Target"]));
        for (key, value) in options {
            match value.as_deref() {
                None => {}
                Some("") => notation = format!("{notation},{key}"),
                Some(value) => notation = format!("{notation},{key}={value}"),
            }
        }
        notation.parse::<Mount>().map_or(notation, |mount| mount.to_string())
    }))
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a mount is of a volume without a name.
pub(super) fn is_anonymous(mount: &Value) -> bool {
    let source = mount["Source"].as_str().unwrap_or_default();
    mount["Type"] == "volume" && (source.is_empty() || is_anonymous_volume(source))
}

/// Whether a volume's name is one that the engine made up: 64 hexadecimal digits.
pub(crate) fn is_anonymous_volume(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Docker's `--mount` notation to the engine's mounts.
fn encode_mounts(value: &Value) -> Value {
    texts(value)
        .filter_map(|mount| mount.parse::<Mount>().ok())
        .map(|mount| {
            let mut encoded = match &mount.source {
                MountSource::Bind { path, propagation, non_recursive } => {
                    let mut encoded = json!({"Type": "bind", "Source": path});
                    if let Some(propagation) = propagation {
                        encoded["BindOptions"]["Propagation"] = json!(propagation.as_str());
                    }
                    if *non_recursive {
                        encoded["BindOptions"]["NonRecursive"] = json!(true);
                    }
                    encoded
                }
                MountSource::Volume { name, no_copy } => {
                    let mut encoded = json!({"Type": "volume", "Source": name.as_str()});
                    if *no_copy {
                        encoded["VolumeOptions"]["NoCopy"] = json!(true);
                    }
                    encoded
                }
                MountSource::Tmpfs { size, mode } => {
                    let mut encoded = json!({"Type": "tmpfs"});
                    if let Some(size) = size {
                        encoded["TmpfsOptions"]["SizeBytes"] = json!(size.bytes());
                    }
                    if let Some(mode) = mode {
                        encoded["TmpfsOptions"]["Mode"] = json!(mode.bits());
                    }
                    encoded
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
