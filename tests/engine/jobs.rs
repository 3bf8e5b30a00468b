//! Jobs that fail, and who needs them. In: a job that ends with an error. What is told of it is told of it, not of who waits.

use crate::support::{BUSYBOX, Host, sleeper};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_is_told_of_itself_and_who_needs_it_waits() {
    let host = Host::new("failedjob").await;
    let job = |script: &str| {
        let command = format!("[sh, -c, '{script}']");
        host.container("job", &format!("{{image: '{BUSYBOX}', command: {command}, state: completed}}"));
    };
    let name = host.name("job");
    host.container("app", &sleeper(&format!(", dependsOn: [{{container: {name}, condition: completed}}]")));
    // At its first run, and at that of another spec.
    for number in [3, 4] {
        job(&format!("echo no room; exit {number}"));
        let (outcomes, told) = host.try_apply().await;
        let ended = format!("it ended with exit code {number}; its last output: no room");
        let of = |name: &str| format!("container/{}", host.name(name)).parse().unwrap();
        assert_eq!(outcomes.failed, [(of("job"), ended)].into(), "{told:?}");
        assert!(!outcomes.done.contains(&of("job")) && !outcomes.done.contains(&of("app")), "{outcomes:?}");
        let plan = host.plan().await;
        assert!(
            plan.contains(&format!("container/@job  blocked   it ended with exit code {number};")),
            "{plan}"
        );
        assert!(plan.contains("(waits for container/@job)"), "{plan}");
    }
    job("true");
    host.apply().await;
}
