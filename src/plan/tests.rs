use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::diff::{NewContainer, Old, Predecessor, Told};
use crate::resource::container::{PlacedFile, State};

fn old(id: char, name: &str, up: bool) -> Old {
    Old { id: id.to_string().repeat(64).parse().unwrap(), ..Old::named(name, up) }
}

fn replacement(name: &str, up: bool) -> Changes {
    let container = NewContainer::running(false);
    let change = Change {
        id: "container/web".parse().unwrap(),
        act: Act::Replace { old: old('a', name, up), container: Box::new(container), leftovers: Vec::new() },
        reasons: Vec::new(),
        needs: Vec::new(),
    };
    Changes { changes: vec![change], ..Changes::default() }
}

fn held_steps(changes: Changes) -> String {
    let held = BTreeMap::from([("container/web".parse().unwrap(), "failed".to_owned())]);
    Plan::new(changes, &"default".parse().unwrap(), &held).steps_text()
}

#[test]
fn law_7_a_predecessor_that_is_down_is_brought_back_while_its_replacement_is_held() {
    assert_eq!(
        held_steps(replacement("web.invigil-prev", false)),
        "1. rename aaaaaaaaaaaa to web\n2. start aaaaaaaaaaaa (after 1)\n"
    );
    assert_eq!(held_steps(replacement("web", true)), "");
    // It was stopped for a successor that is still beside it, or that is known to have failed.
    let mut changes = replacement("web", false);
    let Act::Replace { leftovers, .. } = &mut changes.changes[0].act else { unreachable!() };
    leftovers.push(old('b', "web.invigil-next", false));
    assert_eq!(held_steps(changes), "1. start aaaaaaaaaaaa\n");
    let id: ResourceId = "container/web".parse().unwrap();
    let (held, interrupted) = (BTreeMap::from([(id.clone(), "failed".to_owned())]), BTreeSet::from([id]));
    let owner = "default".parse().unwrap();
    let plan = Plan::putting_back(replacement("web", false), &owner, &held, &interrupted, &BTreeSet::new());
    assert_eq!(plan.steps_text(), "1. start aaaaaaaaaaaa\n");
    // It was put back a moment ago, and did not last.
    for name in ["web", "web.invigil-prev"] {
        let plan = Plan::putting_back(replacement(name, false), &owner, &held, &interrupted, &interrupted);
        assert_eq!(plan.steps_text(), "");
    }
}

#[test]
fn law_7_a_container_that_is_down_is_as_its_own_manifest_had_it_while_its_replacement_waits() {
    let was = |state: Option<State>, next: State, hindered: Option<&str>| {
        let mut changes = replacement("web", false);
        let Act::Replace { old, container, .. } = &mut changes.changes[0].act else { unreachable!() };
        (old.state, old.hindered, container.state) = (state, hindered.map(str::to_owned), next);
        changes
    };
    for (state, next, steps) in [
        (Some(State::Running), State::Running, "1. start aaaaaaaaaaaa\n"),
        (Some(State::Running), State::Completed, "1. start aaaaaaaaaaaa\n"),
        (Some(State::Paused), State::Running, "1. start aaaaaaaaaaaa\n2. pause aaaaaaaaaaaa (after 1)\n"),
        (Some(State::Running), State::Stopped, ""),
        (Some(State::Stopped), State::Running, ""),
        (Some(State::Created), State::Running, ""),
        (Some(State::Completed), State::Running, ""),
        // Nobody knows what it was to do.
        (None, State::Running, ""),
    ] {
        assert_eq!(held_steps(was(state, next, None)), steps, "{state:?}, then {next:?}");
        let mut changes = was(state, next, None);
        changes.changes[0].block("its port is taken".to_owned());
        assert_eq!(held_steps(changes), steps, "{state:?}, then {next:?}, which is blocked");
    }
    let owner = "default".parse().unwrap();
    let held = BTreeMap::from([("container/web".parse().unwrap(), "failed".to_owned())]);
    let plan = Plan::new(was(Some(State::Running), State::Running, Some("port 80 is taken")), &owner, &held);
    assert_eq!(plan.steps_text(), "");
    assert_eq!(
        plan.warnings,
        ["container/web is down, and is not started again as it was: port 80 is taken"]
    );
    let mut suspended = was(Some(State::Running), State::Running, None);
    suspended.suspended.insert("container/web".parse().unwrap(), "suspended".to_owned());
    assert_eq!(Plan::new(suspended, &owner, &BTreeMap::new()).steps_text(), "");
}

#[test]
fn law_7_a_failure_starts_no_predecessor_that_its_own_manifest_had_stopped() {
    let web = || "container/web".parse().unwrap();
    let is_started = |changes: Changes| {
        let plan = Plan::new(changes, &"default".parse().unwrap(), &BTreeMap::new());
        let mut rescues = plan.nodes.iter().flat_map(|node| &node.rescue);
        rescues.any(|step| step.to_string() == "start aaaaaaaaaaaa")
    };
    for (state, starts) in [(State::Stopped, false), (State::Running, true)] {
        let before = || Old { state: Some(state), ..old('a', "web.invigil-prev", false) };
        // What ran beside it goes first.
        let mut beside = replacement("web", false);
        let Act::Replace { old: was, leftovers, .. } = &mut beside.changes[0].act else { unreachable!() };
        was.state = Some(state);
        leftovers.push(old('b', "web.invigil-next", true));
        assert_eq!(is_started(beside), starts, "{state:?}");
        // Its successor starts first, beside one that has not proved itself.
        let mut first = replacement("web.invigil-prev", false);
        let Act::Replace { old: was, container, leftovers } = &mut first.changes[0].act else {
            unreachable!()
        };
        *was = before();
        container.spec.update = serde_json::from_value(json!({"order": "startFirst"})).unwrap();
        leftovers.push(old('b', "web", true));
        assert_eq!(is_started(first), starts, "{state:?}");
        // Its successor is there, and is to prove itself.
        let act = Act::Alter {
            container: old('b', "web", false),
            operations: vec![Operation::Start],
            leftovers: Vec::new(),
            predecessor: Some(Box::new(Predecessor { container: before(), until: Await::Healthy })),
        };
        let change = Change { id: web(), act, reasons: Vec::new(), needs: Vec::new() };
        let there = Changes { changes: vec![change], ..Changes::default() };
        assert_eq!(is_started(there), starts, "{state:?}");
    }
}

#[test]
fn law_7_a_container_that_is_down_is_started_as_it_was_where_its_successor_cannot_be_had() {
    let mut changes = replacement("web", false);
    let Act::Replace { old, container, .. } = &mut changes.changes[0].act else { unreachable!() };
    (old.state, container.pull) = (Some(State::Paused), true);
    let steps = Plan::new(changes, &"default".parse().unwrap(), &BTreeMap::new()).steps_text();
    assert!(
        steps.starts_with(
            "1. pull nginx:1.15\n\
             2. create container web.invigil-next (after 1)\n\
             3. start aaaaaaaaaaaa (instead of 1, 2)\n\
             4. pause aaaaaaaaaaaa (after 3) (instead of 1, 2)\n\
             5. rename aaaaaaaaaaaa to web.invigil-prev (after 2)\n"
        ),
        "{steps}"
    );
}

#[test]
fn a_container_that_is_down_is_started_whatever_becomes_of_the_volume_that_it_has() {
    let volume: ResourceId = "volume/data".parse().unwrap();
    let needs = vec![Need { id: volume.clone(), condition: None }];
    let steps = |operations: Vec<Operation>| {
        let act = Act::Alter {
            container: old('a', "web", false),
            operations,
            leftovers: vec![],
            predecessor: None,
        };
        let changes = vec![
            Change { id: "container/web".parse().unwrap(), act, reasons: vec![], needs: needs.clone() },
            Change { id: volume.clone(), act: Act::blocked("no"), reasons: vec![], needs: vec![] },
        ];
        let changes = Changes { changes, ..Changes::default() };
        Plan::new(changes, &"default".parse().unwrap(), &BTreeMap::new()).steps_text()
    };
    assert_eq!(steps(vec![Operation::Start]), "1. start aaaaaaaaaaaa\n");
    // A network that it is yet to join has to be there.
    let joins = Operation::Connect { network: "exam".to_owned(), endpoint: Value::Null };
    assert_eq!(steps(vec![joins, Operation::Start]), "");
}

#[test]
fn law_7_a_predecessor_is_brought_back_for_a_successor_that_is_down_and_has_not_proved_itself() {
    for (up, steps) in [
        (true, ""),
        (
            false,
            "1. remove container bbbbbbbbbbbb\n2. rename aaaaaaaaaaaa to web (after 1)\n3. start aaaaaaaaaaaa (after 2)\n",
        ),
    ] {
        let mut changes = replacement("web.invigil-prev", false);
        let Act::Replace { leftovers, .. } = &mut changes.changes[0].act else { unreachable!() };
        leftovers.push(old('b', "web", up));
        assert_eq!(held_steps(changes), steps);
    }
}

#[test]
fn a_successor_that_cannot_be_finished_leaves_nothing_behind() {
    let mut changes = replacement("web", true);
    let Act::Replace { container, .. } = &mut changes.changes[0].act else { unreachable!() };
    let spec = json!({"image": "nginx:1.15", "networks": ["exam", "lab", "yard"]});
    container.spec = serde_json::from_value(spec).unwrap();
    let file = serde_json::from_value(json!({"path": "/etc/exam.conf"})).unwrap();
    container.files = vec![PlacedFile::new(&file, b"")];
    let plan = Plan::new(changes, &"default".parse().unwrap(), &BTreeMap::new());
    let before_the_stop = plan.nodes.iter().take_while(|node| !matches!(node.step, Step::Stop(_))).skip(1);
    let undone: Vec<String> = before_the_stop
        .map(|node| {
            let rescue: Vec<String> = node.rescue.iter().map(ToString::to_string).collect();
            format!("{}: {}", node.step, rescue.join(", "))
        })
        .collect();
    assert_eq!(
        undone,
        [
            "connect web.invigil-next to lab: remove container web.invigil-next",
            "connect web.invigil-next to yard: remove container web.invigil-next",
            "put /etc/exam.conf into web.invigil-next: remove container web.invigil-next",
            "rename aaaaaaaaaaaa to web.invigil-prev: remove container web.invigil-next, rename aaaaaaaaaaaa to web",
        ]
    );
}

#[test]
fn law_13_a_step_shows_no_path_and_no_name_raw() {
    let load =
        Step::LoadArchive { archive: "/srv/\u{1b}[2J.tar".into(), ids: Vec::new(), brings: BTreeSet::new() };
    assert_eq!(load.to_string(), r"load /srv/\u{1b}[2J.tar");
    let leave = Step::Disconnect { container: "web".to_owned(), network: "a\nb\u{202e}".to_owned() };
    assert_eq!(leave.to_string(), r"disconnect web from a\nb\u{202e}");
    assert_eq!(leave.task(), r"disconnect from a\nb\u{202e}");
}

#[test]
fn whatever_takes_something_away_or_stops_it_is_asked_for() {
    let alter = |operations: Vec<Operation>| Act::Alter {
        container: old('a', "web", true),
        operations,
        leftovers: Vec::new(),
        predecessor: None,
    };
    let with_leftovers = Act::Alter {
        container: old('a', "web", true),
        operations: vec![Operation::Rename],
        leftovers: vec![old('b', "web.invigil-prev", false)],
        predecessor: None,
    };
    let untag = Act::Untag {
        image: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
        tags: vec!["app:1".parse().unwrap()],
        frees: None,
    };
    let update = || Operation::Update(json!({"Memory": 1}));
    for (act, is_asked) in [
        (untag, true),
        (alter(vec![Operation::Stop]), true),
        (alter(vec![Operation::Pause]), true),
        (alter(vec![update(), Operation::Stop]), true),
        (alter(vec![Operation::Put(Vec::new()), Operation::Restart]), true),
        (with_leftovers, true),
        (Act::Remove(Vec::new()), true),
        (alter(vec![Operation::Start]), false),
        (alter(vec![update()]), false),
        (Act::blocked("no"), false),
    ] {
        let change =
            Change { id: "container/web".parse().unwrap(), act, reasons: Vec::new(), needs: Vec::new() };
        let text = format!("{change:?}");
        let plan = Plan { changes: vec![change], ..Plan::default() };
        assert_eq!(plan.disturbs(), is_asked, "{text}");
    }
}

#[test]
fn a_plan_for_programs_has_a_version_and_keeps_its_fields() {
    let mut changes = replacement("web", true);
    changes.changes[0].reasons.push(Told { field: "env.A".to_owned(), from: None, to: Some("1".to_owned()) });
    let plan = Plan::new(changes, &"default".parse().unwrap(), &BTreeMap::new());
    let steps: Vec<String> = plan.nodes.iter().map(|node| node.step.to_string()).collect();
    let web = json!("container/web");
    let step =
        |number: usize, needs: &[usize]| json!({"step": steps[number], "resources": [web], "needs": needs});
    assert_eq!(
        plan.to_json().unwrap(),
        json!({
            "formatVersion": 1,
            "changes": [{
                "resource": web,
                "action": "replace",
                "reasons": [{"field": "env.A", "from": null, "to": "1"}],
            }],
            "steps": [step(0, &[]), step(1, &[0]), step(2, &[1]), step(3, &[2]), step(4, &[3]), step(5, &[4]), step(6, &[5])],
            "withheld": [],
            "summary": {"replace": 1},
            "unchanged": 0,
            "suspended": [],
            "wrong": false,
            "left": [],
            "warnings": [],
        })
    );
    assert_eq!(steps[0], "create container web.invigil-next");
    assert_eq!(steps[6], "remove container aaaaaaaaaaaa");
}

#[test]
fn law_6_what_is_tried_first_takes_nothing_from_anybody() {
    let trial = Step::RemoveTrial("exam.invigil-next".to_owned());
    assert!(!trial.disturbs() && !trial.interrupts(), "a stop in the middle of it begins nothing else");
    assert!(Step::RemoveNetwork("exam".to_owned()).interrupts());
}

#[test]
fn law_7_what_an_interrupted_pass_had_done_of_those_that_belong_together_is_put_back_with_the_first() {
    let owner: ResourceId = "container/web".parse().unwrap();
    let interrupted = |name: &str, ids: [char; 2], shares: Option<&ResourceId>| {
        let mut before = old(ids[1], &format!("{name}.invigil-prev"), false);
        (before.state, before.shares) = (Some(State::Running), shares.into_iter().cloned().collect());
        let needs = shares.map(|id| Need { id: id.clone(), condition: None });
        Change {
            id: format!("container/{name}").parse().unwrap(),
            act: Act::Alter {
                container: old(ids[0], name, true),
                operations: Vec::new(),
                leftovers: Vec::new(),
                predecessor: Some(Box::new(Predecessor { container: before, until: Await::Healthy })),
            },
            reasons: Vec::new(),
            needs: needs.into_iter().collect(),
        }
    };
    let changes = vec![interrupted("side", ['a', 'b'], Some(&owner)), interrupted("web", ['c', 'd'], None)];
    let plan =
        Plan::new(Changes { changes, ..Changes::default() }, &"default".parse().unwrap(), &BTreeMap::new());
    let told = |at: usize| plan.nodes[at].rescue.iter().map(ToString::to_string).collect::<Vec<_>>();
    // The sharer's successor goes first, and the sharer is started last.
    assert_eq!(plan.nodes[0].step.to_string(), "wait until cccccccccccc is healthy");
    assert_eq!(
        told(0),
        [
            "stop aaaaaaaaaaaa",
            "remove container aaaaaaaaaaaa",
            "rename bbbbbbbbbbbb to side",
            "stop cccccccccccc",
            "remove container cccccccccccc",
            "rename dddddddddddd to web",
            "restart dddddddddddd",
            "start bbbbbbbbbbbb",
        ]
    );
    assert_eq!(
        told(1),
        [
            "stop aaaaaaaaaaaa",
            "remove container aaaaaaaaaaaa",
            "rename bbbbbbbbbbbb to side",
            "stop cccccccccccc",
            "remove container cccccccccccc",
            "rename dddddddddddd to web",
            "start dddddddddddd",
            "restart bbbbbbbbbbbb",
        ]
    );
}
