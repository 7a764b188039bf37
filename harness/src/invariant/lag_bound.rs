//! A9: where producers wait for a group, it is never behind by more than was said, for as long as there is load.
//!
//! As far as clients can tell: behind is what was acknowledged and lies above whatever a member has asked to commit. The
//! coordinator may have that commit before its member hears so.

use std::collections::BTreeMap;

use broker::ids::Offset;

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::history::{Call, Event, Kind, Outcome, Phase, Reply, TpId};

pub(super) const ROW: Row = Row {
    id: "A9",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a group that producers wait for is never behind by more than its bound",
    white_box: false,
    wants: Kinds::COMMIT.and(Kinds::RETURN),
    applies: |contract| match contract.lag_bound {
        0 => Applies::No,
        _ => Applies::Enforced,
    },
    must: |contract| contract.lag_bound > 0,
    make: || Box::new(LagBound::default()),
};

/// The group that producers wait for.
const GROUP: u32 = 0;

#[derive(Default)]
struct LagBound {
    judged: u64,
    /// By partition: one past the last offset acknowledged, and the highest that anyone has asked to commit.
    places: BTreeMap<TpId, (Offset, Offset)>,
    /// It is told once until the group has caught up.
    is_over: bool,
}

impl LagBound {
    fn lag(&self) -> u64 {
        let behind = |(end, committed): &(Offset, Offset)| u64::try_from(end.saturating_sub(*committed)).unwrap_or(0);
        self.places.values().map(behind).fold(0, u64::saturating_add)
    }

    fn judge(&mut self, tp: TpId, view: &View<'_>, out: &mut Findings) {
        let (lag, most) = (self.lag(), view.rules.contract.lag_bound);
        // A group that keeps up proves nothing.
        self.judged += u64::from(lag > most / 2);
        if std::mem::replace(&mut self.is_over, lag > most) || lag <= most {
            return;
        }
        out.violation(view.at, Some(tp), 1, || {
            let line = |(tp, (end, committed)): (&TpId, &(Offset, Offset))| {
                format!("{}: acknowledged below {end}, committed below {committed}", view.ledger.name(*tp))
            };
            Tell::new(format!("group {GROUP} is behind by {lag} records, and its producers keep to {most}"))
                .and(self.places.iter().map(line))
                .and(view.ledger.window(0, view.at))
        });
    }
}

impl Invariant for LagBound {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        match event.kind {
            Kind::Call { call: Call::Commit { group: GROUP, tp, offset, .. }, .. } => {
                let (_, committed) = self.places.entry(tp).or_default();
                *committed = (*committed).max(offset);
            }
            Kind::Return { outcome: Outcome::Ok, reply: Reply::Sent { offset }, .. } => {
                let Some(Call::Send { tp, .. }) = view.ledger.current().ended.map(|open| open.call) else { return };
                let input = !view.rules.contract.passed_on.contains(&tp);
                // What proves, in the end, that all is well again, waits for nobody.
                if input && view.ledger.began(Phase::Drain).is_none() {
                    let (end, _) = self.places.entry(tp).or_default();
                    *end = (*end).max(offset.saturating_add(1));
                    self.judge(tp, view, out);
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
    use super::super::tale::{TP, Tale, grouped};
    use crate::contract::Contract;
    use crate::history::{Call, Phase};

    /// Ten records, of which the group commits some, and then so many more.
    fn tale(committed: i64, more: u64) -> Tale {
        let mut tale = Tale::new(Contract { lag_bound: 10, ..grouped() });
        tale.sent(10).joins(1, 1).call(1, Call::Commit { group: 0, tp: TP, offset: committed, generation: 1 });
        tale.call(1, Call::Commit { group: 1, tp: TP, offset: 99, generation: 1 });
        for seq in 10..10 + more {
            let op = tale.send(seq);
            tale.ack(op, i64::try_from(seq).unwrap_or(0));
        }
        tale
    }

    #[test]
    fn it_is_behind_by_no_more() {
        tale(5, 5).holds("A9");
        let mut tale = tale(5, 5);
        tale.phase(Phase::Drain);
        let op = tale.send(15);
        tale.ack(op, 15).holds("A9");
    }

    #[test]
    fn it_is_behind_by_more_and_that_is_told_once() {
        tale(5, 6).breaks("A9", 1);
        tale(0, 9).breaks("A9", 1);
    }

    #[test]
    fn one_that_keeps_up_proves_nothing() {
        let mut tale = Tale::new(Contract { lag_bound: 10, ..grouped() });
        tale.sent(5);
        assert_eq!(tale.check("A9").of("A9").map(|row| (row.count, row.violations)), Some((0, 0)));
    }
}
