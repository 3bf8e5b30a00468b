//! `invigil export`: containers that are there become manifests on stdout. Holds an engine that can only be
//! looked at (law 10).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::args::{EngineArgs, Whose};
use super::{convert, report};
use crate::convert::{Converted, Document, export};
use crate::engine::Inspect;
use crate::manifest::kinds::ManifestKind;
use crate::resource::name::Name;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The containers, each by its name or the beginning of its id
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// Every container that no Invigil made
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    engine: EngineArgs,
    /// The schema that editors are pointed to in the first line
    #[arg(long, value_name = "URL")]
    schema: Option<String>,
}

pub(super) async fn export(args: &ExportArgs) -> Result<ExitCode> {
    let engine = args.engine.connect().await?;
    let listed = engine.listed().await.context("while listing what is there")?;
    let chosen = match export::choose(&listed, &args.names, args.all) {
        Ok(chosen) => chosen,
        Err(refusals) => {
            for refusal in &refusals {
                convert::refuse(engine.endpoint(), refusal);
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut documents: BTreeMap<(ManifestKind, Name), Document> = BTreeMap::new();
    let mut seen: BTreeSet<String> = chosen.iter().cloned().collect();
    let mut queue: VecDeque<String> = chosen.into();
    let mut failed = false;
    while let Some(id) = queue.pop_front() {
        let id = id.parse().map_err(anyhow::Error::msg)?;
        let Some(inspection) = engine.container(&id).await? else {
            report::talk(&format!("note: container {id} went while the others were read\n"));
            continue;
        };
        let image = match inspection["Image"].as_str().and_then(|id| id.parse().ok()) {
            // An image can be removed under its container; then nobody knows what it gave.
            Some(image) if listed.images.iter().any(|one| one["Id"] == inspection["Image"]) => {
                Some(engine.image(&image).await?)
            }
            _ => None,
        };
        let one = match export::export(&listed, &inspection, image.as_ref(), &args.whose.owner) {
            Ok(one) => one,
            Err(refusal) => {
                convert::refuse(engine.endpoint(), &refusal);
                failed = true;
                continue;
            }
        };
        let Some(name) = one.documents.first().map(|document| document.name.clone()) else { continue };
        for secret in one.secrets {
            report::talk(&format!(
                "note: container/{name}: the value of {secret} looks secret, and is in the manifest\n"
            ));
        }
        for (other, id) in one.containers {
            if seen.insert(id.clone()) {
                report::talk(&format!(
                    "note: container/{other} is exported too, because container/{name} names it\n"
                ));
                queue.push_back(id);
            }
        }
        documents.extend(
            one.documents.into_iter().map(|document| ((document.kind, document.name.clone()), document)),
        );
    }
    // What others name comes first.
    let mut documents: Vec<Document> = documents.into_values().collect();
    documents.sort_by_key(|document| (document.kind.resource(), document.name.clone()));
    let converted = Converted { documents, ..Converted::default() };
    let code = convert::written(&converted, None, args.schema.as_deref())?;
    Ok(if failed { ExitCode::FAILURE } else { code })
}
