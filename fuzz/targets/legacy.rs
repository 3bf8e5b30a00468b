//! The old exam service's bodies and its answer notation: what is read becomes a manifest that holds.

use std::path::PathBuf;

use invigil::manifest::Manifests;
use invigil::problemset::legacy::answer::{parse_blanks, parse_bool, parse_choices};
use invigil::problemset::legacy::{Options, convert, manifest_yaml};
use invigil::source::{Content, Extent, ManifestFile, RootIdentity, Snapshot};

/// Reads the input as each answer and as a body.
///
/// # Panics
/// If what was converted is not a manifest without errors.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (choices, _, blanks) = (parse_choices(text), parse_bool(text), parse_blanks(text));
    if let Ok(answer) = choices {
        let last = answer.choices.last().expect("choices").0;
        assert!(answer.choices.len() >= 2 && !answer.key.is_empty());
        assert!(answer.key.iter().all(|letter| ('A'..=last).contains(letter)));
    }
    if let Ok((blanks, _)) = blanks {
        assert!(!blanks.is_empty() && blanks.iter().all(|blank| !blank.is_empty()));
    }
    let options = Options::default();
    let Ok(converted) = convert(text, &options) else { return };
    let (yaml, warnings) = manifest_yaml(text, &options).expect("what converts can be written");
    assert_eq!(warnings, converted.warnings);
    let file = ManifestFile {
        path: PathBuf::from("exam.yaml"),
        base_dir: PathBuf::from("/manifests"),
        content: Content::Text(yaml.clone()),
    };
    let identity = RootIdentity { device: 0, inode: 0 };
    let snapshot = Snapshot::new(PathBuf::from("/manifests"), identity, Extent::Directory, vec![file]);
    let manifests = Manifests::parse(&snapshot);
    let told: Vec<String> = manifests.diagnostics.iter().map(ToString::to_string).collect();
    assert!(manifests.is_complete() && manifests.resources.len() == 1, "{told:?}\n{yaml}");
    assert_eq!(manifests.resources[0].id.name.as_str(), converted.name);
}
