use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::assembly::on_base::PaperLayer;
use crate::desired::{Decided, OnBase};
use crate::engine::memory::{MemoryEngine, Program};
use crate::engine::{Observe, Progress, Scope, Stage};
use crate::observed::Observed;
use crate::plan::{Await, Step};
use crate::problemset::paper::Paper;
use crate::resource::label::{Mark, Purpose};

/// An engine with containers `a1` to `a9`, made and not started.
fn engine() -> MemoryEngine {
    let engine = MemoryEngine::default();
    let image = "web:1".parse().expect("a reference");
    engine.publish(&image, json!({}), Program::Runs);
    engine
        .by_hand(&Step::Pull { reference: image, platform: None, digest: None, mark: None })
        .expect("pulled");
    for number in 1..=9 {
        let create = Step::CreateContainer {
            name: format!("a{number}"),
            body: json!({"Image": "web:1"}),
            platform: None,
        };
        engine.by_hand(&create).expect("made");
    }
    engine
}

fn id(name: &str) -> ResourceId {
    format!("container/{name}").parse().expect("a resource")
}

fn start(name: &str, needs: &[usize]) -> Node {
    let step = Step::Start(name.to_owned());
    Node {
        step,
        resources: vec![id(name)],
        changes: Vec::new(),
        needs: needs.to_vec(),
        rescue: Vec::new(),
        undoes: Vec::new(),
        instead: Vec::new(),
    }
}

fn plan(nodes: Vec<Node>) -> Plan {
    Plan { nodes, ..Plan::default() }
}

async fn walk(plan: &Plan, engine: &MemoryEngine, parallelism: usize) -> Outcomes {
    let (_stop, watched) = watch::channel(false);
    execute(plan, engine, parallelism, &watched, &|_| {}).await
}

fn names(ids: &BTreeSet<ResourceId>) -> Vec<&str> {
    ids.iter().map(|id| id.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn no_more_steps_are_in_flight_than_was_said() {
    let nodes: Vec<Node> = (1..=9).map(|number| start(&format!("a{number}"), &[])).collect();
    for parallelism in [1, 4, 9] {
        let engine = engine();
        engine.slow_down(Duration::from_secs(1));
        let outcomes = walk(&plan(nodes.clone()), &engine, parallelism).await;
        assert!(outcomes.is_success());
        assert_eq!(outcomes.done.len(), 9);
        assert_eq!(engine.most_in_flight(), parallelism);
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_waits_holds_no_place_unless_there_is_but_one() {
    let wait = |name: &str| Node {
        step: Step::Await { container: name.to_owned(), until: Await::Healthy },
        ..start(name, &[])
    };
    let mut nodes: Vec<Node> = (1..=6).map(|number| wait(&format!("a{number}"))).collect();
    nodes.extend([start("a7", &[]), start("a8", &[]), start("a9", &[])]);
    for (parallelism, most) in [(1, 1), (2, 8)] {
        let engine = engine();
        engine.slow_down(Duration::from_secs(1));
        walk(&plan(nodes.clone()), &engine, parallelism).await;
        assert_eq!(engine.most_in_flight(), most);
    }
}

#[tokio::test(start_paused = true)]
async fn papers_on_images_take_no_more_than_one_place() {
    let engine = engine();
    engine.slow_down(Duration::from_secs(1));
    let paper = |number: usize| {
        let (name, language) = (format!("set-{number}"), "en".to_owned());
        let paper =
            Paper { format_version: 1, title: name.clone(), name: name.clone(), language, items: Vec::new() };
        let image = OnBase {
            paper: PaperLayer::assemble(&paper).expect("a layer"),
            base: "web:1".parse().expect("a reference"),
            decided: Decided::ByEngine,
        };
        let purpose = Purpose::Resource(name.parse().expect("a name"));
        let mark = Mark { owner: "default".parse().expect("an owner"), purpose, set: [].into(), base: None };
        let step = Step::LoadOnBase { image: Box::new(image), mark };
        let id = format!("image/{name}").parse().expect("a resource");
        Node {
            step,
            resources: vec![id],
            changes: Vec::new(),
            needs: Vec::new(),
            rescue: Vec::new(),
            undoes: Vec::new(),
            instead: Vec::new(),
        }
    };
    let mut nodes: Vec<Node> = (1..=4).map(paper).collect();
    nodes.extend([start("a1", &[]), start("a2", &[])]);
    let begun = tokio::time::Instant::now();
    let times = Mutex::new(Vec::new());
    let (_stop, watched) = watch::channel(false);
    let outcomes = execute(&plan(nodes), &engine, 2, &watched, &|event| {
        if let Event::Started(index, _) = event {
            times.lock().expect("a lock").push((begun.elapsed().as_secs(), index));
        }
    })
    .await;
    assert!(outcomes.is_success(), "{outcomes:?}");
    assert_eq!(*times.lock().expect("a lock"), [(0, 0), (0, 4), (1, 1), (1, 5), (2, 2), (3, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_step_begins_when_what_it_needs_is_done_and_not_before() {
    let engine = engine();
    engine.slow_down(Duration::from_secs(1));
    let begun = tokio::time::Instant::now();
    let plan = plan(vec![start("a1", &[]), start("a2", &[0]), start("a3", &[0, 1]), start("a4", &[])]);
    let times = Mutex::new(Vec::new());
    let (_stop, watched) = watch::channel(false);
    execute(&plan, &engine, 4, &watched, &|event| {
        if let Event::Started(index, node) = event {
            times.lock().expect("a lock").push((begun.elapsed().as_secs(), index, node.step.to_string()));
        }
    })
    .await;
    let expected = [(0, 0, "start a1"), (0, 3, "start a4"), (1, 1, "start a2"), (2, 2, "start a3")];
    let expected = expected.map(|(second, index, step)| (second, index, step.to_owned()));
    assert_eq!(*times.lock().expect("a lock"), expected);
}

#[tokio::test]
async fn a_failure_stops_what_needs_it_and_nothing_else() {
    let engine = engine();
    engine.refuse_step("start a1");
    let plan = plan(vec![start("a1", &[]), start("a2", &[0]), start("a3", &[1]), start("a4", &[])]);
    let outcomes = walk(&plan, &engine, 1).await;
    assert!(!outcomes.is_success());
    assert_eq!(names(&outcomes.done), ["a4"]);
    assert_eq!(outcomes.failed, [(id("a1"), "start a1: told to fail".to_owned())].into());
    assert_eq!(names(&outcomes.skipped), ["a2", "a3"]);
    assert_eq!(engine.take_log(), ["start a1", "start a4"]);
    assert!(!outcomes.engine_lost);
}

#[tokio::test]
async fn a_resource_that_failed_is_not_done_although_another_step_of_it_was() {
    let engine = engine();
    engine.refuse_step("wait until a1 stays up");
    let mut wait = start("a1", &[0]);
    wait.step = Step::Await { container: "a1".to_owned(), until: Await::Completed };
    let mut remove = start("a1", &[1]);
    remove.step = Step::RemoveContainer("a2".to_owned());
    let outcomes = walk(&plan(vec![start("a1", &[]), wait, remove]), &engine, 1).await;
    assert_eq!(names(&outcomes.done), Vec::<&str>::new());
    assert_eq!(names(&outcomes.skipped), Vec::<&str>::new());
    assert_eq!(outcomes.failed.len(), 1);
    assert!(engine.inspect("a2").is_some(), "a predecessor goes only after its successor was proved");
}

#[tokio::test(start_paused = true)]
async fn when_it_is_time_to_stop_steps_in_flight_are_finished_and_none_is_begun() {
    let engine = engine();
    engine.slow_down(Duration::from_secs(10));
    let (stop, watched) = watch::channel(false);
    let plan = plan(vec![start("a1", &[]), start("a2", &[]), start("a3", &[]), start("a4", &[0])]);
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send(true).expect("somebody listens");
    };
    let (outcomes, ()) = tokio::join!(execute(&plan, &engine, 2, &watched, &|_| {}), stopping);
    assert_eq!(names(&outcomes.done), ["a1", "a2"]);
    assert_eq!(names(&outcomes.skipped), ["a3", "a4"]);
    assert!(outcomes.failed.is_empty());
    assert_eq!(engine.take_log(), ["start a1", "start a2"]);
}

#[tokio::test]
async fn once_the_engine_is_lost_nothing_more_is_begun() {
    let engine = engine();
    engine.lose_from_call(1);
    let outcomes = walk(&plan(vec![start("a1", &[]), start("a2", &[]), start("a3", &[])]), &engine, 1).await;
    assert!(outcomes.engine_lost);
    assert_eq!(names(&outcomes.done), ["a1"]);
    assert_eq!(outcomes.failed[&id("a2")], "no engine answers at memory: told to vanish");
    assert_eq!(names(&outcomes.skipped), ["a3"]);
    assert_eq!(engine.take_log(), ["start a1", "start a2"]);
}

#[tokio::test]
async fn law_7_a_failed_step_is_undone_in_order_and_every_part_is_tried() {
    let engine = engine();
    engine.refuse_step("start a1");
    let mut node = start("a1", &[]);
    node.rescue = vec![
        Step::RemoveContainer("a1".to_owned()),
        Step::Rename { container: "gone".to_owned(), to: "a1".to_owned() },
        Step::Start("a2".to_owned()),
    ];
    let told = Mutex::new(Vec::new());
    let (_stop, watched) = watch::channel(false);
    let outcomes = execute(&plan(vec![node]), &engine, 1, &watched, &|event| {
        if let Event::Rescued(index, _, result) = event {
            told.lock().expect("a lock").push((index, result));
        }
    })
    .await;
    assert_eq!(engine.take_log(), ["start a1", "remove container a1", "rename gone to a1", "start a2"]);
    assert_eq!(
        *told.lock().expect("a lock"),
        [(0, Err("rename gone to a1: no such container: gone".to_owned()))]
    );
    assert_eq!(outcomes.failed[&id("a1")], "start a1: told to fail", "a rescue is no success");
    assert_eq!(engine.inspect("a2").expect("it is there")["State"]["Status"], "running");
}

#[tokio::test]
async fn law_7_what_has_come_to_no_result_is_left_as_it_is_and_neither_done_nor_failed() {
    struct Patient(MemoryEngine);
    impl Observe for Patient {
        async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
            self.0.observe(scope).await
        }
    }
    impl Perform for Patient {
        async fn perform(&self, step: &Step, progress: &Progress<'_>) -> Result<(), EngineError> {
            match step {
                Step::Await { .. } => Err(EngineError::Undecided),
                step => self.0.perform(step, progress).await,
            }
        }
    }
    let until = crate::plan::Await::Healthy;
    let wait = Step::Await { container: "a1".to_owned(), until };
    let mut node = node("container/a1", wait, &[0]);
    node.rescue = vec![Step::RemoveContainer("a1".to_owned())];
    let engine = Patient(engine());
    let (_stop, watched) = watch::channel(false);
    let plan = plan(vec![start("a1", &[]), node, start("a2", &[1]), start("a3", &[])]);
    let outcomes = execute(&plan, &engine, 1, &watched, &|_| {}).await;
    assert_eq!(engine.0.take_log(), ["start a1", "start a3"]);
    assert!(outcomes.undecided && outcomes.failed.is_empty());
    assert_eq!(names(&outcomes.done), ["a3"]);
    assert_eq!(names(&outcomes.skipped), ["a1", "a2"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_long_step_is_at_is_heard() {
    let engine = engine();
    engine.slow_down(Duration::from_secs(1));
    let heard = Mutex::new(Vec::new());
    let (_stop, watched) = watch::channel(false);
    execute(&plan(vec![start("a1", &[])]), &engine, 1, &watched, &|event| {
        if let Event::Progress(index, _, text) = event {
            heard.lock().expect("a lock").push((index, text.to_string()));
        }
    })
    .await;
    assert_eq!(*heard.lock().expect("a lock"), [(0, "halfway".to_owned())]);
}

/// Says one thing of every step.
struct Talkative(&'static str);

impl Observe for Talkative {
    async fn observe(&self, _: &Scope) -> Result<Observed, EngineError> {
        Ok(Observed::default())
    }
}

impl Perform for Talkative {
    async fn perform(&self, _: &Step, progress: &Progress<'_>) -> Result<(), EngineError> {
        progress(Stage::of(self.0));
        Ok(())
    }
}

#[tokio::test]
async fn law_12_what_a_step_is_at_is_told_without_secrets() {
    let heard = Mutex::new(Vec::new());
    let (_stop, watched) = watch::channel(false);
    let said = Talkative("step 3/5: ENV DB_PASSWORD=canary AT=https://u:canary@h/x");
    execute(&plan(vec![start("a1", &[])]), &said, 1, &watched, &|event| {
        if let Event::Progress(_, _, text) = event {
            heard.lock().expect("a lock").push(text.to_string());
        }
    })
    .await;
    let told = "step 3/5: ENV DB_PASSWORD=(hidden) AT=https://u:(hidden)@h/x";
    assert_eq!(*heard.lock().expect("a lock"), [told]);
}

/// Does everything, in a second, and remembers it.
#[derive(Default)]
struct Slow(Mutex<Vec<String>>);

impl Observe for Slow {
    async fn observe(&self, _: &Scope) -> Result<Observed, EngineError> {
        Ok(Observed::default())
    }
}

impl Perform for Slow {
    async fn perform(&self, step: &Step, _: &Progress<'_>) -> Result<(), EngineError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.lock().unwrap().push(step.to_string());
        Ok(())
    }
}

fn node(resource: &str, step: Step, needs: &[usize]) -> Node {
    let resources = vec![resource.parse().expect("a resource")];
    Node {
        step,
        resources,
        changes: Vec::new(),
        needs: needs.to_vec(),
        rescue: Vec::new(),
        undoes: Vec::new(),
        instead: Vec::new(),
    }
}

/// Walks a plan that is asked to stop while its first steps are done, and tells what was done all the same.
async fn stopped_in_the_first_step(plan: &Plan) -> (Outcomes, Vec<String>) {
    let engine = Slow::default();
    let (stop, stopping) = watch::channel(false);
    let ask = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.send_replace(true);
    };
    let (outcomes, ()) = tokio::join!(execute(plan, &engine, 2, &stopping, &|_| {}), ask);
    (outcomes, engine.0.into_inner().expect("nobody panicked"))
}

#[tokio::test(start_paused = true)]
async fn law_11_a_stop_ends_what_is_interrupted_and_begins_nothing_else() {
    let plan = Plan {
        nodes: vec![
            node("container/web", Step::Stop("web".to_owned()), &[]),
            node("container/db", Step::Update { container: "db".to_owned(), body: "{}".into() }, &[]),
            node("container/db", Step::Start("db".to_owned()), &[1]),
            node("container/web", Step::Start("web-next".to_owned()), &[0]),
            node("container/old", Step::Stop("old".to_owned()), &[]),
        ],
        ..Plan::default()
    };
    let (outcomes, did) = stopped_in_the_first_step(&plan).await;
    assert_eq!(did.len(), 3, "{did:?}");
    assert!(did[2].starts_with("start") && did[2].contains("web-next"), "{did:?}");
    let names = |ids: &BTreeSet<ResourceId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&outcomes.done), ["container/web"]);
    assert_eq!(names(&outcomes.skipped), ["container/db", "container/old"]);
}

#[tokio::test(start_paused = true)]
async fn law_11_a_stop_leaves_no_container_under_another_name() {
    let aside = Step::Rename { container: "web".to_owned(), to: "web.invigil-prev".to_owned() };
    let plan = Plan {
        nodes: vec![
            node("container/web", aside, &[]),
            node("container/web", Step::Stop("web".to_owned()), &[0]),
            node("container/web", Step::Start("web-next".to_owned()), &[1]),
        ],
        ..Plan::default()
    };
    let (outcomes, did) = stopped_in_the_first_step(&plan).await;
    assert_eq!(did, ["rename web to web.invigil-prev", "stop web", "start web-next"]);
    assert!(outcomes.is_success());
}

#[tokio::test(start_paused = true)]
async fn law_11_a_stop_leaves_nobody_behind_whom_what_is_interrupted_waits_for() {
    let plan = Plan {
        nodes: vec![
            node("container/web", Step::Stop("web".to_owned()), &[]),
            node("container/side", Step::Stop("side".to_owned()), &[0]),
            node("container/side", Step::Start("side-next".to_owned()), &[1]),
            node("container/web", Step::RemoveContainer("web".to_owned()), &[2]),
            node("container/other", Step::Stop("other".to_owned()), &[0]),
        ],
        ..Plan::default()
    };
    let (outcomes, did) = stopped_in_the_first_step(&plan).await;
    assert_eq!(did, ["stop web", "stop side", "start side-next", "remove container web"]);
    assert_eq!(names(&outcomes.skipped), ["other"]);
}

#[tokio::test(start_paused = true)]
async fn law_11_a_stop_leaves_no_container_off_its_network() {
    let (web, exam) = (|| "web".to_owned(), || "exam".to_owned());
    let leave = Step::Disconnect { container: web(), network: exam() };
    let join = Step::Connect { container: web(), network: exam(), endpoint: json!({}) };
    let plan = Plan {
        nodes: vec![
            node("network/exam", leave, &[]),
            node("network/exam", Step::RemoveNetwork(exam()), &[0]),
            node("network/exam", join, &[1]),
        ],
        ..Plan::default()
    };
    let (outcomes, did) = stopped_in_the_first_step(&plan).await;
    assert_eq!(did, ["disconnect web from exam", "remove network exam", "connect web to exam"]);
    assert!(outcomes.is_success());
}

#[tokio::test]
async fn what_is_instead_of_others_is_done_only_where_one_of_them_fails() {
    for (refused, done) in [(None, "start a1, start a2"), (Some("start a1"), "start a1, start a3, pause a3")]
    {
        let engine = engine();
        if let Some(step) = refused {
            engine.refuse_step(step);
        }
        let instead = Node { instead: vec![0, 1], ..start("a3", &[]) };
        let pause = Node { step: Step::Pause("a3".to_owned()), needs: vec![2], ..instead.clone() };
        let nodes = vec![start("a1", &[]), start("a2", &[0]), instead, pause];
        let outcomes = walk(&plan(nodes), &engine, 4).await;
        assert_eq!(engine.take_log().join(", "), done);
        assert_eq!(outcomes.is_success(), refused.is_none(), "{outcomes:?}");
    }
}

#[tokio::test]
async fn what_follows_another_is_left_alone_where_that_one_could_not_be_put_back() {
    for refused in [false, true] {
        let engine = engine();
        for name in ["a2", "a3"] {
            engine.by_hand(&Step::Start(name.to_owned())).expect("started");
        }
        engine.refuse_step("start a1");
        let mut failing = start("a1", &[]);
        failing.rescue = vec![Step::Start(if refused { "nobody" } else { "a2" }.to_owned())];
        let follows = Node { step: Step::Restart("a3".to_owned()), instead: vec![0], ..start("a3", &[]) };
        walk(&plan(vec![failing, follows]), &engine, 1).await;
        let log = engine.take_log();
        assert_eq!(log.contains(&"restart a3".to_owned()), !refused, "{log:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn law_11_who_follows_what_was_put_back_does_so_though_it_is_time_to_stop() {
    let engine = engine();
    engine.by_hand(&Step::Start("a2".to_owned())).expect("started");
    engine.slow_down(Duration::from_secs(10));
    engine.refuse_step("start a1");
    let follows = Node { step: Step::Restart("a2".to_owned()), instead: vec![0], ..start("a2", &[]) };
    let plan = plan(vec![start("a1", &[]), follows, start("a3", &[])]);
    let (stop, watched) = watch::channel(false);
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send(true).expect("somebody listens");
    };
    let (_, ()) = tokio::join!(execute(&plan, &engine, 1, &watched, &|_| {}), stopping);
    assert_eq!(engine.take_log(), ["start a1", "restart a2"]);
}
