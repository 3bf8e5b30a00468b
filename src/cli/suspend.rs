//! `invigil suspend` and `invigil resume`: the operator's hand on the brake.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::apply::turn;
use super::args::{StateArgs, Whose};
use super::print;
use super::report::talk;
use crate::fields::plain;
use crate::turn::Turns;

#[derive(Debug, Args)]
pub(super) struct SuspendArgs {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    state: StateArgs,
    /// Why, for whoever reads the next plan
    #[arg(long, value_name = "TEXT", default_value = "by an operator")]
    reason: String,
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    state: StateArgs,
}

/// What is said where nobody can know whether a pass is under way.
const UNSEEN: &str = "the host is suspended, but a pass that had begun before may still be under way";

pub(super) async fn suspend(args: &SuspendArgs) -> Result<ExitCode> {
    let suspension = args.state.suspension(&args.whose.owner);
    suspension.set(&args.reason).with_context(|| format!("while writing {}", suspension.file().display()))?;
    // A pass that has begun goes on: only after it nothing is changed any more.
    let turns = Turns::of(&args.whose.owner).context(UNSEEN)?;
    drop(turn(&turns).await.context(UNSEEN)?);
    print(&format!(
        "Suspended: nothing of owner {} is changed on this host until `invigil resume`.\n",
        args.whose.owner
    ))?;
    if !turns.has_daemon().context("while looking for the daemon")? {
        talk(&format!(
            "No daemon of owner {} runs on this host. One of another owner goes on: `--owner` says which is meant.\n",
            args.whose.owner
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn resume(args: &ResumeArgs) -> Result<ExitCode> {
    let suspension = args.state.suspension(&args.whose.owner);
    let why = suspension.read().ok().flatten();
    let was =
        suspension.clear().with_context(|| format!("while removing {}", suspension.file().display()))?;
    let told = match why {
        Some(why) if was => format!("Resumed: owner {} was suspended ({}).\n", args.whose.owner, plain(&why)),
        None if was => format!("Resumed: owner {} was suspended.\n", args.whose.owner),
        _ => format!("Owner {} was not suspended on this host.\n", args.whose.owner),
    };
    print(&told)?;
    Ok(ExitCode::SUCCESS)
}
