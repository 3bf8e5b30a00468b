//! The progress of a walk, on stderr: a live tree on a terminal, plain lines elsewhere. Hears events,
//! never asks.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::report::talk;
use super::style::PALETTE;
use crate::engine::Stage;
use crate::execute::Event;
use crate::fields::plain;
use crate::plan::Node;

/// How often a running step's clock is drawn.
const TICK: Duration = Duration::from_millis(100);
/// Steps that take less are not drawn as they begin.
const SHOWN: usize = 16;
/// How often a plain line tells how far something is that only counts on.
const COUNTED: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    live: Option<Live>,
    total: usize,
    finished: Mutex<usize>,
    stages: Mutex<Stages>,
}

/// The lines of running steps on a terminal.
struct Live {
    lines: MultiProgress,
    running: Mutex<HashMap<usize, Branch>>,
    step: ProgressStyle,
    stage: ProgressStyle,
    has_colours: bool,
}

/// A running step, and below it what it is at.
struct Branch {
    step: ProgressBar,
    stage: Option<ProgressBar>,
}

impl Branch {
    fn clear(self) {
        self.stage.iter().chain([&self.step]).for_each(ProgressBar::finish_and_clear);
    }
}

/// What running steps said in plain lines: how far each stage was, and when that was told.
#[derive(Debug, Default)]
struct Stages(HashMap<(usize, String), (Option<String>, Instant)>);

impl Stages {
    /// Whether what a step says is told: each stage once, and one that only counts on now and then.
    fn is_news(&mut self, index: usize, stage: &Stage, now: Instant) -> bool {
        let key = (index, stage.doing.clone());
        let is_news = self.0.get(&key).is_none_or(|(before, told)| {
            *before != stage.far && now.saturating_duration_since(*told) >= COUNTED
        });
        if is_news {
            self.0.insert(key, (stage.far.clone(), now));
        }
        is_news
    }

    /// A step is over.
    fn forget(&mut self, index: usize) {
        self.0.retain(|(one, _), _| *one != index);
    }
}

impl Progress {
    pub(super) fn new(total: usize) -> Self {
        let live = std::io::stderr().is_terminal().then(|| Live {
            lines: MultiProgress::new(),
            running: Mutex::default(),
            step: style("{spinner} {msg}  {elapsed}"),
            stage: style("    {msg}"),
            has_colours: AutoStream::choice(&std::io::stderr()) != ColorChoice::Never,
        });
        Self { live, total, finished: Mutex::new(0), stages: Mutex::default() }
    }

    pub(super) fn hear(&self, event: &Event<'_>) {
        let colours = PALETTE;
        match event {
            Event::Started(index, node) => self.begin(*index, node),
            Event::Progress(index, node, stage) => self.update(*index, node, stage),
            Event::Done(index, node, _) if !node.instead.is_empty() => {
                self.end(*index, &format!("{}: what was there before is started again", who(node)));
            }
            Event::Done(index, node, took) => {
                let count = self.count();
                let mark = format!("{}[{count}/{}]{}", colours.dim, self.total, colours.reset);
                self.end(
                    *index,
                    &format!("{mark} {}: {} ({:.1}s)", who(node), node.step, took.as_secs_f64()),
                );
            }
            Event::Failed(index, node, error) => {
                if node.instead.is_empty() {
                    self.count();
                }
                let failed = format!("{}failed{}", colours.danger, colours.reset);
                self.end(*index, &format!("{failed} {}: {}", who(node), plain(&error.to_string())));
            }
            Event::Rescued(_, node, Ok(away)) => {
                let away = away.map(|away| format!(", after {:.1}s", away.as_secs_f64())).unwrap_or_default();
                let concerned: Vec<String> = node.concerns().map(ToString::to_string).collect();
                self.say(&format!("{}: what was there before is back{away}", concerned.join(", ")));
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
            lock(&live.running).drain().for_each(|(_, branch)| branch.clear());
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
            let step = live.lines.add(ProgressBar::new_spinner().with_style(live.step.clone()));
            step.set_message(format!("{}: {}", who(node), node.step));
            step.enable_steady_tick(TICK);
            running.insert(index, Branch { step, stage: None });
        }
    }

    fn update(&self, index: usize, node: &Node, at: &Stage) {
        let text = at.to_string();
        let Some(live) = &self.live else {
            if lock(&self.stages).is_news(index, at, Instant::now()) {
                self.say(&format!("{}: {}", who(node), plain(&text)));
            }
            return;
        };
        if let Some(Branch { step, stage }) = lock(&live.running).get_mut(&index) {
            let below = || ProgressBar::new_spinner().with_style(live.stage.clone());
            let stage = stage.get_or_insert_with(|| live.lines.insert_after(step, below()));
            stage.set_message(plain(&text));
            stage.tick();
        }
    }

    fn end(&self, index: usize, line: &str) {
        lock(&self.stages).forget(index);
        if let Some(branch) = self.live.as_ref().and_then(|live| lock(&live.running).remove(&index)) {
            branch.clear();
        }
        self.say(line);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_a_terminal_each_stage_is_told_once_and_a_count_now_and_then() {
        let begun = Instant::now();
        let mut stages = Stages::default();
        let mut told = Vec::new();
        let (pulling, unpacking) = ("pulling", "unpacking");
        let step = Stage::of;
        for (second, index, stage) in [
            (0, 1, step("step 1/2: FROM a")),
            (0, 1, Stage::counted(pulling, "1 %")),
            (1, 1, Stage::counted(unpacking, "1 %")),
            (1, 1, Stage::counted(pulling, "20 %")),
            (2, 1, Stage::counted(unpacking, "2 %")),
            (2, 2, Stage::counted(pulling, "20 %")),
            (6, 1, Stage::counted(pulling, "41 %")),
            (12, 1, Stage::counted(pulling, "41 %")),
            (13, 1, step("step 2/2: RUN sleep")),
            (13, 1, step("step 2/2: RUN sleep")),
            (20, 1, step("step 2/2: RUN sleep")),
        ] {
            if stages.is_news(index, &stage, begun + Duration::from_secs(second)) {
                told.push(format!("{index} {stage}"));
            }
        }
        assert_eq!(
            told,
            [
                "1 step 1/2: FROM a",
                "1 pulling 1 %",
                "1 unpacking 1 %",
                "2 pulling 20 %",
                "1 pulling 41 %",
                "1 step 2/2: RUN sleep",
            ]
        );
        stages.forget(1);
        assert!(stages.is_news(1, &Stage::counted(pulling, "41 %"), begun));
        assert!(!stages.is_news(2, &Stage::counted(pulling, "41 %"), begun));
    }
}
