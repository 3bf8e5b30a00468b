//! `invigil history` and `invigil search`: what an image was made of, and which images a registry has.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::columns::short;
use super::filter::Filter;
use super::names::{choose, list, text};
use super::output::{ListForm, ago, json, print_or_end, yaml};
use super::table::{Table, shortened};
use crate::cli::args::{EngineArgs, Whose};
use crate::engine::{Look, Question};
use crate::resource::name::Kind;
use crate::resource::printable::printable;
use crate::resource::size::size;

/// How much of a long text stands in a cell.
const TEXT: usize = 60;
/// What the engine calls a layer that has no image of its own here.
const MISSING: &str = "<missing>";

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The image, by reference, id, or the name of its manifest
    #[arg(value_name = "REF")]
    image: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: ListForm,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// What images are called, or described as; HOST/TERM asks another registry than Docker's own
    #[arg(value_name = "TERM")]
    term: String,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// Only those that the engine's filter lets through, like is-official=true or stars=10; may be given several times
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    filters: Vec<Filter>,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: ListForm,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) async fn history(args: &HistoryArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let listed = list(&engine, Kind::Image).await?;
    let image = text(choose(Kind::Image, &listed, &args.image, &args.whose.owner)?, "Id").to_owned();
    let answer = engine.look(&Question::History(image)).await?;
    print_or_end(&match args.output {
        ListForm::Table | ListForm::Wide => {
            history_table(&answer, Timestamp::now(), args.output == ListForm::Wide)
        }
        ListForm::Json => json(&answer),
        ListForm::Yaml => yaml(&answer)?,
        // A layer that was made elsewhere has no image of its own.
        ListForm::Name => names(&answer, "Id", |id| id != MISSING),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn history_table(answer: &Value, now: Timestamp, is_wide: bool) -> String {
    let mut table = Table::new(["ID", "CREATED", "SIZE", "CREATED BY", "COMMENT"]);
    for layer in rows(answer) {
        let id = match text(layer, "Id") {
            MISSING => String::new(),
            id if is_wide => id.to_owned(),
            id => short(id),
        };
        table.row([
            id,
            ago(layer["Created"].as_i64().unwrap_or_default(), now),
            size(layer["Size"].as_u64().unwrap_or_default()),
            cell(text(layer, "CreatedBy"), is_wide),
            text(layer, "Comment").to_owned(),
        ]);
    }
    table.to_text()
}

pub(super) async fn search(args: &SearchArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let filters = super::filter::together(&args.filters);
    let answer =
        engine.look(&Question::Search { term: args.term.clone(), limit: args.limit, filters }).await?;
    print_or_end(&match args.output {
        ListForm::Table | ListForm::Wide => search_table(&answer, args.output == ListForm::Wide),
        ListForm::Json => json(&answer),
        ListForm::Yaml => yaml(&answer)?,
        ListForm::Name => names(&answer, "name", |_| true),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn search_table(answer: &Value, is_wide: bool) -> String {
    let mut table = Table::new(["NAME", "STARS", "OFFICIAL", "DESCRIPTION"]);
    for image in rows(answer) {
        table.row([
            text(image, "name"),
            &image["star_count"].as_u64().unwrap_or_default().to_string(),
            if image["is_official"] == true { "yes" } else { "" },
            &cell(text(image, "description"), is_wide),
        ]);
    }
    table.to_text()
}

fn rows(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.as_array().into_iter().flatten()
}

/// A long text in a cell: all of it where there is room.
fn cell(text: &str, is_wide: bool) -> String {
    if is_wide { text.to_owned() } else { shortened(text, TEXT) }
}

/// What rows are called, one a line.
fn names(answer: &Value, key: &str, shown: impl Fn(&str) -> bool) -> String {
    let names = rows(answer).map(|row| text(row, key)).filter(|name| shown(name));
    names.map(printable).flat_map(|name| [name, "\n".into()]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn layers_are_told_with_what_made_them() {
        let answer = json!([
            {"Id": "sha256:3f2a91c0d7be3f2a91c0d7be3f2a91c0d7be3f2a91c0d7be3f2a91c0d7be3f2a", "Created": 999_999_990,
             "CreatedBy": "/bin/sh -c #(nop)  CMD [\"sh\"]", "Size": 0, "Comment": ""},
            {"Id": "<missing>", "Created": 0, "CreatedBy": "x".repeat(100), "Size": 2_000_000, "Comment": "导入"},
        ]);
        assert_eq!(
            history_table(&answer, Timestamp::from_second(1_000_000_000).expect("a time"), false),
            format!(
                "ID            CREATED         SIZE    CREATED BY                                                    COMMENT\n\
                 3f2a91c0d7be  10 seconds ago  0B      /bin/sh -c #(nop)  CMD [\"sh\"]                                 -\n\
                 -             -               1.9MiB  {}…  导入\n",
                "x".repeat(59)
            )
        );
    }

    #[test]
    fn wide_rows_are_whole_and_names_stand_alone() {
        let id = format!("sha256:{}", "3f2a91c0d7be".repeat(6));
        let by = "x".repeat(100);
        let layers = json!([
            {"Id": id, "Created": 0, "CreatedBy": by, "Size": 0, "Comment": ""},
            {"Id": "<missing>", "Created": 0, "CreatedBy": "sh", "Size": 0, "Comment": ""},
        ]);
        let wide = history_table(&layers, Timestamp::UNIX_EPOCH, true);
        assert!(wide.contains(&id) && wide.contains(&by) && !wide.contains("missing"), "{wide}");
        assert_eq!(names(&layers, "Id", |id| id != MISSING), format!("{id}\n"));
        let found = json!([{"name": "nginx", "star_count": 5, "description": by}, {"name": "a\u{1b}[2J"}]);
        assert!(search_table(&found, true).contains(&by) && !search_table(&found, false).contains(&by));
        assert_eq!(names(&found, "name", |_| true), "nginx\na\\u{1b}[2J\n");
    }
}
