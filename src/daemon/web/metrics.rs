//! `/metrics`: what the daemon does and how things stand, in the text format of Prometheus (0.0.4). In: the status and the
//! tally. Out: text. Labels have a few values each: no resource is named, since a room of seats would be as many series.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

use jiff::Timestamp;

use super::process;
use crate::daemon::tally::{Durations, Fetched, Passed, Tally};
use crate::resource::name::Kind;
use crate::status::{Condition, Source, Status};

/// The metrics of now.
pub(super) fn text(status: &Status, tally: &Tally, is_ready: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, status, tally, is_ready);
    out
}

fn write(out: &mut String, status: &Status, tally: &Tally, is_ready: bool) -> fmt::Result {
    let owner = status.owner.as_str();
    let info = [("version", status.version.as_str()), ("owner", owner)];
    family(out, "invigil_build_info", "gauge", "Which Invigil this is, and whose resources it keeps.")?;
    sample(out, "invigil_build_info", &info, 1)?;
    gauge(
        out,
        "invigil_ready",
        "Whether the last look at everything is good and recent.",
        u8::from(is_ready),
    )?;
    let trouble = "Whether the last pass could not look at everything, so that nothing is concluded from it.";
    gauge(out, "invigil_trouble", trouble, u8::from(status.trouble.is_some()))?;
    if let Some(looked) = status.looked {
        let help = "When everything was looked at last, in seconds since 1970.";
        gauge(out, "invigil_last_look_timestamp_seconds", help, since_1970(looked))?;
    }

    family(out, "invigil_passes_total", "counter", "Passes, by what they came to.")?;
    for passed in Passed::ALL {
        let count = tally.passes.get(&passed).copied().unwrap_or_default();
        sample(out, "invigil_passes_total", &[("result", passed.as_str())], count)?;
    }
    let help = "From the wake of a pass to the end of what it did.";
    family(out, "invigil_pass_duration_seconds", "histogram", help)?;
    histogram(out, "invigil_pass_duration_seconds", &[], &tally.pass)?;
    let help = "How long the engine took to show everything.";
    family(out, "invigil_observe_duration_seconds", "histogram", help)?;
    histogram(out, "invigil_observe_duration_seconds", &[], &tally.look)?;
    let help = "How long steps on the engine took that succeeded, by their verb.";
    family(out, "invigil_step_duration_seconds", "histogram", help)?;
    for (verb, durations) in &tally.steps {
        histogram(out, "invigil_step_duration_seconds", &[("step", verb)], durations)?;
    }
    let help = "Resources that were to be changed, by kind, what was to be done, and what came of it.";
    family(out, "invigil_actions_total", "counter", help)?;
    for ((kind, action, outcome), count) in &tally.actions {
        let labels = [("kind", kind.as_str()), ("action", *action), ("outcome", outcome.as_str())];
        sample(out, "invigil_actions_total", &labels, *count)?;
    }

    let mut resources = BTreeMap::new();
    for (id, standing) in &status.resources {
        *resources.entry((id.kind, standing.condition)).or_insert(0_u64) += 1;
    }
    family(out, "invigil_resources", "gauge", "Resources, by kind and by how they stand.")?;
    for kind in Kind::ALL {
        for condition in Condition::ALL {
            let labels = [("kind", kind.as_str()), ("condition", condition.as_str())];
            let count = resources.get(&(kind, condition)).copied().unwrap_or_default();
            sample(out, "invigil_resources", &labels, count)?;
        }
    }
    gauge(out, "invigil_manifest_errors", "Errors in the manifests.", status.errors.len())?;
    let help = "Resources that no manifest describes, and that are kept for now.";
    gauge(out, "invigil_withheld_removals", help, tally.withheld)?;
    let help = "What others did to resources past Invigil, by what it was.";
    family(out, "invigil_interferences_total", "counter", help)?;
    for (action, count) in &tally.interferences {
        sample(out, "invigil_interferences_total", &[("action", action)], *count)?;
    }
    source(out, status.source.as_ref(), tally)?;
    let help = "Whether what is done can be written into the journal.";
    gauge(out, "invigil_journal_writable", help, u8::from(status.journal.is_none()))?;
    let help = "Whether the journal did not hold, or went away, since the daemon started.";
    gauge(out, "invigil_journal_broken", help, u8::from(status.journal_broken.is_some()))?;
    let help = "Entries of the journal that found no room.";
    family(out, "invigil_journal_lost_entries_total", "counter", help)?;
    sample(out, "invigil_journal_lost_entries_total", &[], tally.journal_lost)?;
    let help = "Notifications, by who was to be told and by what became of them.";
    family(out, "invigil_notifications_total", "counter", help)?;
    for ((target, sent), count) in &tally.notifications {
        let labels = [("target", *target), ("result", sent.as_str())];
        sample(out, "invigil_notifications_total", &labels, *count)?;
    }
    process(out, status.started)
}

/// Where the manifests come from. Alerts ask for the first two, which are there without a repository, too.
fn source(out: &mut String, source: Option<&Source>, tally: &Tally) -> fmt::Result {
    let trouble = source.is_some_and(|source| source.trouble.is_some());
    let help = "Whether the manifests' repository cannot be fetched, so that the last good revision goes on.";
    gauge(out, "invigil_source_trouble", help, u8::from(trouble))?;
    let refused = source.is_some_and(Source::is_refused);
    let help = "Whether the revision that is wanted may not run, so that the last good one goes on.";
    gauge(out, "invigil_source_refused", help, u8::from(refused))?;
    let Some(source) = source else { return Ok(()) };
    let help = "Fetches of the manifests' repository, by what they came to.";
    family(out, "invigil_source_fetches_total", "counter", help)?;
    for fetched in Fetched::ALL {
        let count = tally.fetches.get(&fetched).copied().unwrap_or_default();
        sample(out, "invigil_source_fetches_total", &[("result", fetched.as_str())], count)?;
    }
    if let Some(fetched) = source.fetched {
        let help = "When the manifests' repository was fetched last, in seconds since 1970.";
        gauge(out, "invigil_source_last_fetch_timestamp_seconds", help, since_1970(fetched))?;
    }
    let help = "The revision of the manifests that runs, and the one that is wanted.";
    family(out, "invigil_source_revision_info", "gauge", help)?;
    let running = source.running.as_ref();
    let wanted = source.wanted.as_ref().map(|wanted| &wanted.commit).or(running);
    for (role, commit) in [("running", running), ("wanted", wanted)] {
        let Some(commit) = commit else { continue };
        let labels = [("role", role), ("revision", commit.commit.as_str()), ("ref", &source.reference)];
        sample(out, "invigil_source_revision_info", &labels, 1)?;
    }
    Ok(())
}

/// What every program tells of itself, by the names that dashboards know.
fn process(out: &mut String, started: Timestamp) -> fmt::Result {
    let help = "When the daemon started, in seconds since 1970.";
    gauge(out, "process_start_time_seconds", help, since_1970(started))?;
    if let Some(bytes) = process::resident_memory() {
        gauge(out, "process_resident_memory_bytes", "Memory that is resident.", bytes)?;
    }
    if let Some(seconds) = process::cpu_seconds() {
        let help = "Processor time that was used, in user and system mode.";
        family(out, "process_cpu_seconds_total", "counter", help)?;
        sample(out, "process_cpu_seconds_total", &[], seconds)?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact until the year 287396")]
fn since_1970(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn gauge(out: &mut String, name: &str, help: &str, value: impl Display) -> fmt::Result {
    family(out, name, "gauge", help)?;
    sample(out, name, &[], value)
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) -> fmt::Result {
    out.write_str(name)?;
    for (at, (label, text)) in labels.iter().enumerate() {
        let before = if at == 0 { '{' } else { ',' };
        write!(out, "{before}{label}=\"{}\"", Quoted(text))?;
    }
    writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" })
}

fn histogram(out: &mut String, name: &str, labels: &[(&str, &str)], durations: &Durations) -> fmt::Result {
    let bucket = format!("{name}_bucket");
    let mut with_bound = |bound: &str, count: u64| {
        let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", bound)]).collect();
        sample(out, &bucket, &labels, count)
    };
    for (bound, count) in durations.cumulated() {
        with_bound(&bound.to_string(), count)?;
    }
    with_bound("+Inf", durations.count)?;
    sample(out, &format!("{name}_sum"), labels, durations.sum)?;
    sample(out, &format!("{name}_count"), labels, durations.count)
}

/// A label's value as the format wants it.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::daemon::tally::Sent;

    #[test]
    fn metrics_count_what_was_told_and_name_no_resource() {
        let mut status = Status::new("exam\"\\\n", Timestamp::UNIX_EPOCH);
        status.looked = Some(Timestamp::from_millisecond(1_500).unwrap());
        let mut tally = Tally::default();
        tally.passed(Passed::Good, Duration::from_millis(20));
        tally.step("start seat-01", Duration::from_millis(500));
        tally.step("start seat-02", Duration::from_hours(1));
        (tally.withheld, tally.journal_lost) = (3, 7);
        tally.notifications.insert(("mail", Sent::Dropped), 2);
        tally.interferences.insert("copy out", 2);
        status.journal = Some("no space".to_owned());
        let text = text(&status, &tally, true);
        for line in [
            "# TYPE invigil_passes_total counter",
            "invigil_passes_total{result=\"good\"} 1",
            "invigil_passes_total{result=\"blind\"} 0",
            "invigil_last_look_timestamp_seconds 1.5",
            "invigil_ready 1",
            "invigil_pass_duration_seconds_bucket{le=\"0.01\"} 0",
            "invigil_pass_duration_seconds_bucket{le=\"0.025\"} 1",
            "invigil_pass_duration_seconds_bucket{le=\"+Inf\"} 1",
            "invigil_step_duration_seconds_bucket{step=\"start\",le=\"600\"} 1",
            "invigil_step_duration_seconds_bucket{step=\"start\",le=\"+Inf\"} 2",
            "invigil_step_duration_seconds_sum{step=\"start\"} 3600.5",
            "invigil_step_duration_seconds_count{step=\"start\"} 2",
            "invigil_resources{kind=\"container\",condition=\"Stalled\"} 0",
            "invigil_withheld_removals 3",
            "invigil_interferences_total{action=\"copy out\"} 2",
            "invigil_journal_writable 0",
            "invigil_journal_broken 0",
            "invigil_journal_lost_entries_total 7",
            "invigil_notifications_total{target=\"mail\",result=\"dropped\"} 2",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        assert!(text.contains("owner=\"exam\\\"\\\\\\n\"} 1\n"), "{text}");
        assert!(!text.contains("seat"), "{text}");
    }
}
