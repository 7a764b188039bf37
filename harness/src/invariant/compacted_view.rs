//! B21: who reads a compacted partition from its start finds, of every key, the last record written or a later one: the
//! view that it gives is that of all the records together.

use std::collections::BTreeMap;

use broker::ids::Offset;

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::contract::Contract;
use crate::history::value::key_of;
use crate::history::{Event, Phase};
use crate::invariant::ledger::Part;

pub(super) const ROW: Row = Row {
    id: "B21",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "of every key the last record written is in the final read of a compacted topic",
    white_box: false,
    wants: Kinds::NONE,
    applies,
    must: |contract| contract.compaction && contract.acks != 0,
    make: || Box::new(CompactedView::default()),
};

fn applies(contract: &Contract) -> Applies {
    if contract.compaction { super::one_value::loss(contract) } else { Applies::No }
}

#[derive(Default)]
struct CompactedView {
    judged: u64,
}

/// The last record of a key: where, and which.
type Last = (Offset, (u32, u32));

/// The last record of each key that was acknowledged or read, below where the final read came to.
fn written(view: &View<'_>, part: &Part, streams: &[(u32, u32)]) -> BTreeMap<u64, Last> {
    let mut last: BTreeMap<u64, Last> = BTreeMap::new();
    let mut note = |record: (u32, u32), offset: Offset| {
        let of_key = last.entry(key_of(record.1.into())).or_insert((offset, record));
        *of_key = (*of_key).max((offset, record));
    };
    for &record in streams {
        let acked = view.ledger.record(record).filter(|send| send.acked());
        acked.into_iter().for_each(|send| note(record, send.offset));
    }
    for (offset, slot) in part.table.iter() {
        slot.record().into_iter().for_each(|record| note(record, offset));
    }
    last.retain(|_, (offset, _)| *offset < part.last.next);
    last
}

impl Invariant for CompactedView {
    fn see(&mut self, _event: &Event, _view: &View<'_>, _out: &mut Findings) {}

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        let ledger = view.ledger;
        let when = ledger.began(Phase::FinalRead).unwrap_or(view.at);
        for (tp, part) in ledger.parts() {
            let of_part = (0u32..).zip(ledger.streams()).filter(|(_, stream)| stream.tp == tp);
            let sent =
                of_part.flat_map(|(number, stream)| (0u32..).zip(stream.sends.iter()).map(move |(s, _)| (number, s)));
            let streams: Vec<(u32, u32)> = sent.collect();
            let found = part.table.iter().filter(|(_, slot)| slot.last);
            let keyed = found.filter_map(|(offset, slot)| Some((key_of(slot.record()?.1.into()), offset)));
            let read: BTreeMap<u64, Offset> = keyed.collect();
            for (key, (offset, record)) in written(view, part, &streams) {
                self.judged += 1;
                let found = read.get(&key).copied();
                if found.is_some_and(|found| found >= offset) {
                    continue;
                }
                let tell = || {
                    let found = found.map_or("no record of it".into(), |at| format!("the last at offset {at}"));
                    let (who, name) = (ledger.who(record), ledger.name(tp));
                    Tell::new(format!(
                        "{who} is the last of key {key} in {name}, at offset {offset}; the final read finds {found}"
                    ))
                    .and(ledger.sending(record))
                    .and(ledger.window(0, when))
                };
                let called = ledger.record(record).map_or(0, |send| send.called);
                match part.took_committed(&view.rules.contract, offset, called) {
                    true => out.expected(when, Some(tp), 1, tell),
                    false => out.violation(when, Some(tp), 1, tell),
                }
            }
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::Tale;
    use crate::contract::Contract;

    fn tale() -> Tale {
        let mut tale = Tale::new(Contract { compaction: true, ..Contract::default() });
        tale.sent(18);
        tale
    }

    #[test]
    fn the_last_of_each_key_is_enough() {
        let mut tale = tale();
        // Keys 3, 2, 4, 0 and 1.
        let kept = [7, 11, 15, 16, 17].map(|at: i64| (at, at.cast_unsigned()));
        tale.final_read(&kept);
        tale.holds("B21");
    }

    #[test]
    fn the_last_of_a_key_is_gone() {
        let mut tale = tale();
        let kept: Vec<(i64, u64)> = (0i64..18).filter(|at| *at != 11).map(|at| (at, at.cast_unsigned())).collect();
        tale.final_read(&kept);
        tale.breaks("B21", 1);
    }
}
