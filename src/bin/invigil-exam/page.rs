//! A paper and a language -> the exam page, as one HTML document. Loads nothing but the style and
//! the icon beside it, runs no script, and has nothing to send answers with: taking them is not
//! built yet, and the page says so.

use std::fmt::{self, Display, Formatter};

use invigil::problemset::paper::{Choice, ItemType, Paper, PaperItem};

use crate::language::{Language, Spoken, Words};
use crate::text::{Escaped, PromptHtml};

/// From how many items on the page opens with a list of links to them.
const CONTENTS_FROM: usize = 6;

/// The page of a paper in one language.
pub struct Page<'a> {
    /// What is shown.
    pub paper: &'a Paper,
    /// The language of the words around it.
    pub language: Language,
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { paper, language } = self;
        let words = language.words();
        let other = language.other();
        let content = ContentLanguage(&paper.language);
        write!(
            f,
            "<!DOCTYPE html>\n\
             <html lang=\"{lang}\">\n\
             <head>\n\
             <meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n\
             <link rel=\"icon\" href=\"icon.svg\" type=\"image/svg+xml\">\n\
             <link rel=\"stylesheet\" href=\"style.css\">\n\
             </head>\n\
             <body>\n\
             <header>\n\
             <div class=\"switch\"><a href=\"?lang={other_lang}\" hreflang=\"{other_lang}\" lang=\"{other_lang}\">\
             {other_name}</a></div>\n\
             <h1{content}>{title}</h1>\n\
             <p class=\"facts\">{facts}</p>\n\
             <div class=\"note\"><p>{before}</p></div>\n\
             </header>\n",
            lang = language.tag(),
            title = Escaped(&paper.title),
            other_lang = other.tag(),
            other_name = other.words().name,
            facts = facts(words, &paper.items),
            before = words.before,
        )?;
        if paper.items.len() >= CONTENTS_FROM {
            contents(f, words, &paper.items, &content)?;
        }
        writeln!(f, "<main>")?;
        if paper.items.is_empty() {
            writeln!(f, "<p>{}</p>", words.no_items)?;
        }
        for (index, item) in paper.items.iter().enumerate() {
            let number = index + 1;
            write!(f, "{}", Section { number, item, words, content: &content })?;
        }
        write!(
            f,
            "</main>\n\
             <footer class=\"note\">\n\
             <p>{here}</p>\n\
             <p lang=\"{other_lang}\">{there}</p>\n\
             </footer>\n\
             </body>\n\
             </html>\n",
            here = words.not_collected,
            other_lang = other.tag(),
            there = other.words().not_collected,
        )
    }
}

/// How many items, and what they are worth together when each says what it is worth.
fn facts(words: &Words, items: &[PaperItem]) -> String {
    let count = words.items(items.len());
    let total: Option<u64> = items.iter().map(|item| item.centipoints.map(u64::from)).sum();
    match total {
        Some(total) if total > 0 => format!("{count} · {}", words.points(total)),
        _ => count,
    }
}

fn contents(
    f: &mut Formatter<'_>,
    words: &Words,
    items: &[PaperItem],
    content: &ContentLanguage<'_>,
) -> fmt::Result {
    writeln!(f, "<nav class=\"contents\"><details><summary>{}</summary><ol{content}>", words.contents)?;
    for (index, item) in items.iter().enumerate() {
        writeln!(f, "<li><a href=\"#item-{}\">{}</a></li>", index + 1, Escaped(&item.label))?;
    }
    writeln!(f, "</ol></details></nav>")
}

/// The attributes of an element whose text is the paper's own. `dir="auto"` also keeps direction
/// marks inside such a text from reordering what stands beside it.
struct ContentLanguage<'a>(&'a str);

impl Display for ContentLanguage<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " lang=\"{}\" dir=\"auto\"", Escaped(self.0))
    }
}

/// One item's part of the page. The item's number, not its id, names its elements: an id may hold anything.
struct Section<'a> {
    number: usize,
    item: &'a PaperItem,
    words: &'static Words,
    content: &'a ContentLanguage<'a>,
}

impl Display for Section<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { number, item, words, content } = self;
        let points = item.centipoints.map(|points| format!(" · {}", words.points(points.into())));
        write!(
            f,
            "<section class=\"item\" id=\"item-{number}\" aria-labelledby=\"label-{number}\">\n\
             <header><h2 id=\"label-{number}\"{content}>{label}</h2><p class=\"kind\">{kind}{points}</p></header>\n\
             <div class=\"prompt\" id=\"prompt-{number}\"{content}>{prompt}</div>\n",
            label = Escaped(&item.label),
            kind = words.item_type(item.kind),
            points = points.unwrap_or_default(),
            prompt = PromptHtml(&item.prompt),
        )?;
        self.answer(f)?;
        writeln!(f, "</section>")
    }
}

impl Section<'_> {
    fn answer(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words = self.words;
        match (self.item.kind, self.item.choices.as_slice()) {
            (ItemType::TrueFalse, []) => self.truth(f),
            // Old question sets write the choices into the prompt; a line to name them in remains.
            (ItemType::SingleChoice | ItemType::MultipleChoice, []) => self.line(f, words.answer),
            (ItemType::SingleChoice | ItemType::TrueFalse, choices) => {
                self.choices(f, "radio", words.choose_one, choices)
            }
            (ItemType::MultipleChoice, choices) => self.choices(f, "checkbox", words.choose_some, choices),
            (ItemType::FillInBlank, _) => self.area(f, words.blanks, "rows=\"3\""),
            (ItemType::ShortAnswer, _) => self.area(f, words.answer, "rows=\"6\""),
            (ItemType::Programming, _) => self.area(
                f,
                words.answer,
                "class=\"program\" rows=\"14\" wrap=\"off\" autocapitalize=\"off\" dir=\"ltr\"",
            ),
        }
    }

    fn choices(&self, f: &mut Formatter<'_>, input: &str, legend: &str, choices: &[Choice]) -> fmt::Result {
        let Self { number, content, .. } = self;
        writeln!(f, "<fieldset aria-describedby=\"prompt-{number}\"><legend>{legend}</legend>")?;
        for choice in choices {
            let id = Escaped(&choice.id);
            writeln!(
                f,
                "<label class=\"choice\"><input type=\"{input}\" name=\"item-{number}\" value=\"{id}\" \
                 autocomplete=\"off\"> <span class=\"id\">{id}.</span> <span class=\"text\"{content}>{text}</span></label>",
                text = Escaped(&choice.text),
            )?;
        }
        writeln!(f, "</fieldset>")
    }

    fn truth(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { number, words, .. } = self;
        writeln!(f, "<fieldset aria-describedby=\"prompt-{number}\"><legend>{}</legend>", words.choose_one)?;
        for (value, text) in ["true", "false"].into_iter().zip(words.truth) {
            writeln!(
                f,
                "<label class=\"choice\"><input type=\"radio\" name=\"item-{number}\" value=\"{value}\" \
                 autocomplete=\"off\"> <span class=\"text\">{text}</span></label>"
            )?;
        }
        writeln!(f, "</fieldset>")
    }

    fn line(&self, f: &mut Formatter<'_>, label: &str) -> fmt::Result {
        let number = self.number;
        writeln!(
            f,
            "<label class=\"ask\" for=\"answer-{number}\">{label}</label>\n\
             <input type=\"text\" id=\"answer-{number}\" name=\"item-{number}\" aria-describedby=\"prompt-{number}\" \
             autocomplete=\"off\" spellcheck=\"false\">"
        )
    }

    fn area(&self, f: &mut Formatter<'_>, label: &str, attributes: &str) -> fmt::Result {
        let number = self.number;
        writeln!(
            f,
            "<label class=\"ask\" for=\"answer-{number}\">{label}</label>\n\
             <textarea id=\"answer-{number}\" name=\"item-{number}\" aria-describedby=\"prompt-{number}\" \
             {attributes} autocomplete=\"off\" spellcheck=\"false\"></textarea>"
        )
    }
}

#[cfg(test)]
mod tests {
    use invigil::problemset::paper::{PAPER_FORMAT_VERSION, Prompt, TextFormat};

    use super::*;

    fn item(kind: ItemType, prompt: &str, choices: &[(&str, &str)]) -> PaperItem {
        PaperItem {
            id: "8".into(),
            label: "第8题".into(),
            kind,
            prompt: Prompt { text: prompt.into(), format: TextFormat::Text },
            choices: choices
                .iter()
                .map(|(id, text)| Choice { id: (*id).into(), text: (*text).into() })
                .collect(),
            centipoints: None,
        }
    }

    fn paper(items: Vec<PaperItem>) -> Paper {
        Paper {
            format_version: PAPER_FORMAT_VERSION,
            name: "img-test".into(),
            title: "期中考试".into(),
            language: "zh-CN".into(),
            items,
        }
    }

    fn page(items: Vec<PaperItem>, language: Language) -> String {
        Page { paper: &paper(items), language }.to_string()
    }

    fn only_item(item: PaperItem) -> String {
        let page = page(vec![item], Language::English);
        let (_, rest) = page.split_once("<main>\n").unwrap();
        rest.split_once("</main>").unwrap().0.to_owned()
    }

    #[test]
    fn a_single_choice_item_is_a_labelled_group_of_radio_buttons() {
        let mut item = item(ItemType::SingleChoice, "1+1=？", &[("A", "1"), ("B", "2")]);
        item.centipoints = Some(500);
        assert_eq!(
            only_item(item),
            r#"<section class="item" id="item-1" aria-labelledby="label-1">
<header><h2 id="label-1" lang="zh-CN" dir="auto">第8题</h2><p class="kind">Single choice · 5 points</p></header>
<div class="prompt" id="prompt-1" lang="zh-CN" dir="auto"><p class="plain">1+1=？</p></div>
<fieldset aria-describedby="prompt-1"><legend>Choose one</legend>
<label class="choice"><input type="radio" name="item-1" value="A" autocomplete="off"> <span class="id">A.</span> <span class="text" lang="zh-CN" dir="auto">1</span></label>
<label class="choice"><input type="radio" name="item-1" value="B" autocomplete="off"> <span class="id">B.</span> <span class="text" lang="zh-CN" dir="auto">2</span></label>
</fieldset>
</section>
"#
        );
    }

    #[test]
    fn every_type_has_its_own_field() {
        let field = |kind, choices: &[(&str, &str)]| {
            let html = only_item(item(kind, "?", choices));
            html.split_once("</p></div>\n").unwrap().1.to_owned()
        };
        assert!(
            field(ItemType::MultipleChoice, &[("A", "1")])
                .contains(r#"<input type="checkbox" name="item-1" value="A""#)
        );
        assert!(
            field(ItemType::TrueFalse, &[])
                .contains(r#"value="true" autocomplete="off"> <span class="text">True</span>"#)
        );
        assert!(
            field(ItemType::TrueFalse, &[("T", "对")])
                .contains(r#"<input type="radio" name="item-1" value="T""#)
        );
        assert!(field(ItemType::SingleChoice, &[]).contains(r#"<input type="text" id="answer-1""#));
        assert!(
            field(ItemType::FillInBlank, &[]).contains(
                r#"<label class="ask" for="answer-1">Your answer (one line for each blank)</label>"#
            )
        );
        assert!(field(ItemType::ShortAnswer, &[]).contains(r#"rows="6""#));
        assert!(field(ItemType::Programming, &[]).contains(r#"class="program""#));
    }

    #[test]
    fn hostile_text_stays_text_everywhere() {
        let script = "\"><script>alert(1)</script>";
        let mut item = item(ItemType::SingleChoice, script, &[(script, script)]);
        item.id = script.into();
        item.label = script.into();
        let mut paper = paper(vec![item; CONTENTS_FROM]);
        paper.title = script.into();
        paper.name = script.into();
        paper.language = script.into();
        let html = Page { paper: &paper, language: Language::Chinese }.to_string();
        assert!(!html.contains("<script"), "{html}");
        let safe = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;";
        assert!(html.contains(&format!("<title>{safe}</title>")), "{html}");
        assert!(html.contains(&format!(" value=\"{safe}\" ")), "{html}");
        assert!(html.contains(&format!(" lang=\"{safe}\" ")), "{html}");
    }

    #[test]
    fn both_languages_say_that_answers_are_not_collected() {
        for (language, lang) in [(Language::Chinese, "zh-CN"), (Language::English, "en")] {
            let html = page(vec![], language);
            assert!(html.starts_with(&format!("<!DOCTYPE html>\n<html lang=\"{lang}\">\n")), "{html}");
            assert!(html.contains(
                "本页暂不收取答案：在此填写的内容不会被保存，也不会被提交。请按监考老师的要求交卷。"
            ));
            assert!(html.contains("This page does not collect answers yet: what you enter here is neither saved nor sent. Hand in your answers as your invigilator says."));
            assert!(
                !html.contains("<form") && !html.contains("<button") && !html.contains("submit"),
                "{html}"
            );
        }
    }

    #[test]
    fn the_switch_leads_to_the_other_language() {
        let chinese = page(vec![], Language::Chinese);
        assert!(chinese.contains(r#"<a href="?lang=en" hreflang="en" lang="en">English</a>"#), "{chinese}");
        assert!(chinese.contains("<p>本试卷没有试题。</p>"), "{chinese}");
        let english = page(vec![], Language::English);
        assert!(
            english.contains(r#"<a href="?lang=zh-CN" hreflang="zh-CN" lang="zh-CN">中文</a>"#),
            "{english}"
        );
    }

    #[test]
    fn the_total_is_shown_only_when_every_item_has_points() {
        let worth = |centipoints| PaperItem { centipoints, ..item(ItemType::TrueFalse, "?", &[]) };
        let facts = |items: &[PaperItem]| facts(Language::English.words(), items);
        assert_eq!(facts(&[worth(Some(500)), worth(Some(250))]), "2 questions · 7.5 points");
        assert_eq!(facts(&[worth(Some(500)), worth(None)]), "2 questions");
        assert_eq!(facts(&[]), "0 questions");
    }

    #[test]
    fn five_hundred_items_are_all_on_the_page_and_in_its_contents() {
        let html = page(vec![item(ItemType::TrueFalse, "?", &[]); 500], Language::Chinese);
        assert_eq!(html.matches("<section class=\"item\"").count(), 500);
        assert_eq!(html.matches("<li><a href=\"#item-").count(), 500);
        assert!(html.contains("<p class=\"facts\">共 500 题</p>"));
        assert!(html.contains("<a href=\"#item-500\">第8题</a>"));
    }

    #[test]
    fn a_short_paper_has_no_contents() {
        let html = page(vec![item(ItemType::TrueFalse, "?", &[]); CONTENTS_FROM - 1], Language::Chinese);
        assert!(!html.contains("<nav"), "{html}");
    }
}
