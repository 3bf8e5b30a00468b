//! Where the log goes and how it looks. In: a format and a level. Out: lines on stderr, or entries where that is systemd's
//! journal; stdout is for data.

mod journald;
mod queue;

use std::env;
use std::io::{self, IsTerminal, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::warn;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use self::queue::Queue;

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
/// environment variables in them (law 12). Nobody waits for who reads it.
///
/// # Errors
/// If something else in this process has set up a log before, or there can be no thread for it.
pub fn init(format: Format, level: LevelFilter) -> anyhow::Result<Log> {
    let stream = env::var("JOURNAL_STREAM").ok();
    let lost = Arc::new(AtomicU64::new(0));
    let (layer, rest): (_, Box<dyn Fn() + Send + Sync>) = match format {
        Format::Text if let Some(send) = journald::journal(stream.as_deref()) => {
            let queue = Queue::new(Arc::clone(&lost), send)?;
            let layer = journald::layer({
                let queue = queue.clone();
                move |entry| queue.put(entry)
            });
            (layer.boxed(), Box::new(move || queue.flush()))
        }
        format => {
            let queue = Queue::new(Arc::clone(&lost), |line: Vec<u8>| {
                let _ = io::stderr().write_all(&line);
            })?;
            let writer = {
                let queue = queue.clone();
                move || queue.clone()
            };
            let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
            let lines = fmt::layer().with_target(false);
            let layer = match format {
                Format::Json => lines.json().flatten_event(true).with_writer(writer).boxed(),
                Format::Text => lines.with_ansi(colour).with_writer(writer).boxed(),
            };
            (layer, Box::new(move || queue.flush()))
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(filter(level))).try_init()?;
    Ok(Log { lost: Lost(lost), rest })
}

/// The log of this process. When it goes, what was said is given a moment to be taken.
pub struct Log {
    /// What was not.
    pub lost: Lost,
    rest: Box<dyn Fn() + Send + Sync>,
}

impl Drop for Log {
    fn drop(&mut self) {
        (self.rest)();
    }
}

/// How many lines found no room, since nobody took those before them.
#[derive(Debug, Clone, Default)]
pub struct Lost(Arc<AtomicU64>);

impl Lost {
    /// Says so, once there is room for that.
    pub fn tell(&self) {
        let lines = self.0.load(Ordering::Relaxed);
        if lines == 0 {
            return;
        }
        warn!(lines, "of the log are lost: nobody took them in time");
        if self.0.load(Ordering::Relaxed) == lines {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

fn filter(level: LevelFilter) -> Targets {
    Targets::new().with_target(env!("CARGO_PKG_NAME"), level)
}
