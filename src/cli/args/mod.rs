//! The arguments. Each command's help ends with examples.

mod shared;

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(in crate::cli) use self::shared::{
    ApprovalArgs, ManifestArgs, ParallelArgs, PassArgs, SpaceArgs, StateArgs, Whose,
};
use super::views::View;
use crate::daemon::{DEFAULT_INTERVAL, logging};
use crate::resource::reference::ImageReference;

/// Keeps the Docker host of an exam server in the state that a directory of YAML manifests describes
#[derive(Debug, Parser)]
#[command(name = "invigil", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  invigil validate examples        every error in every file
  invigil plan examples            what would change, without changing it
  invigil apply examples           make it so, once
  invigil run /etc/invigil/manifests
                                   keep it so

The engine is the one that DOCKER_HOST names, or the one at the default socket.")]
pub(in crate::cli) struct Cli {
    #[command(subcommand)]
    pub(in crate::cli) command: Command,
}

impl Cli {
    /// The process's own arguments.
    ///
    /// # Errors
    /// What is wrong with them; or help and version, which are answers too.
    pub(in crate::cli) fn from_process() -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        // A saved plan knows its manifests. INVIGIL_MANIFESTS is no word against that, a PATH is.
        if let Some(apply) = matches.subcommand_matches("apply")
            && apply.contains_id("plan")
            && apply.value_source("path") == Some(ValueSource::CommandLine)
        {
            let message = "the argument '--plan <FILE>' cannot be used with '[PATH]'";
            return Err(command.error(ErrorKind::ArgumentConflict, message));
        }
        Self::from_arg_matches(&matches)
    }
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Find every error in every manifest; needs no engine
    #[command(after_help = "\
Examples:
  invigil validate
  invigil validate exams/midterm.yaml

Exit codes: 0 no error, 1 errors.")]
    Validate(ValidateArgs),
    /// Show what would change, and change nothing
    #[command(after_help = "\
Examples:
  invigil plan examples
  invigil plan examples -o json | jq '.changes[].resource'
  invigil plan examples --out tomorrow.plan
  invigil plan --detailed-exitcode || notify-send 'the host is not as committed'

Exit codes: 0 planned, 1 an error. With --detailed-exitcode: 0 nothing to do, 2 changes, 1 an error.
What is listed as `kept` is no change.")]
    Plan(PlanArgs),
    /// Make the host match the manifests, once
    #[command(after_help = "\
Examples:
  invigil apply examples
  invigil apply --yes exams       for scripts: does not ask
  invigil apply --plan tomorrow.plan
                                  what was read, or nothing

On a terminal it asks before it replaces, removes or stops anything.
Exit codes: 0 everything that may be done is, 1 something is not: it failed, is blocked, waits, or a
manifest is wrong. What is kept though no manifest describes it (past the limits of removals, or
where one file is named) is listed as `kept`, and does not count.")]
    Apply(ApplyArgs),
    /// Remove what no manifest describes any more, and change nothing else
    #[command(after_help = "\
Examples:
  invigil prune --dry-run         what would go, and how much room that gives back
  invigil prune --yes exams       for scripts: does not ask
  invigil prune --allow-removals 80
                                  more than the limits of removals let go

Containers, networks and images of this owner go, as `apply` would remove them; what is in use, what
is somebody else's, and volumes stay. Containers are stopped first. On a terminal it asks.
Exit codes: 0 what may be removed is, 1 something failed, or a manifest is wrong, which keeps
everything.")]
    Prune(PruneArgs),
    /// Keep the host matching the manifests: the daemon
    #[command(after_help = "\
Examples:
  invigil run
  invigil run examples --interval 10s

Woken by changed files, by the engine, by the timer and by SIGHUP. SIGTERM finishes the steps in
flight and stops no container. INVIGIL_LOG=debug says more.")]
    Run(RunArgs),
    /// Leave everything as it is, whatever the manifests say, until `resume`
    #[command(after_help = "\
Examples:
  invigil suspend --reason 'the exam runs until 11:00'
  invigil plan                    still shows what would change

A manifest suspends its own resource with metadata.suspend: true.")]
    Suspend(SuspendArgs),
    /// Keep the host as the manifests say again
    #[command(after_help = "\
Examples:
  invigil resume
  invigil resume --owner room-2")]
    Resume(ResumeArgs),
    /// Write down which images the manifests' tags stand for now, so that none moves under an exam
    #[command(after_help = "\
Examples:
  invigil lock examples
  invigil lock && git add invigil.lock

Asks the registries, by way of the engine, and writes invigil.lock into the directory. From then on
a tag of an image from a registry means the image that is locked, until this is run again.
Exit codes: 0 written, 1 not everything could be found out, and nothing was written.")]
    Lock(LockArgs),
    /// Ask a registry whether the stored login is good
    #[command(after_help = "\
Examples:
  invigil login --check 10.0.0.7:5000
  invigil login --check docker.io

Logins are Docker's: `docker login REGISTRY` stores one, and credential helpers are asked.
Exit codes: 0 it is good, 1 it is not, or nobody knows.")]
    Login(LoginArgs),
    /// Print the manifests' JSON Schema, write all of them, or check those written
    #[command(after_help = "\
Examples:
  invigil schema > invigil.schema.json
  invigil schema --write
  invigil schema --check")]
    Schema(SchemaArgs),
    /// Turn Docker's documents, Compose files and bodies of the old exam service into manifests
    #[command(after_help = "\
Examples:
  invigil convert buildimage.json > exams/midterm.yaml
  invigil convert create.json --name seat-01 > seats/seat-01.yaml
  invigil convert compose.yaml > exams/web.yaml
  docker inspect web | invigil convert - > web.yaml

What a file is, is told by what it says. JSON with:
  imgName, imgId or problem       a BuildImage body of the old exam service
  services                        a Compose file; so is everything that is not JSON
  Config and HostConfig           an inspection, or a list of them
  Image, or HostConfig            the body of a create call, HostConfig's fields in it or at the top
  fields of HostConfig alone      an engine's hostconfig.json: give --name and --image

What a manifest cannot say is listed on stderr and in comments, never left out in silence.
Variables of a Compose file come from the environment, then from .env beside it; relative paths stay
as they are.
Exit codes: 0 everything was carried over, 2 something was left out, 1 an error.")]
    Convert(ConvertArgs),
    /// Write manifests of containers that are there, however they were made
    #[command(after_help = "\
Examples:
  invigil export web db > exams/web.yaml
  invigil export --all > everything.yaml

A manifest says what the image and the engine do not say by themselves. The networks, volumes and
containers that a container names are written with it. `metadata.adopt: true` stands where no
Invigil made the resource: the next `apply` takes such a container over by making it anew, and uses
such a network as it is.
The values of variables are written as they are, secrets too.

Exit codes: 0 everything was written, 2 something cannot be said in a manifest and is listed,
1 an error.")]
    Export(ExportArgs),
    #[command(flatten)]
    View(View),
    /// Print a shell's completions
    #[command(after_help = "\
Examples:
  invigil completions bash > /etc/bash_completion.d/invigil
  invigil completions fish > ~/.config/fish/completions/invigil.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SuspendArgs {
    #[command(flatten)]
    pub(in crate::cli) whose: Whose,
    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
    /// Why, for whoever reads the next plan
    #[arg(long, value_name = "TEXT", default_value = "by an operator")]
    pub(in crate::cli) reason: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ResumeArgs {
    #[command(flatten)]
    pub(in crate::cli) whose: Whose,
    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ValidateArgs {
    #[command(flatten)]
    pub(in crate::cli) manifests: ManifestArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PlanArgs {
    #[command(flatten)]
    pub(in crate::cli) pass: PassArgs,
    #[command(flatten)]
    pub(in crate::cli) space: SpaceArgs,
    #[command(flatten)]
    pub(in crate::cli) approval: ApprovalArgs,
    /// The form of the plan
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub(in crate::cli) output: Output,
    /// Exit with 2 if there is anything to do
    #[arg(long)]
    pub(in crate::cli) detailed_exitcode: bool,
    /// Save the plan for `apply --plan`
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: Option<PathBuf>,
}

/// The form of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ApplyArgs {
    #[command(flatten)]
    pub(in crate::cli) pass: PassArgs,
    #[command(flatten)]
    pub(in crate::cli) parallel: ParallelArgs,
    #[command(flatten)]
    pub(in crate::cli) space: SpaceArgs,
    #[command(flatten)]
    pub(in crate::cli) approval: ApprovalArgs,
    /// Replace and remove without being asked; needed where there is no terminal to ask at
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
    /// Carry out this saved plan, if it is still the plan of now; reading it was the approval
    #[arg(long, value_name = "FILE", conflicts_with = "allow_removals")]
    pub(in crate::cli) plan: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PruneArgs {
    #[command(flatten)]
    pub(in crate::cli) pass: PassArgs,
    #[command(flatten)]
    pub(in crate::cli) parallel: ParallelArgs,
    #[command(flatten)]
    pub(in crate::cli) approval: ApprovalArgs,
    /// Show what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    pub(in crate::cli) dry_run: bool,
    /// Remove without being asked; needed where there is no terminal to ask at
    #[arg(short, long, conflicts_with = "dry_run")]
    pub(in crate::cli) yes: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunArgs {
    #[command(flatten)]
    pub(in crate::cli) pass: PassArgs,
    #[command(flatten)]
    pub(in crate::cli) parallel: ParallelArgs,
    #[command(flatten)]
    pub(in crate::cli) space: SpaceArgs,
    /// How often to look when nothing says that something changed
    #[arg(long, value_name = "DURATION", default_value_t = default_interval(), value_parser = interval)]
    pub(in crate::cli) interval: crate::resource::duration::Duration,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(in crate::cli) log_format: LogFormat,
}

fn default_interval() -> crate::resource::duration::Duration {
    crate::resource::duration::Duration::from_nanos(DEFAULT_INTERVAL.as_secs() * 1_000_000_000)
}

fn interval(text: &str) -> Result<crate::resource::duration::Duration, String> {
    let interval: crate::resource::duration::Duration = text.parse()?;
    if Duration::from(interval) < Duration::from_millis(100) {
        return Err("expected at least 100ms".to_owned());
    }
    Ok(interval)
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LogFormat {
    /// For people
    Text,
    /// For programs: one object a line
    Json,
}

impl From<LogFormat> for logging::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LockArgs {
    #[command(flatten)]
    pub(in crate::cli) manifests: ManifestArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LoginArgs {
    /// The registry, as image references name it
    #[arg(long, value_name = "REGISTRY", required = true, value_parser = registry)]
    pub(in crate::cli) check: String,
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

#[derive(Debug, Args)]
pub(in crate::cli) struct SchemaArgs {
    /// Where the schemas are
    #[arg(long, value_name = "DIR", default_value = "schemas")]
    pub(in crate::cli) dir: PathBuf,
    /// Write every schema to the directory
    #[arg(long, conflicts_with = "check")]
    pub(in crate::cli) write: bool,
    /// Say which schemas in the directory are not those of this version; exit with 1 if any
    #[arg(long)]
    pub(in crate::cli) check: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// The containers, each by its name or the beginning of its id
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub(in crate::cli) names: Vec<String>,
    /// Every container that no Invigil made
    #[arg(long, conflicts_with = "names")]
    pub(in crate::cli) all: bool,
    #[command(flatten)]
    pub(in crate::cli) whose: Whose,
    /// The schema that editors are pointed to in the first line
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) schema: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ConvertArgs {
    /// The file; `-` is standard input
    pub(in crate::cli) file: PathBuf,
    /// What the container is called, where the file does not say it; the project's name of a Compose file
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    /// The image of a hostconfig.json, which does not say it
    #[arg(long, value_name = "REFERENCE")]
    pub(in crate::cli) image: Option<String>,
    /// The time zone that `createTime` meant
    #[arg(long, value_name = "ZONE", default_value = crate::problemset::legacy::time::DEFAULT_TIME_ZONE)]
    pub(in crate::cli) time_zone: String,
    /// The schema that editors are pointed to in the first line
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) schema: Option<String>,
}
