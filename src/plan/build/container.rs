//! The steps of one container that is made, altered or removed.

use serde_json::{Value, json};

use super::Builder;
use crate::diff::{
    ASIDE_SUFFIX, Act, Change, Collection, Need, NewContainer, Old, Operation, PREVIOUS_SUFFIX, Predecessor,
};
use crate::fields;
use crate::plan::{Await, Node, Step};
use crate::resource::container::{Condition, ContainerSpec, State};
use crate::resource::label;
use crate::resource::name::{Kind, Owner, ResourceId};

impl Builder<'_> {
    /// Lets containers give up names that are others'.
    pub(super) fn step_aside(&mut self, change: &Change) {
        if let Act::Alter { container, operations, .. } = &change.act
            && operations.contains(&Operation::StepAside)
        {
            let (container, to) =
                (container.id.as_str().to_owned(), format!("{}{ASIDE_SUFFIX}", change.id.name));
            let node = self.push(&change.id, Step::Rename { container, to }, Vec::new());
            self.aside.push(node);
        }
    }

    /// The nodes after which a container can be made.
    pub(super) fn before_create(&mut self, change: &Change, container: &NewContainer) -> Vec<usize> {
        let there: Vec<Need> = change.needs.iter().filter(|need| need.condition.is_none()).cloned().collect();
        let mut needs = self.ready_nodes(&there);
        needs.extend(&self.aside);
        if container.pull {
            needs.push(self.pull(&change.id, &container.image, container.spec.platform.as_ref()));
        }
        needs
    }

    /// The nodes after which a container's program can be started.
    pub(super) fn before_start(&mut self, change: &Change) -> Vec<usize> {
        self.up(&change.id, &change.needs)
    }

    /// The nodes after which the containers that `id` depends on are as far as they have to be.
    pub(super) fn up(&mut self, id: &ResourceId, depends_on: &[Need]) -> Vec<usize> {
        let mut needs = Vec::new();
        for need in depends_on {
            let ready = self.ready.get(&need.id).cloned().unwrap_or_default();
            match need.condition {
                Some(Condition::Started) => needs.extend(ready),
                Some(condition @ (Condition::Healthy | Condition::Completed)) => {
                    let until =
                        if condition == Condition::Healthy { Await::Healthy } else { Await::Completed };
                    let awaited = self.awaited.get(&need.id).copied().unwrap_or_else(|| {
                        let step = Step::Await { container: need.id.name.to_string(), until };
                        let job = ready.first().filter(|_| until == Await::Completed).copied();
                        let awaited = self.push(id, step, ready);
                        if let Some(job) = job {
                            // A job is done when it has run to its end, and fails if it does not.
                            let changes = self.nodes[job].changes.clone();
                            let resources = vec![need.id.clone()];
                            self.nodes[awaited] = Node { resources, changes, ..self.nodes[awaited].clone() };
                        }
                        awaited
                    });
                    // Who waits in vain for another's health has failed, not what is waited for.
                    let Node { resources: waits_for, changes, .. } = &mut self.nodes[awaited];
                    if !waits_for.contains(&need.id) && !waits_for.contains(id) {
                        waits_for.push(id.clone());
                        changes.push(self.current);
                    }
                    self.awaited.insert(need.id.clone(), awaited);
                    needs.push(awaited);
                }
                None => {}
            }
        }
        needs
    }

    pub(super) fn create(&mut self, change: &Change, container: &NewContainer) -> usize {
        let id = &change.id;
        let needs = self.before_create(change, container);
        let name = id.name.to_string();
        let body = create_body(self.owner, id, container);
        let platform = container.spec.platform.clone();
        let made = self.push(id, Step::CreateContainer { name: name.clone(), body, platform }, needs);
        let made = self.connect_more(id, &name, &container.spec, made);
        let made = self.put_files(id, &name, container, made);
        if !container.state.starts() {
            return made;
        }
        let mut needs = self.before_start(change);
        needs.push(made);
        let started = self.push(id, Step::Start(name.clone()), needs);
        if container.state == State::Paused {
            return self.push(id, Step::Pause(name), vec![started]);
        }
        started
    }

    /// Joins the networks beyond the first, which a create body does not take.
    pub(super) fn connect_more(
        &mut self,
        id: &ResourceId,
        name: &str,
        spec: &ContainerSpec,
        after: usize,
    ) -> usize {
        let mut last = after;
        for (network, endpoint) in fields::further_networks(spec) {
            let step = Step::Connect { container: name.to_owned(), network, endpoint };
            last = self.push(id, step, vec![last]);
        }
        last
    }

    /// Puts the files into a container that has not started.
    pub(super) fn put_files(
        &mut self,
        id: &ResourceId,
        name: &str,
        container: &NewContainer,
        after: usize,
    ) -> usize {
        if container.files.is_empty() {
            return after;
        }
        let step = Step::Put { container: name.to_owned(), files: container.files.clone() };
        self.push(id, step, vec![after])
    }

    /// Lets a predecessor that still bears the resource's own name make room.
    pub(super) fn put_aside(&mut self, id: &ResourceId, old: &Old) -> Option<usize> {
        (old.name == id.name.as_str()).then(|| {
            let to = format!("{}{PREVIOUS_SUFFIX}", id.name);
            self.push(id, Step::Rename { container: old.id.as_str().to_owned(), to }, Vec::new())
        })
    }

    /// What is left of an interrupted replacement goes once the one that is altered is as it should be.
    pub(super) fn altered(
        &mut self,
        change: &Change,
        (container, operations): (&Old, &[Operation]),
        leftovers: &[Old],
        predecessor: Option<&Predecessor>,
    ) -> Option<usize> {
        let id = &change.id;
        let aside = predecessor.and_then(|before| self.put_aside(id, &before.container));
        // A frozen program proves nothing.
        let (operations, frozen) = match operations.split_last() {
            Some((Operation::Pause, rest)) if predecessor.is_some() => (rest, true),
            _ => (operations, false),
        };
        let first = self.nodes.len();
        let last = self.alter(change, container, operations, aside);
        self.clean_up(id, (container, frozen), leftovers, predecessor, (first, last))
    }

    fn alter(
        &mut self,
        change: &Change,
        container: &Old,
        operations: &[Operation],
        mut last: Option<usize>,
    ) -> Option<usize> {
        let id = &change.id;
        let target = container.id.as_str().to_owned();
        let is_taken = |need: &&Need| self.snapshots.contains(&need.id);
        let taken: Vec<Need> = change.needs.iter().filter(is_taken).cloned().collect();
        let mut taken = self.ready_nodes(&taken);
        for operation in operations {
            if *operation == Operation::Stop && self.is_stopped_first(id) {
                continue;
            }
            let Some(step) = step(operation, id, &target) else { continue };
            // A snapshot is of the container as it was before.
            let mut needs: Vec<usize> = std::mem::take(&mut taken);
            needs.extend(last);
            match operation {
                // A port may have to be given up first, a namespace or a network be there.
                Operation::Start | Operation::Restart => {
                    needs.extend(self.before_start(change));
                    needs.extend(self.ready_nodes(&change.needs));
                }
                // Who leaves a namespace of its goes first.
                Operation::Stop => {
                    let leaves = |need: &&Need| {
                        let is_container = need.condition.is_none() && need.id.kind == Kind::Container;
                        is_container && container.made_for().all(|owner| *owner != need.id)
                    };
                    let leavers: Vec<Need> = change.needs.iter().filter(leaves).cloned().collect();
                    needs.extend(self.ready_nodes(&leavers));
                }
                // A name may have to be given up first.
                Operation::Rename => {
                    needs.extend(&self.aside);
                    needs.extend(self.ready_nodes(&change.needs));
                }
                Operation::Connect { .. } | Operation::Disconnect { .. } => {
                    needs.extend(self.ready_nodes(&change.needs));
                }
                _ => {}
            }
            last = Some(match operation {
                Operation::Restart | Operation::Stop => self.stopping(id, step, needs, Vec::new()),
                _ => self.push(id, step, needs),
            });
        }
        last
    }

    /// Removes what an interrupted replacement left behind: a predecessor only once its successor has
    /// proved itself, and is frozen if it is to be; and if it does not, the predecessor is put back.
    fn clean_up(
        &mut self,
        id: &ResourceId,
        (container, frozen): (&Old, bool),
        leftovers: &[Old],
        predecessor: Option<&Predecessor>,
        (first, mut last): (usize, Option<usize>),
    ) -> Option<usize> {
        let target = container.id.as_str().to_owned();
        if let Some(before) = predecessor {
            let old = before.container.id.as_str().to_owned();
            let mut back = vec![
                Step::Stop(target.clone()),
                Step::RemoveContainer(target.clone()),
                Step::Rename { container: old, to: id.name.to_string() },
            ];
            // Its successor was to be started, and to prove itself.
            back.extend(before.container.back(State::Running));
            if let Some(node) = last.filter(|node| matches!(self.nodes[*node].step, Step::Start(_))) {
                self.nodes[node].rescue.clone_from(&back);
            }
            let until = before.until;
            let needs = last.into_iter().collect();
            let step = Step::Await { container: target.clone(), until };
            let mut proved = self.push_with_rescue(id, step, needs, back.clone());
            if frozen {
                proved = self.push_with_rescue(id, Step::Pause(target), vec![proved], back.clone());
            }
            if self.is_with_others(id) {
                for node in self.nodes[first..].iter_mut().filter(|node| node.rescue.is_empty()) {
                    node.rescue.clone_from(&back);
                }
            }
            self.undo_together(id, &before.container, first);
            self.follow_back(id, &before.container, first);
            if self.is_with_others(id) {
                let again = before.container.back(State::Running);
                self.proved_together(id, (&before.container, again), leftovers, (first, proved));
                return None;
            }
            last = Some(self.remove(id, &before.container, vec![proved]));
        }
        for old in leftovers {
            last = Some(self.remove(id, old, last.into_iter().collect()));
        }
        last
    }

    pub(super) fn remove(&mut self, id: &ResourceId, old: &Old, mut needs: Vec<usize>) -> usize {
        let target = old.id.as_str().to_owned();
        if old.up {
            needs = vec![self.push(id, Step::Stop(target.clone()), needs)];
        }
        self.remove_stopped(id, old, needs)
    }

    /// A container that does not run goes once what is taken out of it is kept.
    pub(super) fn remove_stopped(&mut self, id: &ResourceId, old: &Old, mut needs: Vec<usize>) -> usize {
        let target = old.id.as_str();
        for one in &old.collect {
            needs = vec![self.push(id, collect(target, one), needs)];
        }
        self.push(id, Step::RemoveContainer(target.to_owned()), needs)
    }
}

/// The call that an operation on a container of a resource is; stepping aside was made by then.
pub(super) fn step(operation: &Operation, id: &ResourceId, container: &str) -> Option<Step> {
    let container = container.to_owned();
    Some(match operation {
        Operation::StepAside => return None,
        Operation::Rename => Step::Rename { container, to: id.name.to_string() },
        Operation::Update(body) => Step::Update { container, body: body.clone() },
        Operation::Connect { network, endpoint } => {
            Step::Connect { container, network: network.clone(), endpoint: endpoint.clone() }
        }
        Operation::Disconnect { network } => Step::Disconnect { container, network: network.clone() },
        Operation::Put(files) => Step::Put { container, files: files.clone() },
        Operation::Collect(one) => collect(&container, one),
        Operation::Signal(signal) => Step::Signal { container, signal: signal.clone() },
        Operation::Record(applied) => Step::Record { container, applied: applied.clone() },
        Operation::Restart => Step::Restart(container),
        Operation::Pause => Step::Pause(container),
        Operation::Unpause => Step::Unpause(container),
        Operation::Start => Step::Start(container),
        Operation::Stop => Step::Stop(container),
    })
}

fn collect(container: &str, collection: &Collection) -> Step {
    let Collection { path, archive } = collection;
    Step::Collect { container: container.to_owned(), path: path.clone(), archive: archive.clone() }
}

/// The whole create body of a container: its fields, image, labels, and what goes over from its predecessor.
pub(super) fn create_body(owner: &Owner, id: &ResourceId, container: &NewContainer) -> Value {
    let mut body = fields::create_body(&container.spec);
    body["Image"] = json!(container.image.to_string());
    if !body["Labels"].is_object() {
        body["Labels"] = json!({});
    }
    let digests = container.files.iter().map(|file| (file.path.to_string(), file.digest.clone())).collect();
    body["Labels"][label::OWNER] = json!(owner.as_str());
    body["Labels"][label::RESOURCE] = json!(id.to_string());
    body["Labels"][label::SPEC] = json!(label::container_spec_text(&container.spec, &digests));
    if !container.carried.is_empty() {
        let carried = container
            .carried
            .iter()
            .map(|(name, target)| json!({"Type": "volume", "Source": name, "Target": target}));
        let mut mounts: Vec<Value> = body["HostConfig"]["Mounts"].as_array().cloned().unwrap_or_default();
        mounts.extend(carried);
        body["HostConfig"]["Mounts"] = json!(mounts);
    }
    body
}
