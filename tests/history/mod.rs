//! How an engine came to be as it is: manifests that were applied, and an operator's hand.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use invigil::assembly::ExamServer;
use invigil::diff::{Budget, diff, taken_over};
use invigil::engine::memory::{Doing, MemoryEngine, Program};
use invigil::engine::{EngineError, Observe, Scope};
use invigil::execute::{Outcomes, execute};
use invigil::observed::{HeldPort, Observed, Space};
use invigil::plan::{Palette, Plan, Step};
use invigil::reconcile::Wanted;
use invigil::resource::name::{Owner, ResourceId};
use invigil::resource::port::Protocol;
use invigil::resource::quantity::ByteSize;
use invigil::resource::reference::ImageReference;
use invigil::source::attachment::AttachmentReader;
use invigil::source::directory;
use serde::Deserialize;
use serde_json::{Value, json};

/// What `observed.yaml` says.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Form {
    history: Vec<String>,
    held: BTreeMap<String, String>,
    approved: Option<usize>,
    prune: bool,
}

/// One case, its history lived through.
pub struct Case {
    engine: MemoryEngine,
    wanted: Wanted,
    held: BTreeMap<ResourceId, String>,
    budget: Budget,
    /// Whether only removals are planned.
    prune: bool,
    directory: PathBuf,
}

/// The exam server of the Invigil that plans now.
const NOW: &str = "not a real server";

fn owner() -> Owner {
    "default".parse().expect("an owner")
}

fn read(directory: &Path, server: &str) -> Wanted {
    let snapshot = directory::read(directory).expect("the manifests can be read");
    let server = ExamServer::new(server.as_bytes());
    Wanted::read(&snapshot, &mut AttachmentReader::default(), &server)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn observe(engine: &MemoryEngine, wanted: &Wanted) -> Observed {
    let (images, adopted) = (wanted.desired.references(), taken_over(&wanted.desired));
    let at_registries = wanted.desired.at_registries().into_keys().collect();
    now(engine.observe(&Scope {
        owner: owner(),
        containers: std::collections::BTreeSet::new(),
        images,
        assembled: BTreeMap::new(),
        adopted,
        at_registries,
    }))
    .expect("an observation")
}

fn plan(engine: &MemoryEngine, wanted: &Wanted, held: &BTreeMap<ResourceId, String>, budget: Budget) -> Plan {
    Plan::new(diff(&wanted.desired, &observe(engine, wanted), &owner(), budget), &owner(), held)
}

fn carry_out(engine: &MemoryEngine, plan: &Plan) -> Outcomes {
    let (_stop, watched) = tokio::sync::watch::channel(false);
    now(execute(plan, engine, 1, &watched, &|_| {}))
}

impl Case {
    /// Reads a case's directory, and lives through its history.
    pub fn read(directory: &Path) -> Self {
        let text = fs::read_to_string(directory.join("observed.yaml")).unwrap_or_default();
        let form: Form = if text.is_empty() {
            Form::default()
        } else {
            serde_yaml::from_str(&text).expect("observed.yaml")
        };
        let engine = MemoryEngine::default();
        for line in &form.history {
            happen(&engine, line, directory);
        }
        engine.mend();
        let wanted = read(&directory.join("manifests"), NOW);
        let held = form.held.iter().map(|(id, why)| (id.parse().expect("a resource"), why.clone())).collect();
        let budget = Budget { approved: form.approved, ..Budget::default() };
        Self { engine, wanted, held, budget, prune: form.prune, directory: directory.to_owned() }
    }

    fn plan(&self, observed: &Observed, budget: Budget) -> Plan {
        let changes = diff(&self.wanted.desired, observed, &owner(), budget);
        let changes = if self.prune { changes.only_removals() } else { changes };
        Plan::new(changes, &owner(), &self.held)
    }

    /// The plan, its steps, and what is left to plan once it was carried out.
    pub fn told(&self) -> String {
        let before = observe(&self.engine, &self.wanted);
        let plan = self.plan(&before, self.budget);
        let mut told = plan.to_text(&Palette::default());
        told.push_str("---\n");
        told.push_str(&plan.steps_text());
        for node in &plan.nodes {
            assert!(node.needs.iter().all(|need| plan.steps_text().lines().nth(*need).is_some()));
        }
        let outcomes = carry_out(&self.engine, &plan);
        for (id, why) in &outcomes.failed {
            writeln!(told, "--- failed: {id}: {why}").expect("a String takes it");
        }
        if !outcomes.failed.is_empty() {
            let everything = self.engine.everything();
            for (name, container) in everything["containers"].as_object().expect("containers") {
                let image = container["Config"]["Image"].as_str().expect("an image");
                let status = container["State"]["Status"].as_str().expect("a status");
                writeln!(told, "--- left: {name} {status}, {image}").expect("a String takes it");
            }
        }
        let again = self.plan(&observe(&self.engine, &self.wanted), self.budget);
        if !again.is_empty() {
            told.push_str("--- and then\n");
            told.push_str(&again.to_text(&Palette::default()));
        }
        self.with_names(&before, told)
    }

    /// The text of the plan, and of the one that comes of an engine which lists everything backwards.
    pub fn plans_of_both_orders(&self) -> (String, String) {
        let mut observed = observe(&self.engine, &self.wanted);
        let text = |observed: &Observed| {
            let plan = self.plan(observed, Budget::default());
            format!("{}{}", plan.to_text(&Palette::default()), plan.steps_text())
        };
        let forwards = text(&observed);
        observed.images.reverse();
        observed.networks.reverse();
        observed.volumes.reverse();
        observed.containers.reverse();
        (forwards, text(&observed))
    }

    /// Ids stand for what they name: they differ from one architecture to the next.
    fn with_names(&self, before: &Observed, mut text: String) -> String {
        let after = observe(&self.engine, &self.wanted);
        text = text.replace(&format!("{}/", self.directory.display()), "");
        for (name, image) in &self.wanted.desired.images {
            if let invigil::desired::ImageOrigin::Paper(paper) = &image.source {
                text = text.replace(paper.id().short(), &format!("<{name}>"));
            }
        }
        for image in before.images.iter().chain(&after.images) {
            let name = image.references.first().map(|at| at.to_string().replace(image.id.short(), "before"));
            text = text.replace(image.id.short(), &format!("<{}>", name.unwrap_or_default()));
        }
        for container in &before.containers {
            text = text.replace(container.id.short(), &format!("<{}>", container.name));
        }
        for network in &before.networks {
            text = text.replace(network.id.short(), &format!("<{}>", network.name));
        }
        text
    }
}

fn happen(engine: &MemoryEngine, line: &str, directory: &Path) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match &words[..] {
        ["publish", reference, how @ ..] => {
            engine.publish(&image(reference), config(how), program(how));
        }
        ["mirror", "keeps", reference] => engine.keep_in_mirror(&image(reference)),
        ["apply", manifests] => {
            let outcomes = apply(engine, &directory.join(manifests), NOW);
            assert!(outcomes.is_success(), "{line}: {outcomes:?}");
        }
        ["apply", manifests, "fails"] => {
            let outcomes = apply(engine, &directory.join(manifests), NOW);
            assert!(!outcomes.is_success() && !outcomes.engine_lost, "{line}: {outcomes:?}");
        }
        ["apply", manifests, "with", "another", "server"] => {
            let outcomes = apply(engine, &directory.join(manifests), "another server");
            assert!(outcomes.is_success(), "{line}: {outcomes:?}");
        }
        ["apply", manifests, "calls", calls] => {
            engine.lose_from_call(calls.parse().expect("a number"));
            assert!(
                apply(engine, &directory.join(manifests), NOW).engine_lost,
                "{line}: nothing was interrupted"
            );
            engine.mend();
        }
        ["lose", "the", "mark", "of", name] => {
            let of = format!("io.invigil.owner/default/{name}:");
            let everything = engine.everything();
            let images = everything["images"].as_object().expect("images").values();
            let all = images.flat_map(|references| references.as_array().expect("references"));
            let marks: Vec<&str> =
                all.filter_map(Value::as_str).filter(|reference| reference.starts_with(&of)).collect();
            assert!(!marks.is_empty(), "{line}: there is none");
            for mark in marks {
                engine.untag(&image(mark)).expect("an untagged image");
            }
        }
        ["newer", "Invigil", "made", name, "from", reference] => {
            let labels = json!({
                "io.invigil.owner": "default",
                "io.invigil.resource": format!("container/{name}"),
                "io.invigil.spec": json!({"version": 2, "spec": {}}).to_string(),
            });
            engine
                .run_foreign(name, json!({"Image": reference, "Labels": labels}))
                .unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        ["host", "listens", place] => engine.on_host(|host| {
            let (ip, port) = place.split_once(':').unwrap_or(("0.0.0.0", place));
            let (ip, port) = (ip.parse().expect("an address"), port.parse().expect("a port"));
            host.ports.get_or_insert_default().push(HeldPort { ip, port, protocol: Protocol::Tcp });
        }),
        ["host", "turns", "its", "clock", "back"] => engine.turn_clock_back(),
        ["host", "runs", platform] => engine.runs(platform.parse().expect("a platform")),
        ["host", "suspended", why @ ..] => engine.on_host(|host| host.suspended = Some(why.join(" "))),
        ["host", "lacks", path] => engine.on_host(|host| {
            host.absent_paths.insert((*path).to_owned());
        }),
        ["host", "cannot", "write", "in", path] => engine.on_host(|host| {
            host.unwritable.insert((*path).to_owned());
        }),
        ["host", "has", free, "of", needed, "free"] => engine.on_host(|host| {
            let bytes = |text: &str| text.parse::<ByteSize>().expect("a size").bytes();
            let directory = "/var/lib/docker".to_owned();
            host.space = Some(Space { directory, free: bytes(free), needed: bytes(needed) });
        }),
        ["host", "has", memory] => engine.on_host(|host| {
            host.memory = Some(memory.parse::<ByteSize>().expect("a size").bytes());
        }),
        ["docker", command @ ..] => docker(engine, command).unwrap_or_else(|error| panic!("{line}: {error}")),
        _ => panic!("{line}: this cannot happen"),
    }
}

fn apply(engine: &MemoryEngine, manifests: &Path, server: &str) -> Outcomes {
    let wanted = read(manifests, server);
    assert!(!wanted.has_errors(), "{:?}", wanted.diagnostics);
    let outcomes = carry_out(engine, &plan(engine, &wanted, &BTreeMap::new(), Budget::default()));
    if outcomes.is_success() {
        remember(engine, plan(engine, &wanted, &BTreeMap::new(), Budget::default()));
    }
    outcomes
}

/// As a pass does that has nothing else to do.
fn remember(engine: &MemoryEngine, plan: Plan) {
    for (container, applied) in plan.turned.into_values() {
        let step = Step::Record { container: container.as_str().to_owned(), applied: Box::new(applied) };
        engine.by_hand(&step).expect("remembered");
    }
}

fn image(reference: &str) -> ImageReference {
    reference.parse().expect("a reference")
}

fn program(how: &[&str]) -> Program {
    match how {
        ["sick"] => Program::Sickens,
        ["exits"] => Program::Exits,
        ["completes"] => Program::Completes,
        ["missing"] => Program::Missing,
        _ => Program::Runs,
    }
}

fn config(how: &[&str]) -> Value {
    match how {
        ["unchecked"] => json!({"Cmd": ["serve"], "Healthcheck": {"Test": ["NONE"]}}),
        ["healthy" | "sick"] => json!({"Cmd": ["serve"], "Healthcheck": {"Test": ["CMD", "check"]}}),
        ["volume"] => json!({"Cmd": ["serve"], "Volumes": {"/data": {}}}),
        _ => json!({"Cmd": ["serve"], "Env": ["PATH=/bin"], "User": "www"}),
    }
}

/// The commands of an operator that cases need.
fn docker(engine: &MemoryEngine, command: &[&str]) -> Result<(), EngineError> {
    let text = |word: &&str| (*word).to_owned();
    match command {
        ["pull", reference] => engine.by_hand(&Step::Pull {
            reference: image(reference),
            platform: None,
            digest: None,
            mark: None,
        }),
        ["pull", reference, "by", "digest"] => {
            docker(engine, &["pull", reference])?;
            let everything = engine.everything();
            let has = |references: &Value| references.as_array().expect("some").contains(&json!(reference));
            let mut images = everything["images"].as_object().expect("images").iter();
            let (id, _) = images.find(|(_, references)| has(references)).expect("it is there");
            let tags = vec![image(reference).at_digest(&id.parse().expect("an id"))];
            engine.by_hand(&Step::Tag { image: vec![id.clone()], tags, mark: None })?;
            docker(engine, &["rmi", reference])
        }
        ["tag", from, to] => {
            engine.by_hand(&Step::Tag { image: vec![text(from)], tags: vec![image(to)], mark: None })
        }
        ["rmi", reference] => engine.untag(&image(reference)),
        ["run", "--rm", "--name", name, reference] => {
            engine.run_foreign(name, json!({"Image": reference, "HostConfig": {"AutoRemove": true}}))
        }
        ["run", "--name", name, reference] => engine.run_foreign(name, json!({"Image": reference})),
        ["run", "--name", name, "--network", network, reference] => {
            engine.run_foreign(name, json!({"Image": reference, "HostConfig": {"NetworkMode": network}}))
        }
        ["run", "--name", name, "-p", port, reference] => {
            let binding = json!({"80/tcp": [{"HostIp": "", "HostPort": port}]});
            engine.run_foreign(name, json!({"Image": reference, "HostConfig": {"PortBindings": binding}}))
        }
        ["stop" | "kill", name] => engine.by_hand(&Step::Stop(text(name))),
        ["restart", name] => engine.by_hand(&Step::Restart(text(name))),
        ["start", name] => engine.by_hand(&Step::Start(text(name))),
        ["pause", name] => engine.set(name, Doing::Paused),
        ["unpause", name] => engine.by_hand(&Step::Unpause(text(name))),
        ["commit", name, reference] => engine.commit(name, &image(reference)),
        ["rm", "fails", "for", name] => engine.set(name, Doing::Dead),
        ["rm", "begins", "for", name] => engine.set(name, Doing::Goes),
        ["start", "fails", "for", name] => engine.set(name, Doing::Stuck),
        ["start", "failed", "for", name] => engine.set(name, Doing::Stumbled),
        ["rm", "-f", name] => engine.remove_forced(name),
        ["rename", from, to] => engine.by_hand(&Step::Rename { container: text(from), to: text(to) }),
        ["update", name, body] => {
            let body = serde_json::from_str(body).expect("JSON");
            engine.by_hand(&Step::Update { container: text(name), body })
        }
        ["network", "create", name] => engine.by_hand(&Step::CreateNetwork {
            name: name.parse().expect("a name"),
            spec: Box::default(),
            labels: json!({}),
        }),
        ["network", "create", name, subnet] => engine.by_hand(&Step::CreateNetwork {
            name: name.parse().expect("a name"),
            spec: serde_json::from_value(json!({"subnets": [{"subnet": subnet}]})).expect("a network"),
            labels: json!({}),
        }),
        ["network", "connect", network, name] => engine.by_hand(&Step::Connect {
            container: text(name),
            network: text(network),
            endpoint: json!({}),
        }),
        ["network", "rm", name] => engine.by_hand(&Step::RemoveNetwork(text(name))),
        ["network", "disconnect", network, name] => {
            engine.by_hand(&Step::Disconnect { container: text(name), network: text(network) })
        }
        _ => panic!("docker {}: not known here", command.join(" ")),
    }
}
