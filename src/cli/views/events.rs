//! `invigil events`: what happens on the engine, line by line.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde_json::Value;

use super::filter::{Filter, together};
use super::moment::moment;
use super::names::text;
use super::output::{LineForm, json_line, print_or_end};
use crate::cli::args::EngineArgs;
use crate::engine::{Look, Moment, Period};
use crate::fields::plain;

/// What is told of an event beside what it happened to; labels are among its attributes, and are left to JSON.
const TOLD: [&str; 7] = ["image", "exitCode", "signal", "oldName", "container", "destination", "driver"];

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Begin with what happened since then: how long ago (10m), a time with its zone, or seconds since 1970
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Moment>,
    /// End with what happened until then; without it, go on
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Moment>,
    /// Only those that the engine's filter lets through, like container=web; may be given several times
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    filters: Vec<Filter>,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: LineForm,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) async fn events(args: &EventsArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let period = Period { since: args.since.clone(), until: args.until.clone() };
    let filters = together(&args.filters);
    let mut happenings = std::pin::pin!(engine.happenings(&period, &filters));
    while let Some(event) = happenings.try_next().await? {
        print_or_end(&match args.output {
            LineForm::Text => told(&event),
            LineForm::Json => json_line(&event),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An event as a line: `2018-07-06T08:34:00.123Z container web: start (image exam-client:3)`.
pub(super) fn told(event: &Value) -> String {
    let nanoseconds = event["timeNano"].as_i64().unwrap_or_default();
    let time = Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default();
    let attributes = &event["Actor"]["Attributes"];
    let name = match text(attributes, "name") {
        "" => text(&event["Actor"], "ID"),
        name => name,
    };
    let more = TOLD.iter().filter(|key| !text(attributes, key).is_empty());
    let more: Vec<String> = more.map(|key| format!("{key} {}", text(attributes, key))).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    let line = format!("{time:.3} {} {name}: {}{more}", text(event, "Type"), text(event, "Action"));
    format!("{}\n", plain(&line))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let event = json!({
            "Type": "container", "Action": "die", "timeNano": 1_530_866_040_123_456_789_i64,
            "Actor": {"ID": "3f2a", "Attributes": {"name": "web\n", "image": "exam:3", "exitCode": "1", "io.invigil.spec": "{}"}},
        });
        assert_eq!(
            told(&event),
            "2018-07-06T08:34:00.123Z container web\\n: die (image exam:3, exitCode 1)\n"
        );
        let nameless = json!({"Type": "volume", "Action": "mount", "timeNano": 0, "Actor": {"ID": "data"}});
        assert_eq!(told(&nameless), "1970-01-01T00:00:00.000Z volume data: mount\n");
    }
}
