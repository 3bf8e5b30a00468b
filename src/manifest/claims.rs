//! What only one can have: a port of the host, an image's tag. In: documents. Out: every second claim,
//! naming the first. Both are left as they are: which one is wrong is not for a program to say.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Spec;
use super::check::{Findings, Valid};
use super::document::Draft;
use super::tree::{Node, Value};
use crate::resource::image::ImageSource;
use crate::resource::name::{Kind, ResourceId};
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
pub(super) fn check_ports(valid: &[Valid<'_, '_>], findings: &mut Findings<'_>) {
    let mut holders: HashMap<_, Holders> = HashMap::new();
    for (claimant, this) in valid.iter().enumerate() {
        let Some(container) = this.container().filter(|container| container.state.starts()) else {
            continue;
        };
        for (index, mapping) in container.ports.iter().enumerate() {
            // Of a range, the first port that is taken says enough.
            let taken = mapping.published().find_map(|port| {
                let host = port.host?;
                let holder = holders.entry((host, port.protocol)).or_default().claim(&port, claimant)?;
                Some((host, valid.get(holder)?))
            });
            if let Some((host, other)) = taken {
                let path = FieldPath::root().key("spec").key("ports").index(index);
                let message = format!("port {host} of the host is already published by {}", other.shown());
                findings.error(this.draft, path, message, None);
                findings.invalid.insert(other.manifest.id.clone());
            }
        }
    }
}

/// The image resource that bears a tag.
pub(super) type Tags = HashMap<ImageReference, ResourceId>;

/// No two images bear the same tag.
///
/// Returns who bears which tag, also of invalid documents as far as they can be read, so that a
/// container whose image is among them is not given another image of the same name.
pub(super) fn check_tags(drafts: &[Draft<'_>], valid: &[Valid<'_, '_>], findings: &mut Findings<'_>) -> Tags {
    let mut claims: HashMap<ImageReference, (Valid, bool)> = HashMap::new();
    for this in valid {
        for claim in claims_of(&this.manifest.spec) {
            let is_pulled = claim.is_pulled;
            let message = format!("the tag {} is already claimed by ", claim.tag);
            match claims.get(&claim.tag) {
                // The same reference pulled twice is the same image.
                Some((other, pulled_too))
                    if !(is_pulled && *pulled_too) && other.manifest.id != this.manifest.id =>
                {
                    findings.invalid.insert(other.manifest.id.clone());
                    findings.error(this.draft, claim.path, message + &other.shown(), None);
                }
                Some(_) => {}
                None => {
                    claims.insert(claim.tag, (*this, is_pulled));
                }
            }
        }
    }
    let mut tags: Tags =
        claims.into_iter().map(|(tag, (holder, _))| (tag, holder.manifest.id.clone())).collect();
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
