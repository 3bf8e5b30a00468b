use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Attempt, Backoff, Retry};
use crate::desired::Desired;
use crate::diff::{Act, Change, NewContainer, Old, Operation};
use crate::execute::Outcomes;
use crate::plan::Plan;
use crate::resource::name::ResourceId;
use crate::resource::network::NetworkSpec;
use crate::resource::reference::ImageReference;

const SECOND: Duration = Duration::from_secs(1);

fn id() -> ResourceId {
    "network/exam".parse().unwrap()
}

fn desired(driver: &str) -> Desired {
    let spec = NetworkSpec { driver: Some(driver.to_owned()), ..NetworkSpec::default() };
    Desired { networks: [(id().name, spec)].into(), ..Desired::default() }
}

fn change(act: Act) -> Change {
    Change { id: id(), act, reasons: Vec::new(), needs: Vec::new() }
}

fn create() -> Change {
    change(Act::CreateNetwork(Box::default()))
}

fn replace() -> Change {
    change(Act::ReplaceNetwork {
        old: "0".repeat(64).parse().unwrap(),
        was: Box::default(),
        spec: Box::default(),
        members: Vec::new(),
        trial: None,
    })
}

/// A backoff, the time, and what the manifests ask for.
struct Scene {
    backoff: Backoff,
    now: Instant,
    jitter: f64,
    desired: Desired,
}

impl Scene {
    fn new() -> Self {
        Self { backoff: Backoff::default(), now: Instant::now(), jitter: 0.0, desired: desired("bridge") }
    }

    /// Why the change is held back now.
    fn held(&mut self, change: &Change) -> Option<String> {
        let changes = std::slice::from_ref(change);
        let mut held = self.backoff.hold(changes, &self.desired, self.now, || self.jitter);
        held.why.remove(&id())
    }

    fn settle(&mut self, outcomes: &Outcomes, disturbed: bool) -> Option<Retry> {
        let change = if disturbed { replace() } else { create() };
        self.settle_plan(&Plan { changes: vec![change], ..Plan::default() }, outcomes, disturbed)
    }

    fn settle_plan(&mut self, plan: &Plan, outcomes: &Outcomes, disturbed: bool) -> Option<Retry> {
        let disturbed = if disturbed { BTreeSet::from([id()]) } else { BTreeSet::new() };
        let attempt = Attempt { plan, outcomes, disturbed: &disturbed };
        let retries = self.backoff.settle(&attempt, &self.desired, self.now, || self.jitter);
        retries.into_iter().map(|(_, retry)| retry).next()
    }

    fn fails(&mut self) -> Duration {
        self.settle(&failed(), false).unwrap().after
    }

    fn is_done(&mut self) {
        assert_eq!(self.settle(&done(), false), None);
    }
}

fn done() -> Outcomes {
    Outcomes { done: [id()].into(), ..Outcomes::default() }
}

fn failed() -> Outcomes {
    let failed = BTreeMap::from([(id(), "port 80 is taken".to_owned())]);
    Outcomes { failed, ..Outcomes::default() }
}

#[test]
fn waits_double_from_a_second_to_five_minutes() {
    let mut scene = Scene::new();
    let waits: Vec<u64> = (0..11).map(|_| scene.fails().as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    for _ in 0..100 {
        scene.fails();
    }
    assert_eq!(scene.fails().as_secs(), 300, "and no number of failures overflows");
}

#[test]
fn jitter_is_a_fifth_either_way() {
    for (jitter, wait) in [(-1.0, 800), (0.5, 1100), (1.0, 1200), (7.0, 1200)] {
        let mut scene = Scene { jitter, ..Scene::new() };
        assert_eq!(scene.fails().as_millis(), wait, "{jitter}");
    }
}

#[test]
fn what_failed_is_held_back_with_why_until_its_time() {
    let mut scene = Scene::new();
    scene.fails();
    assert_eq!(scene.backoff.next_try(), Some(scene.now + SECOND));
    scene.now += SECOND / 2;
    assert_eq!(scene.held(&create()), Some("failed: port 80 is taken".to_owned()));
    assert_eq!(scene.backoff.next_try(), Some(scene.now + SECOND / 2));
    scene.now += SECOND / 2;
    assert_eq!(scene.held(&create()), None);
    assert_eq!(scene.backoff.next_try(), None);
}

#[test]
fn another_wish_and_a_reset_are_fresh_starts() {
    let mut scene = Scene::new();
    scene.fails();
    scene.desired = desired("macvlan");
    assert_eq!(scene.held(&create()), None);
    assert_eq!(scene.fails(), SECOND);
    scene.backoff.reset();
    assert_eq!(scene.held(&create()), None);
    assert_eq!(scene.fails(), SECOND);
}

#[test]
fn law_7_an_interrupted_predecessor_is_left_in_peace_for_an_hour_and_then_for_longer() {
    let mut scene = Scene::new();
    let retry = scene.settle(&failed(), true).unwrap();
    assert_eq!(retry, Retry { failures: 1, after: Duration::from_hours(1) });
    scene.now += Duration::from_secs(3599);
    assert!(scene.held(&replace()).is_some());
    // With nothing left to interrupt there is nothing to spare.
    assert_eq!(scene.held(&create()), None);
    scene.now += SECOND;
    assert_eq!(scene.held(&replace()), None);
    let hours: Vec<u64> =
        (0..6).map(|_| scene.settle(&failed(), true).unwrap().after.as_secs() / 3600).collect();
    assert_eq!(hours, [2, 4, 8, 16, 24, 24]);
}

#[test]
fn law_7_a_manifest_that_is_wrong_for_a_while_ends_no_wait() {
    let mut scene = Scene::new();
    scene.settle(&failed(), true);
    let described = std::mem::take(&mut scene.desired);
    scene.desired.invalid.insert(id());
    scene.backoff.hold(&[], &scene.desired, scene.now + SECOND, || 0.0);
    scene.desired = described;
    scene.now += 2 * SECOND;
    assert!(scene.held(&replace()).is_some(), "it interrupts again");
}

#[test]
fn law_7_the_next_daemon_leaves_an_interrupted_predecessor_in_peace_too() {
    let mut scene = Scene::new();
    scene.settle(&failed(), true);
    scene.now += 600 * SECOND;
    let wall = Timestamp::UNIX_EPOCH;
    let kept = scene.backoff.interrupted(scene.now, wall);
    // A failure that interrupted nothing is nothing to keep.
    let mut other = Scene::new();
    other.settle(&failed(), false);
    assert_eq!(other.backoff.interrupted(other.now, wall).len(), 0);

    let mut next = Scene { now: scene.now, ..Scene::new() };
    next.backoff.recall(&kept, next.now, wall.checked_add(1000 * SECOND).unwrap());
    assert_eq!(next.held(&replace()), Some("failed: port 80 is taken".to_owned()));
    assert_eq!(next.backoff.next_try(), Some(next.now + (3600 - 600 - 1000) * SECOND));
    assert_eq!(next.held(&create()), None);
    next.now += 2000 * SECOND;
    assert_eq!(next.held(&replace()), None);
    assert_eq!(next.settle(&failed(), true).unwrap().after, Duration::from_hours(2));

    // Another wish is a fresh start; a clock that was set back is not believed for long.
    let mut next = Scene { desired: desired("macvlan"), ..Scene::new() };
    next.backoff.recall(&kept, next.now, wall);
    assert_eq!(next.held(&replace()), None);
    let mut next = Scene::new();
    next.backoff.recall(&kept, next.now, Timestamp::MIN);
    assert!(next.held(&replace()).is_some());
    assert_eq!(next.backoff.next_try(), Some(next.now + Duration::from_hours(24)));
}

/// The plan of a pass in which a replacement is held back and what was there before is put back.
fn putting_back() -> Plan {
    let waiting = [(id(), "failed: port 80 is taken".to_owned())].into();
    Plan { changes: vec![replace()], waiting, ..Plan::default() }
}

#[test]
fn law_7_that_a_predecessor_is_put_back_ends_no_wait() {
    let mut scene = Scene::new();
    scene.settle(&failed(), true);
    scene.now += SECOND;
    assert!(scene.held(&replace()).is_some());
    assert_eq!(scene.settle_plan(&putting_back(), &done(), true), None);
    for seconds in [1, 10, 3500] {
        scene.now += SECOND * seconds;
        assert!(scene.held(&replace()).is_some(), "{seconds}");
    }
    scene.now += Duration::from_mins(2);
    assert_eq!(scene.held(&replace()), None);
}

#[test]
fn law_7_a_predecessor_that_cannot_be_put_back_is_tried_soon_and_its_successor_no_sooner_or_later() {
    let mut scene = Scene::new();
    scene.settle(&failed(), true);
    let mut waits = Vec::new();
    for _ in 0..4 {
        assert!(scene.held(&replace()).is_some());
        let retry = scene.settle_plan(&putting_back(), &failed(), true).unwrap();
        assert_eq!(scene.backoff.next_try(), Some(scene.now + retry.after));
        waits.push(retry.after.as_secs());
        scene.now += retry.after;
    }
    assert_eq!(waits, [1, 2, 4, 8]);
    scene.held(&replace());
    assert_eq!(scene.backoff.next_try(), Some(scene.now + Duration::from_secs(3600 - 15)));
}

/// A replacement of a container that is up or not.
fn container(up: bool) -> Change {
    let id: ResourceId = "container/web".parse().unwrap();
    let (old, container) = (Old::named("web", up), NewContainer::running(false));
    let act = Act::Replace { old, container: Box::new(container), leftovers: Vec::new() };
    Change { id, act, reasons: Vec::new(), needs: Vec::new() }
}

/// Wakes every 100 ms for `seconds` after a replacement failed, and says in which second the predecessor was put back.
/// It is down again `lasts` after that; where that is `None` it cannot be put back.
fn puts_back(seconds: u32, lasts: Option<Duration>) -> Vec<u64> {
    let Scene { mut backoff, now: begun, desired, .. } = Scene::new();
    let id = container(true).id;
    let disturbed = BTreeSet::from([id.clone()]);
    let failed = Outcomes { failed: [(id.clone(), "it ended".to_owned())].into(), ..Outcomes::default() };
    let plan = Plan { changes: vec![container(true)], ..Plan::default() };
    let attempt = Attempt { plan: &plan, outcomes: &failed, disturbed: &disturbed };
    backoff.settle(&attempt, &desired, begun, || 0.0);
    let (mut times, mut down_at) = (Vec::new(), begun);
    for tick in 1..=seconds * 10 {
        let now = begun + SECOND / 10 * tick;
        let change = container(now < down_at);
        let held = backoff.hold(std::slice::from_ref(&change), &desired, now, || 0.0);
        assert!(held.interrupted.contains(&id));
        if now < down_at || held.resting.contains(&id) {
            continue;
        }
        times.push((now - begun).as_secs());
        down_at = now + lasts.unwrap_or_default();
        let done = Outcomes { done: [id.clone()].into(), ..Outcomes::default() };
        let plan = Plan { changes: vec![change], waiting: held.why, ..Plan::default() };
        let outcomes = if lasts.is_some() { &done } else { &failed };
        let attempt = Attempt { plan: &plan, outcomes, disturbed: &disturbed };
        backoff.settle(&attempt, &desired, now, || 0.0);
    }
    times
}

#[test]
fn law_7_a_predecessor_that_does_not_last_or_cannot_be_put_back_is_not_tried_in_a_tight_loop() {
    assert_eq!(puts_back(60, None), [0, 1, 3, 7, 15, 31]);
    assert_eq!(puts_back(60, Some(SECOND / 10)), [0, 1, 3, 7, 15, 31]);
}

#[test]
fn law_7_a_predecessor_that_lasts_is_put_back_at_once_each_time() {
    assert_eq!(puts_back(60, Some(Duration::from_secs(20))), [0, 20, 40]);
}

#[test]
fn law_7_what_was_interrupted_is_told_as_long_as_its_successor_is_held() {
    let mut scene = Scene::new();
    let interrupted = |scene: &mut Scene| {
        let held = scene.backoff.hold(&[replace()], &scene.desired, scene.now, || 0.0);
        assert!(held.why.contains_key(&id()));
        held.interrupted.contains(&id())
    };
    scene.settle(&failed(), false);
    assert!(!interrupted(&mut scene), "nothing that was there was touched");
    scene.settle(&failed(), true);
    assert!(interrupted(&mut scene));
}

#[test]
fn a_container_that_could_not_be_stopped_is_tried_again_when_it_was_said() {
    let mut scene = Scene::new();
    let container = Old::named("web", true);
    let operations = vec![Operation::Stop];
    let stop = change(Act::Alter { container, operations, leftovers: Vec::new(), predecessor: None });
    let plan = Plan { changes: vec![stop.clone()], ..Plan::default() };
    let retry = scene.settle_plan(&plan, &failed(), true).unwrap();
    assert_eq!(retry.after, SECOND);
    assert_eq!(scene.backoff.next_try(), Some(scene.now + SECOND));
    scene.now += SECOND;
    assert_eq!(scene.held(&stop), None);
}

#[test]
fn an_image_whose_push_failed_is_made_anew_without_a_wait() {
    let mut scene = Scene::new();
    let tag: ImageReference = "registry.example/exam:1".parse().unwrap();
    let push = change(Act::Push { tags: vec![tag.clone()] });
    let pull = change(Act::Pull { reference: tag.clone(), platform: None, digest: None, tags: vec![tag] });
    let plan = Plan { changes: vec![push.clone()], ..Plan::default() };
    assert_eq!(scene.settle_plan(&plan, &failed(), false).unwrap().after, SECOND);
    assert!(scene.held(&push).is_some());
    let mut held = |changes: &[Change]| scene.backoff.hold(changes, &scene.desired, scene.now, || 0.0).why;
    assert_eq!(held(&[pull.clone(), push.clone()]), BTreeMap::new());
    // One that could not be made is not pushed either.
    let plan = Plan { changes: vec![pull.clone(), push.clone()], ..Plan::default() };
    scene.settle_plan(&plan, &failed(), false);
    assert!(scene.held(&pull).is_some() && scene.held(&push).is_some());
}

#[test]
fn a_replacement_that_failed_before_it_interrupted_anything_waits_like_everything() {
    let mut scene = Scene::new();
    assert_eq!(scene.settle(&failed(), false).unwrap().after, SECOND);
    scene.now += SECOND;
    assert_eq!(scene.held(&replace()), None);
}

/// The waits, in seconds, of what is needed again as soon as it was done.
fn relapses(change: &Change) -> [u64; 5] {
    let mut scene = Scene::new();
    [(); 5].map(|()| {
        scene.is_done();
        scene.now += SECOND / 10;
        let held = scene.held(change);
        let wait = scene.backoff.next_try().map_or(Duration::ZERO, |at| at - scene.now);
        assert_eq!(held.is_some(), !wait.is_zero());
        scene.now += wait;
        assert_eq!(scene.held(change), None);
        wait.as_secs()
    })
}

#[test]
fn what_does_not_last_waits_from_its_second_relapse_on() {
    assert_eq!(relapses(&create()), [0, 1, 2, 4, 8]);
}

#[test]
fn law_9_what_is_replaced_in_vain_is_replaced_a_few_times_a_day_at_most() {
    assert_eq!(relapses(&replace()), [0, 1, 2, 4, 8].map(|hours| hours * 3600));
}

#[test]
fn what_lasted_ten_seconds_starts_afresh() {
    let mut scene = Scene::new();
    for _ in 0..5 {
        scene.fails();
    }
    scene.is_done();
    scene.now += Duration::from_secs(10);
    assert_eq!(scene.held(&create()), None);
    assert_eq!(scene.fails(), SECOND);
}

#[test]
fn what_is_in_order_is_forgotten_in_time_and_not_before() {
    let mut scene = Scene::new();
    scene.is_done();
    let in_order = |scene: &mut Scene| {
        scene.backoff.hold(&[], &scene.desired, scene.now, || 0.0);
        scene.backoff.entries.len()
    };
    scene.now += Duration::from_secs(9);
    assert_eq!(in_order(&mut scene), 1);
    scene.now += SECOND;
    assert_eq!(in_order(&mut scene), 0);
}

#[test]
fn a_lost_engine_is_nobodys_failure() {
    let mut scene = Scene::new();
    let outcomes = Outcomes { engine_lost: true, ..failed() };
    assert_eq!(scene.settle(&outcomes, true), None);
    assert_eq!(scene.held(&replace()), None);
}
