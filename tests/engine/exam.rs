//! An exam on a real engine: how soon it is known to be well, at its start and after a pause, and how often it is asked from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use invigil::engine::{Observe, Scope};
use invigil::fields::Live;
use invigil::observed::Observed;
use invigil::resource::reference::ImageId;
use jiff::Timestamp;
use serde_json::Value;

use crate::support::{Host, docker, is_left_out, is_podman};

/// How soon it is known to be well, on a machine that is busy with other tests, too.
const SOON: Duration = Duration::from_millis(1900);

/// A seat of this host that is well, by its name on the engine.
async fn healthy_seat(host: &Host) -> String {
    host.write(
        "exam.yaml",
        "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {name: '@exam'}\nspec: {title: Exam, owner: o, items: \
         [{id: '1', type: true_false, prompt: why, key: {bool: true}, points: 1}]}\n---\n\
         apiVersion: invigil/v1\nkind: Container\nmetadata: {name: '@seat'}\n\
         spec: {problemSet: '@exam', networkMode: none}\n",
    );
    host.apply().await;
    let seat = host.name("seat");
    healthy_within(&seat, Duration::from_secs(30)).await;
    seat
}

/// Waits until the engine says so.
async fn healthy_within(seat: &str, limit: Duration) {
    let begun = Instant::now();
    while state(seat)["Health"]["Status"] != "healthy" {
        assert!(begun.elapsed() < limit, "{:#}", state(seat));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn state(seat: &str) -> Value {
    serde_json::from_str(&docker(&["inspect", "--format", "{{json .State}}", seat])).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exam_is_ready_soon_after_its_start_and_is_seldom_asked_from_then_on() {
    // It tells neither when a check was made nor how long it took.
    if is_podman() {
        return;
    }
    let host = Host::new("soon").await;
    let seat = healthy_seat(&host).await;
    let time = |text: &Value| text.as_str().and_then(|text| text.parse::<Timestamp>().ok()).expect("a time");
    let ready = state(&seat);
    let took = time(&ready["Health"]["Log"][0]["End"]).duration_since(time(&ready["StartedAt"]));
    assert!(took.unsigned_abs() < SOON, "{took:#}");

    tokio::time::sleep(Duration::from_secs(20)).await;
    let rests = state(&seat);
    assert_eq!(rests["Health"]["Status"], "healthy");
    let checks = rests["Health"]["Log"].as_array().expect("a list").len();
    assert!(checks <= 4, "{checks} checks: {rests:#}");
    // A check under way is no reason to stay.
    let begun = Instant::now();
    docker(&["stop", &seat]);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exam_that_was_held_for_a_moment_is_soon_well_again() {
    // It forgets nothing of a check when it pauses.
    if is_podman() {
        return;
    }
    let host = Host::new("held").await;
    let seat = healthy_seat(&host).await;
    // Each time in the middle of a check that rests.
    let into_rest = || tokio::time::sleep(Duration::from_secs(2));
    into_rest().await;
    docker(&["pause", &seat]);
    assert_eq!(state(&seat)["Health"]["Status"], "unhealthy");
    docker(&["unpause", &seat]);
    healthy_within(&seat, SOON).await;

    into_rest().await;
    let image = docker(&["commit", &seat]);
    docker(&["rmi", image.trim()]);
    healthy_within(&seat, SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_exams_image_gives_to_its_containers_is_known_without_asking_the_engine() {
    if is_left_out("what_an_exams_image_gives_to_its_containers_is_known_without_asking_the_engine") {
        return;
    }
    let host = Host::new("known").await;
    healthy_seat(&host).await;
    let wanted = host.wanted();
    let scope = Scope {
        owner: host.prefix.parse().expect("an owner"),
        containers: wanted.desired.containers.keys().cloned().collect(),
        images: wanted.desired.references(),
        assembled: wanted.desired.assembled(),
        adopted: BTreeMap::new(),
        at_registries: BTreeSet::new(),
    };
    let config = |observed: Observed| {
        let seat = observed.containers.into_iter().find(|one| one.name == host.name("seat")).expect("a seat");
        observed
            .images
            .into_iter()
            .find(|image| Some(&image.id) == seat.image.as_ref())
            .expect("its image")
            .config
    };
    let look = async |assembled: BTreeMap<ImageId, Live>| {
        let scope = Scope { assembled, ..scope.clone() };
        config(host.engine.observe(&scope).await.expect("a look"))
    };
    let known = look(scope.assembled.clone()).await;
    assert!(known.as_ref().is_some_and(|known| known.contains_key("healthcheck")), "{known:?}");
    assert_eq!(known, look(BTreeMap::new()).await, "it is what the engine says");
    let marked = Live::from([("workingDir", Value::from("/as-it-was-told"))]);
    let told = scope.assembled.keys().map(|id| (id.clone(), marked.clone())).collect();
    assert_eq!(look(told).await, Some(marked), "and the engine is not asked");
}
