//! The table of operations: each row names what shows it on a real engine, and that is there.

use std::fs;
use std::path::Path;

/// The rows of the tables in a document, without their titles.
fn rows(document: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = document.lines().filter(|line| line.starts_with('|'));
    let rows = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    rows.filter(|row| row.last() != Some(&"shown by") && !row[0].starts_with("---"))
}

#[test]
fn each_operation_is_shown_by_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/operations.md")).expect("the table");
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in rows(&document) {
        count += 1;
        let tests: Vec<&str> =
            row.get(2).into_iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        if tests.is_empty() {
            wrong.push(format!("{}: shown by nothing", row[0]));
        }
        for test in tests {
            let Some((module, name)) = test.rsplit_once("::") else {
                wrong.push(format!("{test}: expected MODULE::TEST"));
                continue;
            };
            let path = root.join("tests/engine").join(module.replace("::", "/"));
            let text = fs::read_to_string(path.with_extension("rs"))
                .or_else(|_| fs::read_to_string(path.join("mod.rs")));
            let is_there = text.is_ok_and(|text| {
                let begin = text.find(&format!("fn {name}("));
                begin.is_some_and(|begin| text[..begin].trim_end_matches("async ").trim_end().ends_with(']'))
            });
            if !is_there {
                wrong.push(format!("{test}: there is no such test"));
            }
        }
    }
    assert!(wrong.is_empty() && count > 30, "{count} rows\n{}", wrong.join("\n"));
}
