//! The rules for what a container may use. They are the engine's own (moby, `daemon_unix.go`), said
//! before anything is stopped for a container that the engine would refuse.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::resource::container::Resources;
use crate::resource::quantity::MemorySwap;
use crate::resource::violation::{FieldPath, Violation};

/// The engine's least memory for a container (6 MiB since 20.10).
const MEMORY_MIN: u64 = 6 << 20;

fn outside<T: PartialOrd + Display + Copy>(value: Option<T>, range: &RangeInclusive<T>) -> Option<String> {
    let value = value.filter(|value| !range.contains(value))?;
    Some(format!("{value} is out of range ({} to {})", range.start(), range.end()))
}

impl Resources {
    /// Every rule that the limits break; `root` is where they stand.
    pub(super) fn check(&self, root: &FieldPath) -> Vec<Violation> {
        let ranges = [
            ("memorySwappiness", outside(self.memory_swappiness, &(0..=100))),
            ("cpuShares", outside(self.cpu_shares, &(2..=262_144))),
            ("cpuPeriod", outside(self.cpu_period, &(1000..=1_000_000))),
            ("cpuQuota", outside(self.cpu_quota, &(1000..=u32::MAX))),
            ("blkioWeight", outside(self.blkio_weight, &(10..=1000))),
            ("oomScoreAdj", outside(self.oom_score_adj, &(-1000..=1000))),
        ];
        let mut violations: Vec<Violation> = ranges
            .into_iter()
            .filter_map(|(key, message)| Some(Violation::error(root.key(key), message?)))
            .collect();
        violations.extend(self.check_memory(root));
        if self.cpus.is_some_and(|cpus| cpus.nanos() < 10_000_000) {
            violations.push(Violation::error(root.key("cpus"), "the engine's least is 0.01"));
        }
        if self.cpus.is_some() && (self.cpu_period.is_some() || self.cpu_quota.is_some()) {
            violations.push(Violation::error(
                root.key("cpus"),
                "cpus says the same as cpuPeriod and cpuQuota: give one of them",
            ));
        }
        if self.pids_limit == Some(0) {
            violations.push(
                Violation::error(root.key("pidsLimit"), "0 processes cannot run a program")
                    .with_hint("leave pidsLimit out for no limit"),
            );
        }
        let mut limited = BTreeSet::new();
        for (index, limit) in self.ulimits.iter().enumerate() {
            if !limited.insert(&limit.name) {
                violations.push(Violation::error(
                    root.key("ulimits").index(index),
                    format!("{} is limited twice", limit.name),
                ));
            }
        }
        for (index, device) in self.blkio_weight_device.iter().enumerate() {
            if let Some(message) = outside(Some(device.weight), &(10..=1000)) {
                violations.push(Violation::error(root.key("blkioWeightDevice").index(index), message));
            }
        }
        for (index, request) in self.device_requests.iter().enumerate() {
            let path = root.key("deviceRequests").index(index);
            if request.count.is_some() && !request.device_ids.is_empty() {
                violations
                    .push(Violation::error(path.key("count"), "count and deviceIds exclude each other"));
            }
            if request.count.is_some_and(|count| count < -1) {
                violations
                    .push(Violation::error(path.key("count"), "it is a number of devices, or -1 for all"));
            }
        }
        violations
    }

    fn check_memory(&self, root: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (key, size) in [("memory", self.memory), ("memoryReservation", self.memory_reservation)] {
            if let Some(size) = size.filter(|size| size.bytes() < MEMORY_MIN) {
                violations.push(Violation::error(
                    root.key(key),
                    format!("{size} is less than the engine's least, 6Mi"),
                ));
            }
        }
        if let (Some(memory), Some(reservation)) = (self.memory, self.memory_reservation)
            && memory < reservation
        {
            violations.push(Violation::error(
                root.key("memoryReservation"),
                format!("{reservation} is more than memory, {memory}"),
            ));
        }
        match (self.memory, self.memory_swap) {
            (None, Some(MemorySwap::Size(_))) => {
                violations.push(
                    Violation::error(root.key("memorySwap"), "memorySwap needs memory")
                        .concluded_from([root.key("memory")]),
                );
            }
            (Some(memory), Some(MemorySwap::Size(both))) if both < memory => {
                violations.push(Violation::error(
                    root.key("memorySwap"),
                    format!("{both} is less than memory, {memory}: it is memory and swap together"),
                ));
            }
            _ => {}
        }
        violations
    }
}
