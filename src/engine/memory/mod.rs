//! An engine in memory, for tests. In: steps, and an operator's hand. Out: what an engine would show,
//! and refusals where one would refuse. Decides nothing, reaches nothing outside the process.
//!
//! It keeps create bodies as JSON and shows them as inspections, so that what is compared has gone
//! through the same [`fields`](crate::fields) as with a real engine. It can be told to fail.

mod container;
mod create;
mod events;
mod image;
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::{EngineError, Observe, Perform, Progress, Scope, Stage};
use crate::observed::{HostFacts, Observed};
use crate::plan::Step;
use crate::resource::platform::Platform;
use crate::resource::reference::{ImageId, ImageReference};
pub use container::Doing;
pub use image::Program;
use world::World;

/// An engine in memory. Ids are counted, so that equal histories give equal worlds.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    world: World,
    listeners: events::Listeners,
    /// How much was told; each takes a second.
    told: i64,
    faults: Faults,
    /// The steps that were asked for, in words, in the order in which they began.
    log: Vec<String>,
    in_flight: usize,
    most_in_flight: usize,
    delay: Option<Duration>,
}

/// What goes wrong, and when. Calls are counted from 0.
#[derive(Debug, Default)]
struct Faults {
    refused: Option<(usize, Moment)>,
    refused_step: Option<String>,
    lost_from: Option<usize>,
    unreadable: bool,
}

/// When a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before anything was done.
    BeforeActing,
    /// After it was done: only the answer was lost.
    AfterActing,
}

impl MemoryEngine {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an image into the registry from which everything is pulled. Containers made from it do
    /// what `program` says; `config` is the `Config` of its inspection.
    pub fn publish(&self, reference: &ImageReference, config: Value, program: Program) -> ImageId {
        self.lock().world.publish(reference, config, program)
    }

    /// Lets pulls bring what the registry has now, whatever is put there later, as a mirror that lags behind does.
    pub fn keep_in_mirror(&self, reference: &ImageReference) {
        self.lock().world.keep_in_mirror(reference);
    }

    /// Does a step as an operator would: no fault strikes it, no log tells of it.
    ///
    /// # Errors
    /// As the engine refuses.
    pub fn by_hand(&self, step: &Step) -> Result<(), EngineError> {
        self.lock().act(step)
    }

    /// Makes and starts a container that is nobody's business: `docker run -d --name NAME ...`.
    ///
    /// # Errors
    /// As the engine refuses.
    pub fn run_foreign(&self, name: &str, body: Value) -> Result<(), EngineError> {
        let mut inner = self.lock();
        inner.world.act(&Step::CreateContainer { name: name.to_owned(), body, platform: None })?;
        inner.world.act(&Step::Start(name.to_owned()))
    }

    /// Changes what is said of the host.
    pub fn on_host(&self, change: impl FnOnce(&mut HostFacts)) {
        change(&mut self.lock().world.host);
    }

    /// Turns the clock back, to before everything that was started; nine times at most.
    pub fn turn_clock_back(&self) {
        self.lock().world.turn_back();
    }

    /// Says what the host runs.
    pub fn runs(&self, platform: Platform) {
        self.lock().world.platform = Some(platform);
    }

    /// `docker rmi REFERENCE`.
    ///
    /// # Errors
    /// If a container uses the image, and has no other reference to it.
    pub fn untag(&self, reference: &ImageReference) -> Result<(), EngineError> {
        self.lock().world.untag(reference)
    }

    /// `docker rm -f NAME`: volumes stay.
    ///
    /// # Errors
    /// If there is no such container.
    pub fn remove_forced(&self, name: &str) -> Result<(), EngineError> {
        self.lock().world.remove_forced(name)
    }

    /// `docker commit NAME REFERENCE`: the image has the container's config, labels and all.
    ///
    /// # Errors
    /// If there is no such container.
    pub fn commit(&self, name: &str, reference: &ImageReference) -> Result<(), EngineError> {
        self.lock().world.commit(name, reference)
    }

    /// Sets what a container is doing: its program ended, somebody paused it, it fell ill.
    ///
    /// # Errors
    /// If there is no such container.
    pub fn set(&self, name: &str, doing: Doing) -> Result<(), EngineError> {
        self.lock().world.set(name, doing)
    }

    /// Lets the call with this number fail.
    pub fn refuse_call(&self, number: usize, moment: Moment) {
        let mut inner = self.lock();
        let number = inner.log.len() + number;
        inner.faults.refused = Some((number, moment));
    }

    /// Lets every step fail that reads like `step`: `start web`.
    pub fn refuse_step(&self, step: &str) {
        self.lock().faults.refused_step = Some(step.to_owned());
    }

    /// Lets the engine vanish with the call of this number, counted from now.
    pub fn lose_from_call(&self, number: usize) {
        let mut inner = self.lock();
        inner.faults.lost_from = Some(inner.log.len() + number);
    }

    /// Lets observations fail.
    pub fn make_unreadable(&self) {
        self.lock().faults.unreadable = true;
    }

    /// Takes back everything that was to go wrong.
    pub fn mend(&self) {
        self.lock().faults = Faults::default();
    }

    /// Lets every step take this long, on tokio's clock.
    pub fn slow_down(&self, delay: Duration) {
        self.lock().delay = Some(delay);
    }

    /// The steps that were asked for since the last call, in words.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    /// How many steps were in flight at once, at most.
    pub fn most_in_flight(&self) -> usize {
        self.lock().most_in_flight
    }

    /// Everything that is there, for comparing worlds: containers by name, networks by name, volumes,
    /// images with their references.
    pub fn everything(&self) -> Value {
        self.lock().world.everything()
    }

    /// A container's inspection.
    pub fn inspect(&self, name: &str) -> Option<Value> {
        self.lock().world.inspect(name)
    }

    fn begin(&self, step: &Step) -> Result<(usize, Option<Duration>), EngineError> {
        let mut inner = self.lock();
        let call = inner.log.len();
        inner.log.push(step.to_string());
        inner.in_flight += 1;
        inner.most_in_flight = inner.most_in_flight.max(inner.in_flight);
        match inner.faults.lost_from {
            Some(from) if call >= from => {
                inner.in_flight -= 1;
                Err(lost())
            }
            _ => Ok((call, inner.delay)),
        }
    }

    fn finish(&self, call: usize, step: &Step) -> Result<(), EngineError> {
        let mut inner = self.lock();
        inner.in_flight -= 1;
        let moment = match (&inner.faults.refused, &inner.faults.refused_step) {
            (Some((number, moment)), _) if *number == call => Some(*moment),
            (_, Some(text)) if *text == step.to_string() => Some(Moment::BeforeActing),
            _ => None,
        };
        if moment != Some(Moment::BeforeActing) {
            inner.act(step)?;
        }
        if moment.is_some() { Err(EngineError::refused(format!("{step}: told to fail"))) } else { Ok(()) }
    }
}

fn lost() -> EngineError {
    EngineError::Unreachable { endpoint: "memory".to_owned(), cause: "told to vanish".to_owned() }
}

impl Observe for MemoryEngine {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        let inner = self.lock();
        if inner.faults.lost_from.is_some_and(|from| inner.log.len() >= from) {
            return Err(lost());
        }
        if inner.faults.unreadable {
            return Err(EngineError::Unreadable {
                what: "containers".to_owned(),
                cause: "told to be unreadable".to_owned(),
            });
        }
        inner.world.observe(scope)
    }
}

impl Perform for MemoryEngine {
    async fn perform(&self, step: &Step, progress: &Progress<'_>) -> Result<(), EngineError> {
        let (call, delay) = self.begin(step)?;
        if let Some(delay) = delay {
            progress(Stage::of("halfway"));
            tokio::time::sleep(delay).await;
        }
        self.finish(call, step)
    }
}

#[cfg(test)]
mod tests;
