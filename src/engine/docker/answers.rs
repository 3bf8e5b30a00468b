//! An engine's answers from one document instead of a connection, for tests with answers that no engine
//! gives. In: lists and inspections. Out: what an observation makes of them, or the first that cannot
//! be read.

use std::collections::BTreeMap;

use serde_json::Value;

use super::parse;
use crate::engine::EngineError;
use crate::fields;
use crate::observed::Observed;
use crate::resource::name::{Kind, Owner};

/// Reads `{"containers": [], "inspections": {ID: {}}, "images": [], "configs": {ID: {}}, "networks": [],
/// "volumes": []}`, each list as the engine gives it. A container of ours without an inspection is
/// read from its own entry in the list.
///
/// # Errors
/// As an observation's.
#[doc(hidden)]
pub fn read(answers: &Value, owner: &Owner) -> Result<Observed, EngineError> {
    let list = |key: &str| answers[key].as_array().into_iter().flatten();
    let id = |document: &Value| document["Id"].as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> = list("containers")
        .map(|document| Ok((id(document), parse::known_as(document, owner)?)))
        .collect::<Result<_, EngineError>>()?;
    let container = |document: &Value| {
        let what = format!("container {}", parse::container_name(document));
        match parse::resource(&document["Labels"], owner, Kind::Container, &what)? {
            Some(resource) => {
                let inspection = answers["inspections"].get(id(document)).unwrap_or(document);
                parse::inspected_container(inspection.clone(), resource, &names)
            }
            None => parse::listed_container(document),
        }
    };
    let image = |document: &Value| {
        let config = answers["configs"].get(id(document)).map(fields::read_image);
        parse::image(document, config)
    };
    Ok(Observed {
        containers: list("containers").map(container).collect::<Result<_, _>>()?,
        images: list("images").map(image).collect::<Result<_, _>>()?,
        networks: list("networks").map(|one| parse::network(one, owner)).collect::<Result<_, _>>()?,
        volumes: list("volumes").map(|one| parse::volume(one, owner)).collect::<Result<_, _>>()?,
        ..Observed::default()
    })
}
