//! A context on its way to the engine: read as it is taken, never in memory as a whole.

use std::io::{self, Write};

use futures_util::{Stream, stream};
use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::desired::Sent;

/// How much of a context is sent at once, in bytes.
const CHUNK: usize = 256 << 10;
/// How many of these wait for the engine.
const WAITING: usize = 4;

/// A context in pieces, read as the engine takes them. It ends with an error if it is not what it was.
pub(super) fn stream_of(
    sent: Sent,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, JoinHandle<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let sending = tokio::task::spawn_blocking(move || {
        let mut out = Pieces { buffer: Vec::with_capacity(CHUNK), sender };
        let result = sent.request.send(&sent.digest, &mut out).and_then(|()| out.flush());
        if let Err(error) = &result {
            // The reader is gone where this cannot be said.
            let _ = out.sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        result
    });
    let body =
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    (body, sending)
}

/// Hands on what is written, in pieces.
struct Pieces {
    buffer: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
