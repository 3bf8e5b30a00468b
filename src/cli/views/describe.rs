//! `invigil describe`: one resource with its manifest, what is live of it, where the two differ, what was done to it, and what
//! happened to it. Puts together what `plan`, `get`, `log` and `events` tell, and decides nothing itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use futures_util::{TryStreamExt, try_join};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::columns::{self, Seen};
use super::events::told;
use super::log;
use super::names::{choose, list, name_of, resource, text};
use super::output::{self, DocumentForm, print_or_end};
use super::table::pairs;
use crate::cli::args::{PassArgs, SpaceArgs};
use crate::cli::plan::wanted;
use crate::cli::report;
use crate::cli::style::PALETTE;
use crate::engine::docker::DockerReader;
use crate::engine::{Look, Period, Question};
use crate::execute::default_parallelism;
use crate::fields::plain;
use crate::journal::{Journal, Row};
use crate::manifest::Origin;
use crate::plan::Plan;
use crate::reconcile;
use crate::resource::name::{Kind, Owner, ResourceId};

/// The order in which a name without its kind is looked for.
const KINDS: [Kind; 4] = [Kind::Container, Kind::Image, Kind::Network, Kind::Volume];
/// How many of the last events are told, and of the last entries of the journal.
const EVENTS: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The resource, like container/web; without a kind, the container, image, network or volume of that name
    #[arg(value_name = "RESOURCE")]
    name: String,
    #[command(flatten)]
    pass: PassArgs,
    #[command(flatten)]
    space: SpaceArgs,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: DocumentForm,
}

pub(super) async fn describe(args: &DescribeArgs) -> Result<ExitCode> {
    let setup = args.pass.setup(default_parallelism(), args.space.min_free_space, None)?;
    let manifests = &args.pass.manifests;
    let wanted = wanted(manifests, &setup).await?;
    let engine = args.pass.engine.connect().await?;
    let plan = reconcile::plan(&wanted, &BTreeMap::new(), &setup, &engine).await.context("while planning")?;
    let is_invalid = |id: &ResourceId| wanted.desired.invalid.contains(id);
    let is_described = |id: &ResourceId| is_invalid(id) || wanted.origins.contains_key(id);
    let meant = Meant::find(&engine, &args.name, &setup.owner, is_described).await?;
    let described = Described {
        origin: meant.id.as_ref().and_then(|id| wanted.origins.get(id)),
        is_invalid: meant.id.as_ref().is_some_and(is_invalid),
        plan: about(plan, meant.id.as_ref()),
        journal: journal(&args.pass.owner.state.journal(&setup.owner), &meant).await,
        events: events(&engine, &meant).await?,
        meant,
    };
    let root = manifests.given();
    print_or_end(&match args.output {
        DocumentForm::Text => {
            let (containers, images) = try_join!(list(&engine, Kind::Container), list(&engine, Kind::Image))?;
            described.text(root, &Seen { containers, images, owner: &setup.owner, now: Timestamp::now() })
        }
        DocumentForm::Json => output::json(&described.document(root, &engine).await?),
        DocumentForm::Yaml => output::yaml(&described.document(root, &engine).await?)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What is meant by a name.
struct Meant {
    kind: Kind,
    /// The resource; none of what is live and can be no resource.
    id: Option<ResourceId>,
    /// What the engine lists of it.
    live: Option<Value>,
}

impl Meant {
    /// The first kind in which something live bears the name, or manifests describe it.
    async fn find(
        engine: &DockerReader,
        given: &str,
        owner: &Owner,
        is_described: impl Fn(&ResourceId) -> bool,
    ) -> Result<Self> {
        let given =
            given.strip_prefix("problemset/").map_or(given.to_owned(), |name| format!("image/{name}"));
        let only = KINDS
            .into_iter()
            .find(|kind| given.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with('/')));
        let mut unknown = None;
        for kind in KINDS.into_iter().filter(|kind| only.is_none_or(|only| only == *kind)) {
            let name = if only.is_some() { &given[kind.as_str().len() + 1..] } else { &given };
            let id = name.parse().ok().map(|name| ResourceId::new(kind, name));
            let listed = list(engine, kind).await?;
            match choose(kind, &listed, name, owner) {
                Ok(live) => {
                    let ours = resource(kind, live, owner).map(|name| ResourceId::new(kind, name));
                    // What was renamed is what its manifest says; its label is what it was made as.
                    let bears = |id: &ResourceId| name_of(kind, live) == id.name.as_str() && is_described(id);
                    let id = id.clone().filter(bears).or(ours).or(id);
                    return Ok(Self { kind, id, live: Some(live.clone()) });
                }
                Err(_) if id.as_ref().is_some_and(&is_described) => return Ok(Self { kind, id, live: None }),
                Err(error) => {
                    unknown.get_or_insert(error);
                }
            }
        }
        match unknown {
            Some(unknown) => Err(unknown.into()),
            None => Err(anyhow::anyhow!("there is no {}", plain(&given))),
        }
    }

    /// Names under which the engine tells of it.
    fn names(&self) -> BTreeSet<String> {
        let live = self.live.iter().flat_map(|live| [text(live, "Id"), name_of(self.kind, live)]);
        let names = live.chain(self.id.iter().map(|id| id.name.as_str()));
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

/// What of a plan is about one resource.
fn about(plan: Plan, id: Option<&ResourceId>) -> Plan {
    let is_it = |other: &ResourceId| id == Some(other);
    Plan {
        changes: plan.changes.into_iter().filter(|change| is_it(&change.id)).collect(),
        nodes: Vec::new(),
        unchanged: plan.unchanged.into_iter().filter(is_it).collect(),
        unwell: plan.unwell.into_iter().filter(|(id, _)| is_it(id)).collect(),
        withheld: plan.withheld.into_iter().filter(|(id, _)| is_it(id)).collect(),
        waiting: plan.waiting.into_iter().filter(|(id, _)| is_it(id)).collect(),
        soon: plan.soon,
        suspended: plan.suspended.into_iter().filter(|(id, _)| is_it(id)).collect(),
        host_suspended: plan.host_suspended,
        wrong: plan.wrong,
        left: plan.left.into_iter().filter(is_it).collect(),
        warnings: Vec::new(),
        turned: BTreeMap::new(),
    }
}

/// What the journal says of it last. Where it cannot be read, that is told, and the rest all the same.
async fn journal(journal: &Journal, meant: &Meant) -> Vec<Row> {
    let Some(id) = meant.id.clone() else { return Vec::new() };
    let (file, journal) = (journal.file().display().to_string(), journal.clone());
    match spawn_blocking(move || journal.recent(EVENTS, Some(&id))).await {
        Ok(Ok(rows)) => rows,
        Ok(Err(error)) => {
            report::notice(Some(&format!("the journal {} cannot be read: {error}", plain(&file))));
            Vec::new()
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The last events of those that the engine remembers. What is run in a container is left out: each health check is.
async fn events(engine: &DockerReader, meant: &Meant) -> Result<Vec<Value>> {
    let now = Timestamp::now();
    // From the beginning to now, and not only to the last whole second: ends at once.
    let until = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());
    let period = Period { since: Some("1".to_owned()), until: Some(until) };
    let (kind, names) = (meant.kind.as_str(), meant.names());
    // An engine takes names for the beginnings of names.
    let filters = [(kind.to_owned(), names.clone()), ("type".to_owned(), [kind.to_owned()].into())].into();
    let is_its = |event: &Value| {
        let actor = &event["Actor"];
        [text(actor, "ID"), text(&actor["Attributes"], "name")].iter().any(|name| names.contains(*name))
    };
    let mut happenings = std::pin::pin!(engine.happenings(&period, &filters));
    let mut last = VecDeque::new();
    while let Some(event) = happenings.try_next().await? {
        if is_its(&event) && !text(&event, "Action").starts_with("exec_") {
            last.push_back(event);
        }
        if last.len() > EVENTS {
            last.pop_front();
        }
    }
    Ok(last.into())
}

/// Everything that is told.
struct Described<'a> {
    meant: Meant,
    origin: Option<&'a Origin>,
    /// Whether it has a manifest that is wrong.
    is_invalid: bool,
    plan: Plan,
    journal: Vec<Row>,
    events: Vec<Value>,
}

impl Described<'_> {
    /// Where the manifest stands, or why there is none.
    fn manifest(&self, root: &Path) -> String {
        match self.origin {
            Some(origin) if self.is_invalid => {
                format!("{} is wrong, or one that it needs: it is left as it is", origin.seen_from(root))
            }
            Some(origin) => origin.seen_from(root).to_string(),
            None if self.is_invalid => "is wrong, so it is left as it is".to_owned(),
            None => "none describes it".to_owned(),
        }
    }

    fn text(self, root: &Path, seen: &Seen<'_>) -> String {
        let kind = self.meant.kind;
        let name = match (&self.meant.id, &self.meant.live) {
            (Some(id), _) => id.to_string(),
            (None, Some(live)) => format!("{kind} {}", name_of(kind, live)),
            (None, None) => kind.to_string(),
        };
        let mut lines = vec![("MANIFEST", self.manifest(root))];
        let rows = self.meant.live.map(|live| columns::rows(kind, vec![live])).unwrap_or_default();
        if rows.is_empty() {
            lines.push(("LIVE", "nothing".to_owned()));
        }
        for row in &rows {
            let shown = columns::of(kind).iter().filter(|column| column.shown != columns::Shown::Measured);
            lines.extend(shown.map(|column| (column.title, (column.cell)(row, seen, true))));
        }
        let mut told = format!("{}\n\n{}\n{}", plain(&name), pairs(&lines), self.plan.to_text(&PALETTE));
        if !self.journal.is_empty() {
            told.push('\n');
            told.extend(self.journal.iter().map(log::told));
        }
        if !self.events.is_empty() {
            told.push('\n');
            told.extend(self.events.iter().map(self::told));
        }
        told
    }

    async fn document(&self, root: &Path, engine: &DockerReader) -> Result<Value> {
        let live = match &self.meant.live {
            None => Value::Null,
            Some(live) => {
                let id = text(live, "Id");
                let name = if id.is_empty() { name_of(self.meant.kind, live) } else { id };
                let question = Question::One { kind: self.meant.kind, name: name.to_owned(), size: false };
                engine.look(&question).await?
            }
        };
        let manifest = self.origin.map(|origin| {
            let Origin { file, position } = origin.seen_from(root);
            json!({"file": file.as_ref(), "line": position.line, "column": position.column})
        });
        Ok(json!({
            "resource": self.meant.id,
            "manifest": manifest,
            "live": live,
            "plan": self.plan.to_json()?,
            "journal": self.journal.iter().map(log::form).collect::<Vec<_>>(),
            "events": self.events,
        }))
    }
}
