//! Problem sets on an image of one's own: its program runs, with the paper in its place.

use serde_json::{Value, json};

use crate::support::{BUSYBOX, Host, docker, run};
use invigil::resource::reference::ImageId;

fn problem_set(base: &str, prompt: &str) -> String {
    format!(
        "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {{name: '@midterm'}}\nspec:\n  title: 期中考试\n  \
         runtime: {{base: '{base}'}}\n  items:\n  - id: '8'\n    type: fill_in_blank\n    prompt: {prompt}\n    \
         key: {{blanks: [{KEY}]}}\n"
    )
}

const KEY: &str = "canary-7f3a";
/// Shows the paper, answers, and goes on.
const PROGRAM: &str = "cat /exam/paper.json; echo; id -u >/exam/responses/seat-01; exec sleep 1000";

/// Makes an image of one's own: `docker commit`.
fn own_image(host: &Host, tag: &str, version: &str) -> String {
    let (seed, tag) = (host.name("seed"), host.name(tag));
    let program = format!("ENTRYPOINT {}", json!(["sh", "-c", PROGRAM]));
    docker(&["create", "--name", &seed, BUSYBOX]);
    let label = format!("LABEL version={version}");
    let mut arguments = vec!["commit"];
    for change in [program.as_str(), "USER 1234", label.as_str()] {
        arguments.extend(["--change", change]);
    }
    arguments.extend([seed.as_str(), tag.as_str()]);
    docker(&arguments);
    docker(&["rm", &seed]);
    tag
}

fn image_id(tag: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Id}}", tag])
}

fn seat(host: &Host) {
    host.container(
        "seat",
        &format!("{{problemSet: '{}', networkMode: none, stopSignal: SIGKILL}}", host.name("midterm")),
    );
}

/// What the container has of the contract.
fn of_the_contract(host: &Host) -> (String, String) {
    let seat = host.name("seat");
    let paper = docker(&["exec", &seat, "cat", "/exam/paper.json"]);
    (paper, docker(&["exec", &seat, "cat", "/exam/responses/seat-01"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paper_is_served_by_the_program_of_ones_own_image() {
    let host = Host::new("onbase").await;
    let base = own_image(&host, "server:1", "one");
    let base = &image_id(&base)[..19];
    host.write("set.yaml", &problem_set("@server:1", "Q-one"));
    seat(&host);
    let plan = host.apply().await;
    assert_eq!(
        plan,
        format!(
            "image/@midterm  load   1 item on @server:1 ({base})\ncontainer/@seat  create   @midterm:latest\n\n\
             Plan: 1 to load, 1 to create; 0 unchanged.\n"
        )
    );
    assert_eq!(
        host.inspect("seat", "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.Config.Labels.version}}"),
        "1234 false one"
    );
    let (paper, answer) = of_the_contract(&host);
    assert!(paper.contains("Q-one") && !paper.contains(KEY), "{paper}");
    assert_eq!(answer, "1234");
    assert!(docker(&["logs", &host.name("seat")]).contains("Q-one"), "the base's own entrypoint ran");

    // The paper is not the program's to change.
    assert!(!run(&["exec", &host.name("seat"), "sh", "-c", "echo x >/exam/paper.json"]).status.success());

    // Made again, it is the same.
    let image = host.name("midterm:latest");
    let first = image_id(&image);
    docker(&["rm", "-f", &host.name("seat")]);
    let tags = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=version=one"]);
    for tag in tags.lines().filter(|tag| tag.contains(&host.prefix) && tag.contains("midterm")) {
        docker(&["rmi", tag]);
    }
    assert!(!run(&["image", "inspect", &image]).status.success());
    host.apply().await;
    assert_eq!(image_id(&image), first);

    // Another paper, and then another base, replace the container.
    host.write("set.yaml", &problem_set("@server:1", "Q-two"));
    let plan = host.plan().await;
    assert!(plan.starts_with("image/@midterm  load   1 item on @server:1 (sha256:"), "{plan}");
    assert!(plan.contains("container/@seat  replace\n"), "{plan}");
    host.apply().await;
    assert!(of_the_contract(&host).0.contains("Q-two"));
    own_image(&host, "server:2", "two");
    host.write("set.yaml", &problem_set("@server:2", "Q-two"));
    let plan = host.apply().await;
    assert!(plan.starts_with("image/@midterm  load   1 item on @server:2 (sha256:"), "{plan}");
    assert_eq!(host.inspect("seat", "{{.Config.Labels.version}}"), "two");

    // Somebody moves the base's tag: the image follows, and the exam goes on.
    let before = host.inspect("seat", "{{.Id}} {{.State.StartedAt}}");
    own_image(&host, "server:2", "three");
    let plan = host.plan().await;
    assert!(plan.ends_with("\n\nPlan: 1 to load; 1 unchanged, 1 kept.\n"), "{plan}");
    let (outcomes, told) = host.try_apply().await;
    assert!(outcomes.is_success(), "{told:?}");
    assert!(host.plan().await.ends_with("Nothing to do; 2 unchanged, 1 kept.\n"), "{}", host.plan().await);
    assert_eq!(host.inspect("seat", "{{.Id}} {{.State.StartedAt}}"), before);
    // It goes, as `docker image prune --all` takes what no container was made from.
    docker(&["rmi", &host.name("server:1"), &host.name("server:2")]);
    assert!(host.plan().await.ends_with("Nothing to do; 2 unchanged, 1 kept.\n"), "{}", host.plan().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_12_the_key_is_nowhere_in_an_image_on_a_base() {
    let host = Host::new("onbase12").await;
    own_image(&host, "server:1", "one");
    host.write("set.yaml", &problem_set("@server:1", "Q-one"));
    host.apply().await;
    let archive = host.path().join("saved.tar");
    docker(&["save", "-o", archive.to_str().unwrap(), &host.name("midterm:latest")]);
    let bytes = std::fs::read(&archive).unwrap();
    let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(found(b"fill_in_blank"), "the paper itself is there");
    assert!(!found(KEY.as_bytes()));
    assert!(!found(invigil::resource::digest::sha256_hex(KEY.as_bytes()).as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paper_is_put_on_an_image_that_manifests_make_and_follows_it() {
    let host = Host::new("onmade").await;
    let saved = host.path().join("base.tar");
    docker(&["save", "-o", saved.to_str().unwrap(), BUSYBOX]);
    let server = |version: &str| {
        format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@server'}}\nspec:\n  build:\n    \
             dockerfileInline: |\n      FROM {BUSYBOX}\n      RUN echo {version} >/version\n      \
             CMD [\"sleep\", \"1000\"]\n  tags: ['@server:1']\n"
        )
    };
    host.write("server.yaml", &server("one"));
    host.write("set.yaml", &problem_set("@server:1", "Q-one"));
    host.container(
        "seat",
        &format!("{{image: '{}', networkMode: none, stopSignal: SIGKILL}}", host.name("midterm:latest")),
    );
    let plan = host.apply().await;
    assert!(plan.ends_with("Plan: 1 to load, 1 to build, 1 to create; 0 unchanged.\n"), "{plan}");
    let version = || docker(&["exec", &host.name("seat"), "cat", "/version", "/exam/paper.json"]);
    assert!(version().starts_with("one\n{\"formatVersion\":1"), "{}", version());
    host.write("server.yaml", &server("two"));
    host.apply().await;
    assert!(version().starts_with("two\n{\"formatVersion\":1"), "{}", version());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_would_hide_the_paper_is_told() {
    let host = Host::new("onvolume").await;
    docker(&["create", "--name", &host.name("seed"), BUSYBOX]);
    docker(&["commit", "--change", "VOLUME /exam", &host.name("seed"), &host.name("server:1")]);
    docker(&["rm", &host.name("seed")]);
    host.write("set.yaml", &problem_set("@server:1", "Q-one"));
    let (outcomes, _) = host.try_apply().await;
    let told = outcomes.failed.values().next().expect("a failure");
    assert_eq!(
        host.shown(told),
        "put the paper on @server:1: the base has a volume at /exam, which would hide the paper"
    );
    assert!(!outcomes.engine_lost);
    let images = docker(&["images", "--format", "{{.Repository}}"]);
    assert!(!images.contains(&host.name("midterm")), "{images}");
}

/// One image of several platforms of which this one alone is here, as `docker pull` leaves it on an engine with
/// containerd's image store; for other engines, the same without the others.
fn of_several_platforms(host: &Host, tag: &str) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o644);
    layer.append_data(&mut header, "version", &b"one"[..]).expect("a tar file");
    let layer = layer.into_inner().expect("a tar file");
    let mut blobs: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |media_type: &str, content: Vec<u8>| {
        let id = ImageId::of(&content);
        let descriptor = json!({
            "mediaType": format!("application/vnd.oci.image.{media_type}"), "digest": id, "size": content.len(),
        });
        blobs.push((format!("blobs/sha256/{}", id.hex()), content));
        descriptor
    };
    let architecture = docker(&["image", "inspect", "--format", "{{.Architecture}}", BUSYBOX]);
    let layer_id = ImageId::of(&layer);
    let layer = add("layer.v1.tar", layer);
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {"Cmd": ["/none"], "Labels": {"x": host.prefix}},
        "rootfs": {"type": "layers", "diff_ids": [layer_id]},
    });
    let config = add("config.v1+json", config.to_string().into_bytes());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": [layer],
    });
    let mut here = add("manifest.v1+json", manifest.to_string().into_bytes());
    here["platform"] = json!({"architecture": architecture, "os": "linux"});
    let absent = |text: &str, platform: Value| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": ImageId::of(text.as_bytes()),
            "size": text.len(), "platform": platform,
        })
    };
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            absent("other", json!({"architecture": "s390x", "os": "linux"})),
            here,
            absent("vouches", json!({"architecture": "unknown", "os": "unknown"})),
        ],
    });
    let mut top = add("index.v1+json", index.to_string().into_bytes());
    top["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/library/{tag}"),
        "org.opencontainers.image.ref.name": "1",
    });
    let path = |descriptor: &Value| {
        descriptor["digest"].as_str().expect("a digest").replace("sha256:", "blobs/sha256/")
    };
    let list = json!([{"Config": path(&config), "RepoTags": [tag], "Layers": [path(&layer)]}]);
    let index = json!({"schemaVersion": 2, "manifests": [top]});
    blobs.push(("index.json".to_owned(), index.to_string().into_bytes()));
    blobs.push(("manifest.json".to_owned(), list.to_string().into_bytes()));
    blobs.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    let mut out = tar::Builder::new(Vec::new());
    for (path, content) in blobs {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        out.append_data(&mut header, path, content.as_slice()).expect("a tar file");
    }
    out.into_inner().expect("a tar file")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_image_of_several_platforms_the_one_that_is_here_is_the_base() {
    let host = Host::new("onindex").await;
    let saved = host.path().join("server.tar");
    std::fs::write(&saved, of_several_platforms(&host, &host.name("server:1"))).unwrap();
    docker(&["load", "-i", saved.to_str().unwrap()]);
    std::fs::remove_file(saved).unwrap();
    host.write("set.yaml", &problem_set("@server:1", "Q-one"));
    host.container("seat", &format!("{{problemSet: '{}', state: created}}", host.name("midterm")));
    host.apply().await;
    assert_eq!(host.inspect("seat", "{{.Config.Cmd}}"), "[/none]");
    let copied = host.path().join("exam.tar");
    let files = std::fs::File::create(&copied).unwrap();
    let copying = std::process::Command::new("docker")
        .args(["cp", &format!("{}:/exam/paper.json", host.name("seat")), "-"])
        .stdout(files)
        .status();
    assert!(copying.unwrap().success());
    assert!(String::from_utf8_lossy(&std::fs::read(copied).unwrap()).contains("Q-one"));
}
