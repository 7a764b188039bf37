//! How far each group has come behind the acknowledged records: the drain ends when none has anything left to process.

use std::collections::BTreeMap;

use broker::ids::Offset;

use crate::history::{Call, Event, GroupStep, Kind, Outcome, Reply, TpId};

/// A fold over acknowledgements and what members of groups process.
#[derive(Default)]
pub(super) struct Backlog {
    groups: u32,
    /// Sends that have not returned, and where to.
    open: BTreeMap<u64, TpId>,
    /// One past the last offset acknowledged.
    ends: BTreeMap<TpId, Offset>,
    /// By group: the next offset to process.
    done: BTreeMap<(u32, TpId), Offset>,
}

impl Backlog {
    /// Of so many groups.
    pub(super) fn new(groups: u32) -> Self {
        Self { groups, ..Self::default() }
    }

    pub(super) fn see(&mut self, event: &Event) {
        if self.groups == 0 {
            return;
        }
        match &event.kind {
            Kind::Call { op, call: Call::Send { tp, .. }, .. } => {
                self.open.insert(*op, *tp);
            }
            Kind::Return { op, outcome, reply, .. } => {
                let sent = self.open.remove(op);
                if let (Some(tp), Outcome::Ok, Reply::Sent { offset }) = (sent, outcome, reply) {
                    let end = self.ends.entry(tp).or_insert(0);
                    *end = (*end).max(offset + 1);
                }
            }
            Kind::Group(member) => {
                if let GroupStep::Processed { tp, position } = member.what {
                    let done = self.done.entry((member.group, tp)).or_insert(0);
                    *done = (*done).max(position);
                }
            }
            _ => {}
        }
    }

    /// Whether every group has processed all that was acknowledged so far.
    pub(super) fn is_empty(&self) -> bool {
        let done = |group, tp: &TpId| self.done.get(&(group, *tp)).copied().unwrap_or(0);
        (0..self.groups).all(|group| self.ends.iter().all(|(tp, end)| done(group, tp) >= *end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{GroupEvent, RecordId};

    #[test]
    fn a_group_that_has_processed_everything_has_no_backlog() {
        let mut backlog = Backlog::new(2);
        let mut see = |kind| {
            backlog.see(&Event { at: 0, kind });
            backlog.is_empty()
        };
        let id = RecordId { producer: 0, incarnation: 0, seq: 0 };
        let call = Call::Send { tp: TpId(0), id, checksum: 0, timestamp: 0, acks: -1 };
        assert!(see(Kind::Call { op: 1, client: 0, incarnation: 0, call }), "not acknowledged yet");
        let acked = Kind::Return { op: 1, outcome: Outcome::Ok, code: 0, reply: Reply::Sent { offset: 7 } };
        assert!(!see(acked));
        let processed = |group, position| {
            let what = GroupStep::Processed { tp: TpId(0), position };
            Kind::Group(GroupEvent { client: 9, incarnation: 0, group, generation: 1, what })
        };
        assert!(!see(processed(0, 8)) && !see(processed(1, 7)), "of the other group one record is left");
        assert!(see(processed(1, 8)));
    }
}
