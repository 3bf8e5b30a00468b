//! What `docker save` wrote to a file. In: an open file. Out: which image it holds, or why it must not be loaded. Reads
//! the documents alone; layers are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use crate::resource::label::is_mark;
use crate::resource::printable::printable;
use crate::resource::reference::{ImageId, ImageReference};

/// The largest metadata document of a saved image.
pub(crate) const DOCUMENT_MAX: u64 = 8 << 20;

/// The one image in an archive of `docker save`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedImage {
    /// The ids that it may have, by the engine's image store.
    pub ids: Vec<ImageId>,
    /// The tags that an engine points to it when it loads the archive, wherever they pointed before.
    pub brings: BTreeSet<ImageReference>,
}

/// The one image in an archive that `docker save` wrote. Its ids are its config's digest, and where the archive has
/// an OCI index, its manifest's (an engine with the containerd image store goes by that).
///
/// # Errors
/// Why it is no archive of one image, in words.
pub fn saved_image(file: &File) -> Result<SavedImage, String> {
    let documents = documents(file)?;
    let document = |name: &str| documents.get(name).ok_or_else(|| format!("it has no {name}"));
    let list: Vec<serde_json::Value> = serde_json::from_slice(document("manifest.json")?)
        .map_err(|error| format!("manifest.json: {error}"))?;
    let [image] = &list[..] else {
        return Err(format!("it holds {} images, an Image is one", list.len()));
    };
    let config = image["Config"].as_str().ok_or("manifest.json names no config")?;
    let mut ids = vec![ImageId::of(document(config)?)];
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
    Ok(SavedImage { ids, brings })
}

/// What must not be in an archive of images: the engine unpacks each entry as root, and reads layers by the names that the
/// archive gives them.
pub(crate) fn check_entry<R: Read>(entry: &tar::Entry<'_, R>) -> Result<(), String> {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let shown = printable(&name).into_owned();
    let kind = entry.header().entry_type();
    if kind.is_block_special() || kind.is_character_special() || kind.is_fifo() {
        return Err(format!("`{shown}` in it is a device or a pipe"));
    }
    if kind.is_gnu_sparse() {
        return Err(format!("`{shown}` in it is sparse; save it anew"));
    }
    let leaves = |path: &Path| {
        let mut depth = 0_i32;
        path.components().any(|part| {
            depth += match part {
                Component::Normal(_) => 1,
                Component::CurDir => 0,
                Component::ParentDir => -1,
                Component::RootDir | Component::Prefix(_) => i32::MIN,
            };
            depth < 0
        })
    };
    if leaves(Path::new(&name)) {
        return Err(format!("`{shown}` in it leads out of it"));
    }
    let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
    let Some(target) = target.filter(|_| kind.is_symlink() || kind.is_hard_link()) else { return Ok(()) };
    // A hard link's target is a path from the archive's root, a symbolic one's from its own directory.
    let from = if kind.is_symlink() { Path::new(&name).parent() } else { None }.unwrap_or(Path::new(""));
    if Path::new(&target).is_absolute() || leaves(&from.join(&target)) {
        return Err(format!("the link `{shown}` in it leads out of it"));
    }
    Ok(())
}

/// The name under which containerd keeps what an OCI index lists. The second annotation may be a tag alone, which
/// names nothing.
fn name_in_index(manifest: &serde_json::Value) -> Option<ImageReference> {
    let annotation = |name: &str| manifest["annotations"][name].as_str();
    let name = annotation("io.containerd.image.name")
        .or_else(|| annotation("org.opencontainers.image.ref.name").filter(|name| name.contains([':', '/'])));
    name?.parse().ok()
}

/// The JSON documents of a tar archive by their paths, layers skipped without being read.
fn documents(mut file: &File) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut magic = [0; 2];
    let mut head = file;
    head.read_exact(&mut magic).map_err(|_| "it is empty".to_owned())?;
    if magic == [0x1f, 0x8b] {
        return Err("it is compressed; unpack it with gunzip first".to_owned());
    }
    io::Seek::seek(&mut file, io::SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    let mut archive = tar::Archive::new(file);
    let mut documents = BTreeMap::new();
    let mut total = 0;
    for entry in archive.entries_with_seek().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| format!("it is damaged: {error}"))?;
        check_entry(&entry)?;
        let size = entry.size();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let named = Path::new(&path).extension().is_some_and(|extension| extension == "json");
        let may_be_document = named || path.starts_with("blobs/");
        if !entry.header().entry_type().is_file() || !may_be_document || size > DOCUMENT_MAX {
            continue;
        }
        let mut start = [0; 1];
        if entry.read_exact(&mut start).is_err() || !matches!(start[0], b'{' | b'[') {
            continue;
        }
        total += size;
        if total > 4 * DOCUMENT_MAX {
            return Err("its metadata is larger than an image's can be".to_owned());
        }
        let mut bytes = start.to_vec();
        entry.read_to_end(&mut bytes).map_err(|error| format!("it is damaged: {error}"))?;
        documents.insert(path, bytes);
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_that_an_archive_brings_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("saved.tar");
        let mut archive = tar::Builder::new(File::create(&path).unwrap());
        let documents = [
            ("manifest.json", r#"[{"Config": "c.json", "RepoTags": ["app:latest", "lab:5000/app:1"]}]"#),
            ("c.json", "{}"),
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
        assert_eq!(image.ids, [ImageId::of(b"{}")]);
        let brings: Vec<String> = image.brings.iter().map(ToString::to_string).collect();
        assert_eq!(brings, ["app:latest", "other:2", "lab:5000/app:1"]);
    }

    #[test]
    fn law_13_what_must_not_be_in_an_archive_of_images_is_told() {
        use tar::EntryType;

        let told = |kind: EntryType, name: &str, link: Option<&str>| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            // Past the crate's own checks, as somebody hostile would.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            if let Some(link) = link {
                header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
            }
            header.set_cksum();
            let mut archive = tar::Builder::new(Vec::new());
            archive.append(&header, io::empty()).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("image.tar");
            std::fs::write(&path, archive.into_inner().unwrap()).unwrap();
            saved_image(&File::open(path).unwrap()).unwrap_err()
        };
        for (kind, name, link, why) in [
            (EntryType::Char, "l/layer.tar", None, "`l/layer.tar` in it is a device or a pipe"),
            (EntryType::Fifo, "layer.tar", None, "`layer.tar` in it is a device or a pipe"),
            (EntryType::Regular, "../x", None, "`../x` in it leads out of it"),
            (EntryType::Regular, "/etc/x", None, "`/etc/x` in it leads out of it"),
            (EntryType::Regular, "a/../../x", None, "`a/../../x` in it leads out of it"),
            (
                EntryType::Symlink,
                "l/layer.tar",
                Some("/etc/passwd"),
                "the link `l/layer.tar` in it leads out of it",
            ),
            (
                EntryType::Symlink,
                "l/layer.tar",
                Some("../../x"),
                "the link `l/layer.tar` in it leads out of it",
            ),
            (EntryType::Link, "l/layer.tar", Some("../x"), "the link `l/layer.tar` in it leads out of it"),
            (EntryType::Symlink, "l/layer.tar", Some("../m/layer.tar"), "it has no manifest.json"),
        ] {
            assert_eq!(told(kind, name, link), why);
        }
    }
}
