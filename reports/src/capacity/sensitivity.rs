//! How the answer moves with each input, and what each margin costs.

use super::given::Inputs;
use super::input::{self, Row};
use super::{Bare, REPLICATION, bare};

/// Brokers, if one input were otherwise.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Sensitivity {
    /// The input.
    pub input: &'static str,
    /// Brokers with a tenth less of it; nothing where it cannot be less, or is decided.
    pub less: Option<f64>,
    /// Brokers with a tenth more of it, or with one more where it is decided; nothing where it cannot be more.
    pub more: Option<f64>,
    /// Brokers with half as much again; nothing where it cannot be more, or is decided.
    pub half_more: Option<f64>,
    /// By how much a tenth more of it (or one more) moves what is needed, before it is rounded up: -0.1 is a tenth less.
    pub moves: f64,
}

/// One row for each input that moves the answer, those that move it most first; and the names of those that do not.
pub(super) fn sensitivity(inputs: &Inputs, now: &Bare) -> (Vec<Sensitivity>, Vec<&'static str>) {
    let (mut rows, mut idle) = (Vec::new(), Vec::new());
    for row in input::rows() {
        let Some(given) = inputs.get(row) else { continue };
        let nominal = given.nominal;
        let at = |value: f64| -> Option<Bare> {
            let within = row.within.0 <= value && value <= row.within.1 && value != nominal;
            within.then(|| bare(&inputs.with(&[(row, value)])).ok()).flatten()
        };
        let [less, more, half_more] =
            if row.decided { [None, at(nominal + 1.0), None] } else { [0.9, 1.1, 1.5].map(|by| at(nominal * by)) };
        let moved = |bare: &Bare| bare.exact / now.exact - 1.0;
        // What cannot be more is turned the other way.
        let moves = more.as_ref().map(moved).or_else(|| less.as_ref().map(|less| -moved(less))).unwrap_or(0.0);
        let brokers = |bare: Option<Bare>| bare.map(|bare| bare.brokers);
        let one = Sensitivity {
            input: row.name,
            less: brokers(less),
            more: brokers(more),
            half_more: brokers(half_more),
            moves,
        };
        let still = [one.less, one.more, one.half_more].iter().flatten().all(|brokers| *brokers == now.brokers);
        // Where replication binds, resources may need more for a long while before that shows.
        if still && (moves.abs() < 1e-9 || now.binds == REPLICATION) { idle.push(row.name) } else { rows.push(one) }
    }
    // Decisions behind estimates: one more of them is no tenth.
    let decided = |name: &str| input::find(name).is_some_and(|row: &Row| row.decided);
    rows.sort_by(|a, b| decided(a.input).cmp(&decided(b.input)).then(b.moves.abs().total_cmp(&a.moves.abs())));
    (rows, idle)
}

/// Brokers with some of the margins only.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Margin {
    /// Which.
    pub with: String,
    /// Brokers.
    pub brokers: f64,
    /// What binds.
    pub binds: &'static str,
}

/// What the bare load needs on full disks at full throttle; with each margin alone; with all.
pub(super) fn margins(inputs: &Inputs) -> Vec<Margin> {
    let none: [(&'static Row, f64); 4] = [
        (&input::FILL.row, 1.0),
        (&input::UTILISATION.row, 1.0),
        (&input::LOSE_BROKERS.row, 0.0),
        (&input::LOSE_RACKS.row, 0.0),
    ];
    let given = |row: &Row| inputs.get(row).map_or(0.0, |given| given.nominal);
    let words = |row: &Row| {
        let value = given(row);
        match row.name {
            "fill" => format!("disks at most {} full", row.kind.show(value)),
            "utilisation" => format!("all else at most {} busy", row.kind.show(value)),
            "lose-racks" => "a rack lost".into(),
            _ if value == 1.0 => "one broker lost".into(),
            _ => format!("{value} brokers lost"),
        }
    };
    let margin = |with: String, changes: &[(&'static Row, f64)]| {
        bare(&inputs.with(changes)).ok().map(|bare| Margin { with, brokers: bare.brokers, binds: bare.binds })
    };
    let taken: Vec<&(&'static Row, f64)> = none.iter().filter(|(row, nothing)| given(row) != *nothing).collect();
    let mut rows = vec![margin("no margin".into(), &none)];
    for (row, _) in &taken {
        let others: Vec<_> = none.iter().copied().filter(|(other, _)| other.name != row.name).collect();
        rows.push(margin(words(row), &others));
    }
    if taken.len() > 1 {
        rows.push(margin("all of these".into(), &[]));
    }
    rows.into_iter().flatten().collect()
}
