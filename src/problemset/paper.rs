//! The paper: what an examinee may see of a problem set. Serialised as `/exam/paper.json` into its
//! image. Nothing here holds, or is computed from, a key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of `paper.json` that this crate writes and the exam server reads.
pub const PAPER_FORMAT_VERSION: u32 = 1;

/// What the examinee may see. Its JSON is deterministic: equal papers give equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Paper {
    /// [`PAPER_FORMAT_VERSION`].
    pub format_version: u32,
    /// The problem set's name.
    pub name: String,
    /// The heading of the exam page.
    pub title: String,
    /// A BCP 47 language tag (`zh-CN`, `en`): the language of the page around the items.
    pub language: String,
    /// The items, in the order in which they are shown.
    pub items: Vec<PaperItem>,
}

/// One item without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaperItem {
    /// Unique in its paper.
    pub id: String,
    /// What the item is called on the page: `第8题`.
    pub label: String,
    /// What is asked for.
    #[serde(rename = "type")]
    pub kind: ItemType,
    /// The question.
    pub prompt: Prompt,
    /// The choices, in order; empty for types that have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// What the item is worth, in hundredths of a point, so that papers compare exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centipoints: Option<u32>,
}

/// What an item asks for (QTI's interaction types under the old service's names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemType {
    /// 单选题: exactly one choice is right.
    SingleChoice,
    /// 多选题: one or more choices are right.
    MultipleChoice,
    /// 判断题: true or false.
    TrueFalse,
    /// 填空题: blanks to be filled.
    FillInBlank,
    /// 简答题: a free text.
    ShortAnswer,
    /// 编程题: a program.
    Programming,
}

/// A question's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prompt {
    /// The text, as written.
    pub text: String,
    /// How to read it.
    pub format: TextFormat,
}

/// How a text is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextFormat {
    /// Shown as it is; line breaks are kept.
    #[default]
    Text,
    /// `CommonMark`. HTML in it is shown, never interpreted; images and outside links are not loaded.
    Markdown,
}

/// One choice of a choice item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Choice {
    /// What the key refers to, unique in its item: `A`.
    pub id: String,
    /// What is shown beside it.
    pub text: String,
}

impl Paper {
    /// The bytes of `paper.json`: compact JSON, fields in the order of their declaration, a final line break.
    ///
    /// Equal papers give equal bytes, on every machine: there is no map in a paper, and nothing in it depends
    /// on when or where it was made.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
