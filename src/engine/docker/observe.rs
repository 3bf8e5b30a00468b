//! Looks at the engine: one list for each kind, then inspections of what is ours, in parallel.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptions,
    ListVolumesOptions,
};
use futures_util::{StreamExt, TryStreamExt, stream, try_join};
use serde::Serialize;
use serde_json::Value;

use super::error::{failed, is_absent, is_passing};
use super::{Session, files, parse, podman, registry};
use crate::engine::{EngineError, Scope};
use crate::fields::{self, Live};
use crate::observed::{EngineId, LiveStatus, Observed, ObservedContainer};
use crate::resource::label;
use crate::resource::name::{Kind, Name};

/// How many inspections are in flight. Measured on two cores: 8 is as fast as it gets.
const INSPECTIONS: usize = 8;

/// How often an answer that cannot be read is asked for again, and after which pauses: from the first one on,
/// each is twice as long, up to the longest. Under a stream of removals Docker 26 with the containerd image
/// store fails to list images several times in a row.
const ATTEMPTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn observe(engine: &Session, scope: &Scope) -> Result<Observed, EngineError> {
    let at_registries = async { Ok(registry::ask(engine, &scope.at_registries).await) };
    let ((containers, identities), images, networks, volumes, at_registries) = try_join!(
        containers(engine, scope),
        images(engine),
        networks(engine),
        volumes(engine),
        at_registries
    )?;
    let mut observed =
        Observed { containers, at_registries, cannot_update: engine.is_podman, ..Observed::default() };
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
        image.config = configs.remove(image.id.as_str()).map(|(live, _)| live);
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

pub(super) fn document(what: &str, answer: &impl Serialize) -> Result<Value, EngineError> {
    serde_json::to_value(answer)
        .map_err(|error| EngineError::Unreadable { what: what.to_owned(), cause: error.to_string() })
}

pub(super) fn documents<T: Serialize>(what: &str, answers: &[T]) -> Result<Vec<Value>, EngineError> {
    answers.iter().map(|answer| document(what, answer)).collect()
}

pub(super) async fn images(engine: &Session) -> Result<Vec<Value>, EngineError> {
    let options = ListImagesOptionsBuilder::new().build();
    let listed = read(engine, "the images", || engine.docker.list_images(Some(options.clone()))).await?;
    let mut listed = documents("the images", &listed)?;
    if engine.is_podman {
        listed.iter_mut().for_each(podman::image);
    }
    Ok(listed)
}

pub(super) async fn networks(engine: &Session) -> Result<Vec<Value>, EngineError> {
    let listed =
        read(engine, "the networks", || engine.docker.list_networks(None::<ListNetworksOptions>)).await?;
    let mut listed = documents("the networks", &listed)?;
    if engine.is_podman {
        listed.iter_mut().for_each(podman::network);
    }
    Ok(listed)
}

pub(super) async fn volumes(engine: &Session) -> Result<Vec<Value>, EngineError> {
    let listed =
        read(engine, "the volumes", || engine.docker.list_volumes(None::<ListVolumesOptions>)).await?;
    documents("the volumes", &listed.volumes.unwrap_or_default())
}

/// What an image gives to containers, and what labels of ours say that it carries.
async fn image_config(engine: &Session, id: String) -> Result<(String, (Live, Option<String>)), EngineError> {
    let answer = read(engine, &format!("image {id}"), || engine.docker.inspect_image(&id)).await?;
    let config = document("an image", &answer.config)?;
    Ok((id, (fields::read_image(&config), label::identity(&config["Labels"]))))
}

/// An inspection in Docker's form, whichever engine gave it.
pub(super) async fn in_dockers_form(engine: &Session, mut inspection: Value) -> Result<Value, EngineError> {
    if engine.is_podman {
        let id = inspection["Image"].as_str().unwrap_or_default().to_owned();
        let what = format!("image {}", fields::plain(&id));
        let ask = || async {
            match engine.docker.inspect_image(&id).await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let image = match read(engine, &what, ask).await? {
            Some(image) => document(&what, &image.config)?,
            None => Value::Null,
        };
        podman::container(&mut inspection, &image);
    }
    Ok(inspection)
}

/// The containers, and what our labels on ours say.
async fn containers(
    engine: &Session,
    scope: &Scope,
) -> Result<(Vec<ObservedContainer>, HashMap<EngineId, String>), EngineError> {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let listed =
        read(engine, "the containers", || engine.docker.list_containers(Some(options.clone()))).await?;
    let mut listed = documents("the containers", &listed)?;
    if engine.is_podman {
        listed.iter_mut().for_each(podman::listed);
    }
    let names: BTreeMap<String, String> = listed
        .iter()
        .map(|document| {
            (
                document["Id"].as_str().unwrap_or_default().to_owned(),
                parse::container_name(document).to_owned(),
            )
        })
        .collect();
    let mut containers = Vec::new();
    let mut identities = HashMap::new();
    let mut ours: Vec<(String, Name)> = Vec::new();
    let mut strangers: Vec<(String, Name)> = Vec::new();
    for document in &listed {
        let what = format!("container {}", parse::container_name(document));
        if let Some(name) = parse::resource(&document["Labels"], &scope.owner, Kind::Container, &what)? {
            let id = document["Id"].as_str().unwrap_or_default();
            if let (Ok(id), Some(identity)) = (id.parse(), label::identity(&document["Labels"])) {
                identities.insert(id, identity);
            }
            ours.push((id.to_owned(), name));
            continue;
        }
        let container = parse::listed_container(document)?;
        let may_be = scope.adopts(&container.name) && container.other_owner.is_none();
        match container.name.parse().ok().filter(|_| may_be) {
            Some(name) => strangers.push((container.id.as_str().to_owned(), name)),
            None => containers.push(container),
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

/// A container of ours; `None` if it went between the list and now, in the engine's own words.
async fn inspect(
    engine: &Session,
    id: String,
    name: Name,
    names: &BTreeMap<String, String>,
) -> Result<Option<ObservedContainer>, EngineError> {
    let what = format!("container {name}");
    let ask = || async {
        match engine.docker.inspect_container(&id, None::<InspectContainerOptions>).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let Some(answer) = read(engine, &what, ask).await? else { return Ok(None) };
    let inspection = Box::pin(in_dockers_form(engine, document(&what, &answer)?)).await?;
    let mut container = parse::inspected_container(&inspection, name, names)?;
    if let (LiveStatus::Created, Some(managed)) = (container.status, &mut container.managed) {
        for path in std::mem::take(&mut managed.files).into_keys() {
            if let Some(digest) = files::digest(engine, &what, &id, &path).await? {
                managed.files.insert(path, digest);
            }
        }
    }
    Ok(Some(container))
}
