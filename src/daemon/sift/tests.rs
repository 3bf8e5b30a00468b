use std::pin::pin;

use futures_util::{FutureExt, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::time::{advance, sleep, timeout};

use super::*;
use crate::daemon::traces::Traced;
use crate::engine::memory::{MemoryEngine, Program};
use crate::engine::{EngineError, Events, Heard, Observe, Perform, Scope};
use crate::observed::Observed;
use crate::plan::Step;
use crate::resource::label::{self, Mark, Purpose};
use crate::resource::name::Owner;
use crate::resource::reference::ImageReference;

fn owner() -> Owner {
    "exam".parse().unwrap()
}

fn touch(second: i64, id: &str, manner: Manner) -> Touched {
    let touch = Touch {
        time: Timestamp::from_second(second).unwrap(),
        kind: Kind::Container,
        id: id.to_owned(),
        name: id.to_owned(),
        labelled: None,
        manner,
    };
    Touched { resource: format!("container/{id}").parse().unwrap(), touch }
}

fn kill() -> Manner {
    Manner::Kill("SIGTERM".to_owned())
}

fn told(settled: &Settled) -> Vec<String> {
    settled.touches.iter().map(|Touched { touch, .. }| format!("{} {touch}", touch.id)).collect()
}

/// What has settled of these, some time after the last.
async fn sifted(touches: &[Touched]) -> Vec<String> {
    let sift = Sift::new(Timestamp::UNIX_EPOCH);
    for touch in touches {
        sift.saw(touch.clone(), |_| false);
    }
    sift.settled().await;
    advance(SETTLES_LONG).await;
    told(&sift.take(&Traces::default(), false, true))
}

#[tokio::test(start_paused = true)]
async fn what_is_a_part_of_something_is_told_with_it_alone() {
    let one = |manner| touch(1, "web", manner);
    let restart = [kill(), kill(), Manner::Stop, Manner::Restart].map(one);
    assert_eq!(sifted(&restart).await, ["web restart"]);
    assert_eq!(sifted(&[kill(), Manner::Remove].map(one)).await, ["web remove"]);
    assert_eq!(sifted(&[Manner::Pause, Manner::Commit, Manner::Unpause].map(one)).await, ["web commit"]);
    assert_eq!(sifted(&[Manner::Pause, Manner::Unpause].map(one)).await, ["web pause", "web unpause"]);
    // Somebody sends a signal, and stops it at once.
    let signal = |number: i64, signal: &str| touch(number, "web", Manner::Kill(signal.to_owned()));
    let stop =
        [signal(1, "SIGUSR1"), signal(2, "SIGTERM"), signal(3, "SIGKILL"), touch(4, "web", Manner::Stop)];
    assert_eq!(sifted(&stop).await, ["web kill: SIGUSR1", "web stop"]);
    let others = [touch(1, "web", kill()), touch(1, "db", Manner::Stop)];
    assert_eq!(sifted(&others).await, ["web kill: SIGTERM", "db stop"]);
    // Killed, once it was stopped and somebody else had started it.
    let later = [touch(1, "web", Manner::Stop), touch(2, "web", kill())];
    assert_eq!(sifted(&later).await, ["web stop", "web kill: SIGTERM"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_takes_its_ten_seconds_is_one_thing_and_what_happens_meanwhile_is_told_in_time() {
    let (sift, traces) = (Sift::new(Timestamp::UNIX_EPOCH), Traces::default());
    let now = || told(&sift.take(&traces, false, true));
    let saw = |second, manner| sift.saw(touch(second, "web", manner), |_| false);
    saw(1, kill());
    let begun = Instant::now();
    let mut settled = pin!(sift.settled());
    assert!(settled.as_mut().now_or_never().is_none());
    saw(2, Manner::CopyIn);
    settled.await;
    assert_eq!((now(), begun.elapsed().as_secs()), (vec!["web copy in".to_owned()], SETTLES.as_secs()));
    sleep(Duration::from_secs(8)).await;
    saw(11, Manner::Kill("SIGKILL".to_owned()));
    saw(11, Manner::Stop);
    sift.settled().await;
    assert_eq!(now(), ["web stop"]);
    // A signal after which nothing ends is told all the same.
    saw(20, kill());
    sift.settled().await;
    assert_eq!(now(), ["web kill: SIGTERM"]);
}

#[tokio::test(start_paused = true)]
async fn a_signal_before_a_stop_is_told_whatever_settles_meanwhile() {
    let (sift, traces) = (Sift::new(Timestamp::UNIX_EPOCH), Traces::default());
    let now = || told(&sift.take(&traces, false, true));
    let signal = |second, id: &str, signal: &str| {
        sift.saw(touch(second, id, Manner::Kill(signal.to_owned())), |_| false);
    };
    signal(1, "web", "SIGUSR1");
    sleep(Duration::from_secs(3)).await;
    signal(4, "web", "SIGTERM");
    sift.saw(touch(4, "db", Manner::Exec("sh".to_owned())), |_| false);
    sleep(Duration::from_secs(1)).await;
    signal(5, "web", "SIGKILL");
    sift.saw(touch(5, "web", Manner::Stop), |_| false);
    sift.settled().await;
    assert_eq!(now(), ["db exec: sh"]);
    sift.settled().await;
    assert_eq!(now(), ["web stop"]);
    let settled = timeout(SETTLES_LONG * 2, sift.settled()).await;
    assert_eq!((settled, now()), (Ok(()), vec!["web kill: SIGUSR1".to_owned()]));

    // A restart is told a while after the stop that it begins with.
    signal(20, "web", "SIGHUP");
    signal(21, "web", "SIGTERM");
    sift.saw(touch(22, "web", Manner::Stop), |_| false);
    sleep(Duration::from_secs(1)).await;
    sift.saw(touch(23, "web", Manner::Restart), |_| false);
    for expected in ["web restart", "web kill: SIGHUP"] {
        let settled = timeout(SETTLES_LONG * 2, sift.settled()).await;
        assert_eq!((settled, now()), (Ok(()), vec![expected.to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_ends_is_not_somebody_who_stops_its_containers() {
    let stop = || touch(1, "web", Manner::Stop);
    let sift = Sift::new(Timestamp::UNIX_EPOCH);
    sift.saw(stop(), |_| false);
    sift.saw(touch(1, "db", Manner::Exec("sh".to_owned())), |_| false);
    sift.settled().await;
    assert_eq!(told(&sift.take(&Traces::default(), false, false)), ["db exec: sh"]);
    // It was back before anybody asked.
    sift.saw(stop(), |_| false);
    sift.lost();
    assert_eq!(told(&sift.take(&Traces::default(), true, true)), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_told_once_more_on_another_connection_is_known() {
    let sift = Sift::new(Timestamp::from_second(10).unwrap());
    let stop = |second| sift.saw(touch(second, "web", Manner::Stop), |_| false);
    let count = || sift.take(&Traces::default(), true, true).touches.len();
    // Before the daemon began.
    stop(9);
    assert_eq!(count(), 0);
    stop(20);
    sift.listening();
    stop(20);
    assert_eq!(count(), 1);
    stop(21);
    assert_eq!(count(), 1);
    // However the clock was set meanwhile.
    advance(REPEATS).await;
    stop(5);
    assert_eq!(count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_counted() {
    let sift = Sift::new(Timestamp::UNIX_EPOCH);
    for _ in 0..KEPT_MAX + 7 {
        sift.saw(touch(1, "web", Manner::CopyIn), |_| false);
    }
    let settled = sift.take(&Traces::default(), true, true);
    assert_eq!((settled.touches.len(), settled.more), (KEPT_MAX, 7));
}

/// Steps through the daemon's engine, which leave traces, and by hand, which do not.
struct Stage {
    engine: MemoryEngine,
    traces: Traces,
}

fn create(name: &str, labels: &Value) -> Step {
    let body = json!({"Image": "busybox:1", "Labels": labels, "HostConfig": {}});
    Step::CreateContainer { name: name.to_owned(), body, platform: None }
}

fn ours(name: &str) -> Step {
    create(name, &json!({label::OWNER: "exam", label::RESOURCE: format!("container/{name}")}))
}

impl Stage {
    fn new() -> Self {
        let engine = MemoryEngine::default();
        let reference = "busybox:1".parse().unwrap();
        engine.publish(&reference, json!({}), Program::Runs);
        engine.by_hand(&Step::Pull { reference, platform: None, digest: None, mark: None }).unwrap();
        Self { engine, traces: Traces::default() }
    }

    async fn does(&self, step: &Step) {
        Traced::new(&self.engine, &self.traces).perform(step, &|_| {}).await.unwrap();
    }

    async fn looks(&self) -> Observed {
        let scope = Scope {
            owner: owner(),
            containers: [].into(),
            images: [].into(),
            assembled: [].into(),
            adopted: [].into(),
            at_registries: [].into(),
        };
        Traced::new(&self.engine, &self.traces).observe(&scope).await.unwrap()
    }

    /// What is told of what was done meanwhile.
    fn told(&self, mut events: impl Stream<Item = Result<Heard, EngineError>> + Unpin) -> Vec<String> {
        let sift = Sift::new(Timestamp::UNIX_EPOCH - jiff::SignedDuration::from_secs(1));
        while let Some(Some(Ok(heard))) = events.next().now_or_never() {
            if let Some(container) = heard.turned {
                self.traces.turned(&container);
                sift.turned(container);
            }
            let Some(touch) = heard.touch else { continue };
            let Some(resource) = self.traces.whose(&owner(), &touch) else { continue };
            sift.saw(Touched { resource, touch }, |touched| self.traces.are_of(&touched.touch));
        }
        told(&sift.take(&self.traces, true, true))
            .iter()
            .filter_map(|told| Some(told.split_once(' ')?.1.to_owned()))
            .collect()
    }
}

/// Each thing that can be done to a container, the last of which removes it.
fn steps(web: &str) -> Vec<Step> {
    let web = || web.to_owned();
    vec![
        Step::Put { container: web(), files: Vec::new() },
        Step::Start(web()),
        Step::Pause(web()),
        Step::Unpause(web()),
        Step::Signal { container: web(), signal: "SIGHUP".to_owned() },
        Step::Update { container: web(), body: json!({"Memory": 1 << 26}) },
        Step::Collect { container: web(), path: "/a".to_owned(), archive: "/b".into() },
        Step::Restart(web()),
        Step::Rename { container: web(), to: "other".to_owned() },
        Step::Rename { container: "other".to_owned(), to: web() },
        Step::Stop(web()),
        Step::RemoveContainer(web()),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_the_daemon_does_is_nobodys_from_outside_and_the_same_by_hand_is() {
    let stage = Stage::new();
    let mut events = pin!(stage.engine.events());
    stage.does(&ours("web")).await;
    for step in steps("web") {
        stage.does(&step).await;
    }
    assert_eq!(stage.told(events.as_mut()), [""; 0]);

    // A signal may be told of some moments longer.
    sleep(Duration::from_secs(6)).await;
    stage.engine.by_hand(&ours("web")).unwrap();
    let mut told = Vec::new();
    for step in steps("web") {
        stage.engine.by_hand(&step).unwrap();
        told.extend(stage.told(events.as_mut()));
    }
    assert_eq!(
        told,
        [
            "copy in",
            "pause",
            "unpause",
            "kill: SIGHUP",
            "update",
            "copy out",
            "restart",
            "rename: web -> other",
            "rename: other -> web",
            "stop",
            "remove",
        ]
    );
}

fn leave(container: &str) -> Step {
    Step::Disconnect { container: container.to_owned(), network: "exam".to_owned() }
}

fn join(container: &str) -> Step {
    Step::Connect { container: container.to_owned(), network: "exam".to_owned(), endpoint: json!({}) }
}

fn network() -> Step {
    let labels = json!({label::OWNER: "exam", label::RESOURCE: "network/exam"});
    Step::CreateNetwork { name: "exam".parse().unwrap(), spec: Box::default(), labels }
}

#[tokio::test(start_paused = true)]
async fn who_joins_and_leaves_networks_by_hand_is_told_from_the_daemon_and_from_what_each_start_and_end_does()
{
    let stage = Stage::new();
    let mut events = pin!(stage.engine.events());
    for step in [network(), ours("web"), Step::Start("web".to_owned())] {
        stage.does(&step).await;
    }
    assert_eq!(stage.told(events.as_mut()), [""; 0]);
    stage.looks().await;
    stage.does(&leave("web")).await;
    stage.does(&join("web")).await;
    assert_eq!(stage.told(events.as_mut()), [""; 0]);
    sleep(SETTLES_LONG).await;
    // Docker tells twice that it left.
    for step in [leave("web"), leave("web"), join("web")] {
        stage.engine.by_hand(&step).unwrap();
    }
    assert_eq!(stage.told(events.as_mut()), ["disconnect: exam", "connect: exam"]);
    // An engine tells that it left the network before or after it tells the end.
    for steps in [[leave("web"), Step::Stop("web".to_owned())], [Step::Stop("web".to_owned()), leave("web")]]
    {
        for step in steps {
            stage.engine.by_hand(&step).unwrap();
        }
        assert_eq!(stage.told(events.as_mut()), ["stop"]);
        stage.engine.by_hand(&Step::Start("web".to_owned())).unwrap();
        assert_eq!(stage.told(events.as_mut()), [""; 0]);
        stage.looks().await;
    }
    // What does not run joins as it is started, however long that takes, and leaves as that fails.
    stage.engine.by_hand(&Step::Stop("web".to_owned())).unwrap();
    assert_eq!(stage.told(events.as_mut()), ["stop"]);
    for _ in 0..2 {
        sleep(SETTLES_LONG * 2).await;
        stage.engine.by_hand(&join("web")).unwrap();
        stage.engine.by_hand(&leave("web")).unwrap();
        assert_eq!(stage.told(events.as_mut()), [""; 0]);
        stage.looks().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_left_a_network_by_its_end_is_not_told_when_another_ends_before_it_is_judged() {
    let sift = Sift::new(Timestamp::UNIX_EPOCH);
    for (is_before, waits) in [(true, 12_950), (false, 100)] {
        if is_before {
            sift.turned("web".to_owned());
            advance(Duration::from_millis(100)).await;
        }
        sift.saw(touch(1, "web", Manner::Disconnect("exam".to_owned())), |_| false);
        advance(Duration::from_millis(waits)).await;
        sift.turned(if is_before { "other" } else { "web" }.to_owned());
        advance(SETTLES_LONG).await;
        assert_eq!(told(&sift.take(&Traces::default(), false, true)), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_begin_and_end_at_once_what_is_known_of_them_is_bounded_and_nobody_is_accused() {
    let sift = Sift::new(Timestamp::UNIX_EPOCH);
    let leaves = Manner::Disconnect("exam".to_owned());
    sift.saw(touch(1, "web", leaves.clone()), |_| false);
    for number in 0..=TURNED_MAX {
        sift.turned(format!("c{number}"));
        assert!(sift.state().turned.len() <= TURNED_MAX);
    }
    // Nor who is told late to have left.
    sift.saw(touch(2, "c1", leaves.clone()), |_| false);
    assert_eq!(told(&sift.take(&Traces::default(), true, true)), [""; 0]);
    advance(SETTLES_LONG + SETTLES).await;
    sift.saw(touch(60, "c1", leaves), |_| false);
    assert_eq!(told(&sift.take(&Traces::default(), true, true)), ["c1 disconnect: exam"]);
}

#[tokio::test(start_paused = true)]
async fn networks_and_images_that_are_taken_away_by_hand_are_told_and_not_those_that_the_daemon_takes_away() {
    let stage = Stage::new();
    let mut events = pin!(stage.engine.events());
    let (owner, reference): (_, ImageReference) = (owner(), "tool:1".parse().unwrap());
    stage.engine.publish(&reference, json!({"Tool": 1}), Program::Runs);
    let purpose = Purpose::Resource("tool".parse().unwrap());
    let mark = Mark { owner: owner.clone(), purpose, set: [reference.clone()].into(), base: None };
    let pull = || Step::Pull {
        reference: reference.clone(),
        platform: None,
        digest: None,
        mark: Some(mark.clone()),
    };
    for is_daemon in [true, false] {
        for step in [network(), pull()] {
            stage.does(&step).await;
        }
        let observed = stage.looks().await;
        let network = observed.networks.iter().find(|one| one.name == "exam").unwrap().id.as_str().to_owned();
        let image =
            observed.images.iter().find(|one| one.references.contains(&reference)).unwrap().id.clone();
        // A tag of somebody else's, on our image.
        let other: ImageReference = "copy:1".parse().unwrap();
        let tag = Step::Tag { image: vec![image.as_str().to_owned()], tags: vec![other.clone()], mark: None };
        stage.engine.by_hand(&tag).unwrap();
        stage.looks().await;
        stage.engine.by_hand(&Step::Untag { image: image.clone(), tag: other }).unwrap();
        stage.looks().await;
        assert_eq!(stage.told(events.as_mut()), [""; 0]);
        for step in
            [Step::RemoveNetwork(network), Step::Untag { image: image.clone(), tag: reference.clone() }]
        {
            if is_daemon {
                stage.does(&step).await;
            } else {
                stage.engine.by_hand(&step).unwrap();
                // A look that goes on meanwhile does not show it any more before the engine has told.
                stage.looks().await;
            }
        }
        let told = stage.told(events.as_mut());
        assert_eq!(told, if is_daemon { &[][..] } else { &["remove", "untag"] });
        sleep(Duration::from_secs(6)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_daemon_does_one_thing_others_who_do_another_are_seen() {
    let stage = Stage::new();
    let mut events = pin!(stage.engine.events());
    stage.does(&ours("web")).await;
    stage.does(&ours("db")).await;
    stage.does(&Step::Start("web".to_owned())).await;
    stage.does(&Step::Pause("web".to_owned())).await;
    stage.engine.by_hand(&Step::Unpause("web".to_owned())).unwrap();
    stage.engine.by_hand(&Step::Start("db".to_owned())).unwrap();
    stage.engine.by_hand(&Step::Pause("db".to_owned())).unwrap();
    assert_eq!(stage.told(events.as_mut()), ["unpause", "pause"]);
    // Nor is the same again taken for what the daemon has done.
    stage.engine.by_hand(&Step::Pause("web".to_owned())).unwrap();
    assert_eq!(stage.told(events.as_mut()), ["pause"]);
}

#[tokio::test(start_paused = true)]
async fn a_step_is_the_daemons_for_as_long_as_it_takes() {
    let stage = Stage::new();
    let mut events = pin!(stage.engine.events());
    stage.does(&ours("web")).await;
    stage.does(&Step::Start("web".to_owned())).await;
    stage.engine.slow_down(Duration::from_mins(10));
    stage.does(&Step::Stop("web".to_owned())).await;
    assert_eq!(stage.told(events.as_mut()), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_look_reads_of_containers_that_never_ran_is_the_daemons() {
    let stage = Stage::new();
    let mut events = pin!(stage.engine.events());
    let read = |name: &str| Step::Collect {
        container: name.to_owned(),
        path: "/a".to_owned(),
        archive: "/b".into(),
    };
    for name in ["web", "new"] {
        stage.engine.by_hand(&ours(name)).unwrap();
    }
    stage.engine.by_hand(&Step::Start("web".to_owned())).unwrap();
    stage.looks().await;
    stage.engine.by_hand(&read("new")).unwrap();
    assert_eq!(stage.told(events.as_mut()), [""; 0]);
    stage.engine.by_hand(&read("web")).unwrap();
    assert_eq!(stage.told(events.as_mut()), ["copy out"]);
}

#[tokio::test(start_paused = true)]
async fn law_8_what_bears_the_label_of_another_owner_is_not_looked_at() {
    let stage = Stage::new();
    let mut events = pin!(stage.engine.events());
    let labels = json!({label::OWNER: "somebody", label::RESOURCE: "container/web"});
    stage.engine.by_hand(&create("web", &labels)).unwrap();
    stage.engine.by_hand(&Step::Start("web".to_owned())).unwrap();
    assert_eq!(stage.told(events.as_mut()), [""; 0]);
    stage.looks().await;
    stage.engine.by_hand(&Step::Pause("web".to_owned())).unwrap();
    stage.engine.by_hand(&leave("web")).unwrap();
    assert_eq!(stage.told(events.as_mut()), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn law_8_who_has_our_labels_from_an_image_is_not_ours() {
    let stage = Stage::new();
    stage.engine.by_hand(&ours("web")).unwrap();
    let image = "somebodys:1".parse().unwrap();
    stage.engine.commit("web", &image).unwrap();
    stage.engine.run_foreign("copy", json!({"Image": "somebodys:1", "HostConfig": {}})).unwrap();
    stage.looks().await;
    let mut events = pin!(stage.engine.events());
    stage.engine.by_hand(&Step::Pause("copy".to_owned())).unwrap();
    assert_eq!(stage.told(events.as_mut()), [""; 0]);
}
