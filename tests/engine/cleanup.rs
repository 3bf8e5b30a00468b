//! Images take no more room than there is, and what nothing describes is removed when somebody says so.

use std::process::{Command, Output};

use crate::support::{BUSYBOX, Host};

#[tokio::test(flavor = "multi_thread")]
async fn law_6_a_disk_without_the_room_gets_no_image() {
    let mut host = Host::new("room").await;
    host.container("there", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopTimeout: 0s}}"));
    host.container("absent", "{image: 'registry.invalid/nothing:1'}");
    host.keep_free("1024Ti");
    let plan = host.plan().await;
    let blocked = plan.lines().next().expect("a line");
    assert!(blocked.starts_with("container/@absent  blocked   /"), "{plan}");
    assert!(
        blocked.ends_with(
            " free, and what brings an image needs 1024Ti (--min-free-space): free some, or allow less"
        ),
        "{plan}"
    );
    let (outcomes, told) = host.try_apply().await;
    assert!(outcomes.is_success(), "{told:?}");
    assert_eq!(host.inspect("there", "{{.State.Status}}"), "running");
    assert_eq!(host.plan().await.lines().next(), Some(blocked));

    host.keep_free("0");
    let plan = host.plan().await;
    assert!(plan.starts_with("container/@absent  create   registry.invalid/nothing:1\n"), "{plan}");
}

/// What `invigil prune` says of a host. Exit code, and everything it said.
fn prune(host: &Host, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .arg("prune")
        .args(arguments)
        .args(["--owner", &host.prefix, "--max-removal-share", "100", "--state-dir"])
        .arg(host.state())
        .arg(host.path())
        .output()
        .expect("invigil");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code(), host.shown(&text))
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_removes_what_no_manifest_describes_and_says_how_much_room_that_gives_back() {
    let host = Host::new("prune").await;
    let sleeper = format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopTimeout: 0s}}");
    host.write(
        "set.yaml",
        "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {name: '@midterm'}\nspec:\n  title: T\n  items:\n  - id: '1'\n    \
         type: true_false\n    prompt: Q\n    key: {bool: true}\n",
    );
    host.write("net.yaml", "apiVersion: invigil/v1\nkind: Network\nmetadata: {name: '@net'}\nspec: {}\n");
    host.write("data.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@data'}\nspec: {}\n");
    host.container("seat", &format!("{{problemSet: '{0}-midterm', networkMode: '{0}-net'}}", host.prefix));
    host.container("keep", &sleeper);
    host.apply().await;
    for file in ["set.yaml", "net.yaml", "data.yaml", "seat.yaml"] {
        host.remove(file);
    }
    host.container("late", &sleeper);

    let (code, dry) = prune(&host, &["--dry-run"]);
    assert_eq!(code, Some(0), "{dry}");
    let lines: Vec<&str> = dry.lines().collect();
    let [image, network, seat, "", plan, room] = lines[..] else { panic!("{dry}") };
    assert!(image.starts_with("image/@midterm  remove   no longer in the manifests, sha256:"), "{dry}");
    assert_eq!(network, "network/@net  remove   no longer in the manifests");
    assert_eq!(seat, "container/@seat  remove   no longer in the manifests");
    assert_eq!(plan, "Plan: 3 to remove; 1 unchanged.");
    assert!(room.starts_with("Images: up to ") && room.contains("MiB is free again"), "{dry}");
    assert_eq!(prune(&host, &["-n"]), (Some(0), dry.clone()));

    let (code, said) = prune(&host, &["--yes"]);
    assert!(code == Some(0) && said.starts_with(&format!("{dry}\nApplied: 3 done.\n")), "{said}");
    // The volume stays, and nothing else was done.
    let left = host.plan().await;
    assert!(left.starts_with("container/@late  create   "), "{left}");
    assert!(left.ends_with("\nPlan: 1 to create; 1 unchanged.\n"), "{left}");
    let volume = host.name("data");
    assert_eq!(
        crate::support::docker(&["volume", "ls", "-q", "--filter", &format!("name={volume}")]),
        volume
    );
    assert_eq!(prune(&host, &["--yes"]), (Some(0), "Nothing to do; 1 unchanged.\n".to_owned()));
}
