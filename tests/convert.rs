//! What `invigil convert` makes of other programs' files: `tests/convert/<case>/` holds the `input.*`, perhaps further
//! `arguments` (one a line), the manifests that it becomes (`output.yaml`), and `messages.txt` with what is told and
//! the exit code. With `INVIGIL_ACCEPT` set, the expected texts are written anew.
//!
//! Whatever is written must validate, and be the same in every run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/convert")
}

fn invigil(directory: &Path, arguments: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
    command.current_dir(directory).args(arguments).env_clear();
    command.env("NO_COLOR", "1").env("FROM_ENVIRONMENT", "yes").output().expect("invigil runs")
}

fn input(directory: &Path) -> String {
    let entries =
        fs::read_dir(directory).expect("the case").map(|entry| entry.expect("an entry").file_name());
    let mut names = entries.filter_map(|name| name.into_string().ok());
    names.find(|name| name.starts_with("input.")).expect("the case has an input")
}

fn run(case: &str) {
    let directory = cases().join(case);
    let more = fs::read_to_string(directory.join("arguments")).unwrap_or_default();
    let arguments: Vec<String> = ["convert".to_owned(), input(&directory)]
        .into_iter()
        .chain(more.lines().map(str::to_owned))
        .collect();
    let output = invigil(&directory, &arguments);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let code = output.status.code().expect("it exits by itself");
    let (manifests, told) = (text(&output.stdout), format!("{}exit {code}\n", text(&output.stderr)));
    let (expected, messages) = (directory.join("output.yaml"), directory.join("messages.txt"));
    if std::env::var_os("INVIGIL_ACCEPT").is_some() {
        fs::write(&messages, &told).expect("the messages are written");
        if code == 1 {
            let _ = fs::remove_file(&expected);
        } else {
            fs::write(&expected, &manifests).expect("the manifests are written");
        }
    }
    assert_eq!(told, fs::read_to_string(&messages).expect("the case has messages"), "{case}:\n{told}");
    if code == 1 {
        assert_eq!(manifests, "", "{case} fails, and writes something");
        return;
    }
    assert_eq!(
        manifests,
        fs::read_to_string(&expected).expect("the case has an output"),
        "{case}:\n{manifests}"
    );
    // Once more for all of them: what was left out stands in the manifests, too.
    for line in told.lines().filter_map(|line| line.split_once("left out: ").map(|(_, what)| what)) {
        assert!(
            manifests.contains(&format!("# left out: {line}\n")),
            "{case} does not say in a comment: {line}"
        );
    }
    assert_eq!(invigil(&directory, &arguments).stdout, output.stdout, "{case} differs from run to run");
    let valid = invigil(&directory, &["validate".to_owned(), beside(&directory, &manifests, &told)]);
    assert!(valid.status.success(), "{case}: {}", text(&valid.stdout));
}

/// The manifests in a directory with the files that they name, and with the containers that have to be there too.
fn beside(case: &Path, manifests: &str, told: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(case.file_name().expect("a name"));
    fs::create_dir_all(&directory).expect("a directory");
    for entry in fs::read_dir(case).expect("the case").map(|entry| entry.expect("an entry")) {
        if entry.path().extension().is_some_and(|extension| extension == "env") {
            fs::copy(entry.path(), directory.join(entry.file_name())).expect("a copy");
        }
    }
    let needed =
        told.lines().filter_map(|line| line.strip_prefix("note: container/")?.split_once(" has to be"));
    let others = needed.map(|(name, _)| {
        format!(
            "---\napiVersion: invigil/v1\nkind: Container\nmetadata: {{name: {name}}}\nspec: {{image: any}}\n"
        )
    });
    fs::write(
        directory.join("exam.yaml"),
        std::iter::once(manifests.to_owned()).chain(others).collect::<String>(),
    )
    .expect("the manifests are written");
    directory.to_string_lossy().into_owned()
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
    compose_aliases_are_refused_with_their_place,
    compose_as_compose_writes_it_out,
    compose_cannot_say_everything,
    compose_every_key,
    compose_needed_variable_is_missing,
    compose_of_one_service,
    compose_variables,
    compose_with_jobs_and_links,
    compose_without_services,
    create_body,
    create_body_of_the_first_api,
    create_body_with_a_key_twice,
    create_body_without_a_name,
    empty,
    hostconfig_json,
    inspection,
    nothing_that_is_known,
    too_deep,
);

#[test]
fn every_case_directory_is_run() {
    let entries = fs::read_dir(cases()).expect("the cases");
    let found: BTreeSet<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    let run: BTreeSet<String> = CASES.iter().map(|case| (*case).to_owned()).collect();
    assert_eq!(found, run);
}
