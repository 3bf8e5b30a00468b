//! The engine's own documents, for those who write them down. Only looks.

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::try_join;
use serde_json::Value;

use super::Session;
use super::error::is_absent;
use super::observe::{document, documents, images, networks, read, volumes};
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

pub(super) async fn data_directory(engine: &Session) -> Result<Option<String>, EngineError> {
    let info = info(engine).await?;
    Ok(info["DockerRootDir"].as_str().filter(|directory| directory.starts_with('/')).map(str::to_owned))
}

async fn containers(engine: &Session) -> Result<Vec<Value>, EngineError> {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let listed =
        read(engine, "the containers", || engine.docker.list_containers(Some(options.clone()))).await?;
    documents("the containers", &listed)
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
    read(engine, &what, ask).await?.map(|answer| document(&what, &answer)).transpose()
}

pub(super) async fn image(engine: &Session, id: &ImageId) -> Result<Value, EngineError> {
    let what = format!("image {id}");
    document(&what, &read(engine, &what, || engine.docker.inspect_image(id.as_str())).await?)
}
