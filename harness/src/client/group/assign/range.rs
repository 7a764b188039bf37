//! The range assignor: of each topic, each member that wants it gets one contiguous range; the first ones get one more.
//! Members stand in one order for all topics, so that the same partitions of topics alike go to the same member.

use broker::ids::TopicPartition;

use super::{Member, Partitions, Plan, empty, in_order};

/// Shares out topic by topic.
pub(super) fn assign(members: &[Member], partitions: &Partitions) -> Plan {
    let mut plan = empty(members);
    for (topic, count) in partitions {
        let takers: Vec<_> = in_order(members).into_iter().filter(|member| member.topics.contains(topic)).collect();
        let Ok(among) = i32::try_from(takers.len()) else { continue };
        if among == 0 {
            continue;
        }
        let (each, more) = (count / among, count % among);
        for (member, at) in takers.into_iter().zip(0..) {
            let start = each * at + at.min(more);
            let length = each + i32::from(at < more);
            let share = (start..start + length).map(|number| TopicPartition::new(topic.clone(), number));
            plan.entry(member.id.clone()).or_default().extend(share);
        }
    }
    plan
}
