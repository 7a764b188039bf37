//! Lists of what there is: scenarios, faults, invariants, defects. A name, a mark or two, and a line.

use comfy_table::{Attribute, Cell};

use super::page;

/// One thing of a catalogue.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// Its name or id, as the command line takes it.
    pub name: String,
    /// A short remark of its kind; may be empty.
    pub kind: String,
    /// What it is, in one line.
    pub about: String,
}

/// A section of a catalogue.
pub fn catalogue(title: &str, rows: &[Row], width: usize) -> String {
    let mut table = page::table(width, &[]);
    for row in rows {
        let name = Cell::new(format!(" {}", row.name)).add_attribute(Attribute::Bold);
        if rows.iter().any(|r| !r.kind.is_empty()) {
            table.add_row([name, page::dim(&row.kind), Cell::new(&row.about)]);
        } else {
            table.add_row([name, Cell::new(&row.about)]);
        }
    }
    page::heading(title, &format!("{}", rows.len())) + &page::finish(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;

    #[test]
    fn a_list_is_aligned_and_wraps() {
        let row =
            |name: &str, kind: &str, about: &str| Row { name: name.into(), kind: kind.into(), about: about.into() };
        let rows = [
            row("B3", "safety", "an acknowledged record is in the final log"),
            row(
                "L10",
                "liveness",
                "every client call returns by its deadline, whatever happens to the broker it was sent to",
            ),
        ];
        insta::assert_snapshot!(strip_str(&catalogue("Invariants", &rows, 72)).to_string());
    }
}
