//! The one pass: files and an engine in, a plan and its outcomes out. Short on purpose.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::assembly::ExamServer;
use crate::desired::{self, Desired, Removals};
use crate::diff::{Budget, Changes, diff, taken_over};
use crate::engine::{EngineError, Observe, Perform, Scope};
use crate::execute::{Event, Outcomes, execute};
use crate::host;
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Manifests, Origin};
use crate::observed::{HostFacts, Observed, Space};
use crate::plan::Plan;
use crate::records::{Recorded, Records};
use crate::registries::Registries;
use crate::resource::name::{Owner, ResourceId};
use crate::resource::quantity::ByteSize;
use crate::resource::reference::ImageReference;
use crate::source::attachment::{AttachmentReader, Attachments};
use crate::source::{Extent, Revision, Snapshot};
use crate::suspension::Suspension;

/// What stays the same from pass to pass.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Whose resources are kept.
    pub owner: Owner,
    /// The program in problem set images.
    pub server: ExamServer,
    /// How many steps are in flight at most.
    pub parallelism: usize,
    /// How much may be removed in one pass.
    pub budget: Budget,
    /// Whether the host is suspended.
    pub suspension: Suspension,
    /// What was done to containers that their engine does not tell.
    pub records: Records,
    /// What registries have said.
    pub registries: Registries,
    /// The engine's socket on this host; `None` for an engine of which nothing else can be seen.
    pub socket: Option<PathBuf>,
    /// How much is to be free on the engine's disk before an image is brought there.
    pub min_free_space: ByteSize,
}

/// [`Setup::min_free_space`], unless said otherwise. Images do not grow with the disk that they are on, so that no share of
/// it is meant: this is room for most images, and leaves the logs and answers of a running exam theirs.
pub const MIN_FREE_SPACE: ByteSize = ByteSize::from_bytes(1 << 30);

/// What a snapshot asks for.
#[derive(Debug)]
pub struct Wanted {
    /// Which snapshot.
    pub revision: Revision,
    /// The full id of the commit that it is of, where the manifests come from a repository.
    pub commit: Option<String>,
    /// What should be.
    pub desired: Desired,
    /// Everything that is wrong with the manifests and the files they name, in order.
    pub diagnostics: Vec<Diagnostic>,
    /// What is told where there is no manifest at all.
    pub notice: Option<String>,
    /// Where the manifests stand that can be read.
    pub origins: BTreeMap<ResourceId, Origin>,
    /// What the files said that the manifests name.
    attachments: Attachments,
}

/// Why nothing is removed where one file was named.
const ONE_FILE: &str =
    "one file was named, and others may describe it; name the directory to remove what none does";

impl Wanted {
    /// Reads a snapshot, and the files that its manifests name.
    pub fn read(snapshot: &Snapshot, reader: &mut AttachmentReader, server: &ExamServer) -> Self {
        let mut manifests = Manifests::parse(snapshot);
        let attachments = reader.read(desired::attachments(&manifests));
        let (desired, more) = desired::build(&manifests, &attachments, server);
        let mut diagnostics = std::mem::take(&mut manifests.diagnostics);
        diagnostics.extend(more);
        diagnostics.sort();
        let (revision, notice) = (snapshot.revision().clone(), snapshot.notice());
        let commit = snapshot.checkout().map(|checkout| checkout.commit.clone());
        let origins =
            manifests.resources.into_iter().map(|manifest| (manifest.id, manifest.origin)).collect();
        let mut wanted = Self { revision, commit, desired, diagnostics, notice, origins, attachments };
        if snapshot.extent() == Extent::OneFile {
            wanted.withhold_removals(ONE_FILE);
        }
        wanted
    }

    /// Whether reading `snapshot`, and the files that its manifests name, would say the same again.
    pub fn is_current(&self, snapshot: &Snapshot, reader: &mut AttachmentReader) -> bool {
        self.revision == *snapshot.revision()
            && reader.read(self.attachments.keys().cloned()) == self.attachments
    }

    /// What tells it from everything else that could be asked for: the manifests' revision, with what the files say that
    /// they name.
    pub fn identity(&self) -> Revision {
        self.revision.with(&self.attachments)
    }

    /// Withholds removals, unless they are withheld already.
    pub fn withhold_removals(&mut self, why: &str) {
        if self.desired.removals == Removals::Allowed {
            self.desired.removals = Removals::Withheld(why.to_owned());
        }
    }

    /// Whether any manifest is wrong.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Looks at the engine and compares. Changes nothing.
///
/// # Errors
/// If anything of ours cannot be read: the pass ends (law 1).
pub async fn compare<E: Observe>(wanted: &Wanted, setup: &Setup, engine: &E) -> Result<Changes, EngineError> {
    let mut observed = observe(wanted, setup, engine, &wanted.desired.at_registries()).await?;
    let changes = diff(&wanted.desired, &observed, &setup.owner, setup.budget);
    // The engine takes longer to say where it keeps images than to list them: it is asked where one is brought.
    if setup.socket.is_none() || !changes.take_room() {
        return Ok(changes);
    }
    observed.host.space = match engine.data_directory().await? {
        Some(directory) => space(directory, setup.min_free_space).await,
        None => None,
    };
    Ok(diff(&wanted.desired, &observed, &setup.owner, setup.budget))
}

/// Looks at the engine and its host, and asks registries for these references, as far as they are due.
async fn observe<E: Observe>(
    wanted: &Wanted,
    setup: &Setup,
    engine: &E,
    at_registries: &BTreeMap<ImageReference, Duration>,
) -> Result<Observed, EngineError> {
    let desired = &wanted.desired;
    let scope = Scope {
        owner: setup.owner.clone(),
        containers: desired.containers.keys().cloned().collect(),
        images: desired.references(),
        assembled: desired.assembled(),
        adopted: taken_over(desired),
        at_registries: setup.registries.due(at_registries, Instant::now()),
    };
    let at_host = async {
        match &setup.socket {
            Some(socket) => host::look(socket, &wanted.desired).await,
            None => HostFacts::default(),
        }
    };
    let engine = Recorded::new(engine, &setup.records);
    let (observed, mut host) = tokio::join!(engine.observe(&scope), at_host);
    let observed = observed?;
    if let Some(socket) = &setup.socket {
        host::look_below(socket, &observed.containers, &mut host).await;
    }
    // Of this host, wherever the engine is: what is taken out of its containers is kept here.
    host.unwritable = host::unwritable(desired, &observed.containers).await;
    let suspension = setup.suspension.clone();
    host.suspended =
        host::reading(move || suspension.read()).await.map_err(|error| EngineError::Unreadable {
            what: format!("whether the host is suspended ({})", setup.suspension.file().display()),
            cause: error.to_string(),
        })?;
    let mut observed = Observed { host, ..observed };
    observed.at_registries =
        setup.registries.heard(std::mem::take(&mut observed.at_registries), at_registries, Instant::now());
    Ok(observed)
}

async fn space(directory: String, needed: ByteSize) -> Option<Space> {
    let free = host::free_space(&directory).await?;
    Some(Space { directory: crate::fields::plain(&directory), free, needed: needed.bytes() })
}

/// Looks at the engine and plans what makes it match. Changes nothing.
///
/// # Errors
/// If anything of ours cannot be read: the pass ends (law 1).
pub async fn plan<E: Observe>(
    wanted: &Wanted,
    held: &BTreeMap<ResourceId, String>,
    setup: &Setup,
    engine: &E,
) -> Result<Plan, EngineError> {
    Ok(Plan::new(compare(wanted, setup, engine).await?, &setup.owner, held))
}

/// The same of nothing but what no manifest describes any more. That needs no registry, and no room.
///
/// # Errors
/// If anything of ours cannot be read: the pass ends (law 1).
pub async fn plan_removals<E: Observe>(
    wanted: &Wanted,
    setup: &Setup,
    engine: &E,
) -> Result<Plan, EngineError> {
    let observed = observe(wanted, setup, engine, &BTreeMap::new()).await?;
    let removals = diff(&wanted.desired, &observed, &setup.owner, setup.budget).only_removals();
    Ok(Plan::new(removals, &setup.owner, &BTreeMap::new()))
}

/// Makes a plan come true, as far as the engine lets it.
pub async fn apply<E: Perform>(
    plan: &Plan,
    setup: &Setup,
    engine: &E,
    stop: &watch::Receiver<bool>,
    report: &(dyn Fn(Event<'_>) + Sync),
) -> Outcomes {
    let outcomes =
        execute(plan, &Recorded::new(engine, &setup.records), setup.parallelism, stop, report).await;
    for reference in plan.nodes.iter().filter_map(|node| node.step.asks_registry()) {
        setup.registries.forget(reference);
    }
    remember(plan, &outcomes, setup).await;
    outcomes
}

/// Remembers what containers do now by their manifests' word. Nothing waits for it: where it cannot be written, every later
/// pass tries again.
pub async fn remember(plan: &Plan, outcomes: &Outcomes, setup: &Setup) {
    let is_so =
        |id: &ResourceId| plan.unchanged.contains(id) || (outcomes.done.contains(id) && plan.tries(id));
    let turned: Vec<_> =
        plan.turned.iter().filter(|(id, _)| is_so(id)).map(|(_, turned)| turned.clone()).collect();
    if !turned.is_empty() {
        let _ = setup.records.turn(turned).await;
    }
}

#[cfg(test)]
mod tests;
