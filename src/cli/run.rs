//! `invigil run`: the daemon.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::args::RunArgs;
use super::report::Advised;
use crate::daemon::{self, logging};
use crate::engine::docker::{DockerEngine, DockerReader};
use crate::turn::Turns;

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
