//! `invigil notify test`: whether messages arrive. Sends one to whoever would be told, once. Looks at no engine.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tracing_subscriber::filter::LevelFilter;

use super::args::{NotifyArgs, Whose};
use super::print;
use super::report::Advised;
use super::views::Table;
use crate::daemon::logging;
use crate::daemon::notification::notice::{Message, Sender};

#[derive(Debug, Args)]
pub(super) struct NotifyTestArgs {
    /// What to do
    #[arg(value_name = "WHAT")]
    what: What,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    notify: NotifyArgs,
}

/// What to do with notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Send a message that says that it is a test
    Test,
}

pub(super) async fn notify(args: &NotifyTestArgs) -> Result<ExitCode> {
    let What::Test = args.what;
    let targets = args.notify.notifications()?.targets;
    if targets.is_empty() {
        return Err(Advised {
            message: "nobody is to be notified".to_owned(),
            hint: "say who: `notify.webhook.url`, `notify.mail.server` or `notify.program` (`invigil config` shows what is in force)",
        }
        .into());
    }
    // What a program says goes into the log.
    let _log = logging::init(logging::Format::Text, LevelFilter::INFO)?;
    let message = Message::test(&Sender::here(args.whose.owner.as_str()), Timestamp::now());
    let mut table = Table::new(["TARGET", "PLACE", "RESULT"]);
    let mut all_arrived = true;
    for target in &targets {
        let result = match target.send(&message).await {
            Ok(()) => "sent".to_owned(),
            Err(error) => {
                all_arrived = false;
                format!("not sent: {error}")
            }
        };
        table.row([target.name().to_owned(), target.place(), result]);
    }
    print(&table.to_text())?;
    Ok(if all_arrived { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
