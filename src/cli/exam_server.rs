//! Finds the exam server's program. In: where it may be. Out: the layer made from it, or what to do.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::report::Advised;
use crate::assembly::ExamServer;

/// The program's name, beside `invigil`'s own.
const PROGRAM: &str = "invigil-exam";
/// Where packages put it.
const INSTALLED: &str = "/usr/lib/invigil/invigil-exam";
/// How an ELF file begins.
const ELF: &[u8] = b"\x7fELF";

/// Reads the exam server: the given file, else the one beside this program, else the installed one.
pub(super) fn read(given: Option<&Path>) -> Result<ExamServer> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => find()?,
    };
    let program =
        fs::read(&path).with_context(|| format!("while reading the exam server {}", path.display()))?;
    if !program.starts_with(ELF) {
        return Err(Advised {
            message: format!("{} is not a program for Linux", path.display()),
            hint: "--exam-server takes the invigil-exam that was built with this invigil",
        }
        .into());
    }
    Ok(ExamServer::new(&program))
}

fn find() -> Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(PROGRAM)));
    let candidates = beside.into_iter().chain([PathBuf::from(INSTALLED)]);
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Advised {
            message: format!("the exam server {PROGRAM} is neither beside this program nor at {INSTALLED}"),
            hint: "`cargo build --release` builds both; or say where it is with --exam-server",
        }
        .into()
    })
}
