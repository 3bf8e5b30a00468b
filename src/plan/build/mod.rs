//! The steps of each change, and what each step needs.

mod container;
mod follow;
mod network;
mod replace;
mod together;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use self::follow::{EndsWith, StartedAnew};
use self::together::Groups;
use super::{Node, Step};
use crate::desired::Ingredients;
use crate::diff::{Act, Change, Need};
use crate::resource::label::{self, Mark, Purpose};
use crate::resource::name::{Kind, Owner, ResourceId};
use crate::resource::network::NetworkSpec;
use crate::resource::platform::Platform;
use crate::resource::reference::ImageReference;

/// How many problem set images go into one archive. Measured: 41 ms an image in a batch, 88 ms alone;
/// past some dozens nothing is gained, and the first container waits longer.
const BATCH: usize = 32;

/// The steps of `changes`, without those of changes that wait, and what is to be told of those. What was there before those
/// in `left` is not put back.
pub(super) fn nodes<'a>(
    changes: &'a [Change],
    owner: &'a Owner,
    waiting: &BTreeMap<ResourceId, String>,
    left: &BTreeSet<&ResourceId>,
    interrupted: &BTreeSet<ResourceId>,
) -> (Vec<Node>, Vec<String>) {
    let tried = |change: &&Change| !waiting.contains_key(&change.id);
    let placed: Vec<(usize, &Change)> =
        changes.iter().enumerate().filter(|(_, change)| tried(change)).collect();
    let mut builder = Builder {
        owner,
        nodes: Vec::new(),
        notes: Vec::new(),
        current: 0,
        ready: BTreeMap::new(),
        pulls: BTreeMap::new(),
        awaited: BTreeMap::new(),
        aside: Vec::new(),
        anew: BTreeMap::new(),
        in_pid_of: follow::in_pid_of(&placed),
        stopped_first: BTreeSet::new(),
        together: Groups::of(&placed),
        snapshots: changes
            .iter()
            .filter(|change| is_snapshot(&change.act))
            .map(|change| &change.id)
            .collect(),
    };
    let place =
        |change: &Change| changes.iter().position(|one| std::ptr::eq(one, change)).unwrap_or_default();
    builder.load_papers(placed.into_iter());
    let (containers, rest): (Vec<&Change>, Vec<&Change>) =
        changes.iter().filter(tried).partition(|change| change.id.kind == Kind::Container);
    let (cleaning, rest): (Vec<&Change>, Vec<&Change>) =
        rest.into_iter().partition(|change| matches!(change.act, Act::Untag { .. } | Act::RemoveNetwork(_)));
    // What is taken of a container that is yet to be made comes after it.
    let after: BTreeSet<&ResourceId> =
        rest.iter().filter(|change| needs_container(change)).map(|change| &change.id).collect();
    let (after, rest): (Vec<&Change>, Vec<&Change>) =
        rest.into_iter().partition(|change| after.contains(&change.id));
    for change in &containers {
        builder.current = place(change);
        builder.step_aside(change);
    }
    let alone = Groups::default();
    let containers = in_order(containers, &builder.together);
    builder.together.sort(&containers);
    for change in in_order(rest, &alone).into_iter().chain(containers).chain(in_order(after, &alone)) {
        builder.current = place(change);
        builder.change(change);
    }
    // What containers used goes after them.
    for change in in_order(cleaning, &alone) {
        builder.current = place(change);
        builder.change(change);
    }
    let put_back: Vec<&Change> = changes.iter().filter(|change| !left.contains(&change.id)).collect();
    for change in in_order(put_back, &alone) {
        let untried = match &change.act {
            Act::Block { instead_of, .. } => instead_of.as_deref(),
            act => waiting.contains_key(&change.id).then_some(act),
        };
        if let Some(act) = untried {
            builder.current = place(change);
            builder.bring_back(&change.id, act, interrupted.contains(&change.id));
        }
    }
    (builder.nodes, builder.notes)
}

fn is_snapshot(act: &Act) -> bool {
    matches!(act, Act::Make { recipe, .. } if matches!(recipe.ingredients, Ingredients::Commit(_)))
}

fn needs_container(change: &Change) -> bool {
    change.needs.iter().any(|need| need.id.kind == Kind::Container)
}

/// Sorts changes so that one comes after those it depends on; those of one resource stay together, so that what is made
/// is pushed or saved once it is; what is made anew `together`, after what any of it needs, where that does not wait for
/// some of it. The manifests have no cycles; were there one, its members would keep their order and
/// their waiting would be cut.
fn in_order<'a>(mut left: Vec<&'a Change>, together: &Groups<'_>) -> Vec<&'a Change> {
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let ids: BTreeSet<&ResourceId> = left.iter().map(|change| &change.id).collect();
        let waits = |change: &&&Change| {
            change.needs.iter().any(|need| ids.contains(&need.id) && need.id != change.id)
        };
        let waits_with_others = |change: &&&Change| waits(change) || together.waits(change, &ids);
        let mut bound: BTreeSet<&ResourceId> =
            left.iter().filter(waits_with_others).map(|change| &change.id).collect();
        if bound.len() == left.len() {
            bound = left.iter().filter(waits).map(|change| &change.id).collect();
        }
        let (bound, free): (Vec<&Change>, Vec<&Change>) =
            left.iter().partition(|change| bound.contains(&change.id));
        if free.is_empty() {
            ordered.extend(bound);
            break;
        }
        ordered.extend(free);
        left = bound;
    }
    ordered
}

struct Builder<'a> {
    owner: &'a Owner,
    nodes: Vec<Node>,
    /// What is told of what is put back.
    notes: Vec<String>,
    /// The change whose steps are being pushed.
    current: usize,
    /// The nodes after which a resource is in order.
    ready: BTreeMap<ResourceId, Vec<usize>>,
    /// The nodes that pull images which no manifest describes.
    pulls: BTreeMap<ImageReference, usize>,
    /// The nodes that wait for a container's health, or for a job's end.
    awaited: BTreeMap<ResourceId, usize>,
    /// The nodes that let containers give up names that are others'.
    aside: Vec<usize>,
    /// What is taken of containers.
    snapshots: BTreeSet<&'a ResourceId>,
    /// The containers that a failed replacement may have started again as they were.
    anew: BTreeMap<ResourceId, Vec<StartedAnew>>,
    /// For each container, those whose programs end with its.
    in_pid_of: BTreeMap<&'a ResourceId, Vec<EndsWith<'a>>>,
    /// Those that are stopped before one is with which their programs end.
    stopped_first: BTreeSet<ResourceId>,
    /// The containers that are made anew together.
    together: Groups<'a>,
}

impl Builder<'_> {
    fn push(&mut self, id: &ResourceId, step: Step, needs: Vec<usize>) -> usize {
        self.push_with_rescue(id, step, needs, Vec::new())
    }

    fn push_with_rescue(
        &mut self,
        id: &ResourceId,
        step: Step,
        mut needs: Vec<usize>,
        rescue: Vec<Step>,
    ) -> usize {
        needs.sort_unstable();
        needs.dedup();
        self.nodes.push(Node {
            step,
            resources: vec![id.clone()],
            changes: vec![self.current],
            needs,
            rescue,
            undoes: Vec::new(),
            instead: Vec::new(),
        });
        self.nodes.len() - 1
    }

    fn load_papers<'c>(&mut self, changes: impl Iterator<Item = (usize, &'c Change)>) {
        let loads: Vec<_> = changes
            .filter_map(|(at, change)| match &change.act {
                Act::LoadPaper { image, tags } => {
                    Some((at, change.id.clone(), ((**image).clone(), tags.clone())))
                }
                _ => None,
            })
            .collect();
        for batch in loads.chunks(BATCH) {
            let resources: Vec<ResourceId> = batch.iter().map(|(_, id, _)| id.clone()).collect();
            let images = batch.iter().map(|(_, _, image)| image.clone()).collect();
            for id in &resources {
                self.ready.insert(id.clone(), vec![self.nodes.len()]);
            }
            self.nodes.push(Node {
                step: Step::LoadPapers(images),
                resources,
                changes: batch.iter().map(|(at, ..)| *at).collect(),
                needs: Vec::new(),
                rescue: Vec::new(),
                undoes: Vec::new(),
                instead: Vec::new(),
            });
        }
    }

    fn change(&mut self, change: &Change) {
        let id = &change.id;
        self.before_together(id);
        let first = self.nodes.len();
        let last = match &change.act {
            Act::LoadPaper { .. } | Act::Block { .. } => None,
            Act::LoadOnBase { image, mark, pull, .. } => {
                let mut needs = self.ready_nodes(&change.needs);
                if *pull {
                    needs.push(self.pull(id, &image.base, None));
                }
                Some(self.push(id, Step::LoadOnBase { image: image.clone(), mark: mark.clone() }, needs))
            }
            Act::LoadArchive { archive, ids, brings, tags } => {
                let (archive, image) = (archive.clone(), ids.iter().map(|id| id.as_str().to_owned()));
                let load = Step::LoadArchive { archive, ids: ids.clone(), brings: brings.clone() };
                let load = self.push(id, load, Vec::new());
                Some(self.mark(id, image.collect(), tags, brings, load))
            }
            Act::Pull { reference, platform, digest, tags } => {
                let (platform, purpose) = (platform.clone(), Purpose::Resource(id.name.clone()));
                let mark = Some(self.pulled(reference, purpose));
                let (what, digest) = (reference.clone(), digest.clone());
                let step = Step::Pull { reference: what, platform, digest, mark };
                let pull = self.push(id, step, Vec::new());
                let image = || vec![reference.to_string()];
                Some(if tags.is_empty() { pull } else { self.mark(id, image(), tags, [], pull) })
            }
            Act::Make { recipe, tags } => tags.split_first().map(|(tag, tags)| {
                let needs = self.ready_nodes(&change.needs);
                let made = self.push(id, Step::Make { recipe: recipe.clone(), tag: tag.clone() }, needs);
                let step = Step::Tag { image: vec![tag.to_string()], tags: tags.to_vec(), mark: None };
                self.push(id, step, vec![made])
            }),
            Act::Tag { image, tags } => {
                let step =
                    Step::Tag { image: vec![image.as_str().to_owned()], tags: tags.clone(), mark: None };
                Some(self.push(id, step, Vec::new()))
            }
            Act::Push { tags } => {
                let needs = self.ready_nodes(&change.needs);
                for tag in tags {
                    self.push(id, Step::Push(tag.clone()), needs.clone());
                }
                None
            }
            Act::Save { image, archive } => {
                let needs = self.ready_nodes(&change.needs);
                self.push(id, Step::Save { image: image.clone(), archive: archive.clone() }, needs);
                None
            }
            Act::Untag { image, tags, .. } => {
                let mut needs = self.ready_nodes(&change.needs);
                // The next generation takes the tags over. Were the mark gone before that, they would
                // belong to an image that is nobody's.
                needs.extend(self.ready.get(id).into_iter().flatten());
                for tag in tags {
                    let step = Step::Untag { image: image.clone(), tag: tag.clone() };
                    needs = vec![self.push(id, step, needs)];
                }
                self.ready.entry(id.clone()).or_default().extend(needs);
                None
            }
            Act::CreateNetwork(spec) => {
                let needs = self.ready_nodes(&change.needs);
                Some(self.push(id, self.create_network(id, spec), needs))
            }
            Act::ReplaceNetwork { .. } => {
                let joined = self.replace_network(change);
                self.ready.insert(id.clone(), joined);
                None
            }
            Act::RemoveNetwork(old) => {
                let needs = self.ready_nodes(&change.needs);
                Some(self.push(id, Step::RemoveNetwork(old.as_str().to_owned()), needs))
            }
            Act::CreateVolume(spec) => {
                let labels = self.labels(id, spec);
                let step = Step::CreateVolume { name: id.name.clone(), spec: spec.clone(), labels };
                Some(self.push(id, step, Vec::new()))
            }
            Act::Create(container) => Some(self.create(change, container)),
            Act::Alter { container, operations, leftovers, predecessor } => {
                self.altered(change, (container, operations), leftovers, predecessor.as_deref())
            }
            Act::Replace { old, container, leftovers } => self.replace(change, old, container, leftovers),
            Act::Remove(old) => {
                let needs = self.ready_nodes(&change.needs);
                let removed = old.iter().map(|old| self.remove(id, old, needs.clone())).collect();
                self.ready.insert(id.clone(), removed);
                None
            }
        };
        if let Some(last) = last {
            self.ready.insert(id.clone(), vec![last]);
        }
        self.between_together(id, first);
    }

    /// Tags an image that a step has just brought, and marks it as ours, with the tags that came with it.
    fn mark<'t>(
        &mut self,
        id: &ResourceId,
        image: Vec<String>,
        tags: &'t [ImageReference],
        brought: impl IntoIterator<Item = &'t ImageReference>,
        after: usize,
    ) -> usize {
        let set = tags.iter().chain(brought).cloned().collect();
        let purpose = Purpose::Resource(id.name.clone());
        let mark = Some(Mark { owner: self.owner.clone(), purpose, set, base: None });
        self.push(id, Step::Tag { image, tags: tags.to_vec(), mark }, vec![after])
    }

    fn labels(&self, id: &ResourceId, spec: &impl Serialize) -> Value {
        json!({
            label::OWNER: self.owner.as_str(),
            label::RESOURCE: id.to_string(),
            label::SPEC: label::spec_text(spec),
        })
    }

    fn create_network(&self, id: &ResourceId, spec: &NetworkSpec) -> Step {
        let labels = self.labels(id, spec);
        Step::CreateNetwork { name: id.name.clone(), spec: Box::new(spec.clone()), labels }
    }

    /// The nodes after which what is needed is in order; containers' conditions left out.
    fn ready_nodes(&self, needs: &[Need]) -> Vec<usize> {
        needs.iter().filter_map(|need| self.ready.get(&need.id)).flatten().copied().collect()
    }

    /// The mark of an image that is pulled.
    fn pulled(&self, reference: &ImageReference, purpose: Purpose) -> Mark {
        Mark { owner: self.owner.clone(), purpose, set: [reference.clone()].into(), base: None }
    }

    /// Pulls an image that no manifest describes, for all containers that name it.
    fn pull(&mut self, id: &ResourceId, reference: &ImageReference, platform: Option<&Platform>) -> usize {
        if let Some(node) = self.pulls.get(reference) {
            return *node;
        }
        let mark = Some(self.pulled(reference, Purpose::Containers));
        let (what, platform) = (reference.clone(), platform.cloned());
        let step = Step::Pull { reference: what, platform, digest: None, mark };
        let node = self.push(id, step, Vec::new());
        self.pulls.insert(reference.clone(), node);
        node
    }
}
