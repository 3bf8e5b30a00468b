//! The engine's own documents, for those who write them down. Only looks.

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::try_join;
use serde_json::Value;

use super::error::is_absent;
use super::observe::{document, documents, images, in_dockers_form, networks, read, volumes};
use super::{Session, podman};
use crate::engine::{EngineError, Listed};
use crate::observed::EngineId;
use crate::resource::reference::ImageId;

pub(super) async fn listed(engine: &Session) -> Result<Listed, EngineError> {
    let (info, containers, images, networks, volumes) =
        try_join!(info(engine), containers(engine), images(engine), networks(engine), volumes(engine))?;
    Ok(Listed { info, containers, images, networks, volumes })
}

async fn info(engine: &Session) -> Result<Value, EngineError> {
    document(
        "the engine's own state",
        &read(engine, "the engine's own state", || engine.docker.info()).await?,
    )
}

async fn containers(engine: &Session) -> Result<Vec<Value>, EngineError> {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let listed =
        read(engine, "the containers", || engine.docker.list_containers(Some(options.clone()))).await?;
    let mut listed = documents("the containers", &listed)?;
    if engine.is_podman {
        listed.iter_mut().for_each(podman::listed);
    }
    Ok(listed)
}

pub(super) async fn container(engine: &Session, id: &EngineId) -> Result<Option<Value>, EngineError> {
    let what = format!("container {id}");
    let ask = || async {
        match engine.docker.inspect_container(id.as_str(), None::<InspectContainerOptions>).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    };
    match read(engine, &what, ask).await? {
        Some(answer) => in_dockers_form(engine, document(&what, &answer)?).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn image(engine: &Session, id: &ImageId) -> Result<Value, EngineError> {
    let what = format!("image {id}");
    let mut image =
        document(&what, &read(engine, &what, || engine.docker.inspect_image(id.as_str())).await?)?;
    if engine.is_podman {
        podman::image(&mut image);
    }
    Ok(image)
}
