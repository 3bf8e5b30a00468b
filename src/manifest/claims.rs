//! What only one can have: a port of the host, a range of addresses, an image's tag, a container that is renamed. In:
//! documents. Out: every second claim, naming the first. Both are left as they are: which one is wrong is not for a program to say.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::Spec;
use super::check::{Findings, Readable};
use super::document::Draft;
use super::tree::{Node, Value};
use crate::resource::image::ImageSource;
use crate::resource::name::{Kind, Name, ResourceId};
use crate::resource::port::PublishedPort;
use crate::resource::reference::ImageReference;
use crate::resource::violation::FieldPath;

/// Who holds one port of the host, by number and protocol, on which of its addresses.
///
/// The rule is [`PublishedPort::collides_with`]'s, arranged so that a port is not compared with every
/// other one.
#[derive(Default)]
struct Holders {
    first: Option<usize>,
    on_all_addresses: Option<usize>,
    by_address: HashMap<IpAddr, usize>,
}

impl Holders {
    /// Who already holds what `port` needs, if anybody does; notes the claim.
    fn claim(&mut self, port: &PublishedPort, claimant: usize) -> Option<usize> {
        let holder = match port.host_ip.filter(|ip| !ip.is_unspecified()) {
            None => {
                let holder = self.first;
                self.on_all_addresses.get_or_insert(claimant);
                holder
            }
            Some(ip) => {
                let same_address = *self.by_address.entry(ip).or_insert(claimant);
                self.on_all_addresses.or(Some(same_address))
            }
        };
        self.first.get_or_insert(claimant);
        holder.filter(|holder| *holder != claimant)
    }
}

/// No two containers that are to run publish the same port of the host.
pub(super) fn check_ports(readable: &[Readable<'_, '_>], findings: &mut Findings<'_>) {
    let mut holders: HashMap<_, Holders> = HashMap::new();
    for (claimant, this) in readable.iter().enumerate() {
        // Too many are told as that; comparing each of them would take for ever.
        let claiming = this.running().filter(|container| !container.publishes_too_many());
        let ports = claiming.into_iter().flat_map(|container| container.ports.iter().enumerate());
        for (index, mapping) in ports {
            let path = FieldPath::root().key("spec").key("ports").index(index);
            if !this.draft.is_read(&path) {
                continue;
            }
            // Of a range, the first port that is taken says enough.
            let taken = mapping.published().find_map(|port| {
                let host = port.host?;
                let holder = holders.entry((host, port.protocol)).or_default().claim(&port, claimant)?;
                Some((host, readable.get(holder)?))
            });
            if let Some((host, other)) = taken.filter(|(_, other)| !is_one(this.id(), other.id())) {
                let message =
                    format!("port {host} of the host is already published by {}", other.draft.shown());
                findings.contested(this.draft, &path, message, other.draft, None);
                findings.invalid.extend(other.id().cloned());
            }
        }
    }
}

/// No two networks have the same addresses.
pub(super) fn check_subnets(readable: &[Readable<'_, '_>], findings: &mut Findings<'_>) {
    let mut claims: Vec<(IpNet, usize, usize)> = Vec::new();
    for (claimant, this) in readable.iter().enumerate() {
        let Spec::Network(network) = this.spec else { continue };
        let ranges = network.own_subnets().filter_map(|(index, subnet)| Some((subnet.range()?, index)));
        claims.extend(ranges.map(|(range, index)| (range, claimant, index)));
    }
    // A range is in another one or beside it: in this order, what it is in comes just before it.
    claims.sort();
    let mut around: Vec<(IpNet, usize)> = Vec::new();
    for (range, claimant, index) in claims {
        while around.last().is_some_and(|(outer, _)| !outer.contains(&range)) {
            around.pop();
        }
        let (this, outer) = (readable.get(claimant), around.last().copied());
        around.push((range, claimant));
        let path = FieldPath::root().key("spec").key("subnets").index(index);
        let (Some(this), Some((outer, holder))) = (this, outer) else { continue };
        let Some(other) = readable.get(holder).filter(|other| !is_one(this.id(), other.id())) else {
            continue;
        };
        if this.draft.is_read(&path) {
            let message = format!("{range} overlaps with {outer} of {}", other.draft.shown());
            findings.contested(this.draft, &path, message, other.draft, None);
            findings.invalid.extend(other.id().cloned());
        }
    }
}

/// No two containers were the same one, and none was one that is still described.
pub(super) fn check_previous_names(drafts: &[Draft<'_>], findings: &mut Findings<'_>) {
    let described: HashSet<&ResourceId> = drafts.iter().filter_map(|draft| draft.id.as_ref()).collect();
    let mut claims: HashMap<&Name, &Draft<'_>> = HashMap::new();
    for draft in drafts {
        let Some(previous) = draft.manifest.as_ref().and_then(|manifest| manifest.previous_name.as_ref())
        else {
            continue;
        };
        let path = FieldPath::root().key("metadata").key("previousName");
        let id = ResourceId::new(Kind::Container, previous.clone());
        if draft.id.as_ref() == Some(&id) {
            let hint = Some("name what it was called before, or take this line away".to_owned());
            findings.error(draft, &path, "it is called so now".to_owned(), hint);
        } else if described.contains(&id) {
            let message = format!("{id} is still described itself");
            let hint = "take that manifest away, and its container becomes this one; or this line, if it has become it already";
            findings.error(draft, &path, message, Some(hint.to_owned()));
            findings.invalid.insert(id);
        } else if let Some(other) = claims.insert(previous, draft) {
            let message = format!("{id} already becomes {}", other.shown());
            findings.contested(draft, &path, message, other, None);
            findings.invalid.extend(other.id.clone());
        }
    }
}

/// Whether two documents describe one resource, which is told as that.
fn is_one(one: Option<&ResourceId>, other: Option<&ResourceId>) -> bool {
    one.is_some() && one == other
}

/// The image resource that bears a tag.
pub(super) type Tags = HashMap<ImageReference, ResourceId>;

/// No two images bear the same tag.
///
/// Returns who bears which tag, also of invalid documents as far as they can be read, so that a
/// container whose image is among them is not given another image of the same name.
pub(super) fn check_tags(
    drafts: &[Draft<'_>],
    readable: &[Readable<'_, '_>],
    findings: &mut Findings<'_>,
) -> Tags {
    let mut claims: HashMap<ImageReference, (&Draft<'_>, bool)> = HashMap::new();
    for Readable { draft, spec } in readable {
        for claim in claims_of(spec).into_iter().filter(|claim| draft.is_read(&claim.path)) {
            let is_pulled = claim.is_pulled;
            match claims.get(&claim.tag) {
                // The same reference pulled twice is the same image.
                Some((other, pulled_too))
                    if !((is_pulled && *pulled_too) || is_one(other.id.as_ref(), draft.id.as_ref())) =>
                {
                    findings.invalid.extend(other.id.clone());
                    let message = format!("the tag {} is already claimed by {}", claim.tag, other.shown());
                    findings.contested(draft, &claim.path, message, other, None);
                }
                Some(_) => {}
                None => {
                    claims.insert(claim.tag, (*draft, is_pulled));
                }
            }
        }
    }
    let mut tags: Tags =
        claims.into_iter().filter_map(|(tag, (holder, _))| Some((tag, holder.id.clone()?))).collect();
    for draft in drafts.iter().filter(|draft| draft.manifest.is_none()) {
        if let Some(id) = draft.id.as_ref().filter(|id| id.kind == Kind::Image) {
            tags.extend(tags_of_invalid(&draft.root, id).map(|tag| (tag, id.clone())));
        }
    }
    tags
}

struct Claim {
    tag: ImageReference,
    path: FieldPath,
    is_pulled: bool,
}

fn claims_of(spec: &Spec) -> Vec<Claim> {
    let root = FieldPath::root().key("spec");
    match spec {
        Spec::Image(image) => {
            let pulled = match image.source() {
                Some(ImageSource::Pull(pull)) if pull.reference.tag().is_some() => Some(Claim {
                    tag: pull.reference.clone(),
                    path: root.key("pull").key("reference"),
                    is_pulled: true,
                }),
                _ => None,
            };
            let tags = image.tags.iter().enumerate().map(|(index, tag)| Claim {
                tag: tag.clone(),
                path: root.key("tags").index(index),
                is_pulled: false,
            });
            pulled.into_iter().chain(tags).collect()
        }
        Spec::ProblemSet(set) => {
            let tag = format!("{}:{}", set.repository, set.tag).parse();
            tag.into_iter().map(|tag| Claim { tag, path: root.key("image"), is_pulled: false }).collect()
        }
        Spec::Container(_) | Spec::Network(_) | Spec::Volume(_) => Vec::new(),
    }
}

/// The tags that an invalid Image or `ProblemSet` seems to claim.
fn tags_of_invalid<'n>(root: &'n Node<'_>, id: &'n ResourceId) -> impl Iterator<Item = ImageReference> {
    let spec = root.get("spec");
    let listed = match spec.and_then(|spec| spec.get("tags")).map(|tags| &tags.value) {
        Some(Value::List(tags)) => tags.as_slice(),
        _ => &[],
    };
    let pulled = spec.and_then(|spec| spec.get("pull")?.get("reference"));
    let image = spec.and_then(|spec| spec.get("image"));
    let repository = image.and_then(|image| image.get("repository")?.text()).unwrap_or(id.name.as_str());
    let tag = image.and_then(|image| image.get("tag")?.text()).unwrap_or("latest");
    let written = listed.iter().chain(pulled).filter_map(|node| node.text()?.parse().ok());
    written.chain(format!("{repository}:{tag}").parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Holders;
    use crate::resource::port::{PortMapping, PublishedPort};

    fn port(address: &str) -> PublishedPort {
        let mapping: PortMapping = format!("{address}80:80").parse().expect("a mapping");
        mapping.published().next().expect("a port")
    }

    proptest! {
        #[test]
        fn a_claim_is_refused_exactly_when_it_collides_with_one_before(
            addresses in prop::collection::vec(prop::sample::select(vec!["", "0.0.0.0:", "127.0.0.1:", "10.0.0.1:", "[::]:", "[::1]:"]), 0..6)
        ) {
            let mut holders = Holders::default();
            for (index, address) in addresses.iter().enumerate() {
                let collides = addresses[..index].iter().any(|other| port(other).collides_with(&port(address)));
                prop_assert_eq!(holders.claim(&port(address), index).is_some(), collides);
            }
        }
    }
}
