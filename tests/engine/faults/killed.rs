//! An engine that is killed in the middle of what it was told, and started again. In: a proxy that kills it at one write,
//! before or after the engine has done it. Out: that nothing stopped, and that the next passes put everything right.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use super::part::{Moved, Part, Side};
use super::say;
use super::sweep::go;
use super::world::World;
use crate::daemon::Daemon;
use crate::proxy::{Among, Call, Fault, Proxy, When, real_engine};
use crate::spare::{Spare, killer, start_again};
use crate::support::{BUSYBOX, Host, sleeper, variable};

#[tokio::test(flavor = "multi_thread")]
async fn law_11_an_engine_that_is_killed_in_the_middle_of_a_pass_stops_nothing_and_the_daemon_goes_on() {
    let spare = Spare::new();
    let proxy = Proxy::before(&spare.socket);
    let host = Host::new("enginekill").await;
    spare.docker(&["run", "-d", "--stop-signal", "SIGKILL", "--name", "theirs", BUSYBOX, "sleep", "100000"]);
    let web = |side: usize| {
        host.container("web", &sleeper(&format!(", env: {{SIDE: {side}}}, networkMode: none")));
    };
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

    // Create, rename, stop, rename, start, remove.
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

/// Says to the process of a test that the engine which it speaks to is one to be killed.
const TO_BE_KILLED: &str = "INVIGIL_TEST_ENGINE_TO_BE_KILLED";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn law_11_an_engine_that_is_killed_among_a_dozen_resources_is_put_right_by_the_next_passes() {
    if std::env::var_os(TO_BE_KILLED).is_some() {
        return kill_among_a_dozen().await;
    }
    let spare = Spare::new();
    // Everything in a process of its own speaks to that engine.
    let mut again = tokio::process::Command::new(std::env::current_exe().expect("this program"));
    again.args(["law_11_an_engine_that_is_killed_among_a_dozen_resources", "--nocapture"]);
    again.env("DOCKER_HOST", spare.endpoint()).env(TO_BE_KILLED, "spare").kill_on_drop(true);
    let output = again.output().await.expect("this program runs");
    let told =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    told.lines().filter(|line| line.contains("killed")).for_each(say);
}

/// At which of a move's writes the engine is killed: at every third.
const KILLED_EVERY: usize = 3;

/// Makes passes to and fro, in each of which the engine is killed at one of its writes, before or after it has done it.
///
/// Never while it makes or removes a network: 20.10 may then hold the addresses of one that it never lists, or end with a
/// panic whenever it is started again, which no client of it can mend.
async fn kill_among_a_dozen() {
    let begun = Instant::now();
    let mut world = World::new().await;
    let (mut cases, mut tried) = (Vec::new(), BTreeMap::new());
    for moved in Part::ALL.map(Moved::Only) {
        for side in [Side::B, Side::A] {
            world.turn(moved).await;
            let calls = go(&mut world, moved).await;
            let writes = (1..).zip(calls.into_iter().filter(Call::is_write));
            let is_network = |call: &Call| call.path.starts_with("/networks");
            cases.extend(
                writes.filter(|(_, call)| !is_network(call)).map(|(nth, call)| (moved, side, nth, call)),
            );
        }
    }
    let turns = [When::Before, When::After].into_iter().cycle();
    for ((moved, side, nth, call), when) in cases.into_iter().step_by(KILLED_EVERY).zip(turns) {
        if world.sides().of_all(moved) == Some(side) {
            world.turn(moved).await;
            go(&mut world, moved).await;
        }
        world.turn(moved).await;
        world.proxy.arm(Among::Writes, nth, Fault::Do(when, killer(&real_engine())));
        // What comes of it is seen on the engine.
        let _ = world.pass(1).await;
        let at = format!("killed {when:?} write {nth} of {moved:?} to {side:?}, {call}");
        assert!(world.proxy.struck().is_some(), "not {at}");
        world.proxy.reset();
        start_again("spare", &real_engine());
        let passes = world.settle(4).await.unwrap_or_else(|wrong| panic!("{at}: {wrong}"));
        assert_eq!(world.wrongs(moved).await, Vec::<String>::new(), "{at}");
        *tried.entry((moved, passes)).or_insert(0) += 1;
    }
    say(&format!(
        "the engine was killed {} times among a dozen resources in {:.0?}: what was moved, and how many passes it took then: \
         {tried:?}",
        tried.values().sum::<usize>(),
        begun.elapsed()
    ));
}
