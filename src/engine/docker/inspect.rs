//! The engine's own documents, for those who write them down. Only looks.

use futures_util::try_join;
use serde_json::{Value, json};

use super::Session;
use super::observe::{self, all_containers, asked, images, networks, volumes};
use crate::engine::{EngineError, Listed};
use crate::observed::EngineId;
use crate::resource::reference::ImageId;

/// Where containerd keeps what it has, unless its configuration says otherwise.
const CONTAINERD: &str = "/var/lib/containerd";

pub(super) async fn listed(engine: &Session) -> Result<Listed, EngineError> {
    let info = asked(engine, "the engine's own state", "/info");
    let (info, containers, images, networks, volumes) =
        try_join!(info, all_containers(engine), images(engine), networks(engine), volumes(engine))?;
    Ok(Listed { info, containers, images, networks, volumes })
}

/// Where the engine keeps its images.
pub(super) async fn data_directory(engine: &Session) -> Result<Option<String>, EngineError> {
    let info = asked(engine, "the engine's own state", "/info").await?;
    let Some(root) = info["DockerRootDir"].as_str().filter(|root| root.starts_with('/')) else {
        return Ok(None);
    };
    for place in containerds_places(&info, root) {
        if tokio::fs::metadata(&place).await.is_ok() {
            return Ok(Some(place));
        }
    }
    Ok(Some(root.to_owned()))
}

/// Where containerd may keep an engine's images, which says only that it does: a containerd that the engine started
/// itself is below the engine's own directory.
fn containerds_places(info: &Value, root: &str) -> Vec<String> {
    let is_containerds = info["DriverStatus"]
        .as_array()
        .is_some_and(|status| status.contains(&json!(["driver-type", "io.containerd.snapshotter.v1"])));
    if is_containerds { vec![format!("{root}/containerd"), CONTAINERD.to_owned()] } else { Vec::new() }
}

pub(super) async fn container(engine: &Session, id: &EngineId) -> Result<Option<Value>, EngineError> {
    observe::container(engine, &format!("container {id}"), id.as_str()).await
}

pub(super) async fn image(engine: &Session, id: &ImageId) -> Result<Value, EngineError> {
    observe::image(engine, id.as_str()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_containerd_keeps_the_images_room_is_looked_for_there() {
        let places = |status: Value| containerds_places(&json!({"DriverStatus": status}), "/data/docker");
        assert_eq!(places(json!([["Backing Filesystem", "extfs"]])), Vec::<String>::new());
        assert_eq!(places(Value::Null), Vec::<String>::new());
        assert_eq!(
            places(json!([["driver-type", "io.containerd.snapshotter.v1"]])),
            ["/data/docker/containerd", "/var/lib/containerd"]
        );
    }
}
