//! The engine's events, as far as they may mean that something of ours moved. They wake; what they say
//! never decides.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt, stream};

use super::DockerEngine;
use super::error::failed;
use crate::engine::{EngineError, Events};

/// The kinds of things whose events matter. Podman ends an unfiltered stream at its first pod event.
const TYPES: [&str; 4] = ["container", "network", "volume", "image"];
/// The events that can change what is observed: neither a health check's `exec_*` nor `top` or `attach`.
/// Podman's names stand beside Docker's.
const ACTIONS: [&str; 23] = [
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
    // Only when a check's result is another than before.
    "health_status",
    "connect",
    "disconnect",
    "tag",
    "untag",
    "delete",
    "load",
    "pull",
    "import",
];

/// From how long ago the engine repeats events, so that none falls between asking and listening.
const OVERLAP: Duration = Duration::from_secs(2);

impl Events for DockerEngine {
    fn events(&self) -> impl Stream<Item = Result<(), EngineError>> + Send {
        let filters = HashMap::from([("type", TYPES.to_vec()), ("event", ACTIONS.to_vec())]);
        let since = SystemTime::now().checked_sub(OVERLAP).and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let since = since.unwrap_or_default().as_secs().to_string();
        let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
        let reader = &self.reader;
        let listen = async move {
            let session = reader.session().await?;
            let events = session.docker.events(Some(options));
            Ok(events.then(move |event| async move {
                match event.map_err(|error| failed(&reader.endpoint, "its events", error)) {
                    Ok(_) => Ok(()),
                    Err(error) => {
                        if error.is_unreachable() {
                            reader.forget().await;
                        }
                        Err(error)
                    }
                }
            }))
        };
        stream::once(listen).flat_map(|listening| match listening {
            Ok(events) => stream::once(std::future::ready(Ok(()))).chain(events).left_stream(),
            Err(error) => stream::once(std::future::ready(Err(error))).right_stream(),
        })
    }
}
