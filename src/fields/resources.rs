//! What a container may use of the host. What the kernel has no means for, engines leave out of a new
//! container, with a warning: such a field counts as taken when it was asked for at the creation.

use serde_json::{Value, json};

use super::Base::{Engine, Nothing, Spec};
use super::Class::{Update, UpdateIfSet};
use super::Place::Host;
use super::Shape::Set;
use super::codec::{flag, limit, number, same, set, sorted, text, texts};
use super::entry::{field, set_of, shown};
use super::{Field, notation, show};
use crate::resource::container::ContainerSpec;
use crate::resource::device::{Device, DeviceOps, DeviceRate, DeviceRequest, DeviceWeight};
use crate::resource::quantity::ByteSize;
use crate::resource::ulimit::Ulimit;

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("resources.memory", "--memory", Host("Memory"), Nothing, |s| {
        s.resources.memory.map(|m| json!(m.bytes()))
    })
    .class(UpdateIfSet)
    .form(same, limit)
    .notation(notation::size)
    .shown(show::size)
    .droppable(),
    field("resources.memoryReservation", "--memory-reservation", Host("MemoryReservation"), Nothing, |s| {
        s.resources.memory_reservation.map(|size| json!(size.bytes()))
    })
    .class(UpdateIfSet)
    .form(same, limit)
    .notation(notation::size)
    .shown(show::size)
    .droppable(),
    field("resources.memorySwap", "--memory-swap", Host("MemorySwap"), Spec(swap_beside), |s| {
        s.resources.memory_swap.map(|size| json!(size.bytes()))
    })
    .class(UpdateIfSet)
    .form(same, number)
    .notation(notation::size)
    .shown(show::size)
    .droppable(),
    field(
        "resources.memorySwappiness",
        "--memory-swappiness",
        Host("MemorySwappiness"),
        Engine(|value, _| value.as_i64().is_none_or(|swappiness| swappiness < 0)),
        |s| s.resources.memory_swappiness.map(|swappiness| json!(swappiness)),
    )
    .droppable(),
    field("resources.cpus", "--cpus", Host("NanoCpus"), Nothing, |s| {
        s.resources.cpus.map(|c| json!(c.nanos()))
    })
    .class(UpdateIfSet)
    .form(same, limit)
    .notation(notation::cpus)
    .shown(show::cpus)
    .droppable(),
    field("resources.cpuShares", "--cpu-shares", Host("CpuShares"), Nothing, |s| {
        s.resources.cpu_shares.map(|shares| json!(shares))
    })
    .class(UpdateIfSet)
    .form(same, limit)
    .droppable(),
    field("resources.cpuPeriod", "--cpu-period", Host("CpuPeriod"), Nothing, |s| {
        s.resources.cpu_period.map(|period| json!(period))
    })
    .class(UpdateIfSet)
    .form(same, limit)
    .droppable(),
    field("resources.cpuQuota", "--cpu-quota", Host("CpuQuota"), Nothing, |s| {
        s.resources.cpu_quota.map(|quota| json!(quota))
    })
    .class(UpdateIfSet)
    .form(same, limit)
    .droppable(),
    field("resources.cpusetCpus", "--cpuset-cpus", Host("CpusetCpus"), Nothing, |s| {
        shown(s.resources.cpuset_cpus.as_ref())
    })
    .class(UpdateIfSet)
    .form(same, text)
    .droppable(),
    field("resources.cpusetMems", "--cpuset-mems", Host("CpusetMems"), Nothing, |s| {
        shown(s.resources.cpuset_mems.as_ref())
    })
    .class(UpdateIfSet)
    .form(same, text)
    .droppable(),
    field("resources.pidsLimit", "--pids-limit", Host("PidsLimit"), Nothing, |s| {
        s.resources.pids_limit.map(|limit| json!(limit))
    })
    .class(Update)
    .form(same, limit),
    field("resources.ulimits", "--ulimit", Host("Ulimits"), Nothing, |s| set_of(&s.resources.ulimits))
        .shape(Set)
        .form(encode_ulimits, decode_ulimits),
    field("resources.blkioWeight", "--blkio-weight", Host("BlkioWeight"), Nothing, |s| {
        s.resources.blkio_weight.map(|weight| json!(weight))
    })
    .class(UpdateIfSet)
    .form(same, limit)
    .droppable(),
    field("resources.blkioWeightDevice", "--blkio-weight-device", Host("BlkioWeightDevice"), Nothing, |s| {
        set_of(&s.resources.blkio_weight_device)
    })
    .shape(Set)
    .form(encode_weights, decode_weights)
    .droppable(),
    field("resources.deviceReadBps", "--device-read-bps", Host("BlkioDeviceReadBps"), Nothing, |s| {
        set_of(&s.resources.device_read_bps)
    })
    .shape(Set)
    .form(encode_rates, decode_rates)
    .droppable(),
    field("resources.deviceWriteBps", "--device-write-bps", Host("BlkioDeviceWriteBps"), Nothing, |s| {
        set_of(&s.resources.device_write_bps)
    })
    .shape(Set)
    .form(encode_rates, decode_rates)
    .droppable(),
    field("resources.deviceReadIops", "--device-read-iops", Host("BlkioDeviceReadIOps"), Nothing, |s| {
        set_of(&s.resources.device_read_iops)
    })
    .shape(Set)
    .form(encode_operations, decode_operations)
    .droppable(),
    field("resources.deviceWriteIops", "--device-write-iops", Host("BlkioDeviceWriteIOps"), Nothing, |s| {
        set_of(&s.resources.device_write_iops)
    })
    .shape(Set)
    .form(encode_operations, decode_operations)
    .droppable(),
    field("resources.oomKillDisable", "--oom-kill-disable", Host("OomKillDisable"), Nothing, |s| {
        s.resources.oom_kill_disable.map(Value::Bool)
    })
    .form(same, flag)
    .droppable(),
    field("resources.oomScoreAdj", "--oom-score-adj", Host("OomScoreAdj"), Nothing, |s| {
        s.resources.oom_score_adj.map(|adjustment| json!(adjustment))
    })
    .form(same, number),
    field("resources.devices", "--device", Host("Devices"), Nothing, |s| set_of(&s.resources.devices))
        .shape(Set)
        .form(encode_devices, decode_devices),
    field("resources.deviceRequests", "--gpus", Host("DeviceRequests"), Nothing, |s| {
        let requests: Vec<DeviceRequest> =
            s.resources.device_requests.iter().map(DeviceRequest::completed).collect();
        (!requests.is_empty()).then(|| json!(requests))
    })
    .form(encode_requests, decode_requests),
    field("resources.deviceCgroupRules", "--device-cgroup-rule", Host("DeviceCgroupRules"), Nothing, |s| {
        set_of(&s.resources.device_cgroup_rules)
    })
    .shape(Set)
    .form(same, sorted),
];

/// As much swap as memory, which is how engines take a limit of memory alone (`docker run --help`: "memory and swap together");
/// none without one.
fn swap_beside(spec: &ContainerSpec) -> Value {
    json!(spec.resources.memory.map_or(0, |memory| memory.bytes().saturating_mul(2)))
}

/// Whether an inspection tells a limit of memory and none of swap: what somebody has asked for, or all that the kernel can do.
pub fn has_endless_swap(inspection: &Value) -> bool {
    let limits = &inspection["HostConfig"];
    limits["MemorySwap"] == -1 && limits["Memory"].as_i64().is_some_and(|memory| memory > 0)
}

/// Takes out of an inspection a limit of swap that limits nothing: beside no limit of memory, or on a kernel that has no means for
/// it, where engines write `-1` whatever was asked for. `limits_swap` is the engine's own word for whether it has.
pub fn without_idle_swap(inspection: &mut Value, limits_swap: bool) {
    let limits = &mut inspection["HostConfig"];
    if limits.is_object() && (!limits_swap || limits["Memory"].as_i64().is_none_or(|memory| memory <= 0)) {
        limits["MemorySwap"] = json!(0);
    }
}

/// The elements of one of the engine's lists in the notation of manifests, sorted.
fn each(value: &Value, notation: impl Fn(&Value) -> String) -> Value {
    set(value.as_array().into_iter().flatten().map(notation))
}

/// Elements in the notation of manifests to one of the engine's lists.
fn parsed<T: std::str::FromStr>(value: &Value, encode: impl Fn(T) -> Value) -> Value {
    texts(value).filter_map(|text| text.parse().ok()).map(encode).collect()
}

fn part<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// `[{"Name": "nofile", "Soft": 1024, "Hard": 2048}]` to `["nofile=1024:2048"]`.
fn decode_ulimits(value: &Value) -> Value {
    each(value, |limit| format!("{}={}:{}", part(limit, "Name"), limit["Soft"], limit["Hard"]))
}

fn encode_ulimits(value: &Value) -> Value {
    parsed(value, |limit: Ulimit| json!({"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard}))
}

/// `[{"Path": "/dev/sda", "Weight": 200}]` to `["/dev/sda:200"]`.
fn decode_weights(value: &Value) -> Value {
    each(value, |device| format!("{}:{}", part(device, "Path"), device["Weight"]))
}

fn encode_weights(value: &Value) -> Value {
    parsed(value, |device: DeviceWeight| json!({"Path": device.path, "Weight": device.weight}))
}

/// `[{"Path": "/dev/sda", "Rate": 1048576}]` to `["/dev/sda:1Mi"]`.
fn decode_rates(value: &Value) -> Value {
    each(value, |device| {
        let rate = ByteSize::from_bytes(device["Rate"].as_u64().unwrap_or_default());
        format!("{}:{rate}", part(device, "Path"))
    })
}

fn encode_rates(value: &Value) -> Value {
    parsed(value, |device: DeviceRate| json!({"Path": device.path, "Rate": device.rate.bytes()}))
}

/// `[{"Path": "/dev/sda", "Rate": 1000}]` to `["/dev/sda:1000"]`.
fn decode_operations(value: &Value) -> Value {
    each(value, |device| format!("{}:{}", part(device, "Path"), device["Rate"]))
}

fn encode_operations(value: &Value) -> Value {
    parsed(value, |device: DeviceOps| json!({"Path": device.path, "Rate": device.rate}))
}

/// `[{"PathOnHost": "/dev/snd", "PathInContainer": "/dev/snd", "CgroupPermissions": "rwm"}]` to
/// `["/dev/snd:/dev/snd:rwm"]`.
fn decode_devices(value: &Value) -> Value {
    each(value, |device| {
        let notation = format!(
            "{}:{}:{}",
            part(device, "PathOnHost"),
            part(device, "PathInContainer"),
            part(device, "CgroupPermissions")
        );
        notation.parse::<Device>().map_or(notation, |device| device.to_string())
    })
}

fn encode_devices(value: &Value) -> Value {
    parsed(value, |device: Device| {
        json!({
            "PathOnHost": device.host,
            "PathInContainer": device.container,
            "CgroupPermissions": device.permissions,
        })
    })
}

/// The engine's device requests in the form of manifests.
fn decode_requests(value: &Value) -> Value {
    let list = |value: &Value| serde_json::from_value(value.clone()).unwrap_or_default();
    let requests = value.as_array().into_iter().flatten().map(|request| {
        let count = request["Count"].as_i64().and_then(|count| i32::try_from(count).ok());
        let options: std::collections::BTreeMap<String, String> =
            serde_json::from_value(request["Options"].clone()).unwrap_or_default();
        DeviceRequest {
            driver: Some(part(request, "Driver").to_owned()).filter(|driver| !driver.is_empty()),
            count: count.filter(|count| *count != 0),
            device_ids: list(&request["DeviceIDs"]),
            capabilities: serde_json::from_value(request["Capabilities"].clone()).unwrap_or_default(),
            options: crate::resource::env::TextMap(options),
        }
    });
    json!(requests.collect::<Vec<_>>())
}

fn encode_requests(value: &Value) -> Value {
    let requests: Vec<DeviceRequest> = serde_json::from_value(value.clone()).unwrap_or_default();
    let requests = requests.into_iter().map(|request| {
        json!({
            "Driver": request.driver.unwrap_or_default(),
            "Count": request.count.unwrap_or_default(),
            "DeviceIDs": request.device_ids,
            "Capabilities": request.capabilities,
            "Options": request.options.0,
        })
    });
    requests.collect()
}
