use std::fs;
use std::sync::Mutex;

use super::*;
use crate::engine::memory::MemoryEngine;
use crate::source::directory;

/// An engine that notes which registries it is to ask, and whether it is asked where it keeps its images.
#[derive(Default)]
struct Noting {
    engine: MemoryEngine,
    asked: Mutex<Vec<String>>,
}

impl Observe for Noting {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        self.asked.lock().unwrap().extend(scope.at_registries.iter().map(ToString::to_string));
        self.engine.observe(scope).await
    }

    async fn data_directory(&self) -> Result<Option<String>, EngineError> {
        self.asked.lock().unwrap().push("where it keeps its images".to_owned());
        Ok(None)
    }
}

#[tokio::test]
async fn what_only_removes_asks_no_registry_and_not_for_room() {
    let dir = tempfile::tempdir().unwrap();
    let image = "apiVersion: invigil/v1\nkind: Image\nmetadata: {name: web}\n\
                 spec: {pull: {reference: 'nginx:1.15'}, push: {to: ['registry.example/web:1']}}\n";
    fs::write(dir.path().join("a.yaml"), image).unwrap();
    let server = ExamServer::new(b"not a real server");
    let snapshot = directory::read(dir.path()).unwrap();
    let wanted = Wanted::read(&snapshot, &mut AttachmentReader::default(), &server);
    assert!(!wanted.has_errors(), "{:?}", wanted.diagnostics);
    let owner: Owner = "default".parse().unwrap();
    let setup = Setup {
        owner: owner.clone(),
        server,
        parallelism: 1,
        budget: Budget::default(),
        suspension: Suspension::of(dir.path(), &owner),
        records: Records::of(dir.path(), &owner),
        registries: Registries::default(),
        socket: Some(dir.path().join("engine.sock")),
        min_free_space: MIN_FREE_SPACE,
    };
    let engine = Noting::default();
    plan_removals(&wanted, &setup, &engine).await.unwrap();
    assert_eq!(*engine.asked.lock().unwrap(), Vec::<String>::new());
    plan(&wanted, &BTreeMap::new(), &setup, &engine).await.unwrap();
    assert_eq!(*engine.asked.lock().unwrap(), ["registry.example/web:1", "where it keeps its images"]);
}
