//! What every engine can do. An engine answers and obeys; it never decides.
//!
//! Reading and writing are two traits (law 10): a command that only shows takes an [`Observe`], which
//! has no way to change anything. This compiles,
//!
//! ```
//! use invigil::engine::{Observe, Perform};
//! async fn law_10_changes(engine: &impl Perform, step: &invigil::plan::Step) {
//!     engine.perform(step, &|_| {}).await.unwrap();
//! }
//! ```
//!
//! and this does not:
//!
//! ```compile_fail
//! use invigil::engine::{Observe, Perform};
//! async fn law_10_only_shows(engine: &impl Observe, step: &invigil::plan::Step) {
//!     engine.perform(step, &|_| {}).await.unwrap();
//! }
//! ```
//!
//! nor does this:
//!
//! ```compile_fail
//! use invigil::engine::{Look, Perform};
//! async fn law_10_only_looks(engine: &impl Look, step: &invigil::plan::Step) {
//!     engine.perform(step, &|_| {}).await.unwrap();
//! }
//! ```

pub mod docker;
pub(crate) mod hidden;
pub mod memory;
mod touch;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures_util::Stream;
use serde_json::Value;

pub use self::touch::{Heard, Manner, Touch};
pub use self::usage::Usage;
pub use crate::convert::export::Listed;
use crate::fields::Live;
use crate::observed::{EngineId, Observed};
use crate::plan::Step;
use crate::resource::env::without_passwords;
use crate::resource::name::{Kind, Name, Owner};
use crate::resource::reference::{ImageId, ImageReference};

/// The longest that one call of an engine may be silent: loading an archive of many gigabytes, stopping a
/// container that takes its time (its own stop timeout has no bound). After that it has failed.
pub const PATIENCE_MAX: Duration = Duration::from_hours(1);

/// What an observation is about.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Whose resources are looked at closely.
    pub owner: Owner,
    /// Containers that should be there: they are looked at while the engine is still listing what is.
    pub containers: BTreeSet<Name>,
    /// Images that containers are to be made from, whose config is wanted too.
    pub images: BTreeSet<ImageReference>,
    /// Images whose config is known from their id, so that it need not be asked for.
    pub assembled: BTreeMap<ImageId, Live>,
    /// Containers that are looked at closely if they bear these names, though nobody's Invigil made them, and for which
    /// resources.
    pub adopted: BTreeMap<String, Name>,
    /// What registries are asked for.
    pub at_registries: BTreeSet<ImageReference>,
}

/// The read-only side of an engine.
pub trait Observe: Sync {
    /// Looks at everything a plan may depend on.
    ///
    /// # Errors
    /// If anything of ours cannot be read: it is never taken for absent (law 1).
    fn observe(&self, scope: &Scope) -> impl Future<Output = Result<Observed, EngineError>> + Send;

    /// The directory that the engine keeps everything in, as it calls it on its own host; `None` if it has none.
    ///
    /// # Errors
    /// If it cannot be read.
    fn data_directory(&self) -> impl Future<Output = Result<Option<String>, EngineError>> + Send {
        async { Ok(None) }
    }
}

/// The side of an engine that shows its own documents, for those who write them down. It has no way to
/// change anything either.
pub trait Inspect: Sync {
    /// Everything, as the engine lists it.
    fn listed(&self) -> impl Future<Output = Result<Listed, EngineError>> + Send;

    /// A container's inspection; `None` if the engine says that there is none.
    fn container(&self, id: &EngineId) -> impl Future<Output = Result<Option<Value>, EngineError>> + Send;

    /// An image's inspection.
    fn image(&self, id: &ImageId) -> impl Future<Output = Result<Value, EngineError>> + Send;
}

/// The side of an engine that shows people what is there, in its own words. It has no way to change
/// anything either: what can be asked is a [`Question`].
pub trait Look: Sync {
    /// The answer to a question, whole.
    ///
    /// # Errors
    /// If the engine refuses, which it also does where it has no such thing, or cannot be reached.
    fn look(&self, question: &Question) -> impl Future<Output = Result<Value, EngineError>> + Send;

    /// What happens, or happened, on the engine; ends with the period.
    fn happenings(
        &self,
        period: &Period,
        filters: &Filters,
    ) -> impl Stream<Item = Result<Value, EngineError>> + Send;

    /// What a container wrote, line by line; ends with it, or with what there is.
    fn output(
        &self,
        container: &Found,
        wanted: &Output,
    ) -> impl Stream<Item = Result<Line, EngineError>> + Send;

    /// What is at a path of a container, as a tar archive. What it holds is whatever somebody in the
    /// container wanted it to hold.
    fn archive(
        &self,
        container: &Found,
        path: &str,
    ) -> impl Stream<Item = Result<Vec<u8>, EngineError>> + Send;
}

/// A container that was found: its id for the engine, its name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The id.
    pub id: EngineId,
    /// The name, as the engine gave it.
    pub name: String,
}

/// What can be asked of an engine without changing anything on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Is it there?
    Ping,
    /// Which version is it?
    Version,
    /// What does it say of itself?
    Info,
    /// What is there of a kind?
    List {
        /// Which kind.
        kind: Kind,
        /// Images: those that others were made from, too. Containers are all listed always.
        all: bool,
        /// Containers: how much they have written, which takes the engine long.
        size: bool,
        /// The engine's own filters.
        filters: Filters,
    },
    /// What is one of them like?
    One {
        /// Which kind.
        kind: Kind,
        /// Its id or name.
        name: String,
        /// Containers: how much it has written, too.
        size: bool,
    },
    /// What was an image made of?
    History(String),
    /// Which images has a registry?
    Search {
        /// What they are called, or described as.
        term: String,
        /// How many at most.
        limit: u32,
        /// The engine's own filters.
        filters: Filters,
    },
    /// What runs in a container?
    Processes {
        /// The container.
        container: Found,
        /// What `ps` is told.
        arguments: String,
    },
    /// Which files of a container differ from its image's?
    Changes(Found),
    /// How much does a container use? Answered after two measurements, a second apart.
    Usage(Found),
    /// How did a container end? Answered when it has.
    Exit(Found),
}

/// The engine's own filters: values by key; one of the values, and each of the keys.
pub type Filters = BTreeMap<String, BTreeSet<String>>;

/// A time, in seconds since 1970 with decimals, as the engine takes it.
pub type Moment = String;

/// A period; without an end it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Period {
    /// When it begins: now, unless said.
    pub since: Option<Moment>,
    /// When it ends.
    pub until: Option<Moment>,
}

/// Which of a container's output is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// What it writes to stdout.
    pub stdout: bool,
    /// What it writes to stderr.
    pub stderr: bool,
    /// What it will write, too.
    pub follow: bool,
    /// Of what it wrote, this many of the last lines; all of them, unless said.
    pub tail: Option<u64>,
    /// When it was written.
    pub period: Period,
}

/// A line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whether it was written to stderr. A container with a terminal has stdout only.
    pub is_error: bool,
    /// When, by the engine's clock, as it writes it: `2018-07-06T08:34:00.000000000Z`.
    pub time: String,
    /// Its bytes, without the end of the line. They are whatever the container wrote.
    pub bytes: Vec<u8>,
}

/// The side of an engine that changes things.
pub trait Perform: Observe {
    /// Does one step; `progress` hears what it is at. What the step asks for and is already so counts
    /// as done.
    ///
    /// # Errors
    /// If the engine refused, or cannot be reached; then nobody knows whether it was done.
    fn perform(
        &self,
        step: &Step,
        progress: &Progress<'_>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;
}

/// The side of an engine that says when something happens on it.
pub trait Events: Sync {
    /// One item as soon as the engine listens (what happened before was not heard), then one whenever
    /// something happened that an observation could show, or something that bears an Invigil's labels was
    /// touched. Events wake and are told; they never decide.
    ///
    /// Ends, or fails, with the connection; the listener asks again. What merely looks at containers
    /// (`top`, health checks) is left out: there are hundreds a second.
    fn events(&self) -> impl Stream<Item = Result<Heard, EngineError>> + Send;

    /// Whether it takes calls. One that is ending takes none, and stops its containers before it stops telling.
    fn takes_calls(&self) -> impl Future<Output = bool> + Send;
}

/// What a long step is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// What is being done: `step 3/7: RUN make`, `pulling`.
    pub doing: String,
    /// How far that is, where it counts on: `41 %, 1Mi of 4Mi`.
    pub far: Option<String>,
}

impl Stage {
    /// One that does not count.
    pub fn of(doing: impl Into<String>) -> Self {
        Self { doing: doing.into(), far: None }
    }

    /// One that counts.
    pub fn counted(doing: impl Into<String>, far: impl Into<String>) -> Self {
        Self { doing: doing.into(), far: Some(far.into()) }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)?;
        self.far.iter().try_for_each(|far| write!(f, " {far}"))
    }
}

/// Hears what a long step is at.
pub type Progress<'a> = dyn Fn(Stage) + Send + Sync + 'a;

/// Why an engine did not answer or obey.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No engine answers.
    #[error("no engine answers at {endpoint}: {cause}")]
    Unreachable {
        /// Where one was expected.
        endpoint: String,
        /// What happened instead.
        cause: String,
    },
    /// It answered something that cannot be read.
    #[error("{what} cannot be read: {cause}")]
    Unreadable {
        /// What was asked.
        what: String,
        /// Where reading failed.
        cause: String,
    },
    /// It refused.
    #[error("{sentence}")]
    Refused {
        /// A sentence for a person.
        sentence: String,
    },
    /// What was waited for has come to no result, and the wait was broken off. A later plan goes on with it.
    #[error("it has come to no result yet")]
    Undecided,
}

impl EngineError {
    /// Whether the engine itself is gone, so that nothing else can work either.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// A refusal in the engine's or our own words, without the passwords of URLs: an engine repeats an address as it
    /// was given it (law 12).
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self::Refused { sentence: without_passwords(&sentence.into()).into_owned() }
    }
}
