//! Where the log goes and how it looks. In: a format and a level. Out: lines on stderr, or entries where that is systemd's
//! journal; stdout is for data.

mod journald;

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: colours on a terminal; entries with fields in systemd's journal.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Sends the log to stderr, or to the journal that stderr leads to: what this program says itself, from `level` on.
///
/// Never what its libraries say: the engine's client logs whole requests and answers, with everybody's
/// environment variables in them (law 12).
///
/// # Errors
/// If something else in this process has set up a log before.
pub fn init(format: Format, level: LevelFilter) -> Result<(), TryInitError> {
    let stream = env::var("JOURNAL_STREAM").ok();
    let layer = match format {
        Format::Json => {
            fmt::layer().json().flatten_event(true).with_target(false).with_writer(io::stderr).boxed()
        }
        Format::Text if let Some(journald) = journald::journald(stream.as_deref()) => journald.boxed(),
        Format::Text => {
            let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
            fmt::layer().with_target(false).with_ansi(colour).with_writer(io::stderr).boxed()
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(filter(level))).try_init()
}

fn filter(level: LevelFilter) -> Targets {
    Targets::new().with_target(env!("CARGO_PKG_NAME"), level)
}
