//! `invigil run`: the daemon.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::args::{ParallelArgs, PassArgs, SpaceArgs};
use super::report::Advised;
use crate::daemon::{self, DEFAULT_INTERVAL, logging};
use crate::engine::docker::{DockerEngine, DockerReader};
use crate::resource::duration::Duration;
use crate::turn::Turns;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pass: PassArgs,
    #[command(flatten)]
    parallel: ParallelArgs,
    #[command(flatten)]
    space: SpaceArgs,
    /// How often to look when nothing says that something changed
    #[arg(long, value_name = "DURATION", default_value_t = default_interval(), value_parser = interval)]
    interval: Duration,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

fn default_interval() -> Duration {
    Duration::from_nanos(DEFAULT_INTERVAL.as_secs() * 1_000_000_000)
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval: Duration = text.parse()?;
    if std::time::Duration::from(interval) < std::time::Duration::from_millis(100) {
        return Err("expected at least 100ms".to_owned());
    }
    Ok(interval)
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// For programs: one object a line
    Json,
}

impl From<LogFormat> for logging::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

pub(super) async fn run(args: &RunArgs) -> Result<ExitCode> {
    logging::init(args.log_format.into()).context("while setting up the log")?;
    let owner = &args.pass.owner.whose.owner;
    let turns = Turns::of(owner)?;
    let _only = turns.daemon().context("while locking")?.map_err(|holder| Advised {
        message: format!("{holder} is the daemon of owner {owner} on this host already"),
        hint: "stop it first, or give this one an owner of its own (`--owner`)",
    })?;
    let reader = DockerReader::from_environment();
    let options = daemon::Options {
        path: args.pass.manifests.root()?,
        setup: args.pass.setup(args.parallel.parallelism, args.space.min_free_space, None)?,
        interval: args.interval.into(),
        engine: reader.endpoint().to_owned(),
        turns: Some(turns),
    };
    Box::pin(daemon::serve(&options, &DockerEngine::new(reader))).await?;
    Ok(ExitCode::SUCCESS)
}
