//! The engine's own documents, for those who write them down. Only looks.

use futures_util::try_join;
use serde_json::Value;

use super::Session;
use super::observe::{self, all_containers, asked, images, networks, volumes};
use crate::engine::{EngineError, Listed};
use crate::observed::EngineId;
use crate::resource::reference::ImageId;

pub(super) async fn listed(engine: &Session) -> Result<Listed, EngineError> {
    let info = asked(engine, "the engine's own state", "/info");
    let (info, containers, images, networks, volumes) =
        try_join!(info, all_containers(engine), images(engine), networks(engine), volumes(engine))?;
    Ok(Listed { info, containers, images, networks, volumes })
}

/// Where the engine keeps what it has.
pub(super) async fn data_directory(engine: &Session) -> Result<Option<String>, EngineError> {
    let info = asked(engine, "the engine's own state", "/info").await?;
    Ok(info["DockerRootDir"].as_str().filter(|directory| directory.starts_with('/')).map(str::to_owned))
}

pub(super) async fn container(engine: &Session, id: &EngineId) -> Result<Option<Value>, EngineError> {
    observe::container(engine, &format!("container {id}"), id.as_str()).await
}

pub(super) async fn image(engine: &Session, id: &ImageId) -> Result<Value, EngineError> {
    observe::image(engine, id.as_str()).await
}
