//! The files that manifests name beside themselves: env files, profiles and archives. In: paths. Out: what a
//! comparison needs of them, or why they cannot be read. Never keeps an archive in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::archive::{Holds, look_through};
use super::context::{ContextRequest, ContextSummary, KnownFiles};
use super::saved_image::{SavedImage, saved_image};
use super::stamp::Stamp;
use crate::resource::digest::hex;
use crate::resource::env::parse_env_file;

/// What is wanted to be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// Something of a file.
    File(Wanted, PathBuf),
    /// What a builder would see of a directory or an archive.
    Context(Box<ContextRequest>),
}

/// What is wanted of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// The variables of an env file.
    Env,
    /// The ids and tags of the one image that `docker save` wrote to it.
    SavedImage,
    /// The same, of a file that need not be there.
    KeptImage,
    /// The digest of all of it, which is a file system's archive.
    FileSystem,
    /// Its JSON.
    Json,
    /// All of it, to be put into a container.
    Bytes,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Attachment {
    /// Variables.
    Env(BTreeMap<String, String>),
    /// An image.
    Image(SavedImage),
    /// A SHA-256, in hexadecimal.
    Digest(String),
    /// JSON in canonical form.
    Json(String),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A build context.
    Context(ContextSummary),
    /// There is no file.
    Nothing,
}

/// What files say, or in a sentence why they cannot be read.
pub type Attachments = BTreeMap<Request, Result<Attachment, String>>;

/// Hears that reading gets on.
type Beat = Arc<dyn Fn() + Send + Sync>;

/// Reads attachments, and remembers what did not change since.
#[derive(Default)]
pub struct AttachmentReader {
    beat: Option<Beat>,
    known: HashMap<(Wanted, PathBuf), (Stamp, Attachment)>,
    /// The files of build contexts.
    contexts: HashMap<ContextRequest, KnownFiles>,
}

/// The largest env file or profile: far more than an environment can hold.
const TEXT_MAX: u64 = 1 << 20;
/// The largest file that is put into a container: it is kept in memory as long as its manifest is there.
const CONTENT_MAX: u64 = 8 << 20;

impl fmt::Debug for AttachmentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentReader").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl AttachmentReader {
    /// One that calls `beat` for every piece of a file that it has read.
    pub fn heard_by(beat: impl Fn() + Send + Sync + 'static) -> Self {
        Self { beat: Some(Arc::new(beat)), ..Self::default() }
    }

    /// Reads what is wanted. What was read before and did not change is not read again; what is not
    /// wanted any more is forgotten.
    pub fn read(&mut self, wanted: impl IntoIterator<Item = Request>) -> Attachments {
        self.read_at(wanted, SystemTime::now())
    }

    fn read_at(&mut self, wanted: impl IntoIterator<Item = Request>, now: SystemTime) -> Attachments {
        let beat = self.beat.clone().unwrap_or_else(|| Arc::new(|| ()));
        let mut known = HashMap::new();
        let mut contexts = HashMap::new();
        let mut attachments = Attachments::new();
        for request in wanted {
            let result = match &request {
                Request::File(Wanted::KeptImage, path) if is_absent(path) => Ok(Attachment::Nothing),
                Request::File(wanted, path) => {
                    self.read_file(*wanted, path, &*beat).map(|(stamp, attachment)| {
                        if stamp.is_settled(now) {
                            known.insert((*wanted, path.clone()), (stamp, attachment.clone()));
                        }
                        attachment
                    })
                }
                Request::Context(context) => {
                    let mut files = self.contexts.remove(context.as_ref()).unwrap_or_default();
                    let summary = context.summary(&mut files, &*beat);
                    contexts.insert(context.as_ref().clone(), files);
                    summary.map(Attachment::Context)
                }
            };
            attachments.insert(request, result);
        }
        self.known = known;
        self.contexts = contexts;
        attachments
    }

    fn read_file(&self, wanted: Wanted, path: &Path, beat: &dyn Fn()) -> Result<(Stamp, Attachment), String> {
        let sentence = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
            _ => format!("{} cannot be read: {error}", path.display()),
        };
        // Looked at before it is opened: opening a pipe would wait for a writer.
        if !std::fs::metadata(path).map_err(sentence)?.is_file() {
            return Err(format!("{} is not a regular file", path.display()));
        }
        let file = File::open(path).map_err(sentence)?;
        let stamp = Stamp::of(&file.metadata().map_err(sentence)?);
        let known = self.known.get(&(wanted, path.to_owned()));
        if let Some((_, attachment)) = known.filter(|(known, _)| *known == stamp) {
            return Ok((stamp, attachment.clone()));
        }
        let attachment = read_open(wanted, path, &file, &stamp, beat)?;
        Ok((stamp, attachment))
    }
}

fn is_absent(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// What an open file says that had this stamp before it was read.
fn read_open(
    wanted: Wanted,
    path: &Path,
    file: &File,
    stamp: &Stamp,
    beat: &dyn Fn(),
) -> Result<Attachment, String> {
    let unreadable = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let read = match wanted {
        Wanted::Env => env_file(path, file, stamp.size()),
        Wanted::SavedImage | Wanted::KeptImage => saved_image(file)
            .map(Attachment::Image)
            .map_err(|why| format!("{} is no saved image: {why}", path.display())),
        Wanted::FileSystem => look_through(file, Holds::FileSystem)
            .map_err(|why| format!("{} is no file system to import: {why}", path.display()))
            .and_then(|()| digest(file, beat).map(Attachment::Digest).map_err(unreadable)),
        Wanted::Json => json(path, file, stamp.size()),
        Wanted::Bytes => content(path, file, stamp.size()),
    };
    // Half of it is nobody's wish; and what is wrong with half of it, nobody's fault.
    if stamp.is_still(file).map_err(unreadable)? {
        read
    } else {
        Err(format!("{} changes while it is read", path.display()))
    }
}

/// All of a small text file; `what` names its sort.
fn small_text(path: &Path, file: &File, size: u64, what: &str) -> Result<String, String> {
    let shown = path.display();
    if size > TEXT_MAX {
        return Err(format!("{shown} is larger than {what} may be (1Mi)"));
    }
    let mut text = String::new();
    file.take(TEXT_MAX)
        .read_to_string(&mut text)
        .map_err(|error| format!("{shown} cannot be read: {error}"))?;
    Ok(text)
}

fn env_file(path: &Path, file: &File, size: u64) -> Result<Attachment, String> {
    let text = small_text(path, file, size, "an env file")?;
    parse_env_file(&text)
        .map(Attachment::Env)
        .map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))
}

fn json(path: &Path, file: &File, size: u64) -> Result<Attachment, String> {
    let text = small_text(path, file, size, "a profile")?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("{} is no JSON: {error}", path.display()))?;
    Ok(Attachment::Json(value.to_string()))
}

fn content(path: &Path, file: &File, size: u64) -> Result<Attachment, String> {
    let shown = path.display();
    if size > CONTENT_MAX {
        return Err(format!(
            "{shown} is larger than a file of a container may be (8Mi); bind it, or put it into the image"
        ));
    }
    let mut bytes = Vec::new();
    file.take(CONTENT_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{shown} cannot be read: {error}"))?;
    Ok(Attachment::Bytes(bytes.into()))
}

fn digest(mut file: &File, beat: &dyn Fn()) -> io::Result<String> {
    file.rewind()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
        beat();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(request: Request) -> Result<Attachment, String> {
        let attachments = AttachmentReader::default().read([request]);
        attachments.into_values().next().unwrap()
    }

    #[test]
    fn a_missing_or_damaged_file_is_told_in_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.env");
        let shown = path.display().to_string();
        assert_eq!(read(Request::File(Wanted::Env, path.clone())), Err(format!("{shown} does not exist")));
        std::fs::write(&path, "A=1\nB\n").unwrap();
        assert_eq!(
            read(Request::File(Wanted::Env, path.clone())),
            Err(format!("{shown}:2: expected KEY=value"))
        );
        assert_eq!(
            read(Request::File(Wanted::SavedImage, path.clone())),
            Err(format!(
                "{shown} is no saved image: it is no tar archive, or damaged: it ends in the middle of a header"
            ))
        );
        std::fs::write(&path, [0x1f, 0x8b, 0]).unwrap();
        assert_eq!(
            read(Request::File(Wanted::SavedImage, path)),
            Err(format!("{shown} is no saved image: it is compressed; unpack it with gunzip first"))
        );
        assert_eq!(
            read(Request::File(Wanted::FileSystem, dir.path().join("x.env"))),
            Err(format!(
                "{shown} is no file system to import: it is compressed; unpack it with gunzip first"
            ))
        );
        assert_eq!(
            read(Request::File(Wanted::FileSystem, dir.path().to_path_buf())),
            Err(format!("{} is not a regular file", dir.path().display()))
        );
    }

    #[test]
    fn an_unchanged_file_is_not_read_again_and_a_changed_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rootfs.tar");
        let archive = |name: &str| {
            let mut archive = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            archive.append_data(&mut header, name, io::empty()).unwrap();
            std::fs::write(&path, archive.into_inner().unwrap()).unwrap();
        };
        archive("etc/one");
        let request = Request::File(Wanted::FileSystem, path.clone());
        let mut reader = AttachmentReader::default();
        let later = SystemTime::now() + std::time::Duration::from_secs(10);
        let first = reader.read_at([request.clone()], later);
        let whole = hex(&Sha256::digest(std::fs::read(&path).unwrap()));
        assert_eq!(first[&request], Ok(Attachment::Digest(whole)));
        reader.known.get_mut(&(Wanted::FileSystem, path.clone())).unwrap().1 =
            Attachment::Digest("remembered".to_owned());
        let again = reader.read_at([request.clone()], later);
        assert_eq!(again[&request], Ok(Attachment::Digest("remembered".to_owned())));
        archive("etc/another");
        let changed = reader.read_at([request.clone()], later);
        assert!(changed[&request].is_ok(), "{changed:?}");
        assert_ne!(changed[&request], Ok(Attachment::Digest("remembered".to_owned())));
    }

    #[test]
    fn a_large_file_is_heard_to_be_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rootfs.tar"), vec![0; 1 << 20]).unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        std::fs::write(dir.path().join("context/data"), vec![0; 1 << 20]).unwrap();
        std::fs::write(dir.path().join("context/Dockerfile"), "FROM scratch\n").unwrap();
        let context = ContextRequest {
            path: Some(dir.path().join("context")),
            dockerfile: crate::source::context::Dockerfile::Named("Dockerfile".to_owned()),
            args: BTreeMap::new(),
        };
        let wanted = [
            Request::File(Wanted::FileSystem, dir.path().join("rootfs.tar")),
            Request::Context(Box::new(context)),
        ];
        for request in wanted {
            let beats = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let heard = Arc::clone(&beats);
            let mut reader = AttachmentReader::heard_by(move || {
                heard.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            });
            assert!(reader.read([request.clone()])[&request].is_ok());
            assert!(beats.load(std::sync::atomic::Ordering::Relaxed) >= 16, "{request:?}");
        }
    }

    #[test]
    fn a_file_that_changed_a_moment_ago_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("room.conf");
        std::fs::write(&path, "one").unwrap();
        let request = Request::File(Wanted::Bytes, path.clone());
        let mut reader = AttachmentReader::default();
        reader.read([request.clone()]);
        // Another write within the same tick, of the same size, would leave the stamp as it is.
        assert!(reader.known.is_empty());
        reader.read_at([request], SystemTime::now() + std::time::Duration::from_secs(10));
        assert_eq!(reader.known.len(), 1);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_no_wish() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("room.conf");
        let shown = path.display();
        for wanted in [Wanted::Env, Wanted::SavedImage, Wanted::FileSystem, Wanted::Json, Wanted::Bytes] {
            std::fs::write(&path, "").unwrap();
            let file = File::open(&path).unwrap();
            let before = Stamp::of(&file.metadata().unwrap());
            std::fs::write(&path, "A=1\n").unwrap();
            let read = read_open(wanted, &path, &file, &before, &|| ());
            assert_eq!(read, Err(format!("{shown} changes while it is read")), "{wanted:?}");
        }
    }
}
