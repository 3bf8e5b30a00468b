//! The layer that all problem set images share: the exam server's static program. In: whoever gives the program. Out: the
//! layer's id and size, and its bytes for an archive. They are as large as everything else that a daemon keeps, and are
//! seldom needed: whoever needs them asks for the program again.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::blob::{Blob, Described, MediaType};
use super::tar::{Account, Tar};
use crate::resource::reference::ImageId;

/// What the exam server's program is called in the image.
pub(super) const PROGRAM: &str = "invigil-exam";

/// Gives the program, each time it is asked.
type Program = Box<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>;

/// The exam server. Clones share what is known of its layer.
#[derive(Clone)]
pub struct ExamServer {
    program: Arc<Program>,
    layer: Arc<OnceLock<Described>>,
    pub(super) architecture: &'static str,
}

impl ExamServer {
    /// This program, which is one for the architecture of the running Invigil.
    pub fn new(program: &[u8]) -> Self {
        let program = program.to_owned();
        Self::given_by(move || Ok(program.clone()))
    }

    /// The program that `program` gives, the same one each time: it is asked when the first image is assembled, and for each
    /// archive.
    pub fn given_by(program: impl Fn() -> io::Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self {
            program: Arc::new(Box::new(program)),
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
        let blob = self.pack()?;
        if self.layer.get_or_init(|| blob.described().clone()).id() != blob.id() {
            return Err(io::Error::other("the exam server's program was overwritten since invigil began"));
        }
        Ok(blob)
    }

    fn described(&self) -> io::Result<&Described> {
        if let Some(described) = self.layer.get() {
            return Ok(described);
        }
        let described = self.pack()?.described().clone();
        Ok(self.layer.get_or_init(|| described))
    }

    fn pack(&self) -> io::Result<Blob> {
        let mut tar = Tar::default();
        tar.file(PROGRAM, 0o755, Account::ROOT, &(self.program)()?);
        Ok(Blob::new(MediaType::Layer, tar.finish()))
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
        let server = ExamServer::given_by(|| {
            let asked = ASKED.fetch_add(1, Ordering::Relaxed);
            Ok(if asked < 3 { b"one".to_vec() } else { b"another".to_vec() })
        });
        assert_eq!(ASKED.load(Ordering::Relaxed), 0);
        let id = server.id().unwrap().clone();
        server.descriptor().unwrap();
        assert_eq!(ASKED.load(Ordering::Relaxed), 1, "what is known is not asked for");
        assert_eq!((server.layer().unwrap().id(), server.layer().unwrap().id()), (&id, &id));
        let why = server.layer().unwrap_err().to_string();
        assert_eq!(why, "the exam server's program was overwritten since invigil began");
    }
}
