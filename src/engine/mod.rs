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

pub mod docker;
pub mod memory;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use futures_util::Stream;
use serde_json::Value;

pub use crate::convert::export::Listed;
use crate::observed::{EngineId, Observed};
use crate::plan::Step;
use crate::resource::name::{Name, Owner};
use crate::resource::reference::{ImageId, ImageReference};

/// The longest that one call of an engine may be silent: loading an archive of many gigabytes, stopping a
/// container that takes its time (its own stop timeout has no bound). After that it has failed.
pub const PATIENCE_MAX: Duration = Duration::from_hours(1);

/// What an observation is about.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Whose resources are looked at closely.
    pub owner: Owner,
    /// Images that containers are to be made from, whose config is wanted too.
    pub images: BTreeSet<ImageReference>,
    /// Containers that are looked at closely if they bear these names, though nobody's Invigil made them.
    pub adopted: BTreeSet<Name>,
    /// What registries are asked for.
    pub at_registries: BTreeSet<ImageReference>,
}

impl Scope {
    /// Whether a container of this name may be taken over.
    fn adopts(&self, name: &str) -> bool {
        self.adopted.iter().any(|adopted| adopted.as_str() == name)
    }
}

/// The read-only side of an engine.
pub trait Observe: Sync {
    /// Looks at everything a plan may depend on.
    ///
    /// # Errors
    /// If anything of ours cannot be read: it is never taken for absent (law 1).
    fn observe(&self, scope: &Scope) -> impl Future<Output = Result<Observed, EngineError>> + Send;
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
    /// something happened that an observation could show. What happened is not said: events wake,
    /// they never decide.
    ///
    /// Ends, or fails, with the connection; the listener asks again. What merely looks at containers
    /// (`exec`, `top`, health probes that change nothing) is left out: there are hundreds a second.
    fn events(&self) -> impl Stream<Item = Result<(), EngineError>> + Send;
}

/// Hears what a long step is at: `3 of 5 layers, 41 %`.
pub type Progress<'a> = dyn Fn(String) + Send + Sync + 'a;

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
}

impl EngineError {
    /// Whether the engine itself is gone, so that nothing else can work either.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// A refusal in the engine's or our own words.
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self::Refused { sentence: sentence.into() }
    }
}
