//! As Markdown: pipes and headlines, as GitHub shows them.

use std::fmt::Write;

use super::{Case, Document, Section, Step};
use crate::text;

/// `document` as Markdown.
pub fn markdown(document: &Document) -> String {
    let verdict = document.verdict.map_or(String::new(), |verdict| format!(": {}", text::verdict_word(verdict)));
    let mut text = format!("# {}{verdict}\n\n{}\n", escaped(&document.title), escaped(&document.lead));
    for section in &document.sections {
        let _ = write!(text, "\n{} {}\n\n", if section.part { "###" } else { "##" }, escaped(&section.title));
        if !section.note.is_empty() {
            let _ = write!(text, "{}\n\n", escaped(&section.note));
        }
        text.push_str(&table(section));
        section.steps.iter().for_each(|step| text.push_str(&line(step)));
        // A line right below a table would be a row of it.
        section.cases.iter().for_each(|one| text.push_str(&format!("\n{}", case(one))));
    }
    text
}

/// A case in full.
fn case(case: &Case) -> String {
    let mut text = format!("{} {}: {}\n", escaped(&case.name), case.word(), escaped(&case.what));
    if !case.story.is_empty() {
        let _ = write!(text, "\n{}", block(&case.story.join("\n")));
    }
    if !case.replay.is_empty() {
        let _ = write!(text, "\nReplay:\n\n{}", block(&case.replay));
    }
    text
}

/// An indented block: nothing in it means anything to Markdown.
pub(crate) fn block(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn table(section: &Section) -> String {
    let (columns, rows) = (&section.table.columns, &section.table.rows);
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    for column in columns {
        let _ = write!(text, "| {} ", escaped(column.name));
    }
    text.push_str("|\n");
    for column in columns {
        text.push_str(if column.number { "|---:" } else { "|---" });
    }
    text.push_str("|\n");
    for row in rows {
        for cell in &row.cells {
            let cell = escaped(cell);
            let _ =
                if row.strong && !cell.is_empty() { write!(text, "| **{cell}** ") } else { write!(text, "| {cell} ") };
        }
        text.push_str("|\n");
    }
    text
}

fn line(step: &Step) -> String {
    let with = if step.with.is_empty() { String::new() } else { format!(" = {}", escaped(&step.with)) };
    let range = if step.range.is_empty() { String::new() } else { format!(" ({})", escaped(&step.range)) };
    let (name, formula, result) = (escaped(&step.name), escaped(&step.formula), escaped(&step.result));
    format!("- {name} = {formula}{with} = **{result}**{range}\n")
}

/// What Markdown would take for its own is kept as it is.
pub(crate) fn escaped(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '|' | '<' | '>' | '[' | ']' | '#' | '&' | '~' => kept.extend(['\\', c]),
            c if c.is_control() => kept.push(' '),
            c => kept.push(c),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::{Column, Row, Table};
    use super::*;

    #[test]
    fn a_cell_cannot_break_its_table() {
        let table = Table {
            columns: vec![Column::words("what"), Column::numbers("how much")],
            rows: vec![Row::new(["a|b\n".into(), "*1*".into()]).strong(true)],
        };
        let section = Section { title: "T".into(), table, ..Section::default() };
        let text =
            markdown(&Document { title: "D".into(), lead: "L".into(), sections: vec![section], ..Document::default() });
        assert!(text.ends_with("| what | how much |\n|---|---:|\n| **a\\|b ** | **\\*1\\*** |\n"), "{text}");
    }
}
