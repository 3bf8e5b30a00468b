//! `monitoring/`: the rules and the dashboard hold with Prometheus's own tool, and name only metrics that there are.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::daemon::Daemon;
use crate::http::get;

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring")
}

/// The program that is installed, or Debian's, which is unpacked beside the system.
fn promtool() -> PathBuf {
    if Command::new("promtool").arg("--version").output().is_ok() {
        return "promtool".into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/debian-package");
    let output = Command::new(script).arg("prometheus").output().expect("the script");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool is missing, and cannot be fetched: {told}");
    Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("usr/bin/promtool")
}

fn holds(arguments: &[&str], input: &str) {
    let mut command = Command::new(promtool());
    command.args(arguments).current_dir(monitoring());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    // Rules are read from files.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("promtool");
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&told));
}

#[test]
fn alert_rules_hold_and_say_what_they_are_to_say() {
    holds(&["check", "rules", "alerts.yaml"], "");
    holds(&["test", "rules", "alerts.test.yaml"], "");
}

#[test]
fn metrics_are_as_prometheus_wants_them_and_rules_and_dashboard_name_no_others() {
    let daemon = Daemon::without_engine("metrics");
    let metrics = get(daemon.address, "/metrics").body;
    holds(&["check", "metrics"], &metrics);
    // The first time that something is done would not be a rise if there were nothing before it.
    for action in ["exec", "untag", "more"] {
        let line = format!("invigil_interferences_total{{action=\"{action}\"}} 0");
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }

    let families = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let known: BTreeSet<&str> = families.filter_map(|line| line.split(' ').next()).collect();
    for file in ["alerts.yaml", "alerts.test.yaml", "grafana.json"] {
        let text = std::fs::read_to_string(monitoring().join(file)).expect("a file");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: BTreeSet<&str> =
            words.filter(|word| word.starts_with("invigil_") || word.starts_with("process_")).collect();
        assert!(!named.is_empty(), "{file}");
        for name in named {
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(known.contains(family), "{file} names {name}, which is none of {known:?}");
        }
    }
    let dashboard = std::fs::read_to_string(monitoring().join("grafana.json")).expect("a file");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert_eq!(dashboard["title"], "Invigil");
}
