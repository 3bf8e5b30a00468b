//! `invigil top`, `invigil changes` and `invigil wait`: what runs in a container, what it has written, and how it
//! ended.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::names::{containers, text};
use super::output::{self, LineForm, RowForm, json_line, print_or_end};
use super::table::Table;
use crate::cli::args::{EngineArgs, Whose};
use crate::engine::docker::DockerReader;
use crate::engine::{Found, Look, Question};
use crate::fields::plain;
use crate::resource::name::Owner;

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// The container, by its name, its resource or the beginning of its id
    #[arg(value_name = "NAME")]
    name: String,
    /// What the host's `ps` is told; -ef unless said
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// The form; stands before the name
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: RowForm,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ChangesArgs {
    /// The container, by its name, its resource or the beginning of its id
    #[arg(value_name = "NAME")]
    name: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: RowForm,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The containers, each by its name, its resource or the beginning of its id
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: LineForm,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    engine: EngineArgs,
}

/// The one container that is meant by a name.
async fn container(engine: &DockerReader, name: &str, owner: &Owner) -> Result<Found> {
    let names = [name.to_owned()];
    let found = containers(engine, &names, owner).await?.into_iter().next();
    found.ok_or_else(|| anyhow::anyhow!("there is no container"))
}

pub(super) async fn top(args: &TopArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let container = container(&engine, &args.name, &args.whose.owner).await?;
    let arguments = args.arguments.join(" ");
    let answer = engine.look(&Question::Processes { container, arguments }).await?;
    print_or_end(&match args.output {
        RowForm::Table => processes(&answer),
        RowForm::Json => output::json(&answer),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn processes(answer: &Value) -> String {
    let cells = |row: &Value| -> Vec<String> {
        let cells = row.as_array().into_iter().flatten();
        cells.map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect()
    };
    let titles = cells(&answer["Titles"]);
    let mut table = Table::new(titles.iter().map(String::as_str));
    for process in answer["Processes"].as_array().into_iter().flatten() {
        table.row(cells(process));
    }
    table.to_text()
}

pub(super) async fn changes(args: &ChangesArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let container = container(&engine, &args.name, &args.whose.owner).await?;
    let answer = engine.look(&Question::Changes(container)).await?;
    print_or_end(&match args.output {
        RowForm::Table => changed(&answer),
        RowForm::Json if answer.is_null() => output::json(&json!([])),
        RowForm::Json => output::json(&answer),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Changes as lines, by path: `added /tmp/answers`.
fn changed(answer: &Value) -> String {
    let mut changes: Vec<&Value> = answer.as_array().into_iter().flatten().collect();
    changes.sort_by_key(|change| text(change, "Path").to_owned());
    let line = |change: &Value| {
        let kind = match change["Kind"].as_u64() {
            Some(0) => "changed",
            Some(1) => "added  ",
            Some(2) => "deleted",
            _ => "unknown",
        };
        format!("{kind}  {}\n", plain(text(change, "Path")))
    };
    changes.into_iter().map(line).collect()
}

pub(super) async fn wait(args: &WaitArgs) -> Result<ExitCode> {
    let engine = &args.engine.connect().await?;
    let containers = containers(engine, &args.names, &args.whose.owner).await?;
    let count = containers.len();
    let ends = stream::iter(containers).map(|container| async move {
        let answer = engine.look(&Question::Exit(container.clone())).await?;
        Ok::<_, anyhow::Error>((container, answer["StatusCode"].as_i64().unwrap_or_default()))
    });
    // Asked about at once: one that ends and is removed meanwhile has been heard.
    let mut ends = std::pin::pin!(ends.buffered(count.max(1)));
    while let Some(end) = ends.next().await {
        let (container, code) = end?;
        print_or_end(&match args.output {
            LineForm::Text => format!("{code}\n"),
            LineForm::Json => json_line(&json!({"container": container.name, "exitCode": code})),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_path() {
        let answer = json!([{"Path": "/tmp/答案", "Kind": 1}, {"Path": "/etc", "Kind": 0}, {"Path": "/x\n", "Kind": 2}]);
        assert_eq!(changed(&answer), "changed  /etc\nadded    /tmp/答案\ndeleted  /x\\n\n");
        assert_eq!(changed(&Value::Null), "");
    }

    #[test]
    fn processes_are_told_as_ps_names_their_columns() {
        let answer = json!({"Titles": ["PID", "CMD"], "Processes": [["4711", "sleep 1000"], ["1", "sh"]]});
        assert_eq!(processes(&answer), "PID   CMD\n4711  sleep 1000\n1     sh\n");
    }
}
