//! Docker's own documents into manifests. In: create bodies, `hostconfig.json`, inspections, as JSON. Out: one
//! Container each. Decides nothing about fields: `fields` does.

use serde_json::{Value, json};

use super::document::complete;
use super::{Converted, Document, Form, Note, Refusal};
use crate::fields::{self, Around, Live, Lost};
use crate::manifest::kinds::ManifestKind;
use crate::resource::container::{ContainerSpec, State};
use crate::resource::name::Name;
use crate::resource::reference::ImageReference;

/// What a document may not say of itself.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The container's name.
    pub name: Option<String>,
    /// Its image.
    pub image: Option<String>,
}

/// A container to be written.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name.
    pub name: &'a Name,
    /// Its image.
    pub image: &'a ImageReference,
    /// Its inspection.
    pub inspection: &'a Value,
    /// What its image gives it, if that is known.
    pub config: Option<&'a Live>,
    /// The spec that it was made from, if it is ours.
    pub created: Option<&'a ContainerSpec>,
    /// What its engine says of itself; null if no engine has seen it.
    pub info: &'a Value,
    /// What the keys of its `Config` are called where it stood.
    pub top: &'a str,
    /// Whether it is to be taken over.
    pub adopt: bool,
}

/// Converts a document.
///
/// # Errors
/// If it has no name or no image, or one that is none.
pub fn convert(form: Form, given: &Given) -> Result<Converted, Refusal> {
    // An engine's document holds its own choices, and these are everybody's.
    let usual = json!({"DefaultRuntime": "runc", "LoggingDriver": "json-file"});
    let mut documents = match form {
        Form::Inspections(all) => {
            let given = if all.len() == 1 { given.clone() } else { Given::default() };
            all.iter()
                .map(|one| container(one, &usual, "Config.", Vec::new(), &given))
                .collect::<Result<Vec<_>, _>>()?
        }
        Form::CreateBody(body) => {
            let (inspection, lost) = fields::from_create_body(&body);
            vec![container(&inspection, &Value::Null, "", lost, given)?]
        }
        Form::HostConfig(host) => {
            vec![container(&fields::from_host_config(&host), &usual, "", Vec::new(), given)?]
        }
        Form::Unknown => {
            return Err(Refusal::new(
                "nothing in it is known here",
                "`invigil convert --help` says what it takes",
            ));
        }
        Form::Ambiguous(why) => return Err(Refusal::new(why, "leave one of them")),
        Form::Legacy | Form::Compose => Vec::new(),
    };
    let needed = complete(&mut documents);
    Ok(Converted { documents, notes: Vec::new(), needed })
}

fn container(
    inspection: &Value,
    info: &Value,
    top: &str,
    lost: Vec<Lost>,
    given: &Given,
) -> Result<Document, Refusal> {
    let own_name = inspection["Name"].as_str().map(|name| name.trim_start_matches('/'));
    let Some(name) = given.name.as_deref().or(own_name) else {
        return Err(Refusal::new(
            "it does not say what the container is called",
            "give its name with --name",
        ));
    };
    let name: Name =
        name.parse().map_err(|error: String| Refusal::new(error, "give another name with --name"))?;
    let own_image = inspection["Config"]["Image"].as_str();
    let Some(image) = given.image.as_deref().or(own_image) else {
        return Err(Refusal::new(
            "it does not say which image the container is made from",
            "give it with --image",
        ));
    };
    let image =
        image.parse().map_err(|error: String| Refusal::new(error, "give another image with --image"))?;
    let source = Source {
        name: &name,
        image: &image,
        inspection,
        config: None,
        created: None,
        info,
        top,
        adopt: false,
    };
    Ok(write(&source, lost))
}

/// Writes a container; `lost` is what was left out before.
pub fn write(source: &Source<'_>, mut lost: Vec<Lost>) -> Document {
    let around = Around { inspection: source.inspection, info: source.info };
    let live = fields::read_container(source.inspection);
    let written = fields::written(&live, source.config, source.created, &around);
    lost.extend(fields::unread(source.inspection, source.top));
    lost.extend(written.lost);
    lost.extend(source.created.into_iter().flat_map(lost_files));
    let is_job = source.created.is_some_and(|created| created.state == State::Completed);
    let state = match source.inspection["State"]["Status"].as_str() {
        Some("exited" | "stopped" | "running") if is_job => Some("completed"),
        Some("exited" | "stopped") => Some("stopped"),
        Some(word @ ("created" | "paused")) => Some(word),
        _ => None,
    };
    let image = std::iter::once(("image".to_owned(), json!(source.image)));
    let fields = written.fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    let own = source.created.into_iter().flat_map(own_fields);
    let state = state.map(|word| ("state".to_owned(), json!(word)));
    Document {
        kind: ManifestKind::Container,
        name: source.name.clone(),
        adopt: source.adopt,
        fields: image.chain(fields).chain(own).chain(state).collect(),
        notes: lost.into_iter().map(|lost| Note { position: None, lost }).collect(),
    }
}

/// The fields that no engine holds, but for the label of a container of ours. `restartToken` is not one of them: the
/// label has the first, and were that written down again, the container would be restarted.
const OWN: [&str; 4] = ["collect", "dependsOn", "imageUpdates", "update"];

fn own_fields(created: &ContainerSpec) -> Vec<(String, Value)> {
    let mut all = serde_json::to_value(created).unwrap_or_default();
    let own = OWN.iter().map(|field| ((*field).to_owned(), all[*field].take()));
    own.filter(|(_, value)| !value.is_null()).collect()
}

/// The files that were put into a container of ours, whose content no label holds (law 12).
fn lost_files(created: &ContainerSpec) -> Vec<Lost> {
    let why = "its content is in the container alone: `invigil cp` takes it out";
    let lost = created.files.iter().enumerate().map(|(index, file)| Lost {
        path: format!("files[{index}]"),
        value: file.path.to_string(),
        why: Some(why.to_owned()),
    });
    lost.collect()
}
