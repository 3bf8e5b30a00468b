//! One problem of a `BuildImage` body. In: a member of `problem`. Out: an item, or what is wrong with
//! it. Never quotes the key.

use jiff::tz::TimeZone;

use crate::problemset::item::{ChoiceSpec, ItemSpec, PromptSpec};
use crate::problemset::key_spec::KeySpec;
use crate::problemset::moment::to_rfc3339;
use crate::problemset::paper::ItemType;
use crate::problemset::text::{Text, closest, quoted};
use crate::resource::violation::{FieldPath, Violation};

use super::answer::{AnswerError, ChoiceAnswer, parse_blanks, parse_bool, parse_choices};
use super::fields::Fields;
use super::json::Json;
use super::time::{TimeError, parse_time};

const FIELDS: [&str; 6] = ["name", "type", "problem", "answer", "createTime", "author"];

/// The old service's types, as `type` names them.
const TYPES: [(&str, LegacyType); 7] = [
    ("选择题", LegacyType::Choice),
    ("单选题", LegacyType::Single),
    ("多选题", LegacyType::Multiple),
    ("判断题", LegacyType::TrueFalse),
    ("填空题", LegacyType::Blanks),
    ("简答题", LegacyType::Text(ItemType::ShortAnswer)),
    ("编程题", LegacyType::Text(ItemType::Programming)),
];

#[derive(Debug, Clone, Copy)]
enum LegacyType {
    /// Single or multiple: the number of keys says which.
    Choice,
    Single,
    Multiple,
    TrueFalse,
    Blanks,
    Text(ItemType),
}

/// What `type` and `answer` together say.
struct Answered {
    kind: ItemType,
    choices: Vec<ChoiceSpec>,
    key: Option<KeySpec>,
}

/// One problem being read.
pub(super) struct ProblemReader<'a> {
    path: FieldPath,
    zone: &'a TimeZone,
    violations: &'a mut Vec<Violation>,
}

impl<'a> ProblemReader<'a> {
    pub(super) fn new(path: FieldPath, zone: &'a TimeZone, violations: &'a mut Vec<Violation>) -> Self {
        Self { path, zone, violations }
    }

    /// The item `id`; `None` when something that it cannot do without was refused.
    pub(super) fn read(mut self, id: &str, json: &Json) -> Option<ItemSpec> {
        let fields = Fields::read(&self.path, json, &FIELDS, self.violations)?;
        let label = fields.text("name", self.violations);
        let kind = self.read_type(&fields);
        let prompt = fields.required("problem", self.violations);
        let answered = kind.and_then(|kind| self.read_answer(kind, &fields));
        let created_at = self.read_time(&fields);
        let author = fields.text("author", self.violations);
        let Answered { kind, choices, key } = answered?;
        Some(ItemSpec {
            id: id.into(),
            label: label.map(Text::from),
            kind,
            prompt: PromptSpec::plain(prompt?),
            choices,
            key,
            points: None,
            author: author.map(Text::from),
            created_at,
        })
    }

    fn read_type(&mut self, fields: &Fields<'_>) -> Option<LegacyType> {
        let written = fields.required("type", self.violations)?;
        let known = TYPES.iter().find(|(name, _)| *name == written.trim());
        if known.is_none() {
            let names = TYPES.map(|(name, _)| name);
            let violation =
                Violation::error(fields.path("type"), format!("unknown type {}", quoted(&written)));
            self.violations.push(violation.with_hint(match closest(&written, &names) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("the types are {}", names.join(", ")),
            }));
        }
        known.map(|(_, kind)| *kind)
    }

    fn read_answer(&mut self, kind: LegacyType, fields: &Fields<'_>) -> Option<Answered> {
        if let LegacyType::Text(kind) = kind {
            let reference = fields.text("answer", self.violations);
            let key = reference.map(|text| KeySpec::Reference(text.into()));
            return Some(Answered { kind, choices: Vec::new(), key });
        }
        let answer = fields.required("answer", self.violations)?;
        let path = fields.path("answer");
        let read = match kind {
            LegacyType::TrueFalse => parse_bool(&answer).map(|value| Answered {
                kind: ItemType::TrueFalse,
                choices: Vec::new(),
                key: Some(KeySpec::Bool(value)),
            }),
            LegacyType::Blanks => parse_blanks(&answer).map(|(blanks, warning)| {
                self.violations.extend(warning.map(|warning| Violation::warning(path.clone(), warning)));
                let blanks = blanks.into_iter().map(Text::from).collect();
                Answered {
                    kind: ItemType::FillInBlank,
                    choices: Vec::new(),
                    key: Some(KeySpec::Blanks(blanks)),
                }
            }),
            _ => parse_choices(&answer).map(|answer| self.choice_item(kind, answer, &path)),
        };
        read.map_err(|error| self.refuse_answer(path, &error)).ok()
    }

    fn choice_item(&mut self, kind: LegacyType, answer: ChoiceAnswer, path: &FieldPath) -> Answered {
        let warnings = answer.warnings.into_iter().map(|warning| Violation::warning(path.clone(), warning));
        self.violations.extend(warnings);
        // A 单选题 with several keys is refused when the spec is checked, like any single_choice item.
        let kind = match kind {
            LegacyType::Single => ItemType::SingleChoice,
            LegacyType::Choice if answer.key.len() == 1 => ItemType::SingleChoice,
            _ => ItemType::MultipleChoice,
        };
        let choice =
            |(label, text): (char, String)| ChoiceSpec { id: label.to_string().into(), text: text.into() };
        Answered {
            kind,
            choices: answer.choices.into_iter().map(choice).collect(),
            key: Some(KeySpec::Choices(answer.key.iter().map(|label| label.to_string().into()).collect())),
        }
    }

    fn refuse_answer(&mut self, path: FieldPath, error: &AnswerError) {
        let violation = Violation::error(path, error.to_string());
        self.violations.push(match error.hint() {
            Some(hint) => violation.with_hint(hint),
            None => violation,
        });
    }

    fn read_time(&mut self, fields: &Fields<'_>) -> Option<Text> {
        let written = match fields.get("createTime")? {
            // Epoch seconds come as numbers, too.
            Json::Number(number) => number.clone(),
            _ => fields.text("createTime", self.violations)?,
        };
        let refuse = |error: TimeError| {
            let violation =
                Violation::error(fields.path("createTime"), format!("{} {error}", quoted(&written)));
            self.violations.push(match error.hint() {
                Some(hint) => violation.with_hint(hint),
                None => violation,
            });
        };
        let moment = parse_time(&written, self.zone).map_err(refuse).ok()?;
        Some(to_rfc3339(&moment).into())
    }
}
