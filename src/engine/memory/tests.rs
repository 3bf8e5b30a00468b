use serde_json::json;

use super::*;
use crate::resource::name::Owner;

fn engine() -> MemoryEngine {
    let engine = MemoryEngine::default();
    engine.publish(
        &"web:1".parse().expect("a reference"),
        json!({"Env": ["PATH=/bin"], "Cmd": ["serve"]}),
        Program::Runs,
    );
    engine
        .by_hand(&Step::Pull {
            reference: "web:1".parse().expect("a reference"),
            platform: None,
            digest: None,
            mark: None,
        })
        .expect("pulled");
    engine
}

fn refusal(result: Result<(), EngineError>) -> String {
    result.expect_err("a refusal").to_string()
}

#[test]
fn a_container_has_what_its_image_gives_and_its_body_says() {
    let engine = engine();
    engine
        .run_foreign("a1", json!({"Image": "web:1", "Env": ["A=1"], "HostConfig": {"Memory": 5}}))
        .expect("runs");
    let inspection = engine.inspect("a1").expect("it is there");
    assert_eq!(inspection["Config"]["Env"], json!(["A=1", "PATH=/bin"]));
    assert_eq!(inspection["Config"]["Cmd"], json!(["serve"]));
    assert_eq!(inspection["HostConfig"]["MemorySwap"], 10);
    assert_eq!(inspection["State"]["Status"], "running");
}

#[test]
fn it_refuses_what_an_engine_refuses() {
    let engine = engine();
    let body = json!({"Image": "web:1", "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}}});
    engine.run_foreign("a1", body.clone()).expect("runs");
    let create = |name: &str, body| {
        engine.by_hand(&Step::CreateContainer { name: name.to_owned(), body, platform: None })
    };
    assert_eq!(
        refusal(create("a1", body.clone())),
        "the container name \"/a1\" is already in use by container 000000000001"
    );
    assert_eq!(refusal(create("a2", json!({"Image": "none:1"}))), "no such image: none:1");
    create("a2", body).expect("creating needs no port");
    assert_eq!(
        refusal(engine.by_hand(&Step::Start("a2".to_owned()))),
        "port 8080 is already taken on this host (by container/a1)"
    );
    assert_eq!(
        refusal(engine.by_hand(&Step::RemoveContainer("a1".to_owned()))),
        "you cannot remove a running container a1: stop it first"
    );
    assert!(refusal(engine.untag(&"web:1".parse().expect("a tag"))).starts_with("conflict"));
    let update = Step::Update { container: "a1".to_owned(), body: json!({"Memory": 9, "MemorySwap": 5}) };
    assert!(refusal(engine.by_hand(&update)).starts_with("memory limit should be smaller"));
}

#[tokio::test]
async fn law_1_a_lost_or_unreadable_engine_is_an_error_and_not_an_empty_world() {
    let engine = engine();
    let owner: Owner = "default".parse().expect("an owner");
    let scope = Scope {
        owner,
        containers: std::collections::BTreeSet::new(),
        images: std::collections::BTreeSet::new(),
        assembled: std::collections::BTreeMap::new(),
        adopted: std::collections::BTreeMap::new(),
        at_registries: std::collections::BTreeSet::new(),
    };
    assert!(engine.observe(&scope).await.is_ok());
    engine.make_unreadable();
    assert!(matches!(engine.observe(&scope).await, Err(EngineError::Unreadable { .. })));
    engine.mend();
    engine.lose_from_call(0);
    assert!(matches!(engine.observe(&scope).await, Err(EngineError::Unreachable { .. })));
}

#[tokio::test]
async fn a_call_may_fail_before_or_after_it_acted() {
    let engine = engine();
    engine.run_foreign("a1", json!({"Image": "web:1"})).expect("runs");
    let stop = Step::Stop("a1".to_owned());
    engine.refuse_call(0, Moment::BeforeActing);
    assert_eq!(refusal(engine.perform(&stop, &|_| {}).await), "stop a1: told to fail");
    assert_eq!(engine.inspect("a1").expect("it is there")["State"]["Status"], "running");
    engine.refuse_call(0, Moment::AfterActing);
    assert_eq!(refusal(engine.perform(&stop, &|_| {}).await), "stop a1: told to fail");
    assert_eq!(engine.inspect("a1").expect("it is there")["State"]["Status"], "exited");
    assert_eq!(engine.take_log(), ["stop a1", "stop a1"]);
}
