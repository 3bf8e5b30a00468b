//! Bytes on their way to the engine: written by a thread of their own, taken in pieces, never in memory as a whole.

use std::io::{self, Read, Write};

use futures_util::{Stream, stream};
use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How much is sent at once, in bytes.
const CHUNK: usize = 256 << 10;
/// How many of these wait for who takes them.
const WAITING: usize = 4;

/// What `write` writes, in pieces, as it is taken, and what became of it. If it fails, the pieces end with an error.
pub(super) fn written_by<T: Send + 'static>(
    write: impl FnOnce(&mut Pieces) -> io::Result<T> + Send + 'static,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, JoinHandle<io::Result<T>>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let writing = tokio::task::spawn_blocking(move || {
        let mut out = Pieces { buffer: Vec::with_capacity(CHUNK), sender };
        let result = write(&mut out).and_then(|done| out.flush().map(|()| done));
        if let Err(error) = &result {
            // The reader is gone where this cannot be said.
            let _ = out.sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        result
    });
    let body =
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    (body, writing)
}

/// Hands on what is written, in pieces.
pub(super) struct Pieces {
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

/// Where pieces are put that a thread of its own reads.
pub(super) type Inlet = mpsc::Sender<io::Result<Bytes>>;

/// A reader of what comes in pieces, on a thread of its own, and where to put them. It ends when that is dropped.
pub(super) fn reader() -> (Inlet, Incoming) {
    let (sender, pieces) = mpsc::channel(WAITING);
    (sender, Incoming { pieces, rest: Bytes::new() })
}

/// Reads what comes in pieces.
pub(super) struct Incoming {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let count = self.rest.len().min(buffer.len());
        let piece = self.rest.split_to(count);
        buffer[..count].copy_from_slice(&piece);
        Ok(count)
    }
}
