//! Checks one item and takes it apart. In: an item as written. Out: its half of the paper, its half of the
//! key, and what is wrong. Never puts anything of a key into a violation.

use std::collections::BTreeSet;

use crate::resource::violation::{FieldPath, Violation};

use super::item::ItemSpec;
use super::key::ItemKey;
use super::key_spec::{KeyForm, KeySpec};
use super::moment::parse_rfc3339;
use super::paper::{Choice, ItemType, PaperItem, Prompt};
use super::set::{check_block, check_line};
use super::text::{Text, quoted};

/// The most that one item can be worth.
const MAX_POINTS: f64 = 10_000.0;

/// The most choices that a hint lists.
const LISTED_MAX: usize = 26;

/// One item under examination.
pub(super) struct ItemCheck<'a> {
    path: FieldPath,
    item: &'a ItemSpec,
    violations: &'a mut Vec<Violation>,
}

impl<'a> ItemCheck<'a> {
    pub(super) fn new(path: FieldPath, item: &'a ItemSpec, violations: &'a mut Vec<Violation>) -> Self {
        Self { path, item, violations }
    }

    /// Both halves. They are to be used only when no error was found.
    pub(super) fn run(mut self) -> (PaperItem, Option<ItemKey>) {
        let item = self.item;
        check_line(&self.path.key("id"), &item.id, self.violations);
        if let Some(label) = &item.label {
            check_line(&self.path.key("label"), label, self.violations);
        }
        check_block(&self.path.key("prompt"), &item.prompt.text, self.violations);
        self.check_choices();
        let key = self.check_key();
        let centipoints = self.check_points();
        if let Some(author) = &item.author {
            check_line(&self.path.key("author"), author, self.violations);
        }
        self.check_created_at();
        let choice = |choice: &super::item::ChoiceSpec| Choice {
            id: choice.id.to_string(),
            text: choice.text.to_string(),
        };
        let on_paper = PaperItem {
            id: item.id.to_string(),
            label: item.label.as_ref().unwrap_or(&item.id).to_string(),
            kind: item.kind,
            prompt: Prompt { text: item.prompt.text.to_string(), format: item.prompt.format },
            choices: item.choices.iter().map(choice).collect(),
            centipoints,
        };
        (on_paper, key)
    }

    fn error(&mut self, path: FieldPath, message: impl Into<String>) {
        self.violations.push(Violation::error(path, message));
    }

    fn check_choices(&mut self) {
        let path = self.path.key("choices");
        let choices = &self.item.choices;
        if KeyForm::of(self.item.kind) != KeyForm::Choices {
            if !choices.is_empty() {
                let message = format!("{} items have no choices", type_name(self.item.kind));
                let hint = "remove them, or make the type single_choice or multiple_choice";
                let violation = Violation::error(path, message).with_hint(hint);
                self.violations.push(violation.concluded_from([self.path.key("type")]));
            }
            return;
        }
        if choices.len() < 2 {
            let message = format!(
                "{} items need at least two choices, found {}",
                type_name(self.item.kind),
                choices.len()
            );
            let violation = Violation::error(path.clone(), message);
            self.violations.push(violation.concluded_from([self.path.key("type"), path.clone()]));
        }
        let mut seen = BTreeSet::new();
        for (index, choice) in choices.iter().enumerate() {
            let path = path.index(index);
            check_line(&path.key("id"), &choice.id, self.violations);
            check_block(&path.key("text"), &choice.text, self.violations);
            if !seen.insert(choice.id.as_str()) {
                self.error(path.key("id"), format!("the choice {} is there twice", quoted(&choice.id)));
            }
        }
    }

    fn check_key(&mut self) -> Option<ItemKey> {
        let path = self.path.key("key");
        let kind = self.item.kind;
        let form = KeyForm::of(kind);
        let Some(key) = &self.item.key else {
            if form != KeyForm::Reference {
                let violation =
                    Violation::error(path.clone(), format!("{} items need a key", type_name(kind)))
                        .concluded_from([self.path.key("type"), path]);
                self.violations.push(violation.with_hint(example(form)));
            }
            return None;
        };
        if key.form() != form {
            let message =
                format!("{} items take `{}`, not `{}`", type_name(kind), form.name(), key.form().name());
            let violation = Violation::error(path, message).with_hint(example(form));
            self.violations.push(violation.concluded_from([self.path.key("type")]));
            return None;
        }
        let path = path.key(form.name());
        Some(match key {
            KeySpec::Choices(ids) => ItemKey::Choices(self.check_chosen(&path, ids)),
            KeySpec::Bool(value) => ItemKey::Bool(*value),
            KeySpec::Blanks(blanks) => {
                if blanks.is_empty() {
                    let violation = Violation::error(path.clone(), "needs at least one blank");
                    self.violations.push(violation.concluded_from([path.clone()]));
                }
                for (index, blank) in blanks.iter().enumerate() {
                    check_block(&path.index(index), blank, self.violations);
                }
                ItemKey::Blanks(blanks.iter().map(|blank| blank.to_string()).collect())
            }
            KeySpec::Reference(text) => {
                check_block(&path, text, self.violations);
                ItemKey::Reference(text.to_string())
            }
        })
    }

    fn check_chosen(&mut self, path: &FieldPath, ids: &[Text]) -> BTreeSet<String> {
        match (self.item.kind, ids.len()) {
            (_, 0) => {
                let violation = Violation::error(path.clone(), "names no choice");
                self.violations.push(violation.concluded_from([path.clone()]));
            }
            (ItemType::SingleChoice, count @ 2..) => {
                let message = format!("single_choice items have exactly one right choice, found {count}");
                let hint = "make the type multiple_choice if several are right";
                let violation = Violation::error(path.clone(), message).with_hint(hint);
                self.violations.push(violation.concluded_from([self.path.key("type")]));
            }
            _ => {}
        }
        let choices = &self.item.choices;
        let known: BTreeSet<&str> = choices.iter().map(|choice| choice.id.as_str()).collect();
        let mut chosen = BTreeSet::new();
        let mut listed = known.is_empty() || choices.len() > LISTED_MAX;
        for (index, id) in ids.iter().enumerate() {
            if !known.contains(id.as_str()) {
                let all = self.path.key("choices");
                // Of so many choices as nobody reads, each is not asked for each wrong name: that would take for ever.
                let asked = if choices.len() > LISTED_MAX { 0 } else { choices.len() };
                let ids = (0..asked).map(|index| all.index(index).key("id"));
                let violation =
                    Violation::error(path.index(index), "names a choice that the item does not have")
                        .concluded_from(ids.chain([all.clone()]));
                // "Did you mean" would tell the key to whoever reads the log: the choices are listed instead.
                self.violations.push(if std::mem::replace(&mut listed, true) {
                    violation
                } else {
                    let list: Vec<String> = choices.iter().map(|choice| quoted(&choice.id)).collect();
                    violation.with_hint(format!("the item's choices are {}", list.join(", ")))
                });
            }
            if !chosen.insert(id.to_string()) {
                self.error(path.index(index), "names a choice for the second time");
            }
        }
        chosen
    }

    fn check_points(&mut self) -> Option<u32> {
        let points = self.item.points?;
        let path = self.path.key("points");
        if !(0.0..=MAX_POINTS).contains(&points) {
            self.error(path, format!("{points} is not between 0 and 10000"));
            return None;
        }
        let centipoints = (points * 100.0).round();
        // Division rounds to the nearest double, which is also how a decimal with two digits is read:
        // they are equal exactly when no third digit was written.
        #[expect(clippy::float_cmp, reason = "exactness is what is asked for")]
        if centipoints / 100.0 != points {
            self.error(path, format!("{points} has more than two decimals"));
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number between 0 and 1000000, as checked above"
        )]
        Some(centipoints as u32)
    }

    fn check_created_at(&mut self) {
        let Some(text) = &self.item.created_at else { return };
        if let Err(problem) = parse_rfc3339(text) {
            self.error(self.path.key("createdAt"), format!("{} is not a moment: {problem}", quoted(text)));
        }
    }
}

fn type_name(kind: ItemType) -> &'static str {
    match kind {
        ItemType::SingleChoice => "single_choice",
        ItemType::MultipleChoice => "multiple_choice",
        ItemType::TrueFalse => "true_false",
        ItemType::FillInBlank => "fill_in_blank",
        ItemType::ShortAnswer => "short_answer",
        ItemType::Programming => "programming",
    }
}

fn example(form: KeyForm) -> &'static str {
    match form {
        KeyForm::Choices => "write `key: {choices: [...]}` with the ids of the right choices",
        KeyForm::Bool => "write `key: {bool: ...}` with true or false",
        KeyForm::Blanks => "write `key: {blanks: [...]}` with a text for each blank",
        KeyForm::Reference => "write `key: {reference: ...}` with a model answer",
    }
}
