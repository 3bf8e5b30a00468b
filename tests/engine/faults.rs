//! Law 11, call by call: a pass is disturbed at every call that it makes to the engine, in every way in
//! which a call can be, and the next pass puts everything right. In: a pass that is not disturbed, whose
//! calls are counted at a proxy. Out: how many were disturbed in which way. Never touches what is not its own.

mod world;

use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use world::engine_at;
use world::{Side, World};

use crate::daemon::Daemon;
use crate::proxy::{Among, Call, Fault, Proxy, When, ask, real_engine};
use crate::spare::Spare;
use crate::support::{BUSYBOX, Host, docker, is_left_out, variable};

fn sleeper(more: &str) -> String {
    format!("{{image: '{BUSYBOX}', command: [sleep, '100000'], stopSignal: SIGKILL{more}}}")
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
            "POST /containers/OLD/stop",
            "POST /containers/OLD/rename?name=@c42.invigil-prev",
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

/// Tells what was tried. Not by a macro: the test harness keeps to itself what those of a test that passes print.
fn say(summary: &str) {
    let _ = writeln!(std::io::stderr(), "{summary}");
}

/// How many worlds are disturbed side by side. Each waits most of the time, for its own successors to prove
/// themselves.
const WORLDS: usize = 8;

/// How a pass is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    CutBefore,
    CutAfter,
    RefusedBefore,
    RefusedAfter,
    Truncated,
    Garbled,
    KilledAfter,
    KilledBefore,
    EngineGone,
}

impl Sort {
    /// What every write gets. A program that makes one call at a time, and is killed before one of them,
    /// leaves what it leaves when it is killed after the call before.
    const WRITES: [Self; 7] = [
        Self::CutBefore,
        Self::CutAfter,
        Self::RefusedBefore,
        Self::RefusedAfter,
        Self::KilledAfter,
        Self::Truncated,
        Self::Garbled,
    ];
    /// What reads get in turn.
    const READS: [Self; 6] = [
        Self::CutBefore,
        Self::KilledBefore,
        Self::RefusedAfter,
        Self::Truncated,
        Self::EngineGone,
        Self::Garbled,
    ];

    /// Whether it can happen to a call: an answer without a body cannot be spoilt.
    fn suits(self, call: &Call) -> bool {
        call.told || !matches!(self, Self::Truncated | Self::Garbled)
    }

    /// Whether the program that made the pass is there to put right what it can.
    fn is_survived(self) -> bool {
        !matches!(self, Self::KilledAfter | Self::KilledBefore | Self::EngineGone)
    }
}

/// One pass that is to be disturbed.
#[derive(Debug, Clone)]
struct Case {
    among: Among,
    /// Which of the calls.
    nth: usize,
    /// What that call was in the pass that was not disturbed.
    call: String,
    sort: Sort,
    /// How many steps are in flight.
    parallelism: usize,
}

/// The cases of both ways, in turn there and back.
#[derive(Default)]
struct Cases {
    to_b: VecDeque<Case>,
    to_a: VecDeque<Case>,
}

impl Cases {
    const LOOKS: usize = 3;

    /// Every write gets every sort, and every read one, in turn; of a container that is watched, the first
    /// `LOOKS` looks. Of a call that both ways make, each way gets half: of a write half of the sorts, of
    /// reads every other one. Those passes make one call at a time, so that the calls have numbers; programs
    /// with more in flight are killed at every third write.
    fn of(to_b: &[Call], to_a: &[Call]) -> Self {
        let mut cases = Self::default();
        let (signed_b, signed_a) = (signatures(to_b), signatures(to_a));
        let mut turn = Sort::READS.into_iter().cycle();
        for (half, calls, signed, others, queue) in [
            (0, to_b, &signed_b, &signed_a, &mut cases.to_b),
            (1, to_a, &signed_a, &signed_b, &mut cases.to_a),
        ] {
            let (mut writes, mut reads) = (0, 0);
            for (call, signature) in calls.iter().zip(signed) {
                let is_mine = |place: usize| !others.contains(signature) || place % 2 == half;
                if call.is_write() {
                    writes += 1;
                    let sorts = Sort::WRITES.into_iter().filter(|sort| sort.suits(call)).enumerate();
                    queue.extend(sorts.filter(|(place, _)| is_mine(place + signature.len())).map(
                        |(_, sort)| Case {
                            among: Among::Writes,
                            nth: writes,
                            call: signature.clone(),
                            sort,
                            parallelism: 1,
                        },
                    ));
                } else {
                    reads += 1;
                    let looked = signature.rsplit('#').next().and_then(|count| count.parse().ok());
                    if is_mine(reads) && looked.is_none_or(|looked: usize| looked <= Self::LOOKS) {
                        let sort = turn.by_ref().find(|sort| sort.suits(call)).expect("a cycle has no end");
                        let call = signature.clone();
                        queue.push_back(Case { among: Among::Reads, nth: reads, call, sort, parallelism: 1 });
                    }
                }
            }
            let parallel = |nth| Case {
                among: Among::Writes,
                nth,
                call: "several at once".to_owned(),
                sort: Sort::KilledAfter,
                parallelism: 8,
            };
            queue.extend((1..=writes).step_by(3).map(parallel));
        }
        cases
    }
}

/// Calls by what they are about, the same in every world, each with how often it was made before.
fn signatures(calls: &[Call]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut sign = |call: &Call| {
        let text = call.to_string();
        let text = text.split("&changes").next().unwrap_or_default();
        let is_id = |word: &str| word.len() >= 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        let shape: String = words
            .map(|word| {
                let end = word.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
                if is_id(&word[..word.len() - end.len()]) { format!("ID{end}") } else { word.to_owned() }
            })
            .collect();
        let count = seen.entry(shape.clone()).or_default();
        *count += 1;
        format!("{shape} #{count}")
    };
    calls.iter().map(&mut sign).collect()
}

/// What came of the cases.
#[derive(Default)]
struct Tally {
    tried: BTreeMap<Sort, usize>,
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
                self.wrongs.push(format!("{:?} to {:?} {}\n{wrong}", case.sort, world.side(), case.call));
                return;
            }
        };
        *self.tried.entry(case.sort).or_default() += 1;
        *self.passes.entry(passes).or_default() += 1;
    }
}

/// Makes one disturbed pass to the other side, then undisturbed ones. Gives how many of these it took, or
/// nothing where the call did not come.
async fn disturb(world: &mut World, case: &Case) -> Result<Option<usize>, String> {
    world.turn().await;
    let arm = |fault: Fault| world.proxy.arm(case.among, case.nth, fault);
    match case.sort {
        Sort::KilledBefore => {
            world.killed(case.parallelism, |kill| arm(Fault::Do(When::Before, kill))).await?;
        }
        Sort::KilledAfter => {
            world.killed(case.parallelism, |kill| arm(Fault::Do(When::After, kill))).await?;
        }
        sort => {
            arm(match sort {
                Sort::CutBefore => Fault::Cut(When::Before),
                Sort::CutAfter => Fault::Cut(When::After),
                Sort::RefusedBefore => Fault::Refuse(When::Before),
                Sort::RefusedAfter => Fault::Refuse(When::After),
                Sort::Truncated => Fault::Truncate,
                Sort::Garbled => Fault::Garble,
                Sort::EngineGone | Sort::KilledBefore | Sort::KilledAfter => Fault::Gone(When::After),
            });
            // What comes of it is seen on the engine.
            let _ = world.pass(case.parallelism).await;
        }
    }
    let struck = world.proxy.struck();
    world.proxy.reset();
    let mut wrongs = world.wrongs_after(case.sort.is_survived()).await;
    // Of several calls at once the engine goes on with some for seconds, which the first passes run into.
    let passes = world.settle(if case.parallelism == 1 { 2 } else { 4 }).await?;
    if case.parallelism > 1 && !world.wrongs().await.is_empty() {
        // What the engine finished after the last pass had looked is for the next one.
        world.settle(2).await?;
    }
    wrongs.extend(world.wrongs().await);
    if wrongs.is_empty() { Ok(struck.map(|_| passes)) } else { Err(wrongs.join("\n")) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn law_11_a_pass_that_is_disturbed_at_any_call_is_put_right_by_the_next() {
    if is_left_out("law_11_a_pass_that_is_disturbed_at_any_call_is_put_right_by_the_next") {
        return;
    }
    let begun = Instant::now();
    let mut first = World::new().await;
    let mut ways = Vec::new();
    for _ in 0..2 {
        first.turn().await;
        first.proxy.reset();
        assert!(first.pass(1).await.is_ok_and(|outcomes| outcomes.is_success()));
        let shown = |call: Call| Call {
            path: first.host.shown(&call.path).replace(&first.host.prefix, "OWNER"),
            ..call
        };
        ways.push(first.proxy.calls().into_iter().map(shown).collect::<Vec<_>>());
        assert_eq!(first.settle(0).await, Ok(0));
        assert_eq!(first.wrongs().await, Vec::<String>::new());
    }
    // Answers that all come late are no failure.
    first.turn().await;
    first.proxy.arm(Among::All, 1, Fault::Stall(Duration::from_millis(100)));
    assert!(first.pass(1).await.is_ok_and(|outcomes| outcomes.is_success()));
    first.proxy.reset();
    assert_eq!(first.settle(0).await, Ok(0));

    let cases = Cases::of(&ways[0], &ways[1]);
    let cases = Arc::new(Mutex::new(cases));
    let tally = Arc::new(Mutex::new(Tally::default()));
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
    let tried: usize = tally.tried.values().sum();
    say(&format!(
        "{} and {} calls; {tried} disturbed passes in {:.0?}: {:?}; undisturbed passes after them: {:?}; {} calls did not come",
        ways[0].len(),
        ways[1].len(),
        begun.elapsed(),
        tally.tried,
        tally.passes,
        tally.missed
    ));
    assert!(tally.missed * 20 <= tried, "too many calls did not come");
    assert!(tally.wrongs.is_empty(), "{} wrongs\n{}", tally.wrongs.len(), tally.wrongs.join("\n\n"));
}

/// Works through the cases until there are none.
async fn work(mut world: World, cases: Arc<Mutex<Cases>>, tally: Arc<Mutex<Tally>>) {
    loop {
        let next = {
            let mut cases = cases.lock().expect("a lock");
            if cases.to_a.is_empty() && cases.to_b.is_empty() {
                return;
            }
            match world.side() {
                Side::A => cases.to_b.pop_front(),
                Side::B => cases.to_a.pop_front(),
            }
        };
        let Some(case) = next else {
            // Only the other way has cases left.
            world.turn().await;
            world.settle(2).await.expect("nothing disturbs it");
            continue;
        };
        let result = disturb(&mut world, &case).await;
        let wrong = result.is_err();
        tally.lock().expect("a lock").note(&case, &world, result);
        if wrong {
            world = World::new().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_an_engine_that_is_killed_in_the_middle_of_a_pass_stops_nothing_and_the_daemon_goes_on() {
    let spare = Spare::new();
    let proxy = Proxy::before(&spare.socket);
    let host = Host::new("enginekill").await;
    spare.docker(&["run", "-d", "--stop-signal", "SIGKILL", "--name", "theirs", BUSYBOX, "sleep", "100000"]);
    let web = |side: usize| {
        host.container(
            "web",
            &sleeper(&format!(", env: {{SIDE: {side}}}, networks: ['{}']", host.name("net"))),
        );
    };
    host.write("net.yaml", "apiVersion: invigil/v1\nkind: Network\nmetadata: {name: '@net'}\n");
    host.container("still", &sleeper(", restartPolicy: unless-stopped"));
    web(0);
    let daemon = Daemon::start_on(&host, &proxy.endpoint());
    let endpoint = spare.endpoint();
    // Nothing while it is not there.
    let look = |name: &str, format: &str| {
        let name = if name == "theirs" { name.to_owned() } else { host.name(name) };
        let looked =
            Command::new("docker").args(["--host", &endpoint, "inspect", "--format", format, &name]).output();
        String::from_utf8_lossy(&looked.expect("docker").stdout).trim().to_owned()
    };
    let runs = |side: usize| {
        look("web", &format!("{{{{.State.Running}}}} {}", variable("SIDE"))) == format!("true SIDE={side}")
            && spare.docker(&["ps", "-a", "--format", "{{.Names}}"]).lines().count() == 3
    };
    daemon.until("all is made", || runs(0));
    let facts = || ["still", "theirs"].map(|name| look(name, "{{.Id}} {{.State.StartedAt}} {{.State.Pid}}"));
    let before = facts();

    // Create, stop, rename, rename, start, remove.
    let cases = (1..=6).flat_map(|nth| [(nth, When::Before), (nth, When::After)]);
    let mut tried = 0;
    let begun = Instant::now();
    for (nth, when) in cases {
        tried += 1;
        proxy.arm(Among::Writes, nth, Fault::Do(when, spare.killer()));
        web(tried);
        daemon.until("the engine is killed", || proxy.struck().is_some());
        tokio::time::sleep(Duration::from_millis(100)).await;
        spare.start();
        daemon.until(&format!("web is replaced, the engine killed {when:?} write {nth}"), || runs(tried));
        assert_eq!(facts(), before, "killed {when:?} write {nth}");
    }
    say(&format!("the engine was killed {tried} times in {:.0?}", begun.elapsed()));
}

/// How much later than it was sent a call reaches the engine: the client has given up after a minute.
const LATE: Duration = Duration::from_secs(95);

#[tokio::test(flavor = "multi_thread")]
async fn law_11_a_call_that_reaches_the_engine_after_its_client_gave_up_does_no_harm() {
    // Create, rename, rename, start, remove; a stop is waited for as long as it takes.
    let late = [1, 3, 4, 5, 6].map(|nth| {
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
