//! Law 11, call by call: a pass is disturbed at every call that it makes to the engine, in every way in
//! which a call can be, and the next pass puts everything right. Nothing of anybody else's is touched.

use std::time::Duration;

use invigil::engine::docker::{DockerEngine, DockerReader};

use crate::proxy::{Among, Call, Fault, Proxy, When, ask, real_engine};
use crate::support::{BUSYBOX, Host, docker};

fn sleeper(more: &str) -> String {
    format!("{{image: '{BUSYBOX}', command: [sleep, '100000'], stopSignal: SIGKILL{more}}}")
}

/// An engine at an address, not spoken to yet.
fn engine_at(endpoint: &str) -> DockerEngine {
    DockerEngine::new(DockerReader::at(endpoint))
}

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
        let begun = std::time::Instant::now();
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
            "POST /containers/OLD/stop",
            "POST /containers/OLD/rename?name=@c42.invigil-prev",
            "POST /containers/@c42.invigil-next/rename?name=@c42",
            "POST /containers/@c42/start",
            "DELETE /containers/OLD?v=false&force=false&link=false",
        ]
    );
    assert_eq!(host.inspect("c42", "{{.Config.Env}}"), "[SEAT=b PATH=/bin]");
    assert_eq!(host.plan().await, "Nothing to do; 100 unchanged.\n");
}
