//! The sticky assignor (KIP-54): as balanced as the subscriptions allow, and within that everyone keeps what it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::ids::TopicPartition;

use super::{Member, Partitions, Plan, claims, empty, in_order, wanted};

/// Gives everyone what it owns, then what is free to those who have least, then moves from those who have more than
/// one above another that would take it. Each move makes the spread smaller, so that they come to an end.
pub(super) fn assign(members: &[Member], partitions: &Partitions) -> Plan {
    let owners = claims::valid(members, partitions);
    let sorted = in_order(members);
    let mut plan = empty(members);
    let mut free = Vec::new();
    for tp in wanted(members, partitions) {
        match owners.get(&tp).and_then(|owner| plan.get_mut(owner)) {
            Some(share) => drop(share.insert(tp)),
            None => free.push(tp),
        }
    }
    // What few can take first, so that the others have not filled up those few.
    free.sort_by_cached_key(|tp| sorted.iter().filter(|member| member.topics.contains(&tp.topic)).count());
    for tp in free {
        let takers = sorted.iter().filter(|member| member.topics.contains(&tp.topic));
        if let Some(least) = takers.min_by_key(|member| plan[&member.id].len()) {
            plan.entry(least.id.clone()).or_default().insert(tp);
        }
    }
    while let Some((tp, from, to)) = next_move(&sorted, &plan, &owners) {
        plan.entry(from).or_default().remove(&tp);
        plan.entry(to).or_default().insert(tp);
    }
    plan
}

/// A partition to move, from whom and to whom; from the one that has most to the one that has least, where possible.
fn next_move(
    sorted: &[&Member],
    plan: &Plan,
    owners: &BTreeMap<TopicPartition, Arc<str>>,
) -> Option<(TopicPartition, Arc<str>, Arc<str>)> {
    let mut by_load = sorted.to_vec();
    by_load.sort_by_key(|member| plan[&member.id].len());
    for from in by_load.iter().rev() {
        let share = &plan[&from.id];
        for to in by_load.iter().take_while(|to| plan[&to.id].len() + 1 < share.len()) {
            let takes = share.iter().filter(|tp| to.topics.contains(&tp.topic));
            // What comes home goes before what was not here yet, and that before what would leave its home. Of those the
            // last: the first ones stay where they are, as long as there are enough.
            let best = takes.rev().min_by_key(|tp| match owners.get(*tp) {
                Some(owner) if *owner == to.id => 0,
                Some(owner) if *owner == from.id => 2,
                _ => 1,
            });
            if let Some(tp) = best {
                return Some((tp.clone(), from.id.clone(), to.id.clone()));
            }
        }
    }
    None
}
