//! `invigil man`: the manual pages. In: the commands with their help. Out: a file for each in a directory.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::args::commands;

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Where they are written
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn man(args: &ManArgs) -> Result<ExitCode> {
    let dir = &args.dir;
    fs::create_dir_all(dir).with_context(|| format!("while making {}", dir.display()))?;
    clap_mangen::generate_to(commands(), dir)
        .with_context(|| format!("while writing manual pages to {}", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
