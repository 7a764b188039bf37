//! As one HTML file, which needs nothing else: no network, light or dark as the reader has it, good to print, and whole without
//! its script, which only hands out the data that go with it.

use askama::Template;

use super::{Document, Section, class_of};
use crate::text;

/// Sections from which on there is a table of contents.
const MANY: usize = 4;

#[derive(Template)]
#[template(path = "document.html")]
struct Page<'a> {
    document: &'a Document,
    chapters: Vec<Chapter<'a>>,
}

/// A section that is no part of another, and its parts.
struct Chapter<'a> {
    head: Place<'a>,
    parts: Vec<Place<'a>>,
}

/// A section and its number, by which it is linked to.
struct Place<'a> {
    at: usize,
    section: &'a Section,
}

/// `document` as HTML.
pub fn html(document: &Document) -> askama::Result<String> {
    let mut chapters: Vec<Chapter<'_>> = Vec::new();
    for (at, section) in document.sections.iter().enumerate() {
        let place = Place { at, section };
        match chapters.last_mut().filter(|_| section.part) {
            Some(chapter) => chapter.parts.push(place),
            None => chapters.push(Chapter { head: place, parts: Vec::new() }),
        }
    }
    Page { document, chapters }.render()
}

impl Page<'_> {
    fn verdict(&self) -> Option<(&'static str, &'static str)> {
        self.document.verdict.map(|verdict| (class_of(verdict), text::verdict_word(verdict)))
    }

    fn contents(&self) -> bool {
        self.document.sections.len() >= MANY
    }

    fn places(&self) -> impl Iterator<Item = &Place<'_>> {
        self.chapters.iter().flat_map(|chapter| std::iter::once(&chapter.head).chain(&chapter.parts))
    }

    /// Nothing in it ends the element that it is in.
    fn inert(&self, json: &str) -> String {
        json.replace('<', "\\u003c")
    }
}

impl Place<'_> {
    fn level(&self) -> usize {
        if self.section.part { 3 } else { 2 }
    }

    /// The chart, named for who does not see it.
    fn chart(&self) -> String {
        let Self { at, section } = self;
        let (title, says) = (escaped(&section.title), escaped(&section.chart_says));
        let Some((tag, rest)) = section.chart.split_once('>') else { return String::new() };
        let tag = tag.replacen("<svg ", &format!("<svg role=\"img\" aria-labelledby=\"t{at} d{at}\" "), 1);
        format!("{tag}><title id=\"t{at}\">{title}</title><desc id=\"d{at}\">{says}</desc>{rest}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use harness::verdict::Verdict;
    use proptest::prelude::*;

    use super::super::{Case, Column, Data, Row, Section, Table};
    use super::*;

    /// All that can be said, said in `word`.
    fn of(word: &str) -> Document {
        let rows = vec![Row::new([word.into(), word.into()])];
        let table = Table { columns: vec![Column::words("a & b"), Column::numbers("c")], rows };
        let chart = "<svg width=\"1\" height=\"1\"></svg>".to_string();
        let case = Case {
            name: word.into(),
            verdict: Verdict::Fail,
            what: word.into(),
            story: vec![word.into()],
            replay: word.into(),
        };
        let part = Section { cases: vec![case], ..Section::part(word, word, table.clone()).drawn(chart, word) };
        let chapters = (0..MANY).map(|_| Section { table: table.clone(), ..Section::chapter(word, word) });
        let data = vec![Data { name: word.into(), json: serde_json::to_string(word).expect("JSON") }];
        let (title, lead, verdict) = (word.into(), word.into(), Some(Verdict::Fail));
        Document { title, lead, verdict, sections: chapters.chain([part]).collect(), data }
    }

    #[test]
    fn what_was_said_is_no_markup_and_nothing_is_loaded() {
        let page = html(&Document { data: Vec::new(), ..of("<script>") }).expect("a page");
        assert!(page.contains("<svg ") && page.contains("&#60;script&#62;"), "{page}");
        assert!(page.contains("scope=\"col\"") && page.contains("scope=\"row\"") && page.contains("<caption>"));
        for outside in ["<script", "http", "url(", "@import", "src="] {
            assert!(!page.contains(outside), "{outside} in {page}");
        }
    }

    #[test]
    fn headings_go_down_one_level_at_a_time_and_links_have_a_place_to_go() {
        let page = html(&of("x")).expect("a page");
        let levels: Vec<u8> =
            page.match_indices("<h").filter_map(|(at, _)| page.as_bytes().get(at + 2).copied()).collect();
        let levels: Vec<u8> = levels.into_iter().filter(u8::is_ascii_digit).collect();
        assert_eq!(levels.first(), Some(&b'1'));
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(page.contains(&format!("id=\"{link}\"")), "nothing is called {link}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_the_page_has_the_same_elements(said in "[<>&\"'a-z/! -]{1,20}") {
            let (plain, page) = (html(&of("x")).expect("a page"), html(&of(&said)).expect("a page"));
            prop_assert_eq!(page.matches('<').count(), plain.matches('<').count(), "{}", page);
        }
    }
}
