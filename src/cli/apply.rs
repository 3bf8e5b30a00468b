//! `invigil apply`: one pass, shown, confirmed, done; `prune` makes the same of removals alone.

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::args::{ApprovalArgs, EngineArgs, JournalArgs, ManifestArgs, ParallelArgs, PassArgs, SpaceArgs};
use super::plan::{Revision, unsealed, wanted, wanted_now};
use super::progress::Progress;
use super::report::Advised;
use super::saved::SavedPlan;
use super::style::PALETTE;
use super::{print, report};
use crate::account::Account;
use crate::engine::Observe;
use crate::engine::docker::DockerEngine;
use crate::execute::{Event, Outcomes};
use crate::fields::plain;
use crate::journal::{By, CLOSING, Writer};
use crate::plan::Plan;
use crate::reconcile::{self, Setup, Wanted};
use crate::resource::name::ResourceId;
use crate::resource::size::size;
use crate::turn::{Holder, Turn, Turns};

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    pass: PassArgs,
    #[command(flatten)]
    parallel: ParallelArgs,
    #[command(flatten)]
    space: SpaceArgs,
    #[command(flatten)]
    journal: JournalArgs,
    #[command(flatten)]
    approval: ApprovalArgs,
    /// Replace and remove without being asked; needed where there is no terminal to ask at
    #[arg(short, long)]
    yes: bool,
    /// Carry out this saved plan, if it is still the plan of now; reading it was the approval
    #[arg(long, value_name = "FILE", conflicts_with = "allow_removals")]
    plan: Option<PathBuf>,
}

pub(super) async fn apply(args: &ApplyArgs) -> Result<ExitCode> {
    let saved = args.plan.as_deref().map(SavedPlan::read).transpose()?;
    let approved = args.approval.allow_removals.or(saved.as_ref().and_then(|saved| saved.allow_removals));
    let setup = args.pass.setup(args.parallel.parallelism, args.space.min_free_space, approved)?;
    let manifests = saved.as_ref().map(|saved| ManifestArgs::at(saved.path.clone()));
    let manifests = manifests.as_ref().unwrap_or(&args.pass.manifests);
    let check = |wanted: &Wanted, plan: &Plan| {
        let Some(saved) = &saved else { return Ok(()) };
        let secret = args.pass.owner.state.secret(&setup.owner);
        let sealed = wanted.identity().sealed(&secret.read().with_context(|| unsealed(&secret))?);
        saved.check(plan, &sealed)
    };
    if let Some(saved) = &saved {
        saved.check_owner(&setup.owner)?;
    }
    // Reading a saved plan was the approval.
    let journal = || args.journal.writer(args.pass.owner.state.journal(&setup.owner), false);
    pass(manifests, &args.pass.engine, &setup, Aim::Everything, args.yes || saved.is_some(), &check, &journal)
        .await
}

/// What a pass is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Whatever makes the host match the manifests.
    Everything,
    /// What no manifest describes any more.
    Removals,
}

impl Aim {
    pub(super) async fn plan(self, wanted: &Wanted, setup: &Setup, engine: &impl Observe) -> Result<Plan> {
        let plan = match self {
            Self::Everything => reconcile::plan(wanted, &BTreeMap::new(), setup, engine).await,
            Self::Removals => reconcile::plan_removals(wanted, setup, engine).await,
        };
        plan.context("while planning")
    }

    /// The plan, for people.
    pub(super) fn text(self, plan: &Plan) -> String {
        let text = plan.to_text(&PALETTE);
        match plan.frees().filter(|_| self == Self::Removals) {
            Some(bytes) => {
                format!("{text}Images: up to {} is free again; layers that others share stay.\n", size(bytes))
            }
            None => text,
        }
    }

    /// Who the journal says did it.
    const fn by(self) -> By {
        match self {
            Self::Everything => By::Apply,
            Self::Removals => By::Prune,
        }
    }

    /// Whether somebody is to be asked.
    fn is_asked(self, plan: &Plan) -> bool {
        self == Self::Removals || plan.disturbs()
    }
}

/// One pass: shown, confirmed, done. `check` refuses a plan that is not what was meant; `journal` is begun where something
/// is going to be done.
pub(super) async fn pass(
    manifests: &ManifestArgs,
    engine: &EngineArgs,
    setup: &Setup,
    aim: Aim,
    approved: bool,
    check: &dyn Fn(&Wanted, &Plan) -> Result<()>,
    journal: &dyn Fn() -> Writer,
) -> Result<ExitCode> {
    let turns = Turns::of(&setup.owner)?;
    let mut turn = turn(&turns).await?;
    let engine = engine.connecting();
    // Not before its turn: what waits may be overtaken, and must not bring back what was wanted before.
    let mut wanted = wanted(manifests, setup).await?;
    let engine = DockerEngine::new(engine.await?);
    let mut plan = aim.plan(&wanted, setup, &engine).await?;
    check(&wanted, &plan)?;
    print(&(aim.text(&plan) + &Revision::of(&wanted, &setup.owner).await.text()))?;
    if plan.nodes.is_empty() {
        reconcile::remember(&plan, &Outcomes::default(), setup).await;
        return Ok(code(plan.is_empty() && !wanted.has_errors()));
    }
    if aim.is_asked(&plan) && !approved {
        if !io::stdin().is_terminal() {
            return Err(Advised {
                message: "this replaces, removes or stops what is there, and there is no terminal to ask at"
                    .to_owned(),
                hint: "`--yes` says that it is meant; nothing was changed",
            }
            .into());
        }
        // A daemon must not wait for somebody's answer.
        drop(turn);
        if !confirmed()? {
            report::talk("Nothing was changed.\n");
            return Ok(ExitCode::FAILURE);
        }
        turn = self::turn(&turns).await?;
        let (shown, read) = (plan, wanted);
        wanted = wanted_now(manifests, setup).await?;
        if wanted.identity() != read.identity() {
            return Err(Advised {
                message: "the manifests, or the files that they name, have changed since the plan was shown"
                    .to_owned(),
                hint: "look at the plan once more; nothing was changed",
            }
            .into());
        }
        plan = aim.plan(&wanted, setup, &engine).await?;
        if plan.to_text(&PALETTE) != shown.to_text(&PALETTE) {
            return Err(Advised {
                message: "what is there has changed since the plan was shown".to_owned(),
                hint: "look at the plan once more; nothing was changed",
            }
            .into());
        }
    }
    let progress = Progress::new(plan.nodes.iter().filter(|node| node.instead.is_empty()).count());
    let (stop, stopping) = watch::channel(false);
    let revision = wanted.commit.as_deref();
    let (journal, account, by) = (journal(), Account::of(&plan), aim.by());
    let report = |event: Event<'_>| {
        progress.hear(&event);
        if let Some(pass) = account.pass(&event, by, revision, Timestamp::now()) {
            journal.note(pass);
        }
        for deed in account.hear(&event) {
            journal.note(deed.entry(by, revision, Timestamp::now()));
        }
    };
    let walked = tokio::select! {
        outcomes = reconcile::apply(&plan, setup, &engine, &stopping, &report) => Ok(outcomes),
        error = listen(&stop, &progress) => Err(error),
    };
    for deed in account.unfinished() {
        journal.note(deed.entry(by, revision, Timestamp::now()));
    }
    progress.finish();
    drop(turn);
    let written = journal.close(CLOSING);
    if let Some(why) = journal.broken() {
        report::talk(&format!("warning: the journal did not hold: {}\n", plain(&why)));
    }
    if let Some(why) = written {
        report::talk(&format!("warning: the journal is not written: {}\n", plain(&why)));
    }
    let outcomes = walked?;
    print(&format!("{}\n", summary(&plan, &outcomes)))?;
    Ok(code(outcomes.is_success() && !plan.leaves_undone() && !wanted.has_errors()))
}

/// Waits until nobody else makes a pass for this owner.
pub(super) async fn turn(turns: &Turns) -> Result<Turn> {
    let say = |holder: &Holder| {
        report::talk(&format!("Waiting for {holder}, which makes a pass for this owner.\n"));
    };
    turns.pass(say).await.context("while waiting for others")
}

fn code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn confirmed() -> Result<bool> {
    report::talk("\nThis replaces, removes or stops what is there. Go on? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("while reading the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "是"))
}

/// Waits for SIGINT and SIGTERM: the first asks the walk to stop, another ends it. A terminal that goes away asks as
/// well, however often it is told, and ends nothing. Ends only with an error.
async fn listen(stop: &watch::Sender<bool>, progress: &Progress) -> anyhow::Error {
    let signals = || {
        let hangup = hears_hangups().then(|| signal(SignalKind::hangup())).transpose()?;
        Ok::<_, io::Error>((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, hangup))
    };
    let (mut interrupt, mut terminate, mut hangup) = match signals() {
        Ok(signals) => signals,
        Err(error) => return anyhow::Error::new(error).context("while listening for signals"),
    };
    loop {
        let is_meant = tokio::select! {
            _ = interrupt.recv() => true,
            _ = terminate.recv() => true,
            _ = async { hangup.as_mut()?.recv().await }, if hangup.is_some() => false,
        };
        if !stop.send_replace(true) {
            progress.say("stopping after the steps in flight; once more to leave at once");
        } else if is_meant {
            return anyhow::anyhow!(
                "interrupted while steps were in flight; the next plan shows what is left"
            );
        }
    }
}

/// Whether a hangup is to be heard: under `nohup`, and where it cannot be told, it is not.
fn hears_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 0)
}

/// What became of the changes, which are counted as in the plan.
fn summary(plan: &Plan, outcomes: &Outcomes) -> String {
    let waits = |id: &ResourceId| plan.waiting.contains_key(id);
    let done = plan.count(|id| outcomes.done.contains(id) && !waits(id));
    let mut parts = vec![format!("{done} done")];
    for (count, word) in [
        (plan.count(|id| outcomes.failed.contains_key(id) && !waits(id)), "failed"),
        (plan.count(|id| outcomes.skipped.contains(id) && !waits(id)), "skipped"),
        (plan.blocked().count(), "blocked"),
        (plan.count(waits), "waiting"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    format!("\nApplied: {}.", parts.join(", "))
}
