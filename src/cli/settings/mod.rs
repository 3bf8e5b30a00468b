//! Settings: what may be said by a flag, by an environment variable and in the configuration file, in this order of
//! precedence. In: the commands' arguments and a file. Out: the same arguments with the file's values as their defaults, and
//! where each value comes from. Never decides what a value means.
//!
//! A setting stands in one place: an argument that has an environment variable is one. Its name in the file is its id, in
//! camel case, where a dot makes a section: `max_removals` is `maxRemovals`, and `git.url` is `url` in `git`.

mod file;
mod form;
pub(super) mod schema;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::OsStr;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Id, value_parser};

use self::file::Values;
use super::report;
use super::report::Advised;
use crate::fields::plain;
use crate::manifest::diagnostic::{Diagnostic, Position};
use crate::resource::printable::printable;

/// Where the configuration is unless somebody says otherwise.
pub(super) const DEFAULT_FILE: &str = "/etc/invigil/config.yaml";
/// The id of the argument that says where it is.
const FILE: &str = "config";
/// The most bytes of it.
const SIZE_MAX: u64 = 1 << 20;

/// One setting.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The name in the file; a dot for each section that it stands in.
    pub(super) key: String,
    /// The flag, the variable, the default, the description and what values there are.
    pub(super) argument: Arg,
}

impl Setting {
    /// The setting that an argument is.
    fn of(argument: &Arg) -> Option<Self> {
        let id = argument.get_id().as_str();
        (argument.get_env().is_some() && id != FILE)
            .then(|| Self { key: camel(id), argument: argument.clone() })
    }

    /// Those that a command takes.
    fn of_command(command: &Command) -> impl Iterator<Item = Self> {
        command.get_arguments().filter_map(Self::of)
    }

    /// The flag, as it is written.
    pub(super) fn flag(&self) -> String {
        match self.argument.get_long() {
            Some(long) => format!("--{long}"),
            None => self
                .argument
                .get_value_names()
                .into_iter()
                .flatten()
                .map(clap::builder::Str::as_str)
                .collect(),
        }
    }

    /// The environment variable.
    pub(super) fn variable(&self) -> String {
        self.argument.get_env().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// All that any command takes, in the order in which the commands have them.
    fn all(command: &Command) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        // The daemon takes most: theirs is the order.
        let (daemon, others): (Vec<_>, Vec<_>) =
            command.get_subcommands().partition(|one| one.get_name() == "run");
        for setting in daemon.into_iter().chain(others).flat_map(Self::of_command) {
            if all.iter().all(|known| known.key != setting.key) {
                all.push(setting);
            }
        }
        all
    }
}

fn camel(id: &str) -> String {
    let mut key = String::new();
    let mut is_first = false;
    for c in id.chars() {
        match c {
            '_' => is_first = true,
            _ if is_first => {
                key.extend(c.to_uppercase());
                is_first = false;
            }
            _ => key.push(c),
        }
    }
    key
}

/// The commands, each that takes settings with `--config`, and [`super::config`]'s with every setting.
pub(super) fn with_settings(mut command: Command) -> Command {
    let all = Setting::all(&command);
    let names: Vec<String> = command
        .get_subcommands()
        .filter(|one| one.get_name() == "config" || Setting::of_command(one).next().is_some())
        .map(|one| one.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(&name, |one| {
            let one = match name.as_str() {
                "config" => {
                    let own: Vec<Id> =
                        one.get_arguments().map(|argument| argument.get_id().clone()).collect();
                    let others = all.iter().map(|setting| &setting.argument);
                    one.args(others.filter(|argument| !own.contains(argument.get_id())))
                }
                _ => one,
            };
            one.arg(file_argument())
        });
    }
    command
}

fn file_argument() -> Arg {
    Arg::new(FILE)
        .long("config")
        .value_name("FILE")
        .env("INVIGIL_CONFIG")
        .hide_env_values(true)
        .default_value(DEFAULT_FILE)
        .value_parser(value_parser!(PathBuf))
        .help("The configuration: what neither a flag nor a variable says")
}

/// The configuration file as it was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Configuration {
    /// Where it is; `None` for commands that take no settings.
    pub(super) path: Option<PathBuf>,
    /// What it says; `None` if there is none.
    pub(super) bytes: Option<Vec<u8>>,
    /// The values in it.
    values: Values,
}

/// Why a configuration cannot be used.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It cannot be read.
    Unreadable(PathBuf, io::Error),
    /// Everything that is wrong in it.
    Wrong(Vec<Diagnostic>),
}

impl Refusal {
    /// Tells it.
    pub(super) fn tell(&self) -> ExitCode {
        match self {
            Self::Unreadable(path, cause) => report::error(
                &Advised {
                    message: format!("cannot read the configuration {}: {cause}", path.display()),
                    hint: "`--config` or INVIGIL_CONFIG names another; with /dev/null there is none",
                }
                .into(),
            ),
            Self::Wrong(diagnostics) => {
                report::diagnostics(diagnostics);
                ExitCode::FAILURE
            }
        }
    }
}

impl Configuration {
    /// Where it is, for people.
    pub(super) fn shown(&self) -> String {
        self.path.as_deref().map(|path| plain(&path.to_string_lossy())).unwrap_or_default()
    }

    /// Reads the file that is meant by a command's arguments.
    ///
    /// # Errors
    /// What is wrong with it. That the default one is not there is no error.
    pub(super) fn read(command: &Command, matches: &ArgMatches) -> Result<Self, Refusal> {
        let Some((_, chosen)) = matches.subcommand() else { return Ok(Self::default()) };
        let Ok(Some(path)) = chosen.try_get_one::<PathBuf>(FILE) else { return Ok(Self::default()) };
        let is_default = chosen.value_source(FILE) == Some(ValueSource::DefaultValue);
        let bytes = match read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) if is_default && error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Refusal::Unreadable(path.clone(), error)),
        };
        let values = match &bytes {
            Some(bytes) => file::read(bytes, path, &Setting::all(command)).map_err(Refusal::Wrong)?,
            None => Values::default(),
        };
        Ok(Self { path: Some(path.clone()), bytes, values })
    }

    /// What has become of the file, if it is another by now; `command` is the one with all commands.
    pub(super) fn changed(&self, command: &Command) -> Option<String> {
        let path = self.path.as_deref()?;
        let wrong = match read(path) {
            Ok(now) if Some(&now) == self.bytes.as_ref() => return None,
            Ok(now) => match file::read(&now, path, &Setting::all(command)) {
                Ok(_) => None,
                Err(diagnostics) => {
                    Some(diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.bytes.is_none() => return None,
            // Without the default one defaults hold.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path == Path::new(DEFAULT_FILE) => None,
            Err(error) => Some(format!("{} cannot be read: {error}", self.shown())),
        };
        let wrong = wrong.map(|why| printable(&why.replace('\n', " ")).into_owned());
        Some(match wrong {
            Some(why) => {
                format!("the configuration has changed, and invigil would not start anew with it: {why}")
            }
            None => format!(
                "the configuration {} has changed, and takes effect when invigil is started anew; `invigil config` tells \
                 whether it would start",
                self.shown()
            ),
        })
    }

    /// The commands, where the arguments of the chosen one have the file's values where nothing else is said.
    pub(super) fn fill(&self, command: Command, matches: &ArgMatches) -> Command {
        let Some((name, _)) = matches.subcommand() else { return command };
        command.mut_subcommand(name, |chosen| self.filled(chosen))
    }

    /// Who said what the argument with this id is, of a command that takes it.
    pub(super) fn origin(&self, given: &ArgMatches, id: &str) -> Origin {
        match (given.value_source(id), self.values.get(&camel(id))) {
            (Some(ValueSource::CommandLine), _) => Origin::Flag,
            (Some(ValueSource::EnvVariable), _) => Origin::Environment,
            (_, Some(value)) => Origin::File(value.position),
            _ => Origin::Default,
        }
    }

    /// One command, filled so.
    pub(super) fn filled(&self, command: Command) -> Command {
        let keys: BTreeMap<Id, String> =
            Setting::of_command(&command).map(|one| (one.argument.get_id().clone(), one.key)).collect();
        command.mut_args(|argument| match keys.get(argument.get_id()).and_then(|key| self.values.get(key)) {
            Some(value) => {
                let texts = value.texts.iter().map(|text| OsStr::from(text.clone()));
                argument.default_values(texts.collect::<Vec<OsStr>>())
            }
            None => argument,
        })
    }

    /// What is in force of every setting that the chosen command takes.
    pub(super) fn in_force(&self, command: &Command, matches: &ArgMatches) -> Vec<InForce> {
        let Some((name, chosen)) = matches.subcommand() else { return Vec::new() };
        let one = |setting: Setting| {
            let id = setting.argument.get_id().as_str();
            let values: Vec<OsString> =
                chosen.try_get_raw(id).ok().flatten().into_iter().flatten().map(ToOwned::to_owned).collect();
            let from = self.origin(chosen, id);
            InForce { setting, values, from }
        };
        command.find_subcommand(name).into_iter().flat_map(Setting::of_command).map(one).collect()
    }
}

/// What is in force of a setting.
#[derive(Debug)]
pub(super) struct InForce {
    /// Which one.
    pub(super) setting: Setting,
    /// The values; none if it has none.
    pub(super) values: Vec<OsString>,
    /// Who said so.
    pub(super) from: Origin,
}

/// Who said what a setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// An argument.
    Flag,
    /// A variable.
    Environment,
    /// The file, at this place.
    File(Position),
    /// Nobody.
    Default,
}

impl Origin {
    /// Who is heard before whom.
    pub(super) fn loudness(self) -> u8 {
        match self {
            Self::Flag => 3,
            Self::Environment => 2,
            Self::File(_) => 1,
            Self::Default => 0,
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
