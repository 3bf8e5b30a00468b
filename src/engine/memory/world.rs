//! What is on the engine in memory: networks, volumes, and the way from a step to its part.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::{EngineError, Scope};
use super::container::{Container, Doing};
use super::image::{Image, Program};
use crate::observed::{
    Applied, AtRegistry, EngineId, HostFacts, Observed, ObservedNetwork, ObservedVolume, StartedAt,
};
use crate::plan::Step;
use crate::resource::label;
use crate::resource::name::{Kind, Name, Owner, ResourceId};
use crate::resource::network::{NetworkSpec, PREDEFINED, Subnet};
use crate::resource::platform::Platform;
use crate::resource::reference::ImageReference;
use crate::resource::volume::VolumeSpec;

/// Everything on the engine.
#[derive(Debug, Default)]
pub(super) struct World {
    pub images: Vec<Image>,
    pub registry: BTreeMap<ImageReference, Image>,
    /// What comes instead of what the registry has.
    pub mirror: BTreeMap<ImageReference, Image>,
    pub containers: Vec<Container>,
    pub networks: BTreeMap<String, Network>,
    pub volumes: BTreeMap<String, Volume>,
    /// What is said of the host.
    pub host: HostFacts,
    pub platform: Option<Platform>,
    /// What was done to containers that an engine does not tell.
    pub applied: BTreeMap<EngineId, Applied>,
    /// What was taken out of containers, by where it is kept.
    pub collected: BTreeMap<std::path::PathBuf, String>,
    counter: u64,
    ticks: StartedAt,
    /// By how much the clock was turned back.
    back: StartedAt,
}

#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) id: EngineId,
    spec: NetworkSpec,
    labels: Value,
}

#[derive(Debug, Clone)]
pub(super) struct Volume {
    spec: VolumeSpec,
    labels: Value,
}

/// Which resource of `owner`'s a thing with these labels is.
pub(super) fn resource(labels: &Value, owner: &Owner, kind: Kind) -> Option<Name> {
    if labels[label::OWNER] != owner.as_str() {
        return None;
    }
    let id: ResourceId = labels[label::RESOURCE].as_str()?.parse().ok()?;
    (id.kind == kind).then_some(id.name)
}

/// When the world began, and how far its moments lie apart.
const BEGINNING: StartedAt = 1_000_000;
const TICK: StartedAt = 100;

impl World {
    /// The next id: 64 digits, as many as an engine's have.
    pub(super) fn next_id(&mut self) -> Result<EngineId, EngineError> {
        self.next_digits().parse().map_err(EngineError::refused)
    }

    pub(super) fn next_digits(&mut self) -> String {
        self.counter += 1;
        // The first digits count, because the first 12 are what is shown.
        format!("{:012x}{}", self.counter, "0".repeat(52))
    }

    /// The next moment. None comes twice, however the clock is turned back.
    pub(super) fn tick(&mut self) -> StartedAt {
        self.ticks += 1;
        BEGINNING + self.ticks * TICK - self.back
    }

    /// Turns the clock back, to before everything.
    pub(super) fn turn_back(&mut self) {
        self.back += BEGINNING / 10 + 1;
    }

    pub(super) fn has_network(&self, name: &str) -> bool {
        PREDEFINED.contains(&name) || self.networks.contains_key(name)
    }

    /// The name of a network that is meant by its name or its id.
    pub(super) fn network_name<'a>(&'a self, network: &'a str) -> &'a str {
        let named = self.networks.iter().find(|(_, there)| there.id.as_str() == network);
        named.map_or(network, |(name, _)| name)
    }

    /// Does a step, or refuses.
    pub(super) fn act(&mut self, step: &Step) -> Result<(), EngineError> {
        match step {
            Step::LoadPapers(_)
            | Step::LoadOnBase { .. }
            | Step::LoadArchive { .. }
            | Step::Pull { .. }
            | Step::Make { .. }
            | Step::Save { .. }
            | Step::Push(_)
            | Step::Tag { .. }
            | Step::Untag { .. } => self.act_on_image(step),
            Step::CreateNetwork { name, spec, labels } => self.create_network(name, spec, labels),
            Step::RemoveNetwork(network) | Step::RemoveTrial(network) => self.remove_network(network),
            Step::CreateVolume { name, spec, labels } => {
                self.add_volume(name.as_str(), spec, labels);
                Ok(())
            }
            _ => self.act_on_container(step),
        }
    }

    fn create_network(&mut self, name: &Name, spec: &NetworkSpec, labels: &Value) -> Result<(), EngineError> {
        if self.has_network(name.as_str()) {
            return Err(EngineError::refused(format!("network with name {name} already exists")));
        }
        if self.networks.values().any(|other| spec.overlap(&other.spec).is_some()) {
            return Err(EngineError::refused("Pool overlaps with other one on this address space"));
        }
        let id = self.next_id()?;
        let mut spec = spec.clone();
        spec.driver.get_or_insert_with(|| "bridge".to_owned());
        for flag in [&mut spec.internal, &mut spec.attachable, &mut spec.ipv6] {
            flag.get_or_insert(false);
        }
        if spec.subnets.is_empty() {
            // From the name, so that the same networks are the same in whatever order they were made.
            let sum: u32 = name.as_str().bytes().map(u32::from).sum();
            let subnet = format!("172.{}.0.0/16", 18 + sum % 200);
            spec.subnets.push(Subnet {
                subnet,
                gateway: None,
                ip_range: None,
                aux_addresses: BTreeMap::new(),
            });
        }
        self.networks.insert(name.to_string(), Network { id, spec, labels: labels.clone() });
        Ok(())
    }

    fn remove_network(&mut self, network: &str) -> Result<(), EngineError> {
        let name = self.network_name(network).to_owned();
        if !self.networks.contains_key(&name) {
            return Ok(());
        }
        // An engine counts only endpoints of programs that are there.
        let on_it =
            |container: &&Container| container.doing.is_up() && container.endpoints.contains_key(&name);
        if self.containers.iter().find(on_it).is_some() {
            return Err(EngineError::refused(format!(
                "error while removing network: network {name} has active endpoints"
            )));
        }
        self.networks.remove(&name);
        Ok(())
    }

    pub(super) fn add_volume(&mut self, name: &str, spec: &VolumeSpec, labels: &Value) {
        let driver = spec.driver.clone().or_else(|| Some("local".to_owned()));
        let spec = VolumeSpec { driver, ..spec.clone() };
        self.volumes.entry(name.to_owned()).or_insert_with(|| Volume { spec, labels: labels.clone() });
    }

    pub(super) fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        let used: BTreeSet<_> = (self.containers.iter())
            .filter(|container| {
                self.resource_of(container, &scope.owner).is_some()
                    || scope.adopted.contains_key(&container.name)
            })
            .map(|container| &container.image)
            .collect();
        let is_wanted = |image: &Image| {
            used.contains(&image.id) || image.references.iter().any(|at| scope.images.contains(at))
        };
        let built_in = PREDEFINED.iter().enumerate().map(|(index, name)| {
            let id = format!("f{index:011x}").parse().map_err(EngineError::refused)?;
            Ok(ObservedNetwork {
                id,
                name: (*name).to_owned(),
                resource: None,
                created: None,
                spec: NetworkSpec::default(),
                is_pattern: false,
            })
        });
        let ours = self.networks.iter().map(|(name, network)| {
            let mut spec = network.spec.clone();
            spec.labels.0.retain(|key, _| !key.starts_with(label::PREFIX));
            Ok(ObservedNetwork {
                id: network.id.clone(),
                name: name.clone(),
                resource: resource(&network.labels, &scope.owner, Kind::Network),
                created: network.labels[label::SPEC].as_str().and_then(label::spec_from),
                spec,
                is_pattern: false,
            })
        });
        Ok(Observed {
            images: self.images.iter().map(|image| image.observed(is_wanted(image))).collect(),
            networks: built_in.chain(ours).collect::<Result<_, EngineError>>()?,
            volumes: (self.volumes.iter())
                .map(|(name, volume)| ObservedVolume {
                    name: name.clone(),
                    created: volume.labels[label::SPEC].as_str().and_then(label::spec_from),
                    spec: volume.spec.clone(),
                })
                .collect(),
            containers: self.containers.iter().map(|one| self.observe_container(one, scope)).collect(),
            host: self.host.clone(),
            applied: self.applied.clone(),
            platform: self.platform.clone(),
            cannot_update: false,
            at_registries: scope
                .at_registries
                .iter()
                .map(|reference| {
                    let has = self.registry.get(reference).map(|image| AtRegistry::Has(image.id.clone()));
                    (reference.clone(), has.unwrap_or(AtRegistry::Absent))
                })
                .collect(),
        })
    }

    pub(super) fn commit(&mut self, name: &str, at: &ImageReference) -> Result<(), EngineError> {
        let config = self.container(name)?.inspection()["Config"].take();
        self.publish(at, config, Program::Runs);
        self.act(&Step::Pull { reference: at.clone(), platform: None, digest: None, mark: None })
    }

    pub(super) fn everything(&self) -> Value {
        let containers: BTreeMap<&str, Value> =
            self.containers.iter().map(|one| (one.name.as_str(), one.inspection())).collect();
        let networks: BTreeMap<&str, Value> = (self.networks.iter())
            .map(|(name, network)| (name.as_str(), json!({"Spec": network.spec, "Labels": network.labels})))
            .collect();
        let images: BTreeMap<&str, Vec<String>> = (self.images.iter())
            .map(|image| (image.id.as_str(), image.references.iter().map(ToString::to_string).collect()))
            .collect();
        let volumes: BTreeMap<&str, &VolumeSpec> =
            self.volumes.iter().map(|(name, volume)| (name.as_str(), &volume.spec)).collect();
        json!({"containers": containers, "networks": networks, "volumes": volumes, "images": images, "collected": self.collected})
    }

    pub(super) fn inspect(&self, name: &str) -> Option<Value> {
        self.containers.iter().find(|container| container.is_called(name)).map(Container::inspection)
    }

    pub(super) fn set(&mut self, name: &str, doing: Doing) -> Result<(), EngineError> {
        self.container(name)?.doing = doing;
        Ok(())
    }

    pub(super) fn remove_forced(&mut self, name: &str) -> Result<(), EngineError> {
        self.set(name, Doing::Exited)?;
        self.act(&Step::RemoveContainer(name.to_owned()))
    }
}
