use std::collections::BTreeMap;

use super::*;
use crate::cli::args::commands;

fn read(text: &str) -> Result<BTreeMap<String, Vec<String>>, Vec<String>> {
    let settings = Setting::all(&commands());
    match file::read(text.as_bytes(), Path::new("/etc/invigil/config.yaml"), &settings) {
        Ok(values) => Ok(values.into_iter().map(|(key, set)| (key, set.texts)).collect()),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn what_a_file_says_is_what_flags_would_say() {
    let text =
        "owner: room-2\nmanifests: exams\nmaxRemovals: 7\nminFreeSpace: 0\ninterval: 10s\nlogLevel: DEBUG\n";
    let values = read(text).unwrap();
    let told: Vec<String> = values.iter().map(|(key, texts)| format!("{key}={}", texts.join(","))).collect();
    assert_eq!(
        told,
        [
            "interval=10s",
            "logLevel=DEBUG",
            "manifests=/etc/invigil/exams",
            "maxRemovals=7",
            "minFreeSpace=0",
            "owner=room-2"
        ]
    );
    assert!(read("# nothing\n").unwrap().is_empty());
    assert!(read("").unwrap().is_empty());
}

#[test]
fn everything_that_is_wrong_is_told_at_its_place() {
    let text = "ownr: room-2\nmaxRemovals: many\nmaxRemovalShare: 101\ninterval: 1ns\nlogFormat: jsn\nowner: Room 2\n\
                stateDir:\nparallelism: \"4\"\nexamServer: [a]\nowner: x\n";
    let wrong = read(text).unwrap_err();
    assert_eq!(
        wrong,
        [
            "/etc/invigil/config.yaml:1:1: ownr: unknown setting `ownr`\n  hint: did you mean `owner`?",
            "/etc/invigil/config.yaml:2:14: maxRemovals: expected a whole number, found a text",
            "/etc/invigil/config.yaml:3:18: maxRemovalShare: 101 is not in 0..=100",
            "/etc/invigil/config.yaml:4:11: interval: expected at least 100ms",
            "/etc/invigil/config.yaml:5:12: logFormat: expected one of text, json\n  hint: did you mean `json`?",
            "/etc/invigil/config.yaml:6:8: owner: `Room 2` is not an owner (lower-case letters and digits, separated by `.`, `_` or `-`, at most 63)",
            "/etc/invigil/config.yaml:7:9: stateDir: expected a path, found nothing\n  hint: write a value, or leave the setting out",
            "/etc/invigil/config.yaml:8:14: parallelism: expected a whole number, found a text\n  hint: write it without quotes",
            "/etc/invigil/config.yaml:9:13: examServer: expected a path, found a list",
            "/etc/invigil/config.yaml:10:1: owner: this key already stands at 6:1",
        ]
    );
    assert_eq!(
        read("[owner]").unwrap_err(),
        ["/etc/invigil/config.yaml:1:1: expected a mapping of settings"]
    );
    assert_eq!(
        read("owner: a\n---\nowner: b\n").unwrap_err(),
        ["/etc/invigil/config.yaml:3:1: a configuration is one document"]
    );
    assert_eq!(read("{").unwrap_err().len(), 1);
}

#[test]
fn a_setting_is_one_thing_wherever_it_is_taken() {
    let command = commands();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for taker in command.get_subcommands() {
        for setting in Setting::of_command(taker) {
            let key = setting.key.clone();
            let told = format!("{} {} {}", setting.flag(), setting.variable(), setting.schema());
            let before = known.entry(key.clone()).or_insert_with(|| told.clone());
            assert_eq!(*before, told, "{key} of {}", taker.get_name());
            assert!(!setting.description().is_empty(), "{key}");
            let dockers = ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG"];
            let is_known =
                setting.variable().starts_with("INVIGIL_") || dockers.contains(&setting.variable().as_str());
            assert!(is_known, "{key}: {}", setting.variable());
            assert!(
                setting.argument.is_hide_env_values_set(),
                "{key}: a help text is the same on every host"
            );
        }
    }
    assert!(known.len() > 10, "{known:?}");
}

#[test]
fn the_example_that_is_installed_holds_with_each_of_its_settings() {
    let text = std::fs::read_to_string("systemd/config.yaml").unwrap();
    assert!(read(&text).unwrap().is_empty(), "installed, it says what would be so without it");
    // Its settings are the comments without a space.
    let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
    let shown =
        lines.into_iter().filter(|line| !line.starts_with(' ') || line.starts_with("  ")).collect::<Vec<_>>();
    let values = read(&shown.join("\n")).unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
    let all: Vec<String> = Setting::all(&commands()).into_iter().map(|setting| setting.key).collect();
    let missing: Vec<&String> = all.iter().filter(|key| !values.contains_key(*key)).collect();
    assert!(missing.is_empty(), "not in systemd/config.yaml: {missing:?}");
}

#[test]
fn what_a_file_sets_stands_where_it_stands_without_one() {
    let words = ["invigil", "run", "--config", "/dev/null"];
    let in_force = |configuration: &Configuration| {
        let command = configuration.fill(commands(), &commands().get_matches_from(words));
        let matches = command.clone().get_matches_from(words);
        let all = configuration.in_force(&command, &matches);
        all.into_iter().map(|one| (one.setting.key, one.values)).collect::<Vec<_>>()
    };
    let settings = Setting::all(&commands());
    let values = file::read(b"owner: room-2\n", Path::new("/etc/invigil/config.yaml"), &settings).unwrap();
    let with = in_force(&Configuration { values, ..Configuration::default() });
    let without = in_force(&Configuration::default());
    assert!(with.contains(&("owner".to_owned(), vec!["room-2".into()])), "{with:?}");
    let keys = |all: &[(String, Vec<OsString>)]| all.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&with), keys(&without));
}

#[test]
fn a_file_that_is_another_by_now_is_told_and_one_with_which_nothing_would_start_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.yaml");
    let command = commands();
    let read_now = || {
        let bytes = std::fs::read(&path).ok();
        Configuration { path: Some(path.clone()), bytes, values: Values::default() }
    };
    assert_eq!(read_now().changed(&command), None, "there is none, and was none");
    std::fs::write(&path, "owner: room-2\n").unwrap();
    let configuration = read_now();
    assert_eq!(configuration.changed(&command), None);
    let changed = format!(
        "the configuration {} has changed, and takes effect when invigil is started anew; `invigil config` tells whether it would start",
        path.display()
    );
    std::fs::write(&path, "owner: room-3\n").unwrap();
    assert_eq!(configuration.changed(&command), Some(changed));
    std::fs::write(&path, "owner: room-3\nintervall: 1\n").unwrap();
    let told = configuration.changed(&command).unwrap();
    let wrong = format!(
        "the configuration has changed, and invigil would not start anew with it: {}:2:1: intervall: unknown setting `intervall`",
        path.display()
    );
    assert!(told.starts_with(&wrong), "{told}");
    assert!(!told.contains('\n'), "{told}");
    std::fs::remove_file(&path).unwrap();
    let told = configuration.changed(&command).unwrap();
    assert!(told.ends_with("config.yaml cannot be read: No such file or directory (os error 2)"), "{told}");
}
