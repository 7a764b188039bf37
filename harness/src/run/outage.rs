//! How long partitions could not be written to around each strike: the longest silence between two acknowledgements that
//! touches it.

use std::collections::BTreeMap;

use super::acked::Acked;
use crate::history::{Event, Kind, TpId};
use crate::report::Outage;

/// A strike whose silence is being measured.
struct Open {
    fault: String,
    healed: bool,
    /// By partition: the longest silence so far, and whether it has spoken since the cure.
    silences: BTreeMap<TpId, (u64, bool)>,
}

/// A fold over a run's acknowledgements and strikes.
#[derive(Default)]
pub(crate) struct Outages {
    acks: Acked,
    last: BTreeMap<TpId, u64>,
    strikes: BTreeMap<u32, Open>,
    /// By fault: every silence measured, in nanoseconds.
    measured: BTreeMap<String, Vec<u64>>,
}

impl Outages {
    pub(crate) fn see(&mut self, event: &Event) {
        if let Some((tp, 0..)) = self.acks.see(event) {
            self.acked(event.at, tp);
        }
        match &event.kind {
            Kind::Strike { strike, fault, .. } => {
                let open = Open { fault: fault.clone(), healed: false, silences: BTreeMap::new() };
                self.strikes.insert(*strike, open);
            }
            Kind::Heal { strike } => {
                self.strikes.get_mut(strike).into_iter().for_each(|open| open.healed = true);
            }
            _ => {}
        }
    }

    fn acked(&mut self, at: u64, tp: TpId) {
        let silence = self.last.insert(tp, at).map(|before| at - before);
        for open in self.strikes.values_mut() {
            let (longest, over) = open.silences.entry(tp).or_default();
            if !*over {
                *longest = (*longest).max(silence.unwrap_or(0));
                *over = open.healed;
            }
        }
        let known = self.last.len();
        let closed = |open: &Open| open.healed && open.silences.len() == known && open.silences.values().all(|s| s.1);
        let done: Vec<u32> = self.strikes.iter().filter(|(_, open)| closed(open)).map(|(id, _)| *id).collect();
        for id in done {
            self.strikes.remove(&id).into_iter().for_each(|open| self.close(open));
        }
    }

    fn close(&mut self, open: Open) {
        let all = self.measured.entry(open.fault).or_default();
        all.extend(open.silences.into_values().map(|(silence, _)| silence));
    }

    /// The table, by fault.
    pub(crate) fn into_table(mut self) -> Vec<Outage> {
        for open in std::mem::take(&mut self.strikes).into_values() {
            self.close(open);
        }
        let row = |(fault, mut silences): (String, Vec<u64>)| {
            silences.sort_unstable();
            let ms = |per_cent| percentile(&silences, per_cent) / 1_000_000;
            let count = silences.len() as u64;
            Outage { fault, count, p50_ms: ms(50), p99_ms: ms(99), max_ms: ms(100) }
        };
        self.measured.into_iter().map(row).collect()
    }
}

/// The nearest-rank percentile of what is sorted; 0 of none.
pub(super) fn percentile(sorted: &[u64], per_cent: usize) -> u64 {
    let rank = (sorted.len() * per_cent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Call, Outcome, RecordId, Reply};

    #[test]
    fn the_longest_silence_that_touches_a_strike() {
        let mut outages = Outages::default();
        let mut see = |ms: u64, kind| outages.see(&Event { at: ms * 1_000_000, kind });
        let id = RecordId { producer: 0, incarnation: 0, seq: 0 };
        for (op, ms) in (0..).zip([10, 20, 700, 710, 990]) {
            if op == 2 {
                let (fault, on) = ("cut".into(), "b0".into());
                see(30, Kind::Strike { strike: 0, fault, on, minority: true });
            }
            if op == 4 {
                see(720, Kind::Heal { strike: 0 });
            }
            let call = Call::Send { tp: TpId(0), id, checksum: 0, timestamp: 0, acks: -1 };
            see(ms - 1, Kind::Call { op, client: 0, incarnation: 0, call });
            see(ms, Kind::Return { op, outcome: Outcome::Ok, code: 0, reply: Reply::Sent { offset: 1 } });
        }
        let table = outages.into_table();
        assert_eq!(table, [Outage { fault: "cut".into(), count: 1, p50_ms: 680, p99_ms: 680, max_ms: 680 }]);
    }
}
