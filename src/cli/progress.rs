//! The progress of a walk, on stderr: a live list on a terminal, plain lines elsewhere. Hears events,
//! never asks.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::report::talk;
use super::style::PALETTE;
use crate::execute::Event;
use crate::fields::plain;
use crate::plan::Node;

/// How often a running step's clock is drawn.
const TICK: Duration = Duration::from_millis(100);
/// Steps that take less are not drawn as they begin.
const SHOWN: usize = 16;

pub(super) struct Progress {
    live: Option<Live>,
    total: usize,
    finished: Mutex<usize>,
}

/// The lines of running steps on a terminal.
struct Live {
    lines: MultiProgress,
    running: Mutex<HashMap<usize, ProgressBar>>,
    style: ProgressStyle,
    has_colours: bool,
}

impl Progress {
    pub(super) fn new(total: usize) -> Self {
        let live = std::io::stderr().is_terminal().then(|| Live {
            lines: MultiProgress::new(),
            running: Mutex::default(),
            style: ProgressStyle::with_template("{spinner} {msg}  {elapsed}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            has_colours: AutoStream::choice(&std::io::stderr()) != ColorChoice::Never,
        });
        Self { live, total, finished: Mutex::new(0) }
    }

    pub(super) fn hear(&self, event: &Event<'_>) {
        let colours = PALETTE;
        match event {
            Event::Started(index, node) => self.begin(*index, node),
            Event::Progress(index, node, text) => self.update(*index, node, text),
            Event::Done(index, node, took) => {
                let count = self.count();
                let mark = format!("{}[{count}/{}]{}", colours.dim, self.total, colours.reset);
                self.end(
                    *index,
                    &format!("{mark} {}: {} ({:.1}s)", who(node), node.step, took.as_secs_f64()),
                );
            }
            Event::Failed(index, node, error) => {
                self.count();
                let failed = format!("{}failed{}", colours.danger, colours.reset);
                self.end(*index, &format!("{failed} {}: {}", who(node), plain(&error.to_string())));
            }
            Event::Rescued(_, node, Ok(away)) => {
                let away = away.map(|away| format!(", after {:.1}s", away.as_secs_f64())).unwrap_or_default();
                self.say(&format!("{}: what was there before is back{away}", who(node)));
            }
            Event::Rescued(_, node, Err(error)) => self.say(&format!(
                "{}failed{} {}: what was there before could not be brought back: {}",
                colours.danger,
                colours.reset,
                who(node),
                plain(error)
            )),
            Event::Skipped(_, node) | Event::Left(_, node) => {
                self.count();
                self.say(&format!("{}skipped{} {}: {}", colours.dim, colours.reset, who(node), node.step));
            }
        }
    }

    /// Tells one line, above the running steps.
    pub(super) fn say(&self, line: &str) {
        match &self.live {
            // A terminal that is gone changes nothing: the walk goes on.
            Some(live) if live.has_colours => drop(live.lines.println(line)),
            Some(live) => drop(live.lines.println(strip_str(line).to_string())),
            None => talk(&format!("{line}\n")),
        }
    }

    /// Takes what is still drawn away.
    pub(super) fn finish(&self) {
        if let Some(live) = &self.live {
            for (_, line) in lock(&live.running).drain() {
                line.finish_and_clear();
            }
        }
    }

    fn count(&self) -> usize {
        let mut finished = lock(&self.finished);
        *finished += 1;
        *finished
    }

    fn begin(&self, index: usize, node: &Node) {
        let Some(live) = &self.live else { return };
        let mut running = lock(&live.running);
        if running.len() < SHOWN {
            let line = live.lines.add(ProgressBar::new_spinner().with_style(live.style.clone()));
            line.set_message(format!("{}: {}", who(node), node.step));
            line.enable_steady_tick(TICK);
            running.insert(index, line);
        }
    }

    fn update(&self, index: usize, node: &Node, text: &str) {
        let Some(live) = &self.live else { return };
        if let Some(line) = lock(&live.running).get(&index) {
            line.set_message(format!("{}: {}  {}", who(node), node.step, plain(text)));
        }
    }

    fn end(&self, index: usize, line: &str) {
        if let Some(line) = self.live.as_ref().and_then(|live| lock(&live.running).remove(&index)) {
            line.finish_and_clear();
        }
        self.say(line);
    }
}

/// The resource of a step; of many, the first and how many more.
fn who(node: &Node) -> String {
    match &node.resources[..] {
        [] => String::new(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// A lock that a panic elsewhere does not take away: what it guards is only drawn.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
