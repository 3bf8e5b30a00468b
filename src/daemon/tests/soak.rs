//! A week in seconds: thousands of passes with changes, errors, refusals and an engine that goes away, after which the
//! daemon needs no more memory than before.

use std::process::Command;
use std::time::Duration;

use tokio::time::sleep;

use super::bench::{Bench, network};

/// Set in the process whose memory is measured: nothing else runs in that one.
const ALONE: &str = "INVIGIL_SOAK";
/// Rounds until everything that is kept once is there.
const BEGIN: u32 = 300;
/// Rounds that are measured.
const ROUNDS: u32 = 1500;
/// How much more may be in memory at the end, in KiB: a quarter of one for each pass is seen.
const GROWTH_MAX: u64 = 1024;

#[test]
fn thousands_of_passes_with_changes_leave_the_daemon_no_larger() {
    let name = "daemon::tests::soak::thousands_of_passes_with_changes_leave_the_daemon_no_larger";
    if std::env::var_os(ALONE).is_none() {
        let own = std::env::current_exe().unwrap();
        let output =
            Command::new(own).args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        // In a directory that was empty, removals would wait for longer than a round.
        let bench = Bench::started(&[("b.yaml", &network("stays"))]).await;
        for round in 0..BEGIN {
            disturb(&bench, round).await;
        }
        let (resident, looks) = (resident(), bench.engine.state().looks);
        for round in BEGIN..BEGIN + ROUNDS {
            disturb(&bench, round).await;
        }
        let passes = bench.engine.state().looks - looks;
        assert!(passes > 4000, "only {passes} passes");
        let networks = bench.engine.state().observed.networks.len();
        assert!(networks < 5, "{networks} networks: what is wanted no longer was not removed");
        let grown = self::resident().saturating_sub(resident);
        assert!(grown < GROWTH_MAX, "{grown} KiB more than {resident} KiB after {passes} passes");
    });
}

/// Another resource, and now and then something that goes wrong; each in words that were never there before.
async fn disturb(bench: &Bench, round: u32) {
    bench.write("a.yaml", &network(&format!("room-{round}")));
    let broken = if round.is_multiple_of(7) { format!("kind: Nonsense{round}\n") } else { network("stays") };
    bench.write("b.yaml", &broken);
    if round.is_multiple_of(11) {
        bench.engine.state().refused.insert(format!("create network room-{round}"));
    }
    bench.engine.state().gone = round.is_multiple_of(13);
    bench.files_changed().await;
    // Long enough for removals, which wait until the manifests stay the same.
    sleep(Duration::from_secs(5)).await;
    let mut state = bench.engine.state();
    (state.gone, state.finished) = (false, Vec::new());
    state.refused.clear();
    drop(state);
    let (_, _, _) = (bench.log(), bench.told(), bench.steps());
}

/// How much of this process is in memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
