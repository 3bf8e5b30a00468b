//! Finds the exam server's program. In: where it may be. Out: the layer made from it, or what to do.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use super::report::Advised;
use crate::assembly::{ExamServer, Program};

/// The program's name, beside `invigil`'s own.
const PROGRAM: &str = "invigil-exam";
/// Where packages put it.
const INSTALLED: &str = "/usr/lib/invigil/invigil-exam";
/// How an ELF file begins.
const ELF: &[u8] = b"\x7fELF";

/// Opens the exam server: the given file, else the one beside this program, else the installed one.
pub(super) fn read(given: Option<&Path>) -> Result<ExamServer> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => find()?,
    };
    let opened = File::open(&path).and_then(|program| {
        let mut begin = [0; ELF.len()];
        // A file that is shorter is no program either.
        let read = program.read_at(&mut begin, 0)?;
        Ok((program, begin.get(..read) == Some(ELF)))
    });
    let (program, is_program) =
        opened.with_context(|| format!("while reading the exam server {}", path.display()))?;
    if !is_program {
        return Err(Advised {
            message: format!("{} is not a program for Linux", path.display()),
            hint: "--exam-server takes the invigil-exam that was built with this invigil",
        }
        .into());
    }
    let program = Arc::new(program);
    let given = move || {
        let size = usize::try_from(program.metadata()?.len()).map_err(io::Error::other)?;
        Ok(Program { size, bytes: Box::new(FromStart { file: Arc::clone(&program), at: 0 }) })
    };
    Ok(ExamServer::given_by(format!("the exam server {}", path.display()), given))
}

/// The file that was opened, be there another one under its name by now, whoever else reads it.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(to, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
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
