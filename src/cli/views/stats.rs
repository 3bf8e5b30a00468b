//! `invigil stats`: how much containers use. A table that is drawn anew on a terminal, one elsewhere.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::names::{containers, found, list, name_of, text};
use super::output::{self, RowForm, is_terminal, print_or_end};
use super::table::Table;
use crate::cli::args::{EngineArgs, Whose};
use crate::engine::docker::DockerReader;
use crate::engine::{EngineError, Found, Look, Question, Usage};
use crate::resource::name::Kind;
use crate::resource::size::size;

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
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) async fn stats(args: &StatsArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
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
        match Usage::of(usage) {
            Some(usage) => cells.extend(cells_of(&usage)),
            None => cells.resize(titles.len(), String::new()),
        }
        table.row(cells);
    }
    table.to_text()
}

fn cells_of(usage: &Usage) -> [String; 7] {
    [
        percent(usage.cpu),
        size(usage.memory),
        size(usage.memory_limit),
        percent(usage.memory_share()),
        format!("{} / {}", size(usage.received), size(usage.sent)),
        format!("{} / {}", size(usage.read), size(usage.written)),
        usage.processes.to_string(),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
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
