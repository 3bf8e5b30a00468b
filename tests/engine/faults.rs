//! Law 11, call by call: a pass is disturbed at every call that it makes to the engine, in every way in
//! which a call can be, and the next pass puts everything right. In: a pass that is not disturbed, whose
//! calls are counted at a proxy. Out: how many were disturbed in which way. Never touches what is not its own.

mod cases;
mod killed;
mod part;
mod sweep;
mod world;

use std::io::Write as _;
use std::time::{Duration, Instant};

pub use world::engine_at;

use crate::proxy::{Among, Call, Fault, Proxy, When, ask, real_engine};
use crate::support::{BUSYBOX, Host, docker, sleeper, variable};

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_the_proxy_is_what_it_says() {
    let proxy = Proxy::start();
    let socket = proxy.endpoint();
    let socket = std::path::Path::new(socket.strip_prefix("unix://").unwrap());
    let version = || ask(socket, "GET", "/v1.41/version");
    let real = version().await.unwrap();
    assert_eq!(real.0, 200);
    assert_eq!(real, ask(&real_engine(), "GET", "/v1.41/version").await.unwrap());
    assert_eq!(proxy.calls(), [Call { method: "GET".into(), path: "/version".into(), told: true }]);

    for fault in [
        Fault::Cut(When::Before),
        Fault::Cut(When::After),
        Fault::Gone(When::Before),
        Fault::Gone(When::After),
        Fault::Truncate,
        Fault::Garble,
    ] {
        proxy.arm(Among::Reads, 2, fault.clone());
        assert!(version().await.is_ok());
        assert!(proxy.struck().is_none());
        assert!(version().await.is_err());
        assert_eq!(proxy.struck().unwrap().path, "/version");
        assert_eq!(version().await.is_err(), matches!(fault, Fault::Gone(_)));
    }
    proxy.arm(Among::All, 1, Fault::Refuse(When::After));
    assert_eq!(version().await.unwrap().0, 500);
    for late in [Fault::Stall(Duration::from_millis(300)), Fault::Late(Duration::from_millis(300))] {
        let begun = Instant::now();
        proxy.arm(Among::All, 1, late);
        assert_eq!(version().await.unwrap().0, 200);
        assert!(begun.elapsed() >= Duration::from_millis(300));
    }

    // What the engine did or did not do.
    let volume = format!("ivt-proxy-{}", std::process::id());
    let there = || async {
        let (_, listed) = ask(&real_engine(), "GET", "/volumes").await.unwrap();
        listed["Volumes"].as_array().unwrap().iter().any(|one| one["Name"] == *volume)
    };
    docker(&["volume", "create", &volume]);
    let remove = || ask(socket, "DELETE", Box::leak(format!("/volumes/{volume}").into_boxed_str()));
    proxy.arm(Among::Writes, 1, Fault::Refuse(When::Before));
    assert_eq!(remove().await.unwrap().0, 500);
    assert!(there().await);
    proxy.arm(Among::Writes, 1, Fault::Cut(When::After));
    assert!(remove().await.is_err());
    assert!(!there().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_env_value_of_one_manifest_is_one_replacement_and_no_other_write() {
    let host = Host::new("one").await;
    for number in 0..100 {
        host.container(&format!("c{number:02}"), &sleeper(", networkMode: none, env: {SEAT: a}"));
    }
    host.apply().await;
    let old = host.inspect("c42", "{{.Id}}");
    host.container("c42", &sleeper(", networkMode: none, env: {SEAT: b}"));

    let proxy = Proxy::start();
    let (_, outcomes) = host.pass(&engine_at(&proxy.endpoint()), 8).await.unwrap();
    assert!(outcomes.is_success(), "{outcomes:?}");
    let writes: Vec<String> = proxy.writes().iter().map(|call| host.shown(&call.to_string())).collect();
    let writes: Vec<String> = writes.into_iter().map(|call| call.replace(&old, "OLD")).collect();
    assert_eq!(
        writes,
        [
            "POST /containers/create?name=@c42.invigil-next&platform=",
            "POST /containers/OLD/rename?name=@c42.invigil-prev",
            "POST /containers/OLD/stop",
            "POST /containers/@c42.invigil-next/rename?name=@c42",
            "POST /containers/@c42/start",
            "DELETE /containers/OLD?v=false&force=false&link=false",
        ]
    );
    let variables = host.inspect("c42", "{{.Config.Env}}");
    assert!(variables.contains("SEAT=b") && variables.contains("PATH=/bin"), "{variables}");
    assert_eq!(host.plan().await, "Nothing to do; 100 unchanged.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_1_whatever_cannot_be_read_ends_the_pass_and_is_never_taken_for_absent() {
    let host = Host::new("lawone").await;
    host.write("net.yaml", "apiVersion: invigil/v1\nkind: Network\nmetadata: {name: '@net'}\n");
    host.write("vol.yaml", "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: '@vol'}\n");
    for name in ["stays", "changes", "goes"] {
        host.container(name, &sleeper(", networks: ['@net'], binds: ['@vol:/data']"));
    }
    host.apply().await;
    host.remove("goes.yaml");
    host.container("changes", &sleeper(", networks: ['@net'], binds: ['@vol:/data'], env: {A: b}"));
    let truth = host.plan().await;
    assert!(truth.ends_with("\nPlan: 1 to replace, 1 to remove; 3 unchanged.\n"), "{truth}");

    let proxy = Proxy::start();
    let mut failed = 0;
    for fault in [
        Fault::Cut(When::Before),
        Fault::Cut(When::After),
        Fault::Refuse(When::Before),
        Fault::Gone(When::After),
        Fault::Truncate,
        Fault::Garble,
    ] {
        for nth in 1.. {
            proxy.reset();
            proxy.arm(Among::All, nth, fault.clone());
            let planned = host.plan_by(&engine_at(&proxy.endpoint())).await;
            assert_eq!(proxy.writes(), []);
            if proxy.struck().is_none() {
                assert!(nth > 7, "{nth} calls");
                break;
            }
            match planned {
                // It asked again.
                Ok(plan) => assert_eq!(plan, truth),
                Err(_) => failed += 1,
            }
        }
    }
    assert!(failed > 20, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_looked_at_once_by_its_name_and_somebody_elses_that_cannot_be_read_ends_no_pass() {
    let host = Host::new("byname").await;
    for name in ["first", "second"] {
        host.container(name, &sleeper(", networkMode: none"));
    }
    host.apply().await;
    host.container("theirs", &sleeper(", networkMode: none"));
    docker(&["create", "--name", &host.name("theirs"), BUSYBOX]);
    let truth = host.plan().await;
    assert!(truth.ends_with("\n\nPlan: 1 blocked; 2 unchanged.\n"), "{truth}");

    let proxy = Proxy::start();
    assert_eq!(host.plan_by(&engine_at(&proxy.endpoint())).await.unwrap(), truth);
    let is_look = |path: &str| path.starts_with("/containers/") && path.ends_with("/json");
    let looks = proxy.calls().into_iter().filter(|call| is_look(&call.path));
    let mut looks: Vec<String> = looks.map(|call| host.shown(&call.path)).collect();
    looks.sort();
    let of = |name: &str| format!("/containers/@{name}/json");
    assert_eq!(looks, [of("first"), of("second"), of("theirs")]);

    let theirs = format!("/containers/{}/json", host.name("theirs"));
    proxy.reset();
    proxy.arm(Among::At(theirs.leak()), 1, Fault::Refuse(When::Before));
    assert_eq!(host.plan_by(&engine_at(&proxy.endpoint())).await.unwrap(), truth);
    assert!(proxy.struck().is_some(), "it was never asked for");
}

/// Tells what was tried. Not by a macro: the test harness keeps to itself what those of a test that passes print.
pub fn say(summary: &str) {
    let _ = writeln!(std::io::stderr(), "{summary}");
}

/// How much later than it was sent a call reaches the engine: the client has given up after a minute.
const LATE: Duration = Duration::from_secs(95);

#[tokio::test(flavor = "multi_thread")]
async fn law_11_a_call_that_reaches_the_engine_after_its_client_gave_up_does_no_harm() {
    // Create, rename, rename, start, remove; a stop, the third, is waited for as long as it takes.
    let late = [1, 2, 4, 5, 6].map(|nth| {
        tokio::spawn(async move {
            let host = Host::new("late").await;
            let web = |side: &str| {
                host.container("web", &sleeper(&format!(", networkMode: none, env: {{SIDE: {side}}}")));
            };
            web("a");
            host.apply().await;
            web("b");
            let proxy = Proxy::start();
            let begun = Instant::now();
            proxy.arm(Among::Writes, nth, Fault::Late(LATE));
            let (_, outcomes) = host.pass(&engine_at(&proxy.endpoint()), 8).await.expect("a pass");
            let told = outcomes.failed.into_values().collect::<String>();
            assert!(
                told.ends_with("the engine did not answer in time; it may still be at it"),
                "write {nth}: {told}"
            );
            // Put right before the call comes, and again after it.
            for until in [begun, begun + LATE + Duration::from_secs(20)] {
                tokio::time::sleep_until(until.into()).await;
                for _ in 0..2 {
                    host.try_apply().await;
                }
                assert_eq!(host.plan().await, "Nothing to do; 1 unchanged.\n", "write {nth}");
                assert_eq!(
                    host.inspect("web", &format!("{{{{.State.Running}}}} {}", variable("SIDE"))),
                    "true SIDE=b"
                );
                let names = docker(&[
                    "ps",
                    "-a",
                    "--format",
                    "{{.Names}}",
                    "--filter",
                    &format!("name={}-", host.prefix),
                ]);
                assert_eq!(names, host.name("web"), "write {nth}");
            }
        })
    });
    for one in late {
        one.await.expect("nothing panics");
    }
}
