//! `invigil stats`: how much containers use. A table that is drawn anew on a terminal, one elsewhere.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::names::{containers, found, list, name_of, text};
use super::output::{self, RowForm, is_terminal, print_or_end, size};
use super::table::Table;
use crate::cli::args::Whose;
use crate::engine::docker::DockerReader;
use crate::engine::{EngineError, Found, Look, Question};
use crate::resource::name::Kind;

/// How many containers are measured at once; each takes the engine two seconds of mostly waiting.
const AT_ONCE: usize = 128;

/// How often a table is drawn at most.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// The containers, each by its name, its resource or the beginning of its id; all that run unless said
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Measure once, also on a terminal
    #[arg(long)]
    once: bool,
    /// The form; json is measured once
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: RowForm,
    #[command(flatten)]
    whose: Whose,
}

pub(super) async fn stats(args: &StatsArgs) -> Result<ExitCode> {
    let engine = DockerReader::connect().await?;
    if args.output == RowForm::Json {
        let measured = measured(&engine, args).await?;
        let documents = measured.into_iter().map(|(container, mut usage)| {
            if usage.is_object() {
                usage["name"] = container.name.into();
            }
            usage
        });
        print_or_end(&output::json(&json!(documents.collect::<Vec<_>>())))?;
    } else if args.once || !is_terminal() {
        print_or_end(&table(&measured(&engine, args).await?))?;
    } else {
        let screen = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout())
            .with_style(ProgressStyle::with_template("{msg}")?);
        loop {
            // Where nothing runs, measuring takes no time.
            let (measured, ()) = tokio::join!(measured(&engine, args), tokio::time::sleep(PAUSE));
            screen.set_message(table(&measured?).trim_end().to_owned());
            screen.tick();
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What each container uses now. One that goes meanwhile is left out, unless it was named.
async fn measured(engine: &DockerReader, args: &StatsArgs) -> Result<Vec<(Found, Value)>> {
    let wanted = if args.names.is_empty() {
        let mut running = list(engine, Kind::Container).await?;
        running.retain(|container| matches!(text(container, "State"), "running" | "paused"));
        running.sort_by(|a, b| name_of(Kind::Container, a).cmp(name_of(Kind::Container, b)));
        running.iter().map(found).collect::<Result<Vec<_>>>()?
    } else {
        containers(engine, &args.names, &args.whose.owner).await?
    };
    let measurements = stream::iter(wanted).map(|container| async move {
        let answer = engine.look(&Question::Usage(container.clone())).await;
        match answer {
            Ok(usage) => Ok(Some((container, usage))),
            Err(EngineError::Refused { .. }) if args.names.is_empty() => Ok(None),
            Err(error) => Err(anyhow::Error::from(error)),
        }
    });
    let measured: Vec<_> = measurements.buffered(AT_ONCE).try_collect().await?;
    Ok(measured.into_iter().flatten().collect())
}

fn table(measured: &[(Found, Value)]) -> String {
    let titles = ["NAME", "CPU %", "MEMORY", "LIMIT", "MEM %", "NET IN / OUT", "DISK READ / WRITTEN", "PIDS"];
    let mut table = Table::new(titles);
    for (container, usage) in measured {
        let mut cells = vec![container.name.clone()];
        // Of one that does not run nothing is measured.
        if usage["pids_stats"]["current"].is_u64() {
            cells.extend(cells_of(usage));
        } else {
            cells.resize(titles.len(), String::new());
        }
        table.row(cells);
    }
    table.to_text()
}

fn cells_of(usage: &Value) -> [String; 7] {
    let memory = memory(usage);
    let limit = usage["memory_stats"]["limit"].as_u64().unwrap_or_default();
    let (received, sent) = network(usage);
    let (read, written) = disk(usage);
    [
        percent(cpu(usage)),
        size(memory),
        size(limit),
        percent(if limit == 0 { 0.0 } else { float(memory) / float(limit) }),
        format!("{} / {}", size(received), size(sent)),
        format!("{} / {}", size(read), size(written)),
        usage["pids_stats"]["current"].to_string(),
    ]
}

#[allow(clippy::cast_precision_loss, reason = "a share is shown with two digits")]
fn float(number: u64) -> f64 {
    number as f64
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

/// The share of one core that was used between the two measurements, as Docker counts it: 2.0 is two cores.
fn cpu(usage: &Value) -> f64 {
    let (now, before) = (&usage["cpu_stats"], &usage["precpu_stats"]);
    let total = |stats: &Value| stats["cpu_usage"]["total_usage"].as_u64().unwrap_or_default();
    let system = |stats: &Value| stats["system_cpu_usage"].as_u64().unwrap_or_default();
    let used = total(now).saturating_sub(total(before));
    let passed = system(now).saturating_sub(system(before));
    if passed == 0 || system(before) == 0 {
        return 0.0;
    }
    float(used) / float(passed) * float(now["online_cpus"].as_u64().unwrap_or(1).max(1))
}

/// What is used without what the kernel would give up at once.
fn memory(usage: &Value) -> u64 {
    let stats = &usage["memory_stats"];
    let cached = stats["stats"]["total_inactive_file"].as_u64().or(stats["stats"]["inactive_file"].as_u64());
    stats["usage"].as_u64().unwrap_or_default().saturating_sub(cached.unwrap_or_default())
}

fn network(usage: &Value) -> (u64, u64) {
    let sum = |key: &str| -> u64 {
        let interfaces = usage["networks"].as_object().into_iter().flatten();
        interfaces.filter_map(|(_, interface)| interface[key].as_u64()).fold(0, u64::saturating_add)
    };
    (sum("rx_bytes"), sum("tx_bytes"))
}

fn disk(usage: &Value) -> (u64, u64) {
    let sum = |wanted: &str| -> u64 {
        let entries = usage["blkio_stats"]["io_service_bytes_recursive"].as_array().into_iter().flatten();
        // Version 1 of cgroups writes `Read`, version 2 `read`.
        let entries = entries.filter(|entry| text(entry, "op").eq_ignore_ascii_case(wanted));
        entries.filter_map(|entry| entry["value"].as_u64()).fold(0, u64::saturating_add)
    };
    (sum("read"), sum("write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_counted_as_docker_counts_it() {
        let usage = json!({
            "cpu_stats": {"cpu_usage": {"total_usage": 1_500}, "system_cpu_usage": 12_000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 1_000}, "system_cpu_usage": 10_000},
            "memory_stats": {"usage": 3 << 20, "limit": 64 << 20, "stats": {"inactive_file": 1 << 20}},
            "networks": {"eth0": {"rx_bytes": 1024, "tx_bytes": 2048}, "eth1": {"rx_bytes": 1024, "tx_bytes": 0}},
            "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 512}, {"op": "write", "value": 1024}]},
            "pids_stats": {"current": 3},
        });
        let found = |name: &str| Found { id: "0".repeat(64).parse().expect("an id"), name: name.to_owned() };
        let stopped = json!({"cpu_stats": {}, "memory_stats": {}, "pids_stats": {}});
        assert_eq!(
            table(&[(found("seat-01"), usage), (found("old"), stopped)]),
            "NAME     CPU %   MEMORY  LIMIT    MEM %  NET IN / OUT     DISK READ / WRITTEN  PIDS\n\
             seat-01  50.00%  2.0MiB  64.0MiB  3.12%  2.0KiB / 2.0KiB  512B / 1.0KiB        3\n\
             old      -       -       -        -      -                -                    -\n"
        );
    }
}
