//! A context on its way to the engine: read as it is taken, never in memory as a whole.

use std::io;

use futures_util::Stream;
use hyper::body::Bytes;
use tokio::task::JoinHandle;

use crate::desired::Sent;
use crate::engine::docker::pieces;

/// A context in pieces, read as the engine takes them. It ends with an error if it is not what it was.
pub(super) fn stream_of(
    sent: Sent,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, JoinHandle<io::Result<()>>) {
    pieces::written_by(move |out| sent.request.send(&sent.digest, out))
}
