//! What manifests say of each other. In: documents whose specs can be read. Out: their references, and those that lead
//! nowhere or in a circle.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;

use super::Spec;
use super::check::{Findings, Readable};
use super::claims::Tags;
use super::document::Draft;
use super::kinds::ManifestKind;
use super::suggestion::did_you_mean;
use crate::problemset::set::ProblemSet;
use crate::resource::container::{Condition, ContainerSpec, Reference as Named, State, Use};
use crate::resource::name::{Name, ResourceId};
use crate::resource::network::{NetworkSpec, PREDEFINED};
use crate::resource::violation::FieldPath;

/// The most suggestions of one snapshot: each looks at every name.
const SUGGESTIONS_MAX: usize = 100;
/// The most circles that are told of one container.
const TOLD_OF_A_CONTAINER: usize = 10;
/// The most containers of a circle that are shown by name.
const SHOWN_OF_A_CIRCLE: usize = 12;

/// One resource that a document names.
pub(super) struct Reference {
    /// The document's index.
    pub from: usize,
    /// The field.
    pub path: FieldPath,
    /// What it names.
    pub target: ResourceId,
    /// What that is to be.
    pub kind: ManifestKind,
    /// What for.
    pub role: Role,
}

/// What a reference is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Docker makes or pulls it by itself if no manifest describes it: an image by its tag, a volume.
    Optional,
    /// It has to exist.
    Needed,
    /// It has to exist, and to be this far first.
    Awaited(Condition),
}

/// Every reference, in the order of documents and fields.
pub(super) fn of(readable: &[Readable<'_, '_>], tags: &Tags) -> Vec<Reference> {
    let references = readable.iter().enumerate().map(|(from, this)| match this.spec {
        Spec::Container(container) => of_container(from, container, tags),
        Spec::ProblemSet(set) => of_problem_set(from, set, tags).into_iter().collect(),
        Spec::Image(_) | Spec::Network(_) | Spec::Volume(_) => Vec::new(),
    });
    let is_read = |reference: &Reference| {
        readable.get(reference.from).is_some_and(|this| this.draft.is_read(&reference.path))
    };
    references.flatten().filter(is_read).collect()
}

fn of_problem_set(from: usize, set: &ProblemSet, tags: &Tags) -> Option<Reference> {
    let target = tags.get(set.base.as_ref()?)?.clone();
    let path = FieldPath::root().key("spec").key("runtime").key("base");
    Some(Reference { from, path, target, kind: ManifestKind::Image, role: Role::Optional })
}

fn of_container(from: usize, container: &ContainerSpec, tags: &Tags) -> Vec<Reference> {
    let root = FieldPath::root().key("spec");
    let mut references = Vec::new();
    let mut add = |path: FieldPath, role: Role, kind: ManifestKind, name: &Name| {
        let target = ResourceId::new(kind.resource(), name.clone());
        references.push(Reference { from, path, target, kind, role });
    };
    if let Some(holder) = container.image.as_ref().and_then(|image| tags.get(image)) {
        add(root.key("image"), Role::Optional, ManifestKind::Image, &holder.name);
    }
    if let Some(name) = &container.problem_set {
        add(root.key("problemSet"), Role::Needed, ManifestKind::ProblemSet, name);
    }
    for (path, reference) in container.references() {
        let path = root.join(&path);
        match reference {
            Named::Network(name) => add(path, Role::Needed, ManifestKind::Network, name),
            Named::Volume(name) => add(path, Role::Optional, ManifestKind::Volume, name),
            Named::Container(name, Use::Volumes) => add(path, Role::Needed, ManifestKind::Container, name),
            Named::Container(name, Use::Namespace | Use::Link) => {
                add(path, Role::Awaited(Condition::Started), ManifestKind::Container, name);
            }
            Named::Container(name, Use::Service(condition)) => {
                add(path, Role::Awaited(condition), ManifestKind::Container, name);
            }
        }
    }
    references
}

/// What is named exists, is of the right kind, and will be up if it is waited for.
pub(super) fn check_targets(
    drafts: &[Draft<'_>],
    readable: &[Readable<'_, '_>],
    references: &[Reference],
    findings: &mut Findings<'_>,
) {
    let by_id: HashMap<&ResourceId, &Readable> =
        readable.iter().filter_map(|this| Some((this.id()?, this))).collect();
    let state = FieldPath::root().key("spec").key("state");
    let mut suggestions = SUGGESTIONS_MAX;
    for reference in references.iter().filter(|reference| reference.role != Role::Optional) {
        let Some(this) = readable.get(reference.from) else { continue };
        let (kind, target) = (reference.kind, &reference.target);
        let (message, hint) = match by_id.get(target) {
            Some(found) => match (kind, found.spec, this.running()) {
                (ManifestKind::ProblemSet, Spec::Image(_), _) => (
                    format!("{target} is an Image, not a ProblemSet"),
                    Some("name it by its tag, with `image`".to_owned()),
                ),
                (_, Spec::Container(other), Some(_)) if found.draft.is_read(&state) => {
                    match unmet(reference.role, other.state) {
                        Some(why) => (format!("{target} {why}: its state is {}", other.state.as_str()), None),
                        None => continue,
                    }
                }
                _ => continue,
            },
            // It exists and is invalid: this one will be left as it is too.
            None if findings.invalid.contains(target) => continue,
            None => {
                let nearest = if suggestions > 0 {
                    suggestions -= 1;
                    let ids = drafts.iter().filter_map(|draft| draft.id.as_ref());
                    let names = ids.filter(|id| id.kind == target.kind).map(|id| id.name.as_str());
                    let modes = PREDEFINED.iter().filter(|_| kind == ManifestKind::Network);
                    did_you_mean(target.name.as_str(), names.chain(modes.copied()))
                } else {
                    None
                };
                let unread = || findings.opaque.then(|| "it may stand in what could not be read".to_owned());
                (format!("there is no {kind} `{}`", target.name), nearest.or_else(unread))
            }
        };
        findings.error(this.draft, &reference.path, message, hint);
    }
}

/// Why a container in this state never gets as far as it has to.
const fn unmet(role: Role, state: State) -> Option<&'static str> {
    match (role, state) {
        (Role::Awaited(Condition::Completed), State::Completed)
        | (Role::Awaited(Condition::Started), State::Running | State::Completed)
        | (Role::Awaited(Condition::Healthy), State::Running)
        | (Role::Optional | Role::Needed, _) => None,
        (Role::Awaited(Condition::Completed), _) => Some("will not run to an end"),
        (Role::Awaited(_), _) => Some("will not be up"),
    }
}

/// A fixed address is one of its network's, and the network has subnets of its own (the engine's rule).
pub(super) fn check_addresses(readable: &[Readable<'_, '_>], findings: &mut Findings<'_>) {
    let networks: HashMap<&Name, &NetworkSpec> = readable
        .iter()
        .filter_map(|this| this.draft.manifest.as_ref())
        .filter_map(|manifest| match &manifest.spec {
            // What the subnets of somebody else's network are, its manifest need not say.
            Spec::Network(network) if manifest.adopt && network.subnets.is_empty() => None,
            Spec::Network(network) => Some((&manifest.id.name, network)),
            _ => None,
        })
        .collect();
    for this in readable {
        let attachments = this.container().into_iter().flat_map(|spec| spec.networks.iter().enumerate());
        for (index, attachment) in attachments {
            let Some(network) = networks.get(&attachment.name) else { continue };
            let path = FieldPath::root().key("spec").key("networks").index(index);
            if !this.draft.is_read(&path) {
                continue;
            }
            let addresses = [
                ("ipv4Address", attachment.ipv4_address.map(IpAddr::V4)),
                ("ipv6Address", attachment.ipv6_address.map(IpAddr::V6)),
            ];
            for (field, address) in addresses {
                let Some(address) = address else { continue };
                if !network.subnets.iter().any(|subnet| subnet.contains(address)) {
                    let message = format!("{address} is in no subnet of the network {}", attachment.name);
                    let hint = network.subnets.is_empty().then(|| {
                        "give the network `subnets`: the engine wants that for fixed addresses".to_owned()
                    });
                    findings.error(this.draft, &path.key(field), message, hint);
                }
            }
        }
    }
}

/// No container waits for itself, by whatever way.
pub(super) fn check_cycles(
    readable: &[Readable<'_, '_>],
    references: &[Reference],
    findings: &mut Findings<'_>,
) {
    let index_of: HashMap<&ResourceId, usize> =
        readable.iter().enumerate().filter_map(|(index, this)| Some((this.id()?, index))).collect();
    let mut edges: Vec<Vec<(usize, &FieldPath)>> = vec![Vec::new(); readable.len()];
    for reference in references.iter().filter(|reference| reference.kind == ManifestKind::Container) {
        if let (Some(edges), Some(&to)) = (edges.get_mut(reference.from), index_of.get(&reference.target)) {
            edges.push((to, &reference.path));
        }
    }
    let mut visits = vec![Visit::Not; readable.len()];
    for start in 0..readable.len() {
        if visits[start] == Visit::Not {
            walk(start, readable, &edges, &mut visits, findings);
        }
    }
}

/// Walks from a container to all that it waits for, and tells of every circle.
///
/// With a stack of its own: ten thousand containers in a row must not exhaust the thread's. Each edge takes
/// the same time, however long the circle is that it closes.
fn walk(
    start: usize,
    readable: &[Readable<'_, '_>],
    edges: &[Vec<(usize, &FieldPath)>],
    visits: &mut [Visit],
    findings: &mut Findings<'_>,
) {
    let begin = |node: usize| Stop { node, next: 0, leads_back_to: usize::MAX, told: 0 };
    let mut way = vec![begin(start)];
    visits[start] = Visit::OnTheWay(0);
    while let Some(stop) = way.last_mut() {
        let node = stop.node;
        if let Some(&(to, path)) = edges[node].get(stop.next) {
            stop.next += 1;
            match visits[to] {
                Visit::Not => {
                    visits[to] = Visit::OnTheWay(way.len());
                    way.push(begin(to));
                }
                Visit::Done => {}
                Visit::OnTheWay(place) => {
                    stop.leads_back_to = stop.leads_back_to.min(place);
                    stop.told += 1;
                    if stop.told > TOLD_OF_A_CONTAINER {
                        continue;
                    }
                    let hint = Some("take one of these dependencies away".to_owned());
                    findings.error(readable[node].draft, path, shown(&way[place..], readable), hint);
                }
            }
            continue;
        }
        let back = stop.leads_back_to;
        visits[node] = Visit::Done;
        way.pop();
        if back <= way.len() {
            findings.invalid.extend(readable[node].id().cloned());
        }
        if back < way.len()
            && let Some(before) = way.last_mut()
        {
            before.leads_back_to = before.leads_back_to.min(back);
        }
    }
}

/// A container on the way from another one.
struct Stop {
    node: usize,
    /// Which of its references is followed next.
    next: usize,
    /// The first place of the way that it waits for again, by whatever way.
    leads_back_to: usize,
    /// How many circles it closes, so far.
    told: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Not,
    /// At this place of it.
    OnTheWay(usize),
    Done,
}

fn shown(circle: &[Stop], readable: &[Readable<'_, '_>]) -> String {
    let id = |stop: &Stop| readable[stop.node].id().map(ToString::to_string).unwrap_or_default();
    if let [alone] = circle {
        return format!("{} waits for itself", id(alone));
    }
    let mut text = "these containers wait for each other: ".to_owned();
    for stop in circle.iter().take(SHOWN_OF_A_CIRCLE) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{} -> ", id(stop));
    }
    if circle.len() > SHOWN_OF_A_CIRCLE {
        let _ = write!(text, "{} more -> ", circle.len() - SHOWN_OF_A_CIRCLE);
    }
    if let Some(first) = circle.first() {
        let _ = write!(text, "{}", id(first));
    }
    text
}
