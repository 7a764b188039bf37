//! Which records are acknowledged, and when: for folds that need no more of sends than that.

use std::collections::BTreeMap;

use broker::ids::Offset;

use crate::history::{Call, Event, Kind, Outcome, Reply, TpId};

/// Sends that have not returned, and where to.
#[derive(Default)]
pub(super) struct Acked(BTreeMap<u64, TpId>);

impl Acked {
    /// Where the record went that this event acknowledges; the offset is -1 if the broker was not asked for it.
    pub fn see(&mut self, event: &Event) -> Option<(TpId, Offset)> {
        match &event.kind {
            Kind::Call { op, call: Call::Send { tp, .. }, .. } => {
                self.0.insert(*op, *tp);
                None
            }
            Kind::Return { op, outcome, reply, .. } => match (self.0.remove(op)?, outcome, reply) {
                (tp, Outcome::Ok, Reply::Sent { offset }) => Some((tp, *offset)),
                _ => None,
            },
            _ => None,
        }
    }
}
