//! Problem sets and archives become images, with ids that were known before.

use invigil::desired::ImageOrigin;

use crate::support::{BUSYBOX, Host, docker, is_podman};

fn problem_set(name: &str, prompt: &str) -> String {
    format!(
        "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {{name: '@{name}'}}\nspec:\n  title: 期中考试\n  items:\n  - id: '8'\n    \
         label: 第8题\n    type: single_choice\n    prompt: {prompt}\n    choices: [{{id: A, text: '1'}}, {{id: B, text: '2'}}]\n    \
         key: {{choices: [B]}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_set_runs_under_the_id_that_was_planned() {
    let host = Host::new("paper").await;
    host.write("set.yaml", &problem_set("midterm", "1+1=？"));
    host.container("seat", &format!("{{problemSet: '{}'}}", host.name("midterm")));
    let desired = host.wanted().desired;
    let image = desired.images.values().next().expect("an image");
    let ImageOrigin::Paper(paper) = &image.source else { panic!("{image:?}") };
    let plan = host.plan().await;
    assert_eq!(
        plan,
        format!(
            "image/@midterm  load   1 item, {}\ncontainer/@seat  create   @midterm:latest\n\nPlan: 1 to load, 1 to create; 0 unchanged.\n",
            paper.id()
        )
    );
    host.apply().await;
    let live = host.inspect("seat", "{{.Image}}");
    assert!(paper.ids().iter().any(|id| id.as_str() == live), "{live}");
    // Podman names each capability.
    let dropped = if is_podman() { "" } else { " {{.HostConfig.CapDrop}}" };
    assert_eq!(
        host.inspect("seat", &format!("{{{{.Config.User}}}} {{{{.HostConfig.ReadonlyRootfs}}}}{dropped}")),
        if is_podman() { "65532:65532 true" } else { "65532:65532 true [ALL]" }
    );

    // A new paper: the old container serves until the new one is healthy, and the old image goes.
    host.write("set.yaml", &problem_set("midterm", "1+2=？"));
    let plan = host.plan().await;
    assert!(plan.contains("container/@seat  replace\n  image   sha256:"), "{plan}");
    let (outcomes, told) = host.try_apply().await;
    assert!(outcomes.is_success(), "{told:?}");
    assert_ne!(host.inspect("seat", "{{.Image}}"), live);
    host.try_apply().await;
    assert_eq!(host.plan().await, "Nothing to do; 2 unchanged.\n");
    let tags = docker(&["images", "--format", "{{.Repository}}"]);
    assert_eq!(tags.lines().filter(|tag| tag.contains(&host.prefix)).count(), 2, "{tags}");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_9_an_upgrade_of_invigil_disturbs_no_exam() {
    let mut host = Host::new("upgrade").await;
    host.write("set.yaml", &problem_set("midterm", "1+1=？"));
    host.container("seat", &format!("{{problemSet: '{}'}}", host.name("midterm")));
    host.apply().await;
    host.upgrade();
    assert_eq!(host.plan().await, "Nothing to do; 2 unchanged.\n");
    // A paper that changes comes with the new server.
    host.write("set.yaml", &problem_set("midterm", "1+2=？"));
    let desired = host.wanted().desired;
    let ImageOrigin::Paper(paper) = &desired.images.values().next().expect("an image").source else {
        panic!()
    };
    host.try_apply().await;
    let live = host.inspect("seat", "{{.Image}}");
    assert!(paper.ids().iter().any(|id| id.as_str() == live), "{live}");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_12_the_key_is_nowhere_in_the_image() {
    let host = Host::new("law12").await;
    let canary = "canary-7f3a";
    host.write(
        "set.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {{name: '@blanks'}}\nspec:\n  title: T\n  items:\n  - id: '1'\n    \
             type: fill_in_blank\n    prompt: Q\n    key: {{blanks: [{canary}]}}\n"
        ),
    );
    host.apply().await;
    let archive = host.path().join("saved.tar");
    let tag = format!("{}:latest", host.name("blanks"));
    docker(&["save", "-o", archive.to_str().unwrap(), &tag]);
    let bytes = std::fs::read(&archive).unwrap();
    let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(found(b"fill_in_blank"), "the paper itself is there");
    assert!(!found(canary.as_bytes()));
    assert!(!found(invigil::resource::digest::sha256_hex(canary.as_bytes()).as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_loaded_and_imported_and_a_second_plan_is_empty() {
    let host = Host::new("archive").await;
    let saved = host.path().join("saved.tar");
    let source = host.name("source");
    docker(&["tag", crate::support::BUSYBOX, &source]);
    docker(&["create", "--name", &host.name("seed"), "--label", &format!("x={}", host.prefix), &source]);
    docker(&["commit", "--change", "LABEL made=here", &host.name("seed"), &source]);
    docker(&["save", "-o", saved.to_str().unwrap(), &source]);
    docker(&["export", "-o", host.path().join("rootfs.tar").to_str().unwrap(), &host.name("seed")]);
    docker(&["rm", &host.name("seed")]);
    docker(&["rmi", &source]);
    host.write(
        "images.yaml",
        "apiVersion: invigil/v1\nkind: Image\nmetadata: {name: '@loaded'}\nspec: {load: {archive: saved.tar}, tags: ['@loaded:v1']}\n---\n\
         apiVersion: invigil/v1\nkind: Image\nmetadata: {name: '@imported'}\n\
         spec: {import: {archive: rootfs.tar, changes: ['CMD [\"sleep\", \"1000\"]']}, tags: ['@imported:v1']}\n",
    );
    host.container("c", &format!("{{image: '{}', stopSignal: SIGKILL}}", host.name("imported:v1")));
    let plan = host.apply().await;
    assert!(plan.ends_with("Plan: 1 to load, 1 to import, 1 to create; 0 unchanged.\n"), "{plan}");
    assert_eq!(host.inspect("c", "{{.Config.Cmd}}"), "[sleep 1000]");
    // The engine's tag moved away by hand is moved back.
    docker(&["rmi", &host.name("loaded:v1")]);
    assert!(host.apply().await.starts_with("image/@loaded  tag\n  tags.@loaded:v1   (none) -> sha256:"));
    // Without their manifests they go, and only they.
    host.remove("images.yaml");
    host.container(
        "c",
        &format!("{{image: '{}', command: [sleep, '1000'], stopSignal: SIGKILL}}", crate::support::BUSYBOX),
    );
    let plan = host.plan().await;
    assert!(plan.contains("image/@loaded  remove   no longer in the manifests"), "{plan}");
    host.try_apply().await;
    host.try_apply().await;
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_8_a_tag_of_somebody_elses_image_is_not_moved() {
    let host = Host::new("tag").await;
    docker(&["tag", crate::support::BUSYBOX, &host.name("midterm")]);
    host.write("set.yaml", &problem_set("midterm", "1+1=？"));
    assert_eq!(
        host.plan().await,
        "image/@midterm  blocked   the tag @midterm:latest belongs to an image that Invigil did not make; untag that image, or choose another tag\n\n\
         Plan: 1 blocked; 0 unchanged.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_kept_in_an_archive_that_another_server_loads() {
    let host = Host::new("kept").await;
    let app = |script: &str| {
        format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec:\n  build: {{dockerfileInline: \"FROM {BUSYBOX}\\nRUN {script}\"}}\n  tags: \
             ['@app:v1', '@app:latest']\n  archive: ./out/app.tar\n"
        )
    };
    host.write("image.yaml", &app("echo 1 > /version"));
    // The directory is for people to make.
    let (outcomes, _) = host.try_apply().await;
    let told = outcomes.failed.values().next().expect("a failure");
    assert!(
        told.starts_with("save into ") && told.ends_with("app.tar: No such file or directory (os error 2)"),
        "{told}"
    );
    std::fs::create_dir(host.path().join("out")).expect("a directory");
    let plan = host.apply().await;
    assert!(
        plan.starts_with("image/@app  save   ") && plan.contains("\n  archive   (none) -> sha256:"),
        "{plan}"
    );
    let id = || docker(&["image", "inspect", "--format", "{{.Id}}", &host.name("app:v1")]);
    let first = id();

    // Another server has only the archive.
    let other = Host::new("keptby").await;
    std::fs::copy(host.path().join("out/app.tar"), other.path().join("app.tar")).expect("a copy");
    let names = [host.name("app:v1"), host.name("app:latest")];
    let marks = docker(&[
        "images",
        "--format",
        "{{.Repository}}:{{.Tag}}",
        &format!("io.invigil.owner/{}/*", host.prefix),
    ]);
    // Podman lists all that the image is called.
    let marks = marks.lines().filter(|name| name.starts_with("io.invigil.owner/"));
    let all: Vec<&str> = ["rmi", &names[0], &names[1]].into_iter().chain(marks).collect();
    docker(&all);
    other.write(
        "image.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{load: {{archive: app.tar}}, tags: ['{}']}}\n",
            names[0]
        ),
    );
    other.container(
        "seat",
        &format!("{{image: '{}', command: [sleep, '1000'], stopSignal: SIGKILL}}", names[0]),
    );
    other.apply().await;
    assert_eq!(id(), first);
    let before = other.inspect("seat", "{{.Id}} {{.State.StartedAt}}");

    // A truncated archive is refused, and what runs stays.
    let whole = std::fs::read(other.path().join("app.tar")).expect("an archive");
    std::fs::write(other.path().join("app.tar"), &whole[..whole.len() / 2]).expect("half of it");
    let wanted = other.wanted();
    let told = wanted.diagnostics.iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("is no saved image: "), "{told}");
    other.pass(&other.engine, 4).await.expect("a pass");
    assert_eq!(other.inspect("seat", "{{.Id}} {{.State.StartedAt}}"), before);
    // Something else is not written over.
    std::fs::write(host.path().join("out/app.tar"), "my notes").expect("a file");
    let told = host.wanted().diagnostics.iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("; take it away to have the image kept there"), "{told}");
    std::fs::write(other.path().join("app.tar"), whole).expect("all of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_8_only_the_tags_that_were_set_go() {
    let host = Host::new("settags").await;
    let tags = || {
        let listed = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        let ours = listed.lines().filter(|tag| tag.contains(&host.prefix));
        let mut tags: Vec<String> = ours
            .map(|tag| match tag.strip_prefix("io.invigil.owner/") {
                Some(_) => "a mark".to_owned(),
                None => host.shown(tag),
            })
            .collect();
        tags.sort();
        tags
    };
    // What was there before is tagged, and marked for that; so is what an archive brings.
    let (before, source) = (host.name("before:1"), host.name("source:1"));
    docker(&["tag", crate::support::BUSYBOX, &source]);
    docker(&["create", "--name", &host.name("seed"), "--label", &format!("x={}", host.prefix), &source]);
    docker(&["commit", "--change", "LABEL made=before", &host.name("seed"), &before]);
    docker(&["commit", "--change", "LABEL made=here", &host.name("seed"), &source]);
    docker(&["rm", &host.name("seed")]);
    docker(&["save", "-o", host.path().join("saved.tar").to_str().unwrap(), &source]);
    docker(&["rmi", &source]);
    docker(&["tag", &before, &source]);
    host.write(
        "images.yaml",
        "apiVersion: invigil/v1\nkind: Image\nmetadata: {name: '@loaded'}\nspec: {load: {archive: saved.tar}, tags: ['@loaded:1']}\n---\n\
         apiVersion: invigil/v1\nkind: Image\nmetadata: {name: '@pulled'}\n\
         spec: {pull: {reference: '@before:1'}, tags: ['@pulled:1']}\n",
    );
    let plan = host.plan().await;
    assert!(
        plan.starts_with(
            "image/@loaded  blocked   the archive brings the tag @source:1, which belongs to an image that"
        ),
        "{plan}"
    );
    docker(&["rmi", &source]);
    host.apply().await;
    assert_eq!(tags(), ["@before:1", "@loaded:1", "@pulled:1", "@source:1", "a mark", "a mark"]);

    docker(&["tag", &host.name("loaded:1"), &host.name("backup:1")]);
    host.remove("images.yaml");
    let busybox = crate::support::BUSYBOX;
    host.container("c", &format!("{{image: '{busybox}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    let (outcomes, told) = host.try_apply().await;
    assert!(outcomes.is_success(), "{told:?}");
    host.try_apply().await;
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
    assert_eq!(tags(), ["@backup:1", "@before:1"]);
}
