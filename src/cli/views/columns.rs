//! The columns of `get`, each once: its title, where it is shown, and what stands in it; lists come last. In: the engine's
//! documents. Out: cells, which the table makes safe for a terminal.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::names::{is_name, name_of, references, resource, text, texts};
use super::output::{ago, seconds};
use crate::resource::label;
use crate::resource::name::{Kind, Owner};
use crate::resource::reference::ImageId;
use crate::resource::size::size;
use crate::resource::words::without_secret_arguments;

/// How many names stand in a cell that is not wide.
const NAMES: usize = 3;

/// What a row may be told with.
pub(super) struct Seen<'a> {
    /// Every container.
    pub(super) containers: Vec<Value>,
    /// Every image.
    pub(super) images: Vec<Value>,
    /// Whose resources are named as such.
    pub(super) owner: &'a Owner,
    /// The time.
    pub(super) now: Timestamp,
}

/// Where a column is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// In each table.
    Always,
    /// With `-o wide`.
    Wide,
    /// With `--size`.
    Measured,
}

/// A column. A cell is told from the row, what else is there, and whether the table is wide.
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) shown: Shown,
    pub(super) cell: fn(&Value, &Seen<'_>, bool) -> String,
}

const fn column(title: &'static str, cell: fn(&Value, &Seen<'_>, bool) -> String) -> Column {
    Column { title, shown: Shown::Always, cell }
}

const fn wide(title: &'static str, cell: fn(&Value, &Seen<'_>, bool) -> String) -> Column {
    Column { title, shown: Shown::Wide, cell }
}

/// The key under which a row of images has its name: an image has a row for each.
const REFERENCE: &str = "Reference";

const CONTAINERS: &[Column] = &[
    column("NAME", |row, _, _| name_of(Kind::Container, row).to_owned()),
    column("RESOURCE", |row, seen, _| {
        // What came from the image's own labels says nothing about the container.
        let image = seen.images.iter().find(|image| image["Id"] == row["ImageID"]);
        let is_inherited = image.is_some_and(|image| !image["Labels"][label::OWNER].is_null());
        if is_inherited { String::new() } else { resource_of(Kind::Container, row, seen) }
    }),
    column("STATE", |row, _, _| text(row, "State").to_owned()),
    column("STATUS", |row, _, _| text(row, "Status").to_owned()),
    column("IMAGE", |row, _, _| text(row, "Image").to_owned()),
    column("PORTS", |row, _, _| ports(&row["Ports"])),
    Column {
        title: "SIZE",
        shown: Shown::Measured,
        cell: |row, _, _| {
            let bytes = |key: &str| size(row[key].as_u64().unwrap_or_default());
            format!("{} (with image {})", bytes("SizeRw"), bytes("SizeRootFs"))
        },
    },
    wide("ID", |row, _, _| short(text(row, "Id"))),
    wide("CREATED", created),
    wide("NETWORKS", |row, _, _| joined(network_names(row).into_iter().map(str::to_owned).collect(), true)),
    wide("COMMAND", |row, _, _| without_secret_arguments(text(row, "Command"))),
];

const IMAGES: &[Column] = &[
    column("REFERENCE", |row, _, _| text(row, REFERENCE).to_owned()),
    column("ID", |row, _, is_wide| if is_wide { text(row, "Id").to_owned() } else { short(text(row, "Id")) }),
    column("RESOURCE", |row, seen, _| resource_of(Kind::Image, row, seen)),
    column("SIZE", |row, _, _| size(row["Size"].as_u64().unwrap_or_default())),
    column("CREATED", created),
    wide("USED BY", |row, seen, is_wide| users(seen, is_wide, |container| container["ImageID"] == row["Id"])),
    wide("DIGESTS", |row, _, _| {
        joined(texts(row, "RepoDigests").filter(|name| is_name(name)).map(str::to_owned).collect(), true)
    }),
];

const NETWORKS: &[Column] = &[
    column("NAME", |row, _, _| text(row, "Name").to_owned()),
    column("RESOURCE", |row, seen, _| resource_of(Kind::Network, row, seen)),
    column("DRIVER", |row, _, _| text(row, "Driver").to_owned()),
    column("SCOPE", |row, _, _| text(row, "Scope").to_owned()),
    wide("ID", |row, _, _| short(text(row, "Id"))),
    wide("SUBNETS", |row, _, _| {
        let pools = row["IPAM"]["Config"].as_array().into_iter().flatten();
        joined(pools.map(|pool| text(pool, "Subnet").to_owned()).collect(), true)
    }),
    wide("INTERNAL", |row, _, _| row["Internal"].to_string()),
    wide("CREATED", created),
    column("CONTAINERS", |row, seen, is_wide| {
        users(seen, is_wide, |container| network_names(container).contains(text(row, "Name")))
    }),
];

const VOLUMES: &[Column] = &[
    column("NAME", |row, _, _| text(row, "Name").to_owned()),
    column("RESOURCE", |row, seen, _| resource_of(Kind::Volume, row, seen)),
    column("DRIVER", |row, _, _| text(row, "Driver").to_owned()),
    wide("CREATED", created),
    wide("MOUNTPOINT", |row, _, _| text(row, "Mountpoint").to_owned()),
    column("USED BY", |row, seen, is_wide| {
        users(seen, is_wide, |container| {
            let mut mounts = container["Mounts"].as_array().into_iter().flatten();
            mounts.any(|mount| mount["Type"] == "volume" && mount["Name"] == row["Name"])
        })
    }),
];

/// The columns of a kind.
pub(super) const fn of(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Container => CONTAINERS,
        Kind::Image => IMAGES,
        Kind::Network => NETWORKS,
        Kind::Volume => VOLUMES,
    }
}

/// The rows of a kind: one for each thing; for an image one for each of its names.
pub(super) fn rows(kind: Kind, listed: Vec<Value>) -> Vec<Value> {
    if kind != Kind::Image {
        return listed;
    }
    let rows = listed.into_iter().flat_map(|image| {
        let mut names: Vec<String> = references(&image).map(str::to_owned).collect();
        names.sort();
        if names.is_empty() {
            names.push(String::new());
        }
        names.into_iter().map(move |name| {
            let mut row = image.clone();
            row[REFERENCE] = name.into();
            row
        })
    });
    let mut rows: Vec<Value> = rows.collect();
    // Those without a name come last.
    rows.sort_by_key(|row| (text(row, REFERENCE).is_empty(), text(row, REFERENCE).to_owned()));
    rows
}

/// Names only; an image that has none is named by its id.
pub(super) fn names(kind: Kind, listed: &[Value]) -> String {
    let line = |name: &str| format!("{}\n", crate::fields::plain(name));
    let names = |document: &Value| match kind {
        Kind::Image if references(document).next().is_some() => references(document).map(line).collect(),
        _ => line(name_of(kind, document)),
    };
    listed.iter().map(names).collect()
}

fn resource_of(kind: Kind, row: &Value, seen: &Seen<'_>) -> String {
    resource(kind, row, seen.owner).map(|name| format!("{kind}/{name}")).unwrap_or_default()
}

fn created(row: &Value, seen: &Seen<'_>, _: bool) -> String {
    let text = row["Created"].as_str().or_else(|| row["CreatedAt"].as_str());
    let then = row["Created"].as_i64().unwrap_or_else(|| text.map(seconds).unwrap_or_default());
    ago(then, seen.now)
}

/// An id as Docker abbreviates it.
pub(super) fn short(id: &str) -> String {
    match id.parse::<ImageId>() {
        Ok(image) => image.short().to_owned(),
        Err(_) => id.chars().take(12).collect(),
    }
}

fn network_names(container: &Value) -> BTreeSet<&str> {
    let networks = container["NetworkSettings"]["Networks"].as_object();
    networks.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

/// The names of the containers for which something is so.
fn users(seen: &Seen<'_>, is_wide: bool, uses: impl Fn(&Value) -> bool) -> String {
    let users = seen.containers.iter().filter(|container| uses(container));
    let mut names: Vec<String> = users.map(|one| name_of(Kind::Container, one).to_owned()).collect();
    names.sort();
    joined(names, is_wide)
}

/// A list in a cell; of a long one the first few, and how many more.
fn joined(mut names: Vec<String>, is_wide: bool) -> String {
    let more = names.len().saturating_sub(NAMES);
    // "and 1 more" is no shorter than the name.
    if !is_wide && more > 1 {
        names.truncate(NAMES);
        return format!("{} and {more} more", names.join(", "));
    }
    names.join(", ")
}

/// A container's ports as a manifest writes them; IPv4 and IPv6 are one.
fn ports(ports: &Value) -> String {
    let port = |port: &Value| {
        let inside = format!("{}/{}", port["PrivatePort"], text(port, "Type"));
        match (port["PublicPort"].as_u64(), text(port, "IP")) {
            (None, _) => inside,
            (Some(host), "" | "0.0.0.0" | "::") => format!("{host}:{inside}"),
            (Some(host), ip) if ip.contains(':') => format!("[{ip}]:{host}:{inside}"),
            (Some(host), ip) => format!("{ip}:{host}:{inside}"),
        }
    };
    let key = |port: &&Value| (port["PrivatePort"].as_u64(), port["PublicPort"].as_u64());
    let mut listed: Vec<&Value> = ports.as_array().into_iter().flatten().collect();
    listed.sort_by_key(key);
    let mut told: Vec<String> = listed.into_iter().map(port).collect();
    told.dedup();
    joined(told, true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_are_told_as_a_manifest_writes_them() {
        let listed = json!([
            {"PrivatePort": 9000, "Type": "tcp"},
            {"IP": "::", "PrivatePort": 81, "PublicPort": 8081, "Type": "udp"},
            {"IP": "0.0.0.0", "PrivatePort": 81, "PublicPort": 8081, "Type": "udp"},
            {"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "::1", "PrivatePort": 82, "PublicPort": 8082, "Type": "tcp"},
        ]);
        assert_eq!(ports(&listed), "127.0.0.1:8080:80/tcp, 8081:81/udp, [::1]:8082:82/tcp, 9000/tcp");
        assert_eq!(ports(&json!(null)), "");
    }

    #[test]
    fn an_image_has_a_row_for_each_name_and_one_if_it_has_none() {
        let listed = vec![
            json!({"Id": "sha256:1", "RepoTags": null, "RepoDigests": null}),
            json!({"Id": "sha256:2", "RepoTags": ["b:1", "io.invigil.owner/default/b:2", "a:1"]}),
        ];
        let rows: Vec<String> =
            rows(Kind::Image, listed.clone()).iter().map(|row| text(row, REFERENCE).to_owned()).collect();
        assert_eq!(rows, ["a:1", "b:1", ""]);
        assert_eq!(names(Kind::Image, &listed), "sha256:1\nb:1\na:1\n");
    }

    #[test]
    fn a_long_list_is_shortened_unless_the_table_is_wide() {
        let names = |count: usize| (0..count).map(|at| format!("c{at}")).collect::<Vec<_>>();
        assert_eq!(joined(names(4), false), "c0, c1, c2, c3");
        assert_eq!(joined(names(5), false), "c0, c1, c2 and 2 more");
        assert_eq!(joined(names(5), true), "c0, c1, c2, c3, c4");
    }
}
