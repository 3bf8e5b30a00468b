//! What an operator is shown, word for word, and the steps behind it: `tests/cases/<case>/` holds
//! `manifests/`, how the engine came to be as it is (`observed.yaml`), and the expected `plan.txt`.
//! With `INVIGIL_ACCEPT` set, the expected texts are written anew.
//!
//! `observed.yaml` is a list of what happened, in order:
//!
//! ```yaml
//! history:
//!   - publish web:1 healthy      # what can be pulled; a word or none: healthy, unchecked, sick, exits, missing, volume
//!   - apply before               # the manifests in the case's directory of this name were applied
//!   - apply before calls 3       # the same, but the engine was lost with the fourth step
//!   - apply before with another server   # the same, by an Invigil with another exam server
//!   - mirror keeps web:1         # pulls bring what can be pulled now, whatever is published later
//!   - docker stop web            # an operator's hand
//! held: {container/web: why}     # changes that are not tried
//! prune: true                    # only removals are planned
//! ```
//!
//! Each plan is then carried out, and planned once more: where that second plan is not quiet, it
//! stands below the first.

mod history;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use history::Case;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn run(name: &str) {
    let directory = cases().join(name);
    let told = Case::read(&directory).told();
    let expected = directory.join("plan.txt");
    if std::env::var_os("INVIGIL_ACCEPT").is_some() {
        fs::write(&expected, &told).expect("the text is written");
    }
    let expected = fs::read_to_string(&expected).expect("the case has a plan.txt");
    assert_eq!(told, expected, "{name}:\n{told}");
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

include!("cases/list.rs");

#[test]
fn every_case_directory_is_run() {
    let entries = fs::read_dir(cases()).expect("the cases").map(|entry| entry.expect("an entry"));
    let found: BTreeSet<String> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    let run: BTreeSet<String> = CASES.iter().map(|case| (*case).to_owned()).collect();
    assert_eq!(found, run);
}

#[test]
fn a_plan_reads_the_same_in_whatever_order_the_engine_lists_things() {
    for name in CASES {
        let directory = cases().join(name);
        let case = Case::read(&directory);
        let (plan, reversed) = case.plans_of_both_orders();
        assert_eq!(plan, reversed, "{name}");
    }
}
