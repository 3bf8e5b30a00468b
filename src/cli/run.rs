//! `invigil run`: the daemon.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{ArgAction, Args, ValueEnum};
use tracing::{info, warn};
use tracing_subscriber::filter::LevelFilter;

use super::args::{GitArgs, JournalArgs, NotifyArgs, ParallelArgs, PassArgs, SpaceArgs};
use super::report::Advised;
use super::settings::{Configuration, InForce};
use crate::daemon::post::HttpUrl;
use crate::daemon::telemetry::Collector;
use crate::daemon::{self, DEFAULT_INTERVAL, logging};
use crate::engine::docker::DockerEngine;
use crate::journal::CLOSING;
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
    #[command(flatten)]
    journal: JournalArgs,
    #[command(flatten)]
    git: GitArgs,
    #[command(flatten)]
    notify: NotifyArgs,
    /// How often to look when nothing says that something changed
    #[arg(long, value_name = "DURATION", env = "INVIGIL_INTERVAL", default_value_t = default_interval(), value_parser = super::args::interval, hide_env_values = true)]
    interval: Duration,
    /// Addresses at which to show how things stand, to whoever reaches them: a page for people, and /metrics, /readyz, /healthz and
    /// /v1/status for programs; several with commas between them [default: none, but a socket for root and its group]
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "INVIGIL_LISTEN",
        value_delimiter = ',',
        action = ArgAction::Append,
        value_parser = address,
        hide_env_values = true
    )]
    listen: Vec<SocketAddr>,
    /// A collector of OpenTelemetry to which each pass is told as a trace, by OTLP over HTTP with JSON, at /v1/traces below this
    /// address [default: none]
    #[arg(
        id = "opentelemetry.endpoint",
        long = "opentelemetry-endpoint",
        value_name = "URL",
        env = "INVIGIL_OPENTELEMETRY_ENDPOINT",
        hide_env_values = true
    )]
    collector: Option<HttpUrl>,
    /// How log lines look
    #[arg(
        long,
        value_name = "FORMAT",
        env = "INVIGIL_LOG_FORMAT",
        default_value = "text",
        hide_env_values = true
    )]
    log_format: LogFormat,
    /// From which level on something is logged
    #[arg(
        long,
        value_name = "LEVEL",
        env = "INVIGIL_LOG",
        default_value = "info",
        ignore_case = true,
        hide_env_values = true
    )]
    log_level: LogLevel,
}

fn default_interval() -> Duration {
    Duration::from_nanos(DEFAULT_INTERVAL.as_secs() * 1_000_000_000)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, like 127.0.0.1:9090 or [::1]:9090".to_owned())
}

/// From which level on something is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    /// What failed
    Error,
    /// What may need somebody
    Warn,
    /// What is done
    Info,
    /// Why
    Debug,
    /// Every step of the way
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
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

impl RunArgs {
    fn collector(&self) -> Result<Option<Arc<Collector>>> {
        let collector = self.collector.as_ref().map(Collector::new).transpose();
        let collector =
            collector.map_err(anyhow::Error::msg).context("while setting up the collector of traces")?;
        Ok(collector.map(Arc::new))
    }

    /// Everything for which the daemon would not start, as far as that is a matter of its settings.
    pub(super) fn refusals(&self, in_force: &[InForce]) -> impl Iterator<Item = anyhow::Error> {
        let git = self.git.following(&self.pass.owner, in_force).err();
        let server = self.pass.owner.exam_server().err();
        let collector = self.collector().err();
        [git, self.git.webhook().err(), server, collector].into_iter().flatten().chain(self.notify.refusals())
    }
}

pub(super) async fn run(
    args: &RunArgs,
    configuration: &Configuration,
    in_force: &[InForce],
) -> Result<ExitCode> {
    let log =
        logging::init(args.log_format.into(), args.log_level.into()).context("while setting up the log")?;
    let git = args.git.following(&args.pass.owner, in_force)?;
    let webhook = args.git.webhook()?;
    let notifications = args.notify.notifications()?;
    let collector = args.collector()?;
    let owner = &args.pass.owner.whose.owner;
    let turns = Turns::of(owner)?;
    let _only = turns.daemon().context("while locking")?.map_err(|holder| Advised {
        message: format!("{holder} is the daemon of owner {owner} on this host already"),
        hint: "stop it first, or give this one an owner of its own (`--owner`)",
    })?;
    let reader = args.pass.engine.reader();
    let journal = args.journal.writer(args.pass.owner.state.journal(owner), true);
    let configuration = configuration.clone();
    let settings = daemon::SettingsCheck(Arc::new(move || configuration.changed(&super::args::commands())));
    let options = daemon::Options {
        path: match &git {
            Some(git) => git.root(),
            None => args.pass.manifests.root()?,
        },
        setup: args.pass.setup(args.parallel.parallelism, args.space.min_free_space, None)?,
        interval: args.interval.into(),
        engine: reader.endpoint().to_owned(),
        journal: Some(journal.clone()),
        turns: Some(turns),
        listen: args.listen.clone(),
        git,
        webhook,
        notifications,
        collector,
        log: log.lost.clone(),
        settings,
    };
    let served = Box::pin(daemon::serve(&options, &DockerEngine::new(reader.clone()), &reader)).await;
    match (journal.close(CLOSING), journal.head()) {
        (None, head) => info!(head = head.map(display), "the journal is written to its end"),
        (Some(why), _) => warn!(%why, "the journal is not written to its end"),
    }
    served?;
    Ok(ExitCode::SUCCESS)
}
