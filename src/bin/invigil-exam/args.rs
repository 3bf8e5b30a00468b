//! The command line and the environment -> what to do, where the paper is, where to listen.
//! Reads nothing itself: arguments and variables come in as values.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Printed for `--help`, and after a command line that is not understood.
pub const USAGE: &str = "\
Shows one exam paper over HTTP.

Usage: invigil-exam [serve | health]

  serve    serve the paper (what happens without a word)
  health   ask the server on this host's own port whether it answers; exit code 0: yes, 1: no
           --unhurried: says yes at once to an engine that begins to ask, and after 8 s from then on;
           waits 2 s for a server that does not listen yet

  --help, --version

Environment:
  INVIGIL_EXAM_PAPER    the paper's file; default /exam/paper.json
  INVIGIL_EXAM_LISTEN   the address to listen on; default 0.0.0.0:8080
";

const VERSION: &str = concat!("invigil-exam ", env!("CARGO_PKG_VERSION"));

const PAPER_VARIABLE: &str = "INVIGIL_EXAM_PAPER";
const LISTEN_VARIABLE: &str = "INVIGIL_EXAM_LISTEN";

/// Where Invigil puts the paper in a problem set's image.
const DEFAULT_PAPER: &str = "/exam/paper.json";
const DEFAULT_LISTEN: &str = "0.0.0.0:8080";

/// A command line, understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Args {
    /// Print this and leave.
    Print(&'static str),
    /// Do this.
    Run(Command),
}

/// What the server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Serve the paper until told to stop.
    Serve,
    /// Ask a running server whether it answers.
    Health {
        /// Take the time for it, unless the engine begins to ask.
        unhurried: bool,
    },
}

/// The command line is not one of those in [`USAGE`].
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ArgsError {
    /// No command or option has this name.
    #[error("unknown argument {0:?}")]
    Unknown(OsString),
    /// A known command is followed by something.
    #[error("unexpected argument {0:?}")]
    Unexpected(OsString),
}

impl Args {
    /// Understands the arguments after the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ArgsError> {
        let mut arguments = arguments.into_iter();
        let Some(first) = arguments.next() else {
            return Ok(Self::Run(Command::Serve));
        };
        let parsed = match first.to_str() {
            Some("serve") => Self::Run(Command::Serve),
            Some("health") => Self::Run(Command::Health { unhurried: false }),
            Some("--help" | "-h" | "help") => return Ok(Self::Print(USAGE)),
            Some("--version" | "-V") => return Ok(Self::Print(VERSION)),
            _ => return Err(ArgsError::Unknown(first)),
        };
        match arguments.next() {
            None => Ok(parsed),
            Some(argument) if argument == "--help" || argument == "-h" => Ok(Self::Print(USAGE)),
            Some(argument) if argument == "--unhurried" && first == "health" => match arguments.next() {
                None => Ok(Self::Run(Command::Health { unhurried: true })),
                Some(argument) => Err(ArgsError::Unexpected(argument)),
            },
            Some(argument) => Err(ArgsError::Unexpected(argument)),
        }
    }
}

/// What the environment decides.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// The paper's file.
    pub paper: PathBuf,
    /// Where to listen, and so whom `health` asks.
    pub listen: SocketAddr,
}

/// A variable holds something that is not usable.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{LISTEN_VARIABLE} is {0:?}, not an address with a port such as {DEFAULT_LISTEN}")]
pub struct SettingsError(OsString);

impl Settings {
    /// Takes the settings from variables; an empty variable counts as not set.
    pub fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, SettingsError> {
        let value = |name, default: &str| {
            variable(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.into())
        };
        let listen = value(LISTEN_VARIABLE, DEFAULT_LISTEN);
        Ok(Self {
            paper: value(PAPER_VARIABLE, DEFAULT_PAPER).into(),
            listen: parse_address(&listen).ok_or(SettingsError(listen))?,
        })
    }
}

fn parse_address(value: &OsStr) -> Option<SocketAddr> {
    value.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Args, String> {
        Args::parse(arguments.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn no_argument_means_serve() {
        assert_eq!(parse(&[]), Ok(Args::Run(Command::Serve)));
        assert_eq!(parse(&["serve"]), Ok(Args::Run(Command::Serve)));
        let health = |unhurried| Ok(Args::Run(Command::Health { unhurried }));
        assert_eq!(parse(&["health"]), health(false));
        assert_eq!(parse(&["health", "--unhurried"]), health(true));
    }

    #[test]
    fn help_and_version_are_printed() {
        assert_eq!(parse(&["--help"]), Ok(Args::Print(USAGE)));
        assert_eq!(parse(&["serve", "--help"]), Ok(Args::Print(USAGE)));
        assert_eq!(parse(&["--version"]), Ok(Args::Print(VERSION)));
    }

    #[test]
    fn anything_else_is_named_in_the_error() {
        assert_eq!(parse(&["sreve"]), Err("unknown argument \"sreve\"".into()));
        assert_eq!(parse(&["serve", "8080"]), Err("unexpected argument \"8080\"".into()));
        assert_eq!(parse(&["serve", "--unhurried"]), Err("unexpected argument \"--unhurried\"".into()));
        assert_eq!(parse(&["health", "--unhurried", "a"]), Err("unexpected argument \"a\"".into()));
        assert_eq!(parse(&["\u{1b}[2J"]), Err("unknown argument \"\\u{1b}[2J\"".into()));
    }

    #[test]
    fn unset_and_empty_variables_give_the_defaults() {
        let defaults =
            Settings { paper: "/exam/paper.json".into(), listen: SocketAddr::from(([0, 0, 0, 0], 8080)) };
        assert_eq!(Settings::from_env(|_| None).as_ref(), Ok(&defaults));
        assert_eq!(Settings::from_env(|_| Some(OsString::new())).as_ref(), Ok(&defaults));
    }

    #[test]
    fn an_address_without_a_port_is_refused_with_an_example() {
        let error = Settings::from_env(|name| (name == LISTEN_VARIABLE).then(|| "localhost".into()));
        assert_eq!(
            error.map_err(|error| error.to_string()),
            Err("INVIGIL_EXAM_LISTEN is \"localhost\", not an address with a port such as 0.0.0.0:8080"
                .into())
        );
    }
}
