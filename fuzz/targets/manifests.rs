//! A manifest file, on the way that `invigil validate` and `invigil plan` take: whatever is in it gets
//! words that a terminal can show, what validates can be planned, and after that plan there is nothing
//! left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use invigil::assembly::ExamServer;
use invigil::desired::{self, Desired, ImageOrigin};
use invigil::diff::{Budget, diff, taken_over};
use invigil::engine::memory::{MemoryEngine, Program};
use invigil::engine::{Observe, Scope};
use invigil::execute::execute;
use invigil::manifest::{Manifests, Spec};
use invigil::plan::{Palette, Plan};
use invigil::resource::label::{spec_from, spec_text};
use invigil::resource::name::Owner;
use invigil::resource::printable::printable;
use invigil::resource::reference::{ImageId, ImageReference};
use invigil::source::attachment::{Attachment, Attachments, Request, Wanted};
use invigil::source::context::ContextSummary;
use invigil::source::saved_image::SavedImage;
use invigil::source::{Content, Extent, ManifestFile, RootIdentity, Snapshot};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Reads the input as a manifest file, plans it on an empty engine and carries the plan out.
///
/// # Panics
/// If any of what this file promises does not hold.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let manifests = Manifests::parse(&snapshot(text));
    let (desired, more) =
        desired::build(&manifests, &attachments(&manifests), &ExamServer::new(b"exam server"));
    for diagnostic in manifests.diagnostics.iter().chain(&more) {
        let shown = diagnostic.to_string();
        assert_plain(&shown.replacen("\n  hint: ", "", 1));
    }
    assert!(!manifests.has_errors() || !manifests.is_complete(), "an error spoils no manifest");
    for manifest in &manifests.resources {
        match &manifest.spec {
            Spec::Container(spec) => assert_reads_back(spec.as_ref()),
            Spec::Network(spec) => assert_reads_back(spec),
            Spec::Volume(spec) => assert_reads_back(spec),
            Spec::Image(_) | Spec::ProblemSet(_) => {}
        }
    }
    let engine = engine(&desired);
    let first = plan(&engine, &desired);
    let (_stop, watched) = tokio::sync::watch::channel(false);
    let outcomes = now(execute(&first, &engine, 4, &watched, &|_| {}));
    let second = plan(&engine, &desired);
    let undisturbed = desired.suspended.is_empty() && first.blocked().next().is_none();
    if undisturbed && outcomes.is_success() {
        assert!(second.is_empty(), "{}\nand then\n{}", text_of(&first), text_of(&second));
    }
}

/// Nothing in a line steers a terminal (law 13).
fn assert_plain(line: &str) {
    assert!(printable(line) == line, "{line:?}");
}

/// The text of a spec in a label is read, and says the same again.
fn assert_reads_back<T: Serialize + DeserializeOwned>(spec: &T) {
    let text = spec_text(spec);
    assert_eq!(spec_from::<T>(&text).map(|spec| spec_text(&spec)), Some(text));
}

fn snapshot(text: &str) -> Snapshot {
    let file = ManifestFile {
        path: PathBuf::from("exam.yaml"),
        base_dir: PathBuf::from("/manifests"),
        content: Content::Text(text.to_owned()),
    };
    let identity = RootIdentity { device: 0, inode: 0 };
    Snapshot::new(PathBuf::from("/manifests"), identity, Extent::Directory, vec![file])
}

/// What the files beside the manifests say, none of which is there.
fn attachments(manifests: &Manifests) -> Attachments {
    let contents = |request: &Request| match request {
        Request::File(Wanted::Env, _) => Attachment::Env([("FROM_FILE".to_owned(), "1".to_owned())].into()),
        Request::File(Wanted::SavedImage | Wanted::KeptImage, _) => {
            Attachment::Image(SavedImage { ids: vec![id()], brings: BTreeSet::new(), platform: None })
        }
        Request::File(Wanted::FileSystem, _) => Attachment::Digest("ab".repeat(32)),
        Request::File(Wanted::Json, _) => Attachment::Json("{}".to_owned()),
        Request::File(Wanted::Bytes, _) => Attachment::Bytes(b"a file".as_slice().into()),
        Request::Context(_) => Attachment::Context(ContextSummary {
            digest: "cd".repeat(32),
            files: Some(1),
            bases: ["base:1".to_owned()].into(),
        }),
    };
    desired::attachments(manifests)
        .into_iter()
        .map(|request| (request.clone(), Ok(contents(&request))))
        .collect()
}

fn id() -> ImageId {
    format!("sha256:{}", "ab".repeat(32)).parse().expect("an id")
}

/// An engine with nothing on it and a registry that has everything.
fn engine(desired: &Desired) -> MemoryEngine {
    let engine = MemoryEngine::default();
    let pulled = desired.images.values().filter_map(|image| match &image.source {
        ImageOrigin::Pull { reference, .. } => Some(reference.clone()),
        _ => None,
    });
    let references: BTreeSet<ImageReference> = desired.references().into_iter().chain(pulled).collect();
    for reference in &references {
        engine.publish(reference, json!({}), Program::Runs);
    }
    engine
}

fn owner() -> Owner {
    "default".parse().expect("an owner")
}

fn plan(engine: &MemoryEngine, desired: &Desired) -> Plan {
    let scope = Scope {
        owner: owner(),
        containers: BTreeSet::new(),
        images: desired.references(),
        assembled: std::collections::BTreeMap::new(),
        adopted: taken_over(desired),
        at_registries: BTreeSet::new(),
    };
    let observed = now(engine.observe(&scope)).expect("an observation");
    let budget = Budget::default();
    let plan = Plan::new(diff(desired, &observed, &owner(), budget), &owner(), &BTreeMap::new());
    text_of(&plan).lines().for_each(assert_plain);
    plan.to_json().expect("a plan has a JSON form");
    plan
}

fn text_of(plan: &Plan) -> String {
    format!("{}---\n{}", plan.to_text(&Palette::default()), plan.steps_text())
}

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}
