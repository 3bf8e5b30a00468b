//! What an author is told about wrong manifests, word for word: `tests/errors/<case>/manifests/` and the
//! expected `stderr.txt`. With `INVIGIL_ACCEPT` set, the expected texts are written anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use invigil::assembly::ExamServer;
use invigil::reconcile::Wanted;
use invigil::source::attachment::AttachmentReader;
use invigil::source::directory;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors")
}

fn run(case: &str) {
    let directory = cases().join(case);
    let snapshot = directory::read(&directory.join("manifests")).expect("the manifests can be read");
    let wanted = Wanted::read(&snapshot, &mut AttachmentReader::default(), &ExamServer::new(b""));
    assert!(wanted.has_errors(), "nothing is wrong in {case}");
    let mut told = wanted.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    told = told.replace(&directory.join("manifests").display().to_string(), "DIR");
    told.push('\n');
    let expected = directory.join("stderr.txt");
    if std::env::var_os("INVIGIL_ACCEPT").is_some() {
        fs::write(&expected, &told).expect("the text is written");
    }
    let expected = fs::read_to_string(&expected).expect("the case has a stderr.txt");
    assert_eq!(told, expected, "{case}:\n{told}");
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        const CASES: &[&str] = &[$(stringify!($case)),*];
        $(
            #[test]
            fn $case() {
                run(stringify!($case));
            }
        )*
    };
}

cases!(
    build_secrets,
    claimed_twice,
    container_fields,
    dependency_cycle,
    duplicate_keys,
    duplicate_resources,
    empty_file,
    every_phase,
    foreign_words,
    hostile_names,
    image_names,
    key_is_not_shown,
    missing_references,
    named_files,
    network_addresses,
    no_consequences,
    null_and_types,
    previous_names,
    refused_at_the_start,
    runtime_base,
    states,
    unknown_field,
    unknown_kind,
    yaml_syntax,
);

#[test]
fn every_case_directory_is_run() {
    let entries = fs::read_dir(cases()).expect("the cases");
    let found: BTreeSet<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    let run: BTreeSet<String> = CASES.iter().map(|case| (*case).to_owned()).collect();
    assert_eq!(found, run);
}
