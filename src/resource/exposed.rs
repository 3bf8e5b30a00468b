//! Ports that a container says it serves, without publishing them. In: Docker's `--expose` notation or
//! the long form. Out: [`ExposedPorts`].

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::notation::{Notation, notation};
use super::port::{PortForm, PortRange, Protocol};

/// A port, or several in a row. Shown as `8080/tcp`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExposedPorts {
    ports: PortRange,
    protocol: Protocol,
}

impl ExposedPorts {
    /// How many ports these are.
    pub fn count(&self) -> usize {
        usize::from(self.ports.further()) + 1
    }

    /// Each port in the engine's words: `8080/tcp`.
    pub fn each(&self) -> impl Iterator<Item = String> + '_ {
        self.ports.ports().map(|port| format!("{port}/{}", self.protocol.as_str()))
    }
}

/// The long form of an exposed port.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExposedPortsForm {
    /// The port, or a range of them (`8000-8010`).
    port: PortForm,
    /// The protocol.
    #[serde(default)]
    protocol: Protocol,
}

impl Notation for ExposedPorts {
    type Long = ExposedPortsForm;
    const EXPECTED: &'static str = "a port like \"8080\" or \"8080/udp\"";

    fn parse(text: &str) -> Result<Self, String> {
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, protocol)) => (ports, protocol.parse()?),
            None => (text, Protocol::Tcp),
        };
        Ok(Self { ports: ports.parse()?, protocol })
    }

    fn from_long(long: ExposedPortsForm) -> Result<Self, String> {
        Ok(Self { ports: long.port.0, protocol: long.protocol })
    }
}

impl fmt::Display for ExposedPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ports, self.protocol.as_str())
    }
}

notation!(
    ExposedPorts, "ExposedPorts",
    "A port in Docker's notation, `port[-port][/protocol]`, or written out.",
    also u16, also ExposedPortsForm
);
