//! The words of the page around the items in each of its languages.
//! The items themselves stay in the paper's own language.

pub use invigil::html::language::Language;
use invigil::problemset::paper::ItemType;

/// A language that has words for the page.
pub trait Spoken {
    /// The words of the page in this language.
    fn words(self) -> &'static Words;
}

impl Spoken for Language {
    fn words(self) -> &'static Words {
        match self {
            Self::Chinese => &CHINESE,
            Self::English => &ENGLISH,
        }
    }
}

/// The fixed words of the page.
pub struct Words {
    /// The language's own name, on the switch to it.
    pub name: &'static str,
    /// Opens the list of items.
    pub contents: &'static str,
    /// Said once above the items.
    pub before: &'static str,
    /// Said below the items, in every language: this page does not take answers.
    pub not_collected: &'static str,
    /// A paper without items.
    pub no_items: &'static str,
    /// Above radio buttons.
    pub choose_one: &'static str,
    /// Above checkboxes.
    pub choose_some: &'static str,
    /// Above a field for text.
    pub answer: &'static str,
    /// Above a field for blanks.
    pub blanks: &'static str,
    /// The two choices of a true-or-false item that brings none of its own.
    pub truth: [&'static str; 2],
    types: [&'static str; 6],
    item: [&'static str; 2],
    point: [&'static str; 2],
}

impl Words {
    /// The name of a type of item.
    pub fn item_type(&self, kind: ItemType) -> &'static str {
        self.types[match kind {
            ItemType::SingleChoice => 0,
            ItemType::MultipleChoice => 1,
            ItemType::TrueFalse => 2,
            ItemType::FillInBlank => 3,
            ItemType::ShortAnswer => 4,
            ItemType::Programming => 5,
        }]
    }

    /// `3 questions`, `共 3 题`.
    pub fn items(&self, count: usize) -> String {
        self.item[usize::from(count != 1)].replace('#', &count.to_string())
    }

    /// `2.5 points`, `2.5 分`, from hundredths of a point.
    pub fn points(&self, centipoints: u64) -> String {
        let (whole, hundredths) = (centipoints / 100, centipoints % 100);
        let number = match hundredths {
            0 => format!("{whole}"),
            tenths if tenths % 10 == 0 => format!("{whole}.{}", tenths / 10),
            _ => format!("{whole}.{hundredths:02}"),
        };
        self.point[usize::from(centipoints != 100)].replace('#', &number)
    }
}

static CHINESE: Words = Words {
    name: "中文",
    contents: "题目目录",
    before: "本页只展示试题，不会保存或提交在此填写的内容。",
    not_collected: "本页暂不收取答案：在此填写的内容不会被保存，也不会被提交。请按监考老师的要求交卷。",
    no_items: "本试卷没有试题。",
    choose_one: "请选择一项",
    choose_some: "请选择一项或多项",
    answer: "作答",
    blanks: "作答（每空一行）",
    truth: ["正确", "错误"],
    types: ["单选题", "多选题", "判断题", "填空题", "简答题", "编程题"],
    item: ["共 # 题", "共 # 题"],
    point: ["# 分", "# 分"],
};

static ENGLISH: Words = Words {
    name: "English",
    contents: "All questions",
    before: "This page shows the questions. What you enter here is neither saved nor sent.",
    not_collected: "This page does not collect answers yet: what you enter here is neither saved nor sent. \
                    Hand in your answers as your invigilator says.",
    no_items: "This paper has no questions.",
    choose_one: "Choose one",
    choose_some: "Choose one or more",
    answer: "Your answer",
    blanks: "Your answer (one line for each blank)",
    truth: ["True", "False"],
    types: [
        "Single choice",
        "Multiple choice",
        "True or false",
        "Fill in the blank",
        "Short answer",
        "Programming",
    ],
    item: ["# question", "# questions"],
    point: ["# point", "# points"],
};

#[cfg(test)]
mod tests {
    use super::Language::{Chinese, English};
    use super::*;

    #[test]
    fn points_are_written_without_needless_digits() {
        let points = |centipoints| English.words().points(centipoints);
        assert_eq!(
            [points(100), points(500), points(250), points(33), points(5), points(0)],
            ["1 point", "5 points", "2.5 points", "0.33 points", "0.05 points", "0 points"]
        );
        assert_eq!(Chinese.words().points(500), "5 分");
    }

    #[test]
    fn items_are_counted() {
        assert_eq!(English.words().items(1), "1 question");
        assert_eq!(English.words().items(500), "500 questions");
        assert_eq!(Chinese.words().items(12), "共 12 题");
    }
}
