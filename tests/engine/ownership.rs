//! What is not ours is not touched, and nothing goes while anything is in doubt.

use invigil::engine::Perform;
use invigil::plan::Step;
use invigil::resource::reference::ImageId;

use crate::support::{BUSYBOX, Host, docker, in_place, sleeper};

#[tokio::test(flavor = "multi_thread")]
async fn law_8_a_container_made_by_hand_is_reported_and_left_alone() {
    let host = Host::new("law8").await;
    docker(&["run", "-d", "--name", &host.name("c"), BUSYBOX, "sleep", "1000"]);
    let id = host.inspect("c", "{{.Id}}");
    host.container("c", &sleeper(""));
    host.container("d", &sleeper(&format!(", dependsOn: ['{}']", host.name("c"))));
    assert_eq!(
        host.plan().await,
        "container/@c  blocked   a container of this name is there that Invigil did not make; remove or rename it, or take it over with metadata.adopt: true\n\
         container/@d  create   busybox:static   (waits for container/@c)\n\nPlan: 1 to create, 1 blocked; 0 unchanged.\n"
    );
    host.try_apply().await;
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.Running}}"), format!("{id} true"));
    // Also another owner's.
    let other = Host::new("law8other").await;
    other.container("x", &sleeper(""));
    other.apply().await;
    assert!(!host.plan().await.contains(&other.prefix));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_8_labels_that_an_image_handed_down_make_nobody_ours() {
    let host = Host::new("inherit").await;
    host.container("c", &sleeper(""));
    host.apply().await;
    let tag = host.name("snapshot");
    docker(&["commit", &host.name("c"), &tag]);
    docker(&["run", "-d", "--name", &host.name("byhand"), &tag, "sleep", "1000"]);
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
    // What Invigil makes from that image is its own all the same.
    host.container("c", &format!("{{image: '{tag}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    host.apply().await;
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
    host.remove("c.yaml");
    host.container("keep", &sleeper(""));
    host.apply().await;
    assert_eq!(host.inspect("byhand", "{{.State.Running}}"), "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_made_again_from_an_image_committed_from_it_stays_ours() {
    let host = Host::new("hotfix").await;
    let tag = host.name("image");
    docker(&["tag", BUSYBOX, &tag]);
    let command = "command: [sleep, '1000'], stopSignal: SIGKILL";
    host.container("c", &format!("{{image: '{tag}', {command}}}"));
    host.apply().await;
    docker(&["commit", &host.name("c"), &tag]);
    docker(&["rm", "-f", &host.name("c")]);
    host.apply().await;
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
    // What somebody starts from it is theirs.
    docker(&["run", "-d", "--name", &host.name("byhand"), &tag, "sleep", "1000"]);
    docker(&["commit", &host.name("c"), &tag]);
    docker(&["run", "-d", "--name", &host.name("byhand2"), &tag, "sleep", "1000"]);
    assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_8_a_tag_that_points_to_another_image_by_now_is_not_taken_away() {
    let host = Host::new("movedtag").await;
    let tag = host.name("image");
    docker(&["tag", BUSYBOX, &tag]);
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", &tag]);
    let image = id.trim().parse().expect("an id");
    let untag = async |image: ImageId| {
        let step = Step::Untag { image, tag: tag.parse().expect("a tag") };
        host.engine.perform(&step, &|_| {}).await.map_err(|error| error.to_string())
    };
    let listed = || docker(&["images", "--quiet", &tag]);
    assert_eq!(untag(ImageId::of(b"what it pointed to before")).await, Ok(()));
    assert_ne!(listed(), "");
    assert_eq!(untag(image).await, Ok(()));
    assert_eq!(listed(), "");
    assert_eq!(untag(ImageId::of(b"what it pointed to before")).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_8_a_name_with_which_anothers_id_begins_is_not_that_other() {
    let host = Host::new("prefix").await;
    docker(&["run", "-d", "--name", &host.name("theirs"), BUSYBOX, "sleep", "1000"]);
    let id = host.inspect("theirs", "{{.Id}}");
    // Long enough to mean nobody else's either.
    let name = id[..20].to_owned();
    let perform =
        async |step: Step| host.engine.perform(&step, &|_| {}).await.map_err(|error| error.to_string());
    assert_eq!(
        perform(Step::Pause(name.clone())).await,
        Err("pause: there is no container of this name".to_owned())
    );
    assert_eq!(perform(Step::Stop(name.clone())).await, Ok(()));
    assert_eq!(perform(Step::RemoveContainer(name.clone())).await, Ok(()));
    assert_eq!(host.inspect("theirs", "{{.State.Status}}"), "running");
    // One that is really called so is found, and whatever else it is called by.
    let other = docker(&["create", "--name", &name, BUSYBOX, "sleep", "1000"]);
    assert_eq!(perform(Step::Start(name.clone())).await, Ok(()));
    assert_eq!(perform(Step::Rename { container: name, to: host.name("ours") }).await, Ok(()));
    assert_eq!(host.inspect("ours", "{{.Id}} {{.State.Status}}"), format!("{} running", other.trim()));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_2_an_empty_directory_removes_nothing() {
    let host = Host::new("law2").await;
    host.container("c", &sleeper(""));
    host.apply().await;
    host.remove("c.yaml");
    assert_eq!(
        host.plan().await,
        "container/@c  kept   there is no manifest at all, so nothing is removed\n\nNothing to do; 0 unchanged, 1 kept.\n"
    );
    host.try_apply().await;
    assert_eq!(host.inspect("c", "{{.State.Running}}"), "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_3_while_a_manifest_is_invalid_nothing_goes_and_the_valid_ones_go_on() {
    let host = Host::new("law3").await;
    for name in ["a", "b", "gone"] {
        host.container(name, &sleeper(""));
    }
    host.apply().await;
    host.remove("gone.yaml");
    host.container("a", &sleeper(", portz: []"));
    host.container("b", &sleeper(", resources: {pidsLimit: 9}"));
    let wanted = host.wanted();
    let told: Vec<String> =
        wanted.diagnostics.iter().map(|diagnostic| host.shown(&diagnostic.to_string())).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("a.yaml:4:"), "{told:?}");
    let plan = host.planned_for(&wanted).await.to_text(&invigil::plan::Palette::default());
    assert_eq!(
        host.shown(&plan),
        in_place(
            "container/@b  update in place\n  resources.pidsLimit   (none) -> 9\n\
             container/@gone  kept   a manifest is invalid, so nothing is removed\n\
             container/@a  left as it is   its manifest is wrong, or one that it needs\n\
             error: the manifests are not all right; what is wrong in them is left as it is, and nothing is removed\n\n\
             Plan: 1 to update; 0 unchanged, 1 kept, 1 left as it is.\n"
        )
    );
}
