//! What holds for every text.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_yaml::{Mapping, Value};

use crate::problemset::legacy::answer::{parse_blanks, parse_bool, parse_choices};
use crate::problemset::legacy::time::parse_time;
use crate::problemset::legacy::{Options, convert, manifest_yaml};
use crate::problemset::spec::ProblemSetSpec;
use crate::problemset::yaml;

/// Texts that notations and YAML care about, mixed with any others.
fn awkward() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[A-Fa-f0-9]{1,3}",
        "[ \t\n\r:#,@＠&＆.．、)）：{}\\[\\]'\"|>%!*-]{1,3}",
        "[年月日时分秒对错题一二]{1,2}",
        any::<char>().prop_map(String::from),
        Just("true".to_owned()),
        Just("\u{2028}".to_owned()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        awkward().prop_map(Value::String),
        any::<bool>().prop_map(Value::Bool),
        (0u32..100_000).prop_map(|number| Value::Number(number.into())),
        Just(Value::Null),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let nested = scalar().prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Sequence),
            prop::collection::vec(("[a-z][a-zA-Z]{0,8}", inner), 0..5).prop_map(|entries| {
                Value::Mapping(entries.into_iter().map(|(key, value)| (Value::String(key), value)).collect())
            }),
        ]
    });
    nested.prop_map(|value| Value::Mapping(Mapping::from_iter([(Value::from("spec"), value)])))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn yaml_reads_back_as_what_was_written(value in document()) {
        let text = yaml::to_text(&value);
        let read: Value = serde_yaml::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(read, value, "{}", text);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in awkward(), anything in any::<String>()) {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        for text in [&text, &anything] {
            let _ = (parse_choices(text), parse_bool(text), parse_blanks(text), parse_time(text, &zone));
            let _ = convert(text, &Options::default());
        }
    }

    #[test]
    fn a_choice_answer_written_by_the_rules_reads_back(
        texts in prop::collection::vec("[a-z0-9一-龥 ]{0,5}[a-z0-9一-龥]", 2..26),
        full_width in any::<bool>(),
        right in prop::collection::btree_set(0usize..26, 1..4),
    ) {
        let right: Vec<char> =
            right.into_iter().filter(|at| *at < texts.len()).filter_map(|at| ('A'..='Z').nth(at)).collect();
        prop_assume!(!right.is_empty());
        let (separator, dot, at) = if full_width { ("＆", "．", "＠") } else { ("&", ".", "@") };
        let labelled: Vec<String> =
            ('A'..='Z').zip(&texts).map(|(label, text)| format!("{label}{dot}{text}")).collect();
        let answer = format!("{}{at}{}", labelled.join(separator), right.iter().collect::<String>());
        let read = parse_choices(&answer).unwrap();
        let read_texts: Vec<&str> = read.choices.iter().map(|(_, text)| text.as_str()).collect();
        prop_assert_eq!(read_texts, texts.iter().map(|text| text.trim()).collect::<Vec<_>>());
        prop_assert_eq!(read.key.into_iter().collect::<Vec<_>>(), right);
    }

    #[test]
    fn whatever_converts_reads_back_from_its_manifest(
        name in "[A-Za-z0-9 ._/-]{1,12}",
        prompts in prop::collection::btree_map("[0-9a-z]{1,3}", (awkward(), awkward()), 1..5),
    ) {
        let problem = |(id, (prompt, answer)): (&String, &(String, String))| {
            (id.clone(), serde_json::json!({"type": "简答题", "problem": prompt, "answer": answer}))
        };
        let problems: serde_json::Map<_, _> = prompts.iter().map(problem).collect();
        let body = serde_json::json!({"imgName": name, "problem": problems}).to_string();
        if let Ok((yaml, _)) = manifest_yaml(&body, &Options::default()) {
            let manifest: Mapping = serde_yaml::from_str(&yaml).unwrap();
            let spec: ProblemSetSpec = serde_yaml::from_value(manifest["spec"].clone()).unwrap();
            prop_assert_eq!(spec, convert(&body, &Options::default()).unwrap().spec);
        }
    }
}
