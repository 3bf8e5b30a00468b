//! The body of `POST /BuildImage`. In: its text. Out: a problem set's name and spec, with warnings, or
//! everything that is wrong with it, by the body's own field names. Skips nothing: what it does not know
//! is an error.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use crate::problemset::item::ItemSpec;
use crate::problemset::set::ProblemSet;
use crate::problemset::spec::{DEFAULT_LANGUAGE, ImageNameSpec, ProblemSetSpec};
use crate::problemset::text::quoted;
use crate::resource::violation::{FieldPath, Segment, Severity, Violation};

use super::entry::ProblemReader;
use super::fields::{Fields, members};
use super::json::Json;
use super::name::LegacyName;
use super::time::DEFAULT_TIME_ZONE;

/// What a body does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The IANA name of the time zone that `createTime` meant.
    pub time_zone: String,
    /// The repositories of problem sets that are there already: another one of the same name is an error.
    pub taken: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { time_zone: DEFAULT_TIME_ZONE.to_owned(), taken: BTreeSet::new() }
    }
}

/// A body, converted.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// For `metadata.name`.
    pub name: String,
    /// For `spec`; [`ProblemSet::new`] finds no error in it.
    pub spec: ProblemSetSpec,
    /// What the author should look at, by the body's field names.
    pub warnings: Vec<Violation>,
}

const BODY_FIELDS: [&str; 4] = ["uid", "imgName", "imgId", "problem"];

/// Converts a body: `uid` becomes the owner, `imgName` the title, the name and the repository, `imgId`
/// the legacy image id, and each member of `problem` an item, its key the item's id. Items are sorted by
/// id: numbers as numbers, then texts.
///
/// Errors: all of them at once, and the warnings among them, in the order of the body's fields.
pub fn convert(body: &str, options: &Options) -> Result<Converted, Vec<Violation>> {
    let root = FieldPath::root();
    let json: Json = serde_json::from_str(body.trim_start_matches('\u{feff}'))
        .map_err(|error| vec![Violation::error(root.clone(), format!("is not JSON: {error}"))])?;
    let zone = TimeZone::get(&options.time_zone).map_err(|_| {
        let message = format!("{} is not a time zone", quoted(&options.time_zone));
        vec![Violation::error(root.clone(), message).with_hint("use an IANA name, such as Asia/Shanghai")]
    })?;
    let mut violations = Vec::new();
    let Some(fields) = Fields::read(&root, &json, &BODY_FIELDS, &mut violations) else {
        return Err(violations);
    };
    let owner = fields.text("uid", &mut violations);
    let title = fields.required("imgName", &mut violations);
    let name = title.as_deref().and_then(|title| read_name(title, options, &fields, &mut violations));
    let legacy_image_id = fields.text("imgId", &mut violations);
    let problems = read_problems(&fields, &zone, &mut violations);

    // A name that was refused must not be refused a second time in other words.
    let name = name.unwrap_or_else(LegacyName::unnamed);
    let (keys, items): (Vec<&str>, Vec<ItemSpec>) = problems.into_iter().unzip();
    let spec = ProblemSetSpec {
        title: title.unwrap_or_else(|| name.name.clone()).trim().into(),
        language: DEFAULT_LANGUAGE.into(),
        owner: owner.map(Into::into),
        image: ImageNameSpec {
            repository: (name.repository != name.name).then(|| name.repository.as_str().into()),
            tag: name.tag.as_str().into(),
        },
        runtime: None,
        legacy_image_id: legacy_image_id.map(Into::into),
        items,
    };
    let (_, found) = ProblemSet::new(&name.name, &spec);
    let about_items = FieldPath::root().key("items");
    violations.extend(
        found
            .into_iter()
            // No item is left when each was refused, or `problem` itself; that has been said.
            .filter(|violation| violation.path != about_items)
            .map(|violation| Violation { path: legacy_path(&violation.path, &keys), ..violation }),
    );
    if violations.iter().any(|violation| violation.severity == Severity::Error) {
        return Err(violations);
    }
    Ok(Converted { name: name.name, spec, warnings: violations })
}

fn read_name(
    title: &str,
    options: &Options,
    fields: &Fields<'_>,
    violations: &mut Vec<Violation>,
) -> Option<LegacyName> {
    let path = fields.path("imgName");
    let name = match LegacyName::parse(title) {
        Ok(name) => name,
        Err(message) => {
            let hint = "give it a name in a-z and 0-9; the title can be changed in the manifest";
            violations.push(Violation::error(path, message).with_hint(hint));
            return None;
        }
    };
    violations.extend(name.warning.as_ref().map(|warning| Violation::warning(path.clone(), warning)));
    if options.taken.contains(&name.repository) {
        let message = format!("another problem set has the repository {} already", quoted(&name.repository));
        violations
            .push(Violation::error(path, message).with_hint("change imgName; capitals make no difference"));
        return None;
    }
    Some(name)
}

fn read_problems<'a>(
    fields: &Fields<'a>,
    zone: &TimeZone,
    violations: &mut Vec<Violation>,
) -> Vec<(&'a str, ItemSpec)> {
    let path = fields.path("problem");
    let Some(json) = fields.get("problem") else {
        violations.push(Violation::error(path, "is missing or empty"));
        return Vec::new();
    };
    let Some(problems) = members(&path, json, violations) else { return Vec::new() };
    if problems.is_empty() {
        violations.push(Violation::error(path.clone(), "is missing or empty"));
    }
    let mut problems: Vec<_> = problems.into_iter().collect();
    problems.sort_by(|(a, _), (b, _)| compare_keys(a, b));
    let mut items = Vec::new();
    for (key, json) in problems {
        if key.trim().is_empty() || key.contains(char::is_control) {
            violations
                .push(Violation::error(path.clone(), format!("{} cannot be an item's id", quoted(key))));
            continue;
        }
        let item = ProblemReader::new(path.key(key), zone, violations).read(key, json);
        items.extend(item.map(|item| (key, item)));
    }
    items
}

/// 8 < 9 < 10 < 010 < a: digits by their value (and then by their writing), before all other texts.
fn compare_keys(a: &str, b: &str) -> Ordering {
    let digits = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    match (digits(a), digits(b)) {
        (true, true) => {
            // By length and then by text, which needs no integer that is large enough.
            let (x, y) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            (x.len(), x, a.len()).cmp(&(y.len(), y, b.len()))
        }
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

/// The body's field that `path` in the spec came from.
fn legacy_path(path: &FieldPath, keys: &[&str]) -> FieldPath {
    let root = FieldPath::root();
    let key = |segment: &Segment| match segment {
        Segment::Key(key) => key.clone(),
        Segment::Index(index) => index.to_string(),
    };
    match path.segments() {
        [Segment::Key(items), Segment::Index(index), rest @ ..] if items == "items" => {
            let problem = root.key("problem").key(keys.get(*index).copied().unwrap_or_default());
            match rest.first().map(key).as_deref() {
                Some("label") => problem.key("name"),
                Some("prompt") => problem.key("problem"),
                Some("choices" | "key") => problem.key("answer"),
                Some("createdAt") => problem.key("createTime"),
                Some(field @ ("type" | "author")) => problem.key(field),
                _ => problem,
            }
        }
        [first, ..] => match key(first).as_str() {
            "owner" => root.key("uid"),
            "legacyImageId" => root.key("imgId"),
            _ => root.key("imgName"),
        },
        [] => root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_numbers_and_then_as_texts() {
        let mut keys = ["b", "10", "9", "a", "08", "8", "99999999999999999999999999999999999999999999", "1a"];
        keys.sort_by(|a, b| compare_keys(a, b));
        assert_eq!(
            keys,
            ["8", "08", "9", "10", "99999999999999999999999999999999999999999999", "1a", "a", "b"]
        );
    }
}
