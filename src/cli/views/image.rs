//! `invigil history` and `invigil search`: what an image was made of, and which images a registry has.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::columns::short;
use super::names::{choose, list, text};
use super::output::{RowForm, ago, json, print_or_end, size};
use super::table::{Table, shortened};
use crate::cli::args::Whose;
use crate::engine::docker::DockerReader;
use crate::engine::{Look, Question};
use crate::resource::name::Kind;

/// How much of a long text stands in a cell.
const TEXT: usize = 60;

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The image, by reference, id, or the name of its manifest
    #[arg(value_name = "REF")]
    image: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: RowForm,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// What images are called, or described as; HOST/TERM asks another registry than Docker's own
    #[arg(value_name = "TERM")]
    term: String,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: RowForm,
}

pub(super) async fn history(args: &HistoryArgs) -> Result<ExitCode> {
    let engine = DockerReader::connect().await?;
    let listed = list(&engine, Kind::Image).await?;
    let image = text(choose(Kind::Image, &listed, &args.image, &args.whose.owner)?, "Id").to_owned();
    let answer = engine.look(&Question::History(image)).await?;
    print_or_end(&match args.output {
        RowForm::Table => history_table(&answer, Timestamp::now()),
        RowForm::Json => json(&answer),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn history_table(answer: &Value, now: Timestamp) -> String {
    let mut table = Table::new(["ID", "CREATED", "SIZE", "CREATED BY", "COMMENT"]);
    for layer in answer.as_array().into_iter().flatten() {
        let id = text(layer, "Id");
        table.row([
            // A layer that was made elsewhere has no image of its own.
            if id == "<missing>" { String::new() } else { short(id) },
            ago(layer["Created"].as_i64().unwrap_or_default(), now),
            size(layer["Size"].as_u64().unwrap_or_default()),
            shortened(text(layer, "CreatedBy"), TEXT),
            text(layer, "Comment").to_owned(),
        ]);
    }
    table.to_text()
}

pub(super) async fn search(args: &SearchArgs) -> Result<ExitCode> {
    let engine = DockerReader::connect().await?;
    let answer = engine.look(&Question::Search { term: args.term.clone(), limit: args.limit }).await?;
    print_or_end(&match args.output {
        RowForm::Table => search_table(&answer),
        RowForm::Json => json(&answer),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn search_table(answer: &Value) -> String {
    let mut table = Table::new(["NAME", "STARS", "OFFICIAL", "DESCRIPTION"]);
    for image in answer.as_array().into_iter().flatten() {
        table.row([
            text(image, "name"),
            &image["star_count"].as_u64().unwrap_or_default().to_string(),
            if image["is_official"] == true { "yes" } else { "" },
            &shortened(text(image, "description"), TEXT),
        ]);
    }
    table.to_text()
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
            history_table(&answer, Timestamp::from_second(1_000_000_000).expect("a time")),
            format!(
                "ID            CREATED         SIZE    CREATED BY                                                    COMMENT\n\
                 3f2a91c0d7be  10 seconds ago  0B      /bin/sh -c #(nop)  CMD [\"sh\"]                                 -\n\
                 -             -               1.9MiB  {}…  导入\n",
                "x".repeat(59)
            )
        );
    }
}
