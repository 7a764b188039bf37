//! Mutations of what members of groups said and saw: of histories with a group only. All show on any broker.

use std::collections::BTreeSet;

use broker::ids::Offset;

use super::{Index, Mutation};
use crate::history::{Call, Event, GroupEvent, GroupStep, Kind, Outcome, Phase, Reply, TpId};

pub(super) const ALL: &[Mutation] = &[
    Mutation {
        name: "shift: a group's offset is found where nobody committed it",
        finds: &["B17"],
        black_box: true,
        sites: |x| x.of_kind(|kind| matches!(kind, Kind::Return { reply: Reply::Offset { .. }, .. })),
        make: |events, n| find(events, n, 1_000_000),
    },
    Mutation {
        name: "drop: a group's offset is not found, though it was accepted",
        finds: &["B17"],
        black_box: true,
        sites: |x| look_ups(x).into_iter().filter(|(n, tp)| accepted_before(x, *n, *tp)).map(|(n, _)| n).collect(),
        make: |events, n| find(events, n, -1),
    },
    Mutation {
        name: "shift: a member begins one record further than it was told",
        finds: &["B17"],
        black_box: true,
        sites: |x| steps(x, |step| matches!(step.what, GroupStep::Assigned { position: 1.., .. })),
        make: |events, n| {
            if let Kind::Group(GroupEvent { what: GroupStep::Assigned { position, .. }, .. }) = &mut events[n].kind {
                *position += 1;
            }
        },
    },
    Mutation {
        name: "drop: a member is not told where the group is, and begins all the same",
        finds: &["B17"],
        black_box: true,
        sites: |x| look_ups(x).into_iter().map(|(n, _)| n).collect(),
        make: |events, n| {
            if let Kind::Return { outcome, code, reply, .. } = &mut events[n].kind {
                (*outcome, *code, *reply) = (Outcome::Fail, 15, Reply::None);
            }
        },
    },
    Mutation {
        name: "shift: a commit is one beyond what its member has processed",
        finds: &["B11"],
        black_box: true,
        sites: |x| accepted(x).into_iter().map(|commit| commit.at).collect(),
        make: |events, n| change(events, n, |offset, _| *offset += 1),
    },
    Mutation {
        name: "shift: a commit goes back behind another generation's",
        finds: &["B11"],
        black_box: true,
        sites: |x| {
            let all = accepted(x);
            // Behind one's own in the same generation is merely worth showing.
            let last = |commit: &Commit| all.iter().rfind(|other| other.is_before(commit)).map(|last| last.generation);
            let behind = |commit: &&Commit| last(commit).is_some_and(|generation| generation < commit.generation);
            all.iter().filter(behind).map(|commit| commit.at).collect()
        },
        make: |events, n| change(events, n, |offset, _| *offset = 0),
    },
    Mutation {
        name: "relabel: an accepted commit states the generation before",
        finds: &["B18g"],
        black_box: true,
        sites: |x| accepted(x).into_iter().filter(|commit| commit.generation > 1).map(|commit| commit.at).collect(),
        make: |events, n| change(events, n, |_, generation| *generation -= 1),
    },
    Mutation {
        name: "duplicate: a partition is given to two members of a generation",
        finds: &["B19"],
        black_box: true,
        sites: |x| given_beside(x, companion),
        make: |events, n| give_too(events, n, companion),
    },
    Mutation {
        name: "drop: a partition is read without being given",
        finds: &["B19"],
        black_box: true,
        sites: |x| {
            let given = steps(x, |step| matches!(step.what, GroupStep::Assigned { .. }));
            given.into_iter().filter(|n| is_read(x.events, *n)).collect()
        },
        make: |events, n| drop(events.remove(n)),
    },
    Mutation {
        name: "drop: what was committed nobody has processed",
        finds: &["B9"],
        black_box: true,
        sites: unique_ends,
        make: |events, n| drop(events.remove(n)),
    },
    Mutation {
        name: "shift: a record is acknowledged further ahead of a group than its producers go",
        finds: &["A9"],
        black_box: true,
        sites: |x| {
            let drain = |event: &Event| matches!(event.kind, Kind::Phase { phase: Phase::Drain });
            let over = x.events.iter().position(drain).unwrap_or(x.events.len());
            let acked = x.returns(|_, outcome, offset| outcome == Outcome::Ok && offset.is_some_and(|at| at >= 0));
            acked.into_iter().filter(|n| *n < over).collect()
        },
        make: |events, n| {
            if let Kind::Return { reply: Reply::Sent { offset }, .. } = &mut events[n].kind {
                *offset += 1_000_000;
            }
        },
    },
];

/// A commit that was accepted; `at`: the event of its call.
pub(super) struct Commit {
    pub(super) at: usize,
    ended: usize,
    pub(super) tp: TpId,
    offset: Offset,
    pub(super) generation: i32,
}

impl Commit {
    fn is_before(&self, other: &Commit) -> bool {
        self.tp == other.tp && self.ended < other.at
    }
}

pub(super) fn step_of(event: &Event) -> Option<GroupEvent> {
    match event.kind {
        Kind::Group(step) => Some(step),
        _ => None,
    }
}

pub(super) fn steps(x: &Index<'_>, wanted: impl Fn(GroupEvent) -> bool) -> Vec<usize> {
    x.of_kind(|kind| matches!(kind, Kind::Group(step) if wanted(*step)))
}

/// Look-ups that found something, by their return.
fn look_ups(x: &Index<'_>) -> Vec<(usize, TpId)> {
    let found = x.of_kind(|kind| matches!(kind, Kind::Return { reply: Reply::Offset { offset: 0.. }, .. }));
    found.into_iter().filter_map(|n| Some((n, asked(x.events, n)?.1))).collect()
}

/// The call that the event at `n` returns from, and the partition it is about.
fn asked(events: &[Event], n: usize) -> Option<(usize, TpId)> {
    let Kind::Return { op, .. } = events[n].kind else { return None };
    events.iter().enumerate().find_map(|(at, event)| match event.kind {
        Kind::Call { op: of, call: Call::FetchOffset { tp, .. } | Call::Commit { tp, .. }, .. } if of == op => {
            Some((at, tp))
        }
        _ => None,
    })
}

pub(super) fn accepted(x: &Index<'_>) -> Vec<Commit> {
    let returned = |op: u64| {
        let end = |e: &Event| matches!(e.kind, Kind::Return { op: of, outcome: Outcome::Ok, .. } if of == op);
        x.events.iter().position(end)
    };
    let calls = x.events.iter().enumerate().filter_map(|(at, event)| match event.kind {
        Kind::Call { op, call: Call::Commit { tp, offset, generation, .. }, .. } => {
            returned(op).map(|ended| Commit { at, ended, tp, offset, generation })
        }
        _ => None,
    });
    calls.collect()
}

fn accepted_before(x: &Index<'_>, n: usize, tp: TpId) -> bool {
    let began = asked(x.events, n).map_or(0, |(at, _)| at);
    accepted(x).iter().any(|commit| commit.tp == tp && commit.ended < began)
}

/// Another member that was told in the same generation what to own, and still lives when the event at `n` comes.
fn companion(events: &[Event], n: usize) -> Option<GroupEvent> {
    beside(events, n, |own, step| step.generation == own.generation)
}

/// Who else is to be given what is given at an event: its last step.
pub(super) type Companion = fn(&[Event], usize) -> Option<GroupEvent>;

/// Where something is given to a member that has a companion.
pub(super) fn given_beside(x: &Index<'_>, companion: Companion) -> Vec<usize> {
    let given = steps(x, |step| matches!(step.what, GroupStep::Assigned { .. }));
    given.into_iter().filter(|n| companion(x.events, *n).is_some()).collect()
}

/// Gives what is given at `n` to the companion too.
pub(super) fn give_too(events: &mut Vec<Event>, n: usize, companion: Companion) {
    if let (Some(other), Some(step)) = (companion(events, n), step_of(&events[n])) {
        let kind = Kind::Group(GroupEvent { what: step.what, ..other });
        events.insert(n + 1, Event { at: events[n].at, kind });
    }
}

/// The last step that counts beside the one at `n`, of another member that still lives then.
pub(super) fn beside(
    events: &[Event],
    n: usize,
    counts: impl Fn(&GroupEvent, &GroupEvent) -> bool,
) -> Option<GroupEvent> {
    let own = step_of(&events[n])?;
    let mut other: Option<GroupEvent> = None;
    for event in &events[..n] {
        match event.kind {
            Kind::Group(step) if step.client != own.client && counts(&own, &step) => other = Some(step),
            Kind::Quit { client, .. } => other = other.filter(|it| it.client != client),
            _ => {}
        }
    }
    other
}

/// Whether a member is handed records of what it is given at `n`, before anything else happens to that.
fn is_read(events: &[Event], n: usize) -> bool {
    let Some(GroupEvent { client, what: GroupStep::Assigned { tp, .. }, .. }) = step_of(&events[n]) else {
        return false;
    };
    let next = events[n + 1..].iter().find(|event| match event.kind {
        Kind::Deliver(d) => (d.client, d.tp) == (client, tp),
        Kind::Quit { client: gone, .. } => gone == client,
        Kind::Group(step) => {
            step.client == client
                && matches!(step.what, GroupStep::Revoked { tp: of } | GroupStep::Assigned { tp: of, .. } if of == tp)
        }
        _ => false,
    });
    next.is_some_and(|event| matches!(event.kind, Kind::Deliver(_)))
}

/// Where a member has processed something for the last time before it gave it up; nobody else has processed the last of
/// it, which was acknowledged and committed.
fn unique_ends(x: &Index<'_>) -> Vec<usize> {
    let acked: BTreeSet<(TpId, Offset)> =
        x.sends.values().filter_map(|send| Some((send.tp, x.acked_at(send.tp, send.id)?))).collect();
    let commits = accepted(x);
    let ranges = processed(x.events);
    let is_site = |&(n, tp, _, to, is_last): &(usize, TpId, Offset, Offset, bool)| {
        let others = ranges.iter().filter(|(other, of, ..)| *other != n && *of == tp);
        let alone = !others.clone().any(|(_, _, from, end, _)| (*from..*end).contains(&(to - 1)));
        let committed = commits.iter().any(|commit| commit.tp == tp && commit.offset >= to);
        is_last && alone && committed && acked.contains(&(tp, to - 1))
    };
    ranges.iter().filter(|range| is_site(range)).map(|range| range.0).collect()
}

/// What each step of processing covers: its event, the partition, from where to where, and whether it is the last before
/// the partition is given up.
fn processed(events: &[Event]) -> Vec<(usize, TpId, Offset, Offset, bool)> {
    let mut places = std::collections::BTreeMap::new();
    let mut ranges: Vec<(usize, TpId, Offset, Offset, bool)> = Vec::new();
    let mut last = std::collections::BTreeMap::new();
    for (n, event) in events.iter().enumerate() {
        let Some(step) = step_of(event) else { continue };
        match step.what {
            GroupStep::Assigned { tp, position } => {
                places.insert((step.client, tp), position);
                last.remove(&(step.client, tp));
            }
            GroupStep::Processed { tp, position } => {
                let from = places.insert((step.client, tp), position).unwrap_or(0);
                if let Some(before) = last.insert((step.client, tp), ranges.len()) {
                    ranges[before].4 = false;
                }
                ranges.push((n, tp, from, position, true));
            }
            _ => {}
        }
    }
    ranges
}

fn find(events: &mut [Event], n: usize, found: Offset) {
    if let Kind::Return { reply: Reply::Offset { offset }, .. } = &mut events[n].kind {
        *offset = found;
    }
}

pub(super) fn change(events: &mut [Event], n: usize, how: impl Fn(&mut Offset, &mut i32)) {
    if let Kind::Call { call: Call::Commit { offset, generation, .. }, .. } = &mut events[n].kind {
        how(offset, generation);
    }
}
