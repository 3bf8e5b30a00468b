//! The image's bytes, pinned: a change here gives every problem set a new image on every server.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use super::server::go_architecture;
use super::{ExamServer, PaperImage, archive};
use crate::problemset::paper::{
    Choice, ItemType, PAPER_FORMAT_VERSION, Paper, PaperItem, Prompt, TextFormat,
};
use crate::resource::digest::sha256_hex;
use crate::resource::reference::ImageReference;

fn paper(name: &str) -> Paper {
    Paper {
        format_version: PAPER_FORMAT_VERSION,
        name: name.to_owned(),
        title: "期中考试".to_owned(),
        language: "zh-CN".to_owned(),
        items: vec![PaperItem {
            id: "8".to_owned(),
            label: "第8题".to_owned(),
            kind: ItemType::SingleChoice,
            prompt: Prompt { text: "1+1=？".to_owned(), format: TextFormat::Text },
            choices: vec![Choice { id: "A".to_owned(), text: "1".to_owned() }],
            centipoints: Some(500),
        }],
    }
}

fn image(name: &str) -> PaperImage {
    let server = ExamServer::for_architecture(b"program", "amd64");
    PaperImage::assemble(&server, &paper(name)).expect("an image")
}

fn tag(text: &str) -> ImageReference {
    text.parse().expect("a reference")
}

/// The files of a tar file, in its order.
fn entries(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().expect("a tar file");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            (entry.path().expect("a path").display().to_string(), content)
        })
        .collect()
}

fn json(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Value {
    serde_json::from_slice(&files[path]).expect("JSON")
}

#[test]
fn the_id_and_the_config_of_a_known_paper_are_these() {
    let image = image("img-test");
    let config = concat!(
        r#"{"architecture":"amd64","config":{"Cmd":["serve"],"Entrypoint":["/invigil-exam"],"#,
        r#""ExposedPorts":{"8080/tcp":{}},"Healthcheck":{"Interval":500000000,"Retries":5,"#,
        r#""Test":["CMD","/invigil-exam","health","--unhurried"],"Timeout":15000000000},"#,
        r#""Labels":{"io.invigil.problemset":"img-test","#,
        r#""io.invigil.source":"a2ad109a1fa9f01f19f20bc10ddde61ed002b7f8ede6378d62a460adacbfc51a","#,
        r#""org.opencontainers.image.title":"期中考试"},"#,
        r#""User":"65532:65532","WorkingDir":"/"},"created":"1970-01-01T00:00:00Z","#,
        r#""history":[{"created":"1970-01-01T00:00:00Z","created_by":"invigil: the exam server"},"#,
        r#"{"created":"1970-01-01T00:00:00Z","created_by":"invigil: the paper"}],"os":"linux","#,
        r#""rootfs":{"diff_ids":["#,
        r#""sha256:a4b29d1c381dc67d15082f5903c686ae05f41f82c656cca8fc1fe51c9fbdc4ec","#,
        r#""sha256:a2ad109a1fa9f01f19f20bc10ddde61ed002b7f8ede6378d62a460adacbfc51a"],"type":"layers"}}"#,
    );
    assert_eq!(String::from_utf8_lossy(image.config.bytes()), config);
    let ids = [
        "sha256:460f0ef131db3b5446a81ffe363e8e0fd80b0ee37a4fb233b639c6af03a0051a",
        "sha256:6224d1ceaea672f628a0dc19c49531813d934f876d28c744fb7f2c67d1c0e834",
    ];
    assert_eq!(image.ids().map(|id| id.as_str().to_owned()), ids);
    assert_eq!(image.id(), &image.ids()[0]);
    assert_eq!(image.items(), 1);
    assert_eq!(image.config()["User"], "65532:65532");
}

#[test]
fn law_12_the_paper_layer_holds_the_paper_and_nothing_else() {
    let layer = entries(image("img-test").paper.bytes());
    let paper = serde_json::to_vec(&paper("img-test")).expect("JSON");
    let nothing = Vec::new;
    assert_eq!(
        layer,
        [
            ("exam/".to_owned(), nothing()),
            ("exam/paper.json".to_owned(), paper),
            ("exam/responses/".to_owned(), nothing())
        ]
    );
}

#[test]
fn the_same_paper_gives_the_same_bytes_and_another_paper_another_id() {
    let (one, again, other) = (image("one"), image("one"), image("other"));
    assert_eq!(one.ids(), again.ids());
    assert_ne!(one.ids(), other.ids());
    let first = archive(&[(&one, vec![tag("one:1"), tag("one")]), (&other, vec![])]).expect("an archive");
    let second = archive(&[(&other, vec![]), (&again, vec![tag("one"), tag("one:1")])]).expect("an archive");
    assert!(first == second, "the order of images and tags changes the archive");
}

#[test]
fn every_blob_is_named_by_its_digest_and_stored_once() {
    let (one, two) = (image("one"), image("two"));
    let archive = archive(&[(&one, vec![tag("one")]), (&two, vec![tag("two")])]).expect("an archive");
    let entries = entries(&archive);
    let paths: Vec<&str> = entries.iter().map(|(path, _)| path.as_str()).collect();
    // The program once; a paper, a config and a manifest for each; the three files that list them.
    assert_eq!(paths.len(), 1 + 2 * 3 + 3);
    assert!(paths.is_sorted(), "{paths:?}");
    for (path, content) in &entries {
        if let Some(digest) = path.strip_prefix("blobs/sha256/") {
            assert_eq!(digest, sha256_hex(content));
        }
    }
    for id in one.ids().iter().chain(&two.ids()) {
        assert!(paths.contains(&format!("blobs/sha256/{}", id.hex()).as_str()), "{id}");
    }
}

#[test]
fn both_formats_of_an_archive_name_the_same_blobs_and_tags() {
    let image = image("one");
    let tags = vec![tag("one"), tag("10.20.29.45/team/one:1.1")];
    let files: BTreeMap<_, _> =
        entries(&archive(&[(&image, tags)]).expect("an archive")).into_iter().collect();

    let [config_id, manifest_id] = image.ids();
    let docker = &json(&files, "manifest.json")[0];
    assert_eq!(docker["Config"], format!("blobs/sha256/{}", config_id.hex()));
    assert_eq!(
        docker["RepoTags"],
        serde_json::json!(["10.20.29.45/team/one:1.1", "docker.io/library/one:latest"])
    );

    let index = json(&files, "index.json");
    let descriptors = index["manifests"].as_array().expect("descriptors");
    let names: Vec<_> = descriptors.iter().map(|d| &d["annotations"]["io.containerd.image.name"]).collect();
    assert_eq!(names, ["10.20.29.45/team/one:1.1", "docker.io/library/one:latest"]);
    let tags: Vec<_> =
        descriptors.iter().map(|d| &d["annotations"]["org.opencontainers.image.ref.name"]).collect();
    assert_eq!(tags, ["1.1", "latest"]);

    for descriptor in descriptors {
        assert_eq!(descriptor["digest"], manifest_id.as_str());
        let manifest = json(&files, &format!("blobs/sha256/{}", manifest_id.hex()));
        assert_eq!(manifest["config"]["digest"], config_id.as_str());
        for (layer, path) in manifest["layers"].as_array().expect("layers").iter().zip([0, 1]) {
            let path = docker["Layers"][path].as_str().expect("a path");
            assert_eq!(layer["digest"], path.replace("blobs/sha256/", "sha256:"));
            assert_eq!(layer["size"], files[path].len());
        }
    }
    assert_eq!(files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
}

#[test]
fn a_digest_is_refused_as_a_tag() {
    let digest = tag(&format!("one@sha256:{}", "0".repeat(64)));
    let refused = archive(&[(&image("one"), vec![digest])]).expect_err("a digest is no tag");
    let zeros = "0".repeat(64);
    assert_eq!(
        refused.to_string(),
        format!("an image cannot be loaded as `one@sha256:{zeros}`: a digest is not a tag")
    );
}

#[test]
fn architectures_have_the_names_of_image_configs() {
    let names = ["x86_64", "aarch64", "riscv64", "s390x"].map(go_architecture);
    assert_eq!(names, ["amd64", "arm64", "riscv64", "s390x"]);
}
