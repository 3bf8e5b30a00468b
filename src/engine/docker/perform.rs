//! Does the steps of a plan, each with one call of the engine's API where one is enough. What is
//! already so counts as done.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{
    ContainerConfig, ContainerCreateBody, ContainerUpdateBody, EndpointSettings, NetworkConnectRequest,
    NetworkCreateRequest, NetworkDisconnectRequest, VolumeCreateRequest,
};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions,
    KillContainerOptionsBuilder, ListNetworksOptions, RemoveContainerOptionsBuilder,
    RenameContainerOptionsBuilder, RestartContainerOptions, StartContainerOptions, StopContainerOptions,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::build::Order;
use super::error::{failed, is_absent, is_already};
use super::overtaken::again;
use super::tags::{brings, image_id, pull_and_mark, tag, untag, untag_of};
use super::{Session, build, files, on_base, podman, registry, save, target, transfer, wait};
use crate::desired::{Ingredients, Recipe};
use crate::engine::{EngineError, PATIENCE_MAX, Progress};
use crate::fields;
use crate::plan::Step;
use crate::resource::label;
use crate::resource::name::Name;
use crate::resource::platform::Platform;
use crate::resource::reference::{ImageId, ImageReference};

/// How often a container that is waited for is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// How long a removal that somebody else asked for may take.
const REMOVAL: Duration = Duration::from_secs(30);

pub(super) async fn perform(
    engine: &Session,
    step: &Step,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    match (target::meant(engine, step).await?, step) {
        (Some(step), _) => act(engine, &step, progress).await,
        // What is not there is gone already.
        (None, Step::Stop(_) | Step::RemoveContainer(_) | Step::Disconnect { .. } | Step::Collect { .. }) => {
            Ok(())
        }
        (None, step) => {
            Err(EngineError::refused(format!("{}: there is no container of this name", step.task())))
        }
    }
}

async fn act(engine: &Session, step: &Step, progress: &Progress<'_>) -> Result<(), EngineError> {
    let docker = &engine.docker;
    let what = step.task();
    let done = |result: Result<(), bollard::errors::Error>| match result {
        Err(error) if is_already(&error, step) => Ok(()),
        result => result.map_err(|error| failed(&engine.endpoint, &what, error)),
    };
    let gone = |result: Result<(), bollard::errors::Error>| match result {
        Err(error) if is_absent(&error) => Ok(()),
        result => done(result),
    };
    match step {
        Step::LoadPapers(images) => transfer::load_papers(&patient(engine), images).await,
        Step::LoadOnBase { image, mark } => {
            on_base::load(&patient(engine), &what, image, mark, progress).await
        }
        Step::LoadArchive { archive, ids, .. } => load_archive(engine, &what, archive, ids, progress).await,
        Step::Pull { reference, platform, digest, mark } => {
            // The engine answers only once a registry, or its mirrors one after the other, did.
            let patient = patient(engine);
            let pulled = registry::pull(&patient, reference, platform.as_ref(), progress);
            let pulled = brings(engine, &what, reference, digest.as_ref(), pulled);
            match mark {
                Some(mark) => pull_and_mark(engine, &what, reference, mark, pulled).await,
                None => pulled.await,
            }
        }
        Step::Push(tag) => registry::push(&patient(engine), tag, progress).await,
        Step::Save { image, archive } => save::save(&patient(engine), &what, image, archive, progress).await,
        Step::Make { recipe, tag } => make_marked(engine, &what, recipe, tag, progress).await,
        Step::Tag { image, tags, mark } => tag(engine, &what, image, tags, mark.as_ref()).await,
        Step::Untag { image, tag } => untag_of(engine, &what, image, tag).await,
        Step::CreateNetwork { name, spec, labels } => {
            create_network(engine, &what, name, &fields::network_body(name, spec, labels)).await
        }
        Step::RemoveNetwork(network) | Step::RemoveTrial(network) => {
            gone(docker.remove_network(segment(network)?).await)
        }
        Step::CreateVolume { name, spec, labels } => {
            let docker = engine.sending(&fields::volume_body(name, spec, labels));
            done(docker.create_volume(VolumeCreateRequest::default()).await.map(|_| ()))
        }
        Step::CreateContainer { name, body, platform } => {
            create_container(engine, &what, name, body, platform.as_ref()).await
        }
        Step::Start(container) => {
            done(docker.start_container(segment(container)?, None::<StartContainerOptions>).await)
        }
        Step::Stop(container) => {
            let docker = able_to_stop(engine, container).await?;
            gone(docker.stop_container(segment(container)?, None::<StopContainerOptions>).await)
        }
        Step::Restart(container) => {
            let docker = able_to_stop(engine, container).await?;
            done(docker.restart_container(segment(container)?, None::<RestartContainerOptions>).await)
        }
        Step::Put { container, files: placed } => {
            files::put(engine, &what, segment(container)?, placed).await
        }
        Step::Collect { container, path, archive } => {
            files::collect(&patient(engine), &what, segment(container)?, path, archive, progress).await
        }
        Step::Signal { container, signal } => {
            let options = KillContainerOptionsBuilder::new().signal(signal).build();
            done(docker.kill_container(segment(container)?, Some(options)).await)
        }
        Step::Record { .. } => Err(EngineError::refused("an engine keeps no records")),
        Step::Pause(container) => done(docker.pause_container(segment(container)?).await),
        Step::Unpause(container) => done(docker.unpause_container(segment(container)?).await),
        Step::Rename { container, to } => {
            let options = RenameContainerOptionsBuilder::new().name(segment(to)?).build();
            done(docker.rename_container(segment(container)?, options).await)
        }
        Step::Update { .. } if engine.is_podman => {
            Err(EngineError::refused(format!("{what}: Podman has no call for that")))
        }
        Step::Update { container, body } => {
            let body: ContainerUpdateBody = typed(&what, body)?;
            done(docker.update_container(segment(container)?, body).await)
        }
        Step::Connect { container, network, endpoint } => {
            let endpoint: EndpointSettings = typed(&what, endpoint)?;
            let request =
                NetworkConnectRequest { container: container.clone(), endpoint_config: Some(endpoint) };
            done(docker.connect_network(segment(network)?, request).await)
        }
        Step::Disconnect { container, network } => {
            let request = NetworkDisconnectRequest { container: container.clone(), force: None };
            gone(docker.disconnect_network(segment(network)?, request).await)
        }
        Step::Await { container, until } => wait::until(engine, container, *until, progress).await,
        Step::RemoveContainer(container) => {
            // Volumes stay (law 5), and what runs is not removed: it was to be stopped first.
            let options = RemoveContainerOptionsBuilder::new().v(false).force(false).link(false).build();
            let removal = docker.remove_container(segment(container)?, Some(options)).await;
            let somebody_else_is_at_it = removal.as_ref().is_err_and(|error| is_already(error, step));
            gone(removal)?;
            if somebody_else_is_at_it { removed(engine, container).await } else { Ok(()) }
        }
    }
}

/// Loads an archive, and looks whether the image came: the engine takes one without what it was read to hold.
async fn load_archive(
    engine: &Session,
    what: &str,
    archive: &Path,
    ids: &[ImageId],
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    transfer::load_archive(&patient(engine), archive, progress).await?;
    let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
    image_id(engine, what, &ids).await.map(|_| ())
}

/// Makes an image under a mark of this attempt's own, then gives it its mark: the engine goes on with what a client
/// began that is gone, and gives that its name later.
async fn make_marked(
    engine: &Session,
    what: &str,
    recipe: &Recipe,
    mark: &ImageReference,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let attempt = label::attempt(mark, &nonce());
    if let Err(error) = make(&patient(engine), what, recipe, &attempt, progress).await {
        // Of what was refused halfway the engine may have made something all the same.
        let _ = untag(engine, what, &attempt).await;
        return Err(error);
    }
    tag(engine, what, &[attempt.to_string()], std::slice::from_ref(mark), None).await?;
    untag(engine, what, &attempt).await
}

async fn make(
    engine: &Session,
    what: &str,
    recipe: &Recipe,
    tag: &ImageReference,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    match &recipe.ingredients {
        Ingredients::Import { from, changes } => {
            let changes = with_source(changes, &recipe.digest);
            transfer::import(engine, what, from, &changes, tag, progress).await
        }
        Ingredients::Commit(commit) => {
            let container = target::unmistaken(engine, commit.container.as_str()).await?;
            let container =
                container.ok_or_else(|| EngineError::refused(format!("{what}: there is none")))?;
            let mut options = CommitContainerOptionsBuilder::new()
                .container(segment(&container)?)
                .repo(&tag.repository())
                .tag(tag.tag().unwrap_or("latest"))
                .pause(commit.pause.unwrap_or(true))
                .changes(&with_source(&commit.changes, &recipe.digest).join("\n"));
            if let Some(author) = &commit.author {
                options = options.author(author);
            }
            if let Some(message) = &commit.message {
                options = options.comment(message);
            }
            let docker = if engine.is_podman {
                let changes = with_source(&commit.changes, &recipe.digest);
                engine.at(&podman::commit(&container, commit, tag, &changes))?
            } else {
                engine.docker.clone()
            };
            let made = docker.commit_container(options.build(), ContainerConfig::default()).await;
            made.map(|_| ()).map_err(|error| failed(&engine.endpoint, what, error))
        }
        Ingredients::Build { build, context } => {
            let order = Order { build, sent: context.as_ref(), digest: &recipe.digest, tag };
            again(|| build::build(engine, what, &order, progress)).await
        }
    }
}

/// Dockerfile instructions, and the one that says what an image was made from.
fn with_source(changes: &[String], digest: &str) -> Vec<String> {
    let label = format!("LABEL {}={digest}", label::SOURCE);
    changes.iter().cloned().chain([label]).collect()
}

/// The engine for a call that stops a container.
async fn able_to_stop(engine: &Session, container: &str) -> Result<Docker, EngineError> {
    if engine.is_podman {
        Box::pin(podman::thaw(engine, container)).await?;
    }
    Ok(patient(engine).docker)
}

/// The same engine for calls that take long to answer.
fn patient(engine: &Session) -> Session {
    Session { docker: engine.docker.clone().with_timeout(PATIENCE_MAX), ..engine.clone() }
}

/// A text that is safe in a URL's path: bollard does not escape it, and `../info?x=` would be another call.
pub(super) fn segment(text: &str) -> Result<&str, EngineError> {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':' | '@');
    if !text.is_empty()
        && text.chars().all(safe)
        && !text.split('/').any(|part| matches!(part, "" | "." | ".."))
    {
        Ok(text)
    } else {
        Err(EngineError::refused(format!("`{}` cannot be passed to the engine", text.escape_debug())))
    }
}

fn typed<T: DeserializeOwned>(what: &str, body: &Value) -> Result<T, EngineError> {
    serde_json::from_value(body.clone()).map_err(|error| EngineError::Unreadable {
        what: format!("the body of: {what}"),
        cause: error.to_string(),
    })
}

async fn create_network(engine: &Session, what: &str, name: &Name, body: &Value) -> Result<(), EngineError> {
    let error = |error| failed(&engine.endpoint, what, error);
    if let Some(why) = podman::refused_network(body).filter(|_| engine.is_podman) {
        return Err(EngineError::refused(format!("{what}: {why}")));
    }
    // Docker 20.10 may still make a second network of the same name.
    let listed = engine.docker.list_networks(None::<ListNetworksOptions>).await.map_err(error)?;
    if listed.iter().any(|network| network.name.as_deref() == Some(name.as_str())) {
        return Err(EngineError::refused(format!("{what}: a network of this name is there")));
    }
    engine.sending(body).create_network(NetworkCreateRequest::default()).await.map(|_| ()).map_err(error)
}

async fn create_container(
    engine: &Session,
    what: &str,
    name: &str,
    body: &Value,
    platform: Option<&Platform>,
) -> Result<(), EngineError> {
    let mut options = CreateContainerOptionsBuilder::new().name(segment(name)?);
    if let Some(platform) = platform {
        options = options.platform(platform.as_str());
    }
    let mut body = body.clone();
    if body["Labels"].is_object() {
        body["Labels"][label::MADE] = nonce().into();
    }
    if engine.is_podman {
        if let Some(why) = podman::refused_container(&body) {
            return Err(EngineError::refused(format!("{what}: {why}")));
        }
        body = podman::completed(&body);
    }
    let (options, docker) = (options.build(), engine.sending(&body));
    again(|| async {
        let created = docker.create_container(Some(options.clone()), ContainerCreateBody::default()).await;
        created.map(|_| ()).map_err(|error| failed(&engine.endpoint, what, error))
    })
    .await
}

/// Twelve characters that no other attempt or container has.
fn nonce() -> String {
    // Every state is seeded at random.
    format!("{:012x}", RandomState::new().hash_one(std::process::id()) >> 16)
}

/// Waits until a container that is being removed is gone, so that its name is free.
async fn removed(engine: &Session, container: &str) -> Result<(), EngineError> {
    let deadline = Instant::now() + REMOVAL;
    loop {
        match engine.docker.inspect_container(segment(container)?, None::<InspectContainerOptions>).await {
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(failed(&engine.endpoint, "remove", error)),
            Ok(_) if Instant::now() >= deadline => {
                return Err(EngineError::refused("remove: the engine has been at it for too long"));
            }
            Ok(_) => sleep(LOOK).await,
        }
    }
}
