//! One service. In: its item, and the project around it. Out: a Container's document, or why there is none.

use serde_json::{Value, json};

use super::project::{Project, texts, why};
use super::tree::Item;
use super::{limits, network, storage};
use crate::convert::{Document, Note};
use crate::fields::{self, put};
use crate::manifest::kinds::ManifestKind;
use crate::resource::container::ContainerSpec;
use crate::resource::name::Name;
use crate::resource::quantity::ByteSize;
use crate::resource::reference::ImageReference;
use crate::resource::violation::{Segment, Severity};

/// Keys whose value is a text that a manifest takes too.
const TEXTS: [(&str, &str); 21] = [
    ("working_dir", "workingDir"),
    ("user", "user"),
    ("hostname", "hostname"),
    ("domainname", "domainname"),
    ("restart", "restartPolicy"),
    ("stop_signal", "stopSignal"),
    ("stop_grace_period", "stopTimeout"),
    ("platform", "platform"),
    ("mem_limit", "resources.memory"),
    ("mem_reservation", "resources.memoryReservation"),
    ("memswap_limit", "resources.memorySwap"),
    ("cpuset", "resources.cpusetCpus"),
    ("shm_size", "shmSize"),
    ("cgroup_parent", "cgroupParent"),
    ("cgroup", "cgroupnsMode"),
    ("runtime", "runtime"),
    ("mac_address", "macAddress"),
    ("userns_mode", "usernsMode"),
    ("uts", "utsMode"),
    ("cpus", "resources.cpus"),
    ("image", "image"),
];

/// Keys whose value is a whole number.
const NUMBERS: [(&str, &str); 6] = [
    ("cpu_shares", "resources.cpuShares"),
    ("cpu_period", "resources.cpuPeriod"),
    ("cpu_quota", "resources.cpuQuota"),
    ("mem_swappiness", "resources.memorySwappiness"),
    ("oom_score_adj", "resources.oomScoreAdj"),
    ("pids_limit", "resources.pidsLimit"),
];

/// Keys whose value is yes or no.
const FLAGS: [(&str, &str); 6] = [
    ("privileged", "privileged"),
    ("read_only", "readOnly"),
    ("init", "init"),
    ("tty", "tty"),
    ("stdin_open", "stdinOpen"),
    ("oom_kill_disable", "resources.oomKillDisable"),
];

/// Keys whose value is a list of texts that a manifest takes too.
const LISTS: [(&str, &str); 9] = [
    ("cap_add", "capAdd"),
    ("cap_drop", "capDrop"),
    ("dns", "dns"),
    ("dns_search", "dnsSearch"),
    ("dns_opt", "dnsOptions"),
    ("expose", "expose"),
    ("tmpfs", "tmpfs"),
    ("device_cgroup_rules", "resources.deviceCgroupRules"),
    ("group_add", "groupAdd"),
];

/// Keys whose value is texts by key.
const MAPS: [(&str, &str); 3] = [("labels", "labels"), ("sysctls", "sysctls"), ("storage_opt", "storageOpt")];

/// A service that is being read.
pub(super) struct Service<'a> {
    pub project: &'a Project<'a>,
    pub key: &'a str,
    item: &'a Item,
    /// The fields of the spec, each with the item it came from.
    pub fields: Vec<(String, Value, &'a Item)>,
    pub notes: Vec<Note>,
    /// The networks it is on, by their keys in the file.
    pub networks: Vec<String>,
}

impl<'a> Service<'a> {
    pub fn read(project: &'a Project<'a>, key: &'a str, item: &'a Item) -> Self {
        let mut service =
            Self { project, key, item, fields: Vec::new(), notes: Vec::new(), networks: Vec::new() };
        for (key, item) in item.entries() {
            if !item.is_nothing() {
                service.take(key, item);
            }
        }
        if let Some(links) = item.get("links") {
            service.links(links);
        }
        if project.is_job(key) {
            service.set(item, "state", json!("completed"));
        }
        network::join(&mut service, item);
        service
    }

    fn take(&mut self, key: &str, item: &'a Item) {
        let field = |table: &'static [(&str, &str)]| {
            table.iter().find(|(own, _)| *own == key).map(|(_, field)| *field)
        };
        if let Some(field) = field(&TEXTS) {
            return self.set(item, field, written(field, item.text().unwrap_or_default()));
        }
        if let Some(field) = field(&NUMBERS) {
            let number: Option<i64> = item.text().and_then(|text| text.parse().ok());
            return match number {
                Some(-1) if field == "resources.pidsLimit" => {}
                Some(number) => self.set(item, field, json!(number)),
                None => self.notes.push(item.note(Some("it is no whole number"))),
            };
        }
        if let Some(field) = field(&FLAGS) {
            return match item.text() {
                Some("true") => self.set(item, field, json!(true)),
                Some("false") => {}
                _ => self.notes.push(item.note(Some("it is neither true nor false"))),
            };
        }
        if let Some(field) = field(&LISTS) {
            return self.set_each(item, field, |item| item.text().map(|text| json!(text)));
        }
        if let Some(field) = field(&MAPS) {
            return self.set(item, field, texts(item));
        }
        match key {
            // Read elsewhere: links after what is waited for anyway, networks once the mode is known.
            "container_name" | "links" | "networks" => {}
            "command" | "entrypoint" => self.program(key, item),
            "environment" => self.environment(item),
            "env_file" => self.env_files(item),
            "depends_on" => self.depends_on(item),
            "healthcheck" => self.healthcheck(item),
            "logging" => self.logging(item),
            "security_opt" => self.security(item),
            "build" => {
                let tag = self.item.text_at("image").map_or_else(|| self.built_tag(), str::to_owned);
                self.notes.push(item.note(Some(&format!("`docker compose build` makes it, as {tag}"))));
            }
            "ports" | "network_mode" | "extra_hosts" | "pid" | "ipc" => network::take(self, key, item),
            "volumes" | "volumes_from" | "devices" => storage::take(self, key, item),
            "deploy" | "ulimits" | "blkio_config" | "gpus" | "scale" => limits::take(self, key, item),
            key if key.starts_with("x-") => {}
            key => self.notes.push(item.note(why(key))),
        }
    }

    /// Sets a field of the spec, or notes why it cannot be.
    pub fn set(&mut self, item: &'a Item, field: &str, value: Value) {
        match refused(field, &value) {
            None => {
                let before = self.fields.iter().position(|(own, ..)| own == field);
                if let Some((_, other, before)) = before.map(|at| self.fields.remove(at))
                    && other != value
                {
                    self.notes.push(before.note(Some(&format!("{} says otherwise", item.path))));
                }
                self.fields.push((field.to_owned(), value, item));
            }
            Some(why) => self.notes.push(item.note(Some(&why))),
        }
    }

    /// Sets a list field from an item's elements; each that does not fit is noted by itself.
    pub fn set_each(&mut self, item: &'a Item, field: &str, form: impl Fn(&'a Item) -> Option<Value>) {
        let mut values = Vec::new();
        for element in item.elements() {
            match form(element) {
                None => self.notes.push(element.note(Some("this form is not known"))),
                Some(value) => match refused(field, &json!([value])) {
                    None => values.push(value),
                    Some(why) => self.notes.push(element.note(Some(&why))),
                },
            }
        }
        self.append(item, field, values);
    }

    /// Adds elements to a list field; several keys of a service may fill one.
    pub fn append(&mut self, item: &'a Item, field: &str, values: Vec<Value>) {
        if values.is_empty() {
            return;
        }
        match self.fields.iter_mut().find(|(own, ..)| own == field) {
            Some((_, Value::Array(there), _)) => there.extend(values),
            _ => self.set(item, field, Value::Array(values)),
        }
    }

    pub fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|(own, ..)| own == field)
    }

    /// The tag that Compose gives to what it builds.
    fn built_tag(&self) -> String {
        format!("{}-{}", self.project.name, self.key)
    }

    /// The document; or the notes that say why there is none.
    pub fn document(mut self) -> Result<Document, Vec<Note>> {
        if !self.has("image") && self.item.get("build").is_some() {
            self.set(self.item, "image", json!(format!("{}:latest", self.built_tag())));
        }
        let called = self.item.text_at("container_name").unwrap_or(self.key);
        let name: Name = match called.parse() {
            Ok(name) if self.has("image") => name,
            refused => {
                let why = refused.err().unwrap_or_else(|| "it has no image".to_owned());
                self.notes.push(self.item.note(Some(&format!("the whole service: {why}"))));
                return Err(self.notes);
            }
        };
        self.keep_the_rules();
        self.fields.sort_by_key(|(field, ..)| rank(field));
        let fields = self.fields.into_iter().map(|(field, value, _)| (field, value));
        Ok(Document {
            kind: ManifestKind::Container,
            name,
            adopt: false,
            fields: fields.collect(),
            notes: self.notes,
        })
    }

    /// Leaves out what would break a rule, such as ports on the host's network; of a list or mapping only what
    /// the rule is about.
    fn keep_the_rules(&mut self) {
        loop {
            let mut spec = json!({});
            for (field, value, _) in &self.fields {
                put(&mut spec, field, value.clone());
            }
            let Ok(spec) = serde_json::from_value::<ContainerSpec>(spec) else { return };
            let rules = spec.check();
            let broken = rules.iter().filter(|rule| rule.severity == Severity::Error).find_map(|rule| {
                let path: Vec<&Segment> = rule.path.segments().iter().collect();
                let at = self.fields.iter().position(|(field, ..)| {
                    let keys: Vec<&str> = field.split('.').collect();
                    keys.iter()
                        .zip(&path)
                        .all(|(key, segment)| matches!(segment, Segment::Key(own) if own == key))
                        && keys.len() <= path.len()
                })?;
                let depth = self.fields[at].0.split('.').count();
                Some((at, path.get(depth).copied().cloned(), rule.message.clone()))
            });
            let Some((at, inner, why)) = broken else { return };
            let why = fields::plain(&why);
            let (_, value, item) = &mut self.fields[at];
            let whole = match (value, inner) {
                (Value::Object(entries), Some(Segment::Key(key))) if entries.len() > 1 => {
                    entries.remove(&key);
                    let element = item.get(&key).unwrap_or(item);
                    self.notes.push(element.note(Some(&why)));
                    false
                }
                (Value::Array(elements), Some(Segment::Index(index))) if elements.len() > 1 => {
                    let removed = elements.remove(index);
                    let element =
                        item.elements().iter().find(|one| one.text().is_some_and(|text| removed == text));
                    self.notes.push(element.unwrap_or(item).note(Some(&why)));
                    false
                }
                _ => true,
            };
            if whole {
                let (_, _, item) = self.fields.remove(at);
                self.notes.push(item.note(Some(&why)));
            }
        }
    }
}

/// A text as a person writes it into a manifest: sizes with a unit, CPUs as a number.
pub(super) fn written(field: &str, text: &str) -> Value {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match (field, text.parse::<ByteSize>(), text.parse::<f64>()) {
        ("resources.cpus", _, Ok(cpus)) if cpus.fract() != 0.0 => json!(cpus),
        (
            "resources.memory" | "resources.memoryReservation" | "resources.memorySwap" | "shmSize",
            Ok(size),
            _,
        ) if is_number => {
            json!(size)
        }
        _ => json!(text),
    }
}

/// Where a field is written: as in an export, what no container has beside what it is closest to.
fn rank(field: &str) -> usize {
    let of = |name: &str| fields::all().position(|field| field.name == name);
    match field {
        "image" => 0,
        "envFiles" => of("env").map_or(0, |at| 2 * at + 3),
        field => of(field).map_or(usize::MAX, |at| 2 * at + 2),
    }
}

/// Why a field cannot have a value; `None` if it can.
pub(super) fn refused(field: &str, value: &Value) -> Option<String> {
    if field == "image" {
        let text = value.as_str().unwrap_or_default();
        return text.parse::<ImageReference>().err();
    }
    let mut spec = json!({});
    put(&mut spec, field, value.clone());
    serde_json::from_value::<ContainerSpec>(spec).err().map(|error| fields::plain(&error.to_string()))
}
