//! `invigil lock`: the images that tags stand for now, written beside the manifests. Changes nothing on the engine.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::args::{EngineArgs, ManifestArgs};
use super::{print, report};
use crate::desired::pulled_tags;
use crate::manifest::Manifests;
use crate::manifest::lock::Lock;
use crate::observed::AtRegistry;
use crate::source::{Extent, LOCK, directory};
use crate::whole;

#[derive(Debug, Args)]
pub(super) struct LockArgs {
    #[command(flatten)]
    manifests: ManifestArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) async fn lock(args: &LockArgs) -> Result<ExitCode> {
    let root = args.manifests.root()?;
    let snapshot = directory::read(&root)?;
    anyhow::ensure!(
        snapshot.extent() == Extent::Directory,
        "a lock stands in a directory of manifests, and {} is a file",
        root.display()
    );
    if let Some(nothing) = snapshot.notice() {
        anyhow::bail!("{nothing}");
    }
    let manifests = Manifests::parse(&snapshot);
    let seen: Vec<_> =
        manifests.diagnostics.iter().map(|one| one.seen_from(args.manifests.given())).collect();
    report::diagnostics(&seen);
    // A lock file that cannot be read is what this mends.
    if manifests.opaque || !manifests.invalid.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let tags = pulled_tags(&manifests);
    let answers = args.engine.connect().await?.at_registries(&tags).await?;
    let before = manifests.lock.unwrap_or_default();
    let mut lock = Lock::default();
    let mut failed = false;
    for tag in tags {
        let why = match answers.get(&tag) {
            Some(AtRegistry::Has(digest)) => {
                let told = match before.digests.get(&tag) {
                    Some(was) if was == digest => String::new(),
                    Some(was) => format!("   was {was}"),
                    None => "   new".to_owned(),
                };
                print(&format!("{tag}  {digest}{told}\n"))?;
                lock.digests.insert(tag, digest.clone());
                continue;
            }
            Some(AtRegistry::Silent(why)) => crate::fields::plain(why),
            Some(AtRegistry::Absent) | None => "the registry has no such image".to_owned(),
        };
        report::talk(&format!("error: {tag}: {why}\n"));
        failed = true;
    }
    if failed {
        report::talk("hint: nothing was written; what is locked stays as it was\n");
        return Ok(ExitCode::FAILURE);
    }
    let file = root.join(LOCK);
    whole::write(&file, lock.to_text().as_bytes(), None)
        .with_context(|| format!("while writing {}", file.display()))?;
    let count = lock.digests.len();
    print(&format!("\nLocked {count} image{} in {}.\n", if count == 1 { "" } else { "s" }, file.display()))?;
    Ok(ExitCode::SUCCESS)
}
