//! A checked problem set. In: a name and a spec. Out: the paper and the key, as two values, or
//! everything that is wrong with the spec. Does not know files, lines or Docker.

use std::collections::BTreeMap;

use crate::resource::label::is_mark;
use crate::resource::reference::ImageReference;
use crate::resource::violation::{FieldPath, Severity, Violation};

use super::check::ItemCheck;
use super::image_name::{check_repository, is_tag};
use super::key::AnswerKey;
use super::paper::{PAPER_FORMAT_VERSION, Paper};
use super::spec::ProblemSetSpec;
use super::text::{Text, quoted};

/// An exam, taken apart into what examinees may see and what they may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemSet {
    /// What goes into the image.
    pub paper: Paper,
    /// What never does.
    pub key: AnswerKey,
    /// The image's repository, in lower case.
    pub repository: String,
    /// The image's tag.
    pub tag: String,
    /// The image that the paper is put on; `None` with Invigil's own exam server.
    pub base: Option<ImageReference>,
    /// Who the problem set belongs to.
    pub owner: Option<String>,
    /// The old exam service's `imgId`.
    pub legacy_image_id: Option<String>,
}

impl ProblemSet {
    /// Checks `spec`, the `spec:` of the manifest `name`, and takes it apart.
    ///
    /// The violations are everything that is wrong, in the spec's order, with paths from the spec's
    /// root. The problem set is `None` exactly when one of them is an error. No violation quotes a key.
    pub fn new(name: &str, spec: &ProblemSetSpec) -> (Option<Self>, Vec<Violation>) {
        let root = FieldPath::root();
        let mut violations = Vec::new();
        check_line(&root.key("title"), &spec.title, &mut violations);
        check_language(&root.key("language"), &spec.language, &mut violations);
        for (field, text) in [("owner", &spec.owner), ("legacyImageId", &spec.legacy_image_id)] {
            if let Some(text) = text {
                check_line(&root.key(field), text, &mut violations);
            }
        }
        let repository = check_image(name, spec, &mut violations);

        check_base(&repository, spec, &mut violations);

        let items_path = root.key("items");
        if spec.items.is_empty() {
            violations.push(
                Violation::error(items_path.clone(), "a problem set needs at least one item")
                    .concluded_from([items_path.clone()]),
            );
        }
        let mut first_uses: BTreeMap<&str, usize> = BTreeMap::new();
        let mut items = Vec::new();
        let mut keys = BTreeMap::new();
        for (index, item) in spec.items.iter().enumerate() {
            let path = items_path.index(index);
            if let Some(first) = first_uses.get(item.id.as_str()) {
                let message = format!("{} is already the id of items[{first}]", quoted(&item.id));
                violations
                    .push(Violation::error(path.key("id"), message).concluded_from([items_path.clone()]));
            } else {
                first_uses.insert(&item.id, index);
            }
            let (on_paper, key) = ItemCheck::new(path, item, &mut violations).run();
            keys.extend(key.map(|key| (item.id.to_string(), key)));
            items.push(on_paper);
        }

        if violations.iter().any(|violation| violation.severity == Severity::Error) {
            return (None, violations);
        }
        let paper = Paper {
            format_version: PAPER_FORMAT_VERSION,
            name: name.to_owned(),
            title: spec.title.to_string(),
            language: spec.language.to_string(),
            items,
        };
        let set = Self {
            paper,
            key: AnswerKey::new(keys),
            repository,
            tag: spec.image.tag.to_string(),
            base: spec.runtime.as_ref().map(|runtime| runtime.base.clone()),
            owner: spec.owner.clone().map(String::from),
            legacy_image_id: spec.legacy_image_id.clone().map(String::from),
        };
        (Some(set), violations)
    }
}

/// A text of one line: not blank, no control characters at all.
pub(super) fn check_line(path: &FieldPath, text: &Text, violations: &mut Vec<Violation>) {
    if text.is_blank() {
        violations.push(Violation::error(path.clone(), "must not be empty"));
    } else if let Some(control) = text.chars().find(|c| c.is_control()) {
        violations.push(control_character(path, control, "use one line of plain text"));
    }
}

/// A text of any number of lines: not blank, and no control characters but line breaks and tabs.
pub(super) fn check_block(path: &FieldPath, text: &Text, violations: &mut Vec<Violation>) {
    let forbidden = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.is_blank() {
        violations.push(Violation::error(path.clone(), "must not be empty"));
    } else if let Some(control) = text.chars().find(forbidden) {
        let hint = "only line breaks (\\n) and tabs may stand in a text";
        violations.push(control_character(path, control, hint));
    }
}

fn control_character(path: &FieldPath, control: char, hint: &str) -> Violation {
    let message = format!("contains the control character U+{:04X}", u32::from(control));
    Violation::error(path.clone(), message).with_hint(hint)
}

fn check_language(path: &FieldPath, language: &Text, violations: &mut Vec<Violation>) {
    // The shape of BCP 47, not its registry: a page's `lang` attribute needs no more.
    let mut subtags = language.split('-');
    let primary = subtags.next().unwrap_or_default();
    let fits = (2..=8).contains(&primary.len())
        && primary.chars().all(|c| c.is_ascii_alphabetic())
        && subtags.all(|tag| (1..=8).contains(&tag.len()) && tag.chars().all(|c| c.is_ascii_alphanumeric()));
    if fits {
        return;
    }
    let violation = Violation::error(path.clone(), format!("{} is not a language tag", quoted(language)));
    violations.push(if language.contains('_') {
        violation.with_hint(format!("did you mean {}?", quoted(&language.replace('_', "-"))))
    } else {
        violation.with_hint("use a BCP 47 tag, such as zh-CN or en")
    });
}

fn check_image(name: &str, spec: &ProblemSetSpec, violations: &mut Vec<Violation>) -> String {
    let image = FieldPath::root().key("image");
    let written = spec.image.repository.as_deref();
    let repository = written.unwrap_or(name);
    if let Err(problem) = check_repository(repository) {
        let message = format!("{} is not a Docker repository: {problem}", quoted(repository));
        let violation = Violation::error(image.key("repository"), message);
        let lower = repository.to_lowercase();
        violations.push(if written.is_none() {
            violation.with_hint("it is the manifest's name; give the image a repository of its own")
        } else if check_repository(&lower).is_ok() {
            violation.with_hint(format!("did you mean {}?", quoted(&lower)))
        } else if let Some((repository, tag)) = repository.rsplit_once(':')
            && check_repository(repository).is_ok()
            && is_tag(tag)
        {
            violation.with_hint(format!("write {{repository: {repository}, tag: {tag}}}"))
        } else {
            violation
        });
    }
    let tag = &spec.image.tag;
    if !is_tag(tag) {
        let message = format!("{} is not a tag", quoted(tag));
        let hint = "up to 128 letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`";
        violations.push(Violation::error(image.key("tag"), message).with_hint(hint));
    }
    repository.to_owned()
}

fn check_base(repository: &str, spec: &ProblemSetSpec, violations: &mut Vec<Violation>) {
    let Some(runtime) = &spec.runtime else { return };
    let path = FieldPath::root().key("runtime").key("base");
    let own = format!("{repository}:{}", &*spec.image.tag).parse();
    if own.as_ref() == Ok(&runtime.base) {
        let message = format!("{} is the image that the paper is put into", runtime.base);
        let hint = "name the image without the paper, or give this one a name of its own: `image: {repository: ...}`";
        violations.push(Violation::error(path, message).with_hint(hint));
    } else if is_mark(&runtime.base) {
        violations.push(Violation::error(path, "tags of io.invigil.owner are Invigil's own"));
    }
}
