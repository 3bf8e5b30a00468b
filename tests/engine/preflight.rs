//! Law 6 on a real engine: what a change needs of its host and its engine is looked for before anything stops.

use crate::support::{BUSYBOX, Host, docker, is_podman, sleeper};

#[tokio::test(flavor = "multi_thread")]
async fn law_6_what_the_host_itself_lacks_is_told_before_anything_stops() {
    let host = Host::new("law6").await;
    host.container("c", &sleeper(""));
    host.apply().await;
    let kept = host.inspect("c", "{{.Id}} {{.State.StartedAt}}");
    let absent = host.path().join("not-mounted");
    host.container("c", &sleeper(&format!(", binds: ['{}:/data']", absent.display())));
    assert_eq!(
        host.plan().await.lines().next().expect("a line"),
        format!(
            "container/@c  blocked   {} is not on this host: make it, or write the bind out with createHostPath: true",
            absent.display()
        )
    );
    host.try_apply().await;
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.StartedAt}}"), kept);
    assert!(!absent.exists(), "the engine was not even asked");
    host.container(
        "c",
        &sleeper(&format!(
            ", binds: [{{source: '{}', target: /data, createHostPath: true}}]",
            absent.display()
        )),
    );
    host.apply().await;
    assert!(absent.is_dir());

    // Where the engine publishes ports: in its own network, which need not be ours.
    let httpd = ["httpd", "-f", "-p", "127.0.0.1:28199"];
    let squatter = host.name("squatter");
    docker(&[&["run", "-d", "--rm", "--name", &squatter, "--network", "host", BUSYBOX][..], &httpd].concat());
    let kept = host.inspect("c", "{{.Id}} {{.State.StartedAt}}");
    host.container("c", &sleeper(", ports: ['28199:80']"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(
        host.plan().await.lines().next().expect("a line"),
        "container/@c  blocked   port 28199 is already taken on this host (by a process that is no container)"
    );
    host.try_apply().await;
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.StartedAt}}"), kept);
    docker(&["kill", &squatter]);
    host.apply().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn law_6_a_network_is_not_taken_apart_for_addresses_that_another_one_has() {
    let host = Host::new("law6net").await;
    let lab = host.name("lab");
    let net = |subnet: &str| {
        let spec = format!("{{subnets: [{{subnet: {subnet}}}]}}");
        let manifest =
            format!("apiVersion: invigil/v1\nkind: Network\nmetadata: {{name: '@net'}}\nspec: {spec}\n");
        host.write("net.yaml", &manifest);
    };
    // Podman knows no patterns.
    let pattern: &[&str] = if is_podman() { &[] } else { &["--config-only", "--subnet", "10.98.16.0/20"] };
    docker(&["network", "create", "--subnet", "10.98.16.0/20", &lab]);
    net("10.98.32.0/24");
    host.container("c", &sleeper(&format!(", networks: ['{}']", host.name("net"))));
    host.apply().await;
    let kept = || {
        let network = docker(&["network", "inspect", "--format", "{{.Id}}", &host.name("net")]);
        (network, host.inspect("c", "{{.Id}} {{.State.StartedAt}} {{json .NetworkSettings.Networks}}"))
    };
    let before = kept();
    net("10.98.17.0/24");
    let told = format!(
        "network/@net  blocked   10.98.17.0/24 overlaps with 10.98.16.0/20 of the network {}\n",
        host.shown(&lab)
    );
    assert!(host.plan().await.starts_with(&told), "{}", host.plan().await);
    host.try_apply().await;
    assert_eq!(kept(), before);
    docker(&["network", "rm", &lab]);
    // What is only a pattern for others has no addresses.
    docker(&[&["network", "create"], pattern, &[&lab]].concat());
    host.apply().await;
    assert_ne!(kept().0, before.0);
    assert!(host.inspect("c", "{{json .NetworkSettings.Networks}}").contains("10.98.17."));
    let quiet = "Nothing to do; 2 unchanged.\n";
    assert_eq!(host.plan().await, quiet);
    // An address in a range stands for the range.
    net("10.98.17.9/24");
    assert_eq!(host.plan().await, quiet);
    net("10.98.33.9/24");
    host.apply().await;
    assert_eq!(host.plan().await, quiet);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_6_a_container_whose_answers_can_be_kept_nowhere_is_not_stopped() {
    let host = Host::new("law6keep").await;
    host.write("kept", "a file has the directory's place");
    let collecting = |more: &str| {
        host.container("c", &sleeper(&format!(", collect: [{{path: /answers, to: ./kept}}]{more}")));
    };
    collecting("");
    host.apply().await;
    docker(&["exec", &host.name("c"), "sh", "-c", "echo mine > /answers"]);
    let kept = host.inspect("c", "{{.Id}} {{.State.StartedAt}}");
    let place = host.path().join("kept");
    let told = format!(
        "blocked   /answers cannot be kept: nothing can be written in {}; make it writable, or let `collect` name another directory",
        place.display()
    );
    collecting(", env: {A: '1'}");
    assert!(host.plan().await.contains(&told), "{}", host.plan().await);
    host.try_apply().await;
    host.remove("c.yaml");
    host.write("empty.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@other'}\n");
    assert!(host.plan().await.contains(&told), "{}", host.plan().await);
    host.try_apply().await;
    assert_eq!(host.inspect("c", "{{.Id}} {{.State.StartedAt}}"), kept);
    std::fs::remove_file(&place).expect("the file");
    host.apply().await;
    let answers = place.join(host.name("c")).join(&kept[..12]).join("answers.tar");
    let answers = std::fs::read(&answers).unwrap_or_else(|error| panic!("{}: {error}", answers.display()));
    assert!(answers.windows(5).any(|word| word == b"mine\n"));
}
