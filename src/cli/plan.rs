//! `invigil plan`: the dry run. Holds an engine that can only be looked at (law 10).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::Value;

use super::args::{ApprovalArgs, ManifestArgs, PassArgs, SpaceArgs};
use super::saved::SavedPlan;
use super::style::PALETTE;
use super::{ask, print, report, views};
use crate::execute::default_parallelism;
use crate::manifest::diagnostic::Diagnostic;
use crate::reconcile::{self, Setup, Wanted};
use crate::resource::name::Owner;
use crate::secret::Secret;
use crate::source::attachment::AttachmentReader;
use crate::source::directory;
use crate::source::git::short;
use crate::status::Source;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pass: PassArgs,
    #[command(flatten)]
    space: SpaceArgs,
    #[command(flatten)]
    approval: ApprovalArgs,
    /// The form of the plan
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Output,
    /// Exit with 2 if there is anything to do
    #[arg(long)]
    detailed_exitcode: bool,
    /// Save the plan for `apply --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The form of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

pub(super) async fn plan(args: &PlanArgs) -> Result<ExitCode> {
    let PassArgs { manifests, owner, .. } = &args.pass;
    let approved = args.approval.allow_removals;
    let setup = args.pass.setup(default_parallelism(), args.space.min_free_space, approved)?;
    let engine = args.pass.engine.connecting();
    let wanted = wanted(manifests, &setup).await?;
    let engine = engine.await?;
    let plan = reconcile::plan(&wanted, &BTreeMap::new(), &setup, &engine).await.context("while planning")?;
    let revision = Revision::of(&wanted, &setup.owner).await;
    match args.output {
        Output::Text => print(&(plan.to_text(&PALETTE) + &revision.text()))?,
        Output::Json => {
            let mut json = plan.to_json()?;
            json["diagnostics"] = serde_json::to_value(seen(&wanted, manifests))?;
            revision.add_to(&mut json)?;
            print(&views::json(&json))?;
        }
    }
    if let Some(file) = &args.out {
        let secret = owner.state.secret(&setup.owner);
        let sealed = wanted.identity().sealed(&secret.read_or_make().with_context(|| unsealed(&secret))?);
        let path = manifests.root()?;
        SavedPlan::new(&plan, &setup.owner, path, sealed, approved)?.write(file)?;
    }
    Ok(if wanted.has_errors() {
        ExitCode::FAILURE
    } else if args.detailed_exitcode && !plan.is_empty() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}

/// Which commit a plan is of, where its manifests come from a repository; and if those are what the daemon runs, what it
/// knows of that repository.
pub(super) struct Revision {
    commit: Option<String>,
    source: Option<Source>,
}

impl Revision {
    /// Asks the daemon, if there is one.
    pub(super) async fn of(wanted: &Wanted, owner: &Owner) -> Self {
        let commit = wanted.commit.clone();
        let source = match &commit {
            Some(commit) => ask::source(owner, commit).await,
            None => None,
        };
        Self { commit, source }
    }

    /// For people, below the plan.
    pub(super) fn text(&self) -> String {
        let commit = self.commit.as_deref();
        let commit = commit.map(|commit| format!("Revision {} of the manifests.\n", short(commit)));
        let wanted = self.source.as_ref().map(|source| views::wanted_text(source, Timestamp::now()));
        [commit, wanted].into_iter().flatten().collect()
    }

    fn add_to(&self, plan: &mut Value) -> Result<()> {
        if let Some(commit) = &self.commit {
            plan["revision"] = commit.as_str().into();
        }
        if let Some(wanted) = self.source.as_ref().and_then(|source| source.wanted.as_ref()) {
            plan["wantedRevision"] = serde_json::to_value(wanted)?;
        }
        Ok(())
    }
}

/// Why a plan cannot be saved or compared with the manifests of now.
pub(super) fn unsealed(secret: &Secret) -> String {
    format!(
        "{}, with which saved plans are sealed, cannot be read or made (`--state-dir` names another directory)",
        secret.file().display()
    )
}

/// What is wrong with the manifests, with paths from where the caller stands.
fn seen(wanted: &Wanted, args: &ManifestArgs) -> Vec<Diagnostic> {
    wanted.diagnostics.iter().map(|diagnostic| diagnostic.seen_from(args.given())).collect()
}

/// What the manifests ask for; what is wrong with them is told at once.
pub(super) async fn wanted(args: &ManifestArgs, setup: &Setup) -> Result<Wanted> {
    let wanted = wanted_now(args, setup).await?;
    report::diagnostics(&seen(&wanted, args));
    report::notice(wanted.notice.as_deref());
    Ok(wanted)
}

/// The same, where what is wrong was told before. On a thread of its own: an engine may be asked meanwhile.
pub(super) async fn wanted_now(args: &ManifestArgs, setup: &Setup) -> Result<Wanted> {
    let (root, server) = (args.root()?, setup.server.clone());
    let read = move || {
        let snapshot = directory::read(&root)?;
        Ok(Wanted::read(&snapshot, &mut AttachmentReader::default(), &server))
    };
    tokio::task::spawn_blocking(read).await.context("while reading the manifests")?
}
