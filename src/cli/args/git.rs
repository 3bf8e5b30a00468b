//! Which Git repository the daemon follows. In: arguments. Out: what is followed, or that something else was said as loudly.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser};

use super::{MANIFESTS, OwnerArgs, Refused, interval};
use crate::cli::report::Advised;
use crate::cli::settings::{Configuration, InForce};
use crate::daemon::git::Following;
use crate::daemon::web::WebhookSecret;
use crate::resource::duration::Duration;
use crate::source::git::{Checkouts, Reference, SubDirectory, Terms, Url};

/// The id of the argument that says which repository is followed.
const URL: &str = "git.url";

/// Manifests from a Git repository.
#[derive(Debug, Args)]
pub(in crate::cli) struct GitArgs {
    /// The Git repository that the manifests come from, instead of a directory
    #[arg(id = URL, long = "git", value_name = "URL", env = "INVIGIL_GIT_URL", hide_env_values = true)]
    url: Option<Url>,
    /// Its branch or tag
    #[arg(
        id = "git.ref",
        long = "ref",
        value_name = "NAME",
        env = "INVIGIL_GIT_REF",
        default_value = "main",
        hide_env_values = true
    )]
    reference: Reference,
    /// The directory in it that the manifests are in
    #[arg(
        id = "git.path",
        long = "path",
        value_name = "DIR",
        env = "INVIGIL_GIT_PATH",
        default_value = ".",
        hide_env_values = true
    )]
    directory: SubDirectory,
    /// How often it is fetched
    #[arg(id = "git.every", long = "every", value_name = "DURATION", env = "INVIGIL_GIT_EVERY", default_value = "30s", value_parser = interval, hide_env_values = true)]
    every: Duration,
    /// Let only commits run that an allowed signer has signed with ssh
    #[arg(id = "git.require_signed_commits", long = "require-signed-commits", value_name = "BOOL", env = "INVIGIL_GIT_REQUIRE_SIGNED_COMMITS", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set, hide_env_values = true)]
    require_signed_commits: bool,
    /// Who may sign, as ssh-keygen(1) has it under ALLOWED SIGNERS
    #[arg(
        id = "git.allowed_signers",
        long = "allowed-signers",
        value_name = "FILE",
        env = "INVIGIL_GIT_ALLOWED_SIGNERS",
        default_value = "/etc/invigil/allowed_signers",
        hide_env_values = true
    )]
    allowed_signers: PathBuf,
    /// Let commits run, too, that do not descend from the one that ran last
    #[arg(id = "git.allow_rewritten_history", long = "allow-rewritten-history", value_name = "BOOL", env = "INVIGIL_GIT_ALLOW_REWRITTEN_HISTORY", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set, hide_env_values = true)]
    allow_rewritten_history: bool,
    /// What a forge signs with that asks for a fetch at /v1/webhook [default: none may]
    #[arg(
        id = "git.webhook_secret_file",
        long = "webhook-secret-file",
        value_name = "FILE",
        env = "INVIGIL_GIT_WEBHOOK_SECRET_FILE",
        hide_env_values = true
    )]
    webhook_secret_file: Option<PathBuf>,
}

impl GitArgs {
    /// What a forge's webhook is signed with, if one is believed.
    ///
    /// # Errors
    /// If it cannot be read, or is none, or if there is no repository that it could have fetched.
    pub(in crate::cli) fn webhook(&self) -> anyhow::Result<Option<WebhookSecret>> {
        let Some(file) = &self.webhook_secret_file else { return Ok(None) };
        if self.url.is_none() {
            return Err(Advised {
                message: "a webhook has a secret, but there is no Git repository that it could have fetched"
                    .to_owned(),
                hint: "name the repository (--git, INVIGIL_GIT_URL, `git.url`), or leave the secret out",
            }
            .into());
        }
        let secret = WebhookSecret::read(file).map(Some);
        secret.with_context(|| format!("while reading the webhook's secret, {}", file.display()))
    }

    /// The repository that is followed, if one is.
    ///
    /// # Errors
    /// If it was said as loudly that the manifests are in a directory, or if commits are to be signed and there are none.
    pub(in crate::cli) fn following(
        &self,
        owner: &OwnerArgs,
        in_force: &[InForce],
    ) -> anyhow::Result<Option<Arc<Following>>> {
        let Some(url) = &self.url else {
            if self.require_signed_commits {
                return Err(Advised {
                    message: "commits are to be signed, but there is no Git repository that they could come from"
                        .to_owned(),
                    hint: "name the repository (--git, INVIGIL_GIT_URL, `git.url`), or leave requireSignedCommits out",
                }
                .into());
            }
            return Ok(None);
        };
        let loudness =
            |key: &str| in_force.iter().find(|one| one.setting.key == key).map(|one| one.from.loudness());
        match loudness(MANIFESTS).cmp(&loudness(URL)) {
            Ordering::Greater => return Ok(None),
            Ordering::Equal => {
                return Err(Advised {
                    message: "a directory of manifests and a Git repository are given".to_owned(),
                    hint: "leave one out: PATH, INVIGIL_MANIFESTS, `manifests`; or --git, INVIGIL_GIT_URL, `git.url`",
                }
                .into());
            }
            Ordering::Less => {}
        }
        Ok(Some(Arc::new(Following::new(self.checkouts(url, owner)?, self.every.into()))))
    }

    fn checkouts(&self, url: &Url, owner: &OwnerArgs) -> anyhow::Result<Checkouts> {
        let terms = Terms {
            url: url.clone(),
            reference: self.reference.clone(),
            directory: self.directory.clone(),
            allowed_signers: self.require_signed_commits.then(|| self.allowed_signers.clone()),
            rewritten_history: self.allow_rewritten_history,
        };
        let OwnerArgs { whose, state, .. } = owner;
        state.checkouts(&whose.owner, terms)
    }
}

/// What of the daemon's arguments says where it has its manifests, if they come from a repository.
#[derive(Debug, Parser)]
struct Followed {
    #[command(flatten)]
    git: GitArgs,
    #[command(flatten)]
    owner: OwnerArgs,
}

/// Where the daemon has the manifests of the revision that runs, if it is said louder that it follows a repository than where
/// manifests are: what a command is about then. `given` are the command's arguments.
///
/// # Errors
/// If what is said cannot be followed, or if no revision runs.
pub(in crate::cli) fn followed(
    configuration: &Configuration,
    given: &ArgMatches,
) -> Result<Option<PathBuf>, Refused> {
    let mut arguments = vec![OsString::from("invigil")];
    for (id, flag) in [("owner", "--owner="), ("state_dir", "--state-dir=")] {
        if let Ok(Some(values)) = given.try_get_raw(id) {
            let value: OsString = values.collect();
            arguments.push([OsStr::new(flag), &value].into_iter().collect());
        }
    }
    let command = configuration.filled(Followed::command());
    let is_said = |argument: &Arg| {
        let variable = argument.get_env().is_some_and(|variable| std::env::var_os(variable).is_some());
        argument.get_id() == URL && (variable || !argument.get_default_values().is_empty())
    };
    // What is wrong with the rest is nothing to who follows none.
    if !command.get_arguments().any(is_said) {
        return Ok(None);
    }
    let matches = command.try_get_matches_from(arguments)?;
    let is_louder =
        configuration.origin(&matches, URL).loudness() > configuration.origin(given, MANIFESTS).loudness();
    let Followed { git, owner } = Followed::from_arg_matches(&matches)?;
    let Some(url) = git.url.as_ref().filter(|_| is_louder) else { return Ok(None) };
    let checkouts = git.checkouts(url, &owner).map_err(Refused::Source)?;
    if !checkouts.runs() {
        let message = format!("no revision of {url} runs");
        let hint = "`invigil status` says why; PATH names other manifests";
        return Err(Refused::Source(Advised { message, hint }.into()));
    }
    Ok(Some(checkouts.root()))
}
