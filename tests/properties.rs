//! What holds of every plan, whatever is wanted and whatever an operator did in between: the laws,
//! proved on random histories of an engine in memory.

use std::collections::{BTreeMap, BTreeSet};

use invigil::assembly::on_base::PaperLayer;
use invigil::assembly::{ExamServer, PaperImage};
use invigil::desired::{Decided, Desired, DesiredContainer, DesiredImage, ImageOrigin, OnBase};
use invigil::diff::{Budget, diff, taken_over};
use invigil::engine::memory::{Doing, MemoryEngine, Moment, Program};
use invigil::engine::{Observe, Scope};
use invigil::execute::{Outcomes, execute};
use invigil::observed::{LiveStatus, Observed};
use invigil::plan::{Palette, Plan, Step};
use invigil::problemset::set::ProblemSet;
use invigil::resource::container::{ContainerSpec, PlacedFile};
use invigil::resource::name::{Name, Owner};
use invigil::resource::network::NetworkSpec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What a container is to be, in small numbers. Its name and what it may share with others follow from
/// its place.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one thing that a spec may ask for")]
struct Wish {
    image: u8,
    env: Option<u8>,
    port: bool,
    networks: u8,
    bind: bool,
    memory: Option<u8>,
    pids: Option<u8>,
    restart: bool,
    state: u8,
    depends_on: Option<u8>,
    shares: bool,
}

/// What should be there: a wish for each of six places, and which paper there is.
#[derive(Debug, Clone)]
struct Wishes {
    containers: Vec<Option<Wish>>,
    paper: Option<u8>,
    /// How far every container's port is moved: they take over each other's.
    shift: u8,
}

/// What an operator does behind Invigil's back, to one of six containers.
#[derive(Debug, Clone, Copy)]
enum Hand {
    Stop,
    Pause,
    Remove,
    Rename,
    Limit,
    Disconnect,
}

fn wish() -> impl Strategy<Value = Wish> {
    let first = (0..4_u8, prop::option::of(0..3_u8), any::<bool>(), 0..4_u8, any::<bool>());
    let second = (
        prop::option::of(1..3_u8),
        prop::option::of(1..3_u8),
        any::<bool>(),
        0..6_u8,
        prop::option::of(0..6_u8),
        prop::bool::weighted(0.2),
    );
    (first, second).prop_map(
        |((image, env, port, networks, bind), (memory, pids, restart, state, depends_on, shares))| Wish {
            image,
            env,
            port,
            networks,
            bind,
            memory,
            pids,
            restart,
            state,
            depends_on,
            shares,
        },
    )
}

fn wishes() -> impl Strategy<Value = Wishes> {
    let containers = prop::collection::vec(prop::option::weighted(0.7, wish()), 6);
    (containers, prop::option::of(0..6_u8), 0..3_u8).prop_map(|(containers, paper, shift)| Wishes {
        containers,
        paper,
        shift,
    })
}

fn hands() -> impl Strategy<Value = Vec<(usize, Hand)>> {
    let hand = prop_oneof![
        Just(Hand::Stop),
        Just(Hand::Pause),
        Just(Hand::Remove),
        Just(Hand::Rename),
        Just(Hand::Limit),
        Just(Hand::Disconnect),
    ];
    prop::collection::vec((0..6_usize, hand), 0..4)
}

fn name(index: usize) -> Name {
    format!("seat-{index}").parse().expect("a name")
}

/// Enough to remove everything: that removals are withheld has tests of its own.
const BUDGET: Budget = Budget { count: usize::MAX, share: 100, approved: None };

fn owner() -> Owner {
    "default".parse().expect("an owner")
}

/// One of two papers, on Invigil's exam server or on one of two images.
fn paper(variant: u8) -> ImageOrigin {
    let (on, variant) = (variant / 2, variant % 2);
    let spec = serde_json::from_value(json!({
        "title": "Midterm",
        "items": [{
            "id": "1", "type": "single_choice", "prompt": format!("1+{variant}=?"), "key": {"choices": ["A"]},
            "choices": [{"id": "A", "text": "1"}, {"id": "B", "text": "2"}],
        }],
    }));
    let (set, violations) = ProblemSet::new("midterm", &spec.expect("a problem set"));
    let set = set.unwrap_or_else(|| panic!("{violations:?}"));
    if on == 0 {
        let server = ExamServer::new(b"not a real server");
        return ImageOrigin::Paper(PaperImage::assemble(&server, &set.paper).expect("an image"));
    }
    let paper = PaperLayer::assemble(&set.paper).expect("a layer");
    let base = format!("well:{on}").parse().expect("a reference");
    ImageOrigin::OnBase(Box::new(OnBase { paper, base, decided: Decided::ByEngine }))
}

/// The images that wishes choose from: two without, one with a health check and a volume, and the paper.
const IMAGES: [&str; 4] = ["plain:1", "plain:2", "well:1", "midterm:latest"];

impl Wish {
    fn image(&self, paper: Option<u8>) -> &'static str {
        let is_there = paper.is_some() || IMAGES[usize::from(self.image)] != "midterm:latest";
        if is_there { IMAGES[usize::from(self.image)] } else { IMAGES[0] }
    }

    fn is_checked(&self, paper: Option<u8>) -> bool {
        ["well:1", "midterm:latest"].contains(&self.image(paper))
    }

    fn runs(&self) -> bool {
        self.state < 4
    }

    /// A file that restarts, or replaces, when it changes.
    fn files(&self) -> Vec<PlacedFile> {
        let Some(pids) = self.pids else { return Vec::new() };
        let on_change = ["replace", "restart", "SIGHUP"][usize::from(self.image) % 3];
        let file = json!({"path": "/etc/exam.conf", "onChange": on_change});
        vec![PlacedFile::new(&serde_json::from_value(file).expect("a file"), &[pids])]
    }

    fn spec(&self, index: usize, all: &Wishes) -> ContainerSpec {
        let other = |index: usize| all.containers.get(index).and_then(Option::as_ref);
        let mut spec = json!({"image": self.image(all.paper)});
        if let Some(env) = self.env {
            spec["env"] = json!({"A": env.to_string(), "TOKEN": format!("secret-{env}")});
        }
        if self.bind {
            spec["binds"] = json!(["/srv:/srv", format!("volume-{index}:/volume")]);
        }
        if let Some(memory) = self.memory {
            spec["resources"]["memory"] = json!(format!("{}Mi", 64 * u32::from(memory)));
        }
        if let Some(pids) = self.pids {
            spec["resources"]["pidsLimit"] = json!(pids);
        }
        if self.restart {
            spec["restartPolicy"] = json!("always");
        }
        // Another token in another round.
        if self.env.is_some() {
            spec["restartToken"] = json!(all.shift.to_string());
        }
        if !self.runs() {
            spec["state"] = json!(["stopped", "created"][usize::from(self.state - 4)]);
        }
        // The first container is the one whose network is shared, and runs for those that share it.
        let shares = self.shares && index > 0 && self.runs() && other(0).is_some_and(Wish::runs);
        if shares {
            spec["networkMode"] = json!("container:seat-0");
        } else {
            if self.port {
                spec["ports"] = json!([format!("{}:80", 8000 + (index + usize::from(all.shift)) % 8)]);
            }
            let networks: Vec<&str> = ["exam", "lab"]
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| self.networks & (1 << bit) != 0)
                .map(|(_, network)| network)
                .collect();
            spec["networks"] = json!(networks);
        }
        if self.state == 1 && !self.port {
            spec["update"] = json!({"order": "startFirst"});
        }
        let dependency = self.depends_on.map(usize::from).filter(|on| *on < index);
        if let Some((on, there)) = dependency.and_then(|on| Some((on, other(on)?))) {
            let condition = if there.runs() && there.is_checked(all.paper) { "healthy" } else { "started" };
            spec["dependsOn"] = json!([{"container": name(on), "condition": condition}]);
        }
        serde_json::from_value(spec).expect("a spec")
    }
}

impl Wishes {
    fn desired(&self) -> Desired {
        let mut desired = Desired::default();
        for (index, wish) in self.containers.iter().enumerate() {
            let Some(wish) = wish else { continue };
            let spec = wish.spec(index, self);
            for network in &spec.networks {
                let internal = Some(self.shift % 2 == 1);
                desired
                    .networks
                    .insert(network.name.clone(), NetworkSpec { internal, ..NetworkSpec::default() });
            }
            let files = wish.files();
            let reference = spec.image.clone().expect("an image");
            let image = (reference.repository() == "midterm").then(|| "midterm".parse().expect("a name"));
            desired.containers.insert(
                name(index),
                Box::new(DesiredContainer { spec, files, image, reference, adopt: false }),
            );
        }
        if let Some(variant) = self.paper {
            let tags = ["midterm:latest".parse().expect("a tag")].into();
            let image = DesiredImage::tagged(paper(variant), tags);
            desired.images.insert("midterm".parse().expect("a name"), image);
        }
        desired
    }
}

/// An engine with things on it that are nobody's business.
fn engine() -> MemoryEngine {
    let engine = MemoryEngine::default();
    let well = json!({"Cmd": ["serve"], "Healthcheck": {"Test": ["CMD", "check"]}, "Volumes": {"/data": {}}});
    let images = [("plain:1", json!({})), ("plain:2", json!({})), ("well:1", well.clone()), ("well:2", well)];
    for (image, config) in images {
        engine.publish(&image.parse().expect("a reference"), config, Program::Runs);
    }
    let pull = Step::Pull {
        reference: "plain:1".parse().expect("a reference"),
        platform: None,
        digest: None,
        mark: None,
    };
    engine.by_hand(&pull).expect("pulled");
    let network = Step::CreateNetwork {
        name: "theirs".parse().expect("a name"),
        spec: Box::default(),
        labels: json!({"io.invigil.owner": "another", "io.invigil.resource": "network/theirs"}),
    };
    engine.by_hand(&network).expect("made");
    let labels = json!({"io.invigil.owner": "another", "io.invigil.resource": "container/seat-1"});
    for (name, labels) in [("theirs", json!({})), ("others", labels)] {
        let body = json!({"Image": "plain:1", "Labels": labels, "HostConfig": {"NetworkMode": "theirs"}});
        engine.run_foreign(name, body).expect("runs");
    }
    engine
}

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn observe(engine: &MemoryEngine, desired: &Desired) -> Observed {
    let (images, adopted) = (desired.references(), taken_over(desired));
    let at_registries = desired.at_registries().into_keys().collect();
    now(engine.observe(&Scope {
        owner: owner(),
        containers: BTreeSet::new(),
        images,
        assembled: BTreeMap::new(),
        adopted,
        at_registries,
    }))
    .expect("an observation")
}

fn plan(engine: &MemoryEngine, desired: &Desired) -> Plan {
    Plan::new(diff(desired, &observe(engine, desired), &owner(), BUDGET), &owner(), &BTreeMap::new())
}

fn carry_out(engine: &MemoryEngine, plan: &Plan) -> Outcomes {
    let (_stop, watched) = tokio::sync::watch::channel(false);
    now(execute(plan, engine, 4, &watched, &|_| {}))
}

fn text(plan: &Plan) -> String {
    format!("{}---\n{}", plan.to_text(&Palette::default()), plan.steps_text())
}

fn meddle(engine: &MemoryEngine, hands: &[(usize, Hand)]) {
    for (index, hand) in hands {
        let container = name(*index).to_string();
        let network = "exam".to_owned();
        // A container that is not there any more cannot be meddled with.
        let _ = match hand {
            Hand::Stop => engine.by_hand(&Step::Stop(container)),
            Hand::Pause => engine.set(&container, Doing::Paused),
            Hand::Remove => engine.remove_forced(&container),
            Hand::Rename => engine.by_hand(&Step::Rename { container, to: format!("moved-{index}") }),
            Hand::Limit => engine.by_hand(&Step::Update { container, body: json!({"PidsLimit": 7}) }),
            Hand::Disconnect => engine.by_hand(&Step::Disconnect { container, network }),
        };
    }
}

/// Lives through rounds of wishes and meddling, each applied in full.
fn live_through(engine: &MemoryEngine, rounds: &[(Wishes, Vec<(usize, Hand)>)]) {
    for (wishes, hands) in rounds {
        let plan = plan(engine, &wishes.desired());
        let outcomes = carry_out(engine, &plan);
        assert!(outcomes.is_success(), "{outcomes:?}\n{}", text(&plan));
        meddle(engine, hands);
    }
}

/// Everything that is there, without what differs between two equal histories: ids, and the names that
/// the engine made up from them.
fn comparable(engine: &MemoryEngine) -> Value {
    let mut everything = engine.everything();
    for (_, container) in everything["containers"].as_object_mut().expect("containers") {
        container["Id"] = Value::Null;
        container["Config"]["Hostname"] = Value::Null;
        container["Config"]["Labels"].as_object_mut().expect("labels").remove("io.invigil.made");
        container["HostConfig"]["Mounts"] = Value::Null;
        let mode = container["HostConfig"]["NetworkMode"].as_str().expect("a mode");
        container["HostConfig"]["NetworkMode"] = json!(mode.split_once(':').map_or(mode, |(kind, _)| kind));
        for (_, endpoint) in container["NetworkSettings"]["Networks"].as_object_mut().expect("networks") {
            endpoint["Aliases"] = Value::Null;
            endpoint["NetworkID"] = Value::Null;
        }
        for volume in container["Mounts"].as_array_mut().expect("mounts") {
            volume["Name"] = Value::Null;
        }
    }
    everything["volumes"] = Value::Null;
    everything
}

/// What is not ours: it has to look the same after everything.
fn foreign(engine: &MemoryEngine) -> Value {
    let everything = engine.everything();
    json!({
        "theirs": everything["containers"]["theirs"],
        "others": everything["containers"]["others"],
        "network": everything["networks"]["theirs"],
        "image": everything["images"].as_object().expect("images").values()
            .filter(|references| references.as_array().is_some_and(|all| all.contains(&json!("plain:1"))))
            .collect::<Vec<_>>(),
    })
}

fn volumes(engine: &MemoryEngine) -> BTreeSet<String> {
    engine.everything()["volumes"].as_object().expect("volumes").keys().cloned().collect()
}

type Rounds = Vec<(Wishes, Vec<(usize, Hand)>)>;

fn rounds() -> impl Strategy<Value = Rounds> {
    prop::collection::vec((wishes(), hands()), 1..3)
}

/// Wishes of which the second makes the first container anew, and others share its network in both; one of them maybe after one that
/// comes between.
fn shared() -> impl Strategy<Value = (Wishes, Wishes)> {
    (wishes(), any::<bool>()).prop_map(|(mut last, is_between)| {
        for (index, place) in last.containers.iter_mut().enumerate().take(if is_between { 5 } else { 3 }) {
            let wish = place.get_or_insert_default();
            let after = [None, None, None, Some(0), Some(3)][index];
            (wish.state, wish.shares, wish.depends_on) = (0, ![0, 3].contains(&index), after);
        }
        let mut before = last.clone();
        for (wishes, env) in [(&mut before, 1), (&mut last, 2)] {
            for index in if is_between { vec![0, 3] } else { vec![0] } {
                wishes.containers[index].get_or_insert_default().env = Some(env);
            }
        }
        (before, last)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn law_9_after_a_plan_was_carried_out_the_next_one_is_empty(rounds in rounds(), last in wishes()) {
        let engine = engine();
        live_through(&engine, &rounds);
        let desired = last.desired();
        let first = plan(&engine, &desired);
        prop_assume!(first.blocked().next().is_none());
        let outcomes = carry_out(&engine, &first);
        prop_assert!(outcomes.is_success(), "{:?}\n{}", outcomes, text(&first));
        let second = plan(&engine, &desired);
        prop_assert!(second.is_empty(), "{}\nand then\n{}", text(&first), text(&second));
        prop_assert!(second.withheld.is_empty(), "{}", text(&second));
    }

    #[test]
    fn law_8_what_is_not_ours_is_in_no_plan_and_stays_as_it_is(rounds in rounds(), last in wishes()) {
        let engine = engine();
        let before = foreign(&engine);
        let observed = observe(&engine, &last.desired());
        let ids: Vec<String> = observed.containers.iter().map(|one| one.id.as_str().to_owned()).collect();
        live_through(&engine, &rounds);
        let plan = plan(&engine, &last.desired());
        let debug = format!("{:?}", plan.nodes);
        for id in &ids {
            prop_assert!(!debug.contains(id.as_str()), "{}", text(&plan));
        }
        carry_out(&engine, &plan);
        prop_assert_eq!(foreign(&engine), before);
    }

    #[test]
    fn law_5_no_volume_ever_goes(rounds in rounds(), last in wishes(), call in 0..40_usize) {
        let engine = engine();
        live_through(&engine, &rounds);
        let before = volumes(&engine);
        let plan = plan(&engine, &last.desired());
        engine.refuse_call(call, Moment::AfterActing);
        carry_out(&engine, &plan);
        prop_assert!(volumes(&engine).is_superset(&before));
    }

    #[test]
    fn law_5_a_replaced_container_keeps_its_anonymous_volumes(rounds in rounds(), last in wishes()) {
        let engine = engine();
        live_through(&engine, &rounds);
        let desired = last.desired();
        let held = |observed: Observed| -> BTreeMap<Name, Vec<(String, String)>> {
            let managed = observed.containers.into_iter().filter_map(|container| container.managed);
            managed.map(|managed| (managed.resource.clone(), managed.anonymous_volumes.clone())).collect()
        };
        let before = held(observe(&engine, &desired));
        carry_out(&engine, &plan(&engine, &desired));
        let after = held(observe(&engine, &desired));
        for (container, volumes) in &before {
            for volume in volumes {
                let kept = after.get(container).is_none_or(|kept| kept.contains(volume));
                prop_assert!(kept, "{container} lost {volume:?}");
            }
        }
    }

    #[test]
    fn a_plan_does_not_depend_on_the_order_of_what_is_observed(rounds in rounds(), last in wishes()) {
        let engine = engine();
        live_through(&engine, &rounds);
        let desired = last.desired();
        let mut observed = observe(&engine, &desired);
        let text = |observed: &Observed| {
            text(&Plan::new(diff(&desired, observed, &owner(), BUDGET), &owner(), &BTreeMap::new()))
        };
        let forwards = text(&observed);
        observed.images.reverse();
        observed.networks.reverse();
        observed.volumes.reverse();
        observed.containers.reverse();
        prop_assert_eq!(forwards, text(&observed));
    }

    #[test]
    fn a_step_needs_only_steps_before_it(rounds in rounds(), last in wishes()) {
        let engine = engine();
        live_through(&engine, &rounds);
        let plan = plan(&engine, &last.desired());
        for (index, node) in plan.nodes.iter().enumerate() {
            prop_assert!(node.needs.iter().all(|need| *need < index), "{}", text(&plan));
        }
    }

    #[test]
    fn law_11_wherever_a_plan_is_cut_the_next_pass_converges(
        rounds in rounds(),
        last in wishes(),
        cut in 0..40_usize,
    ) {
        let (engine, whole) = (engine(), self::engine());
        for engine in [&engine, &whole] {
            live_through(engine, &rounds);
        }
        let desired = last.desired();
        carry_out(&whole, &plan(&whole, &desired));
        let first = plan(&engine, &desired);
        prop_assume!(first.blocked().next().is_none());
        engine.lose_from_call(cut);
        carry_out(&engine, &first);
        engine.mend();
        let second = plan(&engine, &desired);
        let outcomes = carry_out(&engine, &second);
        prop_assert!(outcomes.is_success(), "{:?}\n{}", outcomes, text(&second));
        let third = plan(&engine, &desired);
        prop_assert!(third.is_empty(), "{}\nand then\n{}", text(&second), text(&third));
        prop_assert_eq!(comparable(&engine), comparable(&whole));
    }

    #[test]
    fn law_7_whatever_step_fails_a_predecessor_runs_on(
        rounds in rounds(),
        last in wishes(),
        call in 0..40_usize,
        after in any::<bool>(),
    ) {
        let engine = engine();
        live_through(&engine, &rounds);
        let desired = last.desired();
        let before = observe(&engine, &desired);
        let first = plan(&engine, &desired);
        prop_assume!(first.blocked().next().is_none());
        engine.refuse_call(call, if after { Moment::AfterActing } else { Moment::BeforeActing });
        carry_out(&engine, &first);
        let later = observe(&engine, &desired);
        let shared_is_up = before.containers.iter().any(|container| {
            container.name == "seat-0" && container.status.is_up()
        });
        for (name, wanted) in &desired.containers {
            let is_up = |observed: &Observed| observed.containers.iter().any(|container| {
                matches!(container.status, LiveStatus::Running(_))
                    && container.managed.as_ref().is_some_and(|managed| managed.resource == *name)
            });
            // Who shared a network cannot go back to one that somebody has stopped.
            let shares = !shared_is_up;
            if wanted.spec.state == invigil::resource::container::State::Running && is_up(&before) && !shares {
                prop_assert!(is_up(&later), "{name} is down\n{}\n{:?}", text(&first), engine.take_log());
            }
        }
        engine.mend();
        // What a lost answer left behind may take one pass to put back and one to make anew.
        for _ in 0..2 {
            carry_out(&engine, &plan(&engine, &desired));
        }
        let third = plan(&engine, &desired);
        prop_assert!(third.is_empty(), "{}\nand then\n{}", text(&first), text(&third));
    }

    #[test]
    fn law_7_whatever_step_fails_who_shares_a_network_has_it(
        (before, last) in shared(),
        call in 0..40_usize,
        after in any::<bool>(),
    ) {
        let engine = engine();
        live_through(&engine, &[(before, Vec::new())]);
        let desired = last.desired();
        let first = plan(&engine, &desired);
        prop_assume!(first.blocked().next().is_none());
        let sharing = |engine: &MemoryEngine| {
            let mut there = BTreeMap::new();
            for container in observe(engine, &desired).containers.iter().filter(|one| one.status.is_up()) {
                let Some(managed) = &container.managed else { continue };
                there.insert(managed.resource.clone(), (**managed).clone());
            }
            there
        };
        let ran = sharing(&engine);
        engine.refuse_call(call, if after { Moment::AfterActing } else { Moment::BeforeActing });
        let failed = carry_out(&engine, &first).failed;
        engine.mend();
        // What failed is not tried again for long.
        let changes = diff(&desired, &observe(&engine, &desired), &owner(), BUDGET);
        let second = Plan::new(changes, &owner(), &failed);
        let all_have_it = |done: &Plan| -> Result<(), TestCaseError> {
            let there = sharing(&engine);
            for (name, wanted) in &desired.containers {
                if !ran.contains_key(name) || wanted.spec.network_mode.is_none() {
                    continue;
                }
                let has_it = there.get(name).zip(there.get(&self::name(0))).is_some_and(|(sharer, owner)| {
                    // That of one that was put aside is none; where an engine did what it said that it had not, its leftover may stand
                    // for it.
                    let shares = sharer.live.get("networkMode") == Some(&json!("container:seat-0"));
                    if shares { sharer.started > owner.started } else { after }
                });
                prop_assert!(has_it, "{name} has none\n{}\nafter\n{}", text(&first), text(done));
            }
            Ok(())
        };
        // What an engine did all the same, though it said that it had not, the next look finds.
        if !after {
            all_have_it(&first)?;
        }
        carry_out(&engine, &second);
        all_have_it(&second)?;
    }
}
