//! How far each group has come behind the acknowledged records, and whether it is at rest: the drain ends when no group has
//! anything left to process or to share out.

use std::collections::BTreeMap;

use broker::ids::Offset;

use super::acked::Acked;
use crate::contract::Contract;
use crate::history::{Event, GroupStep, Kind, TpId};
use crate::invariant::members::Members;

/// A fold over acknowledgements and what members of groups process.
#[derive(Default)]
pub(super) struct Backlog {
    groups: u32,
    /// Partitions that no group reads.
    unread: Vec<TpId>,
    acked: Acked,
    /// One past the last offset acknowledged.
    ends: BTreeMap<TpId, Offset>,
    /// By group: the next offset to process.
    done: BTreeMap<(u32, TpId), Offset>,
    moves: u64,
    members: Members,
}

impl Backlog {
    /// Of the groups of a run under this contract.
    pub(super) fn new(contract: &Contract) -> Self {
        Self { groups: contract.groups, unread: contract.unread.clone(), ..Self::default() }
    }

    pub(super) fn see(&mut self, event: &Event) {
        if self.groups == 0 {
            return;
        }
        self.members.see(event);
        if let Some((tp, offset)) = self.acked.see(event).filter(|(tp, _)| !self.unread.contains(tp)) {
            let end = self.ends.entry(tp).or_insert(0);
            *end = (*end).max(offset + 1);
        }
        let Kind::Group(member) = &event.kind else { return };
        match member.what {
            // Where it begins is where the group left off.
            GroupStep::Processed { tp, position } | GroupStep::Assigned { tp, position } => {
                let done = self.done.entry((member.group, tp)).or_insert(0);
                self.moves += u64::from(position > *done);
                *done = (*done).max(position);
            }
            GroupStep::Rewound { tp, position } => drop(self.done.insert((member.group, tp), position)),
            _ => {}
        }
    }

    /// How often a group has come further than ever before, or than where it was set back to.
    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// Whether every group has processed all that was acknowledged so far, and is at rest.
    pub(super) fn is_empty(&self) -> bool {
        let done = |group, tp: &TpId| self.done.get(&(group, *tp)).copied().unwrap_or(0);
        let processed = |group| self.ends.iter().all(|(tp, end)| done(group, tp) >= *end);
        (0..self.groups).all(|group| processed(group) && self.members.is_settled(group, self.ends.keys().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Call, GroupEvent, Outcome, RecordId, Reply};

    #[test]
    fn a_group_that_has_processed_everything_and_is_at_rest_has_no_backlog() {
        let mut backlog = Backlog::new(&Contract { groups: 2, unread: vec![TpId(5)], ..Contract::default() });
        let mut see = |kind| {
            backlog.see(&Event { at: 0, kind });
            backlog.is_empty()
        };
        let (tp, id) = (TpId(0), RecordId { producer: 0, incarnation: 0, seq: 0 });
        let call = Call::Send { tp, id, checksum: 0, timestamp: 0, acks: -1 };
        assert!(see(Kind::Call { op: 1, client: 0, incarnation: 0, call }), "not acknowledged yet");
        let acked = Kind::Return { op: 1, outcome: Outcome::Ok, code: 0, reply: Reply::Sent { offset: 7 } };
        assert!(!see(acked));
        let unread = Call::Send { tp: TpId(5), id, checksum: 0, timestamp: 0, acks: -1 };
        see(Kind::Call { op: 2, client: 0, incarnation: 0, call: unread });
        see(Kind::Return { op: 2, outcome: Outcome::Ok, code: 0, reply: Reply::Sent { offset: 7 } });
        let step = |group, generation, what| {
            Kind::Group(GroupEvent { client: 9 + group, incarnation: 0, group, generation, what })
        };
        for group in [0, 1] {
            assert!(!see(step(group, 1, GroupStep::Entered { leads: true, instance: None })));
            assert!(!see(step(group, 1, GroupStep::Synced)));
            assert!(!see(step(group, 1, GroupStep::Assigned { tp, position: 0 })));
        }
        assert!(!see(step(0, 1, GroupStep::Processed { tp, position: 8 })));
        assert!(!see(step(1, 1, GroupStep::Processed { tp, position: 7 })), "of the other group one record is left");
        assert!(see(step(1, 1, GroupStep::Processed { tp, position: 8 })));
        assert!(!see(step(1, 2, GroupStep::Entered { leads: true, instance: None })), "a round has begun");
        assert!(see(step(1, 2, GroupStep::Synced)));
        assert!(!see(step(1, -1, GroupStep::Rewound { tp, position: 5 })));
        assert!(see(step(1, 2, GroupStep::Processed { tp, position: 8 })));
        assert!(!see(step(1, 2, GroupStep::Revoked { tp })), "it is nobody's");
        assert_eq!(backlog.moves(), 4, "8 of the one, 7 and 8 of the other, and 8 again");
    }
}
