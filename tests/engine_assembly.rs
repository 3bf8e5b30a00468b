//! A real engine loads what `assembly` makes, and calls it by the id that was foretold. Fails, and
//! does not skip, where no engine answers.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use invigil::assembly::{ExamServer, PaperImage, archive};
use invigil::problemset::paper::{ItemType, PAPER_FORMAT_VERSION, Paper, PaperItem, Prompt, TextFormat};
use invigil::resource::reference::ImageReference;
use serde_json::{Value, json};

fn docker(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the docker command");
    // A broken pipe is told better by docker's own error, below.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    child.wait_with_output().expect("an exit")
}

fn docker_says(arguments: &[&str], stdin: &[u8]) -> String {
    let output = docker(arguments, stdin);
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    // Podman writes the host out that Docker leaves out.
    String::from_utf8(output.stdout).expect("UTF-8").replace("docker.io/library/", "")
}

fn is_podman() -> bool {
    docker_says(&["version", "--format", "{{json .Server.Components}}"], b"").contains("Podman")
}

fn paper(name: &str) -> Paper {
    Paper {
        format_version: PAPER_FORMAT_VERSION,
        name: name.to_owned(),
        title: format!("期中考试 {name}"),
        language: "zh-CN".to_owned(),
        items: vec![PaperItem {
            id: "1".to_owned(),
            label: "第1题".to_owned(),
            kind: ItemType::ShortAnswer,
            prompt: Prompt { text: "1+1=？".to_owned(), format: TextFormat::Text },
            choices: Vec::new(),
            centipoints: None,
        }],
    }
}

/// Images of one run of one test, removed with it however it ends.
struct Loaded {
    images: Vec<(PaperImage, Vec<ImageReference>)>,
}

impl Loaded {
    fn new(test: &str, count: usize) -> Self {
        let program = std::fs::read(env!("CARGO_BIN_EXE_invigil-exam")).expect("the exam server");
        let server = ExamServer::new(&program);
        let image = |number| {
            let name = format!("invigil-test-{test}-{}-{number}", std::process::id());
            let image = PaperImage::assemble(&server, &paper(&name)).expect("an image");
            let tags = ["v1", "latest"].map(|tag| format!("{name}:{tag}").parse().expect("a tag"));
            (image, tags.to_vec())
        };
        Self { images: (0..count).map(image).collect() }
    }

    fn load(&self) -> String {
        let images: Vec<_> = self.images.iter().map(|(image, tags)| (image, tags.clone())).collect();
        docker_says(&["load", "--quiet"], &archive(&images).expect("an archive"))
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let tags: Vec<String> =
            self.images.iter().flat_map(|(_, tags)| tags).map(ToString::to_string).collect();
        let mut arguments = vec!["image", "rm"];
        arguments.extend(tags.iter().map(String::as_str));
        docker(&arguments, b"");
    }
}

#[test]
fn an_engine_gives_a_batch_of_images_the_ids_that_were_foretold() {
    let loaded = Loaded::new("batch", 3);
    let said = loaded.load();
    for (image, tags) in &loaded.images {
        let [first, second] = [&tags[0], &tags[1]].map(ToString::to_string);
        assert!(said.starts_with("Loaded image: ") && said.contains(&first), "{said}");
        let inspected: Value =
            serde_json::from_str(&docker_says(&["image", "inspect", &first, &second], b"")).expect("JSON");
        assert_eq!(inspected[0], inspected[1], "two tags of one image");

        let inspected = &inspected[0];
        let id = inspected["Id"].as_str().expect("an id").parse().expect("an id");
        assert!(image.ids().contains(&id), "{id} is none of {:?}", image.ids());
        assert_eq!(inspected["Created"], "1970-01-01T00:00:00Z");
        assert_eq!(inspected["Os"], "linux");
        let mut tags = inspected["RepoTags"].clone();
        tags.as_array_mut().expect("tags").sort_by_key(ToString::to_string);
        assert_eq!(tags, json!([second, first]));
        let config = image.config().as_object().expect("an object").iter();
        // Of an image Podman tells no health check; its containers have it.
        for (field, value) in config.filter(|(field, _)| *field != "Healthcheck" || !is_podman()) {
            assert_eq!(&inspected["Config"][field], value, "{field}");
        }
    }
}

#[test]
fn a_loaded_image_holds_its_paper_as_it_was_written() {
    let loaded = Loaded::new("content", 1);
    loaded.load();
    let (image, tags) = &loaded.images[0];
    let tag = tags[0].to_string();
    let container = docker_says(&["create", "--network", "none", &tag], b"");
    let tar = docker(&["cp", &format!("{}:/exam", container.trim()), "-"], b"");
    docker_says(&["rm", container.trim()], b"");

    let mut read: Vec<String> = Vec::new();
    let mut paper_read = None;
    for entry in tar::Archive::new(tar.stdout.as_slice()).entries().expect("a tar file") {
        let entry = entry.expect("an entry");
        let header = entry.header();
        let path = entry.path().expect("a path").display().to_string();
        read.push(format!(
            "{} {:o} {}",
            path.trim_end_matches('/'),
            header.mode().expect("a mode") & 0o777,
            header.uid().expect("a user")
        ));
        if path == "exam/paper.json" {
            paper_read = Some(serde_json::from_reader::<_, Paper>(entry).expect("a paper"));
        }
    }
    read.sort();
    // Podman tells the container's user of all that is copied out of it.
    let root = if is_podman() { 65532 } else { 0 };
    assert_eq!(
        read,
        [
            format!("exam 755 {root}"),
            format!("exam/paper.json 444 {root}"),
            "exam/responses 700 65532".to_owned()
        ]
    );
    let name = image.config()["Labels"]["io.invigil.problemset"].as_str().expect("a name");
    assert_eq!(paper_read, Some(paper(name)));
}
