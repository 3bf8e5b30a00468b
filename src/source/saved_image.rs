//! What `docker save` wrote to a file. In: an open file. Out: which image it holds, or why it must not be loaded. Reads
//! the documents alone; layers are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::archive::{self, DOCUMENT_MAX, Holds, IMAGE_MAX};
use super::members::Member;
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

/// The documents that say what the others are.
const LISTS: [&str; 4] = ["manifest.json", "index.json", "oci-layout", "repositories"];

/// What a tar archive holds, layers skipped without being read. Each name is that of one file, so that whoever unpacks it
/// finds what is found here.
fn contents(file: &File) -> Result<Contents, String> {
    let mut contents = Contents { names: BTreeSet::new(), documents: BTreeMap::new() };
    let mut total = 0;
    archive::walk(file, Holds::Images, |members, member| {
        let parts = Path::new(&member.name).components();
        let path: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
        let path = path.to_string_lossy().into_owned();
        let shown = printable(&path);
        if member.kind.is_dir() {
            return Ok(());
        }
        if !contents.names.insert(path.clone()) {
            return Err(format!("`{shown}` is in it twice"));
        }
        let is_list = LISTS.contains(&path.as_str());
        let named = Path::new(&path).extension().is_some_and(|extension| extension == "json");
        let is_readable = member.kind.is_file() && member.size <= DOCUMENT_MAX;
        if is_list && !is_readable {
            return Err(format!("`{shown}` in it is no file, or larger than an image's can be"));
        }
        if !is_readable || !(is_list || named || path.starts_with("blobs/")) {
            return Ok(());
        }
        let start = Member { size: member.size.min(1), ..member.clone() };
        let unread = |error: io::Error| format!("it cannot be read: {error}");
        if !is_list && !matches!(members.content(&start).map_err(unread)?[..], [b'{' | b'[']) {
            return Ok(());
        }
        total += member.size;
        if total > IMAGE_MAX {
            return Err("its metadata is larger than an image's can be".to_owned());
        }
        contents.documents.insert(path, members.content(&member).map_err(unread)?);
        Ok(())
    })?;
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

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
            assert_eq!(told(&bytes, 512 + large), "a name in it is longer than any can be", "{kind:?}");
        }
        let bytes = header(EntryType::Regular, "layer.tar", large);
        assert_eq!(told(&bytes, 512 + large + 1024), "it has no manifest.json");
        // As many headers as fit.
        let many = header(EntryType::Directory, "x", 0).repeat((1 << 16) + 1);
        assert_eq!(told(&many, many.len() as u64), "its metadata is larger than an image's can be");
    }

    #[test]
    fn law_8_each_name_in_an_archive_is_that_of_one_file() {
        let saved = |members: &[(tar::EntryType, &str, &str)]| {
            let packed = members.iter().map(|(kind, name, text)| {
                let mut content = text.as_bytes().to_vec();
                content.resize(text.len().next_multiple_of(512), 0);
                [header(*kind, name, text.len() as u64), content].concat()
            });
            let bytes: Vec<u8> = packed.collect::<Vec<_>>().concat();
            told(&bytes, bytes.len() as u64 + 1024)
        };
        let file = tar::EntryType::Regular;
        let honest = (file, "manifest.json", "[{}]");
        for other in ["manifest.json", "./manifest.json"] {
            let twice = saved(&[honest, (file, other, " [{}]")]);
            assert_eq!(twice, "`manifest.json` is in it twice", "{other}");
        }
        // An engine reads it, whatever it begins with.
        assert_eq!(saved(&[(file, "manifest.json", "  [{}]")]), "manifest.json names no config");
        let no_file = "`manifest.json` in it is no file, or larger than an image's can be";
        let large = header(file, "manifest.json", DOCUMENT_MAX + 1);
        assert_eq!(told(&large, 512 + DOCUMENT_MAX + 1024), no_file);
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        link.set_path("manifest.json").unwrap();
        link.set_link_name("x.json").unwrap();
        link.set_cksum();
        assert_eq!(told(link.as_bytes(), 1536), no_file);
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
            (511, "it is no tar archive, or damaged: it ends in the middle of a header"),
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
