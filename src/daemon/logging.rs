//! Where the log goes and how it looks. In: a format. Out: lines on stderr; stdout is for data.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: colours on a terminal, no time of its own in systemd's journal.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Sends the log to stderr: what this program says itself, from the level in `INVIGIL_LOG` on (`error`,
/// `warn`, `info`, `debug`, `trace`; `info` if it says nothing that can be read).
///
/// Never what its libraries say: the engine's client logs whole requests and answers, with everybody's
/// environment variables in them (law 12).
///
/// # Errors
/// If something else in this process has set up a log before.
pub fn init(format: Format) -> Result<(), TryInitError> {
    let layer = match format {
        Format::Json => {
            fmt::layer().json().flatten_event(true).with_target(false).with_writer(io::stderr).boxed()
        }
        Format::Text => {
            let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
            let layer = fmt::layer().with_target(false).with_ansi(colour).with_writer(io::stderr);
            // The journal notes the time itself.
            if env::var_os("JOURNAL_STREAM").is_some() { layer.without_time().boxed() } else { layer.boxed() }
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(filter())).try_init()
}

fn filter() -> Targets {
    let level = env::var("INVIGIL_LOG").ok().and_then(|text| text.trim().parse().ok());
    Targets::new().with_target(env!("CARGO_PKG_NAME"), level.unwrap_or(LevelFilter::INFO))
}
