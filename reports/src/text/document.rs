//! A document on the terminal.

use comfy_table::{Attribute, Cell, CellAlignment};

use super::page;
use crate::document::{Case, Document, Section, Step};

/// Columns below which a table does without what can be spared.
const ROOM: usize = 110;

/// The whole document.
pub fn document(document: &Document, width: usize) -> String {
    let mut text = page::heading(&document.title, "");
    match document.verdict {
        Some(verdict) => text.push_str(&page::closing(verdict, &document.lead, width)),
        None => text.push_str(&page::wrap(words(&document.lead).into_iter(), "", 0, width)),
    }
    for section in &document.sections {
        text.push('\n');
        text.push_str(&page::heading(&section.title, ""));
        if !section.note.is_empty() {
            let note = page::wrap(words(&section.note).into_iter(), "", 0, width);
            text.extend(note.lines().map(|line| format!("{}\n", page::paint(page::DIM, line))));
        }
        text.push_str(&table(section, width));
        section.steps.iter().for_each(|one| text.push_str(&step(one, width)));
        section.cases.iter().for_each(|one| text.push_str(&case(one, width)));
    }
    text
}

fn case(case: &Case, width: usize) -> String {
    let mut text = page::closing(case.verdict, &format!("{}: {}", case.name, case.what), width);
    text.extend(case.story.iter().map(|line| format!("    {line}\n")));
    if !case.replay.is_empty() {
        text.push_str(&format!("Replay  {}\n", page::paint(page::BOLD, &case.replay)));
    }
    text
}

fn table(section: &Section, width: usize) -> String {
    if section.table.rows.is_empty() {
        return String::new();
    }
    let columns: Vec<_> =
        section.table.columns.iter().enumerate().filter(|(_, column)| width >= ROOM || !column.spare).collect();
    let header: Vec<&str> = columns.iter().map(|(_, column)| column.name).collect();
    let mut table = page::table(width, &header);
    for row in &section.table.rows {
        table.add_row(columns.iter().map(|(at, column)| {
            let text = row.cells.get(*at).map_or("", String::as_str);
            let cell = if column.number { page::number(text) } else { Cell::new(text) };
            if row.strong { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
    }
    // The names of columns, too, stand above their numbers.
    for at in (0..columns.len()).filter(|at| columns[*at].1.number) {
        table.column_mut(at).into_iter().for_each(|it| {
            it.set_cell_alignment(CellAlignment::Right);
        });
    }
    page::finish(&table)
}

/// `name = formula = numbers = result, range`, wrapped.
fn step(step: &Step, width: usize) -> String {
    let parts = [&step.formula, &step.with, &step.result].map(String::as_str);
    let joined: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let range = if step.range.is_empty() { String::new() } else { format!("  ({})", step.range) };
    let line = format!("= {}{range}", joined.join(" = "));
    let first = format!(" {} ", step.name);
    let text = page::wrap(words(&line).into_iter(), &first, 5, width);
    match text.strip_prefix(&first) {
        Some(rest) => format!(" {} {rest}", page::paint(page::BOLD, &step.name)),
        None => text,
    }
}

/// Words, between which a line may end: not between a number and its unit.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let is_unit = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '%');
        match words.last_mut() {
            Some(number) if is_unit && number.ends_with(|c: char| c.is_ascii_digit()) => {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.into()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_number_keeps_its_unit() {
        assert_eq!(
            super::words("= 105 TB / (10 TB × 70 %) - 1 = x"),
            ["=", "105 TB", "/", "(10 TB", "×", "70 %)", "-", "1", "=", "x"]
        );
    }
}
