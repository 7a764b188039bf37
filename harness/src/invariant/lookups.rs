//! W18: an index look-up finds what a linear scan finds, and a fetch at a position is answered from that position.

use broker::fact::Fact;

use super::{Findings, Invariant, Kinds, Row, Tell, View, damage, every_run};
use crate::history::{Event, Kind};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "W18",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "index look-ups find what a linear scan finds",
    white_box: true,
    wants: Kinds::AUDITED.and(Kinds::SERVED),
    applies: super::stored_whole::but_for_rot,
    must: every_run,
    make: || Box::new(Lookups::default()),
};

#[derive(Default)]
struct Lookups {
    judged: u64,
}

impl Invariant for Lookups {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact, .. } = &event.kind else { return };
        let name = || view.ledger.name(*tp);
        let line = || format!("{}: {node} is asked", time(event.at));
        match fact {
            Fact::Served { from, upto, .. } => {
                self.judged += 1;
                if upto <= from {
                    out.violation(event.at, Some(*tp), 1, || {
                        let what = format!(
                            "a fetch of {} at offset {from} is answered with records that end at {upto}",
                            name()
                        );
                        Tell::new(what).and(view.ledger.window(0, event.at)).then(line())
                    });
                }
            }
            Fact::Audited { batches, bad_lookups, .. } => {
                self.judged += batches.len() as u64;
                let count = bad_lookups.len() as u64;
                let tell = || {
                    Tell::new(format!(
                        "{count} index look-ups of {} differ from a linear scan: {}",
                        name(),
                        bad_lookups[0]
                    ))
                    .and(bad_lookups.iter().take(5).cloned())
                    .and(view.ledger.window(0, event.at))
                };
                if count > 0 {
                    damage::report(view, *tp, count, tell, out);
                }
            }
            _ => {}
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::Fact;

    use super::super::tale::{Tale, mark, tp};
    use crate::contract::Contract;

    #[test]
    fn look_ups_agree() {
        let mut tale = Tale::new(Contract::default());
        tale.fact(Fact::Served { tp: tp(), from: 1, upto: 2, high: 2 }).audit(&[mark(0, 1)]);
        tale.holds("W18");
    }

    #[test]
    fn the_index_points_behind_the_batch_and_a_fetch_is_answered_from_below() {
        let mut tale = Tale::new(Contract::default());
        let bad_lookups = vec!["offset 1: index says position 80, scan says 0".into()];
        let (batches, bad_crc) = (vec![mark(0, 1)], Vec::new());
        tale.fact(Fact::Audited { tp: tp(), log_start: 0, log_end: 2, batches, bad_crc, torn_bytes: 0, bad_lookups });
        tale.fact(Fact::Served { tp: tp(), from: 2, upto: 2, high: 2 });
        tale.breaks("W18", 2);
    }
}
