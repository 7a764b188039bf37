//! How far groups were behind: what was acknowledged and not committed yet, looked at every so often on the world's clock, as
//! a monitor would.

use std::collections::BTreeMap;

use broker::ids::Offset;

use super::acked::Acked;
use super::outage::percentile;
use crate::history::{Call, Event, Kind, Outcome, TpId};

/// From one look to the next, in nanoseconds.
const EVERY: u64 = 100_000_000;

/// What a monitor would have shown of one group, in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lag {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The most.
    pub max: u64,
}

/// A fold over acknowledgements and commits.
#[derive(Default)]
pub(super) struct Lags {
    acked: Acked,
    /// One past the last offset acknowledged.
    ends: BTreeMap<TpId, Offset>,
    /// Commits that have not returned: whose, of what, up to where.
    open: BTreeMap<u64, (u32, TpId, Offset)>,
    committed: BTreeMap<u32, BTreeMap<TpId, Offset>>,
    next: u64,
    samples: BTreeMap<u32, Vec<u64>>,
}

impl Lags {
    pub fn see(&mut self, event: &Event) {
        while event.at >= self.next {
            self.next += EVERY;
            self.look();
        }
        if let Some((tp, offset)) = self.acked.see(event) {
            let end = self.ends.entry(tp).or_insert(0);
            *end = (*end).max(offset + 1);
        }
        match &event.kind {
            Kind::Call { op, call: Call::Commit { group, tp, offset, .. }, .. } => {
                self.open.insert(*op, (*group, *tp, *offset));
            }
            Kind::Return { op, outcome: Outcome::Ok, .. } => {
                let done = self.open.remove(op);
                done.map(|(group, tp, offset)| self.committed.entry(group).or_default().insert(tp, offset));
            }
            _ => {}
        }
    }

    /// A partition counts from a group's first commit on: of what it has committed nothing of, or does not read, no monitor
    /// knows.
    fn look(&mut self) {
        for (group, committed) in &self.committed {
            let behind = |(tp, at): (&TpId, &Offset)| self.ends.get(tp).map_or(0, |end| (end - at).max(0));
            let lag: Offset = committed.iter().map(behind).sum();
            self.samples.entry(*group).or_default().push(u64::try_from(lag).unwrap_or(0));
        }
    }

    /// Of one group.
    pub fn of(&mut self, group: u32) -> Lag {
        let mut samples = self.samples.remove(&group).unwrap_or_default();
        samples.sort_unstable();
        let at = |per_cent| percentile(&samples, per_cent);
        Lag { p50: at(50), p99: at(99), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{RecordId, Reply};

    #[test]
    fn a_group_is_behind_by_what_is_acknowledged_and_not_committed() {
        let mut lags = Lags::default();
        let (tp, id) = (TpId(0), RecordId { producer: 0, incarnation: 0, seq: 0 });
        let mut op = 0;
        let mut does = |ms: u64, call: Call, outcome, reply| {
            op += 1;
            lags.see(&Event { at: ms * 1_000_000, kind: Kind::Call { op, client: 0, incarnation: 0, call } });
            lags.see(&Event { at: ms * 1_000_000, kind: Kind::Return { op, outcome, code: 0, reply } });
        };
        let send = || Call::Send { tp, id, checksum: 0, timestamp: 0, acks: -1 };
        let commit = |offset| Call::Commit { group: 5, tp, offset, generation: 1 };
        does(1, send(), Outcome::Ok, Reply::Sent { offset: 9 });
        let unread = Call::Send { tp: TpId(1), id, checksum: 0, timestamp: 0, acks: -1 };
        does(2, unread, Outcome::Ok, Reply::Sent { offset: 500 });
        does(10, commit(0), Outcome::Ok, Reply::None);
        // Looked at after 100 ms: 10 behind; after 200: 2, since what fails is not committed; after 300 to 900: 1.
        does(150, commit(8), Outcome::Ok, Reply::None);
        does(160, commit(10), Outcome::Fail, Reply::None);
        does(250, commit(9), Outcome::Ok, Reply::None);
        does(950, send(), Outcome::Fail, Reply::None);
        assert_eq!(lags.of(5), Lag { p50: 1, p99: 10, max: 10 });
        assert_eq!(lags.of(6), Lag::default());
    }
}
