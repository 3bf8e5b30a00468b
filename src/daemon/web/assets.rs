//! What pages load: embedded, under names that hold their content's digest, so that a browser keeps each as long as it likes
//! and never takes an old one for a new one.

use std::fmt::Write;
use std::sync::LazyLock;

use hyper::Response;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use sha2::{Digest, Sha256};

use super::reply::{Body, found};

/// One of them.
pub(super) struct Asset {
    path: String,
    form: HeaderValue,
    text: &'static str,
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/page.css")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/page.js")));
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("assets/icon.svg")));

impl Asset {
    fn new(extension: &str, form: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let mut path = "/assets/page.".to_owned();
        // Writing to a String cannot fail.
        digest.iter().take(6).for_each(|byte| _ = write!(path, "{byte:02x}"));
        path = path + "." + extension;
        Self { path, form: HeaderValue::from_static(form), text }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// The asset at a path.
pub(super) fn at(path: &str) -> Option<Response<Body>> {
    let asset = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.path == path)?;
    let mut response = found(asset.form.clone(), asset.text);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(CACHE_CONTROL, forever);
    Some(response)
}
