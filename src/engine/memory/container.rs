//! Containers of the engine in memory: how create bodies become inspections, and what each step does.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{EngineError, Scope};
use super::image::Program;
use super::world::{World, resource};
use crate::diff::is_in_replacement;
use crate::fields;
use crate::observed::{EngineId, Health, LiveStatus, Managed, ObservedContainer, StartedAt};
use crate::plan::{Await, Step};
use crate::resource::health::HealthTest;
use crate::resource::label;
use crate::resource::name::{Kind, Name, Owner};
use crate::resource::network::PREDEFINED;
use crate::resource::port::{PortMapping, PublishedPort};
use crate::resource::reference::ImageId;

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It was made and never started.
    Created,
    /// Its program runs.
    Running,
    /// Its program runs, and its health check fails.
    Sick,
    /// Its program is frozen.
    Paused,
    /// Its program ended well.
    Exited,
    /// Its program ended with an error.
    Failed,
    /// It cannot be started: the engine was killed while starting it.
    Stuck,
    /// Its program ended, and its last start failed as if it were stuck; the next one will not.
    Stumbled,
    /// It could not be removed.
    Dead,
    /// It is being removed.
    Goes,
}

impl Doing {
    /// The engine's word for it.
    const fn word(self, ran: bool) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Stuck if !ran => "created",
            Self::Running | Self::Sick => "running",
            Self::Paused => "paused",
            Self::Exited | Self::Failed | Self::Stuck | Self::Stumbled => "exited",
            Self::Dead => "dead",
            Self::Goes => "removing",
        }
    }

    pub(super) const fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Sick | Self::Paused)
    }

    const fn is_lost(self) -> bool {
        matches!(self, Self::Stuck | Self::Stumbled)
    }
}

/// A container that is there.
#[derive(Debug)]
pub(super) struct Container {
    pub id: EngineId,
    pub name: String,
    pub image: ImageId,
    pub doing: Doing,
    /// When its program was last started; every start takes one tick of the world's clock.
    pub started: Option<StartedAt>,
    /// Endpoint settings by network.
    pub endpoints: Map<String, Value>,
    pub config: Value,
    pub host: Value,
    /// The digests of what was put into it, by path.
    pub files: BTreeMap<String, String>,
    /// Volumes, by name and target.
    pub volumes: Vec<(String, String)>,
}

impl Container {
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.id.as_str() == name
    }

    pub(super) fn inspection(&self) -> Value {
        json!({
            "Id": self.id.as_str(),
            "Image": self.image.as_str(),
            "State": {"Status": self.doing.word(self.started.is_some())},
            "Files": self.files,
            "Config": self.config,
            "HostConfig": self.host,
            "NetworkSettings": {"Networks": self.endpoints},
            "Mounts": self.volumes.iter().map(|(name, target)| json!({"Name": name, "Destination": target})).collect::<Value>(),
        })
    }

    /// The host's ports that it asks for.
    fn published(&self) -> Vec<PublishedPort> {
        let bindings = self.host["PortBindings"].as_object().into_iter().flatten();
        let texts = bindings.flat_map(|(port, bindings)| {
            bindings.as_array().into_iter().flatten().map(move |binding| {
                let part = |key: &str| binding[key].as_str().unwrap_or_default();
                match part("HostIp") {
                    "" => format!("{}:{port}", part("HostPort")),
                    ip if ip.contains(':') => format!("[{ip}]:{}:{port}", part("HostPort")),
                    ip => format!("{ip}:{}:{port}", part("HostPort")),
                }
            })
        });
        let mappings = texts.filter_map(|text| text.trim_start_matches(':').parse::<PortMapping>().ok());
        mappings.flat_map(|mapping| mapping.published().collect::<Vec<_>>()).collect()
    }

    fn status(&self) -> LiveStatus {
        let checked = HealthTest::is_check(self.config["Healthcheck"]["Test"][0].as_str());
        match self.doing {
            Doing::Created => LiveStatus::Created,
            Doing::Running if checked => LiveStatus::Running(Health::Healthy),
            Doing::Running => LiveStatus::Running(Health::Unchecked),
            Doing::Sick => LiveStatus::Running(Health::Unhealthy),
            Doing::Paused => LiveStatus::Paused,
            Doing::Exited => LiveStatus::Exited(0),
            Doing::Failed => LiveStatus::Exited(1),
            Doing::Stuck if self.started.is_none() => LiveStatus::Stuck,
            Doing::Stuck | Doing::Stumbled => LiveStatus::Exited(137),
            Doing::Dead => LiveStatus::Dead,
            Doing::Goes => LiveStatus::Removing,
        }
    }
}

fn no_such(name: &str) -> EngineError {
    EngineError::refused(format!("no such container: {name}"))
}

impl World {
    pub(super) fn container(&mut self, name: &str) -> Result<&mut Container, EngineError> {
        self.containers.iter_mut().find(|container| container.is_called(name)).ok_or_else(|| no_such(name))
    }

    pub(super) fn observe_container(&self, container: &Container, scope: &Scope) -> ObservedContainer {
        let mut inspection = container.inspection();
        // What shares another container's network names it by id; a manifest by its resource's name.
        let shared =
            inspection["HostConfig"]["NetworkMode"].as_str().and_then(|mode| mode.strip_prefix("container:"));
        let shared = shared.and_then(|id| self.containers.iter().find(|other| other.id.as_str() == id));
        if let Some(other) = shared {
            let resource = self.resource_of(other, &scope.owner);
            let resource = resource.filter(|resource| !is_in_replacement(resource, &other.name));
            let known_as = resource.map_or_else(|| other.name.clone(), |resource| resource.to_string());
            inspection["HostConfig"]["NetworkMode"] = json!(format!("container:{known_as}"));
        }
        let anonymous = container.volumes.iter().filter(|(name, _)| fields::is_anonymous_volume(name));
        let ours = self.resource_of(container, &scope.owner);
        let adopted = scope.adopted.get(&container.name).filter(|_| ours.is_none()).cloned();
        let managed = |resource| {
            let spec = container.config["Labels"][label::SPEC].as_str().unwrap_or_default();
            let created = label::spec_from(spec);
            let live = fields::read_telling(&inspection);
            let anonymous_volumes = anonymous.clone().cloned().collect();
            let mut files = label::files_from(spec);
            if container.doing == Doing::Created {
                files.retain(|path, digest| container.files.get(path) == Some(digest));
            }
            Box::new(Managed {
                resource,
                unreadable: created.is_none() && !spec.is_empty(),
                created,
                files,
                live,
                started: container.started,
                lost: container.started.is_some() && container.doing.is_lost(),
                anonymous_volumes,
                removes_itself: container.host["AutoRemove"] == true,
            })
        };
        ObservedContainer {
            id: container.id.clone(),
            name: container.name.clone(),
            image: Some(container.image.clone()),
            status: container.status(),
            networks: (container.endpoints.iter())
                .map(|(name, endpoint)| {
                    let joined = endpoint["NetworkID"].as_str().and_then(|id| id.parse().ok());
                    let there = || self.networks.get(name).map(|network| network.id.clone());
                    (name.clone(), joined.or_else(there))
                })
                .collect(),
            ports: if container.doing.is_up() { container.published() } else { Vec::new() },
            managed: ours.clone().map(managed),
            stranger: adopted.map(managed),
            other_owner: container.config["Labels"][label::OWNER]
                .as_str()
                .filter(|_| ours.is_none())
                .map(str::to_owned),
            network_of: container.host["NetworkMode"]
                .as_str()
                .filter(|_| ours.is_none())
                .and_then(|mode| mode.strip_prefix("container:"))
                .and_then(|owner| {
                    self.containers.iter().find(|one| one.name == owner || one.id.as_str() == owner)
                })
                .map(|owner| owner.id.clone()),
        }
    }

    /// Which resource a container is. One whose image carries our labels has them from there: somebody
    /// committed a container of ours and runs the image.
    pub(super) fn resource_of(&self, container: &Container, owner: &Owner) -> Option<Name> {
        let image = self.images.iter().find(|image| image.id == container.image);
        let labels = &container.config["Labels"];
        let inherited = image.and_then(|image| label::identity(&image.config["Labels"]));
        if inherited.is_some() && inherited == label::identity(labels) {
            return None;
        }
        resource(labels, owner, Kind::Container)
    }

    /// The steps about containers.
    pub(super) fn act_on_container(&mut self, step: &Step) -> Result<(), EngineError> {
        match step {
            Step::CreateContainer { name, body, .. } => self.create_container(name, body),
            Step::Start(name) => self.start(name),
            Step::Stop(name) => {
                let container = self.container(name)?;
                if container.doing.is_up() {
                    container.doing = Doing::Exited;
                }
                Ok(())
            }
            Step::Restart(name) => {
                self.act_on_container(&Step::Stop(name.clone()))?;
                self.start(name)
            }
            Step::Put { container, files } => {
                let container = self.container(container)?;
                container.files.extend(files.iter().map(|file| (file.path.to_string(), file.digest.clone())));
                Ok(())
            }
            Step::Collect { container, path, archive } => {
                let container = self.container(container)?;
                let kept = format!("{path} of {}", container.name);
                self.collected.insert(archive.clone(), kept);
                Ok(())
            }
            Step::Signal { container, .. } => {
                let container = self.container(container)?;
                if container.doing.is_up() {
                    Ok(())
                } else {
                    Err(EngineError::refused(format!("container {} is not running", container.name)))
                }
            }
            Step::Record { container, applied } => {
                let id = self.container(container)?.id.clone();
                self.applied.insert(id, (**applied).clone());
                Ok(())
            }
            Step::Pause(name) => {
                let container = self.container(name)?;
                if container.doing == Doing::Running {
                    container.doing = Doing::Paused;
                }
                Ok(())
            }
            Step::Unpause(name) => {
                let container = self.container(name)?;
                if container.doing == Doing::Paused {
                    container.doing = Doing::Running;
                }
                Ok(())
            }
            Step::Rename { container, to } => {
                if let Some(other) =
                    self.containers.iter().find(|one| one.name == *to && !one.is_called(container))
                {
                    return Err(name_taken(to, other));
                }
                self.container(container)?.name.clone_from(to);
                Ok(())
            }
            Step::Update { container, body } => self.container(container)?.update(body),
            Step::Connect { container, network, endpoint } => {
                let network = self.network_name(network).to_owned();
                if !self.has_network(&network) {
                    return Err(EngineError::refused(format!("network {network} not found")));
                }
                let container = self.container(container)?;
                let endpoint = container.endpoint(&network, endpoint);
                container.endpoints.entry(network).or_insert(endpoint);
                Ok(())
            }
            Step::Disconnect { container, network } => {
                let network = self.network_name(network).to_owned();
                self.container(container)?.endpoints.remove(&network);
                Ok(())
            }
            Step::Await { container, until } => self.container(container)?.prove(*until),
            Step::RemoveContainer(name) => {
                let Some(index) = self.containers.iter().position(|container| container.is_called(name))
                else {
                    return Ok(());
                };
                if self.containers[index].doing.is_up() {
                    return Err(EngineError::refused(format!(
                        "you cannot remove a running container {name}: stop it first"
                    )));
                }
                let removed = self.containers.remove(index);
                self.applied.remove(&removed.id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, name: &str) -> Result<(), EngineError> {
        let container = self.containers.iter().find(|container| container.is_called(name));
        let container = container.ok_or_else(|| no_such(name))?;
        match container.doing {
            Doing::Running | Doing::Sick => return Ok(()),
            Doing::Paused => {
                return Err(EngineError::refused("cannot start a paused container, try unpause instead"));
            }
            Doing::Dead | Doing::Goes => {
                return Err(EngineError::refused("container is marked for removal and cannot be started"));
            }
            Doing::Stuck => return Err(EngineError::refused("task already exists")),
            Doing::Created | Doing::Exited | Doing::Failed | Doing::Stumbled => {}
        }
        if let Some(network) = container.endpoints.keys().find(|network| !self.has_network(network)) {
            return Err(EngineError::refused(format!("network {network} not found")));
        }
        // An engine keeps which one of a name it was.
        let joined = |(name, endpoint): (&String, &Value)| {
            let there = self.networks.get(name)?.id.as_str();
            endpoint["NetworkID"].as_str().filter(|joined| *joined != there).map(str::to_owned)
        };
        if let Some(gone) = container.endpoints.iter().find_map(joined) {
            return Err(EngineError::refused(format!("network {gone} not found")));
        }
        let shared = container.host["NetworkMode"].as_str().and_then(|mode| mode.strip_prefix("container:"));
        if let Some(other) = shared {
            let is_up = |one: &Container| one.id.as_str() == other && one.doing.is_up();
            if !self.containers.iter().any(is_up) {
                return Err(EngineError::refused(format!(
                    "cannot join network of a non running container: {other}"
                )));
            }
        }
        let ports = container.published();
        for other in self.containers.iter().filter(|other| other.doing.is_up()) {
            let held = other.published();
            if let Some(port) = ports.iter().find(|port| held.iter().any(|held| held.collides_with(port))) {
                return Err(EngineError::refused(format!(
                    "port {} is already taken on this host (by container/{})",
                    port.host.unwrap_or_default(),
                    other.name,
                )));
            }
        }
        let image = container.image.clone();
        let now = self.tick();
        let program =
            self.images.iter().find(|there| there.id == image).map_or(Program::Runs, |there| there.program);
        let ids: BTreeMap<String, EngineId> =
            self.networks.iter().map(|(name, network)| (name.clone(), network.id.clone())).collect();
        let container = self.container(name)?;
        for (name, endpoint) in &mut container.endpoints {
            if let Some(id) = ids.get(name) {
                endpoint["NetworkID"] = json!(id.as_str());
            }
        }
        container.started = Some(now);
        container.doing = match program {
            Program::Runs => Doing::Running,
            Program::Sickens => Doing::Sick,
            Program::Exits => Doing::Failed,
            Program::Completes => Doing::Exited,
            Program::Missing => return Err(EngineError::refused("executable file not found in $PATH")),
        };
        Ok(())
    }
}

pub(super) fn name_taken(name: &str, by: &Container) -> EngineError {
    EngineError::refused(format!("the container name \"/{name}\" is already in use by container {}", by.id))
}

impl Container {
    /// What the engine keeps of an endpoint's settings: it adds the short id to the aliases.
    pub(super) fn endpoint(&self, network: &str, asked: &Value) -> Value {
        let mut aliases = asked["Aliases"].as_array().cloned().unwrap_or_default();
        if !PREDEFINED.contains(&network) {
            aliases.push(json!(self.id.short()));
        }
        json!({"Aliases": aliases, "IPAMConfig": asked["IPAMConfig"]})
    }

    fn update(&mut self, body: &Value) -> Result<(), EngineError> {
        let mut host = self.host.clone();
        for (key, value) in body.as_object().into_iter().flatten() {
            // To an engine, 0 says "leave it".
            if *value != 0 || key == "PidsLimit" {
                host[key] = value.clone();
            }
        }
        let bytes = |key: &str| host[key].as_u64().unwrap_or(0);
        if bytes("MemorySwap") > 0 && bytes("Memory") > bytes("MemorySwap") {
            return Err(EngineError::refused(
                "memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
            ));
        }
        self.host = host;
        Ok(())
    }

    fn prove(&self, until: Await) -> Result<(), EngineError> {
        let proved = match until {
            Await::Healthy => self.status() == LiveStatus::Running(Health::Healthy),
            Await::Well(_) if self.doing == Doing::Sick => false,
            Await::Steady(_) | Await::Well(_) => self.doing.is_up(),
            Await::Completed => self.doing == Doing::Exited,
        };
        let word = self.status().as_str();
        match (proved, until, self.doing) {
            (true, ..) => Ok(()),
            (false, Await::Healthy, Doing::Sick) => {
                Err(EngineError::refused(format!("{} did not become healthy", self.name)))
            }
            (false, Await::Completed, _) => {
                Err(EngineError::refused(format!("{} did not run to its end: it is {word}", self.name)))
            }
            (false, ..) => Err(EngineError::refused(format!("{} did not stay up: it is {word}", self.name))),
        }
    }
}
