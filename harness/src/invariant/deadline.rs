//! L10: every client call returns by its deadline, whatever happens.

use super::{Findings, Invariant, Kinds, Row, Tell, View, always, every_run};
use crate::history::Call;
use crate::history::{Event, TpId};
use crate::invariant::ledger::{Open, time};

pub(super) const ROW: Row = Row {
    id: "L10",
    jepsen: None,
    promise: crate::verdict::Promise::Liveness,
    about: "every client call returns by its deadline",
    white_box: false,
    wants: Kinds::RETURN,
    applies: always,
    must: every_run,
    make: || Box::new(Deadline::default()),
};

#[derive(Default)]
struct Deadline {
    judged: u64,
}

impl Deadline {
    fn judge(&mut self, open: &Open, ended: bool, view: &View<'_>, out: &mut Findings) {
        let (took, limit) = (view.at.saturating_sub(open.called), view.rules.contract.call_deadline_ms);
        self.judged += u64::from(ended);
        if took <= limit * 1_000_000 {
            return;
        }
        out.violation(view.at, tp_of(&open.call), 1, || {
            let verb = if ended { "took" } else { "is open since" };
            Tell::new(format!(
                "call {} of client {} {verb} {}; the deadline is {limit} ms",
                open.op,
                open.client,
                time(took)
            ))
            .then(format!("{}: client {} asks {:?}", time(open.called), open.client, open.call))
            .and(view.ledger.window(open.called, view.at))
            .then(format!(
                "{}: {}",
                time(view.at),
                if ended { "it returns" } else { "it has not returned" }
            ))
        });
    }
}

fn tp_of(call: &Call) -> Option<TpId> {
    match call {
        Call::Send { tp, .. } | Call::Poll { tp, .. } | Call::Assign { tp, .. } => Some(*tp),
        Call::ListOffsets { tp, .. } | Call::DeleteRecords { tp, .. } => Some(*tp),
        Call::Commit { tp, .. } | Call::FetchOffset { tp, .. } => Some(*tp),
        Call::Admin { .. } => None,
    }
}

impl Invariant for Deadline {
    fn see(&mut self, _event: &Event, view: &View<'_>, out: &mut Findings) {
        if let Some(open) = view.ledger.current().ended {
            self.judge(&open, true, view, out);
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        for open in view.ledger.open() {
            self.judge(open, false, view, out);
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
    use crate::history::Kind;

    fn contract() -> Contract {
        Contract { call_deadline_ms: 100, ..Contract::default() }
    }

    #[test]
    fn calls_return_in_time_and_a_dead_client_owes_nothing() {
        let mut tale = Tale::new(contract());
        tale.sent(1).send(1);
        tale.note(Kind::Quit { client: 0, incarnation: 0 }).wait(500);
        tale.holds("L10");
    }

    #[test]
    fn one_call_is_late_and_one_never_returns() {
        let mut tale = Tale::new(contract());
        let op = tale.send(0);
        tale.wait(200).ack(op, 0).send(1);
        tale.wait(200);
        tale.breaks("L10", 2);
    }
}
