//! Containers that somebody made by hand, and that manifests take over.

use crate::faults::engine_at;
use crate::proxy::{Among, Fault, Proxy, When};
use crate::support::{BUSYBOX, Host, docker, is_podman};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_made_by_hand_is_taken_over_when_its_manifest_says_so() {
    let host = Host::new("adopt").await;
    let name = host.name("c");
    docker(&[
        "run",
        "-d",
        "--name",
        &name,
        "-e",
        "LEFT=1",
        "-v",
        "/data",
        "-p",
        "127.0.0.1:28198:80",
        BUSYBOX,
        "sh",
        "-c",
        "echo answer > /data/a; exec sleep 1000",
    ]);
    let by_hand = host.inspect("c", "{{.Id}}");
    let manifest = |metadata: &str| {
        host.write(
            "c.yaml",
            &format!(
                "apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: '@c'{metadata}}}\nspec: {{image: '{BUSYBOX}', \
                 command: [sleep, '1000'], stopSignal: SIGKILL, ports: ['127.0.0.1:28198:80']}}\n"
            ),
        );
    };
    manifest("");
    let blocked = "container/@c  blocked   a container of this name is there that Invigil did not make; remove or \
                   rename it, or take it over with metadata.adopt: true\n";
    assert!(host.plan().await.starts_with(blocked), "{}", host.plan().await);
    manifest(", adopt: true");
    let plan = host.apply().await;
    if is_podman() {
        // What it limits by itself looks as if it had been asked for.
        let takes_over = "container/@c  replace   takes over a container that Invigil did not make: it is made anew, and stops for a moment\n";
        assert!(plan.starts_with(takes_over) && plan.contains("  resources.ulimits   nofile="), "{plan}");
    } else {
        assert_eq!(
            plan,
            "container/@c  replace   takes over a container that Invigil did not make: it is made anew, and stops for a moment\n  \
               command      [sh, -c, echo answer > /data/a; exec sleep 1000] -> [sleep, 1000]\n  \
               env.LEFT     1 -> (none)\n  \
               stopSignal   SIGTERM -> SIGKILL\n\n\
             Plan: 1 to replace; 0 unchanged.\n"
        );
    }
    assert_ne!(host.inspect("c", "{{.Id}}"), by_hand);
    assert_eq!(docker(&["exec", &name, "cat", "/data/a"]), "answer");
    docker(&["rm", "-f", &name]);

    docker(&["run", "-d", "--name", &name, "--label", "io.invigil.owner=other", BUSYBOX, "sleep", "1000"]);
    assert_eq!(
        host.plan().await.lines().next().expect("a line"),
        "container/@c  blocked   a container of this name belongs to another Invigil (owner other)"
    );
}

/// A pass that is broken off after each of its writes, of a manifest that takes over what runs. Gives after how many.
async fn break_off(host: &Host, command: &str, check: impl AsyncFn(&str)) -> usize {
    let (proxy, name) = (Proxy::start(), host.name("c"));
    for nth in 1.. {
        let run = ["run", "-d", "--name", &name, "--network", "none", "--stop-signal", "SIGKILL"];
        docker(&[&run[..], &["-v", "/data", BUSYBOX, "sleep", "100000"]].concat());
        let by_hand = host.inspect("c", "{{.Id}}");
        let spec =
            format!("{{image: '{BUSYBOX}', command: {command}, networkMode: none, stopSignal: SIGKILL}}");
        let manifest = format!(
            "apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: '@c', adopt: true}}\nspec: {spec}\n"
        );
        host.write("c.yaml", &manifest);
        proxy.arm(Among::Writes, nth, Fault::Gone(When::After));
        // What comes of it is seen on the engine.
        let _ = host.pass(&engine_at(&proxy.endpoint()), 1).await;
        let struck = proxy.struck().is_some();
        proxy.reset();
        check(&by_hand).await;
        docker(&["rm", "-f", "-v", &name]);
        if !struck {
            return nth - 1;
        }
    }
    unreachable!("a pass has an end")
}

/// The containers of a host, by name and by what they are doing.
fn all(host: &Host) -> String {
    let filter = format!("name={}", host.name("c"));
    host.shown(&docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}} {{.State}}"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_a_takeover_that_is_broken_off_anywhere_is_taken_up_again() {
    let host = Host::new("takeover").await;
    let broken_off = break_off(&host, "[sleep, '1000']", async |by_hand| {
        let (outcomes, told) = host.try_apply().await;
        assert!(outcomes.is_success(), "{told:?}");
        assert!(host.plan().await.starts_with("Nothing to do"), "{}", host.plan().await);
        assert_eq!(all(&host), "@c running");
        assert_ne!(host.inspect("c", "{{.Id}}"), by_hand);
    })
    .await;
    // Create, stop, rename, rename, start, remove.
    assert_eq!(broken_off, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_who_was_to_be_taken_over_comes_back_however_a_bad_takeover_is_broken_off() {
    let host = Host::new("takeback").await;
    break_off(&host, "[/no/such]", async |by_hand| {
        let (outcomes, told) = host.try_apply().await;
        assert!(!outcomes.is_success(), "{told:?}");
        assert_eq!(all(&host), "@c running", "{told:?}");
        assert_eq!(host.inspect("c", "{{.Id}}"), by_hand);
    })
    .await;
}
