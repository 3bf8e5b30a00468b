//! The engine's events, as far as they may mean that something of ours moved. They wake; what they say
//! never decides.

use std::collections::HashMap;

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt};

use super::DockerEngine;
use super::error::failed;
use crate::engine::{EngineError, Events};

/// The kinds of things whose events matter. Podman ends an unfiltered stream at its first pod event.
const TYPES: [&str; 4] = ["container", "network", "volume", "image"];
/// The events that can change what is observed: neither a health check's `exec_*` nor `top` or `attach`.
/// Podman's names stand beside Docker's.
const ACTIONS: [&str; 22] = [
    "create",
    "start",
    "die",
    "died",
    "stop",
    "kill",
    "oom",
    "destroy",
    "remove",
    "rename",
    "update",
    "pause",
    "unpause",
    "restart",
    "connect",
    "disconnect",
    "tag",
    "untag",
    "delete",
    "load",
    "pull",
    "import",
];

impl Events for DockerEngine {
    fn events(&self) -> impl Stream<Item = Result<(), EngineError>> + Send {
        self.changes()
    }
}

impl DockerEngine {
    /// One item for each event that may matter, until the stream breaks; then an error, then the end.
    pub fn changes(&self) -> impl Stream<Item = Result<(), EngineError>> + Send + use<> {
        let filters = HashMap::from([("type", TYPES.to_vec()), ("event", ACTIONS.to_vec())]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let endpoint = self.reader.endpoint.clone();
        self.reader
            .docker
            .events(Some(options))
            .map(move |event| event.map(|_| ()).map_err(|error| failed(&endpoint, "its events", error)))
    }
}
