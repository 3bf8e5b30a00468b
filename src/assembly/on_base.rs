//! A paper on somebody's own image. In: a paper, and the image as its engine saves it. Out: the same archive with one
//! layer more, for the engine to load. Never keeps a layer of the image, and never reads a clock: the same paper on
//! the same image gives the same image.
//!
//! ```text
//! ...                     what the image holds
//! /exam/                  0755  root
//! /exam/paper.json        0444  root
//! /exam/responses/        1777  root
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};

use serde_json::{Map, Value, json};
use tar::{Builder, EntryType, Header};

use super::archive::{Tag, index_of, layout, named};
use super::blob::{Blob, MediaType, is_oci};
use super::{EPOCH, PROBLEM_SET_LABEL, Responses, TITLE_LABEL, paper_layer};
use crate::problemset::paper::Paper;
use crate::resource::digest::canonical_json;
use crate::resource::label::{Mark, PREFIX, SOURCE};
use crate::resource::reference::ImageId;
use crate::source::archive::{DOCUMENT_MAX, Gate, Holds};

/// The files by which an archive says what it holds: written anew.
const LISTS: [&str; 4] = ["index.json", "manifest.json", "oci-layout", "repositories"];
/// How deep OCI indexes may stand in each other.
const NESTED_MAX: usize = 3;

/// The layer that a paper is, on whatever image. Clones share the bytes.
#[derive(Debug, Clone)]
pub struct PaperLayer {
    layer: Blob,
    name: String,
    title: String,
    items: usize,
}

impl PaperLayer {
    /// The layer of `paper`.
    ///
    /// Fails only where the paper cannot be written as JSON.
    pub fn assemble(paper: &Paper) -> Result<Self, serde_json::Error> {
        let layer = paper_layer(paper, &Responses::OfAnyone)?;
        Ok(Self { layer, name: paper.name.clone(), title: paper.title.clone(), items: paper.items.len() })
    }

    /// How many items the paper has.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Which paper it is, in digits.
    pub fn digits(&self) -> &str {
        self.layer.id().hex()
    }

    /// What an image is made from that has this layer on a base, of which these digits say what it is: the image
    /// bears it as a label.
    pub fn source(&self, base: &str) -> String {
        format!("{}.{base}", self.digits())
    }
}

/// The paper and the base that an image says it was made from, in digits; `None` of any other image.
pub fn made_from(source: &str) -> Option<(&str, &str)> {
    source.split_once('.')
}

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Order {
    /// The paper.
    pub paper: PaperLayer,
    /// What it is made from: [`PaperLayer::source`].
    pub source: String,
    /// The base's layers, as its engine names them.
    pub base: Vec<String>,
    /// Whose it is.
    pub mark: Mark,
}

/// What an archive says of the images in it, without their layers.
#[derive(Clone)]
pub struct Documents(BTreeMap<String, Vec<u8>>);

impl fmt::Debug for Documents {
    /// How many: a config may hold variables that are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Documents({})", self.0.len())
    }
}

impl Order {
    /// Copies the saved base to `out` with the paper on top. Returns the ids that the image may have, by the engine's
    /// image store, and what the archive said, with which [`Self::fill_without_base`] puts other papers on it.
    ///
    /// Guarantees: `out` is no archive of an image before everything in `saved` was found to be in order.
    pub fn fill(&self, saved: impl Read, out: impl Write) -> io::Result<(Vec<ImageId>, Documents)> {
        let mut out = Builder::new(out);
        let documents = Documents(copy(saved, &mut out)?);
        Ok((self.finish(&documents, out)?, documents))
    }

    /// The same without the base's layers, for an engine that has them: it does not look for what it has.
    pub fn fill_without_base(&self, documents: &Documents, out: impl Write) -> io::Result<Vec<ImageId>> {
        self.finish(documents, Builder::new(out))
    }

    fn finish(&self, documents: &Documents, mut out: Builder<impl Write>) -> io::Result<Vec<ImageId>> {
        let base = Base::find(&documents.0, &self.base)?;
        let config = Blob::new(MediaType::Config, canonical_json(&self.config(&base.config)?)?.into_bytes());
        let manifest = base.manifest.as_ref().map(|manifest| self.manifest(manifest, &config)).transpose()?;

        for blob in [&self.paper.layer, &config].into_iter().chain(&manifest) {
            file(&mut out, &blob.path(), blob.bytes())?;
        }
        let tags = self.mark.tags(config.id());
        let tags = tags.iter().map(Tag::of).collect::<io::Result<Vec<_>>>()?;
        let layers = base.layers.iter().cloned().chain([self.paper.layer.path()]);
        let list = json!([{
            "Config": config.path(),
            "RepoTags": tags.iter().map(|tag| &tag.full).collect::<Vec<_>>(),
            "Layers": layers.collect::<Vec<_>>(),
        }]);
        if let Some(manifest) = &manifest {
            let index = index_of(&named(&manifest.descriptor(), tags.iter()));
            file(&mut out, "index.json", index.to_string().as_bytes())?;
            file(&mut out, "oci-layout", layout().to_string().as_bytes())?;
        }
        file(&mut out, "manifest.json", list.to_string().as_bytes())?;
        out.into_inner()?.flush()?;
        Ok([&config].into_iter().chain(&manifest).map(|blob| blob.id().clone()).collect())
    }

    /// The base's config with the paper's layer, and nothing else of it changed but labels.
    fn config(&self, base: &Map<String, Value>) -> io::Result<Value> {
        let mut config = base.clone();
        if let Some(os) = base.get("os").and_then(Value::as_str).filter(|os| !matches!(*os, "" | "linux")) {
            return Err(refused(format!("the base is an image for {os}, and a paper needs one for linux")));
        }
        let defaults = object(&mut config, "config")?;
        let volumes = defaults.get("Volumes").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        if let Some(volume) = volumes.into_iter().find(|volume| hides_the_paper(volume)) {
            let volume = volume.escape_debug();
            return Err(refused(format!("the base has a volume at {volume}, which would hide the paper")));
        }
        let labels = object(defaults, "Labels")?;
        labels.retain(|label, _| !label.starts_with(PREFIX));
        for (label, value) in
            [(TITLE_LABEL, &self.paper.title), (PROBLEM_SET_LABEL, &self.paper.name), (SOURCE, &self.source)]
        {
            labels.insert(label.to_owned(), value.as_str().into());
        }
        list(&mut config, "history")?.push(json!({"created": EPOCH, "created_by": "invigil: the paper"}));
        let layers = list(object(&mut config, "rootfs")?, "diff_ids")?;
        layers.push(self.paper.layer.id().as_str().into());
        Ok(config.into())
    }

    /// The base's manifest with the paper's layer, in the words that the base uses.
    fn manifest(&self, base: &Value, config: &Blob) -> io::Result<Blob> {
        let config_type = base["config"]["mediaType"].as_str().unwrap_or(MediaType::Config.as_str());
        let mut layer = self.paper.layer.descriptor();
        if is_oci(config_type) {
            layer["mediaType"] = MediaType::OciLayer.as_str().into();
        }
        let mut described = config.descriptor();
        described["mediaType"] = config_type.into();
        let layers = base["layers"].as_array().into_iter().flatten().cloned().chain([layer]);
        let mut manifest = json!({
            "schemaVersion": 2,
            "config": described,
            "layers": layers.collect::<Vec<_>>(),
        });
        let media_type = base["mediaType"].as_str();
        if let Some(media_type) = media_type {
            manifest["mediaType"] = media_type.into();
        }
        let kind = if media_type.is_none_or(is_oci) { MediaType::OciManifest } else { MediaType::Manifest };
        Ok(Blob::new(kind, canonical_json(&manifest)?.into_bytes()))
    }
}

/// The base in its archive.
struct Base {
    config: Map<String, Value>,
    /// Where its layers are.
    layers: Vec<String>,
    /// The OCI layout's manifest, where the archive is one.
    manifest: Option<Value>,
}

impl Base {
    /// The image with these layers. An archive may hold others beside it: of other platforms, and what vouches for
    /// them.
    fn find(documents: &BTreeMap<String, Vec<u8>>, wanted: &[String]) -> io::Result<Self> {
        let config = |path: &str| -> Option<Map<String, Value>> {
            let config: Map<String, Value> = serde_json::from_slice(documents.get(path)?).ok()?;
            let layers = config.get("rootfs")?.get("diff_ids")?.as_array()?;
            layers
                .iter()
                .map(Value::as_str)
                .eq(wanted.iter().map(|layer| Some(layer.as_str())))
                .then_some(config)
        };
        let mut manifests = Vec::new();
        if let Some(index) = documents.get("index.json").filter(|_| documents.contains_key("oci-layout")) {
            find_manifests(documents, index, NESTED_MAX, &mut manifests);
        }
        let of_manifest = |manifest: Value| {
            let config = config(&path_of(&manifest["config"])?)?;
            let layers: Option<Vec<String>> =
                manifest["layers"].as_array().into_iter().flatten().map(path_of).collect();
            Some(Self { config, layers: layers?, manifest: Some(manifest) })
        };
        let of_entry = |entry: &Value| {
            let config = config(&plain_path(entry["Config"].as_str()?))?;
            let layers = entry["Layers"].as_array()?.iter().map(|layer| layer.as_str().map(str::to_owned));
            Some(Self { config, layers: layers.collect::<Option<_>>()?, manifest: None })
        };
        let entries: Vec<Value> = documents
            .get("manifest.json")
            .map_or_else(|| Ok(Vec::new()), |list| serde_json::from_slice(list))
            .map_err(|error| refused(format!("manifest.json of what the engine sent: {error}")))?;
        let found = manifests.into_iter().find_map(of_manifest).or_else(|| entries.iter().find_map(of_entry));
        let whole = found.filter(|base| base.layers.len() == wanted.len());
        whole.ok_or_else(|| refused("the engine did not send the image that it says the base is".to_owned()))
    }
}

/// The image manifests below an index, as far as the archive has them.
fn find_manifests(
    documents: &BTreeMap<String, Vec<u8>>,
    index: &[u8],
    deeper: usize,
    found: &mut Vec<Value>,
) {
    let Ok(index) = serde_json::from_slice::<Value>(index) else { return };
    for descriptor in index["manifests"].as_array().into_iter().flatten() {
        let Some(bytes) = path_of(descriptor).and_then(|path| documents.get(&path)) else { continue };
        // An archive's file is what its name says, or nothing.
        if descriptor["digest"].as_str() != Some(ImageId::of(bytes).as_str()) {
            continue;
        }
        match serde_json::from_slice::<Value>(bytes) {
            Ok(manifest) if manifest["layers"].is_array() => found.push(manifest),
            Ok(nested) if nested["manifests"].is_array() && deeper > 0 => {
                find_manifests(documents, bytes, deeper - 1, found);
            }
            _ => {}
        }
    }
}

/// Where an OCI layout has what a descriptor means.
fn path_of(descriptor: &Value) -> Option<String> {
    let id: ImageId = descriptor["digest"].as_str()?.parse().ok()?;
    Some(format!("blobs/sha256/{}", id.hex()))
}

/// Copies what an archive holds but for its lists. Returns the lists, and every document in it.
fn copy<W: Write>(saved: impl Read, out: &mut Builder<W>) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut documents = BTreeMap::new();
    let mut total = 0;
    let mut archive = tar::Archive::new(saved);
    let mut gate = Gate::of(Holds::Images);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let target = entry.link_name()?.unwrap_or_default().to_string_lossy().into_owned();
        let path = entry.path()?.into_owned();
        gate.pass(&path.to_string_lossy(), entry.header().entry_type(), &target)
            .map_err(|why| refused(format!("what the engine sent of the base: {why}")))?;
        let name = plain_path(&path.to_string_lossy());
        let (size, kind) = (entry.size(), entry.header().entry_type());
        match kind {
            EntryType::Directory => {
                out.append_data(&mut header(EntryType::Directory, 0), &path, io::empty())?;
            }
            EntryType::Symlink | EntryType::Link => {
                let Some(target) = entry.link_name()? else { continue };
                out.append_link(&mut header(kind, 0), &path, target)?;
            }
            _ if !kind.is_file() => {}
            _ => {
                let is_list = LISTS.contains(&name.as_str());
                let mut start = Vec::new();
                if size <= DOCUMENT_MAX {
                    entry.by_ref().take(1).read_to_end(&mut start)?;
                }
                if is_list || matches!(start[..], [b'{' | b'[']) {
                    total += size;
                    if size > DOCUMENT_MAX || total > 4 * DOCUMENT_MAX {
                        return Err(refused(
                            "the base's metadata is larger than an image's can be".to_owned(),
                        ));
                    }
                    entry.read_to_end(&mut start)?;
                    if !is_list {
                        file(out, &path.to_string_lossy(), &start)?;
                    }
                    documents.insert(name, start);
                } else {
                    out.append_data(&mut header(EntryType::Regular, size), &path, start.chain(entry))?;
                }
            }
        }
    }
    // What follows the end is nothing, but whoever sends it wants to be heard out.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(documents)
}

fn file<W: Write>(out: &mut Builder<W>, path: &str, content: &[u8]) -> io::Result<()> {
    out.append_data(&mut header(EntryType::Regular, content.len() as u64), path, content)
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_mtime(0);
    header.set_size(size);
    header
}

/// A path as the archive's lists write it.
fn plain_path(path: &str) -> String {
    path.strip_prefix("./").unwrap_or(path).to_owned()
}

/// Whether a volume at this place hides `/exam/paper.json` behind what was there when it was made.
fn hides_the_paper(volume: &str) -> bool {
    let parts = || volume.split('/').filter(|part| !matches!(*part, "" | "."));
    let paper = ["exam", "paper.json"];
    parts().count() <= paper.len() && parts().zip(paper).all(|(part, other)| part == other)
}

/// The object under a key; an empty one, if there is none.
fn object<'v>(of: &'v mut Map<String, Value>, key: &str) -> io::Result<&'v mut Map<String, Value>> {
    let value = of.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().ok_or_else(|| refused(format!("`{key}` of the base's config is no object")))
}

/// The list under a key; an empty one, if there is none.
fn list<'v>(of: &'v mut Map<String, Value>, key: &str) -> io::Result<&'v mut Vec<Value>> {
    let value = of.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!([]);
    }
    value.as_array_mut().ok_or_else(|| refused(format!("`{key}` of the base's config is no list")))
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests;
