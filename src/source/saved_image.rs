//! What `docker save` wrote to a file. In: an open file. Out: which image it holds, or why it must not be loaded. Reads
//! the documents alone; layers are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::archive::{self, DOCUMENT_MAX, Holds};
use crate::resource::label::is_mark;
use crate::resource::platform::Platform;
use crate::resource::printable::printable;
use crate::resource::reference::{ImageId, ImageReference};

/// The one image in an archive of `docker save`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SavedImage {
    /// The ids that it may have, by the engine's image store.
    pub ids: Vec<ImageId>,
    /// The tags that an engine points to it when it loads the archive, wherever they pointed before.
    pub brings: BTreeSet<ImageReference>,
    /// What it is made for, if it says so.
    pub platform: Option<Platform>,
}

/// The one image in an archive that `docker save` wrote. Its ids are its config's digest, and where the archive has
/// an OCI index, its manifest's (an engine with the containerd image store goes by that).
///
/// # Errors
/// Why it is no archive of one image, in words.
pub fn saved_image(file: &File) -> Result<SavedImage, String> {
    let Contents { names, documents } = contents(file)?;
    let document = |name: &str| documents.get(name).ok_or_else(|| format!("it has no {name}"));
    let list: Vec<serde_json::Value> = serde_json::from_slice(document("manifest.json")?)
        .map_err(|error| format!("manifest.json: {error}"))?;
    let [image] = &list[..] else {
        return Err(format!("it holds {} images, an Image is one", list.len()));
    };
    let config = image["Config"].as_str().ok_or("manifest.json names no config")?;
    let config = document(config)?;
    let mut ids = vec![ImageId::of(config)];
    let said: serde_json::Value = serde_json::from_slice(config).unwrap_or_default();
    let platform = Platform::of(said["os"].as_str(), said["architecture"].as_str());
    let mut layers = image["Layers"].as_array().into_iter().flatten().filter_map(|layer| layer.as_str());
    if let Some(missing) = layers.find(|layer| !names.contains(*layer)) {
        return Err(format!("it lacks the layer `{}`", printable(missing)));
    }
    let own = image["RepoTags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str());
    let mut brings: BTreeSet<ImageReference> = own.filter_map(|tag| tag.parse().ok()).collect();
    if let Some(index) = documents.get("index.json") {
        let index: serde_json::Value =
            serde_json::from_slice(index).map_err(|error| format!("index.json: {error}"))?;
        let manifests = index["manifests"].as_array().into_iter().flatten();
        let digests = manifests.filter_map(|manifest| manifest["digest"].as_str()?.parse::<ImageId>().ok());
        ids.extend(digests);
        ids.dedup();
        brings.extend(index["manifests"].as_array().into_iter().flatten().filter_map(name_in_index));
    }
    if let Some(mark) = brings.iter().find(|tag| is_mark(tag)) {
        return Err(format!(
            "it brings the tag {mark}, by which Invigil knows what is whose; save it without"
        ));
    }
    Ok(SavedImage { ids, brings, platform })
}

/// The name under which containerd keeps what an OCI index lists. The second annotation may be a tag alone, which
/// names nothing.
fn name_in_index(manifest: &serde_json::Value) -> Option<ImageReference> {
    let annotation = |name: &str| manifest["annotations"][name].as_str();
    let name = annotation("io.containerd.image.name")
        .or_else(|| annotation("org.opencontainers.image.ref.name").filter(|name| name.contains([':', '/'])));
    name?.parse().ok()
}

/// What is in an archive.
struct Contents {
    /// The path of everything.
    names: BTreeSet<String>,
    /// The JSON documents by their paths.
    documents: BTreeMap<String, Vec<u8>>,
}

/// What a tar archive holds, layers skipped without being read.
fn contents(file: &File) -> Result<Contents, String> {
    let mut contents = Contents { names: BTreeSet::new(), documents: BTreeMap::new() };
    archive::walk(file, Holds::Images, |path, entry| {
        let named = Path::new(&path).extension().is_some_and(|extension| extension == "json");
        let may_be_document = named || path.starts_with("blobs/");
        contents.names.insert(path.clone());
        if !entry.header().entry_type().is_file() || !may_be_document || entry.size() > DOCUMENT_MAX {
            return Ok(());
        }
        let mut start = [0; 1];
        if entry.read_exact(&mut start).is_err() || !matches!(start[0], b'{' | b'[') {
            return Ok(());
        }
        let mut bytes = start.to_vec();
        entry.read_to_end(&mut bytes)?;
        contents.documents.insert(path, bytes);
        Ok(())
    })?;
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Seek};

    use super::*;

    #[test]
    fn the_tags_that_an_archive_brings_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("saved.tar");
        let mut archive = tar::Builder::new(File::create(&path).unwrap());
        let documents = [
            ("manifest.json", r#"[{"Config": "c.json", "RepoTags": ["app:latest", "lab:5000/app:1"]}]"#),
            ("c.json", r#"{"os": "linux", "architecture": "arm64"}"#),
            (
                "index.json",
                r#"{"manifests": [
                    {"annotations": {"io.containerd.image.name": "docker.io/library/other:2", "org.opencontainers.image.ref.name": "2"}},
                    {"annotations": {"org.opencontainers.image.ref.name": "latest"}}
                ]}"#,
            ),
        ];
        for (name, text) in documents {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        let image = saved_image(&File::open(path).unwrap()).unwrap();
        assert_eq!(image.ids, [ImageId::of(br#"{"os": "linux", "architecture": "arm64"}"#)]);
        assert_eq!(image.platform, Some("linux/arm64".parse().unwrap()));
        let brings: Vec<String> = image.brings.iter().map(ToString::to_string).collect();
        assert_eq!(brings, ["app:latest", "other:2", "lab:5000/app:1"]);
    }

    /// What is told of an archive that has these bytes at its beginning and is this long.
    fn told(bytes: &[u8], length: u64) -> String {
        let file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut &file, bytes).unwrap();
        file.set_len(length).unwrap();
        (&file).rewind().unwrap();
        saved_image(&file).unwrap_err()
    }

    /// An archive's header, its checksum right whatever it says.
    fn header(kind: tar::EntryType, name: &str, size: u64) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn what_an_archive_says_of_its_own_sizes_costs_no_memory() {
        use tar::EntryType;

        let large: u64 = 10 << 30;
        // Sparse on the disk: a file's own size is anybody's word, too.
        for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
            let bytes = header(kind, "././@LongLink", large);
            assert_eq!(
                told(&bytes, 512 + large),
                "its metadata is larger than an image's can be",
                "{kind:?}"
            );
        }
        let bytes = header(EntryType::Regular, "layer.tar", large);
        assert_eq!(told(&bytes, 512 + large + 1024), "it has no manifest.json");
        // As many headers as fit.
        let many = header(EntryType::Regular, "x", 0).repeat((1 << 16) + 1);
        assert_eq!(told(&many, many.len() as u64), "its metadata is larger than an image's can be");
    }

    #[test]
    fn an_archive_that_lacks_its_end_is_damaged_wherever_it_ends() {
        let mut archive = tar::Builder::new(Vec::new());
        let manifest = r#"[{"Config": "c.json", "Layers": ["a/layer.tar", "b/layer.tar"]}]"#;
        for (name, text) in
            [("manifest.json", manifest), ("c.json", "{}"), ("a/layer.tar", "abc"), ("b/layer.tar", "defg")]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        let whole = archive.into_inner().unwrap();
        assert_eq!(whole.len(), 9 * 512 + 512);
        for (length, why) in [
            (511, "it is no tar archive, or damaged: failed to read entire block"),
            (512 + 10, "it is damaged: it ends in the middle of `manifest.json`"),
            (2 * 512, "it has no c.json"),
            (5 * 512 + 2, "it is damaged: it ends in the middle of `a/layer.tar`"),
            (6 * 512, "it lacks the layer `b/layer.tar`"),
            (7 * 512 + 3, "it is damaged: it ends in the middle of `b/layer.tar`"),
        ] {
            assert_eq!(told(&whole[..length], length as u64), why, "{length}");
        }
    }
}
