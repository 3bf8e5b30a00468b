//! What looks showed: by it, what was done to a thing whose events have no labels is known as done to a resource. In: each look,
//! and who began or ended since. Out: resources. Asks no engine.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::{Manner, Touch};
use crate::observed::{LiveStatus, Observed, ObservedContainer};
use crate::resource::label::{is_set_by, marked_image};
use crate::resource::name::{Kind, Owner, ResourceId};

/// For how long what a look did not show any more is known: an engine tells that something is removed after it does not list it.
const LINGERS: Duration = Duration::from_secs(5);
/// The same of tags, which a look has to miss before it is told that one was taken away: as long as that waits, and that.
const LINGERS_TAG: Duration = Duration::from_secs(20);

/// What looks showed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    last: Look,
    /// What the last did not show any more, and since when.
    gone: VecDeque<(Instant, ResourceId, String)>,
}

/// What is kept of a look.
#[derive(Debug, Default)]
struct Look {
    /// Containers of ours whose programs run.
    up: Ids,
    /// Those of ours that ran and are down.
    down: Ids,
    /// Containers that bear our labels and are not ours.
    strangers: Ids,
    networks: Ids,
    volumes: Ids,
    images: Ids,
    /// Our tags of images, each behind its image's id.
    tags: Ids,
}

/// The engine's ids and what our resources are called, in one piece of memory: they are noted while a look is whole, and what is
/// kept of it in a thousand pieces would keep a heap as large as that.
#[derive(Debug, Default)]
struct Ids(String);

impl Ids {
    fn of<T: AsRef<str>>(named: impl Iterator<Item = (impl AsRef<str>, T)>) -> Self {
        let mut lines = String::new();
        named.for_each(|(id, name)| lines.extend([id.as_ref(), " ", name.as_ref(), "\n"]));
        Self(lines)
    }

    /// What the resource is called that has this id.
    fn get(&self, id: &str) -> Option<&str> {
        self.iter().find(|(one, _)| *one == id).map(|(_, name)| name)
    }

    /// The ids, and what their resources are called.
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter_map(|line| line.split_once(' '))
    }

    fn contains(&self, id: &str) -> bool {
        self.get(id).is_some()
    }
}

impl Look {
    fn of(owner: &Owner, observed: &Observed) -> Self {
        let ours = |is: &dyn Fn(LiveStatus) -> bool| {
            let managed = observed.containers.iter().filter(|one| is(one.status));
            let managed = managed.filter_map(|one| Some((one.id.as_str(), one.managed.as_ref()?)));
            Ids::of(managed.map(|(id, managed)| (id, managed.resource.as_str())))
        };
        let is_stranger = |one: &&ObservedContainer| {
            one.managed.is_none() && one.other_owner.as_deref() == Some(owner.as_str())
        };
        let strangers = observed.containers.iter().filter(is_stranger);
        let networks = observed.networks.iter();
        let networks = networks.filter_map(|one| Some((one.id.as_str(), one.resource.as_ref()?.as_str())));
        let volumes = observed.volumes.iter().filter(|one| one.created.is_some());
        let marks = || {
            observed.images.iter().flat_map(|image| {
                let marked = move |mark| Some((image, mark, marked_image(owner, mark)?));
                image.references.iter().filter_map(marked)
            })
        };
        let tags = marks().flat_map(|(image, mark, name)| {
            let ours = image.references.iter().filter(move |one| *one == mark || is_set_by(mark, one));
            ours.map(move |tag| (tag_of(image.id.as_str(), &tag.to_string()), name.clone().to_string()))
        });
        // The engine starts by itself what it restarts, and lets it join its networks.
        let is_up = |status: LiveStatus| status.is_up() && status != LiveStatus::Restarting;
        Self {
            up: ours(&is_up),
            down: ours(&|status| !is_up(status) && status != LiveStatus::Created),
            strangers: Ids::of(strangers.map(|one| (one.id.as_str(), ""))),
            networks: Ids::of(networks),
            volumes: Ids::of(volumes.map(|one| (one.name.as_str(), one.name.as_str()))),
            images: Ids::of(marks().map(|(image, _, name)| (image.id.as_str(), name.to_string()))),
            tags: Ids::of(tags),
        }
    }

    /// What of a look before is not in this one, of what bears no labels in its events.
    fn gone_since(&self, before: &Self) -> Vec<(ResourceId, String)> {
        let kinds = [
            (Kind::Network, &self.networks, &before.networks),
            (Kind::Volume, &self.volumes, &before.volumes),
            (Kind::Image, &self.images, &before.images),
            (Kind::Image, &self.tags, &before.tags),
        ];
        let gone = kinds.into_iter().flat_map(|(kind, now, before)| {
            let there: BTreeSet<&str> = now.iter().map(|(id, _)| id).collect();
            let gone = before.iter().filter(move |(id, _)| !there.contains(id));
            gone.map(move |(id, name)| (kind, id.to_owned(), name.parse()))
        });
        gone.filter_map(|(kind, id, name)| Some((ResourceId::new(kind, name.ok()?), id))).collect()
    }
}

/// A tag of an image, as an id.
fn tag_of(image: &str, tag: &str) -> String {
    format!("{image}|{tag}")
}

impl Seen {
    /// A look has ended.
    pub(super) fn look(&mut self, owner: &Owner, observed: &Observed) {
        let look = Look::of(owner, observed);
        let (now, gone) = (Instant::now(), look.gone_since(&self.last));
        self.gone.retain(|(since, _, _)| since.elapsed() <= LINGERS_TAG);
        self.gone.extend(gone.into_iter().map(|(resource, id)| (now, resource, id)));
        self.last = look;
    }

    /// A container's program began or ended: until a look shows that it runs, it joins and leaves its networks by that.
    pub(super) fn turned(&mut self, container: &str) {
        if let Some(name) = self.last.up.get(container) {
            let line = format!("{container} {name}\n");
            self.last.up.0 = self.last.up.0.replacen(&line, "", 1);
            self.last.down.0.push_str(&line);
        }
    }

    /// As if all had.
    pub(super) fn lost(&mut self) {
        let up = std::mem::take(&mut self.last.up);
        self.last.down.0.push_str(&up.0);
    }

    /// Whether it is a container of ours that ran. Those that never did are looked into by a look itself.
    pub(super) fn ran(&self, id: &str) -> bool {
        self.last.up.contains(id) || self.last.down.contains(id)
    }

    /// Which resource something without labels in its events is.
    pub(super) fn whose(&self, touch: &Touch) -> Option<ResourceId> {
        let (id, last) = (&touch.id, &self.last);
        let known = match touch.kind {
            // What does not run joins its networks as it starts, and leaves them where that fails.
            Kind::Container => &last.up,
            Kind::Network => &last.networks,
            Kind::Volume => &last.volumes,
            Kind::Image => &last.images,
        };
        let name = known.get(id).and_then(|name| name.parse().ok());
        name.map(|name| ResourceId::new(touch.kind, name))
            .or_else(|| self.gone(LINGERS, touch.kind, |one| one == id))
    }

    /// Which resource a touch is to be told of: none if a container has its labels from an image that somebody committed from one
    /// of ours, or if no tag of ours is gone. Engines do not say which tag was taken away.
    pub(super) fn settled(&self, resource: &ResourceId, touch: &Touch) -> Option<ResourceId> {
        if touch.manner == Manner::Untag {
            let tags = tag_of(&touch.id, "");
            return self.gone(LINGERS_TAG, Kind::Image, |one| one.starts_with(&tags));
        }
        (!self.last.strangers.contains(&touch.id)).then(|| resource.clone())
    }

    /// What looks did not show any more since that time.
    fn gone(&self, since: Duration, kind: Kind, is: impl Fn(&str) -> bool) -> Option<ResourceId> {
        let mut gone = self.gone.iter().rev().take_while(|(at, _, _)| at.elapsed() <= since);
        gone.find(|(_, resource, id)| resource.kind == kind && is(id))
            .map(|(_, resource, _)| resource.clone())
    }
}
