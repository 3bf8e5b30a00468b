//! Signals. In: SIGTERM, SIGINT and SIGHUP. Out: the wish to stop, and the wake to reload.

use std::convert::Infallible;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch::Sender;
use tracing::info;

use super::wake::Bell;

/// The signals that the daemon obeys.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Obeys, for ever.
    pub(super) async fn obey(&mut self, bell: &Bell, stop: &Sender<bool>) -> Infallible {
        loop {
            let name = tokio::select! {
                _ = self.hangup.recv() => {
                    bell.reload();
                    continue;
                }
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            };
            if !stop.send_replace(true) {
                info!("{name}: what is begun is finished, nothing else is begun");
            }
        }
    }
}
