//! The command line: arguments in, text and an exit code out. Renders values of the floors below and
//! computes none of them again.
//!
//! stdout is data, stderr is talk. Exit codes: 0 as asked for, 1 an error, wrong usage among them, 2 changes
//! (`plan --detailed-exitcode`), something left out (`convert`, `export`, `cp`) or not ready (`status`).

mod apply;
mod args;
mod ask;
mod config;
mod convert;
mod exam_server;
mod export;
mod lock;
mod login;
mod man;
mod notify;
mod plan;
mod progress;
mod prune;
mod report;
mod run;
mod saved;
mod schema;
mod settings;
mod style;
mod suspend;
mod validate;
mod views;

use std::io;
use std::process::ExitCode;

use tokio::runtime::Builder;

use args::{Cli, Command};
use settings::{Configuration, InForce};

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    let (cli, configuration, in_force) = match Cli::from_process() {
        Ok(given) => given,
        Err(refused) => return refused.tell(),
    };
    // Two threads carry what a pass at a terminal has in flight. What mostly looks, as a daemon does, costs less with one: handing an
    // answer from thread to thread takes as long as reading it. What blocks has threads of its own.
    let mut runtime = match cli.command {
        Command::Apply(_) | Command::Prune(_) => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    let result = match runtime.worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(dispatch(cli, &configuration, &in_force));
            // Not waited for: a file system or a credential helper that hangs must not keep the process.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(anyhow::Error::new(error).context("while starting")),
    };
    result.unwrap_or_else(|error| report::error(&error))
}

async fn dispatch(cli: Cli, configuration: &Configuration, in_force: &[InForce]) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Validate(args) => validate::validate(&args),
        Command::Plan(args) => plan::plan(&args).await,
        Command::Apply(args) => apply::apply(&args).await,
        Command::Prune(args) => prune::prune(&args).await,
        Command::Run(args) => run::run(&args, configuration, in_force).await,
        Command::Suspend(args) => suspend::suspend(&args).await,
        Command::Resume(args) => suspend::resume(&args),
        Command::Lock(args) => lock::lock(&args).await,
        Command::Login(args) => login::login(&args).await,
        Command::Config(args) => config::config(&args, configuration, in_force),
        Command::Notify(args) => notify::notify(&args).await,
        Command::Schema(args) => schema::schema(&args),
        Command::Convert(args) => convert::convert(&args),
        Command::Export(args) => export::export(&args).await,
        Command::View(view) => views::view(&view).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut args::commands(), "invigil", &mut script);
            print(&String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(args) => man::man(&args),
    }
}

/// Writes text to stdout, for whoever goes on, and ends with the same code, whether or not it is read.
fn print(text: &str) -> io::Result<()> {
    match views::print_or_end(text) {
        Err(error) if views::is_gone(&error) => Ok(()),
        result => result,
    }
}
