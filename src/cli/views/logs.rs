//! `invigil logs` and `invigil attach`: what containers wrote, and write. On a terminal nothing of it is obeyed
//! (law 13); elsewhere their bytes are passed on as they are.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use futures_util::stream::{BoxStream, select_all};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::moment::moment;
use super::names::containers;
use super::output::{LineForm, is_terminal, json_line, line, print_or_end, print_raw};
use crate::cli::args::{EngineArgs, Whose};
use crate::engine::docker::DockerReader;
use crate::engine::{EngineError, Found, Line, Look, Moment, Output, Period};
use crate::fields::plain;

/// The colours of prefixes, one after the other.
const COLOURS: [&str; 6] =
    ["\u{1b}[36m", "\u{1b}[33m", "\u{1b}[32m", "\u{1b}[35m", "\u{1b}[34m", "\u{1b}[31m"];
const RESET: &str = "\u{1b}[0m";

/// How many lines are taken at once, and how many bytes of them are kept until they are printed.
const AT_ONCE: usize = 1024;
const PAGE: usize = 64 << 10;

/// Which of what is written is wanted; both, unless said.
#[derive(Debug, Args)]
struct Streams {
    /// Only what is written to stdout
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,
    /// Only what is written to stderr
    #[arg(long)]
    stderr: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The containers, each by its name, its resource or the beginning of its id
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Go on with what they write from now on, until they end
    #[arg(short, long)]
    follow: bool,
    /// Only what was written since then: how long ago (10m), a time with its zone, or seconds since 1970
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Moment>,
    /// Only what was written until then
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Moment>,
    /// Say of each line when it was written
    #[arg(short, long)]
    timestamps: bool,
    /// Of each container only so many of the last lines
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<u64>,
    #[command(flatten)]
    streams: Streams,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: LineForm,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The container, by its name, its resource or the beginning of its id
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    streams: Streams,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: LineForm,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) async fn logs(args: &LogsArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let wanted = Output {
        stdout: !args.streams.stderr,
        stderr: !args.streams.stdout,
        follow: args.follow,
        tail: args.tail,
        period: Period { since: args.since.clone(), until: args.until.clone() },
    };
    let shown = Shown {
        json: args.output == LineForm::Json,
        timestamps: args.timestamps,
        is_terminal: is_terminal(),
    };
    let containers = containers(&engine, &args.names, &args.whose.owner).await?;
    show(&engine, &containers, &wanted, &shown).await
}

pub(super) async fn attach(args: &AttachArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let wanted = Output {
        stdout: !args.streams.stderr,
        stderr: !args.streams.stdout,
        follow: true,
        tail: Some(0),
        period: Period::default(),
    };
    let containers = containers(&engine, std::slice::from_ref(&args.name), &args.whose.owner).await?;
    let json = args.output == LineForm::Json;
    show(&engine, &containers, &wanted, &Shown { json, timestamps: false, is_terminal: is_terminal() }).await
}

/// How lines are shown.
struct Shown {
    json: bool,
    timestamps: bool,
    is_terminal: bool,
}

type Lines<'a> = BoxStream<'a, Result<(usize, Line), EngineError>>;

async fn show(
    engine: &DockerReader,
    containers: &[Found],
    wanted: &Output,
    shown: &Shown,
) -> Result<ExitCode> {
    let each = containers.iter().enumerate().map(|(at, container)| {
        let lines: Lines<'_> = engine.output(container, wanted).map_ok(move |line| (at, line)).boxed();
        lines
    });
    let mut page = Page { containers, shown, bytes: Vec::new() };
    let told = if wanted.follow {
        follow(each.collect(), &mut page).await
    } else {
        in_order(each.collect(), |at, line| page.add(at, line)).await
    };
    // Also what came before an error.
    page.print()?;
    told?;
    Ok(ExitCode::SUCCESS)
}

/// Prints lines as they come; those that are there at once, at once.
async fn follow(streams: Vec<Lines<'_>>, page: &mut Page<'_>) -> Result<()> {
    let mut lines = select_all(streams).ready_chunks(AT_ONCE);
    while let Some(lines) = lines.next().await {
        for line in lines {
            let (at, line) = line?;
            page.add(at, &line)?;
        }
        page.print()?;
    }
    Ok(())
}

/// Hears lines of several containers in the order in which they were written. Each container's own are in it.
async fn in_order(
    mut streams: Vec<Lines<'_>>,
    mut hear: impl FnMut(usize, &Line) -> Result<()>,
) -> Result<()> {
    let mut next = Vec::new();
    for lines in &mut streams {
        next.push(lines.try_next().await?);
    }
    loop {
        let waiting =
            next.iter().flatten().min_by(|(a, one), (b, other)| (&one.time, a).cmp(&(&other.time, b)));
        let Some(at) = waiting.map(|(at, _)| *at) else { return Ok(()) };
        let following = streams[at].try_next().await?;
        if let Some((_, line)) = std::mem::replace(&mut next[at], following) {
            hear(at, &line)?;
        }
    }
}

/// Lines that are still to be printed: one call for each of many would take most of the time.
struct Page<'a> {
    containers: &'a [Found],
    shown: &'a Shown,
    bytes: Vec<u8>,
}

impl Page<'_> {
    fn add(&mut self, at: usize, written: &Line) -> Result<()> {
        if self.shown.json {
            let stream = if written.is_error { "stderr" } else { "stdout" };
            let document = json!({
                "container": self.containers[at].name,
                "stream": stream,
                "time": written.time,
                "text": String::from_utf8_lossy(&written.bytes),
            });
            self.bytes.extend_from_slice(json_line(&document).as_bytes());
        } else {
            let mut text = prefix(self.containers, at, self.shown.is_terminal);
            if self.shown.timestamps {
                // Writing to a String cannot fail.
                let _ = write!(text, "{} ", plain(&written.time));
            }
            self.bytes.extend_from_slice(text.as_bytes());
            if self.shown.is_terminal {
                self.bytes.extend_from_slice(line(&written.bytes).as_bytes());
            } else {
                self.bytes.extend_from_slice(&written.bytes);
            }
            self.bytes.push(b'\n');
        }
        if self.bytes.len() > PAGE { self.print() } else { Ok(()) }
    }

    fn print(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        if self.shown.is_terminal {
            print_or_end(&String::from_utf8_lossy(&bytes))?;
        } else {
            print_raw(&bytes)?;
        }
        Ok(())
    }
}

/// What says whose line it is; nothing if there is only one container.
fn prefix(containers: &[Found], at: usize, coloured: bool) -> String {
    if containers.len() < 2 {
        return String::new();
    }
    let width = containers.iter().map(|one| plain(&one.name).width()).max().unwrap_or_default();
    let name = plain(&containers[at].name);
    let room = " ".repeat(width - name.width());
    if coloured {
        format!("{}{name}{room} |{RESET} ", COLOURS[at % COLOURS.len()])
    } else {
        format!("{name}{room} | ")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn found(name: &str) -> Found {
        Found { id: "0".repeat(64).parse().expect("an id"), name: name.to_owned() }
    }

    #[test]
    fn lines_of_several_are_told_by_their_names() {
        let several = [found("web"), found("seat-01")];
        assert_eq!(prefix(&several, 0, false), "web     | ");
        assert_eq!(prefix(&several, 1, true), "\u{1b}[33mseat-01 |\u{1b}[0m ");
        assert_eq!(prefix(&several[..1], 0, true), "");
    }

    #[tokio::test]
    async fn lines_of_several_are_in_the_order_in_which_they_were_written() {
        let lines = |at: usize, times: &'static [&'static str]| -> Lines<'static> {
            let line = move |time: &&str| {
                Ok((at, Line { is_error: false, time: (*time).to_owned(), bytes: Vec::new() }))
            };
            stream::iter(times.iter().map(line).collect::<Vec<_>>()).boxed()
        };
        let mut heard = Vec::new();
        let streams = vec![lines(0, &["1", "4", "5"]), lines(1, &[]), lines(2, &["2", "3", "5", "6"])];
        in_order(streams, |at, line| {
            heard.push(format!("{at}:{}", line.time));
            Ok(())
        })
        .await
        .expect("lines");
        assert_eq!(heard, ["0:1", "2:2", "2:3", "0:4", "0:5", "2:5", "2:6"]);
    }
}
