//! The one place where errors become text for people: `error:`, `caused by:`, `hint:`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use super::style::PALETTE;
use crate::engine::EngineError;
use crate::fields::plain;
use crate::manifest::diagnostic::Diagnostic;
use crate::source::SourceError;
use crate::turn;

/// An error with advice. The advice is shown as `hint:`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Advised {
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// A name that nothing bears, or more than one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Unknown {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Tells an error and what led to it; gives the exit code for it.
pub(super) fn error(error: &anyhow::Error) -> ExitCode {
    let style = PALETTE;
    let mut text = format!("{}error:{} {}\n", style.danger, style.reset, plain(&error.to_string()));
    for cause in error.chain().skip(1) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}caused by:{} {}", style.dim, style.reset, plain(&cause.to_string()));
    }
    if let Some(hint) = error.chain().find_map(hint) {
        let _ = writeln!(text, "{}hint:{} {hint}", style.add, style.reset);
    }
    talk(&text);
    ExitCode::FAILURE
}

fn hint(error: &(dyn std::error::Error + 'static)) -> Option<Cow<'static, str>> {
    if let Some(unknown) = error.downcast_ref::<Unknown>() {
        return unknown.hint.as_deref().map(plain).map(Cow::from);
    }
    advice(error).map(Cow::from)
}

fn advice(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if let Some(advised) = error.downcast_ref::<Advised>() {
        return Some(advised.hint);
    }
    if let Some(EngineError::Unreachable { .. }) = error.downcast_ref() {
        return Some("is the engine running, and may you use it? DOCKER_HOST says where it is looked for");
    }
    if let Some(turn::Unusable { .. }) = error.downcast_ref() {
        return Some("run it as the user that the daemon runs as: with the unit, root");
    }
    if let Some(SourceError::Missing { .. }) = error.downcast_ref() {
        return Some("give the directory of manifests as PATH, or in INVIGIL_MANIFESTS");
    }
    None
}

/// Tells what is wrong with manifests, one or two lines each.
pub(super) fn diagnostics(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        talk(&format!("{diagnostic}\n"));
    }
}

/// Tells what is no error and may be a slip all the same.
pub(super) fn notice(notice: Option<&str>) {
    if let Some(notice) = notice {
        talk(&format!("{}warning:{} {}\n", PALETTE.change, PALETTE.reset, plain(notice)));
    }
}

/// Writes to stderr. If nobody listens there, there is nobody to tell that either.
pub(super) fn talk(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}
