mod bench;
mod soak;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use bench::{Bench, network, removing};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn a_daemon_says_what_it_does_and_nothing_when_there_is_nothing_to_do() {
    let bench = Bench::started(&[("a.yaml", &network("exam"))]).await;
    let log = bench.log();
    assert_eq!(log.len(), 3, "{log:#?}");
    assert!(log[0].starts_with("INFO invigil starts version="), "{}", log[0]);
    assert_eq!(log[1], r#"INFO done resource=network/exam action="create" reasons="" took=0.00s"#);
    assert_eq!(log[2], "INFO ready");
    assert_eq!(bench.told(), ["READY=1"]);
    sleep(10 * MINUTE).await;
    assert_eq!(bench.log(), [""; 0]);
    assert_eq!(bench.engine.state().looks, 11);
}

#[tokio::test(start_paused = true)]
async fn what_was_saved_or_done_just_now_is_ready_once_it_was_looked_at() {
    let bench = Bench::started(&[("a.yaml", &network("exam"))]).await;
    assert_eq!(bench.status(), ["network/exam Progressing: done, and not looked at yet"]);
    sleep(Duration::from_millis(250)).await;
    assert_eq!(bench.status(), ["network/exam Ready"]);
    sleep(MINUTE).await;

    bench.write("b.yaml", &network("more"));
    bench.bell.files_changed();
    assert_eq!(bench.status(), ["network/exam Ready", "outdated"]);
    sleep(Duration::from_millis(160)).await;
    assert_eq!(
        bench.status(),
        ["network/exam Ready", "network/more Progressing: done, and not looked at yet"]
    );
    sleep(Duration::from_millis(250)).await;
    assert_eq!(bench.status(), ["network/exam Ready", "network/more Ready"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_done_last_is_told_the_newest_first_and_twenty_of_it() {
    let mut bench = Bench::with(&[("a.yaml", &network("bad"))]);
    bench.engine.state().refused.insert("create network bad".to_owned());
    bench.start().await;
    assert_eq!(bench.actions(), ["network/bad create Failed: create network bad: the toy refuses"]);
    bench.write("b.yaml", &network("good"));
    bench.files_changed().await;
    assert_eq!(bench.actions()[0], "network/good create Done");
    let many: Vec<String> = (0..30).map(|number| network(&format!("n{number}"))).collect();
    bench.write("c.yaml", &many.join("---\n"));
    bench.files_changed().await;
    let actions = bench.actions();
    assert_eq!(actions.len(), 20);
    assert!(actions.iter().all(|action| action.starts_with("network/n")), "{actions:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_differs_is_told_field_by_field_as_long_as_it_does() {
    let mut bench = Bench::with(&[("a.yaml", &network("exam"))]);
    bench.start().await;
    sleep(MINUTE).await;
    assert_eq!(bench.difference("network/exam"), [""; 0]);
    bench.engine.state().step = Duration::from_secs(3);
    bench.write("a.yaml", &network("exam").replace("spec: {", "spec: {internal: true, "));
    bench.files_changed().await;
    assert_eq!(bench.difference("network/exam"), ["internal: nothing -> true"]);
    sleep(MINUTE).await;
    assert_eq!(bench.difference("network/exam"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_is_told_how_everything_stands() {
    let paused = network("left").replace("metadata: {", "metadata: {suspend: true, ");
    let files = [("a.yaml", network("good")), ("b.yaml", network("bad")), ("c.yaml", paused)];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut bench = Bench::with(&files);
    bench.engine.state().refused.insert("create network bad".to_owned());
    bench.engine.state().step = Duration::from_secs(3);
    bench.start().await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        bench.status(),
        [
            "network/bad Progressing: create",
            "network/good Progressing: create",
            "network/left Suspended: suspended",
        ]
    );
    sleep(Duration::from_millis(2500)).await;
    let stalled = "network/bad Stalled: failed: the toy refuses, next try";
    assert_eq!(bench.status(), [stalled, "network/good Ready", "network/left Suspended: suspended"]);

    bench.write("a.yaml", "kind: Network\n");
    bench.files_changed().await;
    let status = bench.status();
    assert!(status[0].starts_with("network/bad "), "{status:?}");
    assert!(status.iter().any(|line| line.starts_with("a.yaml:1:1: ")), "{status:?}");

    bench.engine.state().gone = true;
    bench.bell.engine_changed();
    sleep(MINUTE).await;
    let status = bench.status();
    assert!(status.iter().any(|line| line.starts_with("trouble: ")), "{status:?}");

    bench.engine.state().gone = false;
    bench.engine.state().refused.clear();
    bench.write("a.yaml", &network("good"));
    bench.files_changed().await;
    sleep(10 * MINUTE).await;
    assert_eq!(
        bench.status(),
        ["network/bad Ready", "network/good Ready", "network/left Suspended: suspended"]
    );
}

#[tokio::test(start_paused = true)]
async fn who_asks_is_told_what_the_old_exam_service_called_an_image() {
    let set = "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {name: midterm}\nspec:\n  title: T\n  legacyImageId: imgId-1\n  items:\n  \
               - {id: '1', type: true_false, prompt: Q, key: {bool: true}}\n";
    let bench = Bench::started(&[("a.yaml", set)]).await;
    sleep(MINUTE).await;
    assert_eq!(bench.status(), ["image/midterm Ready"]);
    let id = || bench.legacy_id("image/midterm");
    assert_eq!(id().as_deref(), Some("imgId-1"));

    // Whoever made a mistake in the manifest finds it all the same.
    bench.write("a.yaml", &set.replace("true_false", "true_or_false"));
    bench.files_changed().await;
    assert_eq!(id().as_deref(), Some("imgId-1"), "{:?}", bench.status());
    bench.write("a.yaml", &set.replace("  legacyImageId: imgId-1\n", ""));
    bench.files_changed().await;
    assert_eq!(id(), None);
}

#[tokio::test(start_paused = true)]
async fn law_4_what_is_kept_is_no_failure_and_what_goes_soon_is_waited_for() {
    let files = [("a.yaml", network("kept")), ("b.yaml", network("gone"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let bench = Bench::started(&files).await;
    sleep(MINUTE).await;
    std::fs::remove_file(bench.root().join("b.yaml")).unwrap();
    bench.files_changed().await;
    let waits = "the manifests have just changed; removals wait until they stay the same";
    let goes = format!("network/gone Progressing: no manifest describes it: {waits}");
    assert_eq!(bench.status(), [&goes, "network/kept Ready"]);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.status(), ["network/kept Ready"]);

    std::fs::remove_file(bench.root().join("a.yaml")).unwrap();
    bench.files_changed().await;
    let kept = "there is no manifest at all, so nothing is removed";
    assert_eq!(bench.status(), [format!("network/kept Kept: no manifest describes it: {kept}")]);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_gone_is_not_asked_in_a_tight_loop_for_what_is_due() {
    let mut bench = Bench::with(&[("a.yaml", &network("bad"))]);
    bench.engine.state().refused.insert("create network bad".to_owned());
    bench.start().await;
    bench.engine.state().gone = true;
    bench.engine.state().looks = 0;
    sleep(MINUTE).await;
    let looks = bench.engine.state().looks;
    assert!((6..=12).contains(&looks), "{looks}");
}

#[tokio::test(start_paused = true)]
async fn what_vanishes_behind_its_back_is_there_again_at_once() {
    let bench = Bench::started(&[("a.yaml", &network("exam"))]).await;
    sleep(MINUTE / 2).await;
    bench.steps();
    bench.engine.state().observed.networks.clear();
    bench.bell.engine_changed();
    sleep(Duration::from_millis(25)).await;
    assert_eq!(bench.steps(), ["create network exam"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_resource_is_retried_after_growing_waits_and_holds_nothing_back() {
    let bench = Bench::with(&[("a.yaml", &network("bad")), ("b.yaml", &network("good"))]);
    bench.engine.state().refused.insert("create network bad".to_owned());
    let mut bench = bench;
    bench.start().await;
    sleep(5 * MINUTE).await;
    let steps = std::mem::take(&mut bench.engine.state().steps);
    let times: Vec<u64> =
        steps.iter().filter(|(_, step)| step.ends_with("bad")).map(|(time, _)| *time).collect();
    assert!(steps.contains(&(0, "create network good".to_owned())), "{steps:?}");
    // 1, 2, 4, ... seconds after each other, a fifth more or less.
    assert!((8..=9).contains(&times.len()), "{times:?}");
    for (tries, pair) in times.windows(2).enumerate() {
        let (wait, waited) = (1_u64 << tries, pair[1] - pair[0]);
        assert!((wait * 8 / 10..=wait * 12 / 10 + 1).contains(&waited), "{times:?}");
    }
    let log = bench.log();
    let failed = r#"ERROR failed resource=network/bad action="create" reasons="" step=create network bad why=the toy refuses"#;
    assert_eq!(log.iter().filter(|line| *line == failed).count(), times.len(), "{log:#?}");

    // Another wish is a fresh start.
    bench.engine.state().refused.clear();
    bench.write("a.yaml", &network("bad").replace("bridge}", "bridge, internal: true}"));
    bench.files_changed().await;
    assert_eq!(bench.steps(), ["create network bad"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_last_is_not_made_again_in_a_tight_loop() {
    let mut bench = Bench::with(&[("a.yaml", &network("exam"))]);
    bench.engine.state().vanishing.insert("exam".to_owned());
    bench.start().await;
    for _ in 0..600 {
        bench.bell.engine_changed();
        sleep(Duration::from_millis(100)).await;
    }
    let times: Vec<u64> = bench.engine.state().steps.iter().map(|(time, _)| *time).collect();
    assert!((6..=8).contains(&times.len()), "{times:?}");
    let log = bench.log();
    let said = "WARN did not last, will be done again resource=network/exam times=2 after=";
    assert_eq!(log.iter().filter(|line| line.starts_with(said)).count(), 1, "{log:#?}");
}

#[tokio::test(start_paused = true)]
async fn law_7_a_replacement_that_failed_waits_an_hour_unless_its_manifest_changes() {
    let mut bench = Bench::started(&[("a.yaml", &network("exam"))]).await;
    let first = "remove network 000000000000";
    bench.engine.state().refused.insert(first.to_owned());
    sleep(MINUTE).await;
    bench.steps();
    bench.write("a.yaml", &network("exam").replace("bridge}", "bridge, internal: true}"));
    bench.files_changed().await;
    assert_eq!(bench.steps(), [first]);
    for _ in 0..59 {
        bench.bell.engine_changed();
        sleep(MINUTE).await;
        assert_eq!(bench.steps(), [""; 0]);
    }
    sleep(MINUTE * 2).await;
    assert_eq!(bench.steps(), [first]);

    // The next daemon does not try sooner.
    bench.stop();
    bench.stopped().await;
    bench.start().await;
    sleep(MINUTE * 100).await;
    assert_eq!(bench.steps(), [""; 0]);

    bench.engine.state().refused.clear();
    bench.write("a.yaml", &network("exam").replace("bridge}", "bridge, attachable: true}"));
    bench.files_changed().await;
    assert_eq!(bench.steps(), [first, "create network exam"]);
}

#[tokio::test(start_paused = true)]
async fn a_syntax_error_stops_nothing_and_is_said_once() {
    let files = [("a.yaml", network("a1")), ("b.yaml", network("b1")), ("c.yaml", network("c1"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let bench = Bench::started(&files).await;
    bench.log();
    bench.steps();
    bench.write("b.yaml", "kind: [\n");
    bench.files_changed().await;
    let log = bench.log();
    assert_eq!(log.len(), 2, "{log:#?}");
    assert!(log[0].starts_with("ERROR b.yaml:2:1: "), "{log:#?}");
    assert_eq!(
        log[1],
        "WARN kept, though no manifest describes it resource=network/b1 why=a manifest is invalid, so nothing is removed"
    );
    sleep(10 * MINUTE).await;
    assert_eq!(bench.log(), [""; 0]);
    assert_eq!(bench.steps(), [""; 0]);

    // The others go on being kept.
    bench.engine.state().observed.networks.retain(|network| network.name != "c1");
    bench.bell.engine_changed();
    sleep(MINUTE).await;
    assert_eq!(bench.steps(), ["create network c1"]);
    bench.log();

    bench.write("b.yaml", &network("b1"));
    bench.files_changed().await;
    assert_eq!(bench.log(), ["INFO the manifests hold again"]);
    assert_eq!(bench.steps(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn law_2_a_directory_that_is_renamed_away_emptied_and_put_back_costs_nothing() {
    let bench = Bench::started(&[("a.yaml", &network("exam"))]).await;
    bench.log();
    bench.steps();
    let away = bench.root().with_extension("away");
    std::fs::rename(bench.root(), &away).unwrap();
    bench.files_changed().await;
    sleep(5 * MINUTE).await;
    let shown = bench.root().display().to_string();
    assert_eq!(
        bench.log(),
        [format!(
            "ERROR there is no manifest directory {shown}; nothing is changed until it can be looked at again"
        )]
    );

    std::fs::create_dir(bench.root()).unwrap();
    bench.files_changed().await;
    sleep(5 * MINUTE).await;
    assert_eq!(
        bench.log(),
        [
            format!("WARN no manifests in {shown} (looked for *.yaml and *.yml)").as_str(),
            "WARN kept, though no manifest describes it resource=network/exam why=there is no manifest at all, so nothing is removed",
            "INFO manifests and engine can be looked at again",
        ]
    );

    std::fs::remove_dir(bench.root()).unwrap();
    std::fs::rename(&away, bench.root()).unwrap();
    bench.files_changed().await;
    sleep(5 * MINUTE).await;
    assert_eq!(bench.log(), ["INFO there are manifests again"]);
    assert_eq!(bench.steps(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_suspended_and_resumed_is_told_each_time() {
    let mut bench = Bench::with(&[("a.yaml", &network("exam"))]);
    bench.suspension().set("the exam runs").unwrap();
    bench.start().await;
    let told = "WARN the host is suspended: the exam runs; nothing is changed until `invigil resume`";
    assert!(bench.log().iter().any(|line| line == told));
    assert_eq!(bench.status(), ["network/exam Suspended: the host is suspended: the exam runs"]);
    bench.suspension().clear().unwrap();
    bench.bell.suspension_changed();
    sleep(Duration::from_millis(10)).await;
    let log = bench.log();
    assert!(
        log[0] == "INFO the host is resumed" && log[1].starts_with("INFO done resource=network/exam"),
        "{log:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_container_that_the_engine_is_removing_is_looked_at_again_soon_and_told_only_if_that_lasts() {
    let manifest = "apiVersion: invigil/v1\nkind: Container\nmetadata: {name: web}\nspec: {image: 'a:1'}\n";
    let mut bench = Bench::with(&[("a.yaml", manifest)]);
    bench.engine.state().observed.containers.push(removing("web"));
    bench.start().await;
    bench.log();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.log(), [""; 0]);
    let looks = bench.engine.state().looks;
    assert!(looks >= 20, "{looks}");
    let waits = "the engine is still removing the container of this name";
    assert_eq!(bench.status(), [format!("container/web Progressing: {waits}")]);
    sleep(MINUTE).await;
    assert_eq!(bench.log(), [format!("INFO not tried yet resource=container/web why={waits}")]);
    let more = bench.engine.state().looks - looks;
    assert!(more < 60, "{more}");
}

#[tokio::test(start_paused = true)]
async fn law_11_an_engine_that_goes_away_is_waited_for_and_taken_up_again() {
    let bench = Bench::started(&[("a.yaml", &network("exam"))]).await;
    bench.log();
    bench.steps();
    bench.engine.state().gone = true;
    sleep(5 * MINUTE).await;
    assert_eq!(
        bench.log(),
        [
            "ERROR no engine answers at /toy.sock: connection refused; nothing is changed until it can be looked at again"
        ]
    );
    {
        let mut state = bench.engine.state();
        state.gone = false;
        state.observed.networks.clear();
    }
    sleep(Duration::from_secs(11)).await;
    assert_eq!(bench.steps(), ["create network exam"]);
    assert_eq!(bench.log()[0], "INFO manifests and engine can be looked at again");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_away_in_the_middle_is_no_failure_of_a_resource() {
    let mut bench = Bench::with(&[("a.yaml", &network("exam"))]);
    bench.engine.state().step = Duration::from_secs(1);
    bench.start().await;
    bench.engine.state().gone = true;
    sleep(5 * MINUTE).await;
    bench.engine.state().gone = false;
    sleep(Duration::from_secs(12)).await;
    assert_eq!(bench.engine.state().finished, ["create network exam"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_without_an_engine_is_ready_when_it_is_there() {
    let mut bench = Bench::with(&[("a.yaml", &network("exam"))]);
    bench.engine.state().gone = true;
    bench.start().await;
    bench.bell.reload();
    sleep(MINUTE).await;
    assert_eq!(bench.told(), [""; 0]);
    bench.engine.state().gone = false;
    sleep(MINUTE).await;
    assert_eq!(bench.told(), ["READY=1"]);
}

#[tokio::test(start_paused = true)]
async fn sigterm_finishes_the_steps_in_flight_and_begins_no_other() {
    let files: Vec<(String, String)> =
        (0..9).map(|number| (format!("{number}.yaml"), network(&format!("n{number}")))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mut bench = Bench::with(&files);
    bench.engine.state().step = MINUTE;
    bench.start().await;
    let begun = Instant::now();
    bench.stop();
    bench.stopped().await;
    assert!(begun.elapsed() <= MINUTE);
    let expected: Vec<String> = (0..4).map(|number| format!("create network n{number}")).collect();
    assert_eq!(bench.engine.state().finished, expected);
    assert_eq!(bench.steps(), expected);
    assert_eq!(bench.told(), ["READY=1", "STOPPING=1"]);
    assert_eq!(bench.log().last().unwrap(), "INFO invigil stops; containers go on as they are");
}

#[tokio::test(start_paused = true)]
async fn a_reload_tries_again_at_once_and_says_again_what_is_wrong() {
    let bench = Bench::started(&[("a.yaml", &network("exam")), ("b.yaml", "kind: [\n")]).await;
    bench.told();
    let said = bench.log().into_iter().find(|line| line.starts_with("ERROR")).unwrap();
    bench.bell.reload();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(bench.log(), ["INFO reloading", &said, "INFO ready"]);
    assert_eq!(bench.told(), ["RELOADING=1", "READY=1"]);
}
