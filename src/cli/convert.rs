//! `invigil convert`: a body of the old exam service becomes a manifest on stdout.

use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::args::ConvertArgs;
use super::{print, report};
use crate::fields::plain;
use crate::problemset::legacy::{Options, manifest_yaml};
use crate::resource::violation::{Severity, Violation};

/// The largest body that is read: far more than any exam.
const BODY_MAX: u64 = 64 << 20;

pub(super) fn convert(args: &ConvertArgs) -> Result<ExitCode> {
    let body = read(&args.file).with_context(|| format!("while reading {}", args.file.display()))?;
    let options = Options { time_zone: args.time_zone.clone(), ..Options::default() };
    match manifest_yaml(&body, &options) {
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
    let mut body = String::new();
    if file.as_os_str() == "-" {
        io::stdin().lock().take(BODY_MAX).read_to_string(&mut body)?;
    } else {
        std::fs::File::open(file)?.take(BODY_MAX).read_to_string(&mut body)?;
    }
    Ok(body)
}

fn tell(file: &Path, violations: &[Violation]) {
    for violation in violations {
        let warning = if violation.severity == Severity::Warning { "warning: " } else { "" };
        let path = violation.path.to_string();
        let field = if path.is_empty() { String::new() } else { format!("{}: ", plain(&path)) };
        report::talk(&format!("{}: {warning}{field}{}\n", file.display(), plain(&violation.message)));
        if let Some(hint) = &violation.hint {
            report::talk(&format!("  hint: {}\n", plain(hint)));
        }
    }
}
