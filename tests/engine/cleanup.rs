//! Images take no more room than there is.

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
