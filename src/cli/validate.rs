//! `invigil validate`: every error in every manifest. Its lines are data: they go to stdout.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::args::ManifestArgs;
use super::{print, report};
use crate::manifest::Manifests;
use crate::manifest::diagnostic::Diagnostic;
use crate::source::attachment::AttachmentReader;
use crate::source::directory;
use crate::{assembly::ExamServer, desired};

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    manifests: ManifestArgs,
}

pub(super) fn validate(args: &ValidateArgs) -> Result<ExitCode> {
    let given = &args.manifests;
    let snapshot = directory::read(&given.root()?)?;
    report::notice(snapshot.notice().as_deref());
    let manifests = Manifests::parse(&snapshot);
    let attachments = AttachmentReader::default().read(desired::attachments(&manifests));
    // Which program goes into the images changes nothing about what is wrong with manifests.
    let (desired, more) = desired::build(&manifests, &attachments, &ExamServer::new(b""));
    let mut diagnostics: Vec<&Diagnostic> = manifests.diagnostics.iter().chain(&more).collect();
    diagnostics.sort();
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let mut lines: Vec<String> =
        diagnostics.iter().map(|diagnostic| diagnostic.seen_from(given.given()).to_string()).collect();
    lines.push(format!(
        "{}, {}, {}\n",
        counted(desired.len(), "valid manifest"),
        counted(errors, "error"),
        counted(diagnostics.len() - errors, "warning"),
    ));
    print(&lines.join("\n"))?;
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
