//! The sweep: worlds of a dozen resources each, all of them in every plan, of which a pass moves one part, or all, and is
//! disturbed at one call. In: the calls of passes that are not disturbed. Out: how many were disturbed in which way, and
//! that the next passes put everything right, and touched nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::cases::{Case, Cases, Next, Sort};
use super::part::{Moved, Side};
use super::say;
use super::world::{World, engine_at};
use crate::proxy::{Among, Call, Fault, When};
use crate::support::is_left_out;

/// How many worlds are disturbed side by side. Each waits most of the time, for its own successors to prove
/// themselves.
const WORLDS: usize = 8;

/// How often it is looked again whether what an engine finished late is put right.
const LATE: usize = 10;

/// What came of the cases.
#[derive(Default)]
struct Tally {
    /// How many writes were disturbed, and how.
    writes: BTreeMap<Sort, usize>,
    reads: BTreeMap<Sort, usize>,
    /// How many of all these passes moved what.
    moved: BTreeMap<Moved, usize>,
    /// How many cases took how many undisturbed passes.
    passes: BTreeMap<usize, usize>,
    /// Cases whose call did not come.
    missed: usize,
    wrongs: Vec<String>,
}

impl Tally {
    fn note(&mut self, case: &Case, world: &World, result: Result<Option<usize>, String>) {
        let passes = match result {
            Ok(None) => {
                self.missed += 1;
                return;
            }
            Ok(Some(passes)) => passes,
            Err(wrong) => {
                let wrong = world.host.shown(&wrong);
                self.wrongs.push(format!(
                    "{:?} {:?} {}, then {:?}\n{wrong}",
                    case.moved,
                    case.sort,
                    case.call,
                    world.sides()
                ));
                return;
            }
        };
        let tried = if case.among == Among::Writes { &mut self.writes } else { &mut self.reads };
        *tried.entry(case.sort).or_default() += 1;
        *self.moved.entry(case.moved).or_default() += 1;
        *self.passes.entry(passes).or_default() += 1;
    }
}

/// Makes one disturbed pass to the other side, then undisturbed ones. Gives how many of these it took, or
/// nothing where the call did not come.
async fn disturb(world: &mut World, case: &Case) -> Result<Option<usize>, String> {
    world.turn(case.moved).await;
    let arm = |fault: Fault| world.proxy.arm(case.among, case.nth, fault);
    match case.sort {
        Sort::KilledBefore => {
            world.killed(case.parallelism, |kill| arm(Fault::Do(When::Before, kill))).await?;
        }
        Sort::KilledAfter => {
            world.killed(case.parallelism, |kill| arm(Fault::Do(When::After, kill))).await?;
        }
        sort => {
            arm(sort.fault());
            // What comes of it is seen on the engine.
            let _ = world.pass(case.parallelism).await;
        }
    }
    let struck = world.proxy.struck();
    world.proxy.reset();
    let mut wrongs = world.wrongs_after(case.moved, case.sort.is_survived()).await;
    // Of several calls at once the engine goes on with some for seconds, which the first passes run into.
    let passes = world.settle(if case.parallelism == 1 { 2 } else { 4 }).await?;
    let mut left = world.wrongs(case.moved).await;
    for _ in 0..LATE {
        if left.is_empty() || case.parallelism == 1 {
            break;
        }
        // What the engine finished after the last pass had looked is for the next one.
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.settle(2).await?;
        left = world.wrongs(case.moved).await;
    }
    wrongs.extend(left);
    if wrongs.is_empty() { Ok(struck.map(|_| passes)) } else { Err(wrongs.join("\n")) }
}

/// Disturbs every read of a look in every way in which reads are disturbed: what can be told then is the truth or
/// nothing, and nothing is done. Gives how many were.
async fn look_on(world: &World) -> usize {
    let (truth, mut tried) = (world.host.plan().await, 0);
    for sort in Sort::READS.into_iter().filter(|sort| *sort != Sort::KilledBefore) {
        for nth in 1.. {
            world.proxy.arm(Among::All, nth, sort.fault());
            let planned = world.host.plan_by(&engine_at(&world.proxy.endpoint())).await;
            assert_eq!(world.proxy.writes(), [], "{sort:?} at call {nth}");
            if world.proxy.calls().len() < nth {
                break;
            }
            tried += usize::from(world.proxy.struck().is_some());
            if let Ok(plan) = planned {
                assert_eq!(plan, truth, "{sort:?} at call {nth}");
            }
        }
    }
    world.proxy.reset();
    tried
}

/// Moves a world by a pass that is not disturbed, and gives its calls.
pub async fn go(world: &mut World, moved: Moved) -> Vec<Call> {
    world.proxy.reset();
    assert!(world.pass(1).await.is_ok_and(|outcomes| outcomes.is_success()));
    let shown =
        |call: Call| Call { path: world.host.shown(&call.path).replace(&world.host.prefix, "OWNER"), ..call };
    let calls = world.proxy.calls().into_iter().map(shown).collect();
    world.proxy.reset();
    assert_eq!(world.settle(0).await, Ok(0));
    assert_eq!(world.wrongs(moved).await, Vec::<String>::new());
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn law_11_a_pass_that_is_disturbed_at_any_call_is_put_right_by_the_next() {
    if is_left_out("law_11_a_pass_that_is_disturbed_at_any_call_is_put_right_by_the_next") {
        return;
    }
    let begun = Instant::now();
    let mut first = World::new().await;
    let (mut cases, mut looks, mut calls) = (Cases::default(), 0, BTreeMap::new());
    let mut turn = Sort::READS.into_iter().cycle();
    for moved in Moved::all() {
        let mut ways = Vec::new();
        for side in [Side::B, Side::A] {
            first.turn(moved).await;
            if (moved, side) == (Moved::Whole, Side::B) {
                looks += look_on(&first).await;
            }
            ways.push(go(&mut first, moved).await);
        }
        match moved {
            Moved::Only(part) => cases.add_part(part, &ways[0], &ways[1], &mut turn),
            Moved::Whole => {
                cases.add_whole(Side::B, &ways[0]);
                cases.add_whole(Side::A, &ways[1]);
            }
        }
        let writes = |calls: &Vec<Call>| calls.iter().filter(|call| call.is_write()).count();
        calls.insert(moved, ways.iter().map(writes).collect::<Vec<_>>());
    }
    // Answers that all come late are no failure.
    first.turn(Moved::Whole).await;
    first.proxy.arm(Among::All, 1, Fault::Stall(Duration::from_millis(100)));
    assert!(first.pass(1).await.is_ok_and(|outcomes| outcomes.is_success()));
    first.proxy.reset();
    assert_eq!(first.settle(0).await, Ok(0));
    assert_eq!(first.wrongs(Moved::Whole).await, Vec::<String>::new());

    let (cases, tally) = (Arc::new(Mutex::new(cases)), Arc::new(Mutex::new(Tally::default())));
    let mut worlds = vec![first];
    while worlds.len() < WORLDS {
        worlds.push(World::new().await);
    }
    let workers: Vec<_> = worlds
        .into_iter()
        .map(|world| tokio::spawn(work(world, Arc::clone(&cases), Arc::clone(&tally))))
        .collect();
    for worker in workers {
        worker.await.expect("nothing panics");
    }
    let tally = Arc::into_inner(tally).expect("all have ended").into_inner().expect("nobody panicked");
    let tried: usize = tally.moved.values().sum();
    say(&format!(
        "{tried} disturbed passes and {looks} disturbed looks in {:.0?}; writes of each move, there and back: {calls:?}; \
         disturbed writes: {:?}; disturbed reads between them: {:?}; moves that were disturbed: {:?}; \
         undisturbed passes after them: {:?}; {} calls did not come",
        begun.elapsed(),
        tally.writes,
        tally.reads,
        tally.moved,
        tally.passes,
        tally.missed
    ));
    assert!(tally.missed * 20 <= tried, "too many calls did not come");
    assert!(tally.wrongs.is_empty(), "{} wrongs\n{}", tally.wrongs.len(), tally.wrongs.join("\n\n"));
}

/// Works through the cases until there are none.
async fn work(mut world: World, cases: Arc<Mutex<Cases>>, tally: Arc<Mutex<Tally>>) {
    loop {
        let next = cases.lock().expect("a lock").next(world.sides());
        let case = match next {
            None => return,
            Some(Next::Disturb(case)) => case,
            Some(Next::Turn(moved)) => {
                world.turn(moved).await;
                world.settle(2).await.expect("nothing disturbs it");
                assert_eq!(world.wrongs(moved).await, Vec::<String>::new());
                continue;
            }
        };
        let result = disturb(&mut world, &case).await;
        let wrong = result.is_err();
        tally.lock().expect("a lock").note(&case, &world, result);
        if wrong {
            world = World::new().await;
        }
    }
}
