//! One thing explained in full: a title, a line, and facts in two columns.

use comfy_table::Cell;

use super::page;

/// What there is to say of one invariant, scenario, fault or defect.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name or id.
    pub name: String,
    /// What kind of thing it is.
    pub kind: String,
    /// What it is, in one line.
    pub about: String,
    /// More, as (label, text).
    pub facts: Vec<(String, String)>,
}

/// The entry as text.
pub fn entry(entry: &Entry, width: usize) -> String {
    let mut table = page::table(width, &[]);
    for (label, text) in entry.facts.iter().filter(|(_, text)| !text.is_empty()) {
        table.add_row([page::dim(format!(" {label}")), Cell::new(text)]);
    }
    let facts = if table.is_empty() { String::new() } else { page::finish(&table) };
    let about = page::wrap(entry.about.split(' ').map(String::from), "  ", 2, width);
    page::heading(&entry.name, &entry.kind) + &about + &facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;

    #[test]
    fn empty_facts_are_left_out() {
        let fact = |label: &str, text: &str| (label.to_string(), text.to_string());
        let b3 = Entry {
            name: "B3".into(),
            kind: "invariant, safety".into(),
            about: "an acknowledged record is in the final log".into(),
            facts: vec![
                fact("Jepsen's name", "lost-write"),
                fact("none", ""),
                fact("must find", "st-ack-before-fsync"),
            ],
        };
        insta::assert_snapshot!(strip_str(&entry(&b3, 80)).to_string());
    }
}
