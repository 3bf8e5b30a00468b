//! Limits. In: manifests. Out: [`Resources`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::device::{Device, DeviceOps, DeviceRate, DeviceRequest, DeviceRule, DeviceWeight};
use crate::resource::quantity::{ByteSize, CpuSet, Cpus, MemorySwap};
use crate::resource::ulimit::Ulimit;

/// What a container may use of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resources {
    /// The most memory it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// The memory that it is pressed back to when the host runs short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<ByteSize>,
    /// Memory and swap together; -1 for swap without limit. Twice the memory by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<MemorySwap>,
    /// How readily its memory is swapped out, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swappiness: Option<u8>,
    /// How many CPUs' time it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Its share of CPU time where there is too little of it, relative to 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u32>,
    /// The period in which `cpuQuota` is given, in microseconds (1000 to 1000000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_period: Option<u32>,
    /// The CPU time in each `cpuPeriod`, in microseconds; `cpus` says the same in one number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<u32>,
    /// The CPUs that it may run on: `0-2,4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_cpus: Option<CpuSet>,
    /// The memory nodes that it may use: `0,1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_mems: Option<CpuSet>,
    /// How many processes it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<u32>,
    /// Limits of each of its processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// Its share of block I/O, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blkio_weight: Option<u16>,
    /// Its share of block I/O by device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blkio_weight_device: Vec<DeviceWeight>,
    /// The most bytes a second read from a device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_read_bps: Vec<DeviceRate>,
    /// The most bytes a second written to a device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_write_bps: Vec<DeviceRate>,
    /// The most read operations a second on a device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_read_iops: Vec<DeviceOps>,
    /// The most write operations a second on a device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_write_iops: Vec<DeviceOps>,
    /// Whether its processes are never killed for want of memory. Dangerous without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kill_disable: Option<bool>,
    /// How readily its processes are killed for want of memory, -1000 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i16>,
    /// Devices of the host that it may use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// Devices that the engine's drivers hand out, such as GPUs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_requests: Vec<DeviceRequest>,
    /// Rules of its devices cgroup.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_cgroup_rules: Vec<DeviceRule>,
}

impl Resources {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
