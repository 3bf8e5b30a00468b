//! `invigil get`: what is there, ours and others'.

use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Args, Command};
use futures_util::try_join;
use jiff::Timestamp;
use serde_json::Value;

use super::columns::{self, Seen};
use super::filter::Filter;
use super::names::{choose, documents, list, name_of, text};
use super::output::{ListForm, json, print_or_end, yaml};
use super::table::Table;
use crate::cli::args::{EngineArgs, Whose};
use crate::engine::docker::DockerReader;
use crate::engine::{Look, Question};
use crate::manifest::suggestion::nearest;
use crate::resource::name::Kind;

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// What to show: containers, images, networks or volumes; or one of them, like container/web
    #[arg(value_name = "KIND", value_parser = WhatParser, hide_possible_values = true)]
    what: What,
    /// Which ones, each by its name, its resource's name or the beginning of its id; all unless said
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: ListForm,
    /// Only those that the engine's filter lets through, like label=room=101; may be given several times
    #[arg(short, long = "filter", value_name = "KEY=VALUE", conflicts_with = "names")]
    filters: Vec<Filter>,
    /// Images: also those without a name that others were built from; containers are all shown always
    #[arg(short, long)]
    all: bool,
    /// Containers: also how much they have written, which takes the engine longer
    #[arg(short, long)]
    size: bool,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    engine: EngineArgs,
}

/// What is to be shown.
#[derive(Debug, Clone)]
struct What {
    kind: Kind,
    name: Option<String>,
}

/// Reads a [`What`], and lets shells complete the kinds.
#[derive(Clone)]
struct WhatParser;

impl TypedValueParser for WhatParser {
    type Value = What;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<What, clap::Error> {
        StringValueParser::new().try_map(|text| text.parse::<What>()).parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Kind::ALL.into_iter().map(|kind| PossibleValue::new(format!("{kind}s")))))
    }
}

impl std::str::FromStr for What {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let (word, name) = match given.split_once('/') {
            Some((word, name)) => (word, Some(name.to_owned())),
            None => (given, None),
        };
        let singular = word.strip_suffix('s').unwrap_or(word);
        if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.as_str() == singular) {
            return Ok(Self { kind, name });
        }
        let plurals = Kind::ALL.map(|kind| format!("{kind}s"));
        let near = nearest(word, plurals.iter().map(String::as_str));
        Err(near.map_or_else(
            || "expected containers, images, networks or volumes".to_owned(),
            |near| format!("did you mean `{near}`?"),
        ))
    }
}

pub(super) async fn get(args: &GetArgs) -> Result<ExitCode> {
    let kind = args.what.kind;
    let wanted: Vec<&str> = args.what.name.iter().chain(&args.names).map(String::as_str).collect();
    let engine = args.engine.connect().await?;
    let filters = super::filter::together(&args.filters);
    let question = Question::List { kind, all: args.all, size: args.size, filters };
    let mut listed = documents(engine.look(&question).await?);
    listed.sort_by(|a, b| (name_of(kind, a), text(a, "Id")).cmp(&(name_of(kind, b), text(b, "Id"))));
    if !wanted.is_empty() {
        let chosen = wanted.iter().map(|name| choose(kind, &listed, name, &args.whose.owner).cloned());
        listed = chosen.collect::<Result<_, _>>()?;
    }
    let text = match args.output {
        ListForm::Name => columns::names(kind, &listed),
        ListForm::Json => json(&shown(&engine, args, &wanted, listed).await?),
        ListForm::Yaml => yaml(&shown(&engine, args, &wanted, listed).await?)?,
        ListForm::Table | ListForm::Wide => {
            let (containers, images) = try_join!(list(&engine, Kind::Container), list(&engine, Kind::Image))?;
            let seen = Seen { containers, images, owner: &args.whose.owner, now: Timestamp::now() };
            table(args, kind, listed, &seen)
        }
    };
    print_or_end(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(args: &GetArgs, kind: Kind, listed: Vec<Value>, seen: &Seen<'_>) -> String {
    let is_wide = args.output == ListForm::Wide;
    let columns: Vec<_> = columns::of(kind)
        .iter()
        .filter(|column| match column.shown {
            columns::Shown::Always => true,
            columns::Shown::Wide => is_wide,
            columns::Shown::Measured => args.size,
        })
        .collect();
    let mut table = Table::new(columns.iter().map(|column| column.title));
    for row in columns::rows(kind, listed) {
        table.row(columns.iter().map(|column| (column.cell)(&row, seen, is_wide)));
    }
    table.to_text()
}

/// The engine's own documents: those of its list, or the whole of those that were named.
async fn shown(engine: &DockerReader, args: &GetArgs, wanted: &[&str], listed: Vec<Value>) -> Result<Value> {
    if wanted.is_empty() {
        return Ok(Value::Array(listed));
    }
    let mut whole = Vec::new();
    for document in &listed {
        let name = match args.what.kind {
            Kind::Volume => name_of(Kind::Volume, document),
            _ => text(document, "Id"),
        };
        let question = Question::One { kind: args.what.kind, name: name.to_owned(), size: args.size };
        whole.push(engine.look(&question).await?);
    }
    match <[Value; 1]>::try_from(whole) {
        Ok([one]) => Ok(one),
        Err(several) => Ok(Value::Array(several)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_taken_in_singular_and_plural_and_with_a_name() {
        let kind = |text: &str| text.parse::<What>().map(|what| (what.kind, what.name));
        assert_eq!(kind("containers"), Ok((Kind::Container, None)));
        assert_eq!(kind("image"), Ok((Kind::Image, None)));
        assert_eq!(kind("image/a/b:1"), Ok((Kind::Image, Some("a/b:1".to_owned()))));
        assert_eq!(kind("contaners"), Err("did you mean `containers`?".to_owned()));
        assert_eq!(kind("pods"), Err("expected containers, images, networks or volumes".to_owned()));
    }
}
