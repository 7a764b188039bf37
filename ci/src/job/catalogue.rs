//! The four catalogues as rows: what can be listed, explained and completed.

use broker::planted::Defect;
use harness::verdict::Promise;
use harness::{fault, invariant};
use reports::text::Row;

/// Every scenario.
pub fn scenarios() -> Vec<Row> {
    scenarios::ALL.iter().map(|s| row(s.name, "", s.about)).collect()
}

/// Every fault.
pub fn faults() -> Vec<Row> {
    fault::ALL.iter().map(|f| row(f.name, "", f.about)).collect()
}

/// Every invariant.
pub fn invariants() -> Vec<Row> {
    invariant::ALL.iter().map(|i| row(i.id, promise(i.promise), i.about)).collect()
}

/// Every planted defect, with the invariants that must find it.
pub fn defects() -> Vec<Row> {
    let expected = |d: Defect| scenarios::planted::ROWS.iter().find(|r| r.defect == d).map(|r| r.expected.join(" "));
    Defect::ALL.iter().map(|d| row(&d.id(), &expected(*d).unwrap_or_default(), d.about())).collect()
}

/// The names of all of them, each once.
pub fn names() -> Vec<String> {
    let all = [invariants(), scenarios(), faults(), defects()];
    let names: std::collections::BTreeSet<String> = all.into_iter().flatten().map(|row| row.name).collect();
    names.into_iter().collect()
}

/// A kind of promise in a word.
pub fn promise(promise: Promise) -> &'static str {
    match promise {
        Promise::Safety => "safety",
        Promise::Liveness => "liveness",
        Promise::Meta => "meta",
    }
}

fn row(name: &str, kind: &str, about: &str) -> Row {
    Row { name: name.into(), kind: kind.into(), about: about.into() }
}
