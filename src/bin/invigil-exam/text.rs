//! Text from a paper -> HTML or terminal text that cannot act: escaped, or Markdown reduced to
//! structure. No link, image, address or raw HTML leaves this file as markup.

use std::fmt::{self, Display, Formatter, Write};

pub use invigil::html::Escaped;
use invigil::problemset::paper::{Prompt, TextFormat};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd, html};

/// A text on one line of a terminal: control characters are shown as escapes.
pub struct Printable<'a>(pub &'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// A question's text as block HTML.
///
/// Plain text keeps its line breaks through the style of `.plain`; Markdown is CommonMark.
pub struct PromptHtml<'a>(pub &'a Prompt);

impl Display for PromptHtml<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.format {
            TextFormat::Text => write!(f, "<p class=\"plain\">{}</p>", Escaped(&self.0.text)),
            TextFormat::Markdown => html::write_html_fmt(f, Parser::new(&self.0.text).filter_map(inert)),
        }
    }
}

/// What of a Markdown document reaches the page: structure and text. A link and an image leave
/// their text, HTML is shown as it was written.
fn inert(event: Event<'_>) -> Option<Event<'_>> {
    match event {
        Event::Start(tag) => inert_start(tag).map(Event::Start),
        Event::End(tag) => inert_end(tag).map(Event::End),
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Text(_) | Event::Code(_) | Event::SoftBreak | Event::HardBreak | Event::Rule => Some(event),
        // Extensions that are not switched on: whatever they hold is text.
        Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
            Some(Event::Text(text))
        }
        Event::TaskListMarker(_) => None,
    }
}

fn inert_start(tag: Tag<'_>) -> Option<Tag<'_>> {
    match tag {
        Tag::Heading { level, .. } => {
            Some(Tag::Heading { level: below_item(level), id: None, classes: vec![], attrs: vec![] })
        }
        // As code, so that the lines of the HTML stay lines.
        Tag::HtmlBlock | Tag::CodeBlock(_) => Some(Tag::CodeBlock(CodeBlockKind::Indented)),
        Tag::Paragraph | Tag::BlockQuote(None) | Tag::List(_) | Tag::Item | Tag::Emphasis | Tag::Strong => {
            Some(tag)
        }
        _ => None,
    }
}

fn inert_end(tag: TagEnd) -> Option<TagEnd> {
    match tag {
        TagEnd::Heading(level) => Some(TagEnd::Heading(below_item(level))),
        TagEnd::HtmlBlock | TagEnd::CodeBlock => Some(TagEnd::CodeBlock),
        TagEnd::Paragraph
        | TagEnd::BlockQuote(None)
        | TagEnd::List(_)
        | TagEnd::Item
        | TagEnd::Emphasis
        | TagEnd::Strong => Some(tag),
        _ => None,
    }
}

/// The page's title is an `h1` and an item's label an `h2`: a heading in a prompt comes below.
fn below_item(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        PromptHtml(&Prompt { text: text.into(), format: TextFormat::Text }).to_string()
    }

    fn markdown(text: &str) -> String {
        PromptHtml(&Prompt { text: text.into(), format: TextFormat::Markdown }).to_string()
    }

    #[test]
    fn a_script_in_a_text_is_shown() {
        assert_eq!(
            plain("<script>alert('1 & \"2\"')</script>\n第二行"),
            "<p class=\"plain\">&lt;script&gt;alert(&#39;1 &amp; &quot;2&quot;&#39;)&lt;/script&gt;\n第二行</p>"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_page_or_the_terminal() {
        assert_eq!(Escaped("a\u{0}b\u{1b}[2Jc\td\n").to_string(), "a\u{fffd}b\u{fffd}[2Jc\td\n");
        assert_eq!(Printable("期中\u{1b}[2J\n").to_string(), "期中\\u{1b}[2J\\n");
    }

    #[test]
    fn markdown_keeps_its_structure() {
        assert_eq!(
            markdown("下列*哪项*是**对**的？\n\n1. `a < b`\n2. c\n\n> 引用\n\n```html\n<b>\n```\n"),
            "<p>下列<em>哪项</em>是<strong>对</strong>的？</p>\n<ol>\n<li><code>a &lt; b</code></li>\n<li>c</li>\n\
             </ol>\n<blockquote>\n<p>引用</p>\n</blockquote>\n<pre><code>&lt;b&gt;\n</code></pre>\n"
        );
    }

    #[test]
    fn html_in_markdown_is_shown_as_it_was_written() {
        assert_eq!(
            markdown("<script>\nalert(1)\n</script>\n\nand <img src=x onerror=alert(1)> inline"),
            "<pre><code>&lt;script&gt;\nalert(1)\n&lt;/script&gt;\n</code></pre>\n\
             <p>and &lt;img src=x onerror=alert(1)&gt; inline</p>\n"
        );
    }

    #[test]
    fn links_and_images_leave_only_their_text() {
        assert_eq!(
            markdown(
                "[click *me*](javascript:alert(1)), ![a cat](http://x.example/c.png \"t\"), <http://x.example>, \
                 [ref]\n\n[ref]: javascript:alert(2)"
            ),
            "<p>click <em>me</em>, a cat, http://x.example, ref</p>\n"
        );
    }

    #[test]
    fn headings_in_a_prompt_come_below_the_items_heading() {
        assert_eq!(markdown("# a\n### b\n###### c"), "<h3>a</h3>\n<h5>b</h5>\n<h6>c</h6>\n");
    }
}
