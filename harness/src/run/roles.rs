//! Who is what at present, as the nodes themselves state it: what a strike's role is resolved by.

use std::collections::BTreeMap;

use broker::fact::Fact;
use broker::ids::{LeaderEpoch, NodeId, Offset, PartitionEpoch};

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
    /// The newest state that anybody has told of, and how many are in sync by it.
    decided: (PartitionEpoch, usize),
    /// How far each replica is, as it last stated.
    marks: BTreeMap<NodeId, Reach>,
    /// Those of them whose process has ended since they were let in.
    left: Vec<NodeId>,
}

/// How far a replica is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// Its high watermark.
    pub(super) high: Offset,
    /// One past its last offset.
    pub(super) end: Offset,
}

/// What an event amounts to, by what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// An in-sync set lost a member.
    Shrunk,
    /// It has a new member.
    Grown,
    /// A follower answered a consumer with records.
    ServedNear,
    /// A producer has a newer epoch.
    Bumped,
}

/// A fold over a run's facts.
#[derive(Debug, Default)]
pub(super) struct Roles {
    generations: Generations,
    parts: BTreeMap<TpId, Part>,
    controller: Option<(LeaderEpoch, NodeId)>,
    /// The newest epoch of each producer.
    producers: BTreeMap<i64, i16>,
}

impl Roles {
    /// Takes an event in. Says what it amounts to, if there is more in it than it says itself.
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
        if let Fact::Sequenced { producer, epoch, .. } = fact {
            let before = self.producers.insert(*producer, *epoch)?;
            self.producers.insert(*producer, before.max(*epoch));
            return (*epoch > before).then_some(Moved::Bumped);
        }
        let part = self.parts.entry(tp?).or_default();
        match fact {
            Fact::Served { .. } => part.leader.is_some_and(|leader| leader != node).then_some(Moved::ServedNear),
            Fact::Leads { epoch, partition_epoch, in_sync, .. } if *epoch >= part.epoch => {
                part.decides(*partition_epoch, in_sync.len());
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
            Fact::InSync { epoch, partition_epoch, in_sync, .. } if *epoch >= part.epoch => {
                part.decides(*partition_epoch, in_sync.len());
                part.moves(in_sync)
            }
            Fact::Decided { partition_epoch, in_sync, .. } => {
                part.decides(*partition_epoch, in_sync.len());
                None
            }
            Fact::Watermarks { high, end, .. } => {
                part.marks.insert(node, Reach { high: *high, end: *end });
                None
            }
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

    /// The epoch in which a partition is led by somebody who is up.
    pub(super) fn reign(&self, tp: TpId) -> Option<LeaderEpoch> {
        self.parts.get(&tp).filter(|part| part.leader.is_some()).map(|part| part.epoch)
    }

    /// The newest epoch in which each partition was led.
    pub(super) fn epochs(&self) -> BTreeMap<TpId, LeaderEpoch> {
        self.parts.iter().map(|(tp, part)| (*tp, part.epoch)).collect()
    }

    /// How many are in sync by what a partition's leader says, if it is up.
    pub(super) fn in_sync(&self, tp: TpId) -> Option<usize> {
        self.parts.get(&tp).filter(|part| part.leader.is_some()).map(|part| part.in_sync.len())
    }

    /// How far the leader of a partition is, and its followers, if it is up and one of them is.
    pub(super) fn replicas(&self, tp: TpId) -> Option<(Reach, Vec<Reach>)> {
        let part = self.parts.get(&tp)?;
        let reach = |node: &NodeId| part.marks.get(node).copied().unwrap_or_default();
        let followers: Vec<Reach> = part.followers.iter().map(reach).collect();
        (!followers.is_empty()).then_some((reach(&part.leader?), followers))
    }

    /// Whether every partition has a leader, and so many replicas in sync. One that has ended since, of which its leader
    /// need not know yet, does not count before it was let in again; nor does one that the controller has left out since.
    pub(super) fn whole(&self, replicas: usize) -> bool {
        let by_leader = |part: &Part| part.leader.is_some() && part.in_sync.len() >= replicas + part.left.len();
        self.parts.values().all(|part| by_leader(part) && part.decided.1 >= replicas)
    }
}

impl Part {
    fn decides(&mut self, partition_epoch: PartitionEpoch, in_sync: usize) {
        if partition_epoch >= self.decided.0 {
            self.decided = (partition_epoch, in_sync);
        }
    }

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
    fn what_was_decided_without_one_is_not_whole_before_its_leader_knows() {
        let mut roles = Roles::default();
        says(&mut roles, 1, leads(0, &[0, 1, 2]));
        let decided = |partition_epoch, members: &[i32]| Fact::Decided {
            tp: tp(),
            topic: broker::controller::record::TopicId(uuid::Uuid::nil()),
            partition_epoch,
            leader: Some(NodeId(1)),
            leader_epoch: 0,
            in_sync: members.iter().copied().map(NodeId).collect(),
            elr: Vec::new(),
            unclean: false,
        };
        says(&mut roles, 0, decided(1, &[0, 1]));
        assert!(!roles.whole(3));
        says(&mut roles, 0, decided(0, &[0, 1, 2]));
        assert!(!roles.whole(3), "told late");
        says(&mut roles, 0, decided(2, &[0, 1, 2]));
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
