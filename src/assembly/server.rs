//! The layer that all problem set images share: the exam server's static program. In: whoever gives the program. Out: the
//! layer's id and size, and its bytes for an archive. They are as large as everything else that a daemon keeps, and are
//! seldom needed: whoever needs them asks for the program again.

use std::fmt;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::blob::{Blob, Described, MediaType};
use super::tar::{Account, around};
use crate::resource::digest::Sha256Sum;
use crate::resource::reference::ImageId;

/// What the exam server's program is called in the image.
pub(super) const PROGRAM: &str = "invigil-exam";

/// How many bytes of it are read at once.
const READ_AT_ONCE: usize = 128 << 10;

/// A program that is about to be read.
pub struct Program {
    /// How many bytes it has.
    pub size: usize,
    /// The bytes.
    pub bytes: Box<dyn Read>,
}

/// Gives the program, each time it is asked.
type Giver = Box<dyn Fn() -> io::Result<Program> + Send + Sync>;

/// The exam server. Clones share what is known of its layer.
#[derive(Clone)]
pub struct ExamServer {
    program: Arc<Giver>,
    /// What it is called where it cannot be had.
    called: Arc<str>,
    layer: Arc<OnceLock<Described>>,
    pub(super) architecture: &'static str,
}

impl ExamServer {
    /// This program, which is one for the architecture of the running Invigil.
    pub fn new(program: &[u8]) -> Self {
        let program: Arc<[u8]> = program.into();
        let given =
            move || Ok(Program { size: program.len(), bytes: Box::new(Cursor::new(Arc::clone(&program))) });
        Self::given_by(PROGRAM, given)
    }

    /// The program that `program` gives, the same one each time: it is asked when the first image is assembled, and for each
    /// archive. Errors call it as it is `called`.
    pub fn given_by(
        called: impl Into<Arc<str>>,
        program: impl Fn() -> io::Result<Program> + Send + Sync + 'static,
    ) -> Self {
        Self {
            program: Arc::new(Box::new(program)),
            called: called.into(),
            layer: Arc::default(),
            architecture: go_architecture(std::env::consts::ARCH),
        }
    }

    #[cfg(test)]
    pub(super) fn for_architecture(program: &[u8], architecture: &'static str) -> Self {
        Self { architecture, ..Self::new(program) }
    }

    /// The layer's digest.
    pub(super) fn id(&self) -> io::Result<&ImageId> {
        Ok(self.described()?.id())
    }

    /// How manifests refer to the layer.
    pub(super) fn descriptor(&self) -> io::Result<Value> {
        Ok(self.described()?.descriptor())
    }

    /// Where an archive holds the layer.
    pub(super) fn path(&self) -> io::Result<String> {
        Ok(self.described()?.path())
    }

    /// The layer. Fails if the program is another one by now than images were assembled with.
    pub(super) fn layer(&self) -> io::Result<Blob> {
        let mut bytes = Vec::with_capacity(self.described()?.size());
        self.pack(&mut bytes)?;
        let blob = Blob::new(MediaType::Layer, bytes);
        if self.id()? != blob.id() {
            let why = "it was overwritten since invigil began: start invigil anew";
            return Err(self.failed(&io::Error::other(why)));
        }
        Ok(blob)
    }

    fn described(&self) -> io::Result<&Described> {
        if let Some(described) = self.layer.get() {
            return Ok(described);
        }
        let mut sum = Sha256Sum::default();
        let size = self.pack(&mut sum)?;
        let described = Described::new(ImageId::of_hashed(sum), MediaType::Layer, size);
        Ok(self.layer.get_or_init(|| described))
    }

    /// Writes the layer, of which it gives the size.
    fn pack(&self, to: &mut impl Write) -> io::Result<usize> {
        self.write(to).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.called))
    }

    fn write(&self, to: &mut impl Write) -> io::Result<usize> {
        let Program { size, bytes } = (self.program)()?;
        let (before, after) = around(PROGRAM, 0o755, Account::ROOT, size);
        to.write_all(&before)?;
        let mut bytes = BufReader::with_capacity(READ_AT_ONCE, bytes.take(size as u64));
        if io::copy(&mut bytes, to)? != size as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(&after)?;
        Ok(before.len() + size + after.len())
    }
}

impl fmt::Debug for ExamServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExamServer({:?}, {})", self.layer.get(), self.architecture)
    }
}

/// Go's name, which image configs use, for an architecture that Rust names otherwise.
pub(super) const fn go_architecture(rust: &'static str) -> &'static str {
    match rust.as_bytes() {
        b"x86_64" => "amd64",
        b"x86" => "386",
        b"aarch64" => "arm64",
        b"powerpc64" => "ppc64le",
        _ => rust,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_program_is_asked_for_when_it_is_needed_and_has_to_stay_the_same() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let server = ExamServer::given_by("the exam server /opt/exam", || {
            let asked = ASKED.fetch_add(1, Ordering::Relaxed);
            let program: &[u8] = if asked < 4 { b"one" } else { b"another" };
            Ok(Program { size: program.len(), bytes: Box::new(program) })
        });
        assert_eq!(ASKED.load(Ordering::Relaxed), 0);
        let id = server.id().unwrap().clone();
        server.descriptor().unwrap();
        assert_eq!(ASKED.load(Ordering::Relaxed), 1, "what is known is not asked for");
        assert_eq!(server.descriptor().unwrap()["size"], server.layer().unwrap().bytes().len());
        assert_eq!((server.layer().unwrap().id(), server.layer().unwrap().id()), (&id, &id));
        let why = server.layer().unwrap_err().to_string();
        assert_eq!(
            why,
            "the exam server /opt/exam: it was overwritten since invigil began: start invigil anew"
        );
    }
}
