//! `invigil convert`: what other programs write becomes manifests on stdout, and what they do not say is
//! listed.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::{print, report};
use crate::convert::{Converted, Form, Refusal, compose, docker, document};
use crate::fields::plain;
use crate::problemset::legacy::{Options, manifest_yaml};
use crate::resource::violation::{Severity, Violation};

#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// The file; `-` is standard input
    file: PathBuf,
    /// What the container is called, where the file does not say it; the project's name of a Compose file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The image of a hostconfig.json, which does not say it
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
    /// The time zone that `createTime` meant
    #[arg(long, value_name = "ZONE", default_value = crate::problemset::legacy::time::DEFAULT_TIME_ZONE)]
    time_zone: String,
    /// The schema that editors are pointed to in the first line
    #[arg(long, value_name = "URL")]
    schema: Option<String>,
}

/// The largest file that is read: far more than any exam.
const FILE_MAX: u64 = 64 << 20;

pub(super) fn convert(args: &ConvertArgs) -> Result<ExitCode> {
    let text = read(&args.file).with_context(|| format!("while reading {}", args.file.display()))?;
    let converted = match Form::of(&text) {
        Form::Legacy => return Ok(legacy(args, &text)?),
        Form::Compose => compose::convert(&text, &compose_given(args)?),
        form => docker::convert(form, &docker::Given { name: args.name.clone(), image: args.image.clone() })
            .map_err(|refusal| vec![refusal]),
    };
    let file = args.file.display().to_string();
    match converted {
        Ok(converted) => written(&converted, Some(&file), args.schema.as_deref()),
        Err(refusals) => {
            for refusal in &refusals {
                refuse(&file, refusal);
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Prints manifests, and tells what they do not say and what is wrong with them. Where they come from no
/// file, it is told of which resource.
pub(super) fn written(converted: &Converted, file: Option<&str>, schema: Option<&str>) -> Result<ExitCode> {
    let text = document::to_text(converted, schema);
    let notes = converted.all_notes();
    for (id, note) in &notes {
        let place = match (file, id) {
            (Some(file), _) => plain(file),
            (None, Some(id)) => id.to_string(),
            (None, None) => String::new(),
        };
        let position = note.position.map(|position| format!(":{position}")).unwrap_or_default();
        report::talk(&format!("{place}{position}: {note}\n"));
    }
    for name in &converted.needed {
        report::talk(&format!("note: container/{name} has to be in the manifests too: it is named here\n"));
    }
    print(&text)?;
    let diagnostics = document::check(&text, "the manifests written", &converted.needed);
    report::diagnostics(&diagnostics);
    Ok(if diagnostics.iter().any(crate::manifest::diagnostic::Diagnostic::is_error) {
        ExitCode::FAILURE
    } else if notes.is_empty() && converted.needed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// Tells why something was not written at all.
pub(super) fn refuse(file: &str, refusal: &Refusal) {
    let position = refusal.position.map(|position| format!(":{position}")).unwrap_or_default();
    report::talk(&format!("{}{position}: {}\n", plain(file), plain(&refusal.message)));
    if let Some(hint) = &refusal.hint {
        report::talk(&format!("  hint: {}\n", plain(hint)));
    }
}

/// What a Compose file is read with: the caller's environment over the `.env` beside it, as Compose does.
fn compose_given(args: &ConvertArgs) -> Result<compose::Given> {
    let directory = if args.file.as_os_str() == "-" { None } else { args.file.parent() };
    let directory =
        std::path::absolute(directory.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    match std::fs::read_to_string(directory.join(".env")) {
        Ok(text) => variables.extend(compose::env_file(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("while reading {}", directory.join(".env").display()));
        }
    }
    variables.extend(
        std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))),
    );
    let directory = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(compose::Given { project: args.name.clone(), directory, variables })
}

/// A body of the old exam service.
fn legacy(args: &ConvertArgs, body: &str) -> io::Result<ExitCode> {
    let options = Options { time_zone: args.time_zone.clone(), ..Options::default() };
    match manifest_yaml(body, &options) {
        Ok((manifest, warnings)) => {
            tell(&args.file, &warnings);
            let hint =
                args.schema.iter().map(|url| format!("# yaml-language-server: $schema={}\n", plain(url)));
            print(&hint.chain([manifest]).collect::<String>())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(violations) => {
            tell(&args.file, &violations);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        io::stdin().lock().take(FILE_MAX).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(file)?.take(FILE_MAX).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn tell(file: &Path, violations: &[Violation]) {
    let file = plain(&file.to_string_lossy());
    for violation in violations {
        let warning = if violation.severity == Severity::Warning { "warning: " } else { "" };
        let path = violation.path.to_string();
        let field = if path.is_empty() { String::new() } else { format!("{}: ", plain(&path)) };
        report::talk(&format!("{file}: {warning}{field}{}\n", plain(&violation.message)));
        if let Some(hint) = &violation.hint {
            report::talk(&format!("  hint: {}\n", plain(hint)));
        }
    }
}
