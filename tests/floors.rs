//! The floors of `src/lib.rs`: a module imports only from floors below it. Also: who may name bollard,
//! what the pure core never uses, and what the exam server may know.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. Modules of one floor may import each other.
const FLOORS: &[&[&str]] = &[
    &["html", "resource"],
    &["problemset"],
    &["source", "manifest"],
    &["assembly", "fields"],
    &["desired", "diff", "observed", "plan"],
    &["convert"],
    &["engine", "host", "journal", "records", "registries", "secret", "suspension", "whole"],
    &["execute"],
    &["account", "status", "reconcile", "turn"],
    &["daemon"],
    &["cli", "main"],
];

/// What would let the same inputs give another plan, or let planning change something.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::process",
    "fastrand",
    "tokio",
    "tracing",
    "jiff",
    "async",
    "await",
    "rand",
];

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// A source file's text without comments and without its tests, which may import what they like.
fn code(text: &str) -> String {
    let without_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = without_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules of this crate that code names: after `crate::` or `invigil::`, also in `{...}` groups.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "invigil::"] {
        for (at, _) in code.match_indices(root) {
            let is_whole_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let rest = &code[at + root.len()..];
            if !is_whole_word {
                continue;
            }
            match rest.strip_prefix('{') {
                Some(group) => found.extend(heads(group)),
                None => found.push(word(rest)),
            }
        }
    }
    found.retain(|module| !module.is_empty());
    found
}

/// The first words of a `{a::b, c::{d, e}}` group whose brace is open.
fn heads(group: &str) -> Vec<String> {
    let mut heads = vec![word(group.trim_start())];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(word(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    heads
}

fn has_word(code: &str, word: &str) -> bool {
    // What is quoted is a word of somebody else's: a mount's option may be called `async`.
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '"';
    let is_whole =
        |at: usize| !code[..at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part);
    code.match_indices(word).any(|(at, _)| is_whole(at))
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Everything that is wrong with one file, by its path under `src/`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut wrong = Vec::new();
    if code.contains("bollard") && !path.starts_with("engine/docker") {
        wrong.push(format!("{path} names bollard, which only engine/docker does"));
    }
    if let Some(rest) = path.strip_prefix("bin/invigil-exam/") {
        let others = imports(&code).into_iter().filter(|module| {
            // Its own modules are `crate::` there.
            floor_of(module).is_some() && !["html", "problemset", "main"].contains(&module.as_str())
        });
        wrong.extend(others.map(|module| format!("invigil-exam/{rest} imports {module}")));
        return wrong;
    }
    let module = word(path);
    let Some(floor) = floor_of(&module) else {
        // `lib.rs` is the list itself.
        if path != "lib.rs" {
            wrong.push(format!("{path} stands on no floor"));
        }
        return wrong;
    };
    for import in imports(&code) {
        match floor_of(&import) {
            Some(other) if other > floor => {
                wrong.push(format!("{path} imports {import}, which is on a floor above it"));
            }
            _ => {}
        }
    }
    if ["desired", "diff", "observed", "plan", "fields", "resource", "convert"].contains(&module.as_str()) {
        let impure = IMPURE.iter().filter(|word| has_word(&code, word));
        wrong.extend(impure.map(|word| format!("{path} uses {word}, and the core is pure")));
    }
    wrong
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    path.components().any(|part| part.as_os_str() == "tests") || name == "tests" || name.ends_with("_tests")
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
            found.push(path);
        }
    }
}

#[test]
fn every_module_stands_on_its_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    assert!(files.len() > 50, "the sources were not found");
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
            violations(&name, &fs::read_to_string(path).expect("text"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_list_in_lib_rs_has_the_same_order() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("text");
    let listed = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let floors: Vec<usize> = listed
        .map(|module| floor_of(module).unwrap_or_else(|| panic!("{module} stands on no floor")))
        .collect();
    assert!(floors.is_sorted(), "{floors:?}");
}

#[test]
fn what_breaks_the_rules_is_found() {
    let wrong = |path: &str, text: &str| violations(path, text).join("\n");
    assert_eq!(
        wrong("resource/name.rs", "use crate::plan::Step;"),
        "resource/name.rs imports plan, which is on a floor above it"
    );
    assert_eq!(
        wrong("diff/mod.rs", "use crate::{\n    fields::{self, Told},\n    engine::Observe,\n};"),
        "diff/mod.rs imports engine, which is on a floor above it"
    );
    assert_eq!(
        wrong("plan/mod.rs", "fn f() { crate::execute::execute() }"),
        "plan/mod.rs imports execute, which is on a floor above it"
    );
    assert_eq!(
        wrong("execute.rs", "use bollard::Docker;"),
        "execute.rs names bollard, which only engine/docker does"
    );
    assert_eq!(
        wrong("plan/build.rs", "async fn f() { let now = std::time::Instant::now(); }"),
        "plan/build.rs uses Instant, and the core is pure\n\
         plan/build.rs uses async, and the core is pure"
    );
    assert_eq!(
        wrong("bin/invigil-exam/main.rs", "use invigil::{problemset::paper::Paper, manifest::Manifests};"),
        "invigil-exam/main.rs imports manifest"
    );
    assert_eq!(wrong("helpers.rs", ""), "helpers.rs stands on no floor");
}

#[test]
fn what_keeps_the_rules_is_not_found() {
    assert_eq!(
        violations("plan/mod.rs", "use crate::diff::Change;\nuse crate::resource::name::Owner;"),
        Vec::<String>::new()
    );
    assert_eq!(violations("engine/docker/mod.rs", "use bollard::Docker;"), Vec::<String>::new());
    assert_eq!(
        violations("diff/mod.rs", "//! crate::engine is above\nuse crate::observed::Observed;"),
        Vec::<String>::new()
    );
    assert_eq!(
        violations("resource/mount.rs", "const OPTIONS: [&str; 1] = [\"async\"];"),
        Vec::<String>::new()
    );
    let tested =
        "use crate::observed::Observed;\n#[cfg(test)]\nmod tests {\n    use crate::engine::memory;\n}";
    assert_eq!(violations("diff/mod.rs", tested), Vec::<String>::new());
    assert_eq!(
        violations(
            "bin/invigil-exam/main.rs",
            "use crate::serve::serve;\nuse invigil::problemset::paper::Paper;"
        ),
        Vec::<String>::new()
    );
}
