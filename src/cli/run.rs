//! `invigil run`: the daemon.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::args::RunArgs;
use super::plan::setup;
use crate::daemon::{self, logging};
use crate::engine::docker::{DockerEngine, DockerReader};

pub(super) async fn run(args: &RunArgs) -> Result<ExitCode> {
    logging::init(args.log_format.into()).context("while setting up the log")?;
    let reader = DockerReader::from_environment();
    let options = daemon::Options {
        path: args.manifests.root()?,
        setup: setup(&args.owner, args.parallel.parallelism, args.budget.budget(None))?,
        interval: args.interval.into(),
        engine: reader.endpoint().to_owned(),
    };
    Box::pin(daemon::serve(&options, &DockerEngine::new(reader))).await?;
    Ok(ExitCode::SUCCESS)
}
