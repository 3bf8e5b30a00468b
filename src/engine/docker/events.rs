//! The engine's events, as far as they may mean that something of ours moved, or was touched. They wake and they are told;
//! what they say never decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt, stream};

use super::DockerEngine;
use super::error::failed;
use super::witness::{self, Checks, UNSEEN};
use crate::engine::{EngineError, Events, Heard};

/// The kinds of things whose events matter. Podman ends an unfiltered stream at its first pod event.
const TYPES: [&str; 4] = ["container", "network", "volume", "image"];
/// The events that can change what is observed. Podman's names stand beside Docker's.
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

/// About how many events an engine is asked at once.
const ASKED: usize = 64;

impl Events for DockerEngine {
    fn events(&self) -> impl Stream<Item = Result<Heard, EngineError>> + Send {
        let filters = HashMap::from([("type", TYPES.to_vec()), ("event", [&ACTIONS[..], &UNSEEN].concat())]);
        let since = SystemTime::now().checked_sub(OVERLAP).and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let since = since.unwrap_or_default().as_secs().to_string();
        let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
        let reader = &self.reader;
        let listen = async move {
            let session = reader.session().await?;
            let (events, checks) = (session.docker.events(Some(options)), Arc::new(Checks::default()));
            // What has to be asked about one event holds up no other.
            let heard = events.map(move |event| {
                let (session, checks) = (session.clone(), Arc::clone(&checks));
                async move {
                    match event.map_err(|error| failed(reader.endpoint(), "its events", error)) {
                        Ok(event) => Ok(witness::heard(&session, &checks, event).await),
                        Err(error) => {
                            if error.is_unreachable() {
                                reader.forget().await;
                            }
                            Err(error)
                        }
                    }
                }
            });
            Ok(heard.buffer_unordered(ASKED))
        };
        stream::once(listen).flat_map(|listening| match listening {
            Ok(events) => stream::once(std::future::ready(Ok(Heard::LISTENING))).chain(events).left_stream(),
            Err(error) => stream::once(std::future::ready(Err(error))).right_stream(),
        })
    }

    async fn takes_calls(&self) -> bool {
        match self.reader.session().await {
            Ok(session) => session.docker.ping().await.is_ok(),
            Err(_) => false,
        }
    }
}
