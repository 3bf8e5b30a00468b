//! Problem set images, assembled in memory. In: the exam server's program and a paper. Out: an image
//! whose id is known before any engine has seen it, and the archive that an engine loads. Does no
//! I/O but that of whoever gives the program, and never reads a clock: equal inputs give equal bytes,
//! and so equal ids, on every machine.
//!
//! An image is two layers. The first is the program, shared by all images; the second is the paper
//! and the empty directory where responses go:
//!
//! ```text
//! /invigil-exam           0755  root
//! /exam/                  0755  root
//! /exam/paper.json        0444  root
//! /exam/responses/        0700  65532
//! ```
//!
//! No label here names an owner: whose an image is says a tag
//! ([`Mark`](crate::resource::label::Mark)), which is no part of its id.

mod archive;
mod blob;
pub mod on_base;
mod server;
mod tar;

use std::io;

use serde_json::{Value, json};

pub use self::archive::archive;
use self::blob::{Blob, MediaType};
use self::server::PROGRAM;
pub use self::server::{ExamServer, Program};
use self::tar::{Account, Tar};
use crate::problemset::paper::Paper;
use crate::resource::digest::canonical_json;
use crate::resource::label::SOURCE;
use crate::resource::reference::ImageId;

/// The label that holds the problem set's name.
pub const PROBLEM_SET_LABEL: &str = "io.invigil.problemset";
/// The label that holds the paper's title (OCI image specification, "Pre-Defined Annotation Keys").
pub const TITLE_LABEL: &str = "org.opencontainers.image.title";
/// The port at which the exam server listens.
pub const EXAM_PORT: &str = "8080/tcp";

/// Who runs the exam server: nobody's account on any host; the number that distroless images use
/// for `nonroot`.
const EXAMINER: Account = Account(65532);
/// When everything in the image was made.
const EPOCH: &str = "1970-01-01T00:00:00Z";
/// A second, in the nanoseconds in which an image's config counts.
const SECOND: u64 = 1_000_000_000;

/// A problem set's image: the exam server with one paper. Clones share the bytes.
#[derive(Debug, Clone)]
pub struct PaperImage {
    server: ExamServer,
    paper: Blob,
    config: Blob,
    manifest: Blob,
    defaults: Value,
    items: usize,
}

impl PaperImage {
    /// Assembles the image of `paper`.
    ///
    /// Guarantees: what the image holds of the problem set is the paper's JSON, and its name and title
    /// as labels. Fails only where the paper cannot be written as JSON, or the exam server's program not be had.
    pub fn assemble(server: &ExamServer, paper: &Paper) -> io::Result<Self> {
        let layer = paper_layer(paper, &Responses::OfTheExaminer)?;
        let defaults = container_defaults(paper, layer.id());
        let config = Blob::new(
            MediaType::Config,
            canonical_json(&json!({
                "architecture": server.architecture,
                "os": "linux",
                "created": EPOCH,
                "config": defaults,
                "history": [
                    {"created": EPOCH, "created_by": "invigil: the exam server"},
                    {"created": EPOCH, "created_by": "invigil: the paper"},
                ],
                "rootfs": {"type": "layers", "diff_ids": [server.id()?, layer.id()]},
            }))?
            .into_bytes(),
        );
        let manifest = Blob::new(
            MediaType::Manifest,
            canonical_json(&json!({
                "schemaVersion": 2,
                "mediaType": MediaType::Manifest.as_str(),
                "config": config.descriptor(),
                "layers": [server.descriptor()?, layer.descriptor()],
            }))?
            .into_bytes(),
        );
        Ok(Self {
            server: server.clone(),
            paper: layer,
            config,
            manifest,
            defaults,
            items: paper.items.len(),
        })
    }

    /// The image's id: the digest of its config.
    pub fn id(&self) -> &ImageId {
        self.config.id()
    }

    /// The ids by which engines name this image: the digest of its config; and the digest of its
    /// manifest, where the engine keeps images in containerd's store.
    pub fn ids(&self) -> [ImageId; 2] {
        [self.config.id().clone(), self.manifest.id().clone()]
    }

    /// What says that an image holds this paper, whatever exam server serves it: the digest of the
    /// paper's layer, which the image bears as a label.
    pub fn source(&self) -> &str {
        self.paper.id().hex()
    }

    /// How many items its paper has.
    pub fn items(&self) -> usize {
        self.items
    }

    /// What a container of this image gets where its own spec says nothing: the `config` object of
    /// the image's config, in Docker's words (`User`, `ExposedPorts`, `Healthcheck`, `Labels`, ...).
    pub fn config(&self) -> &Value {
        &self.defaults
    }
}

/// Who writes responses.
enum Responses {
    /// The exam server.
    OfTheExaminer,
    /// A program of which only its image knows as whom it runs.
    OfAnyone,
}

fn paper_layer(paper: &Paper, responses: &Responses) -> Result<Blob, serde_json::Error> {
    let mut tar = Tar::default();
    tar.directory("exam/", 0o755, Account::ROOT);
    tar.file("exam/paper.json", 0o444, Account::ROOT, &serde_json::to_vec(paper)?);
    // A volume mounted here for the first time takes over the owner and the mode, so that the server
    // can write to it.
    match responses {
        Responses::OfTheExaminer => tar.directory("exam/responses/", 0o700, EXAMINER),
        // As `/tmp` is: everybody writes, and nobody takes away what is another's.
        Responses::OfAnyone => tar.directory("exam/responses/", 0o1777, Account::ROOT),
    }
    Ok(Blob::new(MediaType::Layer, tar.finish()))
}

fn container_defaults(paper: &Paper, layer: &ImageId) -> Value {
    let program = format!("/{PROGRAM}");
    json!({
        "User": format!("{0}:{0}", EXAMINER.0),
        "ExposedPorts": {EXAM_PORT: {}},
        "Entrypoint": [program],
        "Cmd": ["serve"],
        "WorkingDir": "/",
        // Asked twice a second, the program says at once that it is well when an engine begins to ask, and takes its time from then
        // on: so it is known to be well soon after its start, and seldom asked at rest. Older engines know no other interval at the
        // start.
        // No StartPeriod: engines from 25.0 on probe every 5 s while it lasts.
        "Healthcheck": {
            "Test": ["CMD", program, "health", "--unhurried"],
            "Interval": SECOND / 2,
            "Timeout": 15 * SECOND,
            "Retries": 5,
        },
        "Labels": {TITLE_LABEL: paper.title, PROBLEM_SET_LABEL: paper.name, SOURCE: layer.hex()},
    })
}

#[cfg(test)]
mod tests;
