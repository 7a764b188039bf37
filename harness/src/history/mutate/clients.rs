//! Mutations of what clients said and saw: these show on any broker.

use super::{Index, Mutation, recount, remove_delivery};
use crate::history::{Call, Delivery, Event, Kind, Outcome, Reply};

pub(super) const ALL: &[Mutation] = &[
    Mutation {
        name: "drop: a record acknowledged is not in the final read",
        finds: &["B3", "B2"],
        black_box: true,
        sites: |x| deliveries(x, |x, d| d.last && in_place(x, d)),
        make: remove_delivery,
    },
    Mutation {
        name: "drop: a record acknowledged was never read by anyone",
        finds: &["B3"],
        black_box: true,
        sites: |x| deliveries(x, |x, d| d.last && in_place(x, d)),
        make: remove_everywhere,
    },
    Mutation {
        name: "drop: a tailing consumer is not given a record",
        finds: &["B10"],
        black_box: true,
        sites: |x| deliveries(x, |_, d| !d.last),
        make: remove_delivery,
    },
    Mutation {
        name: "drop: a delivery is not noted though its poll counts it",
        finds: &["M5"],
        black_box: true,
        sites: |x| deliveries(x, |_, _| true),
        make: |events, n| drop(events.remove(n)),
    },
    Mutation {
        name: "drop: a call is not noted",
        finds: &["M5"],
        black_box: true,
        sites: |x| {
            let returned = |op: &u64| x.sends.get(op).is_none_or(|s| s.returned.is_some());
            x.of_kind(|kind| matches!(kind, Kind::Call { op, .. } if returned(op)))
        },
        make: |events, n| drop(events.remove(n)),
    },
    Mutation {
        name: "drop: a call never returns",
        finds: &["L10"],
        black_box: true,
        sites: |x| {
            let lives = |op: &u64| x.callers.get(op).is_some_and(|client| !x.quitters.contains(client));
            x.of_kind(|kind| matches!(kind, Kind::Return { op, .. } if lives(op)))
        },
        make: |events, n| drop(events.remove(n)),
    },
    Mutation {
        name: "duplicate: a call or a return comes twice",
        finds: &["M5"],
        black_box: true,
        sites: |x| x.of_kind(|kind| matches!(kind, Kind::Call { .. } | Kind::Return { .. })),
        make: |events, n| events.insert(n, events[n].clone()),
    },
    Mutation {
        name: "duplicate: a consumer is given a record twice",
        finds: &["B10"],
        black_box: true,
        sites: |x| deliveries(x, |_, _| true),
        make: |events, n| {
            if let Kind::Deliver(d) = events[n].kind {
                recount(events, d.op, 1);
                events.insert(n, events[n].clone());
            }
        },
    },
    Mutation {
        name: "swap: two neighbours in the log change places",
        finds: &["B2"],
        black_box: true,
        sites: |x| {
            deliveries(x, |x, d| d.last && in_place(x, d)).into_iter().filter(|n| neighbour(x.events, *n)).collect()
        },
        make: |events, n| swap_contents(events, n),
    },
    Mutation {
        name: "swap: two records are delivered in the wrong order",
        finds: &["B10"],
        black_box: true,
        sites: |x| deliveries(x, |_, _| true).into_iter().filter(|n| neighbour(x.events, *n)).collect(),
        make: |events, n| {
            let next = events[n + 1].kind.clone();
            events[n + 1].kind = std::mem::replace(&mut events[n].kind, next);
        },
    },
    Mutation {
        name: "swap: two acknowledgements change places",
        finds: &["B2"],
        black_box: true,
        sites: |x| x.returns(|_, _, offset| offset.is_some()).into_iter().filter(|n| ack_beside(x, *n)).collect(),
        make: |events, n| {
            let next = events[n + 1].kind.clone();
            if let Kind::Return { reply: theirs, .. } = next
                && let Kind::Return { reply: ours, .. } = &mut events[n].kind
            {
                let ours = std::mem::replace(ours, theirs);
                if let Kind::Return { reply, .. } = &mut events[n + 1].kind {
                    *reply = ours;
                }
            }
        },
    },
    Mutation {
        name: "relabel: a send that is read is said to have failed",
        finds: &["B4"],
        black_box: true,
        sites: |x| x.returns(|s, outcome, _| outcome != Outcome::Fail && !x.found(s.tp, s.id).is_empty()),
        make: |events, n| relabel(events, n, Outcome::Fail, Reply::None),
    },
    Mutation {
        name: "relabel: an acknowledgement is said to be unknown, and names its offset",
        finds: &["M5"],
        black_box: true,
        sites: |x| x.returns(|_, _, offset| offset.is_some()),
        make: |events, n| {
            if let Kind::Return { reply, .. } = events[n].kind {
                relabel(events, n, Outcome::Info, reply);
            }
        },
    },
    Mutation {
        name: "relabel: a send of unknown or failed outcome, never read, is said to be behind the log's end",
        finds: &["B3"],
        black_box: true,
        sites: |x| x.returns(|s, outcome, _| outcome != Outcome::Ok && x.found(s.tp, s.id).is_empty()),
        make: |events, n| relabel(events, n, Outcome::Ok, Reply::Sent { offset: 1_000_000_000 }),
    },
    Mutation {
        name: "relabel: a send of unknown or failed outcome, never read, is said to be at offset 0",
        finds: &["B3"],
        black_box: true,
        sites: |x| x.returns(|s, outcome, _| outcome != Outcome::Ok && x.found(s.tp, s.id).is_empty()),
        make: |events, n| relabel(events, n, Outcome::Ok, Reply::Sent { offset: 0 }),
    },
    Mutation {
        name: "relabel: a send of unknown outcome, read, is said to be where it is not",
        finds: &["B2"],
        black_box: true,
        sites: |x| x.returns(|s, o, _| o == Outcome::Info && matches!(x.found(s.tp, s.id), [first, ..] if *first > 0)),
        make: |events, n| relabel(events, n, Outcome::Ok, Reply::Sent { offset: 0 }),
    },
    Mutation {
        name: "shift: an acknowledgement names the offset after its own",
        finds: &["B2"],
        black_box: true,
        sites: |x| x.returns(|s, _, at| at.is_some_and(|at| !x.found(s.tp, s.id).contains(&(at + 1)))),
        make: |events, n| shift_ack(events, n, 1),
    },
    Mutation {
        name: "shift: an acknowledgement names the offset before its own",
        finds: &["B2"],
        black_box: true,
        sites: |x| x.returns(|s, _, at| at.is_some_and(|at| !x.found(s.tp, s.id).contains(&(at - 1)))),
        make: |events, n| shift_ack(events, n, -1),
    },
    Mutation {
        name: "shift: a record is delivered one offset too high",
        finds: &["B10", "M5"],
        black_box: true,
        sites: |x| deliveries(x, |_, _| true),
        make: |events, n| change(events, n, |d| d.offset += 1),
    },
    Mutation {
        name: "shift: a record is delivered one offset too low",
        finds: &["B10", "M5"],
        black_box: true,
        sites: |x| deliveries(x, |_, _| true),
        make: |events, n| change(events, n, |d| d.offset -= 1),
    },
    Mutation {
        name: "shift: a consumer polls one offset too high",
        finds: &["B10"],
        black_box: true,
        sites: |x| x.of_kind(|kind| matches!(kind, Kind::Call { call: Call::Poll { .. }, .. })),
        make: |events, n| {
            if let Kind::Call { call: Call::Poll { position, .. }, .. } = &mut events[n].kind {
                *position += 1;
            }
        },
    },
    Mutation {
        name: "shift: ListOffsets answers with the next offset",
        finds: &["B20"],
        black_box: true,
        sites: listings,
        make: |events, n| {
            if let Kind::Return { reply: Reply::Listed { offset, .. }, .. } = &mut events[n].kind {
                *offset += 1;
            }
        },
    },
    Mutation {
        name: "corrupt: a record comes back changed",
        finds: &["B27"],
        black_box: true,
        sites: |x| deliveries(x, |_, _| true),
        make: |events, n| change(events, n, |d| d.checksum ^= 1),
    },
    Mutation {
        name: "corrupt: a value comes back damaged",
        finds: &["B7"],
        black_box: true,
        sites: |x| deliveries(x, |_, _| true),
        make: |events, n| change(events, n, |d| d.id = None),
    },
    Mutation {
        name: "invent: a record is delivered that nobody has sent",
        finds: &["B7"],
        black_box: true,
        sites: |x| deliveries(x, |_, _| true),
        make: |events, n| {
            let mut invented = events[n].clone();
            if let Kind::Deliver(d) = &mut invented.kind {
                d.id.iter_mut().for_each(|id| id.seq += 1_000_000);
                d.offset += 1;
                let op = d.op;
                recount(events, op, 1);
                events.insert(n + 1, invented);
            }
        },
    },
    Mutation {
        name: "time runs back",
        finds: &["M5"],
        black_box: true,
        sites: |x| (1..x.events.len()).collect(),
        make: |events, n| events[n].at = 0,
    },
];

fn deliveries(x: &Index<'_>, wanted: impl Fn(&Index<'_>, &Delivery) -> bool) -> Vec<usize> {
    x.of_kind(|kind| matches!(kind, Kind::Deliver(d) if wanted(x, d)))
}

/// Whether a delivery shows a record where it was acknowledged.
fn in_place(x: &Index<'_>, d: &Delivery) -> bool {
    d.id.is_some_and(|id| x.acked_at(d.tp, id) == Some(d.offset))
}

/// Whether the next event is a delivery of another record in the same poll.
fn neighbour(events: &[Event], n: usize) -> bool {
    match (&events[n].kind, events.get(n + 1).map(|e| &e.kind)) {
        (Kind::Deliver(a), Some(Kind::Deliver(b))) => a.op == b.op && a.id != b.id,
        _ => false,
    }
}

/// Whether the next event is the acknowledgement of another record, at an offset where this one is not.
fn ack_beside(x: &Index<'_>, n: usize) -> bool {
    let Kind::Return { op, .. } = x.events[n].kind else { return false };
    let Some(ours) = x.sends.get(&op) else { return false };
    match x.events.get(n + 1).map(|e| &e.kind) {
        Some(Kind::Return { reply: Reply::Sent { offset }, .. }) => !x.found(ours.tp, ours.id).contains(offset),
        _ => false,
    }
}

/// Answers that are wrong one offset higher: the earliest of a log never trimmed, and the first at a timestamp.
fn listings(x: &Index<'_>) -> Vec<usize> {
    let mut asked = std::collections::BTreeMap::new();
    let mut sites = Vec::new();
    for (n, event) in x.events.iter().enumerate() {
        match event.kind {
            Kind::Call { op, call: Call::ListOffsets { tp, query }, .. } => drop(asked.insert(op, (tp, query))),
            Kind::Return { op, reply: Reply::Listed { offset, .. }, .. } if offset >= 0 => {
                let query = asked.get(&op).filter(|(_, query)| *query == -2 || *query >= 0);
                // Of an empty log nothing is known.
                let filled = |tp| x.copies.keys().any(|(of, _)| *of == tp);
                sites.extend(query.filter(|(tp, _)| filled(*tp)).map(|_| n));
            }
            _ => {}
        }
    }
    sites
}

fn remove_everywhere(events: &mut Vec<Event>, n: usize) {
    let Kind::Deliver(gone) = events[n].kind else { return };
    let same = |e: &Event| matches!(e.kind, Kind::Deliver(d) if d.tp == gone.tp && d.id == gone.id);
    while let Some(n) = events.iter().position(same) {
        remove_delivery(events, n);
    }
}

fn swap_contents(events: &mut [Event], n: usize) {
    let (Kind::Deliver(mut a), Kind::Deliver(mut b)) = (events[n].kind.clone(), events[n + 1].kind.clone()) else {
        return;
    };
    std::mem::swap(&mut a.offset, &mut b.offset);
    (events[n].kind, events[n + 1].kind) = (Kind::Deliver(b), Kind::Deliver(a));
}

fn relabel(events: &mut [Event], n: usize, to: Outcome, reply: Reply) {
    if let Kind::Return { outcome, code, reply: said, .. } = &mut events[n].kind {
        (*outcome, *said) = (to, reply);
        *code = if to == Outcome::Ok { 0 } else { -1 };
    }
}

fn shift_ack(events: &mut [Event], n: usize, by: i64) {
    if let Kind::Return { reply: Reply::Sent { offset }, .. } = &mut events[n].kind {
        *offset += by;
    }
}

fn change(events: &mut [Event], n: usize, how: impl Fn(&mut Delivery)) {
    if let Kind::Deliver(d) = &mut events[n].kind {
        how(d);
    }
}
