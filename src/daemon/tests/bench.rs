//! A daemon on a temporary directory, a toy engine and paused time, whose log is caught.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::subscriber::DefaultGuard;

use crate::assembly::ExamServer;
use crate::daemon::board::Board;
use crate::daemon::logging::Lost;
use crate::daemon::notification::Notifications;
use crate::daemon::systemd::Systemd;
use crate::daemon::wake::{Bell, channel};
use crate::daemon::{DEFAULT_INTERVAL, Options, run};
use crate::diff::Budget;
use crate::engine::{EngineError, Observe, Perform, Progress, Scope};
use crate::fields::Told;
use crate::observed::{
    LiveStatus, Managed, Observed, ObservedContainer, ObservedImage, ObservedNetwork, ObservedVolume,
};
use crate::plan::Step;
use crate::reconcile::Setup;
use crate::resource::name::ResourceId;
use crate::status::{Action, Standing};
use crate::suspension::Suspension;

/// An engine of networks and volumes.
#[derive(Debug)]
pub struct Toy {
    state: Mutex<State>,
    begun: Instant,
}

#[derive(Debug, Default)]
pub struct State {
    pub observed: Observed,
    /// Whether nobody answers.
    pub gone: bool,
    /// Steps that are refused, by their words.
    pub refused: BTreeSet<String>,
    /// Networks that vanish as soon as they are made.
    pub vanishing: BTreeSet<String>,
    /// How long a step takes.
    pub step: Duration,
    /// How often somebody looked.
    pub looks: u32,
    /// What was begun, and in which second.
    pub steps: Vec<(u64, String)>,
    /// What was finished.
    pub finished: Vec<String>,
    networks: u32,
}

impl Toy {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn unreachable() -> EngineError {
        EngineError::Unreachable { endpoint: "/toy.sock".to_owned(), cause: "connection refused".to_owned() }
    }
}

impl Observe for Toy {
    async fn observe(&self, _: &Scope) -> Result<Observed, EngineError> {
        let mut state = self.state();
        state.looks += 1;
        if state.gone { Err(Self::unreachable()) } else { Ok(state.observed.clone()) }
    }
}

impl Perform for Toy {
    async fn perform(&self, step: &Step, _: &Progress<'_>) -> Result<(), EngineError> {
        let text = step.to_string();
        let time = {
            let mut state = self.state();
            state.steps.push((self.begun.elapsed().as_secs(), text.clone()));
            state.step
        };
        sleep(time).await;
        let mut state = self.state();
        if state.gone {
            return Err(Self::unreachable());
        }
        if state.refused.contains(&text) {
            return Err(EngineError::refused("the toy refuses"));
        }
        match step {
            Step::CreateNetwork { name, .. } if state.vanishing.contains(name.as_str()) => {}
            Step::CreateNetwork { name, spec, .. } => {
                state.networks += 1;
                let id = format!("{:064}", state.networks).parse().unwrap();
                let network = ObservedNetwork {
                    created: None,
                    id,
                    name: name.to_string(),
                    resource: Some(name.clone()),
                    spec: spec.as_ref().clone(),
                    is_pattern: false,
                };
                state.observed.networks.push(network);
            }
            Step::RemoveNetwork(id) => state.observed.networks.retain(|network| network.id.as_str() != id),
            Step::CreateVolume { name, spec, .. } => {
                let volume =
                    ObservedVolume { name: name.to_string(), created: None, spec: spec.as_ref().clone() };
                state.observed.volumes.push(volume);
            }
            Step::LoadPapers(papers) => state.observed.images.extend(papers.iter().map(|(paper, tags)| {
                let (id, references) = (paper.id().clone(), tags.iter().cloned().collect());
                ObservedImage { id, references, source: None, size: None, config: None }
            })),
            other => panic!("the toy cannot {other}"),
        }
        state.finished.push(text);
        Ok(())
    }
}

/// What the daemon writes.
#[derive(Debug, Clone, Default)]
struct Caught(Arc<Mutex<Vec<u8>>>);

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The daemon and everything around it.
pub struct Bench {
    home: tempfile::TempDir,
    pub engine: Arc<Toy>,
    pub bell: Bell,
    log: Caught,
    told: Arc<Mutex<Vec<String>>>,
    stop: watch::Sender<bool>,
    daemon: Option<JoinHandle<()>>,
    board: Option<Arc<Board>>,
    _logging: DefaultGuard,
}

impl Bench {
    /// Everything, with these files; the daemon is not started.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let log = Caught::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let bench = Self {
            home: tempfile::tempdir().unwrap(),
            engine: Arc::new(Toy { state: Mutex::default(), begun: Instant::now() }),
            bell: channel().0,
            log,
            told: Arc::default(),
            stop: watch::channel(false).0,
            daemon: None,
            board: None,
            _logging: tracing::subscriber::set_default(subscriber),
        };
        std::fs::create_dir(bench.root()).unwrap();
        for (name, text) in files {
            bench.write(name, text);
        }
        bench
    }

    /// The same, with the daemon started.
    pub async fn started(files: &[(&str, &str)]) -> Self {
        let mut bench = Self::with(files);
        bench.start().await;
        bench
    }

    pub async fn start(&mut self) {
        let (bell, wakes) = channel();
        self.bell = bell;
        self.stop.send_replace(false);
        let options = Options {
            path: self.root(),
            setup: Setup {
                owner: "test".parse().unwrap(),
                server: ExamServer::new(b"server"),
                parallelism: 4,
                budget: Budget { share: 100, ..Budget::default() },
                suspension: self.suspension(),
                records: crate::records::Records::of(
                    &self.home.path().join("state"),
                    &"test".parse().unwrap(),
                ),
                registries: crate::registries::Registries::default(),
                socket: None,
                min_free_space: crate::reconcile::MIN_FREE_SPACE,
            },
            interval: DEFAULT_INTERVAL,
            engine: "toy".to_owned(),
            journal: None,
            turns: None,
            listen: Vec::new(),
            git: None,
            webhook: None,
            collector: None,
            notifications: Notifications::default(),
            log: Lost::default(),
            settings: crate::daemon::SettingsCheck::default(),
        };
        let told = Arc::clone(&self.told);
        let systemd = Systemd::new(move |message| told.lock().unwrap().push(message.to_owned()), None);
        let (engine, shutdown) = (Arc::clone(&self.engine), self.stop.subscribe());
        let shown = Arc::new(Board::new(&options.setup.owner, &wakes, None));
        self.board = Some(Arc::clone(&shown));
        let daemon = async move { run(&options, engine.as_ref(), wakes, shutdown, &systemd, &shown).await };
        self.daemon = Some(tokio::spawn(daemon));
        sleep(Duration::from_millis(10)).await;
    }

    /// Whether the host is suspended.
    pub fn suspension(&self) -> Suspension {
        Suspension::of(&self.home.path().join("state"), &"test".parse().unwrap())
    }

    /// How the resources stand: `network/exam Ready`, `network/bad Stalled: why`, with `, next try` where there is one.
    pub fn status(&self) -> Vec<String> {
        let shown = self.board.as_ref().unwrap().shown();
        let status = &shown.status;
        let told = |(id, standing): (&ResourceId, &Standing)| {
            let why =
                if standing.reason.is_empty() { String::new() } else { format!(": {}", standing.reason) };
            let next = if standing.next_try.is_some() { ", next try" } else { "" };
            format!("{id} {}{why}{next}", standing.condition.as_str())
        };
        let trouble = status.trouble.iter().map(|why| format!("trouble: {why}"));
        let outdated = status.outdated.then(|| "outdated".to_owned());
        let errors = status.errors.iter().cloned();
        status.resources.iter().map(told).chain(trouble).chain(errors).chain(outdated).collect()
    }

    /// What was done last, the newest first: `network/bad create failed: why`.
    pub fn actions(&self) -> Vec<String> {
        let shown = self.board.as_ref().unwrap().shown();
        let told = |action: &Action| {
            let why = action.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            format!("{} {} {:?}{why}", action.resource, action.action, action.outcome)
        };
        shown.status.actions.iter().map(told).collect()
    }

    /// What of a resource differs from its manifest.
    pub fn difference(&self, id: &str) -> Vec<String> {
        let shown = self.board.as_ref().unwrap().shown();
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
        let told = |told: &Told| format!("{}: {} -> {}", told.field, side(&told.from), side(&told.to));
        shown.status.resources[&id.parse().unwrap()].difference.iter().map(told).collect()
    }

    /// What the old exam service called a resource.
    pub fn legacy_id(&self, id: &str) -> Option<String> {
        self.board.as_ref().unwrap().shown().status.resources[&id.parse().unwrap()].legacy_image_id.clone()
    }

    pub fn root(&self) -> PathBuf {
        self.home.path().join("manifests")
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.root().join(name), text).unwrap();
    }

    /// Lets files be noticed and the pass be made.
    pub async fn files_changed(&self) {
        self.bell.files_changed();
        sleep(Duration::from_millis(200)).await;
    }

    /// The log since the last call, line by line.
    pub fn log(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.log.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }

    /// What systemd was told since the last call, without `STATUS`.
    pub fn told(&self) -> Vec<String> {
        let mut told = std::mem::take(&mut *self.told.lock().unwrap());
        told.retain(|message| !message.starts_with("STATUS="));
        told.iter().map(|message| message.lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// The steps since the last call, without their times.
    pub fn steps(&self) -> Vec<String> {
        std::mem::take(&mut self.engine.state().steps).into_iter().map(|(_, step)| step).collect()
    }

    /// Asks the daemon to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until it has.
    pub async fn stopped(&mut self) {
        let daemon = self.daemon.take().unwrap();
        timeout(Duration::from_hours(1), daemon).await.unwrap().unwrap();
    }
}

/// A manifest of a network.
pub fn network(name: &str) -> String {
    format!("apiVersion: invigil/v1\nkind: Network\nmetadata: {{name: {name}}}\nspec: {{driver: bridge}}\n")
}

/// A container of ours that the engine is removing.
pub fn removing(name: &str) -> ObservedContainer {
    let managed = Managed {
        resource: name.parse().unwrap(),
        created: None,
        unreadable: false,
        files: [].into(),
        live: [].into(),
        started: None,
        lost: false,
        anonymous_volumes: Vec::new(),
        removes_itself: false,
    };
    ObservedContainer {
        id: "c".repeat(64).parse().unwrap(),
        name: name.to_owned(),
        image: None,
        status: LiveStatus::Removing,
        networks: [].into(),
        ports: Vec::new(),
        managed: Some(Box::new(managed)),
        stranger: None,
        other_owner: None,
        network_of: None,
    }
}
