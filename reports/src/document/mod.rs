//! A document of sections, tables and cases, told once and shown in three ways: on a terminal (`text::document`), as Markdown,
//! and as one HTML file.

mod html;
mod markdown;

pub use html::html;
pub use markdown::markdown;
pub(crate) use markdown::{block, escaped};

use harness::verdict::Verdict;
use serde::Serialize;

use crate::text;

/// The whole of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Document {
    /// What it is.
    pub title: String,
    /// What it says, in a sentence or two.
    pub lead: String,
    /// What it amounts to, if it judges anything.
    pub verdict: Option<Verdict>,
    /// The sections.
    pub sections: Vec<Section>,
    /// What it was made from: only HTML has it, to be saved from there.
    #[serde(skip)]
    pub data: Vec<Data>,
}

/// Data that go with a document.
#[derive(Clone, Debug)]
pub struct Data {
    /// What a file of it is called.
    pub name: String,
    /// As JSON.
    pub json: String,
}

/// A section: a table, steps of a derivation, or cases.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
    /// Its headline.
    pub title: String,
    /// Whether it is a part of the last one that is none.
    pub part: bool,
    /// What to look at in it; may be empty.
    pub note: String,
    /// What it draws, as SVG; may be empty. Only HTML shows it.
    #[serde(skip)]
    pub chart: String,
    /// What that shows, in words.
    pub chart_says: String,
    /// Whether that keeps its size, and is scrolled where it has no room.
    #[serde(skip)]
    pub wide: bool,
    /// Whether HTML unfolds the table only for who asks for it: its chart has told the same.
    #[serde(skip)]
    pub folded: bool,
    /// A table; one without rows is left out.
    pub table: Table,
    /// Steps, one after another.
    pub steps: Vec<Step>,
    /// Cases, the gravest first.
    pub cases: Vec<Case>,
}

/// A table. A row has a cell for each column.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows; the first cell of each is what it is about.
    pub rows: Vec<Row>,
}

/// A column.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Column {
    /// What is in it.
    pub name: &'static str,
    /// Whether those are numbers.
    pub number: bool,
    /// Whether it can be left out where there is little room.
    pub spare: bool,
}

/// A row.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// One for each column.
    pub cells: Vec<String>,
    /// Whether it is the one to look at.
    pub strong: bool,
}

/// Something that was judged, and why so.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// What was judged.
    pub name: String,
    /// What it amounts to.
    pub verdict: Verdict,
    /// One sentence with the numbers.
    pub what: String,
    /// The events that show it, in order; may be empty.
    pub story: Vec<String>,
    /// The command that plays it again; may be empty.
    pub replay: String,
}

/// A step of a derivation.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What is derived.
    pub name: String,
    /// From what and how.
    pub formula: String,
    /// The same with numbers; empty if it says nothing more than the result.
    pub with: String,
    /// What comes out.
    pub result: String,
    /// Between what it may be; may be empty.
    pub range: String,
}

impl Case {
    /// Its verdict in a word.
    pub fn word(&self) -> &'static str {
        text::verdict_word(self.verdict)
    }

    /// How a style sheet calls that.
    fn class(&self) -> &'static str {
        class_of(self.verdict)
    }
}

const fn class_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Vacuous => "vacuous",
        Verdict::Fail => "fail",
    }
}

impl Section {
    /// A section that begins a chapter, which says this.
    pub fn chapter(title: impl Into<String>, note: impl Into<String>) -> Self {
        Self { title: title.into(), note: note.into(), ..Self::default() }
    }

    /// A part of a chapter: a table.
    pub fn part(title: impl Into<String>, note: impl Into<String>, table: Table) -> Self {
        Self { part: true, table, ..Self::chapter(title, note) }
    }

    /// The same with a chart of what the table says, and what that shows in words.
    pub fn drawn(self, chart: String, says: impl Into<String>) -> Self {
        let folded = !chart.is_empty();
        Self { chart, chart_says: says.into(), folded, ..self }
    }

    /// Whether there is nothing in it but words about what is not there.
    pub fn is_empty(&self) -> bool {
        let Self { chart, table, steps, cases, .. } = self;
        chart.is_empty() && table.rows.is_empty() && steps.is_empty() && cases.is_empty()
    }
}

impl Column {
    /// A column of words.
    pub const fn words(name: &'static str) -> Self {
        Self { name, number: false, spare: false }
    }

    /// A column of numbers.
    pub const fn numbers(name: &'static str) -> Self {
        Self { name, number: true, spare: false }
    }

    /// How a style sheet calls it.
    const fn class(&self) -> &'static str {
        match (self.number, self.spare) {
            (true, _) => "number",
            (false, true) => "spare",
            (false, false) => "words",
        }
    }

    /// The same, but it can be left out.
    pub const fn spare(self) -> Self {
        Self { spare: true, ..self }
    }
}

impl Table {
    /// A table without the columns in which there is nothing.
    pub fn new(columns: Vec<Column>, rows: Vec<Row>) -> Self {
        let says = |at: usize| rows.iter().any(|row| row.cells.get(at).is_some_and(|cell| !cell.is_empty()));
        let kept: Vec<usize> = (0..columns.len()).filter(|at| says(*at)).collect();
        let row = |row: &Row| Row { cells: kept.iter().map(|at| row.cells[*at].clone()).collect(), strong: row.strong };
        Self { rows: rows.iter().map(row).collect(), columns: kept.iter().map(|at| columns[*at]).collect() }
    }
}

impl Row {
    /// A row like any other.
    pub fn new<const N: usize>(cells: [String; N]) -> Self {
        Self { cells: cells.into(), strong: false }
    }

    /// The same, to be looked at if so.
    pub fn strong(self, strong: bool) -> Self {
        Self { strong, ..self }
    }
}
