//! A document of sections and tables, told once and shown in three ways: on a terminal (`text::document`), as Markdown, and as
//! one HTML file.

mod html;
mod markdown;

pub use html::html;
pub(crate) use markdown::escaped;
pub use markdown::markdown;

/// The whole of it.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// What it is.
    pub title: String,
    /// What it says, in a sentence or two.
    pub lead: String,
    /// The sections.
    pub sections: Vec<Section>,
}

/// A section: a table, or steps of a derivation.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Its headline.
    pub title: String,
    /// What to look at in it; may be empty.
    pub note: String,
    /// What it draws, as SVG; may be empty. Only HTML shows it.
    pub chart: String,
    /// What that shows, in words.
    pub chart_says: String,
    /// A table; one without rows is left out.
    pub table: Table,
    /// Steps, one after another.
    pub steps: Vec<Step>,
}

/// A table. A row has a cell for each column.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows; the first cell of each is what it is about.
    pub rows: Vec<Row>,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What is in it.
    pub name: &'static str,
    /// Whether those are numbers.
    pub number: bool,
    /// Whether it can be left out where there is little room.
    pub spare: bool,
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// One for each column.
    pub cells: Vec<String>,
    /// Whether it is the one to look at.
    pub strong: bool,
}

/// A step of a derivation.
#[derive(Clone, Debug)]
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
