//! A glance into one container of ours: what it uses now, and what it wrote last. In: an engine that can only be looked at. Out: a
//! value of bounded size, after a bounded time. What a program wrote is text in it: without escape sequences, and without what
//! its container was given as a secret (law 12).

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use anstream::adapter::strip_str;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::engine::hidden::Hidden;
use crate::engine::{EngineError, Filters, Found, Line, Look, Output, Period, Question, Usage};
use crate::resource::env::without_secrets;
use crate::resource::label;
use crate::resource::name::{Kind, Name, Owner};
use crate::resource::printable::printable;

/// How long the engine may take. It measures for a second or two.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How many of the last lines are shown. The engine counts a line of more than 16 KiB as several: what it sends is bounded, too.
const LINES_MAX: usize = 100;
/// How many bytes of them.
const BYTES_MAX: usize = 64 << 10;

/// What is seen in a container at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Glance {
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(super) time: Timestamp,
    /// How much it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_trouble: Option<Trouble>,
    /// What it wrote last: 100 lines and 64 KiB at most.
    pub(super) output: Vec<Written>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_trouble: Option<Trouble>,
}

/// A line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    /// When, by the engine's clock.
    pub(super) time: String,
    /// Whether it was written to stderr.
    pub(super) is_error: bool,
    /// The line, without escape sequences and control characters.
    pub(super) text: String,
}

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String")]
pub(super) enum Trouble {
    /// There is no such container.
    Absent,
    /// It does not run.
    Stopped,
    /// The engine took too long.
    NotInTime,
    /// Too many ask.
    TooMany,
    /// The engine's own words.
    Refused(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there is no container",
            Self::Stopped => "it does not run",
            Self::NotInTime => "the engine has not answered in time",
            Self::TooMany => "too many ask at once",
            Self::Refused(why) => why,
        })
    }
}

impl From<Trouble> for String {
    fn from(trouble: Trouble) -> Self {
        trouble.to_string()
    }
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl Glance {
    /// One in which nothing is seen.
    pub(super) fn dark(trouble: &Trouble) -> Self {
        Self {
            time: Timestamp::now(),
            usage: None,
            usage_trouble: Some(trouble.clone()),
            output: Vec::new(),
            output_trouble: Some(trouble.clone()),
        }
    }

    /// Looks into the container that is `name` for `owner`, until then at most.
    pub(super) async fn take(engine: &impl Look, owner: &Owner, name: &Name, until: Instant) -> Self {
        match in_time(until, find(engine, owner, name)).await {
            Ok(seen) => Self::into(engine, &seen, until).await,
            Err(trouble) => Self::dark(&trouble),
        }
    }

    async fn into(engine: &impl Look, seen: &Seen, until: Instant) -> Self {
        let (usage, output) =
            tokio::join!(in_time(until, usage(engine, seen)), in_time(until, output(engine, seen)));
        let (usage, usage_trouble) = halves(usage);
        let (output, output_trouble) = halves(output);
        let output = output.unwrap_or_default();
        Self { time: Timestamp::now(), usage, usage_trouble, output, output_trouble }
    }
}

fn halves<T>(result: Result<T, Trouble>) -> (Option<T>, Option<Trouble>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(trouble) => (None, Some(trouble)),
    }
}

async fn in_time<T>(until: Instant, answer: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    timeout_at(until, answer).await.unwrap_or(Err(Trouble::NotInTime))
}

/// A container that was found.
struct Seen {
    container: Found,
    is_running: bool,
    hidden: Hidden,
}

/// Finds a resource's container by its labels: a stranger that bears its name is nobody's to look into (law 8). While one is
/// replaced there are two; the one of the right name is meant.
async fn find(engine: &impl Look, owner: &Owner, name: &Name) -> Result<Seen, Trouble> {
    let resource = format!("{}/{name}", Kind::Container);
    let labels = [format!("{}={owner}", label::OWNER), format!("{}={resource}", label::RESOURCE)];
    let filters = Filters::from([("label".to_owned(), BTreeSet::from(labels))]);
    let question = Question::List { kind: Kind::Container, all: true, size: false, filters };
    let listed = engine.look(&question).await?;
    let is_ours = |one: &&Value| {
        let labels = &one["Labels"];
        labels[label::OWNER] == owner.as_str() && labels[label::RESOURCE] == *resource
    };
    let own_name = format!("/{name}");
    let is_named =
        |one: &Value| one["Names"].as_array().is_some_and(|names| names.contains(&own_name.as_str().into()));
    let ours = listed.as_array().into_iter().flatten().filter(is_ours);
    let found = ours.max_by_key(|one| (is_named(one), one["Created"].as_i64())).ok_or(Trouble::Absent)?;
    let id = found["Id"].as_str().unwrap_or_default();
    let container = Found {
        id: id.parse().map_err(|_| Trouble::Refused("a container's id cannot be read".to_owned()))?,
        name: name.to_string(),
    };
    let question = Question::One { kind: Kind::Container, name: id.to_owned(), size: false };
    let one = engine.look(&question).await?;
    Ok(Seen { container, is_running: one["State"]["Running"] == true, hidden: hidden(&one["Config"]) })
}

/// What nobody is to read of what a container was given.
fn hidden(config: &Value) -> Hidden {
    let texts = |list: &'_ Value| -> Vec<String> {
        let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let words = [&config["Entrypoint"], &config["Cmd"], &config["Healthcheck"]["Test"]].map(texts).concat();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let variables = texts(&config["Env"]);
    Hidden::of_container(variables.iter().map(String::as_str), &words)
}

async fn usage(engine: &impl Look, seen: &Seen) -> Result<Usage, Trouble> {
    if !seen.is_running {
        return Err(Trouble::Stopped);
    }
    let answer = engine.look(&Question::Usage(seen.container.clone())).await?;
    Usage::of(&answer).ok_or(Trouble::Stopped)
}

async fn output(engine: &impl Look, seen: &Seen) -> Result<Vec<Written>, Trouble> {
    let wanted = Output {
        stdout: true,
        stderr: true,
        follow: false,
        tail: Some(LINES_MAX as u64),
        period: Period::default(),
    };
    let mut lines = pin!(engine.output(&seen.container, &wanted));
    let mut last = Last::default();
    while let Some(line) = lines.try_next().await? {
        last.push(written(&line, &seen.hidden));
    }
    Ok(last.lines.into())
}

/// The last lines, as many as are kept.
#[derive(Default)]
struct Last {
    lines: VecDeque<Written>,
    bytes: usize,
}

impl Last {
    fn push(&mut self, line: Written) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let first = self.lines.pop_front();
            self.bytes -= first.map_or(0, |line| line.text.len());
        }
    }
}

/// A line as text.
fn written(line: &Line, hidden: &Hidden) -> Written {
    let raw = String::from_utf8_lossy(&line.bytes);
    // Also what an unknown sequence leaves behind.
    let kept = strip_str(&raw).to_string().replace(|c: char| c != '\t' && c.is_control(), "");
    let told = without_secrets(&hidden.without(&kept));
    let shown: Vec<_> = told.split('\t').map(printable).collect();
    Written { time: printable(&line.time).into_owned(), is_error: line.is_error, text: cut(shown.join("\t")) }
}

/// Nobody reads the end of a line that is longer than all the others may be together.
fn cut(mut text: String) -> String {
    const LINE_MAX: usize = BYTES_MAX / 4;
    if text.len() > LINE_MAX {
        text.truncate(text.floor_char_boundary(LINE_MAX));
        text += " …";
    }
    text
}

#[cfg(test)]
mod tests;
