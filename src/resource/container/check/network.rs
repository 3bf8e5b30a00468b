//! The rules for a container's network.

use std::collections::{BTreeSet, HashMap};

use crate::resource::container::ContainerSpec;
use crate::resource::namespace::HostMode;
use crate::resource::network::NetworkMode;
use crate::resource::port::PublishedPort;
use crate::resource::violation::{FieldPath, Violation};

impl ContainerSpec {
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
        let published: Vec<(usize, PublishedPort)> = self
            .ports
            .iter()
            .enumerate()
            .flat_map(|(index, mapping)| mapping.published().map(move |port| (index, port)))
            .collect();
        let mut by_port: HashMap<u16, Vec<&(usize, PublishedPort)>> = HashMap::new();
        for entry in &published {
            let Some(host) = entry.1.host else { continue };
            let same = by_port.entry(host).or_default();
            if same.iter().any(|other| other.1.collides_with(&entry.1)) {
                violations.push(Violation::error(
                    root.key("ports").index(entry.0),
                    format!("port {host} of the host is published twice"),
                ));
            }
            same.push(entry);
        }
        violations
    }
}
