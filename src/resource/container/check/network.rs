//! The rules for a container's network.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use crate::resource::container::ContainerSpec;
use crate::resource::exposed::ExposedPorts;
use crate::resource::namespace::HostMode;
use crate::resource::network::NetworkMode;
use crate::resource::port::{PortMapping, Protocol, PublishedPort};
use crate::resource::violation::{FieldPath, Violation};

/// The most ports of one container, published or exposed: as many as there are. An engine runs a program
/// for each that is published.
const PORTS_MAX: usize = 65_535;

impl ContainerSpec {
    /// Whether more ports are published than a host has, which is an error of its own.
    pub(crate) fn publishes_too_many(&self) -> bool {
        self.published_count() > PORTS_MAX
    }

    fn published_count(&self) -> usize {
        self.ports.iter().map(PortMapping::count).sum()
    }

    pub(super) fn check_network(&self, root: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        let own_namespace = match &self.network_mode {
            Some(mode @ (NetworkMode::Host | NetworkMode::None | NetworkMode::Container(_))) => Some(mode),
            _ => None,
        };
        if let Some(mode) = own_namespace {
            if !self.ports.is_empty() {
                violations.push(
                    Violation::error(
                        root.key("ports"),
                        format!("ports cannot be published with networkMode {mode}"),
                    )
                    .with_hint("take the ports away: the program's own ports are what others reach"),
                );
            }
            if !self.networks.is_empty() {
                violations.push(Violation::error(
                    root.key("networks"),
                    format!("no network can be joined with networkMode {mode}"),
                ));
            }
            if self.publish_all == Some(true) {
                violations.push(Violation::error(
                    root.key("publishAll"),
                    format!("ports cannot be published with networkMode {mode}"),
                ));
            }
            // The engine's rules for a namespace that is another's.
            let shared = matches!(mode, NetworkMode::Container(_));
            let theirs = [
                ("dns", shared && !self.dns.is_empty()),
                ("extraHosts", shared && !self.extra_hosts.is_empty()),
                ("macAddress", (shared || *mode == NetworkMode::Host) && self.mac_address.is_some()),
                ("expose", shared && !self.expose.is_empty()),
                ("links", (shared || *mode == NetworkMode::Host) && !self.links.is_empty()),
            ];
            for (field, _) in theirs.into_iter().filter(|(_, given)| *given) {
                violations.push(Violation::error(
                    root.key(field),
                    format!("it cannot be set with networkMode {mode}"),
                ));
            }
            if self.hostname.is_some() && matches!(mode, NetworkMode::Container(_)) {
                violations.push(Violation::error(
                    root.key("hostname"),
                    format!("the host name is the other container's with networkMode {mode}"),
                ));
            }
        }
        if self.uts_mode == Some(HostMode::Host) && (self.hostname.is_some() || self.domainname.is_some()) {
            violations
                .push(Violation::error(root.key("utsMode"), "the host name is the host's with utsMode host"));
        }
        let mut seen = BTreeSet::new();
        for (index, attachment) in self.networks.iter().enumerate() {
            if !seen.insert(&attachment.name) {
                violations.push(Violation::error(
                    root.key("networks").index(index),
                    format!("the network {} is joined twice", attachment.name),
                ));
            }
        }
        violations.extend(self.check_ports(root));
        violations
    }

    fn check_ports(&self, root: &FieldPath) -> Vec<Violation> {
        let counts = [
            ("ports", "published", self.published_count()),
            ("expose", "exposed", self.expose.iter().map(ExposedPorts::count).sum()),
        ];
        let too_many: Vec<Violation> = counts
            .into_iter()
            .filter(|(.., count)| *count > PORTS_MAX)
            .map(|(field, what, count)| {
                Violation::error(
                    root.key(field),
                    format!("{count} ports are {what}, the most is {PORTS_MAX}"),
                )
            })
            .collect();
        if !too_many.is_empty() {
            return too_many;
        }
        let mut addresses: HashMap<(u16, Protocol), Addresses> = HashMap::new();
        let mut taken = |port: PublishedPort| {
            let host = port.host?;
            addresses.entry((host, port.protocol)).or_default().take(port.host_ip).then_some(host)
        };
        let mappings = self.ports.iter().enumerate();
        mappings
            // Of a range, the first port that is taken says enough.
            .filter_map(|(index, mapping)| Some((index, mapping.published().find_map(&mut taken)?)))
            .map(|(index, host)| {
                let message = format!("port {host} of the host is published twice");
                Violation::error(root.key("ports").index(index), message)
            })
            .collect()
    }
}

/// On which addresses one port of the host is published.
#[derive(Default)]
struct Addresses {
    everywhere: bool,
    some: HashSet<IpAddr>,
}

impl Addresses {
    /// Whether the port is published there already, by the rule of [`PublishedPort::collides_with`]; if not,
    /// it is from now on.
    fn take(&mut self, address: Option<IpAddr>) -> bool {
        match address.filter(|address| !address.is_unspecified()) {
            Some(address) => self.everywhere || !self.some.insert(address),
            None => std::mem::replace(&mut self.everywhere, true) || !self.some.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let spec: ContainerSpec = serde_json::from_str(text).expect("a spec");
        spec.check_network(&FieldPath::root())
            .iter()
            .map(|one| format!("{}: {}", one.path, one.message))
            .collect()
    }

    #[test]
    fn a_port_that_is_published_twice_is_told_once_for_each_line() {
        let spec = r#"{"ports": ["80-90:80-90", "85-99:1-15", "127.0.0.1:80:1", "127.0.0.1:80:1/udp",
            "127.0.0.2:80:1/udp", "[::]:80:1/udp", "1", "1"]}"#;
        assert_eq!(
            told(spec),
            [
                "ports[1]: port 85 of the host is published twice",
                "ports[2]: port 80 of the host is published twice",
                "ports[5]: port 80 of the host is published twice",
            ]
        );
    }

    #[test]
    fn a_container_has_no_more_ports_than_there_are() {
        assert_eq!(
            told(r#"{"ports": ["1-65535:1-65535/udp"], "expose": ["1-65535"]}"#),
            Vec::<String>::new()
        );
        let ranges = vec!["1-65535"; 50_000];
        let spec = serde_json::json!({"ports": ranges, "expose": ranges});
        assert_eq!(
            told(&spec.to_string()),
            [
                "ports: 3276750000 ports are published, the most is 65535",
                "expose: 3276750000 ports are exposed, the most is 65535",
            ]
        );
    }
}
