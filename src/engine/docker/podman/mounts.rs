//! What is mounted. In: what Podman tells of it, and what was asked for. Out: the same in the notation in which it was
//! asked for.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::inspection::Asked;
use super::{is_nothing, text, texts};
use crate::fields;
use crate::resource::bind::Bind;

/// What Podman adds to the options of what it mounts.
const MOUNT_OPTIONS: [&str; 9] =
    ["rw", "rprivate", "rbind", "nosuid", "nodev", "tmpcopyup", "nocopy", "copy", "volume-nocopy"];

/// What can be written in a container with `readOnly`, other than with Docker.
const WRITABLE: [&str; 3] = ["/run", "/tmp", "/var/tmp"];

/// Options without those that Podman adds to all.
fn telling<'a>(options: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    options
        .filter(|option| !option.is_empty() && !MOUNT_OPTIONS.contains(option))
        .map(str::to_owned)
        .collect()
}

/// The options that Podman makes of a mount.
pub(super) fn options_of(mount: &Value) -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    if mount["ReadOnly"] == true {
        options.insert("ro".to_owned());
    }
    if let Some(propagation) = mount["BindOptions"]["Propagation"].as_str() {
        options.insert(propagation.to_owned());
    }
    if mount["BindOptions"]["NonRecursive"] == true {
        options.insert("bind".to_owned());
    }
    if let Some(size) = mount["TmpfsOptions"]["SizeBytes"].as_u64() {
        options.insert(format!("size={size}"));
    }
    if let Some(mode) = mount["TmpfsOptions"]["Mode"].as_u64() {
        options.insert(format!("mode={mode:o}"));
    }
    options.retain(|option| !MOUNT_OPTIONS.contains(&option.as_str()));
    options
}

impl Asked<'_> {
    /// What is mounted, in the notation in which it was asked for.
    pub(super) fn mounts(&self, document: &mut Value) {
        let told: Vec<String> = texts(&document["HostConfig"]["Binds"]).map(str::to_owned).collect();
        let mut binds = Vec::new();
        let mut mounts = Vec::new();
        for told in &told {
            let mut parts = told.rsplitn(3, ':');
            let (Some(options), Some(target), Some(source)) = (parts.next(), parts.next(), parts.next())
            else {
                binds.push(json!(told));
                continue;
            };
            if fields::is_anonymous_volume(source) {
                continue;
            }
            let options = telling(options.split(','));
            let is_told = |there: &str, at: &str, with: &BTreeSet<String>| {
                there == source && at == target && *with == options
            };
            let bind = texts(self.host("Binds")).find(|asked| {
                asked.parse::<Bind>().is_ok_and(|bind| {
                    let with = telling(bind.options.iter().map(String::as_str));
                    let there = asked.split_once(&format!(":{}", bind.target)).map(|(there, _)| there);
                    there.is_some_and(|there| is_told(there, &bind.target, &with))
                })
            });
            let mount = self
                .host("Mounts")
                .as_array()
                .into_iter()
                .flatten()
                .find(|asked| is_told(text(asked, "Source"), text(asked, "Target"), &options_of(asked)));
            match (bind, mount) {
                (Some(bind), _) => binds.push(json!(bind)),
                (None, Some(mount)) => mounts.push(mount.clone()),
                // Another container's.
                (None, None) if !is_nothing(self.host("VolumesFrom")) && !self.mounts_at(target) => {}
                (None, None) if options.is_empty() => binds.push(json!(format!("{source}:{target}"))),
                (None, None) => {
                    let options: Vec<String> = options.into_iter().collect();
                    binds.push(json!(format!("{source}:{target}:{}", options.join(","))));
                }
            }
        }
        let told = std::mem::take(&mut document["HostConfig"]["Tmpfs"]);
        let mut tmpfs = Map::new();
        let is_read_only = document["HostConfig"]["ReadonlyRootfs"] == true;
        for (target, options) in told.as_object().into_iter().flatten() {
            let options = telling(options.as_str().unwrap_or_default().split(','));
            let said = self.host("Tmpfs")[target].as_str();
            let mount = self.host("Mounts").as_array().into_iter().flatten().find(|asked| {
                asked["Type"] == "tmpfs" && text(asked, "Target") == target && options_of(asked) == options
            });
            match (said, mount) {
                (Some(said), _) if telling(said.split(',')) == options => {
                    tmpfs.insert(target.clone(), json!(said));
                }
                (_, Some(mount)) => mounts.push(mount.clone()),
                (None, None) if is_read_only && options.is_empty() && WRITABLE.contains(&target.as_str()) => {
                }
                _ => {
                    let options: Vec<String> = options.into_iter().collect();
                    tmpfs.insert(target.clone(), json!(options.join(",")));
                }
            }
        }
        let host = &mut document["HostConfig"];
        (host["Binds"], host["Mounts"], host["Tmpfs"]) = (json!(binds), json!(mounts), Value::Object(tmpfs));
    }

    /// Whether something was asked for at a path.
    fn mounts_at(&self, target: &str) -> bool {
        let binds = texts(self.host("Binds")).filter_map(|bind| bind.parse::<Bind>().ok());
        let mounts = self.host("Mounts").as_array().into_iter().flatten();
        binds.into_iter().any(|bind| bind.target == target)
            || mounts.into_iter().any(|mount| text(mount, "Target") == target)
    }
}
