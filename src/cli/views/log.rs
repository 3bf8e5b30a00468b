//! `invigil log`: the journal. In: what is asked for. Out: its entries, line by line, or whether they hold. Asks neither the
//! daemon nor an engine, and changes nothing.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::moment;
use super::output::{LineForm, json, json_line, print_or_end};
use crate::cli::args::{StateArgs, Whose};
use crate::cli::report;
use crate::fields::plain;
use crate::journal::{Break, Head, Journal, Query, Row, Verified};
use crate::resource::name::{Kind, ResourceId};
use crate::source::git::short;

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Of this resource alone, like container/web; without a kind, of each of that name
    #[arg(long, value_name = "RESOURCE", value_parser = meant)]
    resource: Option<Meant>,
    /// From then on: how long ago (10m), a time with its zone, or seconds since 1970
    #[arg(long, value_name = "WHEN", value_parser = moment::time)]
    since: Option<Timestamp>,
    /// Until then
    #[arg(long, value_name = "WHEN", value_parser = moment::time)]
    until: Option<Timestamp>,
    /// The last so many of them; 0 for all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    lines: usize,
    /// Check that every entry is what was written, and where it was written
    #[arg(long, conflicts_with_all = ["resource", "since", "until", "lines"])]
    verify: bool,
    /// A head that was noted before, which has to be in the chain still
    #[arg(long, value_name = "HEAD", requires = "verify")]
    head: Option<Head>,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: LineForm,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    state: StateArgs,
}

/// Which resources are meant by a word.
#[derive(Debug, Clone)]
struct Meant(Vec<ResourceId>);

fn meant(text: &str) -> Result<Meant, String> {
    let named = |kind| Some(ResourceId::new(kind, text.parse().ok()?));
    match text.parse::<ResourceId>() {
        Ok(one) => Ok(Meant(vec![one])),
        Err(why) => Some(Kind::ALL.into_iter().filter_map(named).collect())
            .filter(|all: &Vec<_>| !all.is_empty())
            .map(Meant)
            .ok_or(why),
    }
}

pub(super) fn log(args: &LogArgs) -> Result<ExitCode> {
    let journal = args.state.journal(&args.whose.owner);
    let file = plain(&journal.file().display().to_string());
    if args.verify {
        return verify(args, &journal).with_context(|| format!("while verifying {file}"));
    }
    let last = Some(args.lines).filter(|lines| *lines > 0);
    let resources = args.resource.clone().map(|Meant(all)| all).unwrap_or_default();
    let query = Query { resources, since: args.since, until: args.until, last };
    let (mut printed, mut is_empty) = (Ok(()), true);
    journal
        .read(&query, |row| {
            is_empty = false;
            printed = print_or_end(&match args.output {
                LineForm::Text => told(&row),
                LineForm::Json => json_line(&form(&row)),
            });
            printed.is_ok()
        })
        .with_context(|| format!("while reading {file}"))?;
    printed?;
    if is_empty {
        // Another owner's, or another directory's, may be meant.
        let why = if journal.file().exists() { "has no such entry" } else { "is not there yet" };
        report::notice(Some(&format!("the journal {file} {why}")));
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(args: &LogArgs, journal: &Journal) -> Result<ExitCode> {
    let Verified { entries, removed, first, last, head, broken } = journal.verify(args.head.as_ref())?;
    print_or_end(&match args.output {
        LineForm::Json => json(&json!({
            "entries": entries, "removed": removed, "first": first, "last": last, "head": head.to_string(),
            "broken": broken.as_ref().map(|Break { seq, says, .. }| json!({"seq": seq, "says": says})),
        })),
        LineForm::Text => {
            let period = first.zip(last).map(|(first, last)| format!(", from {first:.3} to {last:.3}"));
            let before =
                if removed == 0 { String::new() } else { format!(" after {removed} that retention removed") };
            let broken = broken.as_ref().map(|Break { seq, says, .. }| {
                format!("What was done before entry {seq} may stand elsewhere, or nowhere: {}\n", plain(says))
            });
            let (period, broken) = (period.unwrap_or_default(), broken.unwrap_or_default());
            format!("{entries} entries hold{before}{period}.\n{broken}head {head}\n")
        }
    })?;
    // Who noted a head from after it has been told.
    let is_whole = broken.is_none_or(|broken| broken.is_known);
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An entry as a line: `2018-07-06T08:34:00.123Z daemon  container/web replace done in 0.42s (...)`.
pub(super) fn told(row: &Row) -> String {
    match row.entry() {
        Some(entry) => {
            let revision =
                entry.revision.as_ref().map(|revision| format!(" [{}]", short(revision))).unwrap_or_default();
            format!("{:.3} {:<7} {}\n", entry.time, entry.by.as_str(), plain(&format!("{entry}{revision}")))
        }
        None => format!("entry {} is in no form that this version reads\n", row.head.seq),
    }
}

/// An entry as it is kept, with its number and hash.
pub(super) fn form(row: &Row) -> Value {
    let mut form: Map<String, Value> = serde_json::from_str(&row.body).unwrap_or_default();
    form.insert("seq".to_owned(), row.head.seq.into());
    form.insert("hash".to_owned(), row.head.hash().into());
    form.into()
}
