//! What a container may do to the host, and what it shares with it.

use serde_json::{Value, json};

use super::Base::{Engine, Nothing, Spec};
use super::Place::Host;
use super::Shape::{Map, Set};
use super::codec::{flag, map, same, set, sorted, text, texts};
use super::entry::{field, set_of, shown, text_map, worded};
use super::{Around, Field, show};
use crate::resource::container::ContainerSpec;
use crate::resource::namespace::{IpcMode, PidMode};
use crate::resource::security::SecurityOption;

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("privileged", "--privileged", Host("Privileged"), Nothing, |s| s.privileged.map(Value::Bool))
        .form(same, flag),
    field("capAdd", "--cap-add", Host("CapAdd"), Nothing, |s| {
        s.cap_add.as_deref().map(|names| set(names.iter().map(ToString::to_string)))
    })
    .shape(Set)
    .form(same, decode_capabilities),
    field("capDrop", "--cap-drop", Host("CapDrop"), Nothing, |s| {
        s.cap_drop.as_deref().map(|names| set(names.iter().map(ToString::to_string)))
    })
    .shape(Set)
    .form(same, decode_capabilities),
    field("noNewPrivileges", "--security-opt no-new-privileges", Host("SecurityOpt"), Nothing, |s| {
        s.no_new_privileges.map(Value::Bool)
    })
    .form(encode_no_new_privileges, decode_no_new_privileges),
    field("groupAdd", "--group-add", Host("GroupAdd"), Nothing, |s| set_of(&s.group_add))
        .shape(Set)
        .form(same, sorted),
    field("usernsMode", "--userns", Host("UsernsMode"), Nothing, |s| worded(s.userns_mode)).form(same, text),
    field("ipcMode", "--ipc", Host("IpcMode"), Engine(is_engines_ipc), |s| shown(s.ipc_mode.as_ref()))
        .form(same, text),
    field("pidMode", "--pid", Host("PidMode"), Nothing, |s| shown(s.pid_mode.as_ref())).form(same, text),
    // After what it follows from.
    field("securityOpt", "--security-opt", Host("SecurityOpt"), Spec(without_label), |s| {
        let options = set_of(&s.security_opt)?;
        Some(set(texts(&options).chain(texts(&without_label(s))).map(str::to_owned)))
    })
    .shape(Set)
    .form(same, decode_security_opt)
    .shown(show::security_option),
    field("utsMode", "--uts", Host("UTSMode"), Nothing, |s| worded(s.uts_mode)).form(same, text),
    field("cgroupnsMode", "--cgroupns", Host("CgroupnsMode"), Engine(is_engines_cgroupns), |s| {
        worded(s.cgroupns_mode)
    })
    .form(same, text),
    field("cgroupParent", "--cgroup-parent", Host("CgroupParent"), Nothing, |s| {
        shown(s.cgroup_parent.as_ref())
    })
    .form(same, text),
    field("sysctls", "--sysctl", Host("Sysctls"), Nothing, |s| text_map(&s.sysctls))
        .shape(Map)
        .form(same, map),
    field("runtime", "--runtime", Host("Runtime"), Engine(is_engines_runtime), |s| shown(s.runtime.as_ref()))
        .form(same, text),
];

/// What engines add of themselves to a container that has the host's privileges, or its processes or their communication,
/// unless it says its own label (moby's `generateSecurityOpt`).
fn without_label(spec: &ContainerSpec) -> Value {
    let says_label = spec.security_opt.iter().any(|option| matches!(option, SecurityOption::Label(_)));
    let is_the_hosts = spec.privileged == Some(true)
        || spec.ipc_mode == Some(IpcMode::Host)
        || spec.pid_mode == Some(PidMode::Host);
    if is_the_hosts && !says_label { json!([WITHOUT_LABEL]) } else { json!([]) }
}

/// Fills that in where an inspection lacks it: one of another engine, or one that no engine has made.
pub fn fill_label(host: &mut Value) {
    let is_the_hosts = host["Privileged"] == true || host["PidMode"] == "host" || host["IpcMode"] == "host";
    let says_label = |option: &str| option.starts_with("label");
    if is_the_hosts && !texts(&host["SecurityOpt"]).any(says_label) {
        let options: Vec<String> =
            texts(&host["SecurityOpt"]).chain([WITHOUT_LABEL]).map(str::to_owned).collect();
        host["SecurityOpt"] = json!(options);
    }
}

/// No `SELinux` label.
const WITHOUT_LABEL: &str = "label=disable";

fn is_engines_ipc(value: &Value, around: &Around<'_>) -> bool {
    *value == "" || (*value == "private" && !around.info.is_null())
}

/// It follows the version of the host's cgroups.
fn is_engines_cgroupns(value: &Value, around: &Around<'_>) -> bool {
    matches!(
        (value.as_str().unwrap_or_default(), around.info["CgroupVersion"].as_str()),
        ("", _) | ("host", Some("1")) | ("private", Some("2"))
    )
}

fn is_engines_runtime(value: &Value, around: &Around<'_>) -> bool {
    *value == "" || *value == around.info["DefaultRuntime"]
}

/// Capabilities without the `CAP_` that some engines put before them.
fn decode_capabilities(value: &Value) -> Value {
    set(texts(value).map(|name| name.strip_prefix("CAP_").unwrap_or(name).to_owned()))
}

fn is_no_new_privileges(option: &str) -> bool {
    option.starts_with("no-new-privileges")
}

/// Whether the security options hold `no-new-privileges`.
fn decode_no_new_privileges(value: &Value) -> Value {
    let on = |option: &str| {
        matches!(option, "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true")
    };
    Value::Bool(texts(value).any(on))
}

/// The security option for `no-new-privileges`.
fn encode_no_new_privileges(value: &Value) -> Value {
    if value == true { json!(["no-new-privileges"]) } else { json!([]) }
}

/// The other security options, in the notation of manifests, profiles in canonical JSON.
fn decode_security_opt(value: &Value) -> Value {
    set(texts(value).filter(|option| !is_no_new_privileges(option)).map(|option| {
        let (kind, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match serde_json::from_str::<Value>(value) {
            // Maps of this JSON library are sorted by key.
            Ok(profile) if kind == "seccomp" => format!("seccomp={profile}"),
            _ => format!("{kind}={value}"),
        }
    }))
}
