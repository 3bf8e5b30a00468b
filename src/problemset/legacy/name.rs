//! The old service's image names. In: `imgName`. Out: a repository, a tag and a manifest's name. Invents
//! no name: one without a single Latin letter or digit is an error.

use std::ops::RangeInclusive;

use crate::problemset::image_name::{check_repository, is_tag};
use crate::problemset::spec::DEFAULT_TAG;
use crate::problemset::text::quoted;

/// How long the name of a manifest can be.
const NAME_LENGTH: RangeInclusive<usize> = 2..=100;

/// What became of an `imgName`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LegacyName {
    /// For `metadata.name`.
    pub(super) name: String,
    pub(super) repository: String,
    pub(super) tag: String,
    /// Said when the repository is not the name that was written.
    pub(super) warning: Option<String>,
}

impl LegacyName {
    /// Stands in for a name that was refused, so that the rest of a body can still be checked.
    pub(super) fn unnamed() -> Self {
        let name = "unnamed".to_owned();
        Self { repository: name.clone(), name, tag: DEFAULT_TAG.to_owned(), warning: None }
    }

    /// Turns `written` into a lower-case repository: capitals are lowered, and any run of characters
    /// that a repository cannot have becomes one hyphen. What follows a last `:` is the tag, if it is
    /// one.
    ///
    /// Errors: a sentence, when nothing is left, or what is left is too short or too long for a
    /// manifest's name.
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        let written = written.trim();
        let (repository, tag) = match written.rsplit_once(':') {
            Some((repository, tag)) if is_tag(tag) => (repository, tag),
            _ => (written, DEFAULT_TAG),
        };
        let lowered = lowered(repository);
        if let Err(problem) = check_repository(&lowered) {
            return Err(format!("{} cannot be made a Docker repository: {problem}", quoted(written)));
        }
        let warning = (lowered != repository)
            .then(|| format!("{} became the repository {}", quoted(repository), quoted(&lowered)));
        let name = lowered.replace(['/', ':'], "-");
        if !NAME_LENGTH.contains(&name.len()) {
            let (least, most) = (NAME_LENGTH.start(), NAME_LENGTH.end());
            return Err(format!(
                "{} makes a name of length {}; a manifest's name has {least} to {most} characters",
                quoted(written),
                name.len()
            ));
        }
        Ok(Self { name, repository: lowered, tag: tag.to_owned(), warning })
    }
}

fn lowered(repository: &str) -> String {
    if check_repository(repository).is_ok() {
        return repository.to_owned();
    }
    let components = repository.split('/').map(|component| {
        let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let words = component.split(|c: char| !kept(c)).filter(|word| !word.is_empty());
        let hyphenated = words.collect::<Vec<_>>().join("-").to_lowercase();
        hyphenated.trim_matches(['.', '_', '-']).to_owned()
    });
    components.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name repository:tag`, with ` !` behind it when there is a warning.
    fn read(written: &str) -> String {
        match LegacyName::parse(written) {
            Ok(LegacyName { name, repository, tag, warning }) => {
                format!("{name} {repository}:{tag}{}", if warning.is_some() { " !" } else { "" })
            }
            Err(error) => error,
        }
    }

    #[test]
    fn an_old_image_name_becomes_a_repository_and_a_name() {
        for (written, expected) in [
            ("img-test", "img-test img-test:latest"),
            (" exam:V2 ", "exam exam:V2"),
            ("Exam", "exam exam:latest !"),
            ("Algebra 期末 (A)", "algebra-a algebra-a:latest !"),
            ("_exam_", "exam exam:latest !"),
            ("10.20.29.45:5000/exams/a", "10.20.29.45-5000-exams-a 10.20.29.45:5000/exams/a:latest"),
            ("期中", "`期中` cannot be made a Docker repository: a part of it is empty"),
            ("a..b", "`a..b` cannot be made a Docker repository: `..` may not stand between letters"),
            ("x", "`x` makes a name of length 1; a manifest's name has 2 to 100 characters"),
        ] {
            assert_eq!(read(written), expected, "{written}");
        }
        assert!(
            read(&"a".repeat(101))
                .ends_with("makes a name of length 101; a manifest's name has 2 to 100 characters")
        );
    }
}
