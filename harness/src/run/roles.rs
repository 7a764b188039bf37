//! Who is what at present, as the nodes themselves state it: what a strike's role is resolved by.

use std::collections::BTreeMap;

use broker::fact::Fact;
use broker::ids::{LeaderEpoch, NodeId};

use crate::history::{Event, Kind, TpId};
use crate::invariant::{Generations, Seen};

/// Who leads and who follows one partition.
#[derive(Debug, Default)]
struct Part {
    leader: Option<NodeId>,
    epoch: LeaderEpoch,
    followers: Vec<NodeId>,
    /// As the leader last stated it.
    in_sync: Vec<NodeId>,
    /// Those of them whose process has ended since they were let in.
    left: Vec<NodeId>,
}

/// How an in-sync set changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It lost a member.
    Shrunk,
    /// It has a new member.
    Grown,
}

/// A fold over a run's facts.
#[derive(Debug, Default)]
pub(super) struct Roles {
    generations: Generations,
    parts: BTreeMap<TpId, Part>,
    controller: Option<(LeaderEpoch, NodeId)>,
}

impl Roles {
    /// Takes an event in. Says how it changed an in-sync set, if it did.
    pub(super) fn see(&mut self, event: &Event) -> Option<Moved> {
        match self.generations.see(event) {
            Seen::Present => {}
            Seen::Past | Seen::Outlived(_) => return None,
            Seen::Renewed(tp) => {
                self.parts.insert(tp, Part::default());
            }
        }
        match &event.kind {
            Kind::Fact { node, tp, fact, .. } => self.fact(*node, *tp, fact),
            Kind::Down { node: Some(node), .. } => {
                for part in self.parts.values_mut() {
                    part.leader = part.leader.filter(|leader| leader != node);
                    part.followers.retain(|follower| follower != node);
                    if part.in_sync.contains(node) && !part.left.contains(node) {
                        part.left.push(*node);
                    }
                }
                self.controller = self.controller.filter(|(_, leader)| leader != node);
                None
            }
            _ => None,
        }
    }

    fn fact(&mut self, node: NodeId, tp: Option<TpId>, fact: &Fact) -> Option<Moved> {
        if let Fact::QuorumLeads { epoch, .. } = fact {
            if self.controller.is_none_or(|(before, _)| *epoch >= before) {
                self.controller = Some((*epoch, node));
            }
            return None;
        }
        let part = self.parts.entry(tp?).or_default();
        match fact {
            Fact::Leads { epoch, in_sync, .. } if *epoch >= part.epoch => {
                (part.leader, part.epoch) = (Some(node), *epoch);
                part.followers.retain(|follower| *follower != node);
                part.left.retain(|left| *left != node);
                part.moves(in_sync)
            }
            Fact::Follows { epoch, .. } => {
                part.leader = part.leader.filter(|leader| *leader != node || *epoch < part.epoch);
                if !part.followers.contains(&node) {
                    part.followers.push(node);
                    part.followers.sort_unstable();
                }
                None
            }
            Fact::InSync { epoch, in_sync, .. } if *epoch >= part.epoch => part.moves(in_sync),
            _ => None,
        }
    }

    /// The leader of a partition, if it is known and up.
    pub(super) fn leader(&self, tp: TpId) -> Option<NodeId> {
        self.parts.get(&tp)?.leader
    }

    /// The followers of a partition that are up, by id.
    pub(super) fn followers(&self, tp: TpId) -> &[NodeId] {
        self.parts.get(&tp).map_or(&[], |part| &part.followers)
    }

    /// The leader of the metadata quorum, if it is known and up.
    pub(super) fn controller(&self) -> Option<NodeId> {
        self.controller.map(|(_, node)| node)
    }

    /// Whether every partition has a leader, and so many replicas in sync. One that has ended since, of which its leader
    /// need not know yet, does not count before it was let in again.
    pub(super) fn whole(&self, replicas: usize) -> bool {
        self.parts.values().all(|part| part.leader.is_some() && part.in_sync.len() >= replicas + part.left.len())
    }
}

impl Part {
    fn moves(&mut self, in_sync: &[NodeId]) -> Option<Moved> {
        let before = std::mem::replace(&mut self.in_sync, in_sync.to_vec());
        self.left.retain(|left| in_sync.contains(left));
        if in_sync.iter().any(|node| !before.contains(node)) && !before.is_empty() {
            return Some(Moved::Grown);
        }
        before.iter().any(|node| !in_sync.contains(node)).then_some(Moved::Shrunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker::ids::TopicPartition;

    fn tp() -> TopicPartition {
        TopicPartition::new("p", 0)
    }

    fn says(roles: &mut Roles, node: i32, fact: Fact) -> Option<Moved> {
        let tp = fact.tp().map(|_| TpId(0));
        roles.see(&Event { at: 0, kind: Kind::Fact { node: NodeId(node), incarnation: 0, tp, fact } })
    }

    fn leads(epoch: i32, in_sync: &[i32]) -> Fact {
        let in_sync = in_sync.iter().copied().map(NodeId).collect();
        Fact::Leads { tp: tp(), epoch, partition_epoch: epoch, end: 0, in_sync }
    }

    fn in_sync(epoch: i32, members: &[i32]) -> Fact {
        let in_sync: Vec<_> = members.iter().copied().map(NodeId).collect();
        Fact::InSync { tp: tp(), epoch, partition_epoch: epoch, maximal: in_sync.clone(), in_sync }
    }

    #[test]
    fn roles_follow_the_newest_epoch_and_end_with_the_process() {
        let mut roles = Roles::default();
        says(&mut roles, 1, leads(3, &[0, 1, 2]));
        says(&mut roles, 0, leads(2, &[0, 1, 2]));
        says(&mut roles, 2, Fact::Follows { tp: tp(), epoch: 3, leader: Some(NodeId(1)) });
        says(&mut roles, 2, Fact::QuorumLeads { epoch: 1, end: 0 });
        assert_eq!((roles.leader(TpId(0)), roles.controller()), (Some(NodeId(1)), Some(NodeId(2))));
        assert_eq!(roles.followers(TpId(0)), [NodeId(2)]);
        assert!(roles.whole(3) && !roles.whole(4));
        let down = Kind::Down { host: "b".into(), node: Some(NodeId(1)), power: false, why: String::new() };
        roles.see(&Event { at: 0, kind: down });
        assert_eq!(roles.leader(TpId(0)), None);
        assert!(!roles.whole(3));
    }

    #[test]
    fn whoever_has_ended_is_not_in_sync_before_it_was_let_in_again() {
        let mut roles = Roles::default();
        says(&mut roles, 1, leads(0, &[0, 1, 2]));
        let down = Kind::Down { host: "b".into(), node: Some(NodeId(2)), power: true, why: String::new() };
        roles.see(&Event { at: 0, kind: down });
        says(&mut roles, 1, in_sync(0, &[0, 1, 2]));
        assert!(!roles.whole(3), "its leader does not know yet");
        says(&mut roles, 1, in_sync(0, &[0, 1]));
        assert!(!roles.whole(3));
        says(&mut roles, 1, in_sync(0, &[0, 1, 2]));
        assert!(roles.whole(3));
    }

    #[test]
    fn an_in_sync_set_shrinks_and_grows() {
        let mut roles = Roles::default();
        assert_eq!(says(&mut roles, 1, leads(0, &[0, 1, 2])), None);
        assert_eq!(says(&mut roles, 1, in_sync(0, &[1, 2])), Some(Moved::Shrunk));
        assert_eq!(says(&mut roles, 1, in_sync(0, &[1, 2])), None);
        assert_eq!(says(&mut roles, 1, in_sync(0, &[0, 1, 2])), Some(Moved::Grown));
    }
}
