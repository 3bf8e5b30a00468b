//! Content under its digest. In: bytes. Out: a [`Blob`], which knows its id and describes itself to
//! whatever refers to it.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::resource::reference::ImageId;

/// Bytes with their SHA-256, hashed once; clones share the bytes.
#[derive(Clone)]
pub(super) struct Blob {
    described: Described,
    bytes: Arc<[u8]>,
}

/// What is said of bytes without having them.
#[derive(Debug, Clone)]
pub(super) struct Described {
    id: ImageId,
    media_type: MediaType,
    size: usize,
}

/// What a blob is, in the words of Docker's image manifest, version 2, schema 2.
///
/// Not OCI's words for the same bytes: OCI's config has no health check, and Podman ignores one in an
/// image whose manifest is OCI's.
#[derive(Debug, Clone, Copy)]
pub(super) enum MediaType {
    Manifest,
    /// The same in OCI's words, on a base that speaks them.
    OciManifest,
    /// An uncompressed layer in OCI's words, on such a base.
    OciLayer,
    OciIndex,
    Config,
    Layer,
}

impl MediaType {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciLayer => "application/vnd.oci.image.layer.v1.tar",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
            Self::Config => "application/vnd.docker.container.image.v1+json",
            // Uncompressed, so that a layer's digest is its diff id and no compressor's version enters it.
            Self::Layer => "application/vnd.docker.image.rootfs.diff.tar",
        }
    }
}

/// Whether a media type is in OCI's words.
pub(super) fn is_oci(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.")
}

impl Described {
    pub(super) const fn new(id: ImageId, media_type: MediaType, size: usize) -> Self {
        Self { id, media_type, size }
    }

    /// The digest; for a config and a manifest also the image's id in one or the other engine.
    pub(super) fn id(&self) -> &ImageId {
        &self.id
    }

    /// How many bytes it has.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Where an archive holds it.
    pub(super) fn path(&self) -> String {
        format!("blobs/sha256/{}", self.id.hex())
    }

    /// How manifests and indexes refer to it (OCI image specification, "Content Descriptors").
    pub(super) fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type.as_str(),
            "digest": self.id.as_str(),
            "size": self.size,
        })
    }
}

impl Blob {
    pub(super) fn new(media_type: MediaType, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { described: Described::new(ImageId::of(&bytes), media_type, bytes.len()), bytes }
    }

    pub(super) fn id(&self) -> &ImageId {
        self.described.id()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn path(&self) -> String {
        self.described.path()
    }

    pub(super) fn descriptor(&self) -> Value {
        self.described.descriptor()
    }
}

impl fmt::Debug for Blob {
    /// A layer's bytes would fill a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}, {} bytes)", self.id(), self.bytes.len())
    }
}
