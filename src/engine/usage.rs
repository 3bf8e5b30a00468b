//! How much a container uses. In: the engine's answer of two measurements, a second apart. Out: numbers, as Docker counts them.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// How much a container uses; sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The share of one core between the two measurements: 2 is two cores.
    pub cpu: f64,
    /// Memory, without what the kernel would give up at once.
    pub memory: u64,
    /// How much memory it may use: all of the host's, unless said.
    pub memory_limit: u64,
    /// What came in over its networks.
    pub received: u64,
    /// What went out.
    pub sent: u64,
    /// What it read from disks.
    pub read: u64,
    /// What it wrote to them.
    pub written: u64,
    /// How many processes and threads there are in it.
    pub processes: u64,
}

impl Usage {
    /// What an answer says; `None` of a container that does not run, of which nothing is measured.
    pub fn of(answer: &Value) -> Option<Self> {
        let processes = answer["pids_stats"]["current"].as_u64()?;
        let network = |key: &str| {
            let interfaces = answer["networks"].as_object().into_iter().flatten();
            interfaces.filter_map(|(_, interface)| interface[key].as_u64()).fold(0, u64::saturating_add)
        };
        let disk = |wanted: &str| {
            let entries =
                answer["blkio_stats"]["io_service_bytes_recursive"].as_array().into_iter().flatten();
            // Version 1 of cgroups writes `Read`, version 2 `read`.
            let is_wanted =
                |entry: &&Value| entry["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case(wanted));
            let bytes = entries.filter(is_wanted).filter_map(|entry| entry["value"].as_u64());
            bytes.fold(0, u64::saturating_add)
        };
        Some(Self {
            cpu: cpu(answer),
            memory: memory(&answer["memory_stats"]),
            memory_limit: answer["memory_stats"]["limit"].as_u64().unwrap_or_default(),
            received: network("rx_bytes"),
            sent: network("tx_bytes"),
            read: disk("read"),
            written: disk("write"),
            processes,
        })
    }

    /// How much of the memory that it may use it does.
    pub fn memory_share(&self) -> f64 {
        if self.memory_limit == 0 { 0.0 } else { float(self.memory) / float(self.memory_limit) }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share is shown with two digits")]
fn float(number: u64) -> f64 {
    number as f64
}

fn cpu(answer: &Value) -> f64 {
    let (now, before) = (&answer["cpu_stats"], &answer["precpu_stats"]);
    let total = |stats: &Value| stats["cpu_usage"]["total_usage"].as_u64().unwrap_or_default();
    let system = |stats: &Value| stats["system_cpu_usage"].as_u64().unwrap_or_default();
    let used = total(now).saturating_sub(total(before));
    let passed = system(now).saturating_sub(system(before));
    if passed == 0 || system(before) == 0 {
        return 0.0;
    }
    float(used) / float(passed) * float(now["online_cpus"].as_u64().unwrap_or(1).max(1))
}

fn memory(stats: &Value) -> u64 {
    let cached = stats["stats"]["total_inactive_file"].as_u64().or(stats["stats"]["inactive_file"].as_u64());
    stats["usage"].as_u64().unwrap_or_default().saturating_sub(cached.unwrap_or_default())
}
