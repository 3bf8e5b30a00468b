//! Arguments that several commands take.

use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, StringValueParser, TypedValueParser};
use clap::{ArgAction, Args};

use super::MANIFESTS;
use crate::assembly::ExamServer;
use crate::cli::exam_server;
use crate::diff::Budget;
use crate::engine::EngineError;
use crate::engine::docker::{Access, DEFAULT_HOST, DockerReader, is_wish};
use crate::execute::default_parallelism;
use crate::fields::plain;
use crate::journal::{DEFAULT_MAX_AGE, DEFAULT_MAX_SIZE, Journal, Limits, MIN_MAX_SIZE, Writer};
use crate::reconcile::{MIN_FREE_SPACE, Setup};
use crate::records::Records;
use crate::registries::Registries;
use crate::resource::duration::Duration;
use crate::resource::name::Owner;
use crate::resource::quantity::ByteSize;
use crate::secret::Secret;
use crate::source::git::{Checkouts, Terms};
use crate::suspension::{self, Suspension};

/// Where the manifests are.
#[derive(Debug, Args)]
pub(in crate::cli) struct ManifestArgs {
    /// The directory of manifests, or one file; where a Git repository is followed, its revision that runs
    #[arg(
        id = MANIFESTS,
        value_name = "PATH",
        env = "INVIGIL_MANIFESTS",
        default_value = "/etc/invigil/manifests",
        hide_env_values = true
    )]
    path: PathBuf,
}

impl ManifestArgs {
    /// The manifests at another path.
    pub(in crate::cli) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The path as it was given.
    pub(in crate::cli) fn given(&self) -> &Path {
        &self.path
    }

    /// The path from the root, however it was given.
    pub(in crate::cli) fn root(&self) -> anyhow::Result<PathBuf> {
        Ok(std::path::absolute(&self.path)?)
    }
}

/// What every pass is about: the manifests, the host, and how far removals go.
#[derive(Debug, Args)]
pub(in crate::cli) struct PassArgs {
    #[command(flatten)]
    pub(in crate::cli) manifests: ManifestArgs,
    #[command(flatten)]
    pub(in crate::cli) owner: OwnerArgs,
    #[command(flatten)]
    budget: BudgetArgs,
    #[command(flatten)]
    pub(in crate::cli) engine: EngineArgs,
}

impl PassArgs {
    /// What stays the same while a command runs. So many removals are approved beyond the limits.
    pub(in crate::cli) fn setup(
        &self,
        parallelism: usize,
        min_free_space: ByteSize,
        approved: Option<usize>,
    ) -> anyhow::Result<Setup> {
        let OwnerArgs { whose: Whose { owner }, state, .. } = &self.owner;
        Ok(Setup {
            owner: owner.clone(),
            server: self.owner.exam_server()?,
            parallelism,
            budget: self.budget.budget(approved),
            suspension: state.suspension(owner),
            records: state.records(owner),
            registries: Registries::default(),
            socket: self.engine.reader().socket(),
            min_free_space,
        })
    }
}

/// Whose resources are meant.
#[derive(Debug, Args)]
pub(in crate::cli) struct Whose {
    /// The name of this Invigil on the host; only what bears it is ever touched
    #[arg(long, env = "INVIGIL_OWNER", default_value = "default", hide_env_values = true)]
    pub(in crate::cli) owner: Owner,
}

/// Which engine is meant.
#[derive(Debug, Args)]
pub(in crate::cli) struct EngineArgs {
    /// Where the engine is: a socket, or an address like `tcp://HOST:PORT`
    #[arg(long, value_name = "URL", env = "DOCKER_HOST", default_value = DEFAULT_HOST, hide_env_values = true)]
    host: String,
    /// Have the engine at a tcp:// address prove by TLS who it is
    #[arg(
        long,
        value_name = "BOOL",
        env = "DOCKER_TLS_VERIFY",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        value_parser = wish(),
        action = ArgAction::Set,
        hide_env_values = true
    )]
    tls_verify: bool,
    /// The directory with the certificates for TLS to the engine: ca.pem, and cert.pem and key.pem if it asks for them [default: as Docker has it]
    #[arg(long, value_name = "DIR", env = "DOCKER_CERT_PATH", value_parser = path_or_nothing(), hide_env_values = true)]
    cert_path: Option<PathBuf>,
    /// The directory with Docker's config.json, which has the logins to registries [default: as Docker has it]
    #[arg(long, value_name = "DIR", env = "DOCKER_CONFIG", value_parser = path_or_nothing(), hide_env_values = true)]
    docker_config: Option<PathBuf>,
}

/// What [`is_wish`] says.
fn wish() -> impl TypedValueParser<Value = bool> {
    StringValueParser::new().map(|text| is_wish(&text))
}

/// A path, or nothing where a variable is empty.
fn path_or_nothing() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

impl EngineArgs {
    /// The engine. Does not speak to it yet.
    pub(in crate::cli) fn reader(&self) -> DockerReader {
        // As with Docker's own program, an empty variable is none.
        let said = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        DockerReader::by(Access {
            endpoint: plain(if self.host.is_empty() { DEFAULT_HOST } else { &self.host }),
            tls_verify: self.tls_verify,
            cert_path: said(&self.cert_path),
            docker_config: said(&self.docker_config),
        })
    }

    /// The engine, spoken to.
    ///
    /// # Errors
    /// If no engine answers, or it is older than Docker 20.10.
    pub(in crate::cli) async fn connect(&self) -> Result<DockerReader, EngineError> {
        self.reader().connect().await
    }

    /// Begins to, and to look at it, while the caller is at something else: an engine takes a while to say what it has.
    pub(in crate::cli) fn connecting(&self) -> impl Future<Output = anyhow::Result<DockerReader>> + use<> {
        let connecting = tokio::spawn(self.reader().connect_and_list());
        async { Ok(connecting.await??) }
    }
}

/// Whose host this is.
#[derive(Debug, Args)]
pub(in crate::cli) struct OwnerArgs {
    #[command(flatten)]
    pub(in crate::cli) whose: Whose,
    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
    /// The exam server's program for problem set images [default: invigil-exam beside this program]
    #[arg(long, value_name = "FILE", env = "INVIGIL_EXAM_SERVER", hide_env_values = true)]
    exam_server: Option<PathBuf>,
}

impl OwnerArgs {
    /// The exam server's program.
    ///
    /// # Errors
    /// If it cannot be read, or is no program for this host.
    pub(in crate::cli) fn exam_server(&self) -> anyhow::Result<ExamServer> {
        exam_server::read(self.exam_server.as_deref())
    }
}

/// What is remembered across restarts.
#[derive(Debug, Args)]
pub(in crate::cli) struct StateArgs {
    /// Where it is remembered whether the host is suspended, for which token a container was restarted, with which
    /// secret plans are sealed, and what was done: the journal
    #[arg(long, value_name = "DIR", env = "INVIGIL_STATE_DIR", default_value = suspension::DEFAULT_DIR, hide_env_values = true)]
    state_dir: PathBuf,
}

impl StateArgs {
    pub(in crate::cli) fn suspension(&self, owner: &Owner) -> Suspension {
        Suspension::of(&self.state_dir, owner)
    }

    pub(in crate::cli) fn journal(&self, owner: &Owner) -> Journal {
        Journal::of(&self.state_dir, owner)
    }

    /// Where the commits are kept that come from a Git repository.
    pub(in crate::cli) fn checkouts(&self, owner: &Owner, terms: Terms) -> anyhow::Result<Checkouts> {
        Ok(Checkouts::of(&std::path::absolute(&self.state_dir)?, owner.as_str(), terms))
    }

    pub(in crate::cli) fn secret(&self, owner: &Owner) -> Secret {
        Secret::of(&self.state_dir, owner)
    }

    pub(in crate::cli) fn records(&self, owner: &Owner) -> Records {
        Records::of(&self.state_dir, owner)
    }
}

/// How much of the journal is kept.
#[derive(Debug, Args)]
pub(in crate::cli) struct JournalArgs {
    /// How long what was done is kept in the journal; the last 1000 entries are kept longer
    #[arg(long, value_name = "DURATION", env = "INVIGIL_JOURNAL_MAX_AGE", default_value_t = max_age(), hide_env_values = true)]
    journal_max_age: Duration,
    /// How large the journal becomes, 1Mi at least; beyond that its oldest entries go
    #[arg(long, value_name = "SIZE", env = "INVIGIL_JOURNAL_MAX_SIZE", default_value_t = DEFAULT_MAX_SIZE, value_parser = max_size, hide_env_values = true)]
    journal_max_size: ByteSize,
}

fn max_age() -> Duration {
    Duration::from_nanos(DEFAULT_MAX_AGE.as_secs() * 1_000_000_000)
}

fn max_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size < MIN_MAX_SIZE {
        return Err(format!("expected at least {MIN_MAX_SIZE}: what was just done has to have room"));
    }
    Ok(size)
}

impl JournalArgs {
    /// Writes a journal, verified whole before if `checked`.
    pub(in crate::cli) fn writer(&self, journal: Journal, checked: bool) -> Writer {
        let limits = Limits { max_age: self.journal_max_age.into(), max_size: self.journal_max_size };
        Writer::begin(journal, limits, checked)
    }
}

/// How much may be removed in one pass.
#[derive(Debug, Args)]
struct BudgetArgs {
    /// How many containers, networks or images no longer in the manifests are removed in one pass at most; 0
    /// for none
    #[arg(long, value_name = "N", env = "INVIGIL_MAX_REMOVALS", default_value_t = Budget::default().count, hide_env_values = true)]
    max_removals: usize,
    /// How many per cent of all of their kind; one of a kind always may be, unless this is 0
    #[arg(long, value_name = "PERCENT", env = "INVIGIL_MAX_REMOVAL_SHARE", default_value_t = Budget::default().share, value_parser = clap::value_parser!(u8).range(0..=100), hide_env_values = true)]
    max_removal_share: u8,
}

/// A word for more removals than usual.
#[derive(Debug, Args)]
pub(in crate::cli) struct ApprovalArgs {
    /// Approve that this many resources no longer in the manifests are removed, whatever the limits say
    #[arg(long, value_name = "N")]
    pub(in crate::cli) allow_removals: Option<usize>,
}

impl BudgetArgs {
    /// The budget, with this many removals approved.
    fn budget(&self, approved: Option<usize>) -> Budget {
        Budget { count: self.max_removals, share: self.max_removal_share, approved }
    }
}

/// How much stays free.
#[derive(Debug, Args)]
pub(in crate::cli) struct SpaceArgs {
    /// How much has to be free where the engine keeps its data before images are built, pulled or loaded; 0 for
    /// any. Looked at where the engine is on this host
    #[arg(long, value_name = "SIZE", env = "INVIGIL_MIN_FREE_SPACE", default_value_t = MIN_FREE_SPACE, hide_env_values = true)]
    pub(in crate::cli) min_free_space: ByteSize,
}

/// How much is done at once.
#[derive(Debug, Args)]
pub(in crate::cli) struct ParallelArgs {
    /// How many steps are in flight at most [default: 4 for each core, 16 at most]
    #[arg(long, value_name = "N", env = "INVIGIL_PARALLELISM", default_value_t = default_parallelism(), value_parser = parallelism, hide_default_value = true, hide_env_values = true)]
    pub(in crate::cli) parallelism: usize,
}

fn parallelism(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=256) => Ok(count),
        _ => Err("expected a number from 1 to 256".to_owned()),
    }
}

/// A time between two looks.
pub(in crate::cli) fn interval(text: &str) -> Result<Duration, String> {
    let interval: Duration = text.parse()?;
    if std::time::Duration::from(interval) < std::time::Duration::from_millis(100) {
        return Err("expected at least 100ms".to_owned());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_without_room_for_one_pass_is_refused() {
        assert_eq!(max_size("1Mi").unwrap(), MIN_MAX_SIZE);
        assert_eq!(
            max_size("1023Ki").unwrap_err(),
            "expected at least 1Mi: what was just done has to have room"
        );
    }
}
