//! `invigil cp`: a look at files of a container, out of it only. As a tar archive on stdout, or unpacked into a
//! directory of its own.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::Args;
use futures_util::TryStreamExt;
use serde_json::json;
use tokio::sync::mpsc;

use super::names::containers;
use super::output::{LineForm, is_terminal, json_line, print_or_end, print_raw};
use super::unpack::unpack;
use crate::cli::args::{EngineArgs, Whose};
use crate::cli::report::{self, Advised};
use crate::engine::Look;

/// How many of the things that were left out are told one by one.
const TOLD: usize = 20;
/// How many chunks may wait to be written.
const AHEAD: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct CpArgs {
    /// What to copy; a container by its name, its resource or the beginning of its id
    #[arg(value_name = "CONTAINER:PATH")]
    from: From,
    /// A directory that is not there yet; - writes a tar archive to stdout
    #[arg(value_name = "DEST")]
    to: PathBuf,
    /// The form of what is told of a directory that was made
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: LineForm,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    engine: EngineArgs,
}

/// A path of a container.
#[derive(Debug, Clone)]
struct From {
    container: String,
    path: String,
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((container, path)) if !container.is_empty() && path.starts_with('/') => {
                Ok(Self { container: container.to_owned(), path: path.to_owned() })
            }
            _ => Err("expected CONTAINER:/PATH, like web:/var/log".to_owned()),
        }
    }
}

pub(super) async fn cp(args: &CpArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let is_archive = args.to.as_os_str() == "-";
    if is_archive && is_terminal() {
        return Err(Advised {
            message: "an archive is not for a terminal".to_owned(),
            hint: "send it somewhere: `invigil cp web:/answers - > answers.tar`",
        }
        .into());
    }
    if is_archive && args.output == LineForm::Json {
        return Err(Advised {
            message: "stdout cannot have an archive and JSON".to_owned(),
            hint: "name a directory as DEST, or leave `-o json` out",
        }
        .into());
    }
    // A directory that is there may hold links that lead anywhere.
    if !is_archive && args.to.symlink_metadata().is_ok() {
        return Err(Advised {
            message: format!("{} is there already", args.to.display()),
            hint: "name a directory that is not there yet; it is made",
        }
        .into());
    }
    let found = containers(&engine, std::slice::from_ref(&args.from.container), &args.whose.owner).await?;
    let Some(container) = found.first() else { return Ok(ExitCode::FAILURE) };
    let mut chunks = std::pin::pin!(engine.archive(container, &args.from.path));
    // Nothing is made here for what is not there.
    let mut next = chunks.try_next().await?;
    if is_archive {
        while let Some(chunk) = next {
            print_raw(&chunk)?;
            next = chunks.try_next().await?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let to = args.to.clone();
    let (sender, receiver) = mpsc::channel(AHEAD);
    let unpacking = tokio::task::spawn_blocking(move || unpack(&mut Chunks::new(receiver), &to));
    let mut failure = None;
    while let Some(chunk) = next {
        // Whoever unpacks has stopped, and says why.
        if sender.send(Ok(chunk)).await.is_err() {
            break;
        }
        next = match chunks.try_next().await {
            Ok(next) => next,
            Err(error) => {
                // An end would be taken for the archive's.
                let _ = sender.send(Err(io::Error::other("the engine broke off"))).await;
                failure = Some(error);
                None
            }
        };
    }
    drop(sender);
    let unpacked = unpacking.await.context("while unpacking")?;
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    let left_out = unpacked.with_context(|| format!("while unpacking into {}", args.to.display()))?;
    if args.output == LineForm::Json {
        let From { container, path } = &args.from;
        let made = json!({"container": container, "path": path, "to": args.to, "leftOut": left_out});
        print_or_end(&json_line(&made))?;
    }
    for one in left_out.iter().take(TOLD) {
        report::talk(&format!("left out: {one}\n"));
    }
    if left_out.len() > TOLD {
        report::talk(&format!("left out: {} more\n", left_out.len() - TOLD));
    }
    Ok(if left_out.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Chunks that come from elsewhere, to be read.
struct Chunks {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    current: io::Cursor<Vec<u8>>,
}

impl Chunks {
    fn new(receiver: mpsc::Receiver<io::Result<Vec<u8>>>) -> Self {
        Self { receiver, current: io::Cursor::default() }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.receiver.blocking_recv() {
                Some(chunk) => self.current = io::Cursor::new(chunk?),
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_a_path_from_the_containers_root() {
        let from: From = "container/web:/a:b".parse().expect("a path");
        assert_eq!((from.container.as_str(), from.path.as_str()), ("container/web", "/a:b"));
        for wrong in ["web", "web:", "web:a", ":/a", "/a"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
