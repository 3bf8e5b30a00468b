//! A paper on bases as engines save them: with their own image store, with containerd's, and by hostile hands.

use std::collections::BTreeSet;

use super::*;
use crate::problemset::paper::PAPER_FORMAT_VERSION;
use crate::resource::digest::sha256_hex;
use crate::resource::label::Purpose;

fn paper(title: &str) -> Paper {
    let (name, language) = ("midterm".to_owned(), "zh-CN".to_owned());
    Paper { format_version: PAPER_FORMAT_VERSION, name, title: title.to_owned(), language, items: Vec::new() }
}

fn order(base: &[&[u8]]) -> Order {
    let paper = PaperLayer::assemble(&paper("期中考试")).unwrap();
    let set: BTreeSet<_> = ["midterm:latest".parse().unwrap()].into();
    let mark = Mark {
        owner: "default".parse().unwrap(),
        purpose: Purpose::Resource("midterm".parse().unwrap()),
        set,
        base: None,
    };
    let source = paper.source("ba5e");
    let base = base.iter().map(|layer| ImageId::of(layer).as_str().to_owned()).collect();
    Order { paper, source, base, mark }
}

/// The config of an image with these layers.
fn config(layers: &[&[u8]], defaults: &Value) -> Value {
    let ids: Vec<ImageId> = layers.iter().map(|layer| ImageId::of(layer)).collect();
    json!({
        "architecture": "amd64", "os": "linux", "created": "2018-07-06T08:34:00Z", "config": defaults,
        "history": [{"created": "2018-07-06T08:34:00Z", "created_by": "ADD app /app"}],
        "rootfs": {"type": "layers", "diff_ids": ids},
    })
}

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Builder::new(Vec::new());
    for (path, content) in entries {
        file(&mut out, path, content).unwrap();
    }
    out.into_inner().unwrap()
}

/// As Docker 20.10 saves it.
fn saved_by_docker(layers: &[&[u8]], config: &Value) -> Vec<u8> {
    let config = config.to_string();
    let name = format!("{}.json", sha256_hex(config.as_bytes()));
    let paths: Vec<String> = (0..layers.len()).map(|number| format!("layer{number}/layer.tar")).collect();
    let list = json!([{"Config": name, "RepoTags": null, "Layers": paths}]).to_string();
    let mut entries: Vec<(&str, &[u8])> = vec![(&name, config.as_bytes())];
    entries.extend(paths.iter().map(String::as_str).zip(layers.iter().copied()));
    entries.extend([("layer0/VERSION", b"1.0".as_slice()), ("manifest.json", list.as_bytes())]);
    entries.push(("repositories", b"{}"));
    tar(&entries)
}

/// Blobs under their digests.
#[derive(Default)]
struct Layout(BTreeMap<String, Vec<u8>>);

impl Layout {
    fn add(&mut self, content: &[u8], media_type: &str) -> Value {
        let id = ImageId::of(content);
        self.0.insert(format!("blobs/sha256/{}", id.hex()), content.to_vec());
        json!({"mediaType": media_type, "digest": id, "size": content.len()})
    }

    fn image(&mut self, layers: &[&[u8]], config: &Value) -> Value {
        let config = self.add(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
        // Compressed: the digest is not that of the layer.
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| {
                self.add(&[b"\x1f\x8b", *layer].concat(), "application/vnd.oci.image.layer.v1.tar+gzip")
            })
            .collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
            "annotations": {"org.opencontainers.image.base.name": "elsewhere"},
        });
        self.add(manifest.to_string().as_bytes(), media_type)
    }

    fn saved(mut self, manifests: &[Value]) -> Vec<u8> {
        self.0.insert("index.json".to_owned(), index_of(manifests).to_string().into_bytes());
        self.0.insert("oci-layout".to_owned(), layout().to_string().into_bytes());
        let entries: Vec<(&str, &[u8])> =
            self.0.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
        tar(&entries)
    }
}

/// The ids of what was made, and the files of its archive.
type Filled = (Vec<ImageId>, BTreeMap<String, Vec<u8>>);

fn fill(order: &Order, saved: &[u8]) -> Result<Filled, String> {
    let mut out = Vec::new();
    let (ids, documents) = order.fill(saved, &mut out).map_err(|error| error.to_string())?;
    let mut without_base = Vec::new();
    assert_eq!(order.fill_without_base(&documents, &mut without_base).unwrap(), ids);
    assert!(without_base.len() < out.len());
    let mut archive = tar::Archive::new(out.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    });
    Ok((ids, entries.collect()))
}

fn read(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Value {
    serde_json::from_slice(&files[path]).unwrap()
}

#[test]
fn a_base_keeps_its_config_and_gets_one_layer_more() {
    let layers: [&[u8]; 2] = [b"one", b"two"];
    let defaults = json!({
        "Entrypoint": ["/app"], "User": "www", "Env": ["PATH=/bin"], "Volumes": {"/exam/responses": {}},
        "Labels": {"vendor": "us", "io.invigil.owner": "default", "io.invigil.source": "a build"},
    });
    let order = order(&layers);
    let (ids, files) = fill(&order, &saved_by_docker(&layers, &config(&layers, &defaults))).unwrap();
    let list = read(&files, "manifest.json");
    let [config_id] = &ids[..] else { panic!("{ids:?}") };
    assert_eq!(list[0]["Config"], format!("blobs/sha256/{}", config_id.hex()));
    let mark = &order.mark.tags(config_id)[0];
    assert_eq!(list[0]["RepoTags"], json!([mark.to_string()]));
    let made = files[list[0]["Config"].as_str().unwrap()].clone();
    assert_eq!(*config_id, ImageId::of(&made));
    let paper = order.paper.digits();
    assert_eq!(
        String::from_utf8(made).unwrap(),
        format!(
            concat!(
                r#"{{"architecture":"amd64","config":{{"Entrypoint":["/app"],"Env":["PATH=/bin"],"Labels":{{"#,
                r#""io.invigil.problemset":"midterm","io.invigil.source":"{paper}.ba5e","#,
                r#""org.opencontainers.image.title":"期中考试","vendor":"us"}},"User":"www","#,
                r#""Volumes":{{"/exam/responses":{{}}}}}},"created":"2018-07-06T08:34:00Z","#,
                r#""history":[{{"created":"2018-07-06T08:34:00Z","created_by":"ADD app /app"}},"#,
                r#"{{"created":"1970-01-01T00:00:00Z","created_by":"invigil: the paper"}}],"os":"linux","#,
                r#""rootfs":{{"diff_ids":["{one}","{two}","sha256:{paper}"],"type":"layers"}}}}"#
            ),
            paper = paper,
            one = order.base[0],
            two = order.base[1],
        )
    );
    let paths: Vec<&str> = list[0]["Layers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(paths, ["layer0/layer.tar", "layer1/layer.tar", &format!("blobs/sha256/{paper}")]);
    assert_eq!([&files[paths[0]], &files[paths[1]]], [b"one", b"two"]);
    assert!(!files.contains_key("repositories") && !files.contains_key("oci-layout"));
}

#[test]
fn law_12_the_layer_on_a_base_holds_the_paper_and_nothing_else() {
    let order = order(&[]);
    let mut archive = tar::Archive::new(order.paper.layer.bytes());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let header = entry.header();
        let (mode, uid) = (header.mode().unwrap(), header.uid().unwrap());
        assert_eq!(header.mtime().unwrap(), 0);
        format!("{} {mode:o} {uid} {content}", entry.path().unwrap().display())
    });
    let paper = String::from_utf8(serde_json::to_vec(&paper("期中考试")).unwrap()).unwrap();
    assert_eq!(
        entries.collect::<Vec<_>>(),
        [
            "exam/ 755 0 ".to_owned(),
            format!("exam/paper.json 444 0 {paper}"),
            "exam/responses/ 1777 0 ".to_owned()
        ]
    );
}

#[test]
fn of_an_index_the_manifest_is_taken_that_the_engine_means() {
    let layers: [&[u8]; 1] = [b"amd64"];
    let mut saved = Layout::default();
    let foreign = saved.image(&[b"arm64"], &config(&[b"arm64"], &json!({})));
    let ours = saved.image(&layers, &config(&layers, &json!({"Cmd": ["serve"]})));
    let vouches = saved.image(&[b"{}"], &json!({"architecture": "unknown", "os": "unknown"}));
    // A platform that was not pulled: its manifest is listed and not there.
    let absent = json!({"mediaType": "x", "digest": ImageId::of(b"absent"), "size": 6});
    let nested = index_of(&[foreign, absent, vouches, ours.clone()]).to_string();
    let nested = saved.add(nested.as_bytes(), "application/vnd.oci.image.index.v1+json");
    let order = order(&layers);
    let (ids, files) = fill(&order, &saved.saved(&[nested])).unwrap();

    let [config_id, manifest_id] = &ids[..] else { panic!("{ids:?}") };
    let index = read(&files, "index.json");
    let mark = &order.mark.tags(config_id)[0];
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(index["manifests"][0]["digest"], manifest_id.as_str());
    assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], mark.to_string());
    let manifest = read(&files, &format!("blobs/sha256/{}", manifest_id.hex()));
    let base = read(&files, &path_of(&ours).unwrap());
    let paper = &order.paper.layer;
    assert_eq!(
        manifest,
        json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_id,
                "size": files[&format!("blobs/sha256/{}", config_id.hex())].len(),
            },
            "layers": [base["layers"][0], {
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": paper.id(),
                "size": paper.bytes().len(),
            }],
        })
    );
    assert_eq!(read(&files, &path_of(&manifest["config"]).unwrap())["config"]["Cmd"], json!(["serve"]));
    let list = read(&files, "manifest.json");
    let blobs = [path_of(&base["layers"][0]).unwrap(), paper.path()];
    assert_eq!(list[0]["Layers"], json!(blobs));
    assert!(blobs.iter().all(|path| files.contains_key(path)));
}

#[test]
fn the_same_paper_on_the_same_base_gives_the_same_image() {
    let layers: [&[u8]; 1] = [b"one"];
    let saved = saved_by_docker(&layers, &config(&layers, &json!({})));
    let first = fill(&order(&layers), &saved).unwrap();
    assert_eq!(first, fill(&order(&layers), &saved).unwrap());
    let other = fill(&order(&layers), &saved_by_docker(&layers, &config(&layers, &json!({"User": "1"}))));
    assert_ne!(first.0, other.unwrap().0);
}

#[test]
fn a_base_that_nothing_can_be_put_on_is_told() {
    let layers: [&[u8]; 1] = [b"one"];
    let told = |defaults: Value| {
        fill(&order(&layers), &saved_by_docker(&layers, &config(&layers, &defaults))).unwrap_err()
    };
    for (volume, hides) in [
        ("/exam", true),
        ("/exam/", true),
        ("/", true),
        ("/exam/paper.json", true),
        ("/exam/responses", false),
        ("/exams", false),
        ("/exam/paper.json/x", false),
    ] {
        assert_eq!(hides_the_paper(volume), hides, "{volume}");
    }
    assert_eq!(
        told(json!({"Volumes": {"/data": {}, "/exam": {}}})),
        "the base has a volume at /exam, which would hide the paper"
    );
    assert_eq!(told(json!({"Labels": ["x"]})), "`Labels` of the base's config is no object");
    assert_eq!(told(json!("x")), "`config` of the base's config is no object");
    let mut windows = config(&layers, &Value::Null);
    windows["os"] = "windows".into();
    assert_eq!(
        fill(&order(&layers), &saved_by_docker(&layers, &windows)).unwrap_err(),
        "the base is an image for windows, and a paper needs one for linux"
    );
    let not_sent = "the engine did not send the image that it says the base is";
    let other: [&[u8]; 1] = [b"two"];
    assert_eq!(
        fill(&order(&layers), &saved_by_docker(&other, &config(&other, &json!({})))).unwrap_err(),
        not_sent
    );
    assert_eq!(fill(&order(&layers), &tar(&[])).unwrap_err(), not_sent);
    // Fewer layers than the config names.
    let short = saved_by_docker(&[], &config(&layers, &json!({})));
    assert_eq!(fill(&order(&layers), &short).unwrap_err(), not_sent);
    assert!(fill(&order(&layers), &saved_by_docker(&layers, &config(&layers, &json!({})))[..1000]).is_err());
}

#[test]
fn law_13_a_base_whose_archive_leads_elsewhere_is_refused() {
    let mut out = Builder::new(Vec::new());
    out.append_link(&mut header(EntryType::Symlink, 0), "layer0/layer.tar", "/etc/passwd").unwrap();
    let refused = fill(&order(&[]), &out.into_inner().unwrap()).unwrap_err();
    assert_eq!(
        refused,
        "what the engine sent of the base: the link `layer0/layer.tar` in it leads out of it"
    );
    let mut out = Builder::new(Vec::new());
    out.append_data(&mut header(EntryType::Char, 0), "null", io::empty()).unwrap();
    let refused = fill(&order(&[]), &out.into_inner().unwrap()).unwrap_err();
    assert_eq!(refused, "what the engine sent of the base: `null` in it is a device or a pipe");
}

#[test]
fn a_layer_that_is_a_link_to_another_stays_one() {
    let layers: [&[u8]; 2] = [b"one", b"one"];
    let config = config(&layers, &json!({})).to_string();
    let list = json!([{"Config": "c.json", "Layers": ["a/layer.tar", "b/layer.tar"]}]).to_string();
    let mut out = Builder::new(Vec::new());
    out.append_data(&mut header(EntryType::Directory, 0), "a/", io::empty()).unwrap();
    file(&mut out, "a/layer.tar", b"one").unwrap();
    out.append_link(&mut header(EntryType::Symlink, 0), "b/layer.tar", "../a/layer.tar").unwrap();
    file(&mut out, "./c.json", config.as_bytes()).unwrap();
    file(&mut out, "./manifest.json", list.as_bytes()).unwrap();
    let mut filled = Vec::new();
    order(&layers).fill(out.into_inner().unwrap().as_slice(), &mut filled).unwrap();
    let mut archive = tar::Archive::new(filled.as_slice());
    let links = archive.entries().unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let target = entry.link_name().unwrap()?.display().to_string();
        Some(format!("{} -> {target}", entry.path().unwrap().display()))
    });
    assert_eq!(links.collect::<Vec<_>>(), ["b/layer.tar -> ../a/layer.tar"]);
}
