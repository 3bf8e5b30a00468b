//! From YAML text to violations, and no further than the paper.

use std::fmt::Write;

use super::set::ProblemSet;
use super::spec::ProblemSetSpec;

fn read(yaml: &str) -> ProblemSetSpec {
    serde_yaml::from_str(yaml).unwrap()
}

/// The error of one item given in flow style, with its path.
fn read_error(item: &str) -> String {
    let yaml = format!("{{title: t, items: [{item}]}}");
    let reader = serde_yaml::Deserializer::from_str(&yaml);
    let error = serde_path_to_error::deserialize::<_, ProblemSetSpec>(reader).unwrap_err();
    let message = error.inner().to_string();
    let message = message.split(" at line").next().unwrap_or_default().to_owned();
    // The YAML reader puts its own idea of the path in front.
    let own_path = |message: &str| message.starts_with("items[");
    let message = match message.split_once(": ") {
        Some((_, rest)) if own_path(&message) => rest,
        _ => &message,
    };
    format!("{}: {message}", error.path())
}

fn violations(yaml: &str) -> String {
    let (set, violations) = ProblemSet::new("exam", &read(yaml));
    assert_eq!(set.is_none(), !violations.is_empty());
    let mut lines = String::new();
    for violation in violations {
        writeln!(lines, "{}: {}", violation.path, violation.message).unwrap();
        if let Some(hint) = violation.hint {
            writeln!(lines, "  {hint}").unwrap();
        }
    }
    lines
}

const EXAM: &str = "\
title: 期中考试
owner: user1
items:
  - {id: '8', label: 第8题, type: single_choice, prompt: 1+1=？, choices: [{id: A, text: '1'}, {id: B, text: '2'}],
     key: {choices: [B]}, points: 5, author: slq, createdAt: 2018-07-06T16:34:00+08:00}
  - {id: '9', type: fill_in_blank, prompt: {text: '**x** = ', format: markdown}, key: {blanks: ['42']}, points: 0.07}
";

#[test]
fn the_paper_is_the_problem_set_without_its_key_byte_for_byte() {
    let (set, violations) = ProblemSet::new("img-test", &read(EXAM));
    assert_eq!(violations, []);
    let set = set.unwrap();
    let json = String::from_utf8(set.paper.to_json().unwrap()).unwrap();
    assert_eq!(
        json,
        concat!(
            r#"{"formatVersion":1,"name":"img-test","title":"期中考试","language":"zh-CN","items":["#,
            r#"{"id":"8","label":"第8题","type":"single_choice","prompt":{"text":"1+1=？","format":"text"},"#,
            r#""choices":[{"id":"A","text":"1"},{"id":"B","text":"2"}],"centipoints":500},"#,
            r#"{"id":"9","label":"9","type":"fill_in_blank","#,
            r#""prompt":{"text":"**x** = ","format":"markdown"},"centipoints":7}]}"#,
            "\n"
        )
    );
    assert_eq!((set.repository.as_str(), set.tag.as_str()), ("img-test", "latest"));
    assert_eq!(set.owner.as_deref(), Some("user1"));
}

#[test]
fn a_spec_written_as_yaml_reads_back_as_itself() {
    let spec = read(EXAM);
    assert_eq!(read(&serde_yaml::to_string(&spec).unwrap()), spec);
}

#[test]
fn the_key_is_withheld_from_every_debug_output() {
    let spec = read(EXAM);
    let (set, _) = ProblemSet::new("exam", &spec);
    let key = &set.as_ref().unwrap().key;
    assert_eq!(format!("{key:?}"), "AnswerKey(withheld)");
    assert_eq!(format!("{:?}", key.item("9").unwrap()), "ItemKey(withheld)");
    assert_eq!(format!("{:?}", spec.items[1].key), "Some(KeySpec(withheld))");
    assert!(!format!("{spec:#?}{set:#?}").contains("42"));
}

#[test]
fn a_scalar_of_another_type_is_an_error_where_a_text_is_wanted() {
    let choices = "choices: [{id: A, text: x}, {id: B, text: y}]";
    for (item, error) in [
        ("{id: 8}", "items[0].id: expected a text, found a number; put it in quotes if it is a text"),
        ("{id: true}", "items[0].id: expected a text, found a boolean; put it in quotes if it is a text"),
        ("{id: ~}", "items[0].id: expected a text, found nothing"),
        ("{id: [a]}", "items[0].id: expected a text, found a list"),
        ("{id: {a: b}}", "items[0].id: expected a text, found a mapping"),
        (
            "{id: a, choices: [{id: A, text: 1}]}",
            "items[0].choices[0].text: expected a text, found a number; put it in quotes if it is a text",
        ),
        (
            "{id: a, prompt: 5}",
            "items[0].prompt: invalid type: integer `5`, expected a text (in quotes if it looks like a number) \
             or {text, format}",
        ),
        (
            "{id: a, prompt: {text: 5}}",
            "items[0].prompt.text: expected a text, found a number; put it in quotes if it is a text",
        ),
        (
            "{id: a, prompt: {txt: x}}",
            "items[0].prompt.txt: unknown field `txt`, expected `text` or `format`",
        ),
    ] {
        assert_eq!(read_error(item), error, "{item}");
    }
    let no_key_name = format!("{{id: a, type: single_choice, prompt: x, {choices}, kye: {{choices: [A]}}}}");
    assert!(read_error(&no_key_name).starts_with("items[0].kye: unknown field `kye`"));
}

#[test]
fn no_error_of_reading_quotes_a_key() {
    let one_of = "expected a mapping with exactly one of choices, bool, blanks, reference";
    for (key, error) in [
        ("CANARY", format!("items[0].key: {one_of}")),
        ("4242", format!("items[0].key: {one_of}")),
        ("4.242", format!("items[0].key: {one_of}")),
        ("{CANARY: x}", format!("items[0].key: {one_of}")),
        ("{}", format!("items[0].key: {one_of}")),
        ("{choices: [A], CANARY: true}", format!("items[0].key: {one_of}")),
        ("{bool: CANARY}", "items[0].key.bool: expected true or false, found a text".to_owned()),
        ("{choices: CANARY}", "items[0].key.choices: expected a list of choice ids, found a text".to_owned()),
        (
            "{reference: 4242}",
            "items[0].key.reference: expected a text, found a number; put it in quotes if it is a text"
                .to_owned(),
        ),
        (
            "{blanks: [a, 4242]}",
            "items[0].key.blanks[1]: expected a text, found a number; put it in quotes if it is a text"
                .to_owned(),
        ),
        ("{blanks: [CANARY: x]}", "items[0].key.blanks[0]: expected a text, found a mapping".to_owned()),
    ] {
        assert_eq!(
            read_error(&format!("{{id: a, type: true_false, prompt: x, key: {key}}}")),
            error,
            "{key}"
        );
    }
    let tagged = read_error("{id: a, type: true_false, prompt: x, key: !CANARY x}");
    let list = read_error("{id: a, type: true_false, prompt: x, key: [CANARY]}");
    assert!(!tagged.contains("CANARY") && !list.contains("CANARY"), "{tagged} {list}");
}

#[test]
fn everything_wrong_with_a_problem_set_is_told_at_once() {
    let yaml = r#"
title: " "
language: zh_CN
image: {repository: Exam, tag: a b}
items:
  - {id: "1", label: "", type: single_choice, prompt: "a\eb", choices: [{id: A, text: ""}],
     key: {choices: [A, B]}, points: 1.005}
  - {id: "1", type: multiple_choice, prompt: x, choices: [{id: A, text: x}, {id: A, text: y}],
     key: {choices: [D, D]}, points: 10001, createdAt: 2018-02-30T00:00:00Z}
  - {id: "3", type: true_false, prompt: x, choices: [{id: A, text: x}]}
  - {id: "4", type: fill_in_blank, prompt: x, key: {bool: true}, points: .nan}
  - {id: "5", type: fill_in_blank, prompt: x, key: {blanks: []}}
  - {id: "6", type: short_answer, prompt: x, createdAt: "2018-7-6 16:34"}
  - {id: "7", type: single_choice, prompt: x, choices: [{id: A, text: x}, {id: B, text: y}], key: {choices: []}}
"#;
    assert_eq!(
        violations(yaml),
        "\
title: must not be empty
language: `zh_CN` is not a language tag
  did you mean `zh-CN`?
image.repository: `Exam` is not a Docker repository: Docker repository names are lower case
  did you mean `exam`?
image.tag: `a b` is not a tag
  up to 128 letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`
items[0].label: must not be empty
items[0].prompt: contains the control character U+001B
  only line breaks (\\n) and tabs may stand in a text
items[0].choices: single_choice items need at least two choices, found 1
items[0].choices[0].text: must not be empty
items[0].key.choices: single_choice items have exactly one right choice, found 2
  make the type multiple_choice if several are right
items[0].key.choices[1]: names a choice that the item does not have
  the item's choices are `A`
items[0].points: 1.005 has more than two decimals
items[1].id: `1` is already the id of items[0]
items[1].choices[1].id: the choice `A` is there twice
items[1].key.choices[0]: names a choice that the item does not have
  the item's choices are `A`, `A`
items[1].key.choices[1]: names a choice that the item does not have
items[1].key.choices[1]: names a choice for the second time
items[1].points: 10001 is not between 0 and 10000
items[1].createdAt: `2018-02-30T00:00:00Z` is not a moment: there is no such day or time
items[2].choices: true_false items have no choices
  remove them, or make the type single_choice or multiple_choice
items[2].key: true_false items need a key
  write `key: {bool: ...}` with true or false
items[3].key: fill_in_blank items take `blanks`, not `bool`
  write `key: {blanks: [...]}` with a text for each blank
items[3].points: NaN is not between 0 and 10000
items[4].key.blanks: needs at least one blank
items[5].createdAt: `2018-7-6 16:34` is not a moment: expected RFC 3339, as in 2018-07-06T16:34:00+08:00
items[6].key.choices: names no choice
"
    );
}

#[test]
fn a_problem_set_needs_an_item() {
    assert_eq!(violations("{title: t, items: []}"), "items: a problem set needs at least one item\n");
}

#[test]
fn a_manifest_name_that_is_no_repository_asks_for_one() {
    let spec = read("{title: t, items: [{id: a, type: short_answer, prompt: x}]}");
    let (_, violations) = ProblemSet::new("a..b", &spec);
    assert_eq!(violations[0].path.to_string(), "image.repository");
    assert_eq!(
        violations[0].message,
        "`a..b` is not a Docker repository: `..` may not stand between letters"
    );
    let spec =
        read("{title: t, image: {repository: 'exam:v1'}, items: [{id: a, type: short_answer, prompt: x}]}");
    let (_, violations) = ProblemSet::new("exam", &spec);
    assert_eq!(violations[0].hint.as_deref(), Some("write {repository: exam, tag: v1}"));
}

#[test]
fn the_schema_describes_every_field_and_accepts_both_forms_of_a_prompt() {
    let schema = schemars::schema_for!(ProblemSetSpec).to_value();
    let text = schema.to_string();
    assert!(text.contains("A BCP 47 tag") || text.contains("BCP 47 tag"), "{text}");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let as_json: serde_json::Value = serde_yaml::from_str(EXAM).unwrap();
    assert!(validator.is_valid(&as_json), "{:?}", validator.iter_errors(&as_json).collect::<Vec<_>>());
    for wrong in [
        "{title: 5, items: [{id: a, type: short_answer, prompt: x}]}",
        "{title: t, items: [{id: a, type: short_answer, prompt: 5}]}",
        "{title: t, items: [{id: a, type: short_answer, prompt: {text: x, extra: y}}]}",
        "{title: t, items: [{id: a, type: true_false, prompt: x, key: {bool: true, blanks: []}}]}",
    ] {
        let as_json: serde_json::Value = serde_yaml::from_str(wrong).unwrap();
        assert!(!validator.is_valid(&as_json), "{wrong}");
    }
    let fields = ["items", "title", "language", "owner", "image", "legacyImageId"];
    for field in fields {
        assert!(schema["properties"][field]["description"].is_string(), "{field}");
    }
    for definition in ["ItemSpec", "ChoiceSpec", "ImageNameSpec", "Prompt"] {
        let properties = schema["$defs"][definition]["properties"].as_object().unwrap();
        for (field, property) in properties {
            assert!(property["description"].is_string(), "{definition}.{field}");
        }
    }
}

#[test]
fn a_base_is_an_image_and_another_than_the_problem_sets_own() {
    let with = |base: &str, image: &str| format!("runtime: {{base: '{base}'}}\nimage: {image}\n{EXAM}");
    let (set, wrong) = ProblemSet::new("exam", &read(&with("server:1", "{}")));
    assert_eq!(wrong, []);
    assert_eq!(set.unwrap().base.unwrap().to_string(), "server:1");
    assert_eq!(
        violations(&with("docker.io/library/exam", "{}")),
        "runtime.base: exam:latest is the image that the paper is put into\n  name the image without the paper, or \
         give this one a name of its own: `image: {repository: ...}`\n"
    );
    assert_eq!(violations(&with("exam:latest", "{tag: with-paper}")), "");
    assert_eq!(
        violations(&with("io.invigil.owner/default/exam:1", "{}")),
        "runtime.base: tags of io.invigil.owner are Invigil's own\n"
    );
}
