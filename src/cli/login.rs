//! `invigil login --check`: whether what `docker login` has stored for a registry is good. Stores nothing itself.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::args::EngineArgs;
use super::print;
use crate::resource::reference::ImageReference;

#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// The registry, as image references name it
    #[arg(long, value_name = "REGISTRY", required = true, value_parser = registry)]
    check: String,
    #[command(flatten)]
    engine: EngineArgs,
}

/// A registry's host, parsed once.
fn registry(text: &str) -> Result<String, String> {
    let reference: ImageReference = format!("{text}/x").parse()?;
    if reference.domain() == text {
        Ok(text.to_owned())
    } else {
        Err("expected HOST, HOST:PORT or docker.io".to_owned())
    }
}

pub(super) async fn login(args: &LoginArgs) -> Result<ExitCode> {
    args.engine.connect().await?.check_login(&args.check).await?;
    print(&format!("{} lets Invigil in.\n", args.check))?;
    Ok(ExitCode::SUCCESS)
}
