//! Mutations of what the nodes of a cluster state: of histories of three brokers only.

use broker::fact::Fact;
use broker::ids::NodeId;

use super::{Index, Mutation};
use crate::history::{Event, Kind, Phase, TpId};

/// The broker that leads while it is up.
const FIRST: NodeId = NodeId(0);

pub(super) const ALL: &[Mutation] = &[
    Mutation {
        name: "corrupt: a follower stores another batch than its leader",
        finds: &["W1"],
        black_box: false,
        sites: |x| of(x, |_, fact| matches!(fact, Fact::Replicated { .. })),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Replicated { batch, .. } = fact {
                    batch.crc ^= 1
                }
            });
        },
    },
    Mutation {
        name: "drop: the high watermark does not wait for a follower",
        finds: &["W6"],
        black_box: false,
        sites: |x| of(x, |_, fact| matches!(fact, Fact::Replicated { .. })),
        make: |events, n| drop(events.remove(n)),
    },
    Mutation {
        name: "drop: an acknowledgement waits for no follower",
        finds: &["W3"],
        black_box: false,
        sites: |x| of(x, |_, fact| matches!(fact, Fact::Acked { .. })),
        make: |events, n| {
            let tp = tp_of(&events[n]);
            let append = |e: &Event| tp_of(e) == tp && matches!(fact_of(e), Some((_, Fact::Appended { .. })));
            let from = events[..n].iter().rposition(append).unwrap_or(n);
            let theirs = |e: &Event| tp_of(e) == tp && node_of(e).is_some_and(|node| node != FIRST);
            let kept: Vec<Event> = events.drain(from..n).filter(|e| !theirs(e)).collect();
            events.splice(from..from, kept);
        },
    },
    Mutation {
        name: "invent: two nodes lead one epoch",
        finds: &["W9"],
        black_box: false,
        sites: |x| of(x, |_, fact| matches!(fact, Fact::Leads { .. })),
        make: |events, n| {
            let mut second = events[n].clone();
            if let Kind::Fact { node, .. } = &mut second.kind {
                node.0 = 2;
            }
            events.insert(n + 1, second);
        },
    },
    Mutation {
        name: "shift: a node leads an epoch that was over",
        finds: &["W9"],
        black_box: false,
        sites: |x| of(x, |_, fact| matches!(fact, Fact::Leads { epoch, .. } if *epoch > 1)),
        make: |events, n| {
            change(events, n, |fact| {
                if let Fact::Leads { epoch, .. } = fact {
                    *epoch -= 1
                }
            });
        },
    },
    Mutation {
        name: "relabel: the next leader was not in sync",
        finds: &["W8"],
        black_box: false,
        sites: |x| of(x, |n, fact| matches!(fact, Fact::Decided { .. }) && next_leader(x.events, n).is_some()),
        make: |events, n| {
            let next = next_leader(events, n);
            change(events, n, |fact| {
                if let Fact::Decided { in_sync, .. } = fact {
                    in_sync.retain(|node| Some(*node) != next)
                }
            });
        },
    },
    Mutation {
        name: "invent: one number stands for two decisions",
        finds: &["W8"],
        black_box: false,
        sites: |x| of(x, |_, fact| matches!(fact, Fact::Decided { .. })),
        make: |events, n| {
            events.insert(n + 1, events[n].clone());
            change(events, n + 1, |fact| {
                if let Fact::Decided { elr, .. } = fact {
                    elr.push(NodeId(2))
                }
            });
        },
    },
    Mutation {
        name: "drop: the new leader lacks the last committed batch",
        finds: &["W4"],
        black_box: false,
        sites: |x| {
            let led =
                |n: usize, fact: &Fact| matches!(fact, Fact::Leads { .. }) && replicated_before(x.events, n).is_some();
            of(x, led)
        },
        make: |events, n| {
            if let Some(at) = replicated_before(events, n) {
                events.remove(at);
            }
        },
    },
    Mutation {
        name: "invent: a deposed leader commits on",
        finds: &["W1"],
        black_box: false,
        sites: |x| of(x, |n, fact| matches!(fact, Fact::Leads { .. }) && node_of(&x.events[n]) != Some(FIRST)),
        make: |events, n| {
            let Some((_, Fact::Leads { tp, epoch, end, .. })) = fact_of(&events[n]) else { return };
            let (high, old) = (end + 1, epoch - 1);
            let fact = Fact::Watermarks { tp: tp.clone(), log_start: 0, stable: high, high, end: high, epoch: old };
            let kind = Kind::Fact { node: FIRST, incarnation: 0, tp: tp_of(&events[n]), fact };
            events.insert(n + 1, Event { at: events[n].at, kind });
        },
    },
    Mutation {
        name: "invent: a replica is out of sync from the healing on",
        finds: &["L1"],
        black_box: false,
        sites: |x| x.of_kind(|kind| matches!(kind, Kind::Phase { phase: Phase::Heal })),
        make: |events, n| {
            let last = last_decided(events, n);
            insert_decided(events, n, last, |fact| {
                if let Fact::Decided { in_sync, .. } = fact {
                    in_sync.pop();
                }
            });
        },
    },
    Mutation {
        name: "invent: nobody leads from the healing on",
        finds: &["L2"],
        black_box: false,
        sites: |x| x.of_kind(|kind| matches!(kind, Kind::Phase { phase: Phase::Heal })),
        make: |events, n| {
            let last = last_decided(events, n);
            insert_decided(events, n, last, |fact| {
                if let Fact::Decided { leader, leader_epoch, .. } = fact {
                    (*leader, *leader_epoch) = (None, *leader_epoch + 1);
                }
            });
        },
    },
];

fn fact_of(event: &Event) -> Option<(NodeId, &Fact)> {
    if let Kind::Fact { node, fact, .. } = &event.kind { Some((*node, fact)) } else { None }
}

fn node_of(event: &Event) -> Option<NodeId> {
    fact_of(event).map(|(node, _)| node)
}

fn tp_of(event: &Event) -> Option<TpId> {
    if let Kind::Fact { tp, .. } = event.kind { tp } else { None }
}

fn of(x: &Index<'_>, wanted: impl Fn(usize, &Fact) -> bool) -> Vec<usize> {
    let fits = |n: &usize| fact_of(&x.events[*n]).is_some_and(|(_, fact)| wanted(*n, fact));
    (0..x.events.len()).filter(fits).collect()
}

fn change(events: &mut [Event], n: usize, how: impl Fn(&mut Fact)) {
    if let Kind::Fact { fact, .. } = &mut events[n].kind {
        how(fact);
    }
}

/// The leader that the decision after the one at `n` names, if it is another.
fn next_leader(events: &[Event], n: usize) -> Option<NodeId> {
    let leader = |e: &Event| match fact_of(e) {
        Some((_, Fact::Decided { leader, .. })) => *leader,
        _ => None,
    };
    let same = |e: &&Event| tp_of(e) == tp_of(&events[n]) && matches!(fact_of(e), Some((_, Fact::Decided { .. })));
    let next = events[n + 1..].iter().find(same).and_then(leader)?;
    (Some(next) != leader(&events[n])).then_some(next)
}

/// The last batch that whoever comes to lead at `n` replicated before.
fn replicated_before(events: &[Event], n: usize) -> Option<usize> {
    let (tp, node) = (tp_of(&events[n]), node_of(&events[n]));
    let theirs = |e: &Event| tp_of(e) == tp && node_of(e) == node;
    events[..n].iter().rposition(|e| theirs(e) && matches!(fact_of(e), Some((_, Fact::Replicated { .. }))))
}

fn last_decided(events: &[Event], n: usize) -> Option<usize> {
    events[..n].iter().rposition(|e| matches!(fact_of(e), Some((_, Fact::Decided { .. }))))
}

/// One more decision before event `n`, made from the one at `last`.
fn insert_decided(events: &mut Vec<Event>, n: usize, last: Option<usize>, how: impl Fn(&mut Fact)) {
    let Some(mut one) = last.map(|last| events[last].clone()) else { return };
    one.at = events[n].at;
    if let Kind::Fact { fact, .. } = &mut one.kind {
        if let Fact::Decided { partition_epoch, .. } = fact {
            *partition_epoch += 1;
        }
        how(fact);
    }
    events.insert(n, one);
}
