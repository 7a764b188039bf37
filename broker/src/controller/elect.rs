//! Who leads: a member of the in-sync set that may, the first in the order of the replicas (`PartitionChangeBuilder.java`).

use super::Controller;
use super::configs;
use super::image::{PartitionState, Topic};
use super::record::{MetadataRecord, NO_LEADER, TopicId};
use crate::ids::NodeId;

impl Controller {
    /// Takes `node` out of every in-sync set but those it is the last of, and lets others lead what it leads.
    pub(super) fn hand_over(&mut self, node: NodeId, records: &mut Vec<MetadataRecord>) {
        self.each_partition(records, |controller, topic, state| {
            let leads = state.leader == Some(node);
            if !leads && !state.in_sync.contains(&node) {
                return None;
            }
            let others: Vec<NodeId> = state.in_sync.iter().copied().filter(|member| *member != node).collect();
            let in_sync = (!others.is_empty() && others.len() < state.in_sync.len()).then_some(others);
            if !leads {
                return in_sync.map(|in_sync| (None, Some(in_sync)));
            }
            let next = controller.candidate(state, Some(node));
            let (leader, in_sync) = match next {
                Some(next) => (next, in_sync),
                None => match controller.unclean(topic, state, Some(node)) {
                    Some(next) => (next, Some(vec![next])),
                    None => (NO_LEADER, in_sync),
                },
            };
            Some((Some(leader), in_sync))
        });
    }

    /// Finds leaders for partitions that have none.
    pub(super) fn elect_where_none_leads(&mut self, records: &mut Vec<MetadataRecord>) {
        self.each_partition(records, |controller, topic, state| {
            if state.leader.is_some() {
                return None;
            }
            if let Some(next) = controller.candidate(state, None) {
                return Some((Some(next), None));
            }
            controller.unclean(topic, state, None).map(|next| (Some(next), Some(vec![next])))
        });
    }

    /// The first replica that is in sync and may lead.
    fn candidate(&self, state: &PartitionState, but: Option<NodeId>) -> Option<NodeId> {
        let may = |node: &NodeId| state.in_sync.contains(node) && Some(*node) != but && self.is_active(*node);
        state.replicas.iter().copied().find(may)
    }

    /// The first replica that may lead, where the topic's owner prefers loss to waiting
    /// (`unclean.leader.election.enable`).
    fn unclean(&self, topic: &Topic, state: &PartitionState, but: Option<NodeId>) -> Option<NodeId> {
        if !configs::is_set(&topic.configs, "unclean.leader.election.enable") {
            return None;
        }
        state.replicas.iter().copied().find(|node| Some(*node) != but && self.is_active(*node))
    }

    pub(super) fn is_active(&self, node: NodeId) -> bool {
        self.image.broker(node).is_some_and(super::image::Broker::is_active)
    }

    /// Decides on every partition for which `change` gives a leader or an in-sync set.
    fn each_partition(
        &mut self,
        records: &mut Vec<MetadataRecord>,
        change: impl Fn(&Self, &Topic, &PartitionState) -> Option<(Option<NodeId>, Option<Vec<NodeId>>)>,
    ) {
        let mut changes: Vec<(TopicId, i32, Option<NodeId>, Option<Vec<NodeId>>)> = Vec::new();
        for topic in self.image.topics() {
            for (number, state) in (0..).zip(&topic.partitions) {
                if let Some((leader, in_sync)) = change(self, topic, state) {
                    changes.push((topic.id, number, leader, in_sync));
                }
            }
        }
        for (topic, partition, leader, in_sync) in changes {
            self.put(MetadataRecord::PartitionChange { topic, partition, leader, in_sync }, records);
        }
    }
}
