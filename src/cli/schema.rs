//! `invigil schema`: the manifests' JSON Schemas, the daemon's `OpenAPI` document, the schema of its notifications and the table of fields, printed, written or checked.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::args::commands;
use super::print;
use super::report::Advised;
use super::settings;
use crate::daemon::notification::notice;
use crate::daemon::web::openapi;
use crate::fields;
use crate::manifest::schema;

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Where the schemas are
    #[arg(long, value_name = "DIR", default_value = "schemas")]
    dir: PathBuf,
    /// Write every schema to the directory
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// Say which schemas in the directory are not those of this version; exit with 1 if any
    #[arg(long)]
    check: bool,
}

/// Every file that is made from the code, by name.
fn files() -> Vec<(String, String)> {
    let mut files = schema::files();
    files.push(settings::schema::file(&commands()));
    files.push(("openapi.json".to_owned(), format!("{:#}\n", openapi::document())));
    files.push(notice::schema());
    files.push(("container-fields.md".to_owned(), fields::document()));
    files
}

pub(super) fn schema(args: &SchemaArgs) -> Result<ExitCode> {
    if args.write {
        fs::create_dir_all(&args.dir).with_context(|| format!("while making {}", args.dir.display()))?;
        for (name, text) in files() {
            let path = args.dir.join(name);
            fs::write(&path, text).with_context(|| format!("while writing {}", path.display()))?;
        }
    } else if args.check {
        let stale: Vec<String> = files()
            .into_iter()
            .map(|(name, text)| (args.dir.join(name), text))
            .filter(|(path, text)| fs::read_to_string(path).ok().as_deref() != Some(text))
            .map(|(path, _)| path.display().to_string())
            .collect();
        if !stale.is_empty() {
            return Err(Advised {
                message: format!("not the schemas of this version: {}", stale.join(", ")),
                hint: "`invigil schema --write` writes them anew",
            }
            .into());
        }
    } else {
        print(&format!("{:#}\n", schema::any_kind()))?;
    }
    Ok(ExitCode::SUCCESS)
}
