//! `invigil login --check`: whether what `docker login` has stored for a registry is good. Stores nothing itself.

use std::process::ExitCode;

use anyhow::Result;

use super::args::LoginArgs;
use super::print;
use crate::engine::docker::DockerReader;

pub(super) async fn login(args: &LoginArgs) -> Result<ExitCode> {
    DockerReader::connect().await?.check_login(&args.check).await?;
    print(&format!("{} lets Invigil in.\n", args.check))?;
    Ok(ExitCode::SUCCESS)
}
