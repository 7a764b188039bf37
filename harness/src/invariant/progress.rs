//! L6: once all faults are cured, new sends succeed again in time.

use super::readable::unless_rotten;
use super::{Findings, Invariant, Kinds, Row, Tell, View, damage, no_run};
use crate::history::{Call, Event, Kind, Outcome, Phase};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "L6",
    jepsen: None,
    promise: crate::verdict::Promise::Liveness,
    about: "after healing, new sends succeed within the deadline",
    white_box: false,
    wants: Kinds::SEND.and(Kinds::RETURN),
    applies: unless_rotten,
    must: no_run,
    make: || Box::new(Progress::default()),
};

/// By partition: the first send asked for since everything was cured, and whether one has succeeded.
#[derive(Default)]
struct Progress {
    parts: Vec<Option<(u64, bool)>>,
    judged: u64,
}

impl Progress {
    fn of(&mut self, tp: usize) -> &mut Option<(u64, bool)> {
        let len = self.parts.len().max(tp + 1);
        self.parts.resize(len, None);
        &mut self.parts[tp]
    }
}

impl Invariant for Progress {
    fn see(&mut self, event: &Event, view: &View<'_>, _out: &mut Findings) {
        if view.ledger.began(Phase::Heal).is_none() {
            return;
        }
        match (&event.kind, view.ledger.current().ended) {
            (Kind::Call { call: Call::Send { tp, .. }, .. }, _) if view.ledger.part(*tp).is_some() => {
                self.of(tp.0 as usize).get_or_insert((event.at, false));
            }
            (Kind::Return { outcome: Outcome::Ok, .. }, Some(open)) => {
                let Call::Send { tp, .. } = open.call else { return };
                let limit = view.rules.contract.drain_deadline_ms * 1_000_000;
                let waiting = self.parts.get_mut(tp.0 as usize).and_then(Option::as_mut);
                let fresh = |since: u64| open.called >= since && event.at.saturating_sub(since) <= limit;
                waiting.filter(|(since, _)| fresh(*since)).into_iter().for_each(|w| w.1 = true);
            }
            _ => {}
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        self.judge(view, out);
        // Where the load was to end, every producer was to prove that sending works again.
        if self.judged == 0 && view.ledger.began(Phase::Drain).is_some() {
            out.vacuous(view.at, None, || Tell::new("no send after healing could be judged"));
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

impl Progress {
    fn judge(&mut self, view: &View<'_>, out: &mut Findings) {
        let limit = view.rules.contract.drain_deadline_ms;
        for ((tp, _), waiting) in view.ledger.parts().zip(&self.parts) {
            let Some((since, progressed)) = *waiting else { continue };
            // A run that ends before the deadline shows nothing.
            if progressed || view.at.saturating_sub(since) > limit * 1_000_000 {
                self.judged += 1;
            }
            if progressed || view.at.saturating_sub(since) <= limit * 1_000_000 {
                continue;
            }
            let tell = || {
                let name = view.ledger.name(tp);
                Tell::new(format!("after healing, no new send to {name} succeeded within {limit} ms"))
                    .and(view.ledger.window(0, since))
                    .then(format!("{}: the first new send to {name}", time(since)))
                    .then(format!("{}: none has succeeded in time", time(view.at)))
            };
            // A partition whose damaged log cannot be opened stays closed, rather than lose what lies behind the damage.
            damage::report(view, tp, 1, tell, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::Tale;
    use crate::contract::Contract;
    use crate::history::{Outcome, Phase, Reply};
    use crate::verdict::Verdict;

    #[test]
    fn a_send_after_healing_succeeds() {
        let mut tale = Tale::new(Contract { drain_deadline_ms: 100, ..Contract::default() });
        tale.phase(Phase::Heal).sent(1).wait(500);
        tale.holds("L6");
    }

    #[test]
    fn none_succeeds() {
        let mut tale = Tale::new(Contract { drain_deadline_ms: 100, ..Contract::default() });
        let old = tale.send(0);
        tale.phase(Phase::Heal);
        let op = tale.send(1);
        tale.ack(old, 0).returns(op, Outcome::Info, Reply::None).wait(500);
        tale.breaks("L6", 1);
    }

    #[test]
    fn a_drain_without_a_send_proves_nothing() {
        let mut tale = Tale::new(Contract { drain_deadline_ms: 100, ..Contract::default() });
        tale.sent(1).phase(Phase::Heal).phase(Phase::Drain).wait(500);
        let checked = tale.check("L6");
        assert_eq!((checked.verdict, checked.findings.len()), (Verdict::Vacuous, 1));
    }
}
