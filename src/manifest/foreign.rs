//! What other tools call fields. In: a word that is no field here, and the fields that are. Out: the field that is meant.

/// Words of Docker's command line, Compose and Kubernetes, without hyphens and underscores, and the field that says the
/// same. What differs from a field in its spelling alone need not stand here.
const WORDS: &[(&str, &str)] = &[
    ("addhost", "extraHosts"),
    ("args", "command"),
    ("blkioconfig", "resources.blkioWeight"),
    ("cgroup", "cgroupnsMode"),
    ("cgroupns", "cgroupnsMode"),
    ("cmd", "command"),
    ("configs", "files"),
    ("containerport", "container"),
    ("cpucount", "resources.cpus"),
    ("cpulimit", "resources.cpus"),
    ("cpuset", "resources.cpusetCpus"),
    ("deploy", "resources"),
    ("dnsopt", "dnsOptions"),
    ("dnsopts", "dnsOptions"),
    ("environment", "env"),
    ("gpus", "resources.deviceRequests"),
    ("hostport", "host"),
    ("interactive", "stdinOpen"),
    ("ipaddress", "ipv4Address"),
    ("ipc", "ipcMode"),
    ("label", "labels"),
    ("limits", "resources"),
    ("livenessprobe", "healthcheck"),
    ("logdriver", "logging"),
    ("logopt", "logging"),
    ("memlimit", "resources.memory"),
    ("memreservation", "resources.memoryReservation"),
    ("memswaplimit", "resources.memorySwap"),
    ("memswappiness", "resources.memorySwappiness"),
    ("net", "networkMode"),
    ("network", "networks"),
    ("pid", "pidMode"),
    ("publish", "ports"),
    ("published", "host"),
    ("readonly", "readOnly"),
    ("restart", "restartPolicy"),
    ("secrets", "files"),
    ("stopgraceperiod", "stopTimeout"),
    ("target", "container"),
    ("targetport", "container"),
    ("terminationgraceperiodseconds", "stopTimeout"),
    ("userns", "usernsMode"),
    ("uts", "utsMode"),
    ("volume", "binds"),
    ("volumemounts", "binds"),
    ("workdir", "workingDir"),
];

/// The limits, which `docker run` and Compose have beside everything else.
const LIMITS: [&str; 20] = [
    "blkioWeight",
    "cpuPeriod",
    "cpuQuota",
    "cpuShares",
    "cpus",
    "cpusetCpus",
    "cpusetMems",
    "deviceCgroupRules",
    "deviceReadBps",
    "deviceReadIops",
    "deviceRequests",
    "deviceWriteBps",
    "deviceWriteIops",
    "devices",
    "memory",
    "memoryReservation",
    "memorySwap",
    "oomKillDisable",
    "oomScoreAdj",
    "pidsLimit",
];

/// The field among `fields`, or in one of them, that another tool calls `word`.
pub(super) fn field(word: &str, fields: &[&str]) -> Option<String> {
    let is = |field: &str| plain(field) == plain(word);
    if let Some(same) = fields.iter().find(|field| is(field)) {
        return Some((*same).to_owned());
    }
    let has = |field: &str| fields.contains(&field.split('.').next().unwrap_or_default());
    let limit = LIMITS.iter().chain(&["ulimits", "memorySwappiness"]).find(|limit| is(limit));
    let limit = limit.map(|limit| format!("resources.{limit}")).filter(|limit| has(limit));
    let words = || WORDS.iter().find(|(known, field)| *known == plain(word) && has(field));
    limit.or_else(|| words().map(|(_, field)| (*field).to_owned()))
}

/// A word without what tells one spelling from another: `--cap-add`, `cap_add` and `capAdd`.
fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::kinds::ManifestKind;
    use crate::manifest::schema::one_kind;

    /// The fields of a type.
    fn fields(of: &str) -> Vec<String> {
        let schema = one_kind(ManifestKind::Container);
        schema["$defs"][of]["properties"].as_object().expect("a type").keys().cloned().collect()
    }

    #[test]
    fn every_field_that_is_meant_is_there() {
        let spec = fields("ContainerSpec");
        let more = ["PortMappingForm", "NetworkAttachmentForm"].map(fields).concat();
        let resources = fields("Resources");
        for field in WORDS.iter().map(|(_, field)| *field) {
            let (first, second) = field.split_once('.').unwrap_or((field, ""));
            assert!(spec.iter().chain(&more).any(|known| known == first), "{field}");
            assert!(second.is_empty() || resources.iter().any(|known| known == second), "{field}");
        }
        assert!(LIMITS.iter().all(|limit| resources.iter().any(|known| known == limit)));
    }

    #[test]
    fn what_other_tools_call_a_field_is_known() {
        let spec = ["env", "binds", "capAdd", "resources", "restartPolicy", "dependsOn"];
        for (word, meant) in [
            ("environment", Some("env")),
            ("cap_add", Some("capAdd")),
            ("--cap-add", Some("capAdd")),
            ("depends_on", Some("dependsOn")),
            ("mem_limit", Some("resources.memory")),
            ("memory", Some("resources.memory")),
            ("pids_limit", Some("resources.pidsLimit")),
            ("restart", Some("restartPolicy")),
            ("volumeMounts", Some("binds")),
            ("stop_grace_period", None),
            ("nonsense", None),
        ] {
            assert_eq!(field(word, &spec).as_deref(), meant, "{word}");
        }
    }
}
