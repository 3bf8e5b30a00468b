//! `invigil suspend` and `invigil resume`: the operator's hand on the brake.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::args::{ResumeArgs, SuspendArgs};
use super::print;
use crate::fields::plain;

pub(super) fn suspend(args: &SuspendArgs) -> Result<ExitCode> {
    let suspension = args.state.suspension(&args.owner);
    suspension.set(&args.reason).with_context(|| format!("while writing {}", suspension.file().display()))?;
    print(&format!(
        "Suspended: nothing of owner {} is changed on this host until `invigil resume`.\n",
        args.owner
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn resume(args: &ResumeArgs) -> Result<ExitCode> {
    let suspension = args.state.suspension(&args.owner);
    let why = suspension.read().ok().flatten();
    let was =
        suspension.clear().with_context(|| format!("while removing {}", suspension.file().display()))?;
    let told = match why.filter(|_| was) {
        Some(why) => format!("Resumed: owner {} was suspended ({}).\n", args.owner, plain(&why)),
        None => format!("Owner {} was not suspended on this host.\n", args.owner),
    };
    print(&told)?;
    Ok(ExitCode::SUCCESS)
}
