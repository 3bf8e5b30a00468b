//! `invigil prune`: one pass that removes and does nothing else.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::apply::{Aim, pass};
use super::args::{ApprovalArgs, JournalArgs, ParallelArgs, PassArgs};
use super::plan::wanted;
use super::print;
use crate::reconcile::MIN_FREE_SPACE;

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    #[command(flatten)]
    pass: PassArgs,
    #[command(flatten)]
    parallel: ParallelArgs,
    #[command(flatten)]
    journal: JournalArgs,
    #[command(flatten)]
    approval: ApprovalArgs,
    /// Show what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Remove without being asked; needed where there is no terminal to ask at
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
}

pub(super) async fn prune(args: &PruneArgs) -> Result<ExitCode> {
    let setup = args.pass.setup(args.parallel.parallelism, MIN_FREE_SPACE, args.approval.allow_removals)?;
    if !args.dry_run {
        let journal = || args.journal.writer(args.pass.owner.state.journal(&setup.owner), false);
        return pass(
            &args.pass.manifests,
            &args.pass.engine,
            &setup,
            Aim::Removals,
            args.yes,
            &|_, _| Ok(()),
            &journal,
        )
        .await;
    }
    let wanted = wanted(&args.pass.manifests, &setup).await?;
    let engine = args.pass.engine.connect().await?;
    let plan = Aim::Removals.plan(&wanted, &setup, &engine).await?;
    print(&Aim::Removals.text(&plan))?;
    Ok(if wanted.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
