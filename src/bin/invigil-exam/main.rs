//! The exam server: one paper, read once, shown to examinees over HTTP. It runs alone in its image,
//! as the first process, on a read-only root.
//!
//! In: the paper's file and two environment variables. Out: the pages, one line on stdout when it
//! listens, one sentence on stderr when it cannot. Never: a key, an answer, a write to disk.

mod args;
mod health;
mod http;
mod language;
mod page;
mod paper;
mod rhythm;
mod serve;
mod style;
mod text;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use args::{Args, Command, Settings};
use http::Site;
use invigil::problemset::paper::Paper;
use paper::PaperFile;
use serve::Limits;
use text::Printable;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a command line that is not understood, as with clap's programs.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let command = match Args::parse(std::env::args_os().skip(1)) {
        Ok(Args::Print(text)) => {
            say(io::stdout(), text);
            return ExitCode::SUCCESS;
        }
        Ok(Args::Run(command)) => command,
        Err(error) => {
            say(io::stderr(), &format!("invigil-exam: {error}\n\n{}", args::USAGE));
            return ExitCode::from(USAGE_ERROR);
        }
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(io::stderr(), &format!("invigil-exam: {}", Printable(&format!("{error:#}"))));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let settings = Settings::from_env(|name| std::env::var_os(name))?;
    match command {
        Command::Health { unhurried: false } => Ok(health::check(settings.listen)?),
        Command::Health { unhurried: true } => Ok(health::check_unhurried(settings.listen, rhythm::REST)?),
        Command::Serve => {
            let PaperFile { paper, json } = paper::read(&settings.paper)?;
            let site = Site::new(&paper, json);
            let about = about(&paper);
            // The pages hold all that is needed of it.
            drop(paper);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve(settings.listen, site, &about))
        }
    }
}

/// `2 items of img-test`.
fn about(paper: &Paper) -> String {
    let count = paper.items.len();
    format!("{count} item{} of {}", if count == 1 { "" } else { "s" }, Printable(&paper.name))
}

async fn serve(listen: SocketAddr, site: Site, about: &str) -> anyhow::Result<()> {
    // Before the port opens: from here on the kernel's default for these signals no longer applies,
    // which for the first process of a container would be to ignore them.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    say(io::stdout(), &format!("invigil-exam: {about} on http://{}", listener.local_addr()?));
    serve::serve(listener, site, Limits::default(), stop).await;
    Ok(())
}

/// Writes one line. A closed pipe is no reason to stop serving, so a failed write is ignored.
fn say(mut to: impl Write, line: &str) {
    let _ = writeln!(to, "{}", line.trim_end());
}
