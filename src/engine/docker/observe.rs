//! Looks at the engine: one list for each kind, and inspections of what is ours, in parallel.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, join, stream, try_join};
use serde_json::Value;
use tokio::time::timeout;

use super::error::{failed, is_absent, is_passing};
use super::perform::segment;
use super::{AHEAD, Ahead, Session, files, parse, podman, raw, registry, target};
use crate::engine::{EngineError, Scope};
use crate::fields::{self, Live};
use crate::observed::{EngineId, LiveStatus, Observed, ObservedContainer};
use crate::resource::label;
use crate::resource::name::{Kind, Name, Owner};

/// How many inspections are in flight. Measured on two cores: 8 is as fast as it gets.
const INSPECTIONS: usize = 8;

/// How often an answer that cannot be read is asked for again, and after which pauses: from the first one on,
/// each is twice as long, up to the longest. Under a stream of removals Docker 26 with the containerd image
/// store fails to list images several times in a row.
const ATTEMPTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where engines list what they have.
const ALL_CONTAINERS: &str = "/containers/json?all=true";
const IMAGES: &str = "/images/json";
const NETWORKS: &str = "/networks";
const VOLUMES: &str = "/volumes";

/// Asks for what every look begins with. What cannot be had the look itself asks for, and tells why.
pub(super) async fn lists(engine: &Session) -> Ahead {
    let ask = |path: &'static str| async move {
        let docker = engine.kept_at(path).ok()?;
        let answer = timeout(AHEAD, raw::whole(raw::get(&docker))).await.ok()?;
        Some((path, answer.ok()?))
    };
    let (containers, images, networks, volumes) =
        join!(ask(ALL_CONTAINERS), ask(IMAGES), ask(NETWORKS), ask(VOLUMES));
    [containers, images, networks, volumes].into_iter().flatten().collect()
}

pub(super) async fn observe(engine: &Session, scope: &Scope) -> Result<Observed, EngineError> {
    let at_registries = async { Ok(registry::ask(engine, &scope.at_registries).await) };
    let ((containers, identities), images, networks, volumes, at_registries) = try_join!(
        containers(engine, scope),
        images(engine),
        networks(engine),
        volumes(engine),
        at_registries
    )?;
    let mut observed = Observed {
        containers,
        at_registries,
        cannot_update: engine.is_podman,
        platform: engine.platform.clone(),
        ..Observed::default()
    };
    for document in &networks {
        observed.networks.push(parse::network(document, &scope.owner)?);
    }
    for document in &volumes {
        observed.volumes.push(parse::volume(document, &scope.owner)?);
    }
    let mut listed =
        images.iter().map(|document| parse::image(document, None)).collect::<Result<Vec<_>, _>>()?;
    let used: BTreeSet<_> = observed
        .containers
        .iter()
        .filter(|container| container.managed.is_some() || container.stranger.is_some())
        .filter_map(|container| container.image.clone())
        .collect();
    let wanted: Vec<String> = listed
        .iter()
        .filter(|image| used.contains(&image.id) || !image.references.is_disjoint(&scope.images))
        .filter(|image| !scope.assembled.contains_key(&image.id))
        .map(|image| image.id.as_str().to_owned())
        .collect();
    let mut configs: HashMap<String, (Live, Option<String>)> = stream::iter(wanted)
        .map(|id| image_config(engine, id))
        .buffer_unordered(INSPECTIONS)
        .try_collect()
        .await?;
    // A container whose labels its image carries has them from there (an image committed from a container
    // of ours); somebody else started it.
    for container in &mut observed.containers {
        let image = container.image.as_ref().and_then(|image| configs.get(image.as_str()));
        let inherited = image.and_then(|(_, identity)| identity.as_ref());
        if inherited.is_some() && inherited == identities.get(&container.id) {
            container.managed = None;
        }
    }
    for image in &mut listed {
        let asked = configs.remove(image.id.as_str()).map(|(live, _)| live);
        image.config = asked.or_else(|| scope.assembled.get(&image.id).cloned());
    }
    observed.images = listed;
    sort(&mut observed);
    Ok(observed)
}

fn sort(observed: &mut Observed) {
    observed.containers.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    observed.images.sort_by(|a, b| a.id.cmp(&b.id));
    observed.networks.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    observed.volumes.sort_by(|a, b| a.name.cmp(&b.name));
}

/// Asks until the answer can be read, a few times.
pub(super) async fn read<T, F>(engine: &Session, what: &str, ask: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, bollard::errors::Error>>,
{
    let mut attempt = 1;
    let mut pause = PAUSE;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if attempt < ATTEMPTS && is_passing(&error) => {
                attempt += 1;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(failed(&engine.endpoint, what, error)),
        }
    }
}

/// The answer at a path, read.
async fn answer<T>(
    engine: &Session,
    what: &str,
    path: &str,
    parse: impl Fn(&[u8]) -> Result<T, bollard::errors::Error>,
) -> Result<T, EngineError> {
    if let Some(read) = engine.asked_ahead(path).and_then(|answer| parse(&answer).ok()) {
        return Ok(read);
    }
    let docker = engine.kept_at(path)?;
    read(engine, what, async || parse(&raw::whole(raw::get(&docker)).await?)).await
}

/// The JSON at a path, as the engine answers it.
pub(super) async fn asked(engine: &Session, what: &str, path: &str) -> Result<Value, EngineError> {
    answer(engine, what, path, raw::json).await
}

/// What the engine lists.
fn listed(what: &str, answer: Value) -> Result<Vec<Value>, EngineError> {
    match answer {
        Value::Array(listed) => Ok(listed),
        _ => Err(EngineError::Unreadable { what: what.to_owned(), cause: "it is no list".to_owned() }),
    }
}

pub(super) async fn all_containers(engine: &Session) -> Result<Vec<Value>, EngineError> {
    let containers = asked(engine, "the containers", ALL_CONTAINERS).await?;
    let mut containers = listed("the containers", containers)?;
    if engine.is_podman {
        containers.iter_mut().for_each(podman::listed);
    }
    Ok(containers)
}

/// What is kept of a container that the engine lists.
struct Entry {
    id: String,
    /// As what manifests know it.
    known_as: String,
    whose: Whose,
}

enum Whose {
    /// Ours, which resource, and what our labels on it say.
    Ours(Name, Option<String>),
    /// Nobody's, or another Invigil's.
    Others(Box<ObservedContainer>),
}

impl Entry {
    fn of(mut document: Value, engine: &Session, owner: &Owner) -> Result<Self, EngineError> {
        if engine.is_podman {
            podman::listed(&mut document);
        }
        let what = format!("container {}", parse::container_name(&document));
        let whose = match parse::resource(&document["Labels"], owner, Kind::Container, &what)? {
            Some(name) => Whose::Ours(name, label::identity(&document["Labels"])),
            None => Whose::Others(Box::new(parse::listed_container(&document)?)),
        };
        let id = document["Id"].as_str().unwrap_or_default().to_owned();
        Ok(Self { id, known_as: parse::known_as(&document, owner)?, whose })
    }
}

async fn entries(engine: &Session, owner: &Owner) -> Result<Vec<Entry>, EngineError> {
    let entries = |answer: &[u8]| raw::list(answer, |document| Entry::of(document, engine, owner));
    answer(engine, "the containers", ALL_CONTAINERS, entries).await?.into_iter().collect()
}

pub(super) async fn images(engine: &Session) -> Result<Vec<Value>, EngineError> {
    let mut images = listed("the images", asked(engine, "the images", IMAGES).await?)?;
    if engine.is_podman {
        images.iter_mut().for_each(podman::image);
    }
    Ok(images)
}

pub(super) async fn networks(engine: &Session) -> Result<Vec<Value>, EngineError> {
    let mut networks = listed("the networks", asked(engine, "the networks", NETWORKS).await?)?;
    if engine.is_podman {
        networks.iter_mut().for_each(podman::network);
    }
    Ok(networks)
}

pub(super) async fn volumes(engine: &Session) -> Result<Vec<Value>, EngineError> {
    let mut answer = asked(engine, "the volumes", VOLUMES).await?;
    match answer["Volumes"].take() {
        Value::Null if answer.is_object() => Ok(Vec::new()),
        volumes => listed("the volumes", volumes),
    }
}

/// A container's inspection; `None` if it went since it was listed, in the engine's own words.
pub(super) async fn container(engine: &Session, what: &str, id: &str) -> Result<Option<Value>, EngineError> {
    let Some(mut inspection) = there(engine, what, &format!("/containers/{}/json", segment(id)?)).await?
    else {
        return Ok(None);
    };
    if engine.is_podman {
        let id = inspection["Image"].as_str().unwrap_or_default().to_owned();
        let what = format!("image {}", fields::plain(&id));
        let mut image = there(engine, &what, &format!("/images/{}/json", segment(&id)?)).await?;
        let config = image.as_mut().map(|image| image["Config"].take());
        podman::container(&mut inspection, &config.unwrap_or_default());
    }
    Ok(Some(inspection))
}

/// The JSON at a path; `None` if there is nothing, in the engine's own words.
pub(super) async fn there(engine: &Session, what: &str, path: &str) -> Result<Option<Value>, EngineError> {
    let docker = engine.kept_at(path)?;
    let ask = || async {
        match raw::whole(raw::get(&docker)).await {
            Ok(answer) => raw::json(&answer).map(Some),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    };
    read(engine, what, ask).await
}

pub(super) async fn image(engine: &Session, id: &str) -> Result<Value, EngineError> {
    let mut image = asked(engine, &format!("image {id}"), &format!("/images/{}/json", segment(id)?)).await?;
    if engine.is_podman {
        podman::image(&mut image);
    }
    Ok(image)
}

/// What an image gives to containers, and what labels of ours say that it carries.
async fn image_config(engine: &Session, id: String) -> Result<(String, (Live, Option<String>)), EngineError> {
    let config = &image(engine, &id).await?["Config"];
    Ok((id, (fields::read_image(config), label::identity(&config["Labels"]))))
}

/// The containers, and what our labels on ours say. Those that should be there are looked at by their names meanwhile:
/// engines take as long for the list as for a third of the inspections, and do it on one core.
async fn containers(
    engine: &Session,
    scope: &Scope,
) -> Result<(Vec<ObservedContainer>, HashMap<EngineId, String>), EngineError> {
    let (listed, mut known) = try_join!(entries(engine, &scope.owner), by_name(engine, scope))?;
    let mut names = BTreeMap::new();
    let mut containers = Vec::new();
    let mut identities = HashMap::new();
    let mut ours: Vec<(String, Name)> = Vec::new();
    let mut strangers: Vec<(String, Name)> = Vec::new();
    for Entry { id, known_as, whose } in listed {
        names.insert(id.clone(), known_as);
        match whose {
            Whose::Ours(name, identity) => {
                if let (Ok(id), Some(identity)) = (id.parse(), identity) {
                    identities.insert(id, identity);
                }
                match known.remove(&id) {
                    Some(container) => containers.push(container),
                    None => ours.push((id, name)),
                }
            }
            Whose::Others(container) => {
                let adopted = scope.adopted.get(&container.name).filter(|_| container.other_owner.is_none());
                match adopted {
                    Some(name) => strangers.push((id, name.clone())),
                    None => containers.push(*container),
                }
            }
        }
    }
    let names = &names;
    let inspected: Vec<Option<ObservedContainer>> = stream::iter(ours)
        .map(|(id, name)| inspect(engine, id, name, names))
        .buffer_unordered(INSPECTIONS)
        .try_collect()
        .await?;
    containers.extend(inspected.into_iter().flatten());
    for (id, name) in strangers {
        // What is not ours must not count as ours by being looked at.
        let stranger = inspect(engine, id, name, names).await?;
        containers.extend(stranger.map(|one| ObservedContainer {
            stranger: one.managed,
            managed: None,
            ..one
        }));
    }
    Ok((containers, identities))
}

/// The containers of ours that bear the names of those that should be there, by id. What the engine does not list besides
/// is gone, or was not there yet.
async fn by_name(engine: &Session, scope: &Scope) -> Result<HashMap<String, ObservedContainer>, EngineError> {
    // Others could be taken for the beginning of an id.
    let wanted = scope.containers.iter().filter(|name| !target::is_like_an_id(name.as_str()));
    let wanted: Vec<Name> = wanted.cloned().collect();
    let found: Vec<Option<ObservedContainer>> = stream::iter(wanted)
        .map(|name| called(engine, &scope.owner, name))
        .buffer_unordered(INSPECTIONS)
        .try_collect()
        .await?;
    let ids = found.into_iter().flatten().map(|container| (container.id.as_str().to_owned(), container));
    Ok(ids.collect())
}

/// The container of this name; `None` if there is none, if it is not ours, or if it takes all containers' names to read it.
/// One that cannot be read may be anybody's: ours are looked at again by their ids, and that decides (law 1).
async fn called(
    engine: &Session,
    owner: &Owner,
    name: Name,
) -> Result<Option<ObservedContainer>, EngineError> {
    match ours_called(engine, owner, name).await {
        Err(error) if !error.is_unreachable() => Ok(None),
        looked => looked,
    }
}

async fn ours_called(
    engine: &Session,
    owner: &Owner,
    name: Name,
) -> Result<Option<ObservedContainer>, EngineError> {
    let what = format!("container {name}");
    let Some(answer) = Box::pin(container(engine, &what, name.as_str())).await? else { return Ok(None) };
    let Some(resource) = parse::resource(&answer["Config"]["Labels"], owner, Kind::Container, &what)? else {
        return Ok(None);
    };
    if parse::shares(&answer) {
        return Ok(None);
    }
    let id = answer["Id"].as_str().unwrap_or_default().to_owned();
    read_inspection(engine, (&what, &id), answer, resource, &BTreeMap::new()).await.map(Some)
}

/// A container of ours; `None` if it went between the list and now.
async fn inspect(
    engine: &Session,
    id: String,
    name: Name,
    names: &BTreeMap<String, String>,
) -> Result<Option<ObservedContainer>, EngineError> {
    let what = format!("container {name}");
    let Some(answer) = Box::pin(container(engine, &what, &id)).await? else { return Ok(None) };
    read_inspection(engine, (&what, &id), answer, name, names).await.map(Some)
}

/// Whether the host's kernel has the means to limit swap. Asked where it decides, and once: engines count all they have for the
/// same answer.
async fn limits_swap(engine: &Session) -> Result<bool, EngineError> {
    let ask = || async {
        let info = asked(engine, "the engine's own state", "/info").await?;
        Ok(info["SwapLimit"] != false)
    };
    engine.limits_swap.get_or_try_init(ask).await.copied()
}

/// A container of ours from its inspection, and of one that never ran the files that are in it.
async fn read_inspection(
    engine: &Session,
    (what, id): (&str, &str),
    mut answer: Value,
    name: Name,
    names: &BTreeMap<String, String>,
) -> Result<ObservedContainer, EngineError> {
    let limits_swap = !fields::has_endless_swap(&answer) || limits_swap(engine).await?;
    fields::without_idle_swap(&mut answer, limits_swap);
    let mut container = parse::inspected_container(answer, name, names)?;
    if let (LiveStatus::Created, Some(managed)) = (container.status, &mut container.managed) {
        for path in std::mem::take(&mut managed.files).into_keys() {
            if let Some(digest) = files::digest(engine, what, id, &path).await? {
                managed.files.insert(path, digest);
            }
        }
    }
    Ok(container)
}
