//! Mutations of what members of groups of the newer protocol said and saw (KIP-848): each is in an epoch of its own. All show
//! on any broker.

use super::Mutation;
use super::groups::{accepted, beside, change, give_too, given_beside, step_of, steps};
use crate::history::{Event, GroupEvent, GroupStep, Kind, TpId};

pub(super) const ALL: &[Mutation] = &[
    Mutation {
        name: "duplicate: a partition is given to another member too, and both stay members",
        finds: &["B19"],
        black_box: true,
        sites: |x| given_beside(x, companion),
        make: |events, n| give_too(events, n, companion),
    },
    Mutation {
        name: "drop: a partition is given to its next owner, and its last one never gives it up",
        finds: &["B19"],
        black_box: true,
        sites: |x| {
            let given_up = steps(x, |step| matches!(step.what, GroupStep::Revoked { .. }));
            given_up.into_iter().filter(|n| passes_on(x.events, *n)).collect()
        },
        make: |events, n| drop(events.remove(n)),
    },
    Mutation {
        name: "relabel: an accepted commit states an epoch before the one in which its partition was given",
        finds: &["B18g"],
        black_box: true,
        sites: |x| {
            let all = accepted(x).into_iter();
            let states_it = all.filter(|c| c.generation > 0 && given_in(x.events, c.at, c.tp) == Some(c.generation));
            states_it.map(|commit| commit.at).collect()
        },
        make: |events, n| change(events, n, |_, generation| *generation -= 1),
    },
];

/// Another member that is there when the event at `n` comes, in the epoch that it is in then; both stay for long enough that
/// nobody can take the one or the other for thrown out.
fn companion(events: &[Event], n: usize) -> Option<GroupEvent> {
    let own = step_of(&events[n])?;
    let other = beside(events, n, |_, _| true);
    other.filter(|other| stay(events, n, [own.client, other.client]))
}

/// Whether two heartbeats of each are accepted after the event at `n`, before either goes.
fn stay(events: &[Event], n: usize, clients: [u32; 2]) -> bool {
    clients.iter().all(|client| {
        let lives = events[n + 1..].iter().take_while(|event| match event.kind {
            Kind::Quit { client: gone, .. } => !clients.contains(&gone),
            _ => true,
        });
        let told = |event: &&Event| step_of(event).is_some_and(|s| s.client == *client && s.what == GroupStep::Told);
        lives.filter(told).count() >= 2
    })
}

/// Whether what is given up at `n` is next given to somebody else, and both stay from then on.
fn passes_on(events: &[Event], n: usize) -> bool {
    let Some(GroupEvent { client, what: GroupStep::Revoked { tp }, .. }) = step_of(&events[n]) else { return false };
    let given =
        |event: &Event| step_of(event).filter(|s| matches!(s.what, GroupStep::Assigned { tp: of, .. } if of == tp));
    let next = (n + 1..events.len()).find_map(|at| Some((at, given(&events[at])?.client)));
    let gone = |at| events[n..at].iter().any(|e| matches!(e.kind, Kind::Quit { client: gone, .. } if gone == client));
    next.is_some_and(|(at, to)| to != client && !gone(at) && stay(events, at, [client, to]))
}

/// The epoch in which a partition was given last before the event at `n`.
fn given_in(events: &[Event], n: usize, tp: TpId) -> Option<i32> {
    let given = |event: &Event| {
        let step = step_of(event)?;
        matches!(step.what, GroupStep::Assigned { tp: of, .. } if of == tp).then_some(step.generation)
    };
    events[..n].iter().rev().find_map(given)
}
