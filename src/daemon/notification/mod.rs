//! Notifications: people are told what happens. In: how things stand, and what somebody else did. Out: messages to a webhook, by
//! mail and to a program. Works in tasks of its own: whatever a target does, no pass waits for it, and what is kept for it
//! is bounded.

mod delivery;
mod ledger;
mod mail;
pub mod notice;
mod program;
mod webhook;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::delivery::{Outbox, Takes, bring};
use self::ledger::Ledger;
pub use self::ledger::Terms;
pub use self::mail::{Mail, MailAddress, MailLogin, MailServer, Post, Security};
use self::notice::{Message, Sender};
pub use self::program::Program;
pub use self::webhook::Webhook;
use super::board::Board;
use super::post::Undelivered;
use super::tally::Sent;
use crate::resource::name::ResourceId;

/// For how long what happens is gathered into one message.
pub const DEFAULT_GATHER: Duration = Duration::from_secs(5);
/// How often one subject is told of in an hour.
pub const DEFAULT_HOURLY: usize = 6;
/// How often it is looked how things stand, at most.
const PACE: Duration = Duration::from_millis(500);
/// How much of what somebody else did waits to be heard.
const UNHEARD_MAX: usize = 256;

/// What is told of, and who is told.
#[derive(Debug, Clone, Default)]
pub struct Notifications {
    /// What is told, and how often.
    pub terms: Terms,
    /// Who is told; if nobody is, nothing is done.
    pub targets: Vec<Target>,
}

/// Who is told.
#[derive(Debug, Clone)]
pub enum Target {
    /// A server, by HTTP.
    Webhook(Arc<Webhook>),
    /// People, by mail.
    Mail(Arc<Mail>),
    /// A program, which is run.
    Program(Arc<Program>),
}

impl Takes for Target {
    fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Mail(_) => "mail",
            Self::Program(_) => "program",
        }
    }

    async fn take(&self, message: &Message) -> Result<(), Undelivered> {
        match self {
            Self::Webhook(webhook) => webhook.post(message).await,
            Self::Mail(mail) => mail.send(message).await,
            Self::Program(program) => program.run(message).await,
        }
    }
}

impl Target {
    /// What it is, in one word.
    pub fn name(&self) -> &'static str {
        Takes::name(self)
    }

    /// Where it is, for people, without secrets.
    pub fn place(&self) -> String {
        match self {
            Self::Webhook(webhook) => webhook.place(),
            Self::Mail(mail) => mail.place().to_owned(),
            Self::Program(program) => program.path().display().to_string(),
        }
    }

    /// Brings it a message, once.
    ///
    /// # Errors
    /// If it does not arrive.
    pub async fn send(&self, message: &Message) -> Result<(), Undelivered> {
        bring(self, message).await
    }
}

/// Tells what happens for as long as it is there.
#[derive(Debug)]
pub(super) struct Notifier {
    /// Ended when this is dropped.
    _tasks: JoinSet<Infallible>,
}

/// What somebody else did to a resource, on its way to be told.
pub(super) type Interfered = (ResourceId, String);

impl Notifier {
    /// Begins to tell; `None` if nobody is to be told.
    pub(super) fn begin(notifications: &Notifications, board: &Arc<Board>) -> Option<Self> {
        let Notifications { terms, targets } = notifications;
        if targets.is_empty() {
            return None;
        }
        let (heard, hearing) = mpsc::channel(UNHEARD_MAX);
        board.hears_by(heard);
        let mut tasks = JoinSet::new();
        let mut outboxes = Vec::new();
        for target in targets {
            board.notifies(target.name());
            let outbox = Arc::new(Outbox::default());
            outboxes.push((target.name(), Arc::clone(&outbox)));
            let (target, board) = (target.clone(), Arc::clone(board));
            tasks.spawn(async move { outbox.empty(&target, &board).await });
        }
        let ledger = Ledger::new(terms.clone());
        tasks.spawn(follow(ledger, Arc::clone(board), hearing, outboxes));
        Some(Self { _tasks: tasks })
    }
}

/// Looks how things stand whenever that may be different, and writes messages.
async fn follow(
    mut ledger: Ledger,
    board: Arc<Board>,
    mut hearing: mpsc::Receiver<Interfered>,
    outboxes: Vec<(&'static str, Arc<Outbox>)>,
) -> Infallible {
    let mut changes = board.changes();
    let mut look_at = Instant::now();
    loop {
        let due = ledger.due();
        let news = async {
            sleep_until(look_at).await;
            changes.changed().await;
        };
        tokio::select! {
            () = news => look_at = Instant::now() + PACE,
            Some((id, what)) = hearing.recv() => {
                ledger.hear(id, what, Instant::now(), Timestamp::now());
                ledger.hear_more(board.unheard(), Instant::now());
                continue;
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        let (now, wall) = (Instant::now(), Timestamp::now());
        let shown = board.shown();
        ledger.hear_more(board.unheard(), now);
        // What is over by now is not told.
        ledger.look(&shown.status, now, wall);
        if ledger.due().is_none_or(|due| due > now) {
            continue;
        }
        let notices = ledger.take(now, wall);
        if notices.is_empty() {
            continue;
        }
        let message = Arc::new(Message::of(notices, &Sender::here(&shown.status.owner), wall));
        for (target, outbox) in &outboxes {
            if outbox.put(Arc::clone(&message)) {
                board.notified(target, Sent::Dropped);
            }
        }
    }
}

#[cfg(test)]
mod tests;
