//! M6: no evidence is not a pass: a run in which fewer faults struck than it needs, or nothing was acknowledged or read,
//! is vacuous. So is one that is about a node left behind the metadata log, if none had to fetch a snapshot.

use broker::fact::Fact;

use super::{Findings, Invariant, Kinds, Row, Tell, View, always, every_run};
use crate::history::{Event, Kind, Phase};

pub(super) const ROW: Row = Row {
    id: "M6",
    jepsen: None,
    promise: crate::verdict::Promise::Meta,
    about: "the run was exercised: faults struck, records were acknowledged and read",
    white_box: false,
    wants: Kinds::PHASE.and(Kinds::SNAPSHOT),
    applies: always,
    must: every_run,
    make: || Box::new(Exercised::default()),
};

#[derive(Default)]
struct Exercised {
    phases: u64,
    snapshots: u64,
}

impl Invariant for Exercised {
    fn see(&mut self, event: &Event, _view: &View<'_>, _out: &mut Findings) {
        match &event.kind {
            Kind::Fact { fact: Fact::Snapshot { fetched, .. }, .. } => self.snapshots += u64::from(*fetched),
            _ => self.phases += 1,
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        let (ledger, rules) = (view.ledger, view.rules);
        let (_, acked, delivered, facts) = ledger.counts();
        let (struck, least) = (ledger.strikes().len(), rules.least_strikes);
        let (fetched, wanted) = (self.snapshots, rules.least_snapshots);
        let read = |part: &super::ledger::Part| part.last.polls > 0;
        let missing = [
            (struck < least).then(|| format!("{struck} strikes came, this run needs at least {least}")),
            (fetched < wanted).then(|| format!("{fetched} metadata snapshots were fetched, this run needs {wanted}")),
            (acked == 0 && rules.contract.acks != 0).then(|| "no record was acknowledged".into()),
            (delivered == 0).then(|| "no record was read".into()),
            (facts == 0 && rules.white_box).then(|| "no node stated any fact".into()),
            (!ledger.parts().any(|(_, part)| read(part))).then(|| "there was no final read".into()),
        ];
        for what in missing.into_iter().flatten() {
            let phases =
                ledger.phases().iter().map(|(phase, at)| format!("{}: phase {phase:?}", super::ledger::time(*at)));
            out.vacuous(view.at, None, || Tell::new(what).and(phases));
        }
        self.phases = ledger.began(Phase::FinalRead).map_or(0, |_| self.phases);
    }

    fn evidence(&self) -> u64 {
        self.phases
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::Fact;

    use super::super::tale::Tale;
    use crate::contract::Contract;
    use crate::history::Kind;
    use crate::verdict::Verdict;

    #[test]
    fn a_run_with_strikes_and_reading() {
        let mut tale = Tale::new(Contract::default());
        tale.rules.least_strikes = 1;
        tale.sent(1).flush(1).note(Kind::Strike { strike: 0, fault: "cut".into(), on: "c0".into(), minority: false });
        tale.final_read(&[(0, 0)]);
        tale.holds("M6");
    }

    #[test]
    fn a_run_in_which_no_fault_struck() {
        let mut tale = Tale::new(Contract::default());
        tale.rules.least_strikes = 1;
        tale.sent(1).flush(1).final_read(&[(0, 0)]);
        let checked = tale.check("M6");
        assert_eq!((checked.verdict, checked.findings.len()), (Verdict::Vacuous, 1));
    }

    #[test]
    fn a_run_in_which_nobody_was_left_behind() {
        for fetched in [false, true] {
            let mut tale = Tale::new(Contract::default());
            tale.rules.least_snapshots = 1;
            tale.fact(Fact::Snapshot { end: 9, fetched }).sent(1).flush(1).final_read(&[(0, 0)]);
            assert_eq!(tale.check("M6").verdict == Verdict::Vacuous, !fetched);
        }
    }

    #[test]
    fn an_empty_history() {
        let checked = Tale::new(Contract::default()).check("M6");
        assert_eq!((checked.verdict, checked.findings.len()), (Verdict::Vacuous, 5));
    }
}
