//! `invigil config`: what every setting is, where that comes from, and what the daemon would refuse of it. Looks at no engine.

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};

use super::run::RunArgs;
use super::settings::{Configuration, InForce, Origin};
use super::views::{DocumentForm, Table, json, yaml};
use super::{print, report};
use crate::daemon::post::HttpUrl;
use crate::resource::env::without_passwords;

/// Where systemd keeps what it gives to units (`LoadCredential=`, systemd.exec(5)).
const CREDENTIALS: &str = "/run/credentials/";
/// The version of the JSON form.
const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: DocumentForm,
    #[command(flatten)]
    run: RunArgs,
}

pub(super) fn config(args: &ConfigArgs, configuration: &Configuration, all: &[InForce]) -> Result<ExitCode> {
    let file = configuration.shown();
    print(&match args.output {
        DocumentForm::Text => text(&file, all),
        DocumentForm::Json => json(&document(&file, configuration.bytes.is_some(), all)),
        DocumentForm::Yaml => yaml(&document(&file, configuration.bytes.is_some(), all))?,
    })?;
    let mut code = ExitCode::SUCCESS;
    for why in args.run.refusals(all) {
        if is_hidden(&why) {
            report::notice(Some(&format!("not looked at, since it is for the daemon alone: {why:#}")));
        } else {
            code = report::error(&why.context("the daemon would not start with these settings"));
        }
    }
    Ok(code)
}

/// Whether something is wrong only for whoever asks: a secret is for the daemon to read, and one that systemd gives it is there
/// as long as it runs.
fn is_hidden(why: &anyhow::Error) -> bool {
    why.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => true,
        io::ErrorKind::NotFound => format!("{why:#}").contains(CREDENTIALS),
        _ => false,
    })
}

/// The values, for people and without passwords.
fn values(one: &InForce) -> Vec<String> {
    let shown = |value: &str| match (one.setting.key.as_str(), value.parse::<HttpUrl>()) {
        // Its path may be known to two only.
        ("notify.webhook.url" | "opentelemetry.endpoint", Ok(url)) => url.to_string(),
        _ => without_passwords(value).into_owned(),
    };
    one.values.iter().map(|value| shown(&value.to_string_lossy())).collect()
}

fn text(file: &str, all: &[InForce]) -> String {
    let mut table = Table::new(["SETTING", "VALUE", "FROM"]);
    for one in all {
        table.row([one.setting.key.clone(), values(one).join(", "), from(file, one)]);
    }
    table.to_text()
}

fn from(file: &str, one: &InForce) -> String {
    match one.from {
        Origin::Flag => one.setting.flag(),
        Origin::Environment => one.setting.variable(),
        Origin::File(position) => format!("{file}:{position}"),
        Origin::Default => "default".to_owned(),
    }
}

fn document(file: &str, is_there: bool, all: &[InForce]) -> Value {
    let one = |one: &InForce| {
        let mut values: Vec<Value> = values(one).into_iter().map(|value| one.setting.json(value)).collect();
        let value = if one.setting.is_list() { values.into() } else { values.pop().unwrap_or_default() };
        let source = match one.from {
            Origin::Flag => "flag",
            Origin::Environment => "environment",
            Origin::File(_) => "file",
            Origin::Default => "default",
        };
        let shown = json!({
            "value": value,
            "source": source,
            "from": from(file, one),
            "flag": one.setting.flag(),
            "variable": one.setting.variable(),
        });
        (one.setting.key.clone(), shown)
    };
    json!({
        "formatVersion": FORMAT_VERSION,
        "file": is_there.then_some(file),
        "settings": all.iter().map(one).collect::<Map<_, _>>(),
    })
}
