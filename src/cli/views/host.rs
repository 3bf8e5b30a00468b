//! `invigil ping`, `invigil version` and `invigil info`: the engine itself.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::names::{text, texts};
use super::output::{self, DocumentForm, LineForm, print_or_end};
use super::table::pairs;
use crate::cli::args::EngineArgs;
use crate::engine::{Look, Question};
use crate::resource::size::size;

#[derive(Debug, Args)]
pub(crate) struct PingArgs {
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: LineForm,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DocumentArgs {
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: DocumentForm,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) async fn ping(args: &PingArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let asked = Instant::now();
    engine.look(&Question::Ping).await?;
    let milliseconds = asked.elapsed().as_secs_f64() * 1000.0;
    print_or_end(&match args.output {
        LineForm::Text => format!("{} answers, after {milliseconds:.1} ms\n", engine.endpoint()),
        LineForm::Json => {
            output::json_line(&json!({"endpoint": engine.endpoint(), "milliseconds": milliseconds}))
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn version(args: &DocumentArgs) -> Result<ExitCode> {
    let reader = args.engine.reader();
    // Which Invigil this is can be told without an engine.
    let answer = reader.look(&Question::Version).await;
    let engine = answer.as_ref().ok();
    let document = json!({
        "client": {"name": "invigil", "version": env!("CARGO_PKG_VERSION")},
        "endpoint": reader.endpoint(),
        "engine": engine,
    });
    print_or_end(&match args.output {
        DocumentForm::Text => version_text(&document),
        DocumentForm::Json => output::json(&document),
        DocumentForm::Yaml => output::yaml(&document)?,
    })?;
    answer?;
    Ok(ExitCode::SUCCESS)
}

fn version_text(document: &Value) -> String {
    let engine = &document["engine"];
    let mut lines = vec![
        ("Invigil", text(&document["client"], "version").to_owned()),
        ("Endpoint", text(document, "endpoint").to_owned()),
    ];
    if engine.is_object() {
        lines.push(("Engine", text(engine, "Version").to_owned()));
        let (api, oldest) = (text(engine, "ApiVersion"), text(engine, "MinAPIVersion"));
        lines.push(("API", format!("{api} (oldest: {oldest})")));
        lines.push((
            "System",
            format!(
                "{}/{}, kernel {}",
                text(engine, "Os"),
                text(engine, "Arch"),
                text(engine, "KernelVersion")
            ),
        ));
        let parts = engine["Components"].as_array().into_iter().flatten();
        let parts = parts.filter(|part| part["Name"] != "Engine");
        lines.extend(parts.map(|part| (text(part, "Name"), text(part, "Version").to_owned())));
    }
    pairs(&lines)
}

pub(super) async fn info(args: &DocumentArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let answer = engine.look(&Question::Info).await?;
    print_or_end(&match args.output {
        DocumentForm::Text => info_text(&answer),
        DocumentForm::Json => output::json(&answer),
        DocumentForm::Yaml => output::yaml(&answer)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn info_text(info: &Value) -> String {
    let count = |key: &str| info[key].as_u64().unwrap_or_default();
    let plugins = |key: &str| texts(&info["Plugins"], key).collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        ("Name", text(info, "Name").to_owned()),
        ("Engine", text(info, "ServerVersion").to_owned()),
        ("System", text(info, "OperatingSystem").to_owned()),
        ("Kernel", format!("{}, {}", text(info, "KernelVersion"), text(info, "Architecture"))),
        ("CPUs", count("NCPU").to_string()),
        ("Memory", size(count("MemTotal"))),
        (
            "Containers",
            format!(
                "{} ({} running, {} paused, {} stopped)",
                count("Containers"),
                count("ContainersRunning"),
                count("ContainersPaused"),
                count("ContainersStopped")
            ),
        ),
        ("Images", count("Images").to_string()),
        ("Data", format!("{} in {}", text(info, "Driver"), text(info, "DockerRootDir"))),
        ("Logging", text(info, "LoggingDriver").to_owned()),
        ("Cgroups", format!("{}, version {}", text(info, "CgroupDriver"), text(info, "CgroupVersion"))),
        ("Networks", plugins("Network")),
        ("Volumes", plugins("Volume")),
        ("Security", texts(info, "SecurityOptions").collect::<Vec<_>>().join(", ")),
        ("Insecure", texts(&info["RegistryConfig"], "InsecureRegistryCIDRs").collect::<Vec<_>>().join(", ")),
    ];
    lines.extend(texts(info, "Warnings").map(|warning| ("Warning", warning.to_owned())));
    pairs(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_engine_a_version_tells_its_own() {
        let document = json!({"client": {"version": "1.2.3"}, "endpoint": "unix:///x.sock", "engine": null});
        assert_eq!(version_text(&document), "Invigil   1.2.3\nEndpoint  unix:///x.sock\n");
    }
}
