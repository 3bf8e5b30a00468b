//! Who is told what happens. In: arguments, and files with secrets. Out: what is told, and the targets, ready to be called.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{ArgAction, Args, ValueEnum};

use crate::cli::report::Advised;
use crate::daemon::notification::notice::{Event, host_name};
use crate::daemon::notification::{
    DEFAULT_GATHER, DEFAULT_HOURLY, Mail, MailAddress, MailLogin, MailServer, Notifications, Post, Program,
    Security, Target, Terms, Webhook,
};
use crate::daemon::post::HttpUrl;
use crate::daemon::web::WebhookSecret;
use crate::resource::duration::Duration;

/// The longest that what happens is gathered.
const GATHER_MAX: std::time::Duration = std::time::Duration::from_hours(1);

/// Notifications.
#[derive(Debug, Args)]
pub(in crate::cli) struct NotifyArgs {
    /// What is told
    #[arg(
        id = "notify.events",
        long = "notify-events",
        value_name = "EVENT",
        env = "INVIGIL_NOTIFY_EVENTS",
        value_delimiter = ',',
        action = ArgAction::Append,
        default_values = ["failure", "recovery", "withheld", "interference", "source"],
        hide_env_values = true
    )]
    events: Vec<EventName>,
    /// For how long what happens is gathered into one message; what is over by then is not told
    #[arg(id = "notify.gather", long = "notify-gather", value_name = "DURATION", env = "INVIGIL_NOTIFY_GATHER", default_value_t = default_gather(), value_parser = gather, hide_env_values = true)]
    gather: Duration,
    /// How often one resource is told of in an hour at most
    #[arg(id = "notify.hourly", long = "notify-hourly", value_name = "N", env = "INVIGIL_NOTIFY_HOURLY", default_value_t = DEFAULT_HOURLY as u64, value_parser = clap::value_parser!(u64).range(1..=1000), hide_env_values = true)]
    hourly: u64,
    /// A server to which messages are posted as JSON
    #[arg(
        id = "notify.webhook.url",
        long = "notify-webhook",
        value_name = "URL",
        env = "INVIGIL_NOTIFY_WEBHOOK_URL",
        hide_env_values = true
    )]
    webhook: Option<HttpUrl>,
    /// The same in a file, for an address that is a secret itself
    #[arg(
        id = "notify.webhook.url_file",
        long = "notify-webhook-file",
        value_name = "FILE",
        env = "INVIGIL_NOTIFY_WEBHOOK_URL_FILE",
        hide_env_values = true
    )]
    webhook_file: Option<PathBuf>,
    /// What these messages are signed with, as X-Hub-Signature-256 [default: they are not]
    #[arg(
        id = "notify.webhook.secret_file",
        long = "notify-webhook-secret-file",
        value_name = "FILE",
        env = "INVIGIL_NOTIFY_WEBHOOK_SECRET_FILE",
        hide_env_values = true
    )]
    webhook_secret_file: Option<PathBuf>,
    /// A server that sends mail, and its port if it is not the usual one
    #[arg(
        id = "notify.mail.server",
        long = "notify-mail",
        value_name = "HOST[:PORT]",
        env = "INVIGIL_NOTIFY_MAIL_SERVER",
        hide_env_values = true
    )]
    mail: Option<MailServer>,
    /// How the way to it is secured
    #[arg(
        id = "notify.mail.tls",
        long = "notify-mail-tls",
        value_name = "HOW",
        env = "INVIGIL_NOTIFY_MAIL_TLS",
        default_value = "starttls",
        hide_env_values = true
    )]
    mail_tls: MailTls,
    /// Who writes these mails
    #[arg(
        id = "notify.mail.from",
        long = "notify-mail-from",
        value_name = "ADDRESS",
        env = "INVIGIL_NOTIFY_MAIL_FROM",
        hide_env_values = true
    )]
    mail_from: Option<MailAddress>,
    /// Who gets them; several with commas between them
    #[arg(
        id = "notify.mail.to",
        long = "notify-mail-to",
        value_name = "ADDRESS",
        env = "INVIGIL_NOTIFY_MAIL_TO",
        value_delimiter = ',',
        action = ArgAction::Append,
        hide_env_values = true
    )]
    mail_to: Vec<MailAddress>,
    /// Who the server lets send mail [default: it does not ask]
    #[arg(
        id = "notify.mail.username",
        long = "notify-mail-username",
        value_name = "NAME",
        env = "INVIGIL_NOTIFY_MAIL_USERNAME",
        hide_env_values = true
    )]
    mail_username: Option<String>,
    /// The file with the password for that
    #[arg(
        id = "notify.mail.password_file",
        long = "notify-mail-password-file",
        value_name = "FILE",
        env = "INVIGIL_NOTIFY_MAIL_PASSWORD_FILE",
        hide_env_values = true
    )]
    mail_password_file: Option<PathBuf>,
    /// A program that is run for each message, with the message as JSON on its standard input
    #[arg(
        id = "notify.program",
        long = "notify-program",
        value_name = "FILE",
        env = "INVIGIL_NOTIFY_PROGRAM",
        hide_env_values = true
    )]
    program: Option<PathBuf>,
}

/// How the way to a server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MailTls {
    /// TLS from the first byte on; port 465
    Implicit,
    /// TLS after a word in the clear, and nothing without it; port 587
    Starttls,
    /// No TLS: anybody on the way reads it; port 25
    None,
}

impl From<MailTls> for Security {
    fn from(tls: MailTls) -> Self {
        match tls {
            MailTls::Implicit => Self::Implicit,
            MailTls::Starttls => Self::StartTls,
            MailTls::None => Self::Nothing,
        }
    }
}

/// What is told, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EventName {
    /// What could not be made as its manifest says; an engine that does not answer
    Failure,
    /// What is well again
    Recovery,
    /// What no manifest describes, and is kept all the same
    Withheld,
    /// What somebody else did to what Invigil keeps
    Interference,
    /// Manifests that are wrong, cannot be fetched, or may not run
    Source,
}

impl From<EventName> for Event {
    fn from(name: EventName) -> Self {
        match name {
            EventName::Failure => Self::Failure,
            EventName::Recovery => Self::Recovery,
            EventName::Withheld => Self::Withheld,
            EventName::Interference => Self::Interference,
            EventName::Source => Self::Source,
        }
    }
}

fn default_gather() -> Duration {
    Duration::from_nanos(DEFAULT_GATHER.as_secs() * 1_000_000_000)
}

fn gather(text: &str) -> Result<Duration, String> {
    let gather: Duration = text.parse()?;
    if std::time::Duration::from(gather) > GATHER_MAX {
        return Err("expected 1h at most".to_owned());
    }
    Ok(gather)
}

impl NotifyArgs {
    /// What is told, and who is told it.
    ///
    /// # Errors
    /// The first of [`Self::refusals`].
    pub(in crate::cli) fn notifications(&self) -> Result<Notifications> {
        let events = self.events.iter().copied().map(Event::from).collect();
        let hourly = usize::try_from(self.hourly).unwrap_or(usize::MAX);
        let terms = Terms { events, gather: self.gather.into(), hourly };
        let targets: Result<Vec<Option<Target>>> = self.targets().into_iter().collect();
        Ok(Notifications { terms, targets: targets?.into_iter().flatten().collect() })
    }

    /// Whom of those who are to be told nobody can tell: a file cannot be read or holds nothing that can be used, or what
    /// belongs together is not there.
    pub(in crate::cli) fn refusals(&self) -> impl Iterator<Item = anyhow::Error> {
        self.targets().into_iter().filter_map(Result::err)
    }

    fn targets(&self) -> [Result<Option<Target>>; 3] {
        [
            self.webhook().map(|webhook| Some(Target::Webhook(Arc::new(webhook?)))),
            self.mail().map(|mail| Some(Target::Mail(Arc::new(mail?)))),
            self.program().map(|program| Some(Target::Program(Arc::new(program?)))),
        ]
    }

    fn mail(&self) -> Result<Option<Mail>> {
        let Some(server) = &self.mail else {
            let is_for_mail = self.mail_from.is_some()
                || !self.mail_to.is_empty()
                || self.mail_username.is_some()
                || self.mail_password_file.is_some();
            if !is_for_mail {
                return Ok(None);
            }
            return Err(Advised {
                message: "mail is to be written, but there is no server that sends it".to_owned(),
                hint: "say which one (`notify.mail.server`), or leave the rest of `notify.mail` out",
            }
            .into());
        };
        let (Some(from), to @ [_, ..]) = (&self.mail_from, self.mail_to.as_slice()) else {
            return Err(Advised {
                message: "there is a server for mail, but nobody who writes, or nobody to write to"
                    .to_owned(),
                hint: "say both: `notify.mail.from` and `notify.mail.to`",
            }
            .into());
        };
        let login = match (&self.mail_username, &self.mail_password_file) {
            (None, None) => None,
            (Some(user), Some(file)) => {
                let password = text_of(file, "the password for mail")?;
                Some(MailLogin { user: user.clone(), password })
            }
            _ => {
                return Err(Advised {
                    message: "of a login for mail there is only one half".to_owned(),
                    hint: "say both, or none: `notify.mail.username` and `notify.mail.passwordFile`",
                }
                .into());
            }
        };
        let security = self.mail_tls.into();
        let post = Post { server: server.clone(), security, from: from.clone(), to: to.to_vec(), login };
        Mail::new(post, &host_name()).map(Some).map_err(anyhow::Error::msg).context("while setting up mail")
    }

    fn program(&self) -> Result<Option<Program>> {
        let Some(path) = &self.program else { return Ok(None) };
        let path = std::path::absolute(path)?;
        let told = || format!("while looking for the program that is to be notified, {}", path.display());
        let found = std::fs::metadata(&path).with_context(told)?;
        if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
            return Err(Advised {
                message: format!("{} is no program: it cannot be run", path.display()),
                hint: "a script needs its first line (#!/bin/sh) and its mode (chmod +x)",
            }
            .into());
        }
        Ok(Some(Program::new(path)))
    }

    fn webhook(&self) -> Result<Option<Webhook>> {
        let url = match (&self.webhook, &self.webhook_file) {
            (Some(_), Some(_)) => {
                return Err(Advised {
                    message: "a webhook's address is given, and a file with one".to_owned(),
                    hint: "leave one out: `notify.webhook.url` or `notify.webhook.urlFile`",
                }
                .into());
            }
            (Some(url), None) => url.clone(),
            (None, Some(file)) => {
                let text = text_of(file, "the webhook's address")?;
                let parsed = text.parse::<HttpUrl>().map_err(anyhow::Error::msg);
                parsed.with_context(|| format!("while reading the webhook's address, {}", file.display()))?
            }
            (None, None) if self.webhook_secret_file.is_some() => {
                return Err(Advised {
                    message: "there is a secret for messages to a webhook, but no webhook".to_owned(),
                    hint: "say where it is (`notify.webhook.url` or `urlFile`), or leave the secret out",
                }
                .into());
            }
            (None, None) => return Ok(None),
        };
        let read = |file: &PathBuf| {
            let secret = WebhookSecret::read(file);
            secret.with_context(|| format!("while reading the secret for messages, {}", file.display()))
        };
        let secret = self.webhook_secret_file.as_ref().map(read).transpose()?;
        Webhook::new(url, secret)
            .map(Some)
            .map_err(anyhow::Error::msg)
            .context("while setting up the webhook")
    }
}

/// What stands in a file, which may be a secret, without the line's end.
fn text_of(file: &Path, what: &str) -> Result<String> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("while reading {what}, {}", file.display()))?;
    Ok(text.trim().to_owned())
}
