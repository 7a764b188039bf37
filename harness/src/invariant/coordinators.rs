//! Who coordinates groups, by the nodes' own account: while two take themselves for the coordinator of a group, one of them is
//! deposed and cannot know it. What it answers from memory, heartbeats and look-ups, says nothing, in Kafka as well.

use std::collections::{BTreeMap, BTreeSet};

use broker::fact::Fact;
use broker::group::OFFSETS_TOPIC;
use broker::ids::NodeId;

use super::Kinds;
use crate::history::{Event, Kind};

/// Who leads the groups' partitions, by each node's own account.
#[derive(Debug, Default)]
pub(super) struct Coordinators(BTreeMap<i32, BTreeSet<NodeId>>);

impl Coordinators {
    /// What it must be shown.
    pub const KINDS: Kinds = Kinds::LEADS.and(Kinds::FOLLOWS).and(Kinds::DROPPED).and(Kinds::DOWN);

    /// Takes an event in.
    pub fn see(&mut self, event: &Event) {
        match &event.kind {
            Kind::Down { node: Some(node), .. } => self.0.values_mut().for_each(|all| all.retain(|led| led != node)),
            Kind::Fact { node, fact: Fact::Leads { tp, .. }, .. } if *tp.topic == *OFFSETS_TOPIC => {
                self.0.entry(tp.partition).or_default().insert(*node);
            }
            Kind::Fact { node, fact: Fact::Follows { tp, .. } | Fact::Dropped { tp, .. }, .. } => {
                let own = self.0.get_mut(&tp.partition).filter(|_| *tp.topic == *OFFSETS_TOPIC);
                own.into_iter().for_each(|all| all.retain(|led| led != node));
            }
            _ => {}
        }
    }

    /// Whether two take themselves for the leader of one of them.
    pub fn are_two(&self) -> bool {
        self.0.values().any(|all| all.len() > 1)
    }
}
