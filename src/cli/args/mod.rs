//! The commands, each with its help, which ends with examples. What a command takes stands with the command.

mod git;
mod notify;
mod shared;

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::OsStr;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(in crate::cli) use self::git::GitArgs;
pub(in crate::cli) use self::notify::NotifyArgs;
pub(in crate::cli) use self::shared::{
    ApprovalArgs, EngineArgs, JournalArgs, ManifestArgs, OwnerArgs, ParallelArgs, PassArgs, SpaceArgs,
    StateArgs, Whose, interval,
};
use super::apply::ApplyArgs;
use super::config::ConfigArgs;
use super::convert::ConvertArgs;
use super::export::ExportArgs;
use super::lock::LockArgs;
use super::login::LoginArgs;
use super::man::ManArgs;
use super::notify::NotifyTestArgs;
use super::plan::PlanArgs;
use super::prune::PruneArgs;
use super::report;
use super::run::RunArgs;
use super::schema::SchemaArgs;
use super::settings::{self, Configuration, InForce, Origin};
use super::suspend::{ResumeArgs, SuspendArgs};
use super::validate::ValidateArgs;
use super::views::View;
use crate::resource::env::without_passwords;

/// The id of the argument that says where the manifests are.
const MANIFESTS: &str = "manifests";

/// Keeps the Docker host of an exam server in the state that a directory of YAML manifests describes
#[derive(Debug, Parser)]
#[command(name = "invigil", version, max_term_width = 100)]
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
    /// The process's own arguments, with what the configuration says where they say nothing.
    ///
    /// # Errors
    /// What is wrong with them or with the configuration; or help and version, which are answers too.
    pub(in crate::cli) fn from_process() -> Result<(Self, Configuration, Vec<InForce>), Refused> {
        let mut command = commands();
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        let configuration = Configuration::read(&command, &matches)?;
        // What has parsed once cannot be changed any more.
        let mut command = configuration.fill(commands(), &matches);
        let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
        if let Some((name, root)) = followed(&configuration, &mut command, &matches)? {
            let in_root = |path: Arg| path.default_value(OsStr::from(root.into_os_string()));
            command = configuration
                .fill(commands(), &matches)
                .mut_subcommand(name, |chosen| chosen.mut_arg(MANIFESTS, in_root));
            matches = command.try_get_matches_from_mut(std::env::args_os())?;
        }
        // A saved plan knows its manifests. INVIGIL_MANIFESTS is no word against that, a PATH is.
        if let Some(apply) = matches.subcommand_matches("apply")
            && apply.contains_id("plan")
            && apply.value_source(MANIFESTS) == Some(ValueSource::CommandLine)
        {
            let message = "the argument '--plan <FILE>' cannot be used with '[PATH]'";
            return Err(command.error(ErrorKind::ArgumentConflict, message).into());
        }
        let in_force = configuration.in_force(&command, &matches);
        Ok((Self::from_arg_matches(&matches)?, configuration, in_force))
    }
}

/// The command that is told of no manifests, and where the daemon has those that it fetched, if it follows a repository.
fn followed(
    configuration: &Configuration,
    command: &mut clap::Command,
    matches: &ArgMatches,
) -> Result<Option<(String, PathBuf)>, Refused> {
    let Some((name, chosen)) = matches.subcommand() else { return Ok(None) };
    let takes = chosen.try_contains_id(MANIFESTS).is_ok() && !["run", "config"].contains(&name);
    let is_saved = chosen.try_contains_id("plan").unwrap_or_default();
    if !takes || is_saved || configuration.origin(chosen, MANIFESTS) == Origin::Flag {
        return Ok(None);
    }
    let Some(root) = git::followed(configuration, chosen)? else { return Ok(None) };
    if name == "lock" {
        let message = "what is locked stands beside the manifests, and the next commit would take it away: \
                       name a clone of the repository as PATH, and commit invigil.lock";
        return Err(command.error(ErrorKind::MissingRequiredArgument, message).into());
    }
    Ok(Some((name.to_owned(), root)))
}

/// The commands with all that they take.
pub(in crate::cli) fn commands() -> clap::Command {
    settings::with_settings(Cli::command())
}

/// Why nothing is done.
#[derive(Debug)]
pub(in crate::cli) enum Refused {
    /// The arguments are wrong, or ask for help.
    Arguments(clap::Error),
    /// The configuration is wrong.
    Configuration(settings::Refusal),
    /// There are no manifests where they come from.
    Source(anyhow::Error),
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Self::Arguments(error)
    }
}

impl From<settings::Refusal> for Refused {
    fn from(refusal: settings::Refusal) -> Self {
        Self::Configuration(refusal)
    }
}

impl Refused {
    /// Tells it; gives the exit code for it.
    pub(in crate::cli) fn tell(&self) -> ExitCode {
        match self {
            Self::Arguments(answer) => {
                // Help and version are answers too. A terminal that is gone changes nothing.
                match without_passwords(&answer.render().to_string()) {
                    // What is refused is told with its value, and that may be an address.
                    Cow::Owned(hidden) if answer.use_stderr() => report::talk(&hidden),
                    _ => drop(answer.print()),
                }
                if answer.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
            }
            Self::Configuration(refusal) => refusal.tell(),
            Self::Source(error) => report::error(error),
        }
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
  invigil run --listen 127.0.0.1:9090
                                  a page for people, and metrics
  invigil run --git https://forge.example/exams.git --path room-2

With --git the last commit's files are what is wanted. The host's own git fetches them; what cannot be
fetched, or may not run, leaves the last good revision running, and `status` says why.
Woken by changed files, by the engine, by the timer and by SIGHUP. SIGTERM finishes the steps in
flight and stops no container. INVIGIL_LOG=debug says more.")]
    Run(Box<RunArgs>),
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
    /// Show what every setting is and where that comes from, and whether a daemon would start with them
    #[command(after_help = "\
Examples:
  invigil config
  invigil config -o json | jq -r .settings.owner.value
  invigil config --config tomorrow.yaml
                                  is it right, and what would it change?

A setting is a flag, else its environment variable, else what the configuration says, else the
default. The configuration is YAML: owner, maxRemovals and so on; --config and INVIGIL_CONFIG say
where it is. A relative path in it starts from its own directory. Passwords in addresses are hidden.
Exit codes: 0 shown, 1 the configuration is wrong: everything that is, is told.")]
    Config(Box<ConfigArgs>),
    /// Send a test message to whoever is notified
    #[command(after_help = "\
Examples:
  invigil notify test
  invigil notify test --config tomorrow.yaml
  invigil notify test --notify-program /usr/local/bin/page-me

The daemon tells what fails and is well again, which removals are withheld, what is wrong with the
manifests, and what others do to containers: to a server (notify.webhook), by mail (notify.mail)
and to a program (notify.program). Each is tried once.
Exit codes: 0 everybody took it, 1 somebody did not, or nobody is to be notified.")]
    Notify(Box<NotifyTestArgs>),
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
    /// Write the manual pages, one for each command
    #[command(after_help = "\
Examples:
  invigil man /usr/local/share/man/man1
  invigil man . && man ./invigil-plan.1

They say what --help says.")]
    Man(ManArgs),
}
