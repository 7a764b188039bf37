//! As one HTML file, which needs nothing else: no network, no script, light or dark as the reader has it, and good to print.

use askama::Template;

use super::Document;

#[derive(Template)]
#[template(path = "document.html")]
struct Page<'a> {
    document: &'a Document,
}

/// `document` as HTML.
pub fn html(document: &Document) -> askama::Result<String> {
    Page { document }.render()
}

#[cfg(test)]
mod tests {
    use super::super::{Column, Row, Section, Table};
    use super::*;

    #[test]
    fn what_was_said_is_no_markup_and_nothing_is_loaded() {
        let rows = vec![Row::new(["<script>".into()])];
        let table = Table { columns: vec![Column::words("a & b")], rows };
        let section = Section { title: "T".into(), table, chart: "<svg></svg>".into(), ..Section::default() };
        let page =
            html(&Document { title: "<D>".into(), lead: String::new(), sections: vec![section] }).expect("a page");
        assert!(page.contains("<svg></svg>") && page.contains("&#60;script&#62;"), "{page}");
        assert!(page.contains("scope=\"col\"") && page.contains("scope=\"row\"") && page.contains("<caption>"));
        for outside in ["<script", "<D>", "http", "url(", "@import", "src="] {
            assert!(!page.contains(outside), "{outside} in {page}");
        }
    }
}
