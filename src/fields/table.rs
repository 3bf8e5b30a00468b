//! The table of fields. One entry knows everything about its field.

use serde_json::{Value, json};

use super::Base::{Engine, Image, ImageUnlessEntrypoint, Nothing, Spec};
use super::Class::{Connect, Replace, Update, UpdateIfSet};
use super::Place::{Config, Host, Inspection};
use super::Shape::{Map, Set, Whole};
use super::codec::{
    decode_binds, decode_capabilities, decode_env, decode_health, decode_labels, decode_mounts,
    decode_network_mode, decode_networks, decode_no_new_privileges, decode_ports, decode_restart,
    decode_signal, decode_tmpfs, encode_env, encode_health, encode_mounts, encode_no_new_privileges,
    encode_ports, encode_restart, encode_tmpfs, flag, limit, list, network_mode, networks, same, set, text,
};
use super::show;
use super::{Base, Class, Field, Place, Shape};
use crate::resource::container::ContainerSpec;
use crate::resource::port::PortMapping;

/// A field that both sides write alike and that only a new container can change.
const fn field(
    name: &'static str,
    place: Place,
    base: Base,
    sent: fn(&ContainerSpec) -> Option<Value>,
) -> Field {
    Field {
        name,
        class: Replace,
        shape: Whole,
        place,
        sent,
        base,
        encode: same,
        decode: same,
        show: show::value,
    }
}

impl Field {
    const fn class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    const fn shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    const fn form(self, encode: fn(&Value) -> Value, decode: fn(&Value) -> Value) -> Self {
        Self { encode, decode, ..self }
    }

    const fn shown(self, show: fn(&str, &Value) -> String) -> Self {
        Self { show, ..self }
    }
}

/// The values of a list, unless it is empty.
fn set_of<T: ToString>(values: &[T]) -> Option<Value> {
    (!values.is_empty()).then(|| set(values.iter().map(ToString::to_string)))
}

/// Every field of a container, in the order in which a plan tells them.
pub static FIELDS: &[Field] = &[
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
    field("networkMode", Host("NetworkMode"), Nothing, |s| {
        (s.network_mode.is_some() || !s.networks.is_empty()).then(|| json!(network_mode(s).to_string()))
    })
    .form(same, decode_network_mode),
    field("networks", Inspection, Spec(networks), |s| (!s.networks.is_empty()).then(|| networks(s)))
        .class(Connect)
        .shape(Map)
        .form(same, decode_networks)
        .shown(show::network),
    field("ports", Host("PortBindings"), Nothing, |s| {
        let published = s.ports.iter().flat_map(PortMapping::published);
        (!s.ports.is_empty()).then(|| set(published.map(|port| port.to_string())))
    })
    .shape(Set)
    .form(encode_ports, decode_ports),
    field("binds", Host("Binds"), Nothing, |s| set_of(&s.binds)).shape(Set).form(same, decode_binds),
    field("mounts", Host("Mounts"), Nothing, |s| set_of(&s.mounts))
        .shape(Set)
        .form(encode_mounts, decode_mounts),
    field("tmpfs", Host("Tmpfs"), Nothing, |s| set_of(&s.tmpfs)).shape(Set).form(encode_tmpfs, decode_tmpfs),
    field("readOnly", Host("ReadonlyRootfs"), Nothing, |s| s.read_only.map(Value::Bool)).form(same, flag),
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
    field("resources.memory", Host("Memory"), Nothing, |s| {
        s.resources.memory.map(|size| json!(size.bytes()))
    })
    .class(UpdateIfSet)
    .form(same, limit)
    .shown(show::size),
    field("resources.cpus", Host("NanoCpus"), Nothing, |s| s.resources.cpus.map(|cpus| json!(cpus.nanos())))
        .class(UpdateIfSet)
        .form(same, limit)
        .shown(show::cpus),
    field("resources.pidsLimit", Host("PidsLimit"), Nothing, |s| {
        s.resources.pids_limit.map(|limit| json!(limit))
    })
    .class(Update)
    .form(same, limit),
    field("restartPolicy", Host("RestartPolicy"), Nothing, |s| {
        s.restart_policy.map(|policy| json!(policy.to_string()))
    })
    .class(Update)
    .form(encode_restart, decode_restart),
    field("stopSignal", Config("StopSignal"), Image, |s| {
        s.stop_signal.as_ref().map(|signal| decode_signal(&json!(signal)))
    })
    .form(same, decode_signal),
    field("stopTimeout", Config("StopTimeout"), Nothing, |s| {
        s.stop_timeout.map(|timeout| json!(timeout.seconds()))
    })
    .shown(show::seconds),
    field("healthcheck", Config("Healthcheck"), Image, |s| {
        s.healthcheck.as_ref().map(|check| {
            let mut keys = serde_json::Map::new();
            if let Some(test) = &check.test {
                keys.insert("test".to_owned(), json!(test.words()));
            }
            let durations = [
                ("interval", check.interval),
                ("timeout", check.timeout),
                ("startPeriod", check.start_period),
            ];
            for (key, duration) in durations {
                if let Some(duration) = duration {
                    keys.insert(key.to_owned(), json!(duration.nanos()));
                }
            }
            if let Some(retries) = check.retries {
                keys.insert("retries".to_owned(), json!(retries));
            }
            Value::Object(keys)
        })
    })
    .shape(Map)
    .form(encode_health, decode_health)
    .shown(show::health),
];
