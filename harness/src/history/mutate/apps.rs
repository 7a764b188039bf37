//! Mutations of what applications state: of histories with one only. All show on any broker.

use super::{Index, Mutation};
use crate::history::{AppStep, Event, Kind, Origin};

pub(super) const ALL: &[Mutation] = &[
    Mutation {
        name: "duplicate: an event is done twice",
        finds: &["A2"],
        black_box: true,
        sites: |x| steps(x, |_, what| matches!(what, AppStep::Effect { .. })),
        make: |events, n| {
            if let Some(AppStep::Effect { of, .. }) = step(&events[n]) {
                add(events, n, AppStep::Effect { row: 1_000_000, of });
            }
        },
    },
    Mutation {
        name: "relabel: a row of the ledger is for another event in a later life",
        finds: &["A2"],
        black_box: true,
        sites: |x| steps(x, |n, what| matches!(what, AppStep::Effect { row, .. } if states(&x.events[..n], row))),
        make: |events, n| {
            if let Kind::App { what: AppStep::Effect { of, .. }, .. } = &mut events[n].kind {
                of.id.seq += 1;
            }
        },
    },
    Mutation {
        name: "drop: effects are gone when the store is opened again",
        finds: &["A2"],
        black_box: true,
        sites: |x| steps(x, |_, what| matches!(what, AppStep::Opened { rows: 1.. })),
        make: |events, n| {
            if let Kind::App { what: AppStep::Opened { rows }, .. } = &mut events[n].kind {
                *rows -= 1;
            }
        },
    },
    Mutation {
        name: "swap: an event is done before an earlier one of its key",
        finds: &["A3"],
        black_box: true,
        sites: |x| steps(x, |n, _| next_of_its_key(x.events, n).is_some()),
        make: |events, n| {
            if let Some(later) = next_of_its_key(events, n) {
                let kind = events[n].kind.clone();
                events[n].kind = std::mem::replace(&mut events[later].kind, kind);
            }
        },
    },
    Mutation {
        name: "drop: an event is neither done nor given up",
        finds: &["A8"],
        black_box: true,
        // What the log has lost, as it may, nobody need have settled.
        sites: |x| steps(x, |_, what| settles(what).is_some_and(|of| !x.found(of.tp, of.id).is_empty())),
        make: |events, n| {
            let of = step(&events[n]).and_then(settles);
            events.retain(|event| of.is_none() || step(event).and_then(settles) != of);
        },
    },
    Mutation {
        name: "add: what is done is given up as well",
        finds: &["A8"],
        black_box: true,
        sites: |x| steps(x, |_, what| matches!(what, AppStep::Effect { .. })),
        make: |events, n| {
            if let Some(of) = step(&events[n]).and_then(settles) {
                add(events, n, AppStep::Buried { of });
            }
        },
    },
    Mutation {
        name: "drop: the dead-letter topic has no letter about what is given up",
        finds: &["A8"],
        black_box: true,
        sites: |x| {
            let done =
                |of| x.events.iter().any(|e| matches!(step(e), Some(AppStep::Effect { of: it, .. }) if it == of));
            steps(x, |_, what| matches!(what, AppStep::Letter { of } if !done(of) && !x.found(of.tp, of.id).is_empty()))
        },
        make: |events, n| drop(events.remove(n)),
    },
];

fn step(event: &Event) -> Option<AppStep> {
    match event.kind {
        Kind::App { what, .. } => Some(what),
        _ => None,
    }
}

fn steps(x: &Index<'_>, wanted: impl Fn(usize, AppStep) -> bool) -> Vec<usize> {
    (0..x.events.len()).filter(|n| step(&x.events[*n]).is_some_and(|what| wanted(*n, what))).collect()
}

/// What a step says is done or given up.
fn settles(what: AppStep) -> Option<Origin> {
    match what {
        AppStep::Effect { of, .. } | AppStep::Buried { of } | AppStep::Letter { of } => Some(of),
        AppStep::Opened { .. } | AppStep::Redriven { .. } => None,
    }
}

fn add(events: &mut Vec<Event>, n: usize, what: AppStep) {
    let kind = Kind::App { app: 0, what };
    events.insert(n + 1, Event { at: events[n].at, kind });
}

fn states(events: &[Event], of: u64) -> bool {
    events.iter().any(|event| matches!(step(event), Some(AppStep::Effect { row, .. }) if row == of))
}

/// Where the next event of the same key is done for the first time, if the one at `n` is, and neither was ever given up.
fn next_of_its_key(events: &[Event], n: usize) -> Option<usize> {
    let fresh = |n: usize| {
        let of = step(&events[n]).and_then(settles)?;
        let only = !events[..n].iter().any(|event| step(event).and_then(settles) == Some(of));
        let done = matches!(step(&events[n]), Some(AppStep::Effect { .. }));
        (only && done).then_some(of)
    };
    let of = fresh(n)?;
    let later = |other: Origin| (other.tp, other.key) == (of.tp, of.key) && other.offset > of.offset;
    (n + 1..events.len()).find(|at| fresh(*at).is_some_and(later))
}
