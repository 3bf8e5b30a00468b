//! Law 12: whatever is in a key, nothing that can be shown or put into an image holds it.

use proptest::prelude::*;

use super::item::{ChoiceSpec, ItemSpec, PromptSpec};
use super::key_spec::KeySpec;
use super::legacy::{Options, convert};
use super::paper::{ItemType, TextFormat};
use super::set::ProblemSet;
use super::spec::{ImageNameSpec, ProblemSetSpec};
use super::text::Text;

/// Stands in every key, and is made of letters that no generated text has.
const CANARY: &str = "KQXZ";

/// Keys of every form, right or wrong for the item that they come with.
fn key() -> impl Strategy<Value = KeySpec> {
    let secret = "[a-h ]{0,4}".prop_map(|text| Text::from(format!("{text}{CANARY}{text}")));
    let secrets = prop::collection::vec(secret.clone(), 0..4);
    prop_oneof![
        secrets.clone().prop_map(KeySpec::Choices),
        any::<bool>().prop_map(KeySpec::Bool),
        secrets.prop_map(KeySpec::Blanks),
        secret.prop_map(KeySpec::Reference),
    ]
}

fn item() -> impl Strategy<Value = ItemSpec> {
    let kind = prop_oneof![
        Just(ItemType::SingleChoice),
        Just(ItemType::MultipleChoice),
        Just(ItemType::TrueFalse),
        Just(ItemType::FillInBlank),
        Just(ItemType::ShortAnswer),
        Just(ItemType::Programming),
    ];
    let choices = prop::collection::vec(("[a-c]", "[a-h]{0,3}"), 0..4);
    ("[a-h]{0,3}", kind, "[a-h\n ]{0,9}", choices, prop::option::of(key()), any::<bool>()).prop_map(
        |(id, kind, prompt, choices, key, markdown)| ItemSpec {
            id: id.into(),
            label: None,
            kind,
            prompt: PromptSpec {
                text: prompt.into(),
                format: if markdown { TextFormat::Markdown } else { TextFormat::Text },
            },
            choices: choices
                .into_iter()
                .map(|(id, text)| ChoiceSpec { id: id.into(), text: text.into() })
                .collect(),
            key,
            points: None,
            author: None,
            created_at: None,
        },
    )
}

fn spec_of(items: Vec<ItemSpec>) -> ProblemSetSpec {
    ProblemSetSpec {
        title: "exam".into(),
        language: "en".into(),
        owner: None,
        image: ImageNameSpec::default(),
        runtime: None,
        legacy_image_id: None,
        items,
    }
}

/// One valid item of each type that takes a text as its key.
fn keyed_items(blanks: Vec<Text>, reference: Text) -> Vec<ItemSpec> {
    let keys = [
        (ItemType::FillInBlank, KeySpec::Blanks(blanks)),
        (ItemType::ShortAnswer, KeySpec::Reference(reference.clone())),
        (ItemType::Programming, KeySpec::Reference(reference)),
    ];
    keys.into_iter()
        .enumerate()
        .map(|(index, (kind, key))| ItemSpec {
            id: index.to_string().into(),
            label: None,
            kind,
            prompt: PromptSpec::plain("why?"),
            choices: Vec::new(),
            key: Some(key),
            points: None,
            author: None,
            created_at: None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn law_12_no_paper_holds_a_key(text in "[a-h ]{0,5}") {
        let secret = Text::from(format!("{text}{CANARY}"));
        let items = keyed_items(vec![secret.clone(), secret.clone()], secret);
        let spec = spec_of(items.clone());
        let set = ProblemSet::new("exam", &spec).0.unwrap();
        let json = String::from_utf8(set.paper.to_json().unwrap()).unwrap();
        prop_assert!(!json.contains(CANARY), "{}", json);

        // Not even indirectly: without the keys, the paper is the same.
        let unkeyed = keyed_items(vec!["other".into()], "another".into());
        let other = ProblemSet::new("exam", &spec_of(unkeyed)).0.unwrap();
        prop_assert_eq!(json.as_bytes(), other.paper.to_json().unwrap());
    }

    #[test]
    fn law_12_no_debug_output_and_no_violation_holds_a_key(items in prop::collection::vec(item(), 0..4)) {
        let spec = spec_of(items);
        let (set, violations) = ProblemSet::new("exam", &spec);
        let shown = format!("{spec:?}{spec:#?}{set:?}{set:#?}{violations:?}");
        prop_assert!(!shown.contains(CANARY), "{}", shown);
    }

    #[test]
    fn law_12_no_error_of_a_conversion_holds_a_key(
        kind in "选择题|单选题|多选题|判断题|填空题|简答题|编程题|其他",
        before in "(A\\.[a-h]&B\\.[a-h])?",
        around in "[@&,.\u{7} ]{0,2}",
    ) {
        let answer = format!("{before}@{around}{CANARY}{around}");
        let problem = serde_json::json!({"type": kind, "problem": "why?", "answer": answer});
        let body = serde_json::json!({"imgName": "exam", "problem": {"1": problem}}).to_string();
        let shown = format!("{:?}", convert(&body, &Options::default()));
        prop_assert!(!shown.contains(CANARY), "{}", shown);
    }
}
