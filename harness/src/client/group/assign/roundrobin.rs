//! The round-robin assignor: all partitions of all topics, in order, go to the members in turn; whoever does not want
//! the topic is passed over.

use super::{Member, Partitions, Plan, empty, in_order, wanted};

/// Shares out in turn.
pub(super) fn assign(members: &[Member], partitions: &Partitions) -> Plan {
    let mut plan = empty(members);
    let sorted = in_order(members);
    let mut turn = 0;
    for tp in wanted(members, partitions) {
        // Someone wants it, so that the search ends within one round.
        while !sorted[turn % sorted.len()].topics.contains(&tp.topic) {
            turn += 1;
        }
        plan.entry(sorted[turn % sorted.len()].id.clone()).or_default().insert(tp);
        turn += 1;
    }
    plan
}
